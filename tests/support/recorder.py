"""What was deleted on simulated clusters: the promise that no failure path removes what runs, held over every scenario."""

from collections.abc import Iterable
from typing import Final

from addonry.simulator import SimulatedCluster
from addonry.simulator.cluster import LoggedRequest

KEPT: Final = frozenset(
    {"Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "CustomResourceDefinition", "Namespace"}
)
"""Kinds that hold somebody's work, or the room it lives in."""


def deletions(clusters: Iterable[SimulatedCluster], *, asked: Iterable[str] = ()) -> list[str]:
    """Every client's deletion of such an object, but for those whose name begins with a component that was *asked* to go.

    Controllers of the cluster (a Deployment's ReplicaSets, a Job's time to live) are no clients and not in the record.
    """
    found = []
    for cluster in clusters:
        assert not cluster.forgotten, "the record of requests is too short for this scenario"
        found += deletions_among(cluster.requests, asked=asked)
    return found


def deletions_among(requests: Iterable[LoggedRequest], *, asked: Iterable[str] = ()) -> list[str]:
    """The same, of a record that somebody else has kept."""
    names = tuple(asked)
    return [
        f"{request.user_agent} deleted {target.kind} {target.name} ({request.method} {request.path})"
        for request in requests
        if request.method == "DELETE"
        for target in request.targets
        if target.kind in KEPT and not (names and target.name.startswith(names))
    ]
