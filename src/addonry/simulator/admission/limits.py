"""LimitRanges: what containers get that ask for nothing, and how much or little may be asked for.

Defaults are filled in before webhooks and checks, limits are held afterwards, for clients and controllers alike. A
namespace without a LimitRange costs one look-up. See https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.objects.validation import parse_quantity
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, Store

_LIMIT_RANGES: Final = ResourceKey("", "limitranges")
_PODS: Final = ResourceKey("", "pods")
_CLAIMS: Final = ResourceKey("", "persistentvolumeclaims")
_ANNOTATION: Final = "kubernetes.io/limit-ranger"
_MEMBERS: Final = ("containers", "initContainers")
_KINDS: Final = {"requests": "request", "limits": "limit"}

Limit = Mapping[str, Any]


def with_defaults(store: Store, resource: Resource, obj: Object) -> Object:
    """The Pod with the requests and limits of its namespace where it names none; other objects as they are."""
    if resource.key != _PODS or not store.has_any(_LIMIT_RANGES):
        return obj
    for limit in _limits(store, obj, "Container"):
        obj = _filled(obj, limit)
    return obj


def refuse_beyond_limits(store: Store, resource: Resource, obj: Object) -> None:
    """Raise the 403 of a Pod or claim that asks for more or less than its namespace allows."""
    if resource.key not in (_PODS, _CLAIMS) or not store.has_any(_LIMIT_RANGES):
        return
    faults: list[str] = []
    if resource.key == _CLAIMS:
        for limit in _limits(store, obj, "PersistentVolumeClaim"):
            faults += _faults(limit, "PersistentVolumeClaim", (obj.get("spec") or {}).get("resources") or {})
    else:
        for limit in _limits(store, obj, "Container"):
            for container in _containers(obj):
                faults += _faults(limit, "Container", container.get("resources") or {})
        for limit in _limits(store, obj, "Pod"):
            faults += _faults(limit, "Pod", _whole(obj))
    if faults:
        said = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise errors.forbidden(resource, obj["metadata"].get("name", ""), said)


def _limits(store: Store, obj: Object, kind: str) -> Iterator[Limit]:
    for record in store.records(_LIMIT_RANGES, obj["metadata"].get("namespace", "")):
        for limit in (record.decode().get("spec") or {}).get("limits") or ():
            if limit.get("type") == kind:
                yield limit


def _containers(pod: Object) -> list[Any]:
    return [container for member in _MEMBERS for container in pod["spec"].get(member) or ()]


def _filled(pod: Object, limit: Limit) -> Object:
    """A copy of the Pod with the defaults, and the annotation that tells of it."""
    told: list[str] = []
    spec = dict(pod.get("spec") or {})
    for member, word in zip(_MEMBERS, ("container", "init container"), strict=True):
        if spec.get(member):
            spec[member] = [_given(container, limit, word, told) for container in spec[member]]
    if not told:
        return pod
    metadata = pod["metadata"]
    said = f"LimitRanger plugin set: {'; '.join(told)}"
    annotations = {**(metadata.get("annotations") or {}), _ANNOTATION: said}
    return {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": spec}


def _given(container: Any, limit: Limit, word: str, told: list[str]) -> Any:
    if not isinstance(container, Mapping):
        return container  # refused soon
    resources = dict(container.get("resources") or {})
    for member, source in (("requests", "defaultRequest"), ("limits", "default")):
        has = resources.get(member) or {}
        missing = {what: amount for what, amount in (limit.get(source) or {}).items() if what not in has}
        if missing:
            resources[member] = {**has, **missing}
            told.append(f"{', '.join(sorted(missing))} {_KINDS[member]} for {word} {container.get('name')}")
    return {**container, "resources": resources}


def _whole(pod: Object) -> dict[str, dict[str, Any]]:
    """What the containers of a Pod ask for together."""
    found: dict[str, dict[str, Any]] = {"requests": {}, "limits": {}}
    for member, amounts in found.items():
        for container in pod["spec"].get("containers") or ():
            for what, amount in ((container.get("resources") or {}).get(member) or {}).items():
                amounts[what] = amounts.get(what, Fraction(0)) + (parse_quantity(amount) or Fraction(0))
    return found


def _faults(limit: Limit, kind: str, resources: Mapping[str, Any]) -> Iterator[str]:
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    for what, lowest in (limit.get("min") or {}).items():
        yield from _too_little(kind, what, lowest, requests, limits)
    for what, most in (limit.get("max") or {}).items():
        yield from _too_much(kind, what, most, requests, limits)
    for what, ratio in (limit.get("maxLimitRequestRatio") or {}).items():
        asked, capped = _read(requests.get(what)), _read(limits.get(what))
        allowed = _read(ratio) or Fraction(0)
        if not asked or not capped:
            lacking = "limit" if asked else "request"
            said = f"but no {lacking} is specified or {lacking} is 0"
            yield f"{what} max limit to request ratio per {kind} is {ratio}, {said}"
        elif capped / asked > allowed:
            found = float(capped / asked)
            yield f"{what} max limit to request ratio per {kind} is {ratio}, but provided ratio is {found:.6f}"


def _too_little(
    kind: str, what: str, lowest: Any, requests: Mapping[str, Any], limits: Mapping[str, Any]
) -> Iterator[str]:
    asked, capped, least = _read(requests.get(what)), _read(limits.get(what)), _read(lowest) or Fraction(0)
    if asked is None:
        yield f"minimum {what} usage per {kind} is {lowest}.  No request is specified"
    elif asked < least:
        yield f"minimum {what} usage per {kind} is {lowest}, but request is {_shown(requests[what])}"
    elif capped is not None and capped < least:
        yield f"minimum {what} usage per {kind} is {lowest}, but limit is {_shown(limits[what])}"


def _too_much(kind: str, what: str, most: Any, requests: Mapping[str, Any], limits: Mapping[str, Any]) -> Iterator[str]:
    asked, capped, highest = _read(requests.get(what)), _read(limits.get(what)), _read(most) or Fraction(0)
    if kind == "PersistentVolumeClaim":
        # Claims have requests alone.
        if asked is not None and asked > highest:
            yield f"maximum {what} usage per {kind} is {most}, but request is {_shown(requests[what])}"
        return
    if capped is None:
        yield f"maximum {what} usage per {kind} is {most}.  No limit is specified"
    elif capped > highest:
        yield f"maximum {what} usage per {kind} is {most}, but limit is {_shown(limits[what])}"
    elif asked is not None and asked > highest:
        yield f"maximum {what} usage per {kind} is {most}, but request is {_shown(requests[what])}"


def _read(amount: Any) -> Fraction | None:
    return amount if isinstance(amount, Fraction) else parse_quantity(amount) if amount is not None else None


def _shown(amount: Any) -> str:
    if not isinstance(amount, Fraction):
        return str(amount)
    return str(int(amount)) if amount.denominator == 1 else f"{-(-amount * 1000 // 1)}m"
