"""JSON and XML: what goes out, and what comes in.

JSON is the contract; XML is for people and scripts (ack-gateway 5.2). Both are written from the same values: msgspec
structs, dicts, lists, text, numbers, booleans, None.
"""

import re
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from addonry.model.errors import InvalidParameter

JSON_TYPE: Final = "application/json; charset=utf-8"
XML_TYPE: Final = "application/xml; charset=utf-8"
XML_ERROR_TYPE: Final = "text/xml;charset=utf-8"
"""Spelled exactly so: the SDKs parse an XML error under this type only, and take another for success (5.3)."""

DEEPEST: Final = 64
"""How far values may be nested in XML; ours are not nested beyond half a dozen."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters outside https://www.w3.org/TR/xml/#charsets; no escape makes them legal."""
_QUOTED: Final = {'"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'

_encoder: Final = msgspec.json.Encoder()


class Form(StrEnum):
    """How an answer is written."""

    JSON = "json"
    XML = "xml"


def choose_form(accept: str, wanted: str = "") -> Form:
    """XML when ``Format=XML`` says so, or the Accept header prefers it to JSON; JSON in every other case."""
    match wanted.upper():
        case "XML":
            return Form.XML
        case "JSON":
            return Form.JSON
    if "xml" not in accept:
        return Form.JSON
    weights = {media: weight for media, weight in map(_weigh, accept.lower().split(",")) if media}
    xml = max(weights.get("application/xml", 0.0), weights.get("text/xml", 0.0))
    other = max(weights.get("application/*", 0.0), weights.get("*/*", 0.0))
    json = weights.get("application/json", other)
    return Form.XML if xml > json else Form.JSON


def _weigh(part: str) -> tuple[str, float]:
    media, *parameters = (each.strip() for each in part.split(";"))
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = min(max(float(value), 0.0), 1.0)
            except ValueError:
                weight = 0.0
    # A weight that is no number (q=nan) compares false with everything; treat it as not wanted.
    return media, weight if weight == weight else 0.0  # noqa: PLR0124 - the test for NaN


def write_json(value: Any) -> bytes:
    """*value* as compact UTF-8 JSON."""
    return _encoder.encode(value)


def write_xml(root: str, value: Any, *, request_id: str = "") -> bytes:
    """*value* as a document with the root element *root*, whose first child is the request id if there is one.

    Members become child elements, items of a list repeated elements of the member's name (``Item`` at the top).
    """
    parts = [_DECLARATION, f"<{root}>"]
    if request_id:
        _write(parts, "RequestId", request_id, 0)
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        for name, member in plain.items():
            _write(parts, str(name), member, 0)
    elif isinstance(plain, list):
        _write(parts, "Item", plain, 0)
    else:
        parts.append(_text(plain))
    parts.append(f"</{root}>\n")
    return "".join(parts).encode()


def _write(parts: list[str], name: str, value: Any, depth: int) -> None:
    if isinstance(value, list):
        for item in value:
            _write(parts, name if not isinstance(item, list) else "Item", item, depth + 1)
        return
    tag = attribute = name
    if _NAME.fullmatch(name):
        attribute = ""
    else:
        # A key that is no XML name (a leading digit, a slash, a blank) is told in an attribute.
        tag, attribute = "Item", f' name="{escape(_FORBIDDEN.sub("", name), _QUOTED)}"'
    if isinstance(value, dict) and depth < DEEPEST:
        parts.append(f"<{tag}{attribute}>")
        for key, member in value.items():
            _write(parts, str(key), member, depth + 1)
        parts.append(f"</{tag}>")
        return
    text = _text(value)
    parts.append(f"<{tag}{attribute}>{text}</{tag}>" if text else f"<{tag}{attribute}/>")


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return escape(_FORBIDDEN.sub("", value), {"\r": "&#13;"})
        case _:
            return escape(_FORBIDDEN.sub("", str(value)))


def read_body(body: bytes, content_type: str) -> Any:
    """The JSON in a body, whatever its content type says; None for no body.

    The aliyun CLI declares arrays ``application/octet-stream``, and in operation mode wraps the JSON into the one field
    of a form (ack-api 01, section 4). Raises InvalidParameter.
    """
    if not body.strip():
        return None
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        body = _unwrap(body)
    # PostgreSQL takes no NUL in a text, and nothing that is asked for here needs one.
    if rb"\u0000" in body:
        raise InvalidParameter("body", "holds a NUL character")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter("body", f"is not JSON: {_reason(error)}", remedy="Send valid JSON.") from error


def read_json_text(text: str, parameter: str) -> Any:
    """The JSON in a parameter or a member that carries it as text. Raises InvalidParameter naming *parameter*."""
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidParameter(parameter, f"is not JSON: {_reason(error)}") from error


def _unwrap(body: bytes) -> bytes:
    # A form whose body is JSON all the same has no single field; it is taken as it is.
    if body.lstrip()[:1] in {b"[", b"{"}:
        return body
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return body
    return fields[0][1].encode("utf-8", "replace") if len(fields) == 1 else body


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # The decoder's words name the position, never the content.
    return str(error).removeprefix("JSON is malformed: ")
