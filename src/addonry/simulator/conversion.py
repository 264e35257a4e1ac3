"""Built-in objects that another version of their API shows in another form.

Objects are stored in the form of the preferred version. Of all that are served two kinds differ. Of
HorizontalPodAutoscalers, autoscaling/v1 has a CPU target where v2 has metrics, and carries what it cannot say in
annotations, as the real server does, so that nothing is lost on the way there and back. Of Events, events.k8s.io has
other names for the same fields. To convert another kind, add a row to `_FORMS`.
See https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from addonry.simulator.objects import kept_event, viewed_event
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Object, Record

_PREFIX: Final = "autoscaling.alpha.kubernetes.io/"
_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR = (
    f"{_PREFIX}{name}" for name in ("metrics", "current-metrics", "conditions", "behavior")
)
_SOURCES: Final = ("resource", "containerResource", "pods", "object", "external")
_encode = msgspec.json.Encoder().encode


def shown(resource: Resource, record: Record) -> Record:
    """The record in the form of the version that a client asks for."""
    form = _FORMS.get((resource.api_version, resource.kind))
    show = form and form[0]
    return record if show is None else replace(record, body=_encode(show(record.decode())))


def shown_object(resource: Resource, obj: Object) -> Object:
    """The same for an object at hand."""
    form = _FORMS.get((resource.api_version, resource.kind))
    show = form and form[0]
    return obj if show is None else show(obj)


def stored(resource: Resource, obj: Object) -> Object:
    """An object of a client's version in the form that is kept."""
    form = _FORMS.get((resource.api_version, resource.kind))
    return obj if form is None else form[1](obj)


def _to_v1(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    others = []
    for metric in spec.pop("metrics", None) or ():
        about = metric.get("resource") or {}
        use = (about.get("target") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and about.get("name") == "cpu" and use is not None:
            spec["targetCPUUtilizationPercentage"] = use
        else:
            others.append(_metric(metric, "target", "target"))
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        about = metric.get("resource") or {}
        use = (about.get("current") or {}).get("averageUtilization")
        if metric.get("type") == "Resource" and about.get("name") == "cpu" and use is not None:
            status["currentCPUUtilizationPercentage"] = use
    kept = {
        _METRICS: others,
        _CURRENT: [_metric(metric, "current", "current") for metric in current],
        _CONDITIONS: status.pop("conditions", None),
        _BEHAVIOR: spec.pop("behavior", None),
    }
    notes = {name: json.dumps(value, separators=(",", ":")) for name, value in kept.items() if value}
    status = {"currentReplicas": status.pop("currentReplicas", 0), **status} if "status" in obj else status
    shown = {**obj, "metadata": _noted(obj["metadata"], notes), "spec": spec}
    return {**shown, "status": status} if "status" in obj else shown


def _to_v2(obj: Object) -> Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    read = {name: _read(obj, name) for name in (_METRICS, _CURRENT, _CONDITIONS, _BEHAVIOR)}
    metrics = [_written(metric, "target", "target") for metric in read[_METRICS] or ()]
    use = spec.pop("targetCPUUtilizationPercentage", None)
    if use is not None or not metrics:
        target = {"type": "Utilization", "averageUtilization": 80 if use is None else use}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": target}})
    spec["metrics"] = metrics
    if read[_BEHAVIOR]:
        spec["behavior"] = read[_BEHAVIOR]
    status.pop("currentCPUUtilizationPercentage", None)
    if "status" in obj:
        if not status.get("currentReplicas"):
            status.pop("currentReplicas", None)
        current = [_written(metric, "current", "current") for metric in read[_CURRENT] or ()]
        status["currentMetrics"] = current or None
        if read[_CONDITIONS]:
            status["conditions"] = read[_CONDITIONS]
    converted = {**obj, "metadata": _noted(obj["metadata"], {}), "spec": spec}
    return {**converted, "status": status} if "status" in obj else converted


def _noted(metadata: Mapping[str, Any], notes: Mapping[str, str]) -> dict[str, Any]:
    """The metadata with just these annotations about what autoscaling/v1 cannot say."""
    kept: dict[str, str] = {k: v for k, v in (metadata.get("annotations") or {}).items() if not k.startswith(_PREFIX)}
    changed = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**changed, "annotations": {**kept, **notes}} if kept or notes else changed


def _read(obj: Object, name: str) -> Any:
    try:
        return json.loads((obj["metadata"].get("annotations") or {}).get(name) or "null")
    except (ValueError, TypeError):
        return None


def _metric(metric: Mapping[str, Any], member: str, prefix: str) -> dict[str, Any]:
    """A metric of v2 as the annotations spell it."""
    made: dict[str, Any] = {"type": metric.get("type", "")}
    for source in _SOURCES:
        if about := metric.get(source):
            value, named = about.get(member) or {}, about.get("metric") or {}
            made[source] = {
                **{key: about[key] for key in ("name", "container") if key in about},
                **({"metricName": named["name"]} if "name" in named else {}),
                **({"target": about["describedObject"]} if "describedObject" in about else {}),
                **({"selector": named["selector"]} if "selector" in named else {}),
                **{prefix + key[:1].upper() + key[1:]: amount for key, amount in value.items() if key != "type"},
            }
    return made


def _written(metric: Mapping[str, Any], member: str, prefix: str) -> dict[str, Any]:
    """The way back of `_metric`."""
    made: dict[str, Any] = {"type": metric.get("type", "")}
    for source in _SOURCES:
        if about := metric.get(source):
            values = {k.removeprefix(prefix): v for k, v in about.items() if k.startswith(prefix) and k != "target"}
            value = {key[:1].lower() + key[1:]: amount for key, amount in values.items()}
            if member == "target":
                kinds = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}
                value = {"type": next((kind for key, kind in kinds.items() if key in value), ""), **value}
            named = {k: about[n] for k, n in (("name", "metricName"), ("selector", "selector")) if n in about}
            made[source] = {
                **{key: about[key] for key in ("name", "container") if key in about},
                **({"metric": named} if named else {}),
                **({"describedObject": about["target"]} if "target" in about else {}),
                member: value,
            }
    return made


_Form = Callable[[Object], Object]
# How an object is shown, where that is not as it is kept, and how it comes to be kept.
_FORMS: Final[Mapping[tuple[str, str], tuple[_Form | None, _Form]]] = {
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (_to_v1, _to_v2),
    ("v1", "Event"): (None, kept_event),
    ("events.k8s.io/v1", "Event"): (viewed_event, kept_event),
}
