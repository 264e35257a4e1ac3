"""Custom resources in OpenAPI: the schema of their definition as it was written, in the envelope of every object.

`kubectl explain` shows what it says, descriptions included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from addonry.simulator.resources import Resource

_REF: Final = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1."
_CONVENTIONS: Final = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_TYPE_MEMBERS: Final[Mapping[str, Any]] = {
    "apiVersion": {
        "description": (
            "APIVersion defines the versioned schema of this representation of an object. Servers should convert "
            "recognized schemas to the latest internal value, and may reject unrecognized values. More info: "
            f"{_CONVENTIONS}#resources"
        ),
        "type": "string",
    },
    "kind": {
        "description": (
            "Kind is a string value representing the REST resource this object represents. Servers may infer this from "
            "the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
            f"{_CONVENTIONS}#types-kinds"
        ),
        "type": "string",
    },
}


def custom_types(resource: Resource, name: str) -> dict[str, Any]:
    """The components for one version of a definition: the object, called *name*, and its list."""
    source = resource.openapi_schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    metadata = _metadata("Standard object's metadata", "ObjectMeta", "metadata")
    properties = {**(source.get("properties") or {}), **_TYPE_MEMBERS, "metadata": metadata}
    one = {**source, "properties": properties, **_kind(resource, resource.kind)}
    items = {
        "description": f"List of {resource.plural}. More info: {_CONVENTIONS}",
        "type": "array",
        "items": {"$ref": f"#/components/schemas/{name}"},
    }
    metadata = _metadata("Standard list metadata", "ListMeta", "types-kinds")
    many = {
        "description": f"{resource.list_kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**_TYPE_MEMBERS, "items": items, "metadata": metadata},
        **_kind(resource, resource.list_kind),
    }
    return {name: one, name.removesuffix(resource.kind) + resource.list_kind: many}


def _metadata(said: str, kind: str, where: str) -> dict[str, Any]:
    return {"description": f"{said}. More info: {_CONVENTIONS}#{where}", "allOf": [{"$ref": f"{_REF}{kind}"}]}


def _kind(resource: Resource, kind: str) -> dict[str, Any]:
    kinds = [{"group": resource.group, "kind": kind, "version": resource.version}]
    return {"x-kubernetes-group-version-kind": kinds}
