"""How an object goes away: at once, after a grace period, or when its finalizers are done.

The one place that decides it, for requests and for controllers alike.
See https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Object, Record, Store

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_POLICY_FINALIZERS: Final = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
_FINISHED: Final = ("Succeeded", "Failed")
_DEFAULT_GRACE: Final = 30


def remove(
    store: Store,
    clock: Clock,
    resource: Resource,
    record: Record,
    *,
    policy: str = "Background",
    grace: int | None = None,
) -> Record | None:
    """Begin or finish the removal; the record as it is now, or None when it is gone."""
    obj = record.decode()
    metadata = obj["metadata"]
    finalizers = [f for f in metadata.get("finalizers", []) if f not in _POLICY_FINALIZERS.values()]
    if wanted := _POLICY_FINALIZERS.get(policy):
        finalizers.append(wanted)
    seconds = _grace(resource, obj, grace)
    if not finalizers and not seconds and not _has_spec_finalizers(resource, obj):
        store.remove(record.key)
        return None
    if metadata.get("deletionTimestamp") and not _is_sooner(metadata, seconds):
        return record
    _mark(resource, obj, clock, finalizers=finalizers, seconds=seconds)
    return store.put(resource, obj)


def is_due(resource: Resource, obj: Object) -> bool:
    """Whether an object marked for removal has nothing left that holds it."""
    metadata = obj["metadata"]
    return bool(
        metadata.get("deletionTimestamp")
        and not metadata.get("finalizers")
        and not metadata.get("deletionGracePeriodSeconds")
        and not _has_spec_finalizers(resource, obj)
    )


def _mark(resource: Resource, obj: Object, clock: Clock, *, finalizers: list[str], seconds: int) -> None:
    metadata: dict[str, Any] = obj["metadata"]
    metadata["deletionTimestamp"] = timestamp(clock.now() + timedelta(seconds=seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    if finalizers:
        metadata["finalizers"] = finalizers
    if resource.has_generation:
        metadata["generation"] = metadata.get("generation", 0) + 1
    if resource.plural == "namespaces" and not resource.group:
        del metadata["deletionGracePeriodSeconds"]
        obj.setdefault("status", {})["phase"] = "Terminating"


def _grace(resource: Resource, obj: Object, asked: int | None) -> int:
    """Only Pods are given time, and only once they may run somewhere."""
    if resource.plural != "pods" or resource.group:
        return 0
    spec = obj.get("spec", {})
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in _FINISHED:
        return 0
    seconds = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE) if asked is None else asked
    return int(seconds)


def _is_sooner(metadata: dict[str, Any], seconds: int) -> bool:
    return 0 < seconds < int(metadata.get("deletionGracePeriodSeconds") or 0)


def _has_spec_finalizers(resource: Resource, obj: Object) -> bool:
    return resource.plural == "namespaces" and not resource.group and bool(obj.get("spec", {}).get("finalizers"))
