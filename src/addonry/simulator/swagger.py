"""The OpenAPI v2 document, for clients from before version 3: the same types, written as it wants them.

See https://swagger.io/specification/v2/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

_encode = msgspec.json.Encoder().encode
_V3: Final = "#/components/schemas/"
_V2: Final = "#/definitions/"


def swagger(components: Mapping[str, Any], *, title: str) -> bytes:
    """The document with these types of OpenAPI v3, and no paths."""
    definitions = {name: _older(schema) for name, schema in sorted(components.items())}
    info = {"title": title, "version": "simulated"}
    return _encode({"swagger": "2.0", "info": info, "paths": {}, "definitions": definitions})


def _older(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_older(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _older(part) for key, part in schema.items() if key not in ("allOf", "oneOf", "nullable")}
    # Version 2 knows no choice of types, and a reference may have neighbours.
    if len(schema.get("allOf") or ()) == 1:
        found |= _older(schema["allOf"][0])
    if "oneOf" in schema:
        found["type"] = "string"
    if isinstance(reference := found.get("$ref"), str):
        found["$ref"] = reference.replace(_V3, _V2)
    return found
