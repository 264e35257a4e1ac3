"""Schemathesis over our OpenAPI document, however a request is sent."""

import itertools
import json
from collections.abc import Callable
from datetime import datetime

import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from addonry.gateway.openapi import describe
from addonry.gateway.signing import sign_request
from tests.wire.driver import Reply

NUMBERS = itertools.count()
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

Send = Callable[[str, str, dict[str, str], bytes], Reply]


def the_schema() -> schemathesis.BaseSchema:
    """Of the document as it is served."""
    return schemathesis.openapi.from_dict(json.loads(json.dumps(describe())))


def check(case: schemathesis.Case, send: Send, *, host: str, key: tuple[str, str], now: datetime) -> None:
    """Send the case, signed, and compare its answer with the document."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url=f"http://{host}")).prepare()
    body = prepared.body or b""
    content = body.encode() if isinstance(body, str) else body
    kept = {name: str(value) for name, value in prepared.headers.items() if name.lower() == "content-type"}
    signed = sign_request(
        prepared.method,
        prepared.path_url,
        {"host": host, "accept": "application/json", **kept},
        content,
        key_id=key[0],
        secret=key[1],
        now=now,
        nonce=f"fuzz-{next(NUMBERS)}",
    )
    reply = send(prepared.method, prepared.path_url, signed, content)
    # Paths that are not (an empty parameter, a slash within) may lead to another operation or to none.
    if reply.status == 405 or prepared.path_url.partition("?")[0].count("/") != case.operation.path.count("/"):
        assert reply.status < 500
        assert reply.json["Code"] or reply.status < 400
        return
    headers = {name: [value] for name, value in reply.headers.items()}
    response = schemathesis.Response(reply.status, headers, reply.body, prepared, elapsed=0.0, verify=False)
    case.validate_response(response, checks=CHECKS)
