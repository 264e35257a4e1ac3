"""Custom resources against the `openAPIV3Schema` of their definition: defaults and validation.

Covers the keywords that definitions of real add-ons use; rules in the expression language (CEL) are the business of the
simulator's `customrules`.
Messages as recorded from kube-apiserver 1.36.2. Ownership and pruning of custom resources are elsewhere
(`Schemas.with_structural`, `normalise`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from .faults import Fault, FieldError, duplicate, invalid, required, unsupported, written
from .patching import same

Json = Any
Schema = Mapping[str, Any]

_LARGEST: Final = 2**31 - 1
_GO_TYPES: Final = (
    (bool, "bool"),
    (str, "string"),
    (float, "float64"),
    (dict, "map[string]interface {}"),
    (list, "[]interface {}"),
)

UNCHECKED: Final = FieldError(
    "<nil>",
    Fault.INVALID,
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


def default_custom(value: Json, schema: Schema) -> Json:
    """*value* with the defaults of *schema*; the same object when there is nothing to fill in."""
    if isinstance(value, dict):
        return _default_map(value, schema)
    if isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        filled = [default_custom(item, items) for item in value]
        return filled if any(new is not old for new, old in zip(filled, value, strict=True)) else value
    return value


def _default_map(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    result = value
    properties: Mapping[str, Schema] = schema.get("properties") or {}
    for name, inner in properties.items():
        absent = name not in result or (result[name] is None and not inner.get("nullable"))
        if absent and "default" in inner:
            result = {**result, name: inner["default"]}
        if name in result:
            filled = default_custom(result[name], inner)
            if filled is not result[name]:
                result = {**result, name: filled}
    if isinstance(extra := schema.get("additionalProperties"), Mapping):
        for name in result.keys() - properties.keys():
            filled = default_custom(result[name], extra)
            if filled is not result[name]:
                result = {**result, name: filled}
    return result


def check_custom(obj: Mapping[str, Any], schema: Schema, scale: Mapping[str, str] | None = None) -> list[FieldError]:
    """What *schema* and the paths of its *scale* find wrong with *obj*; metadata is the business of `check_required`.

    Ends in `UNCHECKED` where rules of the schema are not to be asked any more.
    """
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    without_metadata = {**schema, "required": [name for name in schema.get("required") or () if name != "metadata"]}
    errors = [*_errors(rest, without_metadata, ""), *_scale_errors(rest, scale or {}), *_duplicates(rest, schema, "")]
    stops = {Fault.REQUIRED, Fault.TYPE, Fault.NOT_SUPPORTED, Fault.TOO_LONG}
    if _has_rules(schema) and any(error.type in stops for error in errors):
        errors.append(UNCHECKED)
    return errors


def _scale_errors(obj: Mapping[str, Any], scale: Mapping[str, str]) -> Iterator[FieldError]:
    """The size that a scale would show."""
    path = scale.get("specReplicasPath") or ""
    found: Json = obj
    for part in path.strip(".").split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not path or found is None:
        return
    if not isinstance(found, int) or isinstance(found, bool):
        kind = next((name for known, name in _GO_TYPES if isinstance(found, known)), "")
        shown = found if isinstance(found, str) else written(found)
        said = f"{path} accessor error: {shown} is of the type {kind}, expected int64"
        yield FieldError(path, Fault.INVALID, f"Invalid value: 0: {said}")
    elif found < 0:
        yield invalid(path, found, "should be a non-negative integer")
    elif found > _LARGEST:
        yield invalid(path, found, f"should be less than or equal to {_LARGEST}")


def _has_rules(schema: Json) -> bool:
    if isinstance(schema, Mapping):
        return "x-kubernetes-validations" in schema or any(map(_has_rules, schema.values()))
    return isinstance(schema, list) and any(map(_has_rules, schema))


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _errors(value: Json, schema: Schema, path: str) -> Iterator[FieldError]:
    if value is None:
        if not schema.get("nullable") and schema.get("type"):
            yield _wrong_type("null", schema["type"], path)
        return
    if schema.get("x-kubernetes-int-or-string"):
        if not _is_a(value, "integer") and not isinstance(value, str):
            yield _wrong_type(_type_of(value), "integer,string", path)
        return
    expected = schema.get("type")
    if expected and not _is_a(value, expected):
        yield _wrong_type(_type_of(value), expected, path)
        return
    for keyword, check in _KEYWORDS.items():
        if keyword in schema and (message := check(value, schema[keyword], path, schema)):
            yield invalid(path, value, message)
    if "enum" in schema and not any(same(value, choice) for choice in schema["enum"]):
        yield unsupported(path, value, *schema["enum"])
    if isinstance(value, dict):
        yield from _member_errors(value, schema, path)
    elif isinstance(value, list):
        yield from _list_errors(value, schema, path)


def _is_a(value: Json, expected: str) -> bool:
    if isinstance(value, bool):
        return expected == "boolean"
    if expected == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(expected, (object,)))


def _type_of(value: Json) -> str:
    return next(name for name in ("boolean", "integer", "number", "string", "array", "object") if _is_a(value, name))


def _wrong_type(found: str, expected: str, path: str) -> FieldError:
    message = f"Invalid value: {written(found)}: {path} in body must be of type {expected}: {written(found)}"
    return FieldError(path, Fault.TYPE, message)


def _member_errors(value: dict[str, Any], schema: Schema, path: str) -> Iterator[FieldError]:
    for name in schema.get("required") or ():
        if name not in value:
            yield required(f"{path}.{name}" if path else name)
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for name, part in value.items():
        inner = properties.get(name, extra)
        if isinstance(inner, Mapping):
            yield from _errors(part, inner, f"{path}.{name}" if path else name)


def _list_errors(value: list[Json], schema: Schema, path: str) -> Iterator[FieldError]:
    if isinstance(inner := schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from _errors(item, inner, f"{path}[{index}]")


def _duplicates(value: Json, schema: Schema, path: str) -> Iterator[FieldError]:
    """Items of sets and list maps that come twice; the real server looks for them after everything else."""
    if isinstance(value, dict):
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        for name, part in value.items():
            if isinstance(inner := properties.get(name, extra), Mapping):
                yield from _duplicates(part, inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
        seen: list[Json] = []
        for index, item in enumerate(value):
            if isinstance(items := schema.get("items"), Mapping):
                yield from _duplicates(item, items, f"{path}[{index}]")
            identity = {key: item.get(key) for key in keys} if kind == "map" and isinstance(item, dict) else item
            if kind in ("set", "map") and any(same(identity, other) for other in seen):
                yield duplicate(f"{path}[{index}]", identity)
            seen.append(identity)


def _minimum(value: Json, limit: Json, path: str, schema: Schema) -> str | None:
    if schema.get("exclusiveMinimum"):
        return None if value > limit else f"{path} in body should be greater than {limit}"
    return None if value >= limit else f"{path} in body should be greater than or equal to {limit}"


def _maximum(value: Json, limit: Json, path: str, schema: Schema) -> str | None:
    if schema.get("exclusiveMaximum"):
        return None if value < limit else f"{path} in body should be less than {limit}"
    return None if value <= limit else f"{path} in body should be less than or equal to {limit}"


def _at_least(what: str) -> Callable[[Json, Json, str, Schema], str | None]:
    return lambda value, limit, path, _: None if len(value) >= limit else f"{path} in body should {what.format(limit)}"


def _at_most(what: str) -> Callable[[Json, Json, str, Schema], str | None]:
    return lambda value, limit, path, _: None if len(value) <= limit else f"{path} in body should {what.format(limit)}"


def _pattern(value: Json, pattern: Json, path: str, _: Schema) -> str | None:
    try:
        found = re.search(pattern, value)
    except re.error:
        return None  # Go's dialect differs in corners; an object is not refused for what we cannot read
    return None if found else f"{path} in body should match '{pattern}'"


_KEYWORDS: Final[Mapping[str, Callable[[Json, Json, str, Schema], str | None]]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _at_least("be at least {} chars long"),
    "maxLength": _at_most("be at most {} chars long"),
    "minItems": _at_least("have at least {} items"),
    "maxItems": _at_most("have at most {} items"),
    "minProperties": _at_least("have at least {} properties"),
    "maxProperties": _at_most("have at most {} properties"),
    "pattern": _pattern,
}
