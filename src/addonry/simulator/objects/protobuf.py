"""Read `application/vnd.kubernetes.protobuf` request bodies into the JSON form of their object.

Typed clients (Helm's release Secrets, `kubectl create namespace`) send nothing else and do not fall back to JSON.
A body is four magic bytes and a `runtime.Unknown` that names the kind and holds its message:
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding. What the messages look like is the table
`data/messages.json`, reduced from Kubernetes' published `generated.proto` files by `tools/reduce_protobuf.py`; any
kind named there can be read, so a new kind needs no code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Final

MAGIC: Final = b"k8s\x00"
_MAX_DEPTH: Final = 100
META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1."
_UNKNOWN: Final = "k8s.io.apimachinery.pkg.runtime.Unknown"
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# A Go client writes every field that is no pointer, so a zero on the wire may mean "not given". These are the fields
# where it does; all other zeros are kept, because `replicas: 0` is something one says.
_ZERO_IS_ABSENT: Final = frozenset(
    (
        # numbers
        *(
            "minReadySeconds",
            "hostPort",
            "nodePort",
            "healthCheckNodePort",
            "generation",
            "observedGeneration",
            "count",
        ),
        *("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"),
        *("updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "currentReplicas"),
        *("active", "succeeded", "failed"),
        # truth values
        *("hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly", "paused"),
        *("publishNotReadyAddresses", "unschedulable"),
    )
)
_EMPTY_IS_SAID: Final = frozenset(("storageClassName",))


class DecodeError(Exception):
    """A body that is no protobuf of a known kind."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def decode(body: bytes) -> dict[str, Any]:
    """The object in *body* as JSON would have it. Raises DecodeError, never anything else."""
    if not body.startswith(MAGIC):
        raise DecodeError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    envelope = {number: value for number, _, value in _fields(body[len(MAGIC) :])}
    type_meta = {number: _text(value) for number, _, value in _fields(_bytes(envelope.get(1, b"")))}
    api_version, kind = type_meta.get(1, ""), type_meta.get(2, "")
    if envelope.get(3):
        raise DecodeError(f"content encoding {_text(envelope[3])!r} is not supported, send the object as it is")
    message = message_of(api_version, kind)
    if message is None:
        raise DecodeError(f'no kind "{kind}" is registered for version "{api_version}" in protobuf, send it as JSON')
    decoded = _decode(_bytes(envelope.get(2, b"")), message, depth=0)
    return {"kind": kind, "apiVersion": api_version, **decoded}


def knows(api_version: str, kind: str) -> bool:
    """Whether bodies of this kind can be decoded."""
    return message_of(api_version, kind) is not None


@cache
def messages() -> dict[str, dict[int, list[str]]]:
    """Per message its fields by number: name, type, and label where it has one."""
    table = json.loads(resources.files(__package__).joinpath("data/messages.json").read_bytes())
    return {name: {int(number): field for number, field in fields.items()} for name, fields in table.items()}


def message_of(api_version: str, kind: str) -> str | None:
    """The name of the message that holds objects of a kind, if one is known."""
    group, _, version = api_version.rpartition("/")
    package = group.partition(".")[0] or "core"
    candidates = (f"k8s.io.api.{package}.{version}.{kind}", META + kind)
    return next((name for name in candidates if kind and name in messages()), None)


# The wire format, https://protobuf.dev/programming-guides/encoding/


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data):
            raise DecodeError("unexpected EOF")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7
        if shift >= 70:
            raise DecodeError("proto: integer overflow")


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Field number, wire type and raw value of each field of a message."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise DecodeError("proto: illegal tag 0")
        if wire == _VARINT:
            value, position = _varint(data, position)
            yield number, wire, value
            continue
        if wire == _LENGTH:
            length, position = _varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise DecodeError(f"proto: illegal wireType {wire}")
        if length > len(data) - position:
            raise DecodeError("unexpected EOF")
        yield number, wire, data[position : position + length]
        position += length


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise DecodeError("proto: wrong wireType")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise DecodeError("proto: string field contains invalid UTF-8") from None


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise DecodeError("proto: wrong wireType")
    return value - (1 << 64) if value >> 63 else value


def _decode(data: bytes, message: str, *, depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise DecodeError("proto: message is nested too deeply")
    fields = messages().get(message, {})
    result: dict[str, Any] = {}
    for number, wire, raw in _fields(data):
        field = fields.get(number)
        if field is None:
            continue  # of a newer Kubernetes than the table
        name, type_, label = field[0], field[1], field[2] if len(field) > 2 else ""
        match label:
            case "map":
                key, value = _map_entry(_bytes(raw), type_, depth=depth)
                result.setdefault(name, {})[key] = value
            case "list":
                _append(result.setdefault(name, []), raw, wire, type_, depth=depth)
            case "inline":
                result.update(_decode(_bytes(raw), type_[1:], depth=depth + 1))
            case _:
                value = _value(raw, type_, depth=depth)
                if not _is_absent(name, value):
                    result[name] = value
    return result


def _append(items: list[Any], raw: int | bytes, wire: int, type_: str, *, depth: int) -> None:
    if wire == _LENGTH and type_ in ("int32", "int64", "bool"):
        data, position = _bytes(raw), 0
        while position < len(data):
            value, position = _varint(data, position)
            items.append(_value(value, type_, depth=depth))
    else:
        items.append(_value(raw, type_, depth=depth))


def _map_entry(data: bytes, type_: str, *, depth: int) -> tuple[str, Any]:
    key, raw = "", None
    for number, _, value in _fields(data):
        if number == 1:
            key = _text(value)
        elif number == 2:
            raw = value
    if raw is None:
        raw = 0 if type_ in ("int32", "int64", "bool") else b""
    return key, _value(raw, type_, depth=depth)


def _is_absent(name: str, value: Any) -> bool:
    if value is None or (value == "" and name not in _EMPTY_IS_SAID):
        return True
    return not value and value != "" and not isinstance(value, dict | list) and name in _ZERO_IS_ABSENT


def _value(raw: int | bytes, type_: str, *, depth: int) -> Any:
    match type_:
        case "string":
            return _text(raw)
        case "bytes":
            return base64.b64encode(_bytes(raw)).decode()
        case "bool":
            return bool(_signed(raw))
        case "int64":
            return _signed(raw)
        case "int32":
            value = _signed(raw) & 0xFFFFFFFF
            return value - (1 << 32) if value >> 31 else value
        case _:
            return _special(_bytes(raw), type_[1:], depth=depth)


def _special(data: bytes, message: str, *, depth: int) -> Any:
    """Messages that JSON writes in a form of their own."""
    match message.rpartition(".")[2]:
        case "Time" | "MicroTime" if message.startswith(META):
            return _moment(data, with_micros=message.endswith("MicroTime"))
        case "Quantity":
            return next((_text(value) for number, _, value in _fields(data) if number == 1), "0")
        case "IntOrString":
            parts = {number: value for number, _, value in _fields(data)}
            is_text = _signed(parts.get(1, 0)) == 1
            return _text(parts.get(3, b"")) if is_text else _value(parts.get(2, 0), "int32", depth=depth)
        case "FieldsV1" | "RawExtension":
            return _embedded(next((_bytes(value) for number, _, value in _fields(data) if number == 1), b""))
        case "ExtraValue":
            return _decode(data, message, depth=depth + 1).get("items", [])
        case _:
            return _decode(data, message, depth=depth + 1)


def _moment(data: bytes, *, with_micros: bool) -> str | None:
    """RFC 3339; Go's zero time is an empty message and nothing in JSON."""
    if not data:
        return None
    parts = {number: _signed(value) for number, _, value in _fields(data)}
    try:
        moment = _EPOCH + timedelta(seconds=parts.get(1, 0), microseconds=parts.get(2, 0) // 1000)
    except OverflowError:
        raise DecodeError("time is out of range") from None
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    return f"{text}.{moment.microsecond:06d}Z" if with_micros else f"{text}Z"


def _embedded(data: bytes) -> Any:
    if not data:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise DecodeError("an embedded object is not JSON") from None
