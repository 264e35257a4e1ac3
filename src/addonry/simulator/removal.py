"""How an object goes away: at once, after a grace period, or when its finalizers are done.

The one place that decides it, for requests and for controllers alike.
See https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from addonry.simulator.clock import Clock, read_timestamp, timestamp
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, Record, Store

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
CLEANUP: Final = "customresourcecleanup.apiextensions.k8s.io"
_PODS: Final = ResourceKey("", "pods")
_DEFINITIONS: Final = ResourceKey("apiextensions.k8s.io", "customresourcedefinitions")
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
    left, is_gone = begin_removal(store, clock, resource, record, policy=policy, grace=grace)
    return None if is_gone else left


def begin_removal(
    store: Store,
    clock: Clock,
    resource: Resource,
    record: Record,
    *,
    policy: str = "Background",
    grace: int | None = None,
) -> tuple[Record, bool]:
    """Begin or finish the removal; the record as it is now or was last, and whether it is gone."""
    obj = record.decode()
    metadata = obj["metadata"]
    finalizers = [f for f in metadata.get("finalizers", []) if f not in _POLICY_FINALIZERS.values()]
    if wanted := _POLICY_FINALIZERS.get(policy):
        finalizers.append(wanted)
    if resource.key == _DEFINITIONS and CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    is_held = bool(finalizers) or _has_spec_finalizers(resource, obj)
    if not is_held and resource.key != _PODS:
        store.remove(record.key)
        return record, True
    seconds = _grace(obj, grace) if resource.key == _PODS else 0
    if not metadata.get("deletionTimestamp") or _is_sooner(metadata, seconds):
        _mark(resource, obj, clock, finalizers=finalizers, seconds=seconds)
        record = store.put(resource, obj)
    # Of a Pod it is written down that its time is over, even when that is at once.
    if is_held or metadata.get("deletionGracePeriodSeconds"):
        return record, False
    store.remove(record.key)
    return record, True


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
    if metadata.get("deletionTimestamp"):
        began_at = read_timestamp(metadata["deletionTimestamp"]) - timedelta(
            seconds=metadata["deletionGracePeriodSeconds"]
        )
    else:
        began_at = clock.now()
        if resource.has_generation and resource.key != _DEFINITIONS:
            metadata["generation"] = metadata.get("generation", 0) + 1
    metadata["deletionTimestamp"] = timestamp(began_at + timedelta(seconds=seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    if finalizers:
        metadata["finalizers"] = finalizers
    if tell := _TOLD.get(resource.key):
        # Their own words for it, and no grace.
        del metadata["deletionGracePeriodSeconds"]
        obj["status"] = tell(obj.get("status") or {}, metadata["deletionTimestamp"])


def _ending_namespace(status: Object, _: str) -> Object:
    return {**status, "phase": "Terminating"}


def _ending_definition(status: Object, now: str) -> Object:
    said = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
    return with_terminating(status, now, "InstanceDeletionPending", said)


def with_terminating(status: Object, now: str, reason: str, message: str) -> Object:
    """The status of a custom resource definition that says how its removal stands."""
    conditions = status.get("conditions") or []
    since = next((c["lastTransitionTime"] for c in conditions if c["type"] == "Terminating"), now)
    told = {"type": "Terminating", "status": "True", "lastTransitionTime": since, "reason": reason, "message": message}
    return {**status, "conditions": [*(c for c in conditions if c["type"] != "Terminating"), told]}


_TOLD: Final[Mapping[ResourceKey, Callable[[Object, str], Object]]] = {
    ResourceKey("", "namespaces"): _ending_namespace,
    _DEFINITIONS: _ending_definition,
}


def _grace(obj: Object, asked: int | None) -> int:
    """Pods are given time, and only once they may run somewhere."""
    spec = obj.get("spec", {})
    if not spec.get("nodeName") or obj.get("status", {}).get("phase") in _FINISHED:
        return 0
    seconds = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE) if asked is None else asked
    return int(seconds) if seconds >= 0 else 1


def _is_sooner(metadata: dict[str, Any], seconds: int) -> bool:
    return seconds < int(metadata.get("deletionGracePeriodSeconds") or 0)


def _has_spec_finalizers(resource: Resource, obj: Object) -> bool:
    return resource.plural == "namespaces" and not resource.group and bool(obj.get("spec", {}).get("finalizers"))
