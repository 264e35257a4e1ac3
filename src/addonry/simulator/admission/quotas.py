"""ResourceQuotas: what a namespace uses, and the refusal of an object that would use too much.

Asked once for every creation, by clients and by controllers alike. What is used is counted from the objects
themselves, so it is never behind; `life/quotas.py` writes it into the status. A namespace without a quota costs one
look-up. See https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.objects.validation import parse_quantity
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, Store

QUOTAS: Final = ResourceKey("", "resourcequotas")
_PODS: Final = ResourceKey("", "pods")
_CLAIMS: Final = ResourceKey("", "persistentvolumeclaims")
_SERVICES: Final = ResourceKey("", "services")
_FINISHED: Final = ("Succeeded", "Failed")
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_COUNTED: Final = (
    "configmaps",
    "secrets",
    "services",
    "persistentvolumeclaims",
    "replicationcontrollers",
    "resourcequotas",
)
_SERVICE_TYPES: Final = {
    "services.nodeports": ("NodePort", "LoadBalancer"),
    "services.loadbalancers": ("LoadBalancer",),
}
_BINARY: Final = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")


def refuse_over_quota(store: Store, resource: Resource, obj: Object) -> None:
    """Raise the 403 a real server answers when a quota of the namespace has no room for the new object."""
    for record in store.records(QUOTAS, obj["metadata"].get("namespace", "")):
        quota = record.decode()
        hard = _followed(quota)
        asked = {name: _cost(name, resource.key, obj) for name in hard if _admits(quota, resource.key, obj)}
        name = record.key.name
        if resource.key == _PODS and asked and (missing := _unspecified(hard, obj)):
            said = "; ".join(f"{what} for: {','.join(containers)}" for what, containers in missing)
            raise errors.forbidden(resource, _shown_name(obj), f"failed quota: {name}: must specify {said}")
        wanted = {what: cost for what, cost in asked.items() if cost}
        if not wanted:
            continue
        used = {what: _used(store, quota, what, record.key.namespace) for what in wanted}
        over = sorted(what for what, cost in wanted.items() if used[what] + cost > hard[what])
        if over:
            requested, taken, limited = (
                ",".join(f"{what}={_written(what, amounts[what])}" for what in over) for amounts in (wanted, used, hard)
            )
            why = f"exceeded quota: {name}, requested: {requested}, used: {taken}, limited: {limited}"
            raise errors.forbidden(resource, _shown_name(obj), why)


def usage(store: Store, quota: Object) -> dict[str, str]:
    """What `status.used` says."""
    namespace = quota["metadata"]["namespace"]
    return {what: _written(what, _used(store, quota, what, namespace)) for what in sorted(_followed(quota))}


def _shown_name(obj: Object) -> str:
    return str(obj["metadata"].get("name", ""))


def _followed(quota: Object) -> dict[str, Fraction]:
    """The limits the simulator can count."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    found = {what: parse_quantity(limit) for what, limit in hard.items() if _counts_what(what) or _part(what)}
    return {what: limit for what, limit in found.items() if limit is not None}


def _used(store: Store, quota: Object, what: str, namespace: str) -> Fraction:
    counted = _counts_what(what) or _PODS
    objects = ((record.key.resource, record.decode()) for record in store.records(counted, namespace))
    return sum((_cost(what, key, obj) for key, obj in objects if _admits(quota, key, obj)), Fraction(0))


def _counts_what(what: str) -> ResourceKey | None:
    """The resource of which *what* counts the objects, or sums up the requests of."""
    if what.startswith("count/"):
        plural, _, group = what.removeprefix("count/").partition(".")
        return ResourceKey(group, plural)
    if what in _SERVICE_TYPES:
        return _SERVICES
    if what == "requests.storage":
        return _CLAIMS
    if what == "pods" or what in _COUNTED:
        return ResourceKey("", what)
    return None


def _part(what: str) -> tuple[str, str] | None:
    """`requests.cpu` as ("requests", "cpu"); a bare name means requests."""
    kind, _, name = what.rpartition(".")
    return (kind or "requests", name) if name in _COMPUTE and kind in ("", "requests", "limits") else None


def _cost(what: str, key: ResourceKey, obj: Object) -> Fraction:
    """How much of *what* one object takes."""
    if counted := _counts_what(what):
        if counted != key:
            return Fraction(0)
        if what == "requests.storage":
            requests = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
            return parse_quantity(requests.get("storage", "0")) or Fraction(0)
        if what in _SERVICE_TYPES:
            return Fraction((obj.get("spec") or {}).get("type") in _SERVICE_TYPES[what])
        # Finished Pods no longer count as `pods`, but as objects they do.
        return Fraction(not (what == "pods" and _is_finished(obj)))
    part = _part(what)
    if key != _PODS or part is None or _is_finished(obj):
        return Fraction(0)
    main = sum((_amount(c, *part) for c in obj["spec"].get("containers", ())), Fraction(0))
    # Init containers run one after the other, and before the others.
    return max([main, *(_amount(c, *part) for c in obj["spec"].get("initContainers") or ())])


def _amount(container: Mapping[str, Any], kind: str, name: str) -> Fraction:
    return parse_quantity(_specified(container, kind, name) or "0") or Fraction(0)


def _specified(container: Mapping[str, Any], kind: str, name: str) -> Any:
    resources = container.get("resources") or {}
    found = (resources.get(kind) or {}).get(name)
    # A limit without a request is the request, too.
    return (resources.get("limits") or {}).get(name) if found is None and kind == "requests" else found


def _unspecified(hard: Iterable[str], pod: Object) -> list[tuple[str, list[str]]]:
    """Which containers leave out what a quota on it makes obligatory."""
    found = []
    for what in sorted(hard):
        if (part := _part(what)) and part[1] != "ephemeral-storage":
            containers = [*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())]
            names = sorted(c["name"] for c in containers if _specified(c, *part) is None)
            if names:
                found.append((what, names))
    return found


def _admits(quota: Object, key: ResourceKey, obj: Object) -> bool:
    """Whether the scopes of the quota take the object in; a quota with scopes is about Pods alone."""
    scopes = (quota.get("spec") or {}).get("scopes") or ()
    if not scopes:
        return True
    if key != _PODS:
        return False
    is_best_effort = (obj.get("status") or {}).get("qosClass") == "BestEffort"
    is_terminating = obj["spec"].get("activeDeadlineSeconds") is not None
    holds = {
        "BestEffort": is_best_effort,
        "NotBestEffort": not is_best_effort,
        "Terminating": is_terminating,
        "NotTerminating": not is_terminating,
    }
    return all(holds.get(scope, True) for scope in scopes)


def _is_finished(obj: Object) -> bool:
    return (obj.get("status") or {}).get("phase") in _FINISHED


def _written(what: str, amount: Fraction) -> str:
    """A quantity as Kubernetes writes it: thousandths of a CPU, powers of 1024 for bytes, plain counts."""
    name = what.rpartition(".")[2]
    if amount.denominator != 1:
        return f"{-(-amount * 1000 // 1)}m"
    number, power = int(amount), 0
    if name in ("memory", "ephemeral-storage", "storage"):
        while number and number % 1024 == 0 and power < len(_BINARY) - 1:
            number, power = number // 1024, power + 1
    return f"{number}{_BINARY[power]}"
