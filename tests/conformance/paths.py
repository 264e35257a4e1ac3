"""Finds values in an object: `status.conditions[type=Ready].status`, `items[0].spec`, `items[*].metadata.name`, `items.#`.

A name with dots stands in quotes in brackets: `metadata.annotations["kubernetes.io/change-cause"]`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\.?(?P<name>[\w$:/-]+|\#)|\[(?P<index>-?\d+)\]|\[(?P<all>\*)\]|\["(?P<quoted>[^"]+)"\]"""
    r"""|\[(?P<key>[\w.]+)=(?P<value>[^\]]*)\]"""
)


class Missing(Exception):
    """There is nothing at that path."""


def value_at(obj: Any, path: str) -> Any:
    """The value, a list of values where the path says `[*]`; raises `Missing`."""
    if not path:
        return obj
    found = _TOKEN.match(path)
    if found is None:
        raise ValueError(f"A path cannot go on with {path!r}.")
    rest = path[found.end() :]
    if found["all"]:
        if not isinstance(obj, list):
            raise Missing(path)
        return [value for each in obj for value in _all(each, rest)]
    return value_at(_next(obj, found, path), rest)


def _all(obj: Any, rest: str) -> list[Any]:
    try:
        return [value_at(obj, rest)]
    except Missing:
        return []


def _next(obj: Any, found: re.Match[str], path: str) -> Any:
    try:
        if found["index"]:
            return obj[int(found["index"])]
        if found["key"]:
            return next(each for each in obj if [found["value"]] == [str(v) for v in _all(each, found["key"])])
        if found["name"] == "#":
            return len(obj or ())
        return obj[found["name"] or found["quoted"]]
    except (KeyError, IndexError, TypeError, StopIteration):
        raise Missing(path) from None


def shown(value: Any) -> str:
    """A value in one short line."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    line = " ".join(text.split())
    return line if len(line) <= 160 else f"{line[:157]}..."
