"""What a write may be about: an object of the kind and the name in its address, and of it what this door may change."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from addonry.simulator import errors
from addonry.simulator.errors import ApiError
from addonry.simulator.objects import PatchError, in_go_order
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Object, ObjectKey

KEPT: Final = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
"""Members of the metadata that no client sets."""

_encode = msgspec.json.Encoder().encode


def as_object(value: Any) -> Object:
    """The outcome of a patch, which has to be an object."""
    if not isinstance(value, dict):
        raise errors.bad_request("the patch does not produce an object")
    return value


def check_kind(resource: Resource, obj: Any) -> None:
    """400 for a body of another kind or version than that of the address; one that says neither is of this."""
    kind, api_version = obj.get("kind") or resource.kind, obj.get("apiVersion") or resource.api_version
    if kind != resource.kind:
        version = str(api_version).rpartition("/")[2]
        # Go's name of the internal package of a group is its first word, and "core" for the group without a name.
        known = resource.group.partition(".")[0] or "core"
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
            f"converting ({version}.{kind}) to ({known}.{resource.kind}): "
            "unknown conversion"
        )
    if api_version != resource.api_version:
        version = str(api_version).rpartition("/")[2]
        raise errors.bad_request(
            f'{kind} in version "{version}" cannot be handled as a {resource.kind}: '
            f'no kind "{kind}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:111"'
        )


def check_name(obj: Object, key: ObjectKey) -> None:
    """400 for a body with another name or namespace than the address; one without gets these."""
    metadata = obj["metadata"]
    name = metadata.setdefault("name", key.name)
    if name != key.name:
        raise errors.bad_request(f"the name of the object ({name}) does not match the name on the URL ({key.name})")
    if key.namespace and metadata.setdefault("namespace", key.namespace) != key.namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def limited_to(resource: Resource, live: Object, new: Object, subresource: str) -> Object:
    """*new* with everything put back that this request may not change."""
    metadata = dict(new["metadata"])
    for member in KEPT:
        if member in live["metadata"]:
            metadata[member] = live["metadata"][member]
        else:
            metadata.pop(member, None)
    if subresource:
        kept = dict(live["metadata"])
        if "managedFields" in metadata:
            kept["managedFields"] = metadata["managedFields"]
        if subresource == "finalize":
            return {**live, "spec": new.get("spec", {}), "metadata": kept}
        part = {"status": new["status"]} if "status" in new else {}
        if not part and not resource.is_custom:
            part = {"status": {}}  # a struct, which Go cannot leave out
        return {**{k: v for k, v in live.items() if k != "status"}, "metadata": kept, **part}
    limited = {**new, "metadata": metadata}
    if resource.subresource("status"):
        limited.pop("status", None)
        if "status" in live:
            limited["status"] = live["status"]
    return limited


def shown_result(resource: Resource, live: Object, patched: Object) -> str:
    """What a patch led to as messages hold it; a custom resource is a map, whose members Go writes in their order."""
    shown = _sorted(patched) if resource.is_custom else in_go_order(patched, live, resource.types, resource.kind)
    return _encode(shown).decode()


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def refused_patch(error: PatchError) -> ApiError:
    """The answer to a patch that cannot be applied."""
    # A JSON patch that fails is refused without a word about the object.
    return ApiError(error.status, error.reason, error.message, details={} if error.status == 422 else None)
