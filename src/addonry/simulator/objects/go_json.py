"""What Go's JSON decoder says of text that is no JSON, and where members of an object come twice.

The words are those of the scanner in https://pkg.go.dev/encoding/json: the first byte that cannot follow, and what it
was looked at as. Numbers, names and depths are not limited here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_ENDED: Final = "unexpected end of JSON input"
_SPACE: Final = b" \t\r\n"
_LITERALS: Final = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_HEX: Final = b"0123456789abcdefABCDEF"
_DIGITS: Final = re.compile(rb"[0-9]*")
_PLAIN: Final = re.compile(rb'[^"\\\x00-\x1f]*')
_Pairs = list[tuple[str, Any]]


class _Fault(Exception):
    """Carries the message."""


def json_fault(data: bytes) -> str:
    """The message for *data* that cannot be decoded; empty when it is one JSON value."""
    try:
        end = _Scanner(data).document()
    except _Fault as fault:
        return str(fault)
    return "" if end == len(data) else f"invalid character {_quoted(data, end)} after top-level value"


def kind_of(value: Any) -> str:
    """The word of Go's messages for what a JSON value is."""
    kinds = ((bool, "bool"), (str, "string"), (dict, "object"), (list, "array"))
    return next((name for type_, name in kinds if isinstance(value, type_)), "number")


def duplicate_members(data: bytes) -> list[str]:
    """Paths of members that come more than once in the same object, in the order of the document."""
    twice = False

    def plain(pairs: _Pairs) -> None:
        nonlocal twice
        twice = twice or len({name for name, _ in pairs}) < len(pairs)

    try:
        json.loads(data, object_pairs_hook=plain)
        if not twice:
            return []
        return list(dict.fromkeys(_twice(json.loads(data, object_pairs_hook=_Members), "")))
    except (ValueError, RecursionError):
        return []


class _Members(tuple[tuple[str, Any], ...]):
    """An object with all that was written into it."""

    __slots__ = ()


def _twice(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Members):
        seen: set[str] = set()
        for name, part in value:
            where = f"{path}.{name}" if path else name
            if name in seen:
                yield where
            seen.add(name)
            yield from _twice(part, where)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _twice(part, f"{path}[{index}]")


def _quoted(data: bytes, at: int) -> str:
    """The character at a place as Go quotes it."""
    byte = data[at : at + 1]
    special = {b"'": r"'\''", b"\n": r"'\n'", b"\t": r"'\t'", b"\r": r"'\r'", b"\\": r"'\\'"}
    if byte in special:
        return special[byte]
    for length in (1, 2, 3, 4):
        try:
            found = data[at : at + length].decode()
        except UnicodeDecodeError:
            continue
        return f"'{found}'" if found.isprintable() else f"'\\x{data[at]:02x}'"
    return f"'\\x{data[at]:02x}'"


class _Scanner:
    """Finds the end of a value, or what is wrong with it; containers are kept on a list, so depth costs no stack."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def document(self) -> int:
        """The first place after the value that is no space."""
        at, closers = self._skip(0), bytearray()
        while True:
            at, closer = self._value(at)
            if closer:
                at, is_empty = self._first(at, closer)
                if not is_empty:
                    closers += closer
                    continue
            while closers:
                at, is_over = self._after_element(at, closers[-1])
                if not is_over:
                    break
                closers.pop()
            else:
                return self._skip(at)

    def _first(self, at: int, closer: bytes) -> tuple[int, bool]:
        """Where the first value of a container begins, or where the container ends when it has none."""
        at = self._skip(at)
        if self._data[at : at + 1] == closer:
            return at + 1, True
        return (self._key(at), False) if closer == b"}" else (at, False)

    def _after_element(self, at: int, closer: int) -> tuple[int, bool]:
        """Where the next value of a container begins, or where the container ends."""
        at = self._skip(at)
        byte = self._at(at)
        if byte == closer:
            return at + 1, True
        if byte != ord(","):
            raise self._wrong(at, "after object key:value pair" if closer == ord("}") else "after array element")
        at = self._skip(at + 1)
        return (self._key(at), False) if closer == ord("}") else (at, False)

    def _key(self, at: int) -> int:
        if self._at(at) != ord('"'):
            raise self._wrong(at, "looking for beginning of object key string")
        at = self._skip(self._string(at))
        if self._at(at) != ord(":"):
            raise self._wrong(at, "after object key")
        return self._skip(at + 1)

    def _value(self, at: int) -> tuple[int, bytes]:
        """The end of a plain value; or, of a container, where its content begins and what closes it."""
        byte = self._at(at)
        if byte == ord("{"):
            return at + 1, b"}"
        if byte == ord("["):
            return at + 1, b"]"
        if byte == ord('"'):
            return self._string(at), b""
        if byte in _LITERALS:
            return self._literal(at, _LITERALS[byte]), b""
        if byte == ord("-") or byte in b"0123456789":
            return self._number(at), b""
        raise self._wrong(at, "looking for beginning of value")

    def _literal(self, at: int, word: bytes) -> int:
        for offset in range(1, len(word)):
            if self._at(at + offset) != word[offset]:
                raise self._wrong(at + offset, f"in literal {word.decode()} (expecting '{chr(word[offset])}')")
        return at + len(word)

    def _number(self, at: int) -> int:
        if self._at(at) == ord("-"):
            at += 1
            if self._at(at) not in b"0123456789":
                raise self._wrong(at, "in numeric literal")
        at = at + 1 if self._at(at) == ord("0") else self._digits(at)
        if self._data[at : at + 1] == b".":
            at = self._some_digits(at + 1, "after decimal point in numeric literal")
        if self._data[at : at + 1] in (b"e", b"E"):
            at += 1
            if self._data[at : at + 1] in (b"+", b"-"):
                at += 1
            at = self._some_digits(at, "in exponent of numeric literal")
        return at

    def _some_digits(self, at: int, where: str) -> int:
        if self._at(at) not in b"0123456789":
            raise self._wrong(at, where)
        return self._digits(at)

    def _digits(self, at: int) -> int:
        found = _DIGITS.match(self._data, at)
        return found.end() if found else at

    def _string(self, at: int) -> int:
        at += 1
        while True:
            plain = _PLAIN.match(self._data, at)
            at = plain.end() if plain else at
            byte = self._at(at)
            if byte == ord('"'):
                return at + 1
            if byte != ord("\\"):
                raise self._wrong(at, "in string literal")
            at = self._escape(at + 1)

    def _escape(self, at: int) -> int:
        if self._at(at) != ord("u"):
            if self._at(at) not in b'bfnrt\\/"':
                raise self._wrong(at, "in string escape code")
            return at + 1
        for offset in range(1, 5):
            if self._at(at + offset) not in _HEX:
                raise self._wrong(at + offset, "in \\u hexadecimal character escape")
        return at + 5

    def _skip(self, at: int) -> int:
        while self._data[at : at + 1] and self._data[at] in _SPACE:
            at += 1
        return at

    def _at(self, at: int) -> int:
        if at >= len(self._data):
            raise _Fault(_ENDED)
        return self._data[at]

    def _wrong(self, at: int, where: str) -> _Fault:
        return _Fault(f"invalid character {_quoted(self._data, at)} {where}")
