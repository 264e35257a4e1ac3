"""YAML from strangers: read only what can be read in bounded time and memory.

PyYAML builds what it is told to build: 200,000 nested brackets overflow the C stack of its loader and end the
process, and a few nested aliases stand for more values than any machine holds. So every document is walked first
as a stream of events, which costs no memory, and built only if it is small, flat and finite.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import yaml

MOST_DEPTH: Final = 100
MOST_VALUES: Final = 500_000
"""Values of one text, each alias counted as all it stands for; the largest public CRD files have some 100,000."""


class Unreadable(ValueError):
    """The text is no YAML, or none that may be read; says which."""


def read_documents(text: bytes) -> list[Any]:
    """The documents of *text*, made of what JSON knows and nothing else. Raises Unreadable."""
    _measure(text)
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except Exception as error:  # PyYAML's constructors raise whatever: IndexError for `!!int`, KeyError for `!!bool x`
        raise Unreadable(f"no YAML: {_first_line(error)}") from error
    return [_as_json(document) for document in documents]


def read_texts(text: bytes) -> Any:
    """The one document of *text* with every scalar as the text it is: 1.10 stays ``1.10``. Raises Unreadable."""
    _measure(text)
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CBaseLoader))
    except Exception as error:
        raise Unreadable(f"no YAML: {_first_line(error)}") from error
    if len(documents) != 1:
        raise Unreadable("not one document")
    return documents[0]


def read_mapping(text: bytes) -> dict[str, Any]:
    """The one document of *text*, which must be a mapping with strings for keys. Nothing counts as empty."""
    documents = read_documents(text)
    content = documents[0] if documents else None
    if content is None:
        return {}
    if len(documents) > 1 or not isinstance(content, dict):
        raise Unreadable("not one mapping of names to values")
    return content


def read_own(text: bytes) -> dict[str, Any]:
    """The mapping in a text of ours, taken at its word: nothing is measured, which takes as long again as reading."""
    content: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506 - it is a safe one
    return content


def events(text: bytes) -> Iterator[yaml.Event]:
    """The events of *text* in order. Raises Unreadable, also for too deep a nesting."""
    loader = yaml.CBaseLoader(text)
    depth = 0
    try:
        while (event := _next(loader)) is not None:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MOST_DEPTH:
                    raise Unreadable(f"nested deeper than {MOST_DEPTH} levels")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            yield event
    finally:
        loader.dispose()


def _next(loader: yaml.CBaseLoader) -> yaml.Event | None:
    try:
        event: yaml.Event | None = loader.get_event()
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(f"no YAML: {_first_line(error)}") from error
    return event


def _measure(text: bytes) -> None:
    """Count what *text* would become, without building it. Raises Unreadable if that is too much."""
    open_counts: list[tuple[int, str | None]] = [(0, None)]
    sizes: dict[str, int] = {}
    for event in events(text):
        if isinstance(event, yaml.CollectionStartEvent):
            open_counts.append((1, event.anchor))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            size, anchor = open_counts.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
        elif isinstance(event, yaml.AliasEvent):
            # An alias of something still open is a value that contains itself.
            size, anchor = sizes.get(event.anchor or "", MOST_VALUES + 1), None
        else:
            continue
        if anchor is not None:
            sizes[anchor] = size
        outer, name = open_counts.pop()
        open_counts.append((outer + size, name))
        if outer + size > MOST_VALUES:
            raise Unreadable(f"stands for more than {MOST_VALUES:,} values, or for itself")


class _Loader(yaml.CSafeLoader):
    """Reads plain scalars as Helm does: ``2026-11-23`` and ``80:8080`` are text, not a date and a number in base 60.

    tests/rooms/catalogs/test_fuzz.py asks Helm.
    """

    bool_values: ClassVar[dict[str, bool]] = {**yaml.CSafeLoader.bool_values, "y": True, "n": False}


_SCALARS: Final = (
    ("null", "~nN\0", r"~|null|Null|NULL|"),
    ("bool", "yYnNtTfFoO", r"[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"),
    ("int", "-+0123456789", r"[-+]?(?:0b[01_]+|0o?[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)"),
    ("float", "-+.0123456789", r"[-+]?(?:(?:[0-9][0-9_]*)?\.[0-9][0-9_]*|[0-9][0-9_]*\.?)(?:[eE][-+]?[0-9]+)?"),
    ("merge", "<", r"<<"),
)
"""Kind, first characters (none is the zero byte), form; the first that fits decides."""


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """The table in the form PyYAML wants: by first character."""
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for kind, firsts, form in _SCALARS:
        for first in firsts:
            key = "" if first == "\0" else first
            found.setdefault(key, []).append((f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{form})\Z")))
    return found


_Loader.yaml_implicit_resolvers = _resolvers()


def _as_json(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else _finite(float(value) if abs(value) < 10**300 else math.inf)
        case float():
            return _finite(value)
        case list():
            return [_as_json(item) for item in value]
        case dict():
            return {_key(key): _as_json(item) for key, item in value.items()}
        case _:
            raise Unreadable(f"with a {type(value).__name__} in it, which JSON does not know")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unreadable("with a number in it that is too large")
    return value


def _key(key: Any) -> str:
    match key:
        case str():
            return key
        case bool():
            return "true" if key else "false"
        case int():
            return str(key)
        case float():
            return repr(key).removesuffix(".0")
        case _:
            raise Unreadable("with a key that is no text")


def _first_line(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return str(problem).split("\n", maxsplit=1)[0][:200]
