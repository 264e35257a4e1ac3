"""A server of one dict, just enough to play recorded exchanges through the object functions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addonry.simulator.objects import (
    ApplyConflict,
    PatchError,
    Schemas,
    TypeSchema,
    apply,
    apply_defaults,
    cannot_be_handled,
    check_custom,
    check_immutable,
    check_required,
    check_types,
    default_custom,
    invalid_status,
    json_patch,
    merge_patch,
    normalise,
    scale_managers,
    strategic_merge,
    strict_error,
    unknown_fields,
    update_managers,
    with_scale_managers,
)

FIXTURES = Path(__file__).parent / "fixtures"
NOW = "2026-11-23T08:30:36Z"
SCHEMAS = Schemas.load()

WIDGET_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "x-kubernetes-validations": [{"rule": "self.size != 7", "message": "seven is reserved"}],
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10},
                "color": {"type": "string", "default": "red", "enum": ["red", "green"]},
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
                    },
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            },
        },
        "status": {
            "type": "object",
            "properties": {"phase": {"type": "string"}, "size": {"type": "integer"}, "selector": {"type": "string"}},
        },
    },
}
WIDGET = SCHEMAS.with_structural("raw.example.com/v1", "Widget", WIDGET_SCHEMA, has_status=True)
TYPES = {
    "deployments": ("apps/v1", "Deployment"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "configmaps": ("v1", "ConfigMap"),
    "secrets": ("v1", "Secret"),
    "services": ("v1", "Service"),
    "jobs": ("batch/v1", "Job"),
}


def exchanges(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FIXTURES / name).read_text().splitlines()]


def schema_for(resource: str) -> TypeSchema:
    if resource == "widgets":
        return WIDGET
    found = SCHEMAS.of(*TYPES[resource])
    assert found is not None
    return found


class Refused(Exception):
    """What a server around the object functions refuses, with its status."""

    def __init__(self, status: int, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.details = status, message, details


@dataclass
class OneDict:
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def play(self, exchange: dict[str, Any]) -> dict[str, Any]:
        """The stored object after *exchange*; raises what the object functions raise."""
        resource = next(part for part in exchange["path"].split("/") if part in {*TYPES, "widgets"})
        schema, body = schema_for(resource), exchange["request"]
        name = body["metadata"].get("name") if exchange["method"] == "POST" else exchange["path"].split("/")[-1]
        key = f"{resource}/{name}"
        live = self.objects.get(key)
        if exchange["subresource"] == "scale":
            return self._scaled(key, exchange)
        who = {"manager": exchange["manager"], "schema": schema, "now": NOW, "subresource": exchange["subresource"]}
        if exchange["content"] == "apply-patch+yaml":
            changed = apply(live, body, force=exchange["force"], **who)
        else:
            after = self._decoded(self._written(live, exchange, schema), exchange, schema)
            after = self._finish(live, after, resource, exchange["subresource"])
            changed = update_managers(live, after, **who)
        changed = self._finish(live, changed, resource, exchange["subresource"])
        errors = check_immutable(live, changed) if live else []
        errors += check_required(changed)
        if resource == "widgets":
            errors += check_custom(changed, WIDGET_SCHEMA)
        if errors:
            body = invalid_status(changed, errors)
            raise Refused(422, body["message"], body["details"])
        if not exchange["dry_run"]:
            self.objects[key] = changed
        return changed

    @staticmethod
    def _decoded(obj: dict[str, Any], exchange: dict[str, Any], schema: TypeSchema) -> dict[str, Any]:
        """The object as decoded, or the refusal of one that cannot be."""
        unknown = unknown_fields(obj, schema)
        wrong = check_types(obj, schema)
        if unknown and exchange["validation"] == "Strict":
            wrong = [strict_error(unknown)]
        if wrong and exchange["method"] == "PATCH":
            raise Refused(422, f' "" is invalid: patch: Invalid value: ...: {wrong[0]}')
        if wrong:
            raise Refused(400, cannot_be_handled(obj, wrong[0]))
        return normalise(obj, schema)

    def _scaled(self, key: str, exchange: dict[str, Any]) -> dict[str, Any]:
        """A write of `/scale`; answers the parent, whose managedFields tell more."""
        parent, body = self.objects[key], exchange["request"]
        schema = SCHEMAS.of("autoscaling/v1", "Scale")
        who = {"manager": exchange["manager"], "schema": schema, "now": NOW, "subresource": "scale"}
        metadata = {"name": parent["metadata"]["name"], "managedFields": scale_managers(parent)}
        scale = {
            "apiVersion": "autoscaling/v1",
            "kind": "Scale",
            "metadata": metadata,
            "spec": {"replicas": parent["spec"].get("replicas", 1)},
        }
        if exchange["content"] == "apply-patch+yaml":
            scale = apply(scale, body, force=exchange["force"], **who)
        else:
            after = body if exchange["method"] == "PUT" else merge_patch(scale, body)
            scale = update_managers(scale, after, **who)
        parent = {**parent, "spec": {**parent["spec"], "replicas": scale["spec"]["replicas"]}}
        self.objects[key] = with_scale_managers(parent, scale["metadata"].get("managedFields"))
        return self.objects[key]

    @staticmethod
    def _written(live: dict[str, Any] | None, exchange: dict[str, Any], schema: TypeSchema) -> dict[str, Any]:
        body = exchange["request"]
        match exchange["content"]:
            case "json":
                return body
            case "json-patch+json":
                return json_patch(live, body)
            case "merge-patch+json":
                return merge_patch(live, body)
            case other:
                assert other == "strategic-merge-patch+json"
                return strategic_merge(live, body, schema)

    @staticmethod
    def _finish(live: dict[str, Any] | None, obj: dict[str, Any], resource: str, subresource: str) -> dict[str, Any]:
        """What the server around these functions does: keep the other half of the object, fill in defaults."""
        if resource == "widgets":
            obj = default_custom(obj, WIDGET_SCHEMA)
        elif subresource != "status":
            obj = apply_defaults(obj, TYPES[resource][1])
        before = live or {}
        kept = "spec" if subresource == "status" else "status"
        if obj.get(kept) != before.get(kept) and resource in ("deployments", "widgets"):
            obj = {key: value for key, value in obj.items() if key != kept}
            if kept in before:
                obj[kept] = before[kept]
        if subresource == "status" and live:
            # A write of the status changes no labels, so nobody comes to own them by it.
            metadata = {**obj["metadata"], "labels": live["metadata"].get("labels")}
            obj = {**obj, "metadata": {key: value for key, value in metadata.items() if value is not None}}
        return obj


def failure(server: OneDict, exchange: dict[str, Any]) -> tuple[int, str]:
    """Status and message of an exchange that is refused."""
    try:
        server.play(exchange)
    except ApplyConflict as conflict:
        return 409, conflict.message
    except (PatchError, Refused) as error:
        return error.status, error.message
    raise AssertionError(f"{exchange['step']}: nothing was refused")


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    """An object without what a server around these functions adds."""
    metadata = {
        key: value for key, value in obj["metadata"].items() if key not in ("uid", "namespace", "managedFields")
    }
    server_made = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    spec = {key: value for key, value in obj.get("spec", {}).items() if key not in server_made}
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "spec", "status")}
    return {**rest, "metadata": metadata, "spec": spec}


def owners(obj: dict[str, Any]) -> list[tuple[str, str, str, Any]]:
    entries = obj["metadata"].get("managedFields", [])
    return [
        (entry["manager"], entry["operation"], entry.get("subresource", ""), entry["fieldsV1"]) for entry in entries
    ]
