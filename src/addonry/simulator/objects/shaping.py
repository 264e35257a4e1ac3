"""Bring an object into the form in which the server keeps it.

The real server decodes built-in kinds into Go structs and writes them back: unknown fields, nulls, empty lists and
empty maps are lost on the way. Custom resources are pruned by their schema instead. `normalise` does both.
"""

from __future__ import annotations

from typing import Any

from .schema import ANY, Scalar, Shape, TypeSchema

Json = Any


def normalise(value: dict[str, Any], schema: TypeSchema | None) -> dict[str, Any]:
    """*value* as it would be stored; without a schema only metadata is looked at. Values are not checked."""
    shaped: dict[str, Any] = _shape(value, schema or ANY)
    return shaped


def _shape(value: Json, schema: TypeSchema) -> Json:
    match schema.shape:
        case Shape.STRUCT if isinstance(value, dict):
            return _struct(value, schema)
        case Shape.MAP if isinstance(value, dict):
            element = schema.element or ANY
            return {key: _zero(element) if part is None else _shape(part, element) for key, part in value.items()}
        case Shape.LIST if isinstance(value, list):
            element = schema.element or ANY
            if element.shape in (Shape.SCALAR, Shape.ANY):
                return value
            if element.shape is Shape.STRUCT and not element.is_structural:
                # Null in a list of structs is one of which nothing is said.
                return [_shape({} if item is None else item, element) for item in value]
            return [_shape(item, element) for item in value]
        case _:
            return value


def _struct(value: dict[str, Any], schema: TypeSchema) -> dict[str, Any]:
    shaped: dict[str, Any] = {}
    for key, part in value.items():
        inner = schema.child(key)
        if inner is None:
            continue
        if part is None:
            if inner.nullable or inner.shape is Shape.ANY:
                shaped[key] = None
            continue
        if not part and not schema.is_structural and _is_omitted(key, inner, schema):
            continue
        shaped[key] = _shape(part, inner)
    if not schema.is_structural and schema.name.endswith("Condition"):
        # The moments of a condition are values in Go, which writes them whether they are set or not.
        unset = (name for name, inner in schema.fields.items() if inner.scalar is Scalar.TIME and name not in shaped)
        shaped |= dict.fromkeys(unset)
    return shaped


def _is_omitted(key: str, inner: TypeSchema, schema: TypeSchema) -> bool:
    return inner.shape in (Shape.LIST, Shape.MAP) and key not in schema.required


def _zero(schema: TypeSchema) -> Json:
    """What null means as the value of a map: Go's zero value."""
    if schema.is_structural or schema.shape is not Shape.SCALAR:
        return None
    return "" if schema.scalar in (Scalar.STRING, Scalar.BYTES) else 0
