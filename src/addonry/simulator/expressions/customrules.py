"""The rules in the schemas of custom resources: `x-kubernetes-validations`, written in CEL.

`rule_errors` holds an object against the rules of its definition, `definition_errors` finds rules that cannot be
compiled. A rule that cannot be evaluated here lets the object pass, with a warning in the answer.
See https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from addonry.simulator.expressions.cel import Expression, Failed, NotCompiled, Unsupported, compiled
from addonry.simulator.objects import FieldError
from addonry.simulator.objects.faults import Fault, required, written
from addonry.simulator.objects.patching import same
from addonry.simulator.storage import Object

Schema = Mapping[str, Any]
RULES: Final = "x-kubernetes-validations"
_UNTYPED: Final = "x-kubernetes-preserve-unknown-fields"
_NOTHING: Final = object()  # there was no value before
_LONGEST_MESSAGE: Final = 5 * 1024
_RESERVED: Final = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)
_ESCAPES: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_OLD: Final = re.compile(r"\boldSelf\b")
_FAULTS: Final = {
    "FieldValueForbidden": (Fault.FORBIDDEN, "Forbidden"),
    "FieldValueRequired": (Fault.REQUIRED, "Required value"),
    "FieldValueDuplicate": (Fault.DUPLICATE, "Duplicate value"),
}


def has_rules(schema: Any) -> bool:
    """Whether there is any rule in the schema."""
    if isinstance(schema, Mapping):
        return RULES in schema or any(map(has_rules, schema.values()))
    return isinstance(schema, list) and any(map(has_rules, schema))


def rule_errors(schema: Schema, obj: Object, old: Object | None) -> tuple[list[FieldError], list[str]]:
    """What the rules find wrong with *obj*, and warnings about rules that nobody evaluated."""
    found = _Findings()
    _walk(found, schema, obj, _NOTHING if old is None else old, "", is_root=True)
    return found.errors, found.warnings


@dataclass
class _Findings:
    errors: list[FieldError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _walk(found: _Findings, schema: Schema, value: Any, old: Any, path: str, *, is_root: bool = False) -> None:
    if value is None:
        return
    for rule in filter(None, schema.get(RULES) or ()):
        _hold(found, rule, schema, value, old, path, is_root=is_root)
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    if isinstance(value, dict):
        for name, part in value.items():
            before = old.get(name, _NOTHING) if isinstance(old, dict) else _NOTHING
            if isinstance(inner := properties.get(name), Mapping):
                _walk(found, inner, part, before, f"{path}.{name}" if path else name)
            elif isinstance(extra, Mapping):
                _walk(found, extra, part, before, f"{path}[{name}]")
    elif isinstance(value, list) and isinstance(items := schema.get("items"), Mapping):
        for index, item in enumerate(value):
            _walk(found, items, item, _before(schema, item, old), f"{path}[{index}]")


def _before(schema: Schema, item: Any, old: Any) -> Any:
    """The item as it was; only those of a list map are known again."""
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list) or not isinstance(item, dict):
        return _NOTHING
    return next(
        (o for o in old if isinstance(o, dict) and all(same(o.get(key), item.get(key)) for key in keys)), _NOTHING
    )


def _hold(found: _Findings, rule: Schema, schema: Schema, value: Any, old: Any, path: str, *, is_root: bool) -> None:
    source = str(rule.get("rule") or "")
    is_transition, is_optional = _OLD.search(source) is not None, bool(rule.get("optionalOldSelf"))
    if is_transition and old is _NOTHING and not is_optional:
        return
    if not is_transition and old is not _NOTHING and same(value, old):
        return  # what was wrong before may stay, as long as nobody touches it
    variables = {"self": _data(value, schema, is_root=is_root)}
    if old is not _NOTHING:
        variables["oldSelf"] = _data(old, schema, is_root=is_root)
    try:
        holds = _compiled(source, schema, has_old=old is not _NOTHING, optional=is_optional).value(variables)
    except Failed as failure:
        found.errors.append(_error(rule, path, _said(str(failure), source)))
    except (NotCompiled, Unsupported):
        shown = written(source)
        found.warnings.append(f"simulated cluster: rule {shown} of {path or 'the object'} cannot be evaluated")
    else:
        if holds is not True:
            found.errors.append(_error(rule, path, _message(rule, schema, variables, source)))


def _said(failure: str, source: str) -> str:
    if failure.startswith("no such overload"):
        why = "call arguments did not match a supported operator, function or macro signature for rule"
        return f"'{failure}': {why}: {source.strip()}"
    return f"{failure} evaluating rule: {source.strip()}"


def _message(rule: Schema, schema: Schema, variables: Mapping[str, Any], source: str) -> str:
    """What a broken rule says: an expression's result if it is a decent one, its text, or the rule itself."""
    plain = str(rule.get("message") or "").strip() or f"failed rule: {source.strip()}"
    if not (expression := rule.get("messageExpression")):
        return plain
    try:
        optional = bool(rule.get("optionalOldSelf"))
        text = _compiled(expression, schema, has_old="oldSelf" in variables, optional=optional).value(variables)
    except (Failed, NotCompiled, Unsupported):
        return plain
    is_decent = isinstance(text, str) and text.strip() and "\n" not in text and len(text) <= _LONGEST_MESSAGE
    return text.strip() if is_decent else plain


def _error(rule: Schema, path: str, detail: str) -> FieldError:
    where = f"{path}{rule.get('fieldPath') or ''}"
    fault, said = _FAULTS.get(str(rule.get("reason")), (Fault.INVALID, "Invalid value"))
    # The real server leaves out the value, which may be large.
    return FieldError(where.lstrip(".") or "<nil>", fault, f"{said}: {detail}")


def _compiled(source: str, schema: Schema, *, has_old: bool, optional: bool) -> Expression:
    kind = _kind(schema)
    if not _OLD.search(source):
        return compiled(source, self=kind)
    if optional:
        # An optional value cannot be handed in, so it is made inside.
        made = "optional.of(oldSelf)" if has_old else "optional.none()"
        variables = {"self": kind, "oldSelf": kind} if has_old else {"self": kind}
        return compiled(f"cel.bind(oldSelf, {made}, {source})", **variables)
    return compiled(source, self=kind, oldSelf=kind)


def _kind(schema: Schema) -> str:
    return "any" if schema.get("x-kubernetes-int-or-string") or schema.get("format") else str(schema.get("type", "any"))


# ---------------------------------------------------------------------- values


def _data(value: Any, schema: Schema, *, is_root: bool = False) -> Any:
    """A value as rules see it: fields under names that are identifiers, and only those that the schema knows."""
    if isinstance(value, dict):
        return _fields(value, schema, is_root=is_root)
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [_data(item, items) for item in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if schema.get("format") == "byte" and isinstance(value, str):
        try:
            return base64.b64decode(value)
        except (binascii.Error, ValueError):
            return value
    return value


def _fields(value: Mapping[str, Any], schema: Schema, *, is_root: bool) -> dict[str, Any]:
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        return {name: _data(part, extra) for name, part in value.items()}
    if not properties and (schema.get(_UNTYPED) or extra):
        return dict(value)
    known = {
        escaped(name): _data(part, properties[name])
        for name, part in value.items()
        if isinstance(properties.get(name), Mapping) and part is not None
    }
    if is_root or schema.get("x-kubernetes-embedded-resource"):
        known |= {name: value[name] for name in ("apiVersion", "kind") if name in value}
        metadata = value.get("metadata") or {}
        known["metadata"] = {name: metadata[name] for name in ("name", "generateName") if name in metadata}
    return known


def escaped(name: str) -> str:
    """The name of a field in expressions."""
    if name in _RESERVED:
        return f"__{name}__"
    for mark, escape in _ESCAPES:
        name = name.replace(mark, escape)
    return name


# ---------------------------------------------------------------------- definitions


def definition_errors(definition: Object) -> Iterator[FieldError]:
    """Rules that are empty, or that a real server could not compile."""
    versions: Sequence[Any] = (definition.get("spec") or {}).get("versions") or ()
    schemas = [(v.get("schema") or {}).get("openAPIV3Schema") for v in versions if isinstance(v, Mapping)]
    if not any(map(has_rules, schemas)):
        return
    if all(same(schema, schemas[0]) for schema in schemas):
        # One schema for all versions is checked once, where older definitions had it.
        yield from _faults(schemas[0], "spec.validation.openAPIV3Schema")
        return
    for number, schema in enumerate(schemas):
        yield from _faults(schema, f"spec.versions[{number}].schema.openAPIV3Schema")


def _faults(schema: Any, path: str) -> Iterator[FieldError]:
    if not isinstance(schema, Mapping):
        return
    for number, rule in enumerate(schema.get(RULES) or ()):
        yield from _rule_faults(rule, schema, f"{path}.{RULES}[{number}]")
    for name, inner in (schema.get("properties") or {}).items():
        yield from _faults(inner, f"{path}.properties[{name}]")
    for member in ("items", "additionalProperties"):
        yield from _faults(schema.get(member), f"{path}.{member}")


def _rule_faults(rule: Schema, schema: Schema, path: str) -> Iterator[FieldError]:
    source = str((rule or {}).get("rule") or "")
    if not source.strip():
        yield required(f"{path}.rule", "rule is not specified")
        return
    for member, expected in (("rule", "BOOL"), ("messageExpression", "STRING")):
        text = str(rule.get(member) or "")
        if not text:
            continue
        is_rule = member == "rule"
        said = "" if is_rule else "messageExpression "
        try:
            returns = _compiled(text, schema, has_old=True, optional=bool(rule.get("optionalOldSelf"))).returns
        except NotCompiled as error:
            yield _wrong(f"{path}.{member}", rule if is_rule else text, f"{said}compilation failed: {error}")
        except Unsupported:
            continue
        else:
            if returns not in (expected, "DYN"):
                kind = "bool" if is_rule else "string"
                what = "cel expression" if is_rule else "messageExpression"
                yield _wrong(f"{path}.{member}", rule if is_rule else text, f"{what} must evaluate to a {kind}")


def _wrong(path: str, value: Any, why: str) -> FieldError:
    return FieldError(path, Fault.INVALID, f"Invalid value: {written(value)}: {why}")
