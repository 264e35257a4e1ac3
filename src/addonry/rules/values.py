"""Helm values: how they combine, and whether they fit a chart's schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

LIMIT = 8
"""So many problems are told; the rest is counted."""


def coalesce(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* over a chart's *defaults* as Helm combines them: maps merge, null removes, all else replaces."""
    merged = dict(defaults)
    for key, value in values.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = coalesce(merged[key], value)
        else:
            merged[key] = value
    return merged


def schema_errors(values: Mapping[str, Any], schema: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What keeps *values* from fitting *schema*, a sentence each, without ever quoting a value: it may be a secret.

    A schema that is none itself is the chart's fault and stops nobody here; Helm refuses it when it renders.
    """
    if schema is None:
        return ()
    kind = validator_for(schema, default=Draft7Validator)
    try:
        kind.check_schema(dict(schema))
    except SchemaError:
        return ()
    # An empty registry: a schema is a stranger's, and its remote references must not make this process fetch anything.
    validator = kind(dict(schema), registry=Registry())
    try:
        errors = sorted(validator.iter_errors(values), key=lambda error: list(map(str, error.absolute_path)))
    except Unresolvable:
        return ()
    told = [line for error in errors for line in _describe(error)]
    if len(told) > LIMIT:
        told = [*told[:LIMIT], f"and {len(told) - LIMIT} more"]
    return tuple(told)


def _describe(error: ValidationError) -> Iterator[str]:
    where = ".".join(map(str, error.absolute_path)) or "values"
    wanted: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            types = wanted if isinstance(wanted, str) else " or ".join(map(str, wanted))
            yield f"{where} must be of type {types}"
        case "enum":
            yield f"{where} must be one of {', '.join(map(str, wanted))}"
        case "required":
            missing = [name for name in wanted if name not in instance]
            yield f"{where} lacks {', '.join(missing)}"
        case "additionalProperties":
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            extra = [str(name) for name in instance if name not in known]
            yield f"{where} does not know {', '.join(extra)}"
        case "minimum" | "maximum" | "minLength" | "maxLength" | "minItems" | "maxItems" | "pattern" | "format":
            yield f"{where} breaks {error.validator} {wanted}"
        case _:
            yield f"{where} does not satisfy {error.validator}"
