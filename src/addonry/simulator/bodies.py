"""What a client sent, read: JSON, YAML or protobuf in, a JSON value out, or the 400 with the server's words.

What the members of an object mean, and whether it is of the right kind, is decided where it is written.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import yaml

from addonry.simulator import errors
from addonry.simulator.messages import JSON, Request
from addonry.simulator.negotiation import PROTOBUF, YAML
from addonry.simulator.objects import DecodeError, decode, duplicate_members, json_fault, kind_of
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Object

_BODY_TYPES: Final = (JSON, YAML, PROTOBUF)
_SHOWN_BYTES: Final = 30
_STRATEGIC: Final = "application/strategic-merge-patch+json"
_MERGES: Final = ("application/merge-patch+json", _STRATEGIC)
# As Go prints the type into which kind and apiVersion of any object are read.
_HEAD_TYPE: Final = (
    r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
)

_decode_json = msgspec.json.Decoder().decode


def read_object(request: Request, resource: Resource) -> Object:
    """The object a client sent, whatever it is written in."""
    body = request.body
    match request.content_type or JSON:
        case "application/json":
            found = _json(body, resource)
        case "application/yaml":
            found = _yaml_object(body, resource)
        case "application/vnd.kubernetes.protobuf" if not resource.is_custom:
            return read_protobuf(body, resource)
        case _:
            raise errors.unsupported_media_type([JSON, YAML] if resource.is_custom else _BODY_TYPES)
    if found is None:
        return {}
    if not isinstance(found, dict):
        said = f"json: cannot unmarshal {kind_of(found)} into Go value of type {_HEAD_TYPE}"
        raise _no_kind(resource, said, body)
    for member in ("apiVersion", "kind"):
        if not isinstance(found.get(member), str | None):
            what = kind_of(found[member])
            said = f"json: cannot unmarshal {what} into Go struct field .{member} of type string"
            raise _no_kind(resource, said, body)
    return found


def duplicates(request: Request) -> tuple[str, ...]:
    """Members that a JSON body has twice; the last of them counts."""
    if request.content_type not in ("", JSON, *_MERGES):
        return ()
    return tuple(duplicate_members(request.body))


def read_patch(body: bytes, content_type: str) -> Any:
    """A patch that is no server-side apply; what is no JSON, or no object where one is due, gets the 400."""
    prefix = "" if content_type == _STRATEGIC else "error decoding patch: "
    try:
        found = _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.bad_request(prefix + (json_fault(body) or str(error))) from error
    if content_type in _MERGES and not isinstance(found, dict):
        said = f"json: cannot unmarshal {kind_of(found)} into Go value of type map[string]interface {{}}"
        raise errors.bad_request(prefix + said)
    return found


def read_yaml(body: bytes) -> Any:
    """An apply patch, or the options of a deletion."""
    try:
        return _yaml(body)
    except _Unreadable as error:
        raise errors.bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from error


def read_protobuf(body: bytes, resource: Resource) -> Object:
    try:
        return decode(body)
    except DecodeError as error:
        said = f"the object provided is unrecognized (must be of type {resource.kind}): {error}"
        raise errors.bad_request(f"{said} ({body[:200].hex()})") from error


def _json(body: bytes, resource: Resource) -> Any:
    try:
        return _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_kind(resource, json_fault(body) or str(error), body) from error


def _yaml_object(body: bytes, resource: Resource) -> Any:
    try:
        return _yaml(body)
    except _Unreadable as error:
        raise _unrecognized(resource, str(error), body) from error


def _no_kind(resource: Resource, why: str, body: bytes) -> errors.ApiError:
    return _unrecognized(resource, f"couldn't get version/kind; json parse error: {why}", body)


def _unrecognized(resource: Resource, why: str, body: bytes) -> errors.ApiError:
    said = f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({_summary(body)})"
    return errors.bad_request(said)


def _summary(body: bytes) -> str:
    """The beginning of a body: text where it may be JSON, otherwise hexadecimal."""
    if not body:
        return "<empty>"
    shown = body[:_SHOWN_BYTES]
    text = shown.decode("utf-8", "replace") if body.startswith(b"{") else shown.hex()
    return text if len(body) <= _SHOWN_BYTES else f"{text} ..."


class _Unreadable(Exception):
    """No YAML; the message is that of Go's reader."""


def _yaml(body: bytes) -> Any:
    try:
        return _decode_json(body)  # JSON is YAML, and nearly all clients send it
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return yaml.load(body, Loader=_StringDates)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        raise _Unreadable(_go_words(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _Unreadable(f"yaml: {str(error).splitlines()[0]}") from error


# How Go's reader says what Python's says; both descend from the same parser. The beginning decides.
_GO_PROBLEMS: Final = (
    ("expected the node content", "did not find expected node content"),
    ("expected ',' or ']'", "did not find expected ',' or ']'"),
    ("expected ',' or '}'", "did not find expected ',' or '}'"),
    ("expected <block end>", "did not find expected key"),
    ("expected '<document start>'", "did not find expected <document start>"),
    ("mapping values are not allowed here", "mapping values are not allowed in this context"),
    ("found character", "found character that cannot start any token"),
)


def _go_words(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or "")
    said = next((go for python, go in _GO_PROBLEMS if problem.startswith(python)), problem)
    if error.context == "while parsing a block collection":
        said = "did not find expected '-' indicator"
    # Lines count from one; Go's parser forgets to, its scanner does not, and neither tells the first line.
    lines = [mark.line for mark in (error.context_mark, error.problem_mark) if mark is not None and mark.line]
    if not lines:
        return f"yaml: {said}"
    line = lines[0] + (1 if isinstance(error, yaml.scanner.ScannerError) else 0)
    return f"yaml: line {line}: {said}"


class _StringDates(yaml.SafeLoader):
    """YAML as Kubernetes reads it: what looks like a date stays text."""


_StringDates.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
