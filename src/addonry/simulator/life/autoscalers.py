"""HorizontalPodAutoscalers: without metrics their status says why they stand still; on request they scale.

The annotation `simulated-utilization` of the autoscaler is the use that its metrics would show, in percent of the
requests; from it the size follows by the documented rule. Nothing measures the Pods.
See https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import (
    AUTOSCALERS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    World,
    condition,
    is_kind,
    is_leaving,
    since,
)
from addonry.simulator.objects import with_scale_managers
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

UTILIZATION: Final = "simulated-utilization"
SYNC_SECONDS: Final = 15.0
_TARGETS: Final = {"Deployment": DEPLOYMENTS, "ReplicaSet": REPLICA_SETS, "StatefulSet": STATEFUL_SETS}
# Of all controllers the one whose fields clients apply as well, so that it is named as their owner.
_OWNER: Final = {
    "manager": "kube-controller-manager",
    "operation": "Update",
    "apiVersion": "autoscaling/v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:spec": {"f:replicas": {}}},
    "subresource": "scale",
}
_TOLERANCE: Final = 0.1
_COMPONENT: Final = "horizontal-pod-autoscaler"
_NO_METRICS: Final = (
    "the HPA was unable to compute the replica count: failed to get {name} utilization: unable to get metrics for "
    "resource {name}: unable to fetch metrics from resource metrics API: the server could not find the requested "
    "resource (get pods.metrics.k8s.io)"
)


class Autoscalers:
    """The HorizontalPodAutoscaler controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, AUTOSCALERS):
            if change.type is ChangeType.DELETED:
                self._due.pop(change.record.uid, None)
                return ()
            return (change.record.key,)
        if is_kind(change, *_TARGETS.values()) and self._world.store.has_any(AUTOSCALERS.key):
            return tuple(r.key for r in self._world.store.records(AUTOSCALERS.key, change.record.key.namespace))
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        scaler = self._world.get(key)
        if scaler is None or is_leaving(scaler):
            return
        now = self._world.clock.elapsed()
        due = self._due.setdefault(scaler["metadata"]["uid"], now + SYNC_SECONDS)
        if now < due:
            self._world.wake(self, key, due - now)
            return
        self._due[scaler["metadata"]["uid"]] = now + SYNC_SECONDS
        reference = scaler["spec"]["scaleTargetRef"]
        resource = _TARGETS.get(reference["kind"])
        found = self._world.get(ObjectKey(resource.key, key.namespace, reference["name"])) if resource else None
        if resource is None or found is None:
            why = f"the HPA controller was unable to get the target's current scale: {_missing(reference)}"
            self._set(scaler, {"desiredReplicas": 0}, [("AbleToScale", "False", "FailedGetScale", why)])
            return
        current = found["spec"].get("replicas", 1)
        wanted = _wanted(scaler, current)
        able = "the HPA controller was able to get the target's current scale"
        status: dict[str, Any] = {"currentReplicas": current, "desiredReplicas": 0}
        conditions = [("AbleToScale", "True", "SucceededGetScale", able)]
        if wanted is None:
            why = _NO_METRICS.format(name=_metric(scaler))
            conditions.append(("ScalingActive", "False", "FailedGetResourceMetric", why))
            status["currentMetrics"] = [{"type": ""} for _ in scaler["spec"].get("metrics") or ()] or None
            self._set(scaler, status, conditions)
            return
        found_it = (
            f"the HPA was able to successfully calculate a replica count from {_metric(scaler)} resource utilization"
        )
        conditions.append(("ScalingActive", "True", "ValidMetricFound", found_it))
        self._set(scaler, status | {"desiredReplicas": wanted}, conditions)
        if wanted != current:
            self._world.put(resource, _sized(resource, found, wanted))
            said = f"New size: {wanted}; reason: {_metric(scaler)} resource utilization (percentage of request)"
            self._world.event(AUTOSCALERS, scaler, "SuccessfulRescale", said, by=_COMPONENT)

    def _set(self, scaler: Object, status: dict[str, Any], conditions: list[tuple[str, str, str, str]]) -> None:
        now = timestamp(self._world.clock.now())
        made = []
        for kind, verdict, reason, message in conditions:
            old = condition(scaler, kind)
            made.append(
                {
                    "type": kind,
                    "status": verdict,
                    "lastTransitionTime": since(old, verdict, now),
                    "reason": reason,
                    "message": message,
                }
            )
        self._world.set_status(AUTOSCALERS, scaler, {"currentMetrics": None, **status, "conditions": made})


def _sized(resource: Resource, obj: Object, replicas: int) -> Object:
    """The object with so many replicas, which are the controller's from now on: who applies another number meets it."""
    obj = {**obj, "apiVersion": resource.api_version, "spec": {**obj["spec"], "replicas": replicas}}
    obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
    return with_scale_managers(obj, [_OWNER]) if obj["metadata"].get("managedFields") else obj


def _wanted(scaler: Object, current: int) -> int | None:
    """The size that the asked-for use leads to; None when nothing is known of it."""
    asked = (scaler["metadata"].get("annotations") or {}).get(UTILIZATION, "")
    if not asked.isdigit():
        return None
    ratio = int(asked) / _target(scaler)
    wanted = current if abs(ratio - 1) <= _TOLERANCE else math.ceil(current * ratio)
    lowest, highest = int(scaler["spec"].get("minReplicas", 1)), int(scaler["spec"]["maxReplicas"])
    return max(lowest, min(wanted, highest))


def _target(scaler: Object) -> int:
    metrics = scaler["spec"].get("metrics") or [{}]
    target = ((metrics[0].get("resource") or {}).get("target") or {}).get("averageUtilization")
    return int(target or 80)


def _metric(scaler: Object) -> str:
    metrics = scaler["spec"].get("metrics") or [{}]
    return str((metrics[0].get("resource") or {}).get("name", "cpu"))


def _missing(reference: Object) -> str:
    plural = f"{reference['kind'].lower()}s.apps"
    return f'{plural} "{reference["name"]}" not found'
