"""Where a Pod may run: the filters of the scheduler, in its order, and its words when no node passes them.

Pure decisions; `pods` asks them. To add a filter, write a function and name it in FILTERS.
See https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from addonry.simulator import selectors
from addonry.simulator.life.occupancy import Host, Load, Occupancy, host_ports, requests
from addonry.simulator.storage import Object

_NOTHING: Final = Fraction(0)
_DEFAULT_PODS: Final = Fraction(110)  # of a kubelet that is not told otherwise
_HOLDS_BACK: Final = ("NoSchedule", "NoExecute")
_KNOWN_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")  # Gt and Lt are rare and select nothing out
_UNRESOLVABLE: Final = "Preemption is not helpful for scheduling"
_NO_VICTIMS: Final = "No preemption victims found for incoming pod"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a node will not do. One that the end of other Pods could lift is not for good."""

    reason: str
    for_good: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """A node, what is taken of it, and the whole of which it is a part."""

    node: Object
    room: Mapping[str, Fraction]
    load: Load
    occupancy: Occupancy
    hosts: Sequence[Host]


@dataclass(frozen=True, slots=True)
class Applicant:
    """A Pod that wants a node, and what it asks for."""

    pod: Object
    requests: Mapping[str, Fraction]
    ports: frozenset[tuple[str, int]]

    @property
    def spec(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.pod["spec"]
        return found


def places(pod: Object, occupancy: Occupancy) -> list[tuple[Object, tuple[Refusal, ...]]]:
    """Each node, and why it will not do for the Pod; nothing when it will."""
    applicant, hosts = Applicant(pod, requests(pod), host_ports(pod)), occupancy.hosts()
    return [
        (host.node, _refusals(applicant, Place(host.node, host.room, occupancy.of(_name(host.node)), occupancy, hosts)))
        for host in hosts
    ]


def _refusals(applicant: Applicant, place: Place) -> tuple[Refusal, ...]:
    # The first filter that refuses has the say.
    for refuse in FILTERS:
        if reasons := tuple(refuse(applicant, place)):
            return reasons
    return ()


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def unschedulable(total: int, refused: Iterable[tuple[Refusal, ...]]) -> str:
    """What the scheduler says when all nodes refused, each for its reasons."""
    if not total:
        return "no nodes available to schedule pods"
    all_reasons = list(refused)
    words = Counter(refusal.reason for reasons in all_reasons for refusal in reasons)
    helpless = sum(any(refusal.for_good for refusal in reasons) for reasons in all_reasons)
    verdicts = {_UNRESOLVABLE: helpless, _NO_VICTIMS: total - helpless}
    return _sentence(total, words, {word: count for word, count in verdicts.items() if count})


def not_ready_to_schedule(total: int, why: str) -> str:
    """What the scheduler says when the Pod itself is what is missing something."""
    return f"0/{total} nodes are available: {why}. {_preemption(total, {_UNRESOLVABLE: total})}"


def _sentence(total: int, words: Mapping[str, int], verdicts: Mapping[str, int]) -> str:
    return f"0/{total} nodes are available: {_counted(words)}. {_preemption(total, verdicts)}"


def _preemption(total: int, verdicts: Mapping[str, int]) -> str:
    return f"no new claims to deallocate, preemption: 0/{total} nodes are available: {_counted(verdicts)}."


def _counted(words: Mapping[str, int]) -> str:
    return ", ".join(sorted(f"{count} {word}" for word, count in words.items()))


# ---------------------------------------------------------------------- filters


def _is_open(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    if (place.node.get("spec") or {}).get("unschedulable") and not tolerates(applicant.spec, UNSCHEDULABLE):
        yield Refusal("node(s) were unschedulable")


def _is_tolerated(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    if untolerated(applicant.spec, place.node, _HOLDS_BACK):
        yield Refusal("node(s) had untolerated taint(s)")


def _is_wanted(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    if not matches_node(applicant.spec, place.node):
        yield Refusal("node(s) didn't match Pod's node affinity/selector")


def _has_ports(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    if applicant.ports and place.load.holds_port(applicant.ports):
        yield Refusal("node(s) didn't have free ports for the requested pod ports", for_good=False)


def _has_room(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    if place.load.pods + 1 > place.room.get("pods", _DEFAULT_PODS):
        yield Refusal("Too many pods", for_good=False)
    for name, amount in applicant.requests.items():
        total = place.room.get(name, _NOTHING)
        if place.load.requested(name) + amount > total:
            yield Refusal(f"Insufficient {name}", for_good=amount > total)


def _keeps_apart(applicant: Applicant, place: Place) -> Iterable[Refusal]:
    """Required anti-affinity, as seen by the Pod that comes."""
    anti = ((applicant.spec.get("affinity") or {}).get("podAntiAffinity")) or {}
    for term in anti.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        topology = term.get("topologyKey", "")
        here = (place.node["metadata"].get("labels") or {}).get(topology)
        if here is None:
            continue
        nodes = (host.node for host in place.hosts)
        same = {_name(node) for node in nodes if (node["metadata"].get("labels") or {}).get(topology) == here}
        namespaces = term.get("namespaces") or [applicant.pod["metadata"]["namespace"]]
        selector = selectors.from_object(term.get("labelSelector"))
        if any(
            other.node in same and other.namespace in namespaces and selectors.matches(selector, other.labels)
            for other in place.occupancy.everyone()
        ):
            yield Refusal("node(s) didn't match pod anti-affinity rules", for_good=False)
            return


FILTERS: Final[tuple[Callable[[Applicant, Place], Iterable[Refusal]], ...]] = (
    _is_open,
    _is_tolerated,
    _is_wanted,
    _has_ports,
    _has_room,
    _keeps_apart,
)


# ---------------------------------------------------------------------- taints, tolerations, selectors

UNSCHEDULABLE: Final[Mapping[str, str]] = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def untolerated(spec: Mapping[str, Any], node: Object, effects: Sequence[str]) -> list[dict[str, Any]]:
    """The taints with one of these effects that the Pod does not tolerate."""
    taints: list[dict[str, Any]] = (node.get("spec") or {}).get("taints") or []
    return [taint for taint in taints if taint.get("effect") in effects and not tolerates(spec, taint)]


def tolerates(spec: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    return any(_covers(toleration, taint) for toleration in spec.get("tolerations") or ())


def tolerated_seconds(spec: Mapping[str, Any], node: Object) -> float | None:
    """How long a Pod may stay on the node for its NoExecute taints; None for ever."""
    taints = [t for t in (node.get("spec") or {}).get("taints") or () if t.get("effect") == "NoExecute"]
    limits: list[float] = []
    for taint in taints:
        covering = [t for t in spec.get("tolerations") or () if _covers(t, taint)]
        if not covering:
            return 0.0
        limits += [float(t["tolerationSeconds"]) for t in covering if t.get("tolerationSeconds") is not None]
    return min(limits, default=None)


def _covers(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and toleration.get("value", "") == taint.get("value", "")


def matches_node(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether nodeSelector and required node affinity admit the node."""
    labels = node["metadata"].get("labels") or {}
    wanted = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    if not terms:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        _holds(term.get("matchExpressions"), labels) and _holds(term.get("matchFields"), fields) for term in terms
    )


def _holds(expressions: Sequence[Mapping[str, Any]] | None, of: Mapping[str, str]) -> bool:
    known = [e for e in expressions or () if e["operator"] in _KNOWN_OPERATORS]
    return selectors.matches(selectors.from_object({"matchExpressions": known}), of)
