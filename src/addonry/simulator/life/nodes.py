"""Nodes come and go: taints for what is wrong with them, Pods driven out, Pods of vanished nodes collected.

A node is lost when its Ready condition is Unknown, which is what the control plane says of a kubelet that fell silent;
`SimulatedCluster.lose_node` does it, and so does a client that writes the condition.
See https://kubernetes.io/docs/concepts/architecture/nodes/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life import scheduling
from addonry.simulator.life.world import NODES, PODS, World, is_kind, is_leaving, is_ready, node_condition
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

COLLECT_SECONDS: Final = 40.0
"""How long Pods of a node that is no more are left alone, as by the real collector."""
_NOT_READY: Final = "node.kubernetes.io/not-ready"
_UNREACHABLE: Final = "node.kubernetes.io/unreachable"
_PRESSURES: Final = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
_OURS: Final = (_NOT_READY, _UNREACHABLE, scheduling.UNSCHEDULABLE["key"], *_PRESSURES.values())
_COMPONENT: Final = "taint-eviction-controller"


class Nodes:
    """The node lifecycle controller, taint eviction, and the collector of lost Pods."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._driving_out: dict[str, None] = {}
        self._since: dict[str, float] = {}  # when a Pod began to be on a node that it must leave, by its uid
        self._gone: dict[str, float] = {}  # when a node vanished

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, NODES):
            return (change.record.key,)
        if is_kind(change, PODS):
            if change.type is ChangeType.DELETED:
                self._since.pop(change.record.uid, None)
            elif self._driving_out:
                node = change.record.decode()["spec"].get("nodeName")
                return (ObjectKey(NODES.key, "", node),) if node in self._driving_out else ()
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        node = self._world.get(key)
        if node is None:
            self._collect(key)
            return
        self._gone.pop(key.name, None)
        if self._taint(node):
            return  # the change calls again
        self._tell_pods(node)
        if any(taint.get("effect") == "NoExecute" for taint in (node.get("spec") or {}).get("taints") or ()):
            self._driving_out[key.name] = None
            self._drive_out(key, node)
        else:
            self._driving_out.pop(key.name, None)

    # ------------------------------------------------------------------ taints

    def _taint(self, node: Object) -> bool:
        """Bring the taints that follow from the node's own state up to date; whether that changed it."""
        spec = node.setdefault("spec", {})
        taints: list[dict[str, Any]] = spec.get("taints") or []
        known = {(t["key"], t.get("effect")): t for t in taints if t["key"] in _OURS}
        wanted = dict.fromkeys(_wanted(node))
        if set(wanted) == set(known):
            return False
        now = timestamp(self._world.clock.now())
        made = [known.get((key, effect)) or {"key": key, "effect": effect, "timeAdded": now} for key, effect in wanted]
        spec["taints"] = [*(t for t in taints if t["key"] not in _OURS), *made]
        if not spec["taints"]:
            del spec["taints"]
        self._world.put(NODES, node)
        return True

    # ------------------------------------------------------------------ Pods

    def _tell_pods(self, node: Object) -> None:
        """Pods of a node that is not ready are not ready, until it is again."""
        ready = node_condition(node) == "True"
        for pod in self._pods(node["metadata"]["name"]):
            statuses = pod["status"].get("containerStatuses") or ()
            should = ready and bool(statuses) and all(status["ready"] for status in statuses)
            if is_leaving(pod) or is_ready(pod) is should or (ready and not should):
                continue
            for condition in pod["status"]["conditions"]:
                if condition["type"] == "Ready":
                    condition["status"] = "True" if should else "False"
                    condition["lastTransitionTime"] = timestamp(self._world.clock.now())
            self._world.put(PODS, pod)

    def _drive_out(self, key: ObjectKey, node: Object) -> None:
        now = self._world.clock.elapsed()
        for pod in self._pods(key.name):
            seconds = scheduling.tolerated_seconds(pod["spec"], node)
            if is_leaving(pod) or seconds is None:
                continue
            left = self._since.setdefault(pod["metadata"]["uid"], now) + seconds - now
            if left > 0:
                self._world.wake(self, key, left)
                continue
            where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            said = f"Marking for deletion Pod {where}"
            self._world.event(PODS, pod, "TaintManagerEviction", said, by=_COMPONENT)
            self._world.remove(PODS, pod)

    def _collect(self, key: ObjectKey) -> None:
        """Pods of a node that is no more go without anybody to stop them."""
        now = self._world.clock.elapsed()
        self._driving_out.pop(key.name, None)
        left = self._gone.setdefault(key.name, now) + COLLECT_SECONDS - now
        if left > 0:
            self._world.wake(self, key, left)
            return
        del self._gone[key.name]
        for pod in list(self._pods(key.name)):
            self._world.remove(PODS, pod, grace=0)

    def _pods(self, node: str) -> Iterator[Object]:
        found = (record.decode() for record in self._world.store.records(PODS.key))
        return (pod for pod in found if pod["spec"].get("nodeName") == node)


def _wanted(node: Object) -> Iterator[tuple[str, str]]:
    """The taints that a node must have for the state it is in."""
    if (node.get("spec") or {}).get("unschedulable"):
        yield scheduling.UNSCHEDULABLE["key"], scheduling.UNSCHEDULABLE["effect"]
    match node_condition(node):
        case "False":
            yield _NOT_READY, "NoSchedule"
            yield _NOT_READY, "NoExecute"
        case "Unknown":
            yield _UNREACHABLE, "NoSchedule"
            yield _UNREACHABLE, "NoExecute"
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in _PRESSURES:
            yield _PRESSURES[condition["type"]], "NoSchedule"
