"""Which changes of a CustomResourceDefinition break what is stored in it, or who writes it.

The kinds are those that the Operator Lifecycle Manager refuses
(https://operator-framework.github.io/operator-controller/concepts/crd-upgrade-safety/), and two of ours: a definition that
is deleted, and a version that objects are stored in and that is no longer served. Only versions that both definitions have are compared; what a new
version says is nobody's yet. Patterns, formats and CEL rules are not judged: whether those became narrower cannot be told.

To add a kind of change to a field, write a check that is given the schemas of both, and name it in ``_CHECKS``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from addonry.rules.differences import Difference

Schema = Mapping[str, Any]

_DEEPEST: Final = 200
"""The API server takes no schema that is nested anywhere near that deep."""


class Unsafe(StrEnum):
    """A kind of change that is not safe."""

    DEFINITION_REMOVED = "DefinitionRemoved"
    SCOPE_CHANGED = "ScopeChanged"
    STORED_VERSION_REMOVED = "StoredVersionRemoved"
    STORED_VERSION_NOT_SERVED = "StoredVersionNotServed"
    FIELD_REMOVED = "FieldRemoved"
    FIELD_REQUIRED = "FieldRequired"
    TYPE_CHANGED = "TypeChanged"
    DEFAULT_ADDED = "DefaultAdded"
    DEFAULT_CHANGED = "DefaultChanged"
    DEFAULT_REMOVED = "DefaultRemoved"
    ENUM_ADDED = "EnumAdded"
    ENUM_VALUE_REMOVED = "EnumValueRemoved"
    MINIMUM_RAISED = "MinimumRaised"
    MAXIMUM_LOWERED = "MaximumLowered"
    LIMIT_ADDED = "LimitAdded"


@dataclass(frozen=True, slots=True)
class UnsafeChange:
    """One change that is not safe, and where."""

    kind: Unsafe
    version: str
    """The version whose schema it is in; empty for the definition as a whole."""
    field: str
    """``spec.replicas``; members of lists are ``[]``, values of maps ``*``. Empty for a version as a whole."""
    message: str

    @property
    def path(self) -> str:
        """Version and field together, as far as there are any: ``v1 spec.replicas``."""
        return " ".join(part for part in (self.version, self.field) if part)


@dataclass(frozen=True, slots=True)
class CrdVerdict:
    """What becomes of one definition, and what is unsafe about it."""

    name: str
    change: Difference
    unsafe: tuple[UnsafeChange, ...] = ()


def judge(name: str, old: Schema | None, new: Schema | None) -> CrdVerdict:
    """*old* in place of which *new* comes; None where there is none."""
    if old is None:
        return CrdVerdict(name, Difference.ADDED)
    if new is None:
        words = "is deleted, and every object of its kind with it"
        return CrdVerdict(name, Difference.REMOVED, (UnsafeChange(Unsafe.DEFINITION_REMOVED, "", "", words),))
    return CrdVerdict(name, Difference.CHANGED, unsafe_changes(old, new))


def unsafe_changes(old: Schema, new: Schema) -> tuple[UnsafeChange, ...]:
    """What is unsafe about *new* in place of *old*, both whole definitions, *old* with its status."""
    return (*_of_definition(old, new), *_of_versions(old, new))


def _of_definition(old: Schema, new: Schema) -> Iterator[UnsafeChange]:
    before, after = _map(old, "spec").get("scope"), _map(new, "spec").get("scope")
    if before != after:
        yield UnsafeChange(Unsafe.SCOPE_CHANGED, "", "", f"its scope changes from {before} to {after}")
    versions = _versions(new)
    for name in _list(_map(old, "status"), "storedVersions"):
        if name not in versions:
            yield UnsafeChange(
                Unsafe.STORED_VERSION_REMOVED, str(name), "", "is removed, and objects may be stored in it"
            )
        elif versions[name].get("served") is False and _versions(old).get(name, {}).get("served") is not False:
            yield UnsafeChange(
                Unsafe.STORED_VERSION_NOT_SERVED, str(name), "", "is no longer served, and objects may be stored in it"
            )


def _of_versions(old: Schema, new: Schema) -> Iterator[UnsafeChange]:
    after = _versions(new)
    for name, version in _versions(old).items():
        if name in after:
            schemas = [_map(_map(each, "schema"), "openAPIV3Schema") for each in (version, after[name])]
            for kind, field, message in _of_field("", schemas[0], schemas[1], 0):
                yield UnsafeChange(kind, name, field, message)


_Found = Iterator[tuple[Unsafe, str, str]]
_Check = Callable[[str, Schema, Schema], _Found]


def _of_field(field: str, old: Schema, new: Schema, depth: int) -> _Found:
    for check in _CHECKS:
        yield from check(field, old, new)
    if depth > _DEEPEST:
        return
    before, after = _map(old, "properties"), _map(new, "properties")
    for name in before:
        if name in after:
            yield from _of_field(_join(field, name), _schema(before[name]), _schema(after[name]), depth + 1)
    for member, sign in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(old.get(member), Mapping) and isinstance(new.get(member), Mapping):
            yield from _of_field(f"{field}{sign}".lstrip("."), old[member], new[member], depth + 1)


def _type(field: str, old: Schema, new: Schema) -> _Found:
    before, after = _type_of(old), _type_of(new)
    if before != after:
        yield Unsafe.TYPE_CHANGED, field, f"changes its type from {before} to {after}"


def _type_of(schema: Schema) -> str:
    if schema.get("x-kubernetes-int-or-string") is True:
        return "integer or string"
    return str(schema.get("type") or "any")


def _removed(field: str, old: Schema, new: Schema) -> _Found:
    if new.get("x-kubernetes-preserve-unknown-fields") is True:
        return  # what is not named is kept all the same
    for name in _map(old, "properties"):
        if name not in _map(new, "properties") and not isinstance(new.get("additionalProperties"), Mapping):
            yield Unsafe.FIELD_REMOVED, _join(field, name), "is removed"
    if old.get("x-kubernetes-preserve-unknown-fields") is True:
        yield Unsafe.FIELD_REMOVED, _join(field, "*"), "is no longer kept where the schema does not name it"
    if old.get("additionalProperties") and not new.get("additionalProperties"):
        yield Unsafe.FIELD_REMOVED, _join(field, "*"), "is no longer taken"


def _required(field: str, old: Schema, new: Schema) -> _Found:
    for name in _list(new, "required"):
        if name not in _list(old, "required"):
            yield Unsafe.FIELD_REQUIRED, _join(field, str(name)), "is required"


def _default(field: str, old: Schema, new: Schema) -> _Found:
    if "default" not in old and "default" in new:
        yield Unsafe.DEFAULT_ADDED, field, "has a default where it had none"
    elif "default" in old and "default" not in new:
        yield Unsafe.DEFAULT_REMOVED, field, "has no default any more"
    elif not _is_same(old.get("default"), new.get("default")):
        yield Unsafe.DEFAULT_CHANGED, field, "has another default"


def _enum(field: str, old: Schema, new: Schema) -> _Found:
    before, after = old.get("enum"), new.get("enum")
    if not isinstance(after, list):
        return
    if not isinstance(before, list):
        yield Unsafe.ENUM_ADDED, field, f"takes nothing but {_told(after)}"
    elif gone := [each for each in before if not any(_is_same(each, other) for other in after)]:
        yield Unsafe.ENUM_VALUE_REMOVED, field, f"does not take {_told(gone)} any more"


_LENGTHS: Final = ("Length", "Items", "Properties")


def _limits(field: str, old: Schema, new: Schema) -> _Found:
    for name in ("minimum", *(f"min{each}" for each in _LENGTHS)):
        before, after = _limit(old, name, "exclusiveMinimum"), _limit(new, name, "exclusiveMinimum")
        yield from _narrowed(field, name, before, after, Unsafe.MINIMUM_RAISED)
    for name in ("maximum", *(f"max{each}" for each in _LENGTHS)):
        before, after = _limit(old, name, "exclusiveMaximum"), _limit(new, name, "exclusiveMaximum")
        yield from _narrowed(field, name, before, after, Unsafe.MAXIMUM_LOWERED)


_Limit = tuple[float, bool] | None
"""The number, and whether it is outside itself."""


def _limit(schema: Schema, name: str, exclusive: str) -> _Limit:
    value = schema.get(name)
    if not isinstance(value, int | float) or (name.startswith("min") and name != "minimum" and value <= 0):
        return None  # at least no characters is no limit
    return (value, name in {"minimum", "maximum"} and schema.get(exclusive) is True)


def _narrowed(field: str, name: str, before: _Limit, after: _Limit, kind: Unsafe) -> _Found:
    if after is None or after == before:
        return
    if before is None:
        yield Unsafe.LIMIT_ADDED, field, f"has a {name} of {after[0]:g} where it had none"
        return
    is_tighter = after[0] > before[0] if kind is Unsafe.MINIMUM_RAISED else after[0] < before[0]
    if is_tighter or (after[0] == before[0] and after[1] and not before[1]):
        yield kind, field, f"has its {name} narrowed from {before[0]:g} to {after[0]:g}"


_CHECKS: Final[tuple[_Check, ...]] = (_type, _removed, _required, _default, _enum, _limits)


def _versions(crd: Schema) -> dict[str, Schema]:
    listed = _list(_map(crd, "spec"), "versions")
    return {str(each.get("name")): each for each in listed if isinstance(each, Mapping)}


def _map(value: Schema, name: str) -> Schema:
    return _schema(value.get(name))


def _schema(value: Any) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _list(value: Schema, name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _is_same(one: Any, other: Any) -> bool:
    # In JSON true is not 1, in Python it is.
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def _told(values: list[Any]) -> str:
    return ", ".join(str(each) for each in values[:5]) + (", ..." if len(values) > 5 else "")
