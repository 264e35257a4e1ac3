"""From a population to a cluster that has lived for a while: what other clusters are copied from.

The objects are written through the API's own rules and then live on a clock of their own, so that Pods run, APIServices
answer and no rollout is under way, without a request and without waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from addonry.simulator.clock import SteppedClock
from addonry.simulator.population import node_object
from addonry.simulator.populations.documents import Document, Group, NodeShape, Population, Release, completed
from addonry.simulator.populations.releases import objects_of, records_of
from addonry.simulator.storage import Object

AGE: Final = timedelta(hours=2)
"""How long ago it was made: longer than Events are kept."""

_FIRST: Final = ("Namespace", "CustomResourceDefinition", "PriorityClass")
_LAST: Final = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_BREATH: Final = 120.0
"""Simulated seconds after which definitions are established, and Pods behind webhooks ready."""


class Cluster(Protocol):
    """A cluster as far as it is made here (`cluster.SimulatedCluster`)."""

    def write(self, obj: Object, *, manager: str, applied: bool) -> None: ...

    def export(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


MakeCluster = Callable[[SteppedClock, str, Sequence[Object], str], Cluster]


@dataclass(frozen=True, slots=True)
class _Written:
    """One object, and who wrote it."""

    obj: Object
    manager: str
    applied: bool


async def build(population: Population, kubernetes: str, make: MakeCluster) -> dict[str, Any]:
    """The snapshot of a settled cluster of the population; *make* gives one that has nothing but its nodes."""
    version = population.version(kubernetes)
    document = population.at(version)
    began = datetime.now(UTC) - AGE
    clock = SteppedClock(began)
    nodes = [_node(place, shape, began, version) for place, shape in enumerate(document.nodes)]
    cluster = make(clock, version, nodes, document.services)
    try:
        for stage in _stages(_written(document, began)):
            for each in stage:
                cluster.write(each.obj, manager=each.manager, applied=each.applied)
            await clock.advance(_BREATH)
        await clock.advance((began + AGE - clock.now()).total_seconds())
        return cluster.export()
    finally:
        cluster.close()


def _stages(written: Iterable[_Written]) -> tuple[list[_Written], ...]:
    first: list[_Written] = []
    then: list[_Written] = []
    last: list[_Written] = []
    for each in written:
        kind = each.obj["kind"]
        (first if kind in _FIRST else last if kind in _LAST else then).append(each)
    return first, then, last


def _written(document: Document, now: datetime) -> Iterator[_Written]:
    """Who wrote what, in the order of the file."""
    releases = [(release, objects_of(release)) for release in document.releases]
    by_owner: list[tuple[Group | Release, list[Object]]] = [
        *((group, completed(group.items, group)) for group in document.objects),
        *releases,
        *((group, completed(group.items, group)) for group in document.afterwards),
    ]
    seen: set[tuple[str, str, str]] = set()
    for owner, objects in by_owner:
        for obj in objects:
            # Several groups may live in one namespace, and use one account.
            address = (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            if obj["kind"] not in ("Namespace", "ServiceAccount") or address not in seen:
                seen.add(address)
                yield _Written(obj, owner.by, owner.applied)
    for release, objects in releases:
        for secret in records_of(release, objects, now):
            yield _Written(secret, release.by, applied=False)


def _node(number: int, shape: NodeShape, now: datetime, version: str) -> Object:
    node = node_object(number, shape.name, now=now, kubernetes_version=version)
    node["metadata"]["labels"] |= shape.labels
    if shape.annotations:
        node["metadata"]["annotations"] = dict(shape.annotations)
    if shape.taints:
        node["spec"]["taints"] = list(shape.taints)
    if shape.provider:
        node["spec"]["providerID"] = shape.provider
    node["status"]["nodeInfo"] |= {
        "osImage": shape.system,
        "kernelVersion": shape.kernel,
        "containerRuntimeVersion": shape.runtime,
    }
    return node
