"""May this Pod be evicted: what the eviction subresource asks the PodDisruptionBudgets.

Words and codes follow recordings of `kubectl drain`.
See https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
"""

from __future__ import annotations

from typing import Any, Final

from addonry.simulator import selectors
from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, Record, Store

BUDGETS: Final = built_in("policy", "poddisruptionbudgets")
_VIOLATED: Final = "Cannot evict pod as it would violate the pod's disruption budget."


def take_disruption(store: Store, record: Record, *, dry_run: bool) -> None:
    """Book the eviction of the Pod with its budget; raises when the budget forbids it."""
    pod = record.decode()
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Pending", "Succeeded", "Failed"):
        return  # nobody counts on a Pod that does not run yet, or no longer
    found = [b for b in store.records(BUDGETS.key, record.key.namespace) if selects(b.decode(), record)]
    if not found:
        return
    if len(found) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise ApiError(500, "InternalError", message)
    budget = found[0].decode()
    if _may_go_unhealthy(budget, status):
        return
    told: dict[str, Any] = budget.get("status") or {}
    name = found[0].key.name
    if told.get("observedGeneration", 0) < budget["metadata"].get("generation", 1):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", retry_after=10)
    if told.get("disruptionsAllowed", 0) <= 0:
        needs, has = told.get("desiredHealthy", 0), told.get("currentHealthy", 0)
        raise _refused(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently")
    if not dry_run:
        # Booked at once, so that a second eviction before the controller has counted again finds nothing left.
        budget["status"] = {**told, "disruptionsAllowed": told["disruptionsAllowed"] - 1}
        store.put(BUDGETS, budget)


def mark_disrupted(store: Store, resource: Resource, record: Record, clock: Clock) -> None:
    """Say on the Pod why it ends, for whoever counts failures of it.

    https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions
    """
    pod = record.decode()
    if pod["metadata"].get("deletionTimestamp"):
        return
    told = {
        "type": "DisruptionTarget",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": timestamp(clock.now()),
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    status = pod.setdefault("status", {})
    others = [condition for condition in status.get("conditions", ()) if condition["type"] != told["type"]]
    status["conditions"] = [*others, told]
    store.put(resource, pod)


def selects(budget: Object, record: Record) -> bool:
    """Whether the budget is about the Pod; one without a selector is about none, an empty one about all."""
    selector = (budget.get("spec") or {}).get("selector")
    return selector is not None and selectors.matches(selectors.from_object(selector), record.labels)


def _may_go_unhealthy(budget: Object, status: dict[str, Any]) -> bool:
    """A Pod that is not ready disrupts nobody, if its budget sees it that way."""
    if any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())):
        return False
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    told = budget.get("status") or {}
    return 0 < int(told.get("desiredHealthy", 0)) <= int(told.get("currentHealthy", 0))


def _refused(why: str, *, retry_after: int = 0) -> ApiError:
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    if retry_after:
        details["retryAfterSeconds"] = retry_after
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return ApiError(429, "TooManyRequests", _VIOLATED, details=details, headers=headers)
