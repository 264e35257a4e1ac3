"""The three patches of the Kubernetes API that are no server-side apply.

JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes' own strategic merge patch, whose directives are
described in https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
Documents come in and new documents go out; what was handed in is never changed, though results may share parts with it.

Statuses and messages of the errors are as recorded from kube-apiserver 1.36.2 (many of them are 500 there, which
clients have learned to live with). Checks of the result (names, types, unknown fields) are not made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from .schema import ANY, Shape, TypeSchema

Json = Any

_DIRECTIVE: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE_PRIMITIVES: Final = "$deleteFromPrimitiveList/"


class PatchError(Exception):
    """A patch that cannot be applied, with the status a kube-apiserver would answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


def merge_patch(doc: Json, patch: Json) -> Json:
    """RFC 7386: maps merge, null removes, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


# JSON patch


def json_patch(doc: Json, ops: Sequence[Mapping[str, Any]]) -> Json:
    """RFC 6902, with one liberty the real server takes: replacing a member that is absent adds it."""
    if not isinstance(ops, list):
        raise _bad_request(
            f"error decoding patch: json: cannot unmarshal {_go_kind(ops)} into Go value of type []handlers.jsonPatchOp"
        )
    for op in ops:
        if not isinstance(op, Mapping):
            raise _bad_request(
                f"error decoding patch: json: cannot unmarshal {_go_kind(op)} into Go value of type handlers.jsonPatchOp"
            )
        name = op.get("op")
        if not isinstance(name, str) or name not in _OPERATIONS:
            raise _unprocessable()
        doc = _OPERATIONS[name](doc, op)
    return doc


def _unprocessable() -> PatchError:
    # The server says no more than this about a JSON patch that fails.
    return PatchError(422, "Invalid", "the server rejected our request due to an error in our request")


def _bad_request(message: str) -> PatchError:
    return PatchError(400, "BadRequest", message)


def _path(op: Mapping[str, Any], member: str) -> list[str]:
    written = op.get(member)
    if not isinstance(written, str) or (written and not written.startswith("/")):
        raise _unprocessable()
    return [part.replace("~1", "/").replace("~0", "~") for part in written.split("/")[1:]]


def _value(op: Mapping[str, Any]) -> Json:
    if "value" not in op:
        raise _unprocessable()
    return op["value"]


def _index(key: str, *, end: int) -> int:
    # Twelve digits are more than any list has; int() of a very long text would be slow and then refused.
    if not (key.isascii() and key.isdigit()) or (len(key) > 1 and key[0] == "0") or len(key) > 12:
        raise _unprocessable()
    if int(key) > end:
        raise _unprocessable()
    return int(key)


def _get(doc: Json, path: list[str]) -> Json:
    for key in path:
        if isinstance(doc, dict) and key in doc:
            doc = doc[key]
        elif isinstance(doc, list):
            doc = doc[_index(key, end=len(doc) - 1)]
        else:
            raise _unprocessable()
    return doc


def _changed(doc: Json, path: list[str], change: Callable[[Json, str], None]) -> Json:
    """A copy of *doc* along *path*, with *change* made to the copy of the last container."""
    key, rest = path[0], path[1:]
    copy: Json
    if isinstance(doc, dict):
        copy = dict(doc)
    elif isinstance(doc, list):
        copy = list(doc)
    else:
        raise _unprocessable()
    if not rest:
        change(copy, key)
        return copy
    if isinstance(copy, list):
        index = _index(key, end=len(copy) - 1)
        copy[index] = _changed(copy[index], rest, change)
    elif key in copy:
        copy[key] = _changed(copy[key], rest, change)
    else:
        raise _unprocessable()
    return copy


def _add_at(doc: Json, path: list[str], value: Json) -> Json:
    def change(container: Json, key: str) -> None:
        if isinstance(container, dict):
            container[key] = value
        elif key == "-":
            container.append(value)
        else:
            container.insert(_index(key, end=len(container)), value)

    return _changed(doc, path, change) if path else value


def _remove_at(doc: Json, path: list[str]) -> Json:
    def change(container: Json, key: str) -> None:
        if isinstance(container, list):
            del container[_index(key, end=len(container) - 1)]
        elif key in container:
            del container[key]
        else:
            raise _unprocessable()

    if not path:
        raise _unprocessable()
    return _changed(doc, path, change)


def _replace_at(doc: Json, path: list[str], value: Json) -> Json:
    def change(container: Json, key: str) -> None:
        if isinstance(container, list):
            container[_index(key, end=len(container) - 1)] = value
        else:
            container[key] = value

    return _changed(doc, path, change) if path else value


def _test(doc: Json, op: Mapping[str, Any]) -> Json:
    if not same(_get(doc, _path(op, "path")), _value(op)):
        raise _unprocessable()
    return doc


def _move(doc: Json, op: Mapping[str, Any]) -> Json:
    source, target = _path(op, "from"), _path(op, "path")
    if target[: len(source)] == source and target != source:
        raise _unprocessable()
    value = _get(doc, source)
    if source == target:
        return doc
    return _add_at(_remove_at(doc, source), target, value)


_OPERATIONS: Final[Mapping[str, Callable[[Json, Mapping[str, Any]], Json]]] = {
    "add": lambda doc, op: _add_at(doc, _path(op, "path"), _value(op)),
    "remove": lambda doc, op: _remove_at(doc, _path(op, "path")),
    "replace": lambda doc, op: _replace_at(doc, _path(op, "path"), _value(op)),
    "copy": lambda doc, op: _add_at(doc, _path(op, "path"), _get(doc, _path(op, "from"))),
    "move": _move,
    "test": _test,
}


def same(left: Json, right: Json) -> bool:
    """Equality of JSON values: 1 and 1.0 are equal, but 1 and true are not, as Python would have it."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


# Strategic merge patch


def strategic_merge(doc: Json, patch: Json, schema: TypeSchema | None) -> Json:
    """A strategic merge patch applied to *doc*, lists merged as *schema* says.

    Raises PatchError when the patch contradicts itself or an item lacks its merge key.
    """
    if not isinstance(patch, dict):
        raise _bad_request(f"json: cannot unmarshal {_go_kind(patch)} into Go value of type map[string]interface {{}}")
    return _merge_map(doc, patch, schema or ANY)


def _internal(message: str) -> PatchError:
    return PatchError(500, "", message)


def _merge_map(doc: Json, patch: dict[str, Any], schema: TypeSchema) -> dict[str, Any]:
    original: dict[str, Any] = doc if isinstance(doc, dict) else {}
    directive = patch.get(_DIRECTIVE)
    if directive is not None:
        match directive:
            case "replace":
                return {key: value for key, value in patch.items() if key != _DIRECTIVE}
            case "delete":
                return {}
            case "merge":
                pass
            case _:
                raise _internal(f"unknown patch type: {directive} in map: {go_format(patch)}")
    merged = dict(original)
    retained = patch.get(_RETAIN_KEYS)
    if retained is not None:
        _check_retained(retained, patch)
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_member(merged, key, value, patch, schema.child(key) or ANY)
    for key in patch:
        for prefix in (_ORDER, _DELETE_PRIMITIVES):
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and name not in patch and isinstance(merged.get(name), list):
                _merge_member(merged, name, [], patch, schema.child(name) or ANY)
    return merged


def _check_retained(retained: Any, patch: dict[str, Any]) -> None:
    if not isinstance(retained, list):
        raise _internal("$retainKeys directive must be a list")
    stray = [
        key for key, value in patch.items() if not key.startswith("$") and value is not None and key not in retained
    ]
    if stray:
        raise _internal(
            f"map: {go_format(patch)} contains keys that are not in the $retainKeys list: {' '.join(sorted(stray))}"
        )


def _merge_member(merged: dict[str, Any], key: str, value: Json, patch: dict[str, Any], schema: TypeSchema) -> None:
    if value is None:
        merged.pop(key, None)
        return
    original = merged.get(key)
    if isinstance(value, dict):
        if value.get(_DIRECTIVE) == "delete":
            merged.pop(key, None)
        elif "replace" in schema.strategy and isinstance(original, dict):
            merged[key] = {name: inner for name, inner in value.items() if name != _DIRECTIVE}
        else:
            merged[key] = _merge_map(original, value, schema)
    elif isinstance(value, list) and schema.shape is Shape.LIST and "merge" in schema.strategy:
        items = _merge_list(original if isinstance(original, list) else [], value, schema, patch, key)
        if items or original is not None or value:
            merged[key] = items
    else:
        merged[key] = value


def _merge_list(
    original: list[Json], patched: list[Json], schema: TypeSchema, patch: dict[str, Any], key: str
) -> list[Json]:
    order = patch.get(_ORDER + key)
    if schema.merge_key:
        return _merge_items(original, patched, schema, order)
    gone = patch.get(_DELETE_PRIMITIVES + key, ())
    merged = [item for item in original if item not in gone]
    merged.extend(item for item in dict.fromkeys(patched) if item not in merged)
    if order is not None:
        _check_order(patched, order, identity=lambda item: item)
    return _in_order(merged, original, patched if order is None else order, identity=lambda item: item)


def _merge_items(original: list[Json], patched: list[Json], schema: TypeSchema, order: list[Json] | None) -> list[Json]:
    name, element = schema.merge_key, schema.element or ANY

    def identity(item: Json) -> Json:
        return item.get(name) if isinstance(item, dict) else None

    merged = list(original)
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" and len(item) == 1 for item in patched):
        merged, patched = (
            [],
            [item for item in patched if not (isinstance(item, dict) and item.get(_DIRECTIVE) == "replace")],
        )
    live = []
    for item in patched:
        key = identity(item)
        if key is None:
            raise _internal(f"map: {go_format(item)} does not contain declared merge key: {name}")
        directive = item.get(_DIRECTIVE)
        position = next((index for index, other in enumerate(merged) if identity(other) == key), None)
        if directive == "delete":
            merged = [other for other in merged if identity(other) != key]
            continue
        live.append(item)
        if directive == "replace":
            replacement = {member: value for member, value in item.items() if member != _DIRECTIVE}
            merged = [other for other in merged if identity(other) != key]
            merged.insert(len(merged) if position is None else position, replacement)
        elif position is None:
            merged.append(_merge_map({}, item, element))
        else:
            merged[position] = _merge_map(merged[position], item, element)
    if order is not None:
        _check_order(live, order, identity=identity)
    return _in_order(merged, original, live if order is None else order, identity=identity)


def _check_order(patched: list[Json], order: list[Json], *, identity: Callable[[Json], Json]) -> None:
    """The patched items must be named by the order list, in the same order."""
    wanted = iter([identity(item) for item in order])
    if not all(any(identity(item) == key for key in wanted) for item in patched):
        raise _internal(
            f"The order in patch list:\n{go_format(patched)}\n doesn't match $setElementOrder list:\n{go_format(order)}\n"
        )


def _in_order(
    merged: list[Json], original: list[Json], order: list[Json], *, identity: Callable[[Json], Json]
) -> list[Json]:
    """Items named by *order* in that order; the others keep their place relative to those that were there before.

    An item that is new comes before all that the patch does not name, which surprises people but is what the real
    server does.
    """
    rank = {_hashable(identity(item)): position for position, item in enumerate(order)}
    place = {_hashable(identity(item)): position for position, item in enumerate(original)}
    named = sorted(
        (item for item in merged if _hashable(identity(item)) in rank), key=lambda item: rank[_hashable(identity(item))]
    )
    others = [item for item in merged if _hashable(identity(item)) not in rank]
    result: list[Json] = []
    for item in named:
        position = place.get(_hashable(identity(item)))
        while others and position is not None and place.get(_hashable(identity(others[0])), position) < position:
            result.append(others.pop(0))
        result.append(item)
    return result + others


def _hashable(value: Json) -> Json:
    return repr(value) if isinstance(value, dict | list) else value


def go_format(value: Json) -> str:
    """A value as Go prints it in messages: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_format(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_format, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "<nil>" if value is None else str(value)


def _go_kind(value: Json) -> str:
    match value:
        case bool():
            return "bool"
        case dict():
            return "object"
        case list():
            return "array"
        case str():
            return "string"
        case _:
            return "number"
