"""Sets of fields in the form of `fieldsV1`, and what can be asked of a value and its type in terms of them.

A set is kept as it is written in `managedFields`: a tree of dicts whose keys are path elements (`f:name` for a
field, `k:{"name":"x"}` for an item of a list map, `v:"x"` for an item of a set). A node that is empty or contains
`.` is a member of the set itself. The form is documented at
https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#fieldsv1-v1-meta and the rules of what is a
leaf at https://kubernetes.io/docs/reference/using-api/server-side-apply/

Nothing here changes what it was given; trees are shared freely.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .patching import go_format
from .schema import ANY, ListType, Shape, TypeSchema

Json = Any
FieldSet = dict[str, Any]

_SELF: Final = "."
_CONTAINERS: Final = frozenset((Shape.STRUCT, Shape.MAP))
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode


class _Absent:
    """Stands for a value that is not there, which is not the same as null."""


ABSENT: Final = _Absent()


# Set algebra. A whole set `{}` is empty; a node `{}` inside a set is a member without parts.


def _is_member(node: FieldSet) -> bool:
    return not node or _SELF in node


def _with_member(node: FieldSet | None) -> FieldSet:
    return {_SELF: {}, **node} if node and _SELF not in node else node or {}


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    result = dict(left)
    for element, node in right.items():
        mine = result.get(element)
        if mine is None:
            result[element] = node
        elif element != _SELF and mine is not node:
            joined = union(mine, node) if mine and node else mine or node
            result[element] = _with_member(joined) if _is_member(mine) or _is_member(node) else joined
    return result


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Members of *left* that are no members of *right*; parts of a removed member stay."""
    result: FieldSet = {}
    for element, node in left.items():
        theirs = right.get(element)
        if theirs is None:
            result[element] = node
        elif element != _SELF:
            rest = difference(node, theirs)
            rest.pop(_SELF, None)
            if _is_member(node) and not _is_member(theirs):
                result[element] = _with_member(rest)
            elif rest:
                result[element] = rest
    return result


def without(left: FieldSet, right: FieldSet) -> FieldSet:
    """*left* without the members of *right* and everything below them."""
    result: FieldSet = {}
    for element, node in left.items():
        theirs = right.get(element)
        if theirs is None:
            result[element] = node
        elif not _is_member(theirs):
            rest = without(node, theirs)
            if rest or _is_member(node):
                result[element] = rest
    return result


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    result: FieldSet = {}
    for element, node in left.items():
        theirs = right.get(element)
        if theirs is None or element == _SELF:
            continue
        both = intersection(node, theirs)
        if _is_member(node) and _is_member(theirs):
            result[element] = _with_member(both)
        elif both:
            result[element] = both
    return result


def members(fields: FieldSet, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all members, those of a level before those below it, as the real server lists conflicts."""
    elements = [element for element in sorted(fields, key=_rank) if element != _SELF]
    for element in elements:
        if _is_member(fields[element]):
            yield (*path, element)
    for element in elements:
        yield from members(fields[element], (*path, element))


def ordered(fields: FieldSet) -> FieldSet:
    """The same set with its elements in the order the real server writes them."""
    if len(fields) < 2:
        return {element: ordered(node) for element, node in fields.items()}
    return {element: ordered(fields[element]) for element in sorted(fields, key=_rank)}


def _rank(element: str) -> tuple[str, Any]:
    kind, written = element[:2], element[2:]
    if kind == "k:":
        # Numbers are ordered by value: port 53 comes before port 443.
        return kind, [(key, str(type(value)), value) for key, value in json.loads(written).items()]
    return kind, written


def print_path(path: tuple[str, ...]) -> str:
    """A path as conflicts name it: `.spec.containers[name="app"].image`."""
    return "".join(map(_print_element, path))


def _print_element(element: str) -> str:
    kind, written = element[0], element[2:]
    match kind:
        case "f":
            return "." + written
        case "k":
            return "[" + ",".join(f"{key}={_encode(value)}" for key, value in json.loads(written).items()) + "]"
        case "v":
            return f"[={written}]"
        case _:
            return f"[{written}]"


# Values and their types


def item_element(item: Json, schema: TypeSchema) -> str | None:
    """The path element of a list item; None when the item lacks a key."""
    if schema.list_type is ListType.SET:
        return "v:" + _encode(item)
    key = schema.key_of(item)
    return None if key is None else "k:" + _encode(dict(zip(schema.keys, key, strict=True)))


def is_granular_map(value: Json, schema: TypeSchema) -> bool:
    return (
        isinstance(value, dict) and not schema.is_atomic and (schema.shape in _CONTAINERS or schema.shape is Shape.ANY)
    )


def is_granular_list(value: Json, schema: TypeSchema) -> bool:
    return isinstance(value, list) and schema.shape is Shape.LIST and schema.list_type is not ListType.ATOMIC


def _is_granular_type(schema: TypeSchema) -> bool:
    if schema.shape is Shape.LIST:
        return schema.list_type is not ListType.ATOMIC
    return schema.shape in _CONTAINERS and not schema.is_atomic


def _parts(value: Json, schema: TypeSchema) -> dict[str, tuple[Json, TypeSchema]] | None:
    """The parts of a container by path element; None for a leaf."""
    if is_granular_map(value, schema):
        return {"f:" + key: (part, schema.child(key) or ANY) for key, part in value.items()}
    if is_granular_list(value, schema):
        inner = schema.element or ANY
        return {element: (item, inner) for item in value if (element := item_element(item, schema)) is not None}
    return None


def applied_fields(value: Json, schema: TypeSchema) -> FieldSet:
    """The fields someone who applies *value* claims: leaves, list items and map keys, but not named containers."""
    return _applied(value, schema) or {}


def _applied(value: Json, schema: TypeSchema) -> FieldSet | None:
    if value is None and _is_granular_type(schema):
        return None
    parts = _parts(value, schema)
    if parts is None:
        return {}
    result: FieldSet = {}
    is_list = isinstance(value, list)
    for element, (part, type_) in parts.items():
        node = _applied(part, type_)
        if is_list or part is None or part == {} or element[2:] not in schema.fields:
            node = _with_member(node)
        if node is not None:
            result[element] = node
    return result or None


def all_fields(value: Json, schema: TypeSchema) -> FieldSet:
    """Every field of *value*, containers included."""
    parts = _parts(value, schema)
    return {element: _with_member(all_fields(part, type_)) for element, (part, type_) in (parts or {}).items()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Which fields two versions of an object differ in."""

    removed: FieldSet
    modified: FieldSet
    added: FieldSet


def compare(old: Json, new: Json, schema: TypeSchema) -> Comparison:
    result = Comparison({}, {}, {})
    _compare(old, new, schema, result)
    return result


def _compare(old: Json, new: Json, schema: TypeSchema, result: Comparison) -> None:
    mine, theirs = _parts(old, schema) or {}, _parts(new, schema) or {}
    for element, (part, type_) in mine.items():
        other = theirs.get(element)
        if other is None:
            result.removed[element] = _with_member(all_fields(part, type_))
        elif part is not other[0] and part != other[0]:
            _compare_part(element, part, other[0], type_, result)
    for element, (part, type_) in theirs.items():
        if element not in mine:
            result.added[element] = _with_member(all_fields(part, type_))


def _compare_part(element: str, old: Json, new: Json, schema: TypeSchema, result: Comparison) -> None:
    inner = Comparison({}, {}, {})
    if _parts(old, schema) or _parts(new, schema):
        _compare(old, new, schema, inner)
    if not (_is_container(old, schema) and _is_container(new, schema)) or not (old or new):
        # A leaf, or an empty container whose kind of emptiness changed.
        result.modified[element] = _with_member(inner.modified)
    elif inner.modified:
        result.modified[element] = inner.modified
    if inner.removed:
        result.removed[element] = inner.removed
    if inner.added:
        result.added[element] = inner.added


def _is_container(value: Json, schema: TypeSchema) -> bool:
    return (
        is_granular_map(value, schema)
        or is_granular_list(value, schema)
        or (value is None and _is_granular_type(schema))
    )


def merge(live: Json, applied: Json, schema: TypeSchema) -> Json:
    """*live* with everything *applied* says; nothing is removed."""
    if live is ABSENT or live is None:
        return applied
    if is_granular_map(applied, schema) and isinstance(live, dict):
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(live.get(key, ABSENT), value, schema.child(key) or ANY)
        return merged
    if is_granular_list(applied, schema) and isinstance(live, list):
        return _merge_items(live, applied, schema)
    # Null in place of a container says nothing about what is in it.
    return live if applied is None and _is_granular_type(schema) else applied


def _merge_items(live: list[Json], applied: list[Json], schema: TypeSchema) -> list[Json]:
    """Items in the applied order; those of *live* alone keep their place relative to the items before them."""
    inner = schema.element or ANY
    mine = [(item_element(item, schema), item) for item in live]
    theirs = {item_element(item, schema): item for item in applied}
    known = dict(reversed(mine))
    shared = [element for element in theirs if element in known]
    merged: list[Json] = []
    cursor = 0

    def copy_until(wanted: str | None) -> int:
        position = cursor
        while position < len(mine) and (wanted is None or mine[position][0] != wanted):
            element, item = mine[position]
            if element not in theirs:
                merged.append(item)
            position += 1
        return position

    for element, item in theirs.items():
        cursor = copy_until(shared[0] if shared else None)
        merged.append(merge(known[element], item, inner) if element in known else item)
        if shared and shared[0] == element:
            shared.pop(0)
            cursor += 1
    copy_until(None)
    return merged


def remove(value: Json, gone: FieldSet, schema: TypeSchema) -> Json:
    """*value* without the members of *gone*; a container that loses its last part goes too (ABSENT)."""
    if not gone:
        return value
    if is_granular_map(value, schema):
        kept = {}
        for key, part in value.items():
            node = gone.get("f:" + key)
            if node is None:
                kept[key] = part
            elif not _is_member(node):
                rest = remove(part, node, schema.child(key) or ANY)
                if rest is not ABSENT:
                    kept[key] = rest
        return kept or (ABSENT if value else value)
    if is_granular_list(value, schema):
        items = []
        for item in value:
            node = gone.get(item_element(item, schema) or "")
            if node is None:
                items.append(item)
            elif not _is_member(node):
                rest = remove(item, node, schema.element or ANY)
                if rest is not ABSENT:
                    items.append(rest)
        return items or (ABSENT if value else value)
    return value


def with_named_fields(fields: FieldSet, schema: TypeSchema) -> FieldSet:
    """The set, where each named field that holds a member is a member as well."""
    result: FieldSet = {}
    for element, node in fields.items():
        if not node:
            result[element] = node
            continue
        is_field = element.startswith("f:")
        name = element[2:]
        inner = with_named_fields(node, (schema.child(name) if is_field else schema.element) or ANY)
        result[element] = _with_member(inner) if is_field and name in schema.fields else inner
    return result


# Complaints about an applied body, worded as the real server does


def type_errors(value: Json, schema: TypeSchema, path: tuple[str, ...] = ()) -> Iterator[str]:
    """What keeps *value* from being read as *schema*; nulls are always fine."""
    if value is None or schema.shape is Shape.ANY:
        return
    where = print_path(path)
    match schema.shape:
        case Shape.SCALAR:
            if (expected := _expected(value, schema)) is not None:
                yield f"{where}: {expected}"
        case Shape.LIST:
            if not isinstance(value, list):
                yield f"{where}: expected list, got &{{{go_format(value)}}}"
            else:
                yield from _item_errors(value, schema, path)
        case _:
            if not isinstance(value, dict):
                yield f"{where}: expected map, got &{{{go_format(value)}}}"
                return
            for key, part in value.items():
                inner = schema.child(key)
                if inner is None:
                    yield f"{where}.{key}: field not declared in schema"
                else:
                    yield from type_errors(part, inner, (*path, "f:" + key))


def _item_errors(items: list[Json], schema: TypeSchema, path: tuple[str, ...]) -> Iterator[str]:
    inner, where, seen = schema.element or ANY, print_path(path), set()
    for index, item in enumerate(items):
        element: str | None = f"i:{index}"
        if schema.list_type is not ListType.ATOMIC:
            element = item_element(item, schema)
            if element is None:
                missing = next((key for key in schema.keys if not isinstance(item, dict) or key not in item), "")
                yield f'{where}: element {index}: associative list with keys has an element that omits key field "{missing}" (and doesn\'t have default value)'
                continue
            if element in seen:
                yield f"{where}: duplicate entries for key {_print_element(element)}"
                continue
            seen.add(element)
        yield from type_errors(item, inner, (*path, element or ""))


def _expected(value: Json, schema: TypeSchema) -> str | None:
    match str(schema.scalar):
        case "int32" | "integer" | "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return f"expected numeric (int or float), got {_go_type(value)}"
        case "boolean":
            if not isinstance(value, bool):
                return f"expected boolean, got &{{{go_format(value)}}}"
        case "string" | "bytes" | "time":
            if not isinstance(value, str):
                return f"expected string, got &value.valueUnstructured{{Value:{go_format(value)}}}"
        case _:
            if isinstance(value, dict | list):
                return f"expected scalar, got &{{{go_format(value)}}}"
    return None


def _go_type(value: Json) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
        case _:
            return "[]interface {}"
