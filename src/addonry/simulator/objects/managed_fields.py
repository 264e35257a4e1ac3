"""Who owns which field: server-side apply and the tracking of everyone else's writes.

`apply` answers an apply patch, `update_managers` is called for every other write; both return the object as it is
to be stored, with `metadata.managedFields` brought up to date. Neither fills in defaults, validates, or touches
`resourceVersion` and `generation`: the caller does. Rules after
https://kubernetes.io/docs/reference/using-api/server-side-apply/, checked against recordings of kube-apiserver 1.36.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from . import fields as sets
from .fields import FieldSet
from .patching import PatchError, same
from .schema import SCHEMALESS, TypeSchema
from .shaping import normalise

Json = Any

APPLY: Final = "Apply"
UPDATE: Final = "Update"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL: Final = "kubectl"
_ANCIENT: Final = "ancient-changes"
_MAX_UPDATE_MANAGERS: Final = 10

# Identity and bookkeeping of an object belong to the server, whoever sent them.
_NEVER_TRACKED: Final[FieldSet] = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        "f:name": {},
        "f:namespace": {},
        "f:creationTimestamp": {},
        "f:selfLink": {},
        "f:uid": {},
        "f:generation": {},
        "f:managedFields": {},
        "f:resourceVersion": {},
    },
}


class ApplyConflict(Exception):
    """Fields of an apply patch that someone else owns with another value; nothing was changed.

    `causes` are pairs of message and field, one per field and owner.
    """

    def __init__(self, causes: Sequence[tuple[str, str]], message: str) -> None:
        super().__init__(message)
        self.causes = tuple(causes)
        self.message = message


class Owner(NamedTuple):
    """What tells one entry of `managedFields` from another. An applier stays the same across API versions."""

    manager: str
    operation: str
    api_version: str
    subresource: str


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner owns, and since when."""

    fields: FieldSet
    api_version: str
    time: str | None


Managers = dict[Owner, Share]


def apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    *,
    manager: str,
    force: bool,
    schema: TypeSchema | None,
    now: str,
    subresource: str = "",
) -> dict[str, Any]:
    """The object after *manager* applied *applied*; *live* itself when nothing changes, None to create.

    Raises ApplyConflict (409), or PatchError (400 or 500) when the body does not fit the type.
    """
    schema = schema or SCHEMALESS
    if "managedFields" in (applied.get("metadata") or {}):
        raise PatchError(400, "BadRequest", "metadata.managedFields must be nil")
    _check_type(applied, schema)
    try:
        return _apply(live, applied, manager=manager, force=force, schema=schema, now=now, subresource=subresource)
    except _Conflicts as conflicts:
        if manager != _KUBECTL or live is None:
            raise conflicts.as_error() from None
        # A user who moves from client-side apply has the fields already, under the name of the old manager:
        # https://kubernetes.io/docs/reference/using-api/server-side-apply/#upgrading-from-client-side-apply-to-server-side-apply
        rest = conflicts.minus(_last_applied_fields(live, schema))
        if rest.found:
            raise rest.as_error() from None
        return _apply(live, applied, manager=manager, force=True, schema=schema, now=now, subresource=subresource)


def update_managers(
    before: dict[str, Any] | None,
    after: dict[str, Any],
    *,
    manager: str,
    operation: str = UPDATE,
    schema: TypeSchema | None,
    now: str,
    subresource: str = "",
) -> dict[str, Any]:
    """*after* with `managedFields` that say what *manager* changed by a POST, PUT or patch.

    Defaults must be in *after* already: who creates an object owns its defaults, as on the real server. What the
    server fills in later (cluster IP, status) must not.
    """
    schema = schema or SCHEMALESS
    sent = _metadata(after).get("managedFields")
    if sent == [{}]:
        # The documented way to clear ownership; nobody is tracked again until the next apply.
        return _or_same(before, _with_managers(after, {}))
    managers = read_managers(sent) or read_managers(_metadata(before).get("managedFields"))
    if not managers and before is not None and not _is_made_by_controllers(before):
        return _or_same(before, _with_managers(after, {}))
    api_version = after.get("apiVersion", "")
    owner = Owner(manager, operation, api_version, subresource)
    changed = _updated(before or schema.skeleton(), after, managers, owner, schema=schema, now=now)
    return _or_same(before, _with_managers(after, _capped(changed)))


def _is_made_by_controllers(obj: Mapping[str, Any]) -> bool:
    """Whether nobody is named as owner because controllers and kubelets are not tracked, and not because of a client."""
    metadata = _metadata(obj)
    return obj.get("kind") == "Node" or any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())


def _or_same(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """*before* itself when nothing changed, which is how a caller knows to keep the resourceVersion."""
    return before if before is not None and same(before, after) else after


def _metadata(obj: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (obj or {}).get("metadata") or {}


def read_managers(entries: Any) -> Managers:
    """`metadata.managedFields` as a mapping; entries that make no sense are dropped, as the real server does."""
    found: Managers = {}
    for entry in entries or ():
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            continue
        fields = entry.get("fieldsV1", {})
        if not isinstance(fields, dict):
            continue
        api_version = entry.get("apiVersion", "")
        is_apply = entry["operation"] == APPLY
        owner = Owner(
            entry.get("manager", ""), entry["operation"], "" if is_apply else api_version, entry.get("subresource", "")
        )
        found[owner] = Share(fields, api_version, entry.get("time"))
    return found


def write_managers(managers: Managers) -> list[dict[str, Any]]:
    """The mapping as `metadata.managedFields`, in the order of the real server: appliers first, then by age."""
    rows = sorted(
        managers.items(),
        key=lambda row: (row[0].operation, row[1].time or "", row[0].manager, row[1].api_version, row[0].subresource),
    )
    return [_entry(owner, share) for owner, share in rows]


def _entry(owner: Owner, share: Share) -> dict[str, Any]:
    entry: dict[str, Any] = {"manager": owner.manager, "operation": owner.operation, "apiVersion": share.api_version}
    if share.time:
        entry["time"] = share.time
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": sets.ordered(share.fields)}
    if owner.subresource:
        entry["subresource"] = owner.subresource
    return entry


def _with_managers(obj: dict[str, Any], managers: Managers) -> dict[str, Any]:
    metadata = {key: value for key, value in _metadata(obj).items() if key != "managedFields"}
    if managers:
        metadata["managedFields"] = write_managers(managers)
    return {**obj, "metadata": metadata}


def _without_managers(obj: dict[str, Any]) -> dict[str, Any]:
    if "managedFields" not in _metadata(obj):
        return obj
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


# Conflicts


class _Conflicts(Exception):
    def __init__(self, found: Mapping[Owner, tuple[str, FieldSet]]) -> None:
        super().__init__()
        self.found = found

    def minus(self, allowed: FieldSet) -> _Conflicts:
        rest = {owner: (version, sets.difference(fields, allowed)) for owner, (version, fields) in self.found.items()}
        return _Conflicts({owner: row for owner, row in rest.items() if row[1]})

    def as_error(self) -> ApplyConflict:
        rows = [
            (_print_owner(owner, version), [sets.print_path(path) for path in sets.members(fields)])
            for owner, (version, fields) in sorted(self.found.items())
        ]
        causes = [(f"conflict with {owner}", field) for owner, owned in rows for field in owned]
        if len(causes) == 1:
            return ApplyConflict(causes, f"Apply failed with 1 conflict: {causes[0][0]}: {causes[0][1]}")
        lines = [
            line for owner, owned in rows for line in (f"conflicts with {owner}:", *(f"- {field}" for field in owned))
        ]
        return ApplyConflict(causes, f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines))


def _print_owner(owner: Owner, api_version: str) -> str:
    text = json.dumps(owner.manager, ensure_ascii=False)
    if owner.subresource:
        text += f' with subresource "{owner.subresource}"'
    return f"{text} using {api_version}" if owner.operation == UPDATE else text


def _check_type(applied: dict[str, Any], schema: TypeSchema) -> None:
    errors = sorted(sets.type_errors(applied, schema))
    if not errors:
        return
    api_version, kind = applied.get("apiVersion", ""), applied.get("kind", "")
    metadata = applied.get("metadata") or {}
    where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}" if isinstance(metadata, dict) else "/"
    gvk = f"{api_version}, Kind={kind}" if "/" in api_version else f"/{api_version}, Kind={kind}"
    text = errors[0] if len(errors) == 1 else "\n".join(("errors:", *(f"  {error}" for error in errors)))
    raise PatchError(500, "", f"failed to create typed patch object ({where}; {gvk}): {text}")


# Ownership


def _ignored(schema: TypeSchema, subresource: str) -> FieldSet:
    """Fields a write through this door cannot change, so nobody comes to own them by it."""
    if subresource == "status":
        return {"f:spec": {}}
    return {"f:status": {}} if schema.has_status else {}


def _tracked(fields: FieldSet, schema: TypeSchema, subresource: str) -> FieldSet:
    return sets.difference(sets.without(fields, _ignored(schema, subresource)), _NEVER_TRACKED)


def _apply(
    live: dict[str, Any] | None,
    applied: dict[str, Any],
    *,
    manager: str,
    force: bool,
    schema: TypeSchema,
    now: str,
    subresource: str,
) -> dict[str, Any]:
    api_version = applied.get("apiVersion", "")
    owner = Owner(manager, APPLY, "", subresource)
    current = _without_managers(live) if live is not None else {}
    managers = read_managers(_metadata(live).get("managedFields"))
    if live is not None and not managers:
        first = Owner(BEFORE_FIRST_APPLY, UPDATE, api_version, subresource)
        managers = _updated(schema.skeleton(), current, {}, first, schema=schema, now=now)
    last = managers.get(owner)
    claimed = sets.without(sets.applied_fields(applied, schema), _ignored(schema, subresource))
    merged = sets.merge(current, applied, schema)
    if last is not None:
        others = [share.fields for other, share in managers.items() if other != owner]
        merged = _prune(merged, last.fields, (claimed, *others), schema)
    merged = normalise(merged, schema)
    comparison = sets.compare(current, merged, schema)
    managers = _taken(managers, comparison, owner, schema=schema, force=force)
    is_same = same(current, merged)
    fields = sets.difference(claimed, _NEVER_TRACKED)
    managers.pop(owner, None)
    if fields:
        # Who changes nothing keeps the time of before, and has none when this is the first.
        time = (last.time if last is not None else None) if is_same else now
        managers[owner] = Share(fields, api_version, time)
    result = _with_managers(_synced_last_applied(merged, applied, manager), managers)
    return _or_same(live, result)


def _taken(
    managers: Managers, comparison: sets.Comparison, owner: Owner, *, schema: TypeSchema, force: bool
) -> Managers:
    """The shares of the others after *owner* changed what *comparison* says."""
    ignored = _ignored(schema, owner.subresource)
    changed = sets.without(sets.union(comparison.modified, comparison.added), ignored)
    removed = sets.without(comparison.removed, ignored)
    conflicts: dict[Owner, tuple[str, FieldSet]] = {}
    for other, share in managers.items():
        if other != owner and (lost := sets.intersection(share.fields, changed)):
            conflicts[other] = (share.api_version, lost)
    if conflicts and not force:
        raise _Conflicts(conflicts)
    result: Managers = {}
    for other, share in managers.items():
        fields = share.fields
        if other in conflicts:
            fields = sets.difference(fields, conflicts[other][1])
        if removed and other != owner:
            fields = sets.difference(fields, removed)
        if fields or other == owner:
            result[other] = share if fields is share.fields else replace(share, fields=fields)
    return result


def _updated(
    before: dict[str, Any], after: dict[str, Any], managers: Managers, owner: Owner, *, schema: TypeSchema, now: str
) -> Managers:
    comparison = sets.compare(_without_managers(before), _without_managers(after), schema)
    result = _taken(managers, comparison, owner, schema=schema, force=True)
    mine = result.pop(owner, None)
    gained = _tracked(sets.union(comparison.modified, comparison.added), schema, owner.subresource)
    kept = sets.difference(mine.fields, comparison.removed) if mine else {}
    fields = sets.union(kept, gained)
    if fields:
        time = now if gained or mine is None else mine.time
        result[owner] = Share(fields, owner.api_version, time)
    return result


def _prune(merged: dict[str, Any], last: FieldSet, owned: Iterable[FieldSet], schema: TypeSchema) -> dict[str, Any]:
    """*merged* without what its applier owned and no longer applies, unless someone else owns it."""
    last = sets.with_named_fields(last, schema)
    managed: FieldSet = {}
    for share in owned:
        managed = sets.union(managed, share)
    managed = sets.with_named_fields(managed, schema)
    if not sets.difference(last, managed):
        return merged

    def present(value: Json) -> FieldSet:
        return {} if value is sets.ABSENT else sets.with_named_fields(sets.applied_fields(value, schema), schema)

    everything = present(merged)
    pruned = sets.remove(merged, last, schema)
    # Back comes what someone owns, and then, from what is still missing, all that was never the applier's.
    pruned = sets.remove(merged, sets.difference(everything, sets.union(present(pruned), managed)), schema)
    gone = sets.intersection(sets.difference(everything, present(pruned)), last)
    result: dict[str, Any] = sets.remove(merged, gone, schema)
    return result


def _capped(managers: Managers) -> Managers:
    """At most ten Update managers; the oldest are summed up, as on the real server."""
    updates = sorted(
        (owner for owner in managers if owner.operation == UPDATE), key=lambda owner: managers[owner].time or ""
    )
    surplus = len(updates) - _MAX_UPDATE_MANAGERS
    if surplus <= 0:
        return managers
    result = dict(managers)
    for owner in updates[: surplus + 1]:
        share = result.pop(owner)
        bucket = Owner(_ANCIENT, UPDATE, owner.api_version, owner.subresource)
        earlier = result.get(bucket)
        fields = sets.union(earlier.fields, share.fields) if earlier else share.fields
        result[bucket] = Share(fields, share.api_version, share.time)
    return result


# The annotation of client-side apply


def _synced_last_applied(obj: dict[str, Any], applied: dict[str, Any], manager: str) -> dict[str, Any]:
    """Keeps the annotation of client-side apply in step, so that a user can go back to it."""
    annotations = _metadata(obj).get("annotations") or {}
    if manager != _KUBECTL or LAST_APPLIED not in annotations:
        return obj
    metadata = dict(_metadata(applied))
    rest = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != LAST_APPLIED}
    metadata.pop("annotations", None)
    if rest:
        metadata["annotations"] = rest
    written = json.dumps({**applied, "metadata": metadata}, separators=(",", ":"), sort_keys=True) + "\n"
    return {**obj, "metadata": {**obj["metadata"], "annotations": {**annotations, LAST_APPLIED: written}}}


def take_over_status(obj: dict[str, Any], members: Iterable[str]) -> None:
    """Let nobody own these *members* of the status any more: a controller has written them, which is not tracked."""
    entries = obj["metadata"].get("managedFields")
    if not entries or not any(entry.get("subresource") == "status" for entry in entries):
        return
    written = {f"f:{member}" for member in members}
    kept = []
    for entry in entries:
        owned = entry.get("fieldsV1") or {}
        status = {name: fields for name, fields in (owned.get("f:status") or {}).items() if name not in written}
        rest = {**owned, "f:status": status}
        if not status or status.keys() == {"."}:
            del rest["f:status"]
        if "f:status" not in owned:
            kept.append(entry)
        elif rest:
            kept.append({**entry, "fieldsV1": rest})
    obj["metadata"]["managedFields"] = kept


def _last_applied_fields(live: dict[str, Any], schema: TypeSchema) -> FieldSet:
    """Fields whose values the annotation of client-side apply explains."""
    written = (_metadata(live).get("annotations") or {}).get(LAST_APPLIED)
    try:
        applied = json.loads(written or "{}")
    except ValueError:
        return {}
    if not isinstance(applied, dict):
        return {}
    fields = sets.applied_fields(applied, schema)
    comparison = sets.compare(applied, live, schema)
    for changed in (comparison.modified, comparison.added, comparison.removed):
        fields = sets.difference(fields, changed)
    return fields
