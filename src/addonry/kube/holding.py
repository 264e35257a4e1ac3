"""Hold a component's workloads where their rollout is, and let them go on.

What was set before stands in an annotation of the workload itself, written in the same patch as what holds it: so
letting go needs no memory of ours, works after any crash, and a person can do it by hand. A field that somebody has
changed meanwhile (Helm, on the way back) is left as it is.

To hold one more kind: its fields in ``_holds``, its path in ``objects.PATHS``.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from addonry.kube.api import Api, Outdated
from addonry.kube.objects import PATHS
from addonry.model.components import ObjectRef

HELD: Final = "addonry.io/held"
FIELD_MANAGER: Final = "addonry"

_TRIES: Final = 5

Fields = dict[str, Any]
"""Values by the dotted path of their field; None where there is no such field."""


async def hold(api: Api, refs: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """Stop the rollout of each workload among *refs*; those that are held now, by us. Bears repeating."""
    return tuple([ref for ref in _workloads(refs) if await _hold(api, ref)])


async def release(api: Api, refs: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """Let go of each workload among *refs* that was held; those that were. Bears repeating."""
    return tuple([ref for ref in _workloads(refs) if await _release(api, ref)])


def is_held(workload: Mapping[str, Any]) -> bool:
    """Whether the workload bears our mark."""
    return HELD in (workload["metadata"].get("annotations") or {})


async def _hold(api: Api, ref: ObjectRef) -> bool:
    for _ in range(_TRIES):
        workload = await api.get_or_none(_path(ref))
        if workload is None:
            return False
        if is_held(workload):
            return True
        wanted = _holds(workload)
        before = {field: _read(workload, field) for field in wanted}
        if before == wanted:
            return False  # somebody else holds it, and lets it go when they please
        mark = json.dumps({"before": before, "held": wanted}, sort_keys=True)
        if await _patch(api, ref, workload, wanted, mark):
            return True
    raise _restless(ref)


async def _release(api: Api, ref: ObjectRef) -> bool:
    for _ in range(_TRIES):
        workload = await api.get_or_none(_path(ref))
        if workload is None or not is_held(workload):
            return False
        mark = _mark(workload)
        ours = {field: value for field, value in mark["held"].items() if _read(workload, field) == value}
        back = {field: mark["before"].get(field) for field in ours}
        if await _patch(api, ref, workload, back, None):
            return True
    raise _restless(ref)


def _holds(workload: Mapping[str, Any]) -> Fields:
    """What stops the rollout of a workload where it is."""
    spec, status = workload["spec"], workload.get("status") or {}
    match workload["kind"]:
        case "Deployment":
            return {"spec.paused": True}
        case "DaemonSet":
            # Until it is changed back, only pods that somebody deletes take the new template.
            return {"spec.updateStrategy.type": "OnDelete"}
        case _ if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
            return {}  # goes no further by itself
        case _:
            # Pods from this ordinal on have the new template; they were updated from the highest down.
            first = (spec.get("ordinals") or {}).get("start", 0)
            wanted = spec.get("replicas", 1)
            seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
            updated = min(status.get("updatedReplicas", 0), wanted) if seen else 0
            return {"spec.updateStrategy.rollingUpdate.partition": first + wanted - updated}


async def _patch(api: Api, ref: ObjectRef, workload: Mapping[str, Any], fields: Fields, mark: str | None) -> bool:
    """Set *fields* and the mark, if the workload is still as it was read."""
    body: dict[str, Any] = {
        "metadata": {"resourceVersion": workload["metadata"]["resourceVersion"], "annotations": {HELD: mark}}
    }
    for field, value in fields.items():
        *parents, last = field.split(".")
        inner = body
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    try:
        # A merge patch: null takes a field away. https://www.rfc-editor.org/rfc/rfc7386
        await api.patch(_path(ref), body, kind="merge", params={"fieldManager": FIELD_MANAGER})
    except Outdated:
        return False
    return True


def _mark(workload: Mapping[str, Any]) -> dict[str, Fields]:
    """What the mark says; one that somebody has spoilt says nothing, and is only taken away."""
    try:
        mark = json.loads(workload["metadata"]["annotations"][HELD])
        return {"before": dict(mark["before"]), "held": dict(mark["held"])}
    except (ValueError, KeyError, TypeError):
        return {"before": {}, "held": {}}


def _read(workload: Mapping[str, Any], field: str) -> Any:
    value: Any = workload
    for name in field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _workloads(refs: Iterable[ObjectRef]) -> list[ObjectRef]:
    return [ref for ref in refs if ref.kind in PATHS and ref.api_version == "apps/v1"]


def _path(ref: ObjectRef) -> str:
    return f"{PATHS[ref.kind].format(namespace=ref.namespace)}/{ref.name}"


def _restless(ref: ObjectRef) -> Outdated:
    return Outdated(
        f"{ref.kind} {ref.name} was changed by somebody else each time it was about to be held or let go.",
        remedy="Find out who keeps changing it: kubectl get --show-managed-fields.",
    )


__all__ = ["HELD", "hold", "is_held", "release"]
