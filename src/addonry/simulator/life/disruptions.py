"""PodDisruptionBudgets: how many Pods may be evicted now.

Fills in the status that evictions go by, see `evictions`.
See https://kubernetes.io/docs/tasks/run-application/configure-pdb/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.admission.evictions import selects
from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    World,
    condition,
    is_kind,
    is_leaving,
    is_ready,
    scaled,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_KINDS: Final = {"ReplicaSet": REPLICA_SETS, "StatefulSet": STATEFUL_SETS, "DaemonSet": DAEMON_SETS}


class _CannotCount(Exception):
    """The Pods have no controller whose size is known."""


class Disruptions:
    """The disruption controller."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, BUDGETS) and change.type is not ChangeType.DELETED:
            return (change.record.key,)
        if not is_kind(change, PODS, *_KINDS.values(), DEPLOYMENTS) or not self._world.store.has_any(BUDGETS.key):
            return ()
        return tuple(r.key for r in self._world.store.records(BUDGETS.key, change.record.key.namespace))

    def reconcile(self, key: ObjectKey) -> None:
        budget = self._world.get(key)
        if budget is None or is_leaving(budget):
            return
        records = self._world.store.records(PODS.key, key.namespace)
        pods = [record.decode() for record in records if selects(budget, record)]
        generation = budget["metadata"].get("generation", 1)
        healthy = sum(is_ready(pod) and not is_leaving(pod) for pod in pods)
        try:
            expected, desired = self._wanted(budget, pods)
        except _CannotCount as error:
            status = {
                **(budget.get("status") or {}),
                "observedGeneration": generation,
                "disruptionsAllowed": 0,
                "conditions": [self._condition(budget, generation, "False", "SyncFailed", str(error))],
            }
        else:
            allowed = max(healthy - desired, 0) if expected else 0
            verdict = ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
            status = {
                "observedGeneration": generation,
                "disruptionsAllowed": allowed,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
                "conditions": [self._condition(budget, generation, *verdict, "")],
            }
        self._world.set_status(BUDGETS, budget, status)

    def _wanted(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """How many Pods there should be, and how many of them healthy."""
        spec = budget.get("spec") or {}
        if "maxUnavailable" in spec:
            expected = self._scale(pods)
            return expected, max(expected - scaled(spec["maxUnavailable"], expected, up=True), 0)
        minimum = spec.get("minAvailable", 1)
        if isinstance(minimum, str):
            expected = self._scale(pods)
            return expected, scaled(minimum, expected, up=True)
        return len(pods), int(minimum)

    def _scale(self, pods: list[Object]) -> int:
        """The size of all controllers the Pods belong to."""
        sizes: dict[str, int] = {}
        for pod in pods:
            owner = _controller(pod)
            if owner is None or owner["kind"] not in _KINDS:
                raise _CannotCount(
                    f'Failed to calculate the number of expected pods: found no controller ref for pod "'
                    f'{pod["metadata"]["name"]}"'
                )
            resource = _KINDS[owner["kind"]]
            if resource is DAEMON_SETS:
                raise _CannotCount(
                    "Failed to calculate the number of expected pods: daemonsets.apps does not implement the scale "
                    "subresource"
                )
            workload = self._world.get(ObjectKey(resource.key, pod["metadata"]["namespace"], owner["name"]))
            above = _controller(workload) if workload else None
            if above is not None and above["kind"] == "Deployment":
                workload = self._world.get(ObjectKey(DEPLOYMENTS.key, pod["metadata"]["namespace"], above["name"]))
            if workload is not None:
                sizes[workload["metadata"]["uid"]] = workload["spec"].get("replicas", 1)
        return sum(sizes.values())

    def _condition(self, budget: Object, generation: int, status: str, reason: str, message: str) -> dict[str, Any]:
        old = condition(budget, "DisruptionAllowed")
        now = timestamp(self._world.clock.now())
        return {
            "type": "DisruptionAllowed",
            "status": status,
            "observedGeneration": generation,
            "lastTransitionTime": old["lastTransitionTime"] if old and old["status"] == status else now,
            "reason": reason,
            "message": message,
        }


def _controller(obj: Object) -> dict[str, Any] | None:
    owners: list[dict[str, Any]] = obj["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), None)
