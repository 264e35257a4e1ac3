"""Pod Security admission: what labels of a namespace ask of the Pods in it.

A level that is enforced refuses Pods, of clients and of controllers; one that warns adds warnings to answers, about
Pods and about templates in workloads. Nothing is audited. Only the newest version of the levels is known, whatever
the labels say; the checks are in `podstandards`.
See https://kubernetes.io/docs/concepts/security/pod-security-admission/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from addonry.simulator import errors
from addonry.simulator.admission.podstandards import LEVELS, PRIVILEGED, Violation, violations
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, ObjectKey, Store

_PREFIX: Final = "pod-security.kubernetes.io/"
_NAMESPACES: Final = ResourceKey("", "namespaces")
_PODS: Final = ResourceKey("", "pods")
# Where the Pod template of a workload is.
_TEMPLATES: Final[Mapping[ResourceKey, tuple[str, ...]]] = {
    ResourceKey("", "podtemplates"): ("template",),
    ResourceKey("", "replicationcontrollers"): ("spec", "template"),
    ResourceKey("apps", "daemonsets"): ("spec", "template"),
    ResourceKey("apps", "deployments"): ("spec", "template"),
    ResourceKey("apps", "replicasets"): ("spec", "template"),
    ResourceKey("apps", "statefulsets"): ("spec", "template"),
    ResourceKey("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
    ResourceKey("batch", "jobs"): ("spec", "template"),
}
_MOST_PODS: Final = 3000


class Policy(NamedTuple):
    """A level and its version, as messages show them."""

    level: str = PRIVILEGED
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def judge(store: Store, resource: Resource, obj: Object, old: Object | None = None) -> tuple[str, ...]:
    """What to warn of; raises the 403 for a Pod that an enforced level does not admit.

    Free for everything but namespaces, Pods and workloads.
    """
    if resource.key == _NAMESPACES:
        return _judge_namespace(store, resource, obj, old)
    path = _TEMPLATES.get(resource.key)
    if path is None and resource.key != _PODS:
        return ()
    record = store.get(ObjectKey(_NAMESPACES, "", obj["metadata"].get("namespace", "")))
    if record is None or not any(label.startswith(_PREFIX) for label in record.labels or ()):
        return ()
    labels = record.labels or {}
    if path is None:
        if old is not None and not _is_significant(old, obj):
            return ()
        enforced = _policy(labels, "enforce")
        if found := violations(obj, enforced.level):
            why = f'violates PodSecurity "{enforced}": {_detailed(found)}'
            raise errors.forbidden(resource, obj["metadata"].get("name", ""), why)
        pod: Any = obj
    else:
        pod = obj
        for part in path:
            pod = pod.get(part) or {}
    warned = _policy(labels, "warn")
    found = violations(pod, warned.level)
    return (f'would violate PodSecurity "{warned}": {_detailed(found)}',) if found else ()


def _policy(labels: Mapping[str, str], mode: str) -> Policy:
    """What the labels say; a level that does not exist counts as the strictest, as in the real server."""
    level = labels.get(f"{_PREFIX}{mode}", PRIVILEGED)
    return Policy(level if level in LEVELS else LEVELS[-1], labels.get(f"{_PREFIX}{mode}-version", "latest"))


def _is_significant(old: Object, new: Object) -> bool:
    def looked_at(pod: Object) -> Any:
        spec = pod.get("spec") or {}
        return {k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations", "nodeName")}

    return bool(looked_at(old) != looked_at(new))


def _judge_namespace(store: Store, resource: Resource, obj: Object, old: Object | None) -> tuple[str, ...]:
    labels = obj["metadata"].get("labels") or {}
    before = ((old or {}).get("metadata") or {}).get("labels") or {}
    wrong = [
        (
            "FieldValueInvalid",
            f'Invalid value: "{labels[name]}": must be one of {", ".join(LEVELS)}',
            f"metadata.labels[{name}]",
        )
        for name in (f"{_PREFIX}{mode}" for mode in ("enforce", "audit", "warn"))
        if name in labels and labels[name] not in LEVELS and labels[name] != before.get(name)
    ]
    if wrong:
        raise errors.invalid(resource, obj["metadata"].get("name", ""), wrong)
    is_asked = any(label.startswith(_PREFIX) for label in labels)
    if old is None or not is_asked:
        return ()
    now, was = _policy(labels, "enforce"), _policy(before, "enforce")
    if now == was or LEVELS.index(now.level) <= (LEVELS.index(was.level) if now.version == was.version else 0):
        return ()
    return _existing(store, obj["metadata"]["name"], now)


def _existing(store: Store, namespace: str, policy: Policy) -> tuple[str, ...]:
    """Pods that are there already and would not be let in any more, those of one owner together."""
    groups: dict[tuple[str, str], list[str]] = {}
    for record in list(store.records(_PODS, namespace))[:_MOST_PODS]:
        pod = record.decode()
        if found := violations(pod, policy.level):
            owner = next(iter(record.owners), record.uid)
            reasons = ", ".join(violation.reason for violation in found)
            groups.setdefault((owner, reasons), []).append(record.key.name)
    if not groups:
        return ()
    told = sorted(f"{_named(names)}: {reasons}" for (_, reasons), names in groups.items())
    return (f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{policy}"', *told)


def _named(names: list[str]) -> str:
    others = len(names) - 1
    return f"{names[0]} (and {others} other pod{'s' if others > 1 else ''})" if others else names[0]


def _detailed(found: Iterable[Violation]) -> str:
    return ", ".join(f"{each.reason} ({each.detail})" if each.detail else each.reason for each in found)
