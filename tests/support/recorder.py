"""What was deleted on simulated clusters: the promise that no failure path removes what runs, held over every scenario."""

from collections.abc import Iterable, Iterator
from typing import Final

from addonry.simulator import SimulatedCluster

KEPT: Final = frozenset(
    {"Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "CustomResourceDefinition", "Namespace"}
)
"""Kinds that hold somebody's work, or the room it lives in."""


def deletions(clusters: Iterable[SimulatedCluster], *, asked: Iterable[str] = ()) -> list[str]:
    """Every client's deletion of such an object, but for those whose name begins with a component that was *asked* to go.

    Controllers of the cluster (a Deployment's ReplicaSets, a Job's time to live) are no clients and not in the record.
    """
    names = tuple(asked)
    return [
        f"{cluster.name}: {request.user_agent} deleted {kind} {name} ({request.method} {request.path})"
        for cluster in clusters
        for request, kind, name in _deleted(cluster)
        if not name.startswith(names or ("\0",))
    ]


def _deleted(cluster: SimulatedCluster) -> Iterator[tuple]:
    assert not cluster.forgotten, "the record of requests is too short for this scenario"
    for request in cluster.requests:
        if request.method == "DELETE":
            for target in request.targets:
                if target.kind in KEPT:
                    yield request, target.kind, target.name
