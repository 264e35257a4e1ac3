"""Write objects as `application/vnd.kubernetes.protobuf`, the form typed clients ask for first.

The reverse of `protobuf.decode`, from the same table of messages. What JSON leaves out is left out here too; a client
then sees the zero of its type, as it would from a real server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from .protobuf import MAGIC, META, message_of, messages

_VARINT, _LENGTH = 0, 2
_MASK: Final = (1 << 64) - 1


class EncodeError(Exception):
    """The object does not fit the message of its kind, or there is none."""


def encode(obj: Mapping[str, Any]) -> bytes:
    """The object, which names its kind, as protobuf; raises EncodeError for one that has no such form."""
    api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
    message = message_of(api_version, kind)
    if message is None:
        raise EncodeError(f"{api_version} {kind} has no protobuf form")
    try:
        raw = _message(obj, message)
    except (AttributeError, TypeError, ValueError) as error:
        raise EncodeError(f"{api_version} {kind}: {error}") from error
    type_meta = _part(1, api_version.encode()) + _part(2, kind.encode())
    return MAGIC + _part(1, type_meta) + _part(2, raw) + _part(3, b"") + _part(4, b"")


def _message(obj: Mapping[str, Any], message: str) -> bytes:
    return b"".join(_fields(obj, message))


def _fields(obj: Mapping[str, Any], message: str) -> Iterator[bytes]:
    for number, field in messages().get(message, {}).items():
        name, type_, label = field[0], field[1], field[2] if len(field) > 2 else ""
        if label == "inline":
            # What is written into its parent in JSON is a message of its own here.
            if inner := _message(obj, type_[1:]):
                yield _part(number, inner)
            continue
        value = obj.get(name)
        if value is None:
            continue
        match label:
            case "map":
                for key, part in value.items():
                    yield _part(number, _part(1, key.encode()) + _value(2, part, type_))
            case "list":
                for part in value:
                    yield _value(number, part, type_)
            case _:
                yield _value(number, value, type_)


def _value(number: int, value: Any, type_: str) -> bytes:
    match type_:
        case "string":
            return _part(number, value.encode())
        case "bytes":
            return _part(number, base64.b64decode(value))
        case "bool" | "int32" | "int64":
            return _varint(number << 3 | _VARINT) + _varint(int(value) & _MASK)
        case _:
            return _part(number, _special(value, type_[1:]))


def _special(value: Any, message: str) -> bytes:
    """Messages that JSON writes in a form of their own."""
    match message.rpartition(".")[2]:
        case "Time" | "MicroTime" if message.startswith(META):
            moment = datetime.fromisoformat(value)
            return _integer(1, int(moment.timestamp())) + _integer(2, moment.microsecond * 1000)
        case "Quantity":
            return _part(1, str(value).encode())
        case "IntOrString":
            is_text = isinstance(value, str)
            return _integer(1, int(is_text)) + (_part(3, value.encode()) if is_text else _integer(2, value))
        case "FieldsV1" | "RawExtension":
            return _part(1, json.dumps(value, separators=(",", ":")).encode())
        case "ExtraValue":
            return b"".join(_part(1, part.encode()) for part in value)
        case _:
            return _message(value, message)


# The wire format, https://protobuf.dev/programming-guides/encoding/


def _part(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(data)) + data


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value & _MASK)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
