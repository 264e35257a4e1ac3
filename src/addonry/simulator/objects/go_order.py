"""The members of a built-in object in the order in which Go writes them, for messages that hold whole objects.

The server keeps an object as JSON while it patches it: what the patch goes through are maps, whose members Go sorts by
name; what it leaves alone stays as it was written from the Go types, in the order of their fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .protobuf import message_of, messages


def in_go_order(patched: dict[str, Any], before: dict[str, Any], api_version: str, kind: str) -> dict[str, Any]:
    """*patched* as Go writes it; it shares with *before* what the patch left alone."""
    ordered: dict[str, Any] = _ordered(patched, before, message_of(api_version, kind) or "")
    return ordered


def _ordered(value: Any, before: Any, message: str) -> Any:
    if isinstance(value, list):
        others = before if isinstance(before, list) else []
        padded = [*others, *(None for _ in value[len(others) :])]
        return [_ordered(item, other, message) for item, other in zip(value, padded, strict=False)]
    if not isinstance(value, dict):
        return value
    fields = {name: (type_, label) for name, type_, label in _fields(message)}
    names = sorted(value)
    if fields and value is before:
        names = [name for name in fields if name in value] + [name for name in value if name not in fields]
    old = before if isinstance(before, dict) else {}
    return {name: _member(value[name], old.get(name), *fields.get(name, ("", ""))) for name in names}


def _member(value: Any, before: Any, message: str, label: str) -> Any:
    if label == "map" and isinstance(value, dict):
        return {name: _ordered(value[name], (before or {}).get(name), message) for name in sorted(value)}
    return _ordered(value, before, message)


def _fields(message: str) -> Iterator[tuple[str, str, str]]:
    """Name, message and label of each field of a message, in the order of Go's fields."""
    for name, type_, *labels in messages().get(message, {}).values():
        inner, label = type_.removeprefix("#") if type_.startswith("#") else "", labels[0] if labels else ""
        if label == "inline":
            yield from _fields(inner)
        else:
            yield name, inner, label
