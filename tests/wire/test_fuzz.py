"""Schemathesis over our OpenAPI document: whatever fits it, or nearly does, is answered as the document says.

A 5xx would be our own fault, and an answer that is not in the document one that clients do not know. The same against the
running service is in ``tests/clients``.
"""

import asyncio

from hypothesis import HealthCheck, Phase, settings

from addonry.gateway import GatewaySettings, build_gateway
from tests.support.fuzzing import check, the_schema
from tests.wire.driver import HOST, exchange
from tests.wire.fakes import KEY, NOW, SECRET, a_lifecycle

schema = the_schema()


def send(method, target, headers, body):
    app = build_gateway(a_lifecycle(), GatewaySettings(now=lambda: NOW))
    return asyncio.run(exchange(app, method, target, headers.items(), body))


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_any_request_is_answered_as_the_document_says(case):
    check(case, send, host=HOST, key=(KEY, SECRET), now=NOW)
