"""Which Pods occupy which node, and what they hold of it.

Counted when a Pod must be placed for the first time, so that a cluster at rest pays nothing, and kept up with from
then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from addonry.simulator.objects.validation import parse_quantity
from addonry.simulator.resources import built_in
from addonry.simulator.storage import Change, ChangeType, Object, Record, Store

_NODES: Final = built_in("", "nodes")
_PODS: Final = built_in("", "pods")
_NOTHING: Final = Fraction(0)


@dataclass(frozen=True, slots=True)
class Occupant:
    """A Pod on a node, as far as others that want to go there care."""

    node: str
    namespace: str
    labels: Mapping[str, str]
    requests: Mapping[str, Fraction]
    ports: frozenset[tuple[str, int]]


@dataclass(slots=True)
class Load:
    """What is taken of one node."""

    occupants: dict[str, Occupant] = field(default_factory=dict)
    _requested: dict[str, Fraction] = field(default_factory=dict)

    @property
    def pods(self) -> int:
        return len(self.occupants)

    def requested(self, resource: str) -> Fraction:
        return self._requested.get(resource, _NOTHING)

    def add(self, uid: str, occupant: Occupant) -> None:
        self.occupants[uid] = occupant
        for resource, amount in occupant.requests.items():
            self._requested[resource] = self.requested(resource) + amount

    def drop(self, uid: str) -> None:
        for resource, amount in self.occupants.pop(uid).requests.items():
            self._requested[resource] -= amount

    def holds_port(self, ports: Iterable[tuple[str, int]]) -> bool:
        wanted = set(ports)
        return any(wanted & occupant.ports for occupant in self.occupants.values())


@dataclass(frozen=True, slots=True)
class Host:
    """A node as the scheduler sees it: what it is, and all it has to give."""

    version: int
    node: Object
    room: Mapping[str, Fraction]


class Occupancy:
    """The nodes of a cluster, and their loads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hosts: dict[str, Host] = {}
        self._loads: dict[str, Load] = {}
        self._where: dict[str, str] = {}
        self._is_counted = False

    def of(self, node: str) -> Load:
        self._count()
        return self._loads.setdefault(node, Load())

    def hosts(self) -> list[Host]:
        """All nodes, in order; read once for each version, since a rollout places hundreds of Pods on the same ones."""
        hosts = {}
        for record in self._store.records(_NODES.key):
            known = self._hosts.get(record.key.name)
            hosts[record.key.name] = known if known and known.version == record.version else _host(record)
        self._hosts = hosts
        return list(hosts.values())

    def everyone(self) -> Iterator[Occupant]:
        self._count()
        return (occupant for load in self._loads.values() for occupant in load.occupants.values())

    def note(self, change: Change) -> None:
        """Keep up with a change of a Pod."""
        if not self._is_counted or change.record.key.resource != _PODS.key:
            return
        if change.type is ChangeType.DELETED:
            self._drop(change.record.uid)
        elif change.record.uid not in self._where or _may_be_finished(change.record):
            self._take(change.record)

    def _count(self) -> None:
        if not self._is_counted:
            self._is_counted = True
            for record in self._store.records(_PODS.key):
                self._take(record)

    def _take(self, record: Record) -> None:
        pod = record.decode()
        node = pod["spec"].get("nodeName")
        self._drop(record.uid)
        if node and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
            self._where[record.uid] = node
            occupant = Occupant(node, record.key.namespace, record.labels or {}, requests(pod), host_ports(pod))
            self._loads.setdefault(node, Load()).add(record.uid, occupant)

    def _drop(self, uid: str) -> None:
        node = self._where.pop(uid, None)
        if node is not None:
            self._loads[node].drop(uid)


def _host(record: Record) -> Host:
    node = record.decode()
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    room = {name: parse_quantity(amount) or _NOTHING for name, amount in allocatable.items()}
    return Host(record.version, node, room)


def requests(pod: Object) -> dict[str, Fraction]:
    """What the Pod asks of a node: its containers together, or its greediest init container if that is more."""
    wanted: dict[str, Fraction] = {}
    for container in pod["spec"].get("containers") or ():
        for name, amount in _requests(container).items():
            wanted[name] = wanted.get(name, _NOTHING) + amount
    for container in pod["spec"].get("initContainers") or ():
        for name, amount in _requests(container).items():
            wanted[name] = max(wanted.get(name, _NOTHING), amount)
    return {name: amount for name, amount in wanted.items() if amount}


def host_ports(pod: Object) -> frozenset[tuple[str, int]]:
    """The ports of the node that the Pod takes."""
    containers = pod["spec"].get("containers") or ()
    ports = (port for container in containers for port in container.get("ports") or ())
    return frozenset((port.get("protocol", "TCP"), port["hostPort"]) for port in ports if port.get("hostPort"))


def _requests(container: Mapping[str, Any]) -> dict[str, Fraction]:
    resources = container.get("resources") or {}
    # A limit without a request is the request, too.
    wanted = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(amount) or _NOTHING for name, amount in wanted.items()}


def _may_be_finished(record: Record) -> bool:
    # A cheap look before decoding: most changes of a Pod say nothing about its place.
    return b'"Succeeded"' in record.body or b'"Failed"' in record.body
