"""Which form of an answer a client asks for, by its Accept header.

See https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

import msgspec
import yaml

from addonry.simulator import errors
from addonry.simulator.messages import JSON, Request, Response
from addonry.simulator.objects import EncodeError, encode

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
YAML: Final = "application/yaml"
_ANY_JSON: Final = (JSON, "*/*", "application/*")
_AVAILABLE: Final = (JSON, YAML, PROTOBUF)
_STREAMS: Final = (f"{JSON};stream=watch", f"{PROTOBUF};stream=watch")
_decode = msgspec.json.Decoder().decode


class Form(StrEnum):
    """What an answer is made of."""

    OBJECT = "Object"
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"
    TABLE = "Table"


def form_of(request: Request, *, is_custom: bool = False, is_list: bool = False) -> Form:
    """The form of the first Accept clause that can be met; 406 when none can."""
    if not request.accept:
        return Form.OBJECT
    known = False
    for media, parameters in _clauses(request.accept):
        if media not in (*_ANY_JSON, *_AVAILABLE):
            continue
        known = True
        if media == PROTOBUF and is_custom:
            continue
        match parameters.get("as"):
            case None:
                return Form.OBJECT
            case "Table" if parameters.get("v", "v1") == "v1":
                return Form.TABLE
            case "PartialObjectMetadata" if parameters.get("v", "v1") == "v1":
                return Form.PARTIAL
            case "PartialObjectMetadataList" if parameters.get("v", "v1") == "v1":
                return Form.PARTIAL_LIST
    if known:
        raise errors.no_such_form(_AVAILABLE)
    raise errors.not_acceptable([*_AVAILABLE, *(_STREAMS if is_list else ())])


def as_asked(request: Request, response: Response) -> Response:
    """A JSON answer in the encoding that the client likes best; it stays JSON where it has no other form."""
    if response.content_type != JSON or not response.body or response.stream is not None:
        return response
    for media, _ in _clauses(request.accept):
        if media in _ANY_JSON:
            return response
        if media == YAML:
            text = yaml.safe_dump(_decode(response.body), sort_keys=True)
            return replace(response, body=text.encode(), content_type=YAML)
        if media == PROTOBUF:
            try:
                return replace(response, body=encode(_object(response.body)), content_type=PROTOBUF)
            except EncodeError:
                continue
    return response


def _object(body: bytes) -> Mapping[str, Any]:
    found = _decode(body)
    if not isinstance(found, dict):
        raise EncodeError("only objects have a protobuf form")
    return found


def _clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    for clause in accept.split(","):
        media, *parameters = (part.strip() for part in clause.split(";"))
        yield media, dict(parameter.partition("=")[::2] for parameter in parameters)
