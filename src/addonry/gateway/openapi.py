"""The OpenAPI 3.1 document, made from the declarations; served at ``/openapi.json``."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import msgspec

from addonry.gateway.errors import REFUSALS, WIRE
from addonry.gateway.operation import Kind, Operation, Parameter
from addonry.gateway.operations import OPERATIONS

_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"

_KINDS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    Kind.TEXT: {"type": "string"},
    Kind.FLAG: {"type": "boolean"},
    Kind.NUMBER: {"type": "integer"},
    Kind.NAMES: {"type": "array", "items": {"type": "string"}},
    Kind.OBJECTS: {"type": "array", "items": {"type": "object"}},
}
_AS_JSON: Final = frozenset({Kind.NAMES, Kind.OBJECTS})

_STATUSES: Final = sorted({row.status for row in (*WIRE.values(), *REFUSALS.values())} - {405})
"""What any operation may be answered with when it is refused; 405 is for methods that are not in the document."""

_ERROR: Final[Mapping[str, Any]] = {
    "title": "Error",
    "type": "object",
    "description": "Both of ACK's spellings, with equal values.",
    "properties": {
        **{
            name: {"type": "string"}
            for name in (
                *("RequestId", "HostId", "Code", "Message", "Recommend"),
                *("code", "message", "requestId"),
            )
        },
        "status": {"type": "integer"},
        "AccessDeniedDetail": {"type": "object"},
        "accessDeniedDetail": {"type": "object"},
    },
    "required": ["RequestId", "HostId", "Code", "Message", "code", "message", "requestId", "status"],
}


@cache
def openapi_document() -> bytes:
    """The document as JSON."""
    return msgspec.json.encode(describe())


def describe() -> dict[str, Any]:
    """The document."""
    bodies = [each.body for each in OPERATIONS if each.body is not None]
    types = [*bodies, *(each.answer for each in OPERATIONS)]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    body_schemas = dict(zip(map(id, bodies), schemas, strict=False))
    answers = schemas[len(bodies) :]
    paths: dict[str, dict[str, Any]] = {}
    for operation, answer in zip(OPERATIONS, answers, strict=True):
        body = body_schemas.get(id(operation.body)) if operation.body is not None else None
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, body, answer)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Addonry",
            "version": version("addonry"),
            "description": "Looks after the add-ons of Kubernetes clusters. Paths outside /addonry/ are those of Alibaba "
            "Cloud's Container Service API (CS, 2015-12-15).",
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, **components},
            "responses": {"Refused": {"description": "Why not, and what to do next.", "content": _content_of_error()}},
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "ACS3-HMAC-SHA256 or acs (HMAC-SHA1), with x-acs-version: 2015-12-15; see "
                    "docs/reference/signatures.md.",
                }
            },
        },
        "security": [{"signature": []}],
    }


def _content_of_error() -> dict[str, Any]:
    return {_JSON: {"schema": {"$ref": _REFERENCE.format(name="Error")}}}


def _operation(operation: Operation, body: Any, answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary.replace("``", "`"),
        "x-ram-action": operation.actions[0],
        "x-ram-level": operation.level,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in operation.parameters
            ),
            *(_parameter(each) for each in operation.query),
        ],
        "responses": {
            str(operation.status): {
                "description": "Done." if operation.status == 200 else "Accepted.",
                "content": {_JSON: {"schema": answer}, "application/xml": {}},
            },
            **{str(status): {"$ref": "#/components/responses/Refused"} for status in _STATUSES},
        },
    }
    if operation.body is not None:
        told["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return told


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = dict(_KINDS[parameter.kind])
    how: dict[str, Any] = {"content": {_JSON: {"schema": schema}}} if parameter.kind in _AS_JSON else {"schema": schema}
    about = {"description": parameter.about} if parameter.about else {}
    return {"name": parameter.name, "in": "query", **about, **how}
