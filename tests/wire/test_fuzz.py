"""Schemathesis over our OpenAPI document: whatever fits it, or nearly does, is answered as the document says.

A 5xx would be our own fault, and an answer that is not in the document one that clients do not know.
"""

import asyncio
import itertools
import json

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.openapi import describe
from addonry.gateway.signing import sign_request
from tests.wire.driver import HOST, exchange
from tests.wire.fakes import KEY, NOW, SECRET, a_lifecycle

schema = schemathesis.openapi.from_dict(json.loads(json.dumps(describe())))
schema.config.generation.update(allow_x00=True)

NUMBERS = itertools.count()


def send(case: schemathesis.Case) -> schemathesis.Response:
    """The case as a signed request, and its answer."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url=f"http://{HOST}")).prepare()
    body = prepared.body or b""
    content = body.encode() if isinstance(body, str) else body
    kept = {name: str(value) for name, value in prepared.headers.items() if name.lower() == "content-type"}
    signed = sign_request(
        prepared.method,
        prepared.path_url,
        {"host": HOST, "accept": "application/json", **kept},
        content,
        key_id=KEY,
        secret=SECRET,
        now=NOW,
        nonce=f"n{next(NUMBERS)}",
    )
    app = build_gateway(a_lifecycle(), GatewaySettings(now=lambda: NOW))
    reply = asyncio.run(exchange(app, prepared.method, prepared.path_url, signed.items(), content))
    headers = {name: [value] for name, value in reply.headers.items()}
    return schemathesis.Response(reply.status, headers, reply.body, prepared, elapsed=0.0, verify=False)


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_any_request_is_answered_as_the_document_says(case):
    response = send(case)
    # Paths that are not (an empty parameter, a slash within) may lead to another operation or to none.
    if response.status_code == 405:
        assert response.json()["Code"] == "UnsupportedHTTPMethod"
        return
    if response.request.path_url.partition("?")[0].count("/") != case.operation.path.count("/"):
        assert response.status_code < 500
        return
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
