"""Custom resource definitions: established after a moment, then their resources are served.

See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import DEFINITIONS, World, is_kind, is_leaving
from addonry.simulator.removal import CLEANUP, remove, with_terminating
from addonry.simulator.resources import CUSTOM_VERBS, STATUS_VERBS, Column, Resource, ResourceKey, Subresource
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_CONDITIONS: Final = (
    ("NamesAccepted", "NoConflicts", "no conflicts found"),
    ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
)


class Definitions:
    """Serves custom resources, and removes them with their definition."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, DEFINITIONS):
            return (change.record.key,)
        if change.type is ChangeType.DELETED and change.record.key.resource.group:
            name = f"{change.record.key.resource.plural}.{change.record.key.resource.group}"
            return (ObjectKey(DEFINITIONS.key, "", name),)
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        definition = self._world.get(key)
        if definition is None:
            self._world.served.withdraw(key.name)
            return
        resources = resources_of(definition)
        if is_leaving(definition):
            self._clear(key, definition, resources)
            return
        self._world.served.define(key.name, resources)
        self._establish(definition)

    def _establish(self, definition: Object) -> None:
        status = dict(definition.get("status") or {})
        if not any(c["type"] == "Established" for c in status.get("conditions") or ()):
            now = timestamp(self._world.clock.now())
            status["conditions"] = [
                {"type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}
                for kind, reason, message in _CONDITIONS
            ]
        names = definition["spec"]["names"]
        status["acceptedNames"] = dict(names)
        stored = [v["name"] for v in definition["spec"].get("versions", []) if v.get("storage")]
        known = status.get("storedVersions", [])
        status["storedVersions"] = [*known, *(name for name in stored if name not in known)]
        definition["status"] = status
        self._world.put(DEFINITIONS, definition)

    def _clear(self, key: ObjectKey, definition: Object, resources: tuple[Resource, ...]) -> None:
        world, spec = self._world, definition["spec"]
        now, said = timestamp(world.clock.now()), "CustomResource deletion is in progress"
        status = with_terminating(definition.get("status") or {}, now, "InstanceDeletionInProgress", said)
        world.set_status(DEFINITIONS, definition, status)
        where = ResourceKey(spec["group"], spec["names"]["plural"])
        left = False
        for record in list(world.store.records(where)):
            gone = is_leaving(record.decode()) or not resources
            left = left or gone or remove(world.store, world.clock, resources[0], record) is not None
        if left:
            return
        rest = [f for f in definition["metadata"].get("finalizers", []) if f != CLEANUP]
        if rest:
            definition["metadata"]["finalizers"] = rest
            world.put(DEFINITIONS, definition)
        else:
            world.store.remove(key)


def resources_of(definition: Object) -> tuple[Resource, ...]:
    """The served versions of a definition, the stored one first."""
    spec = definition["spec"]
    names = spec["names"]
    versions = [version for version in spec.get("versions", []) if version.get("served")]
    return tuple(
        Resource(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec.get("scope") == "Namespaced",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=_subresources(version),
            verbs=CUSTOM_VERBS,
            has_generation=True,
            list_kind=names.get("listKind") or f"{names['kind']}List",
            columns=tuple(_column(column) for column in version.get("additionalPrinterColumns") or ()),
            openapi_schema=(version.get("schema") or {}).get("openAPIV3Schema"),
            scale_paths=(version.get("subresources") or {}).get("scale"),
        )
        for version in sorted(versions, key=lambda version: not version.get("storage"))
    )


def _subresources(version: dict[str, Any]) -> tuple[Subresource, ...]:
    found = []
    declared = version.get("subresources") or {}
    if "scale" in declared:
        found.append(Subresource("scale", "Scale", "autoscaling/v1", STATUS_VERBS))
    if "status" in declared:
        found.append(Subresource("status", "", "", STATUS_VERBS))
    return tuple(found)


def _column(column: dict[str, Any]) -> Column:
    return Column(
        column["name"], column["type"], column["jsonPath"], column.get("priority", 0), column.get("format", "")
    )
