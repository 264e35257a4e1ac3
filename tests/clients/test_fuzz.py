"""Schemathesis over our OpenAPI document, against the running service with a simulated cluster.

As in ``tests/wire``, but with everything behind it: the store, the catalog, the cluster. Half of the requests are about the
cluster that there is.
"""

import http.client
import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.scenario.test_first_upgrade import register
from tests.support.fuzzing import check, the_schema
from tests.support.sdk import sdk
from tests.wire.driver import Reply

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

schema = the_schema()
SPARED = {"DeleteCluster", "DeleteAccessKey", "UpdateAccessKey"}
"""Of the real cluster and the key that signs they are tried elsewhere."""


@pytest.fixture(scope="module")
def cluster_id(service, simulator) -> str:
    return register(sdk(service.host, service.root_key), simulator.cluster("sim-1").kubeconfig())


@schema.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_the_service_answers_any_request_as_the_document_says(case, service, cluster_id):
    name = case.operation.definition.raw["operationId"]
    dice = random.Random(repr(case.path_parameters) + repr(case.query))
    for parameter in case.path_parameters or {}:
        if parameter.lower().replace("_", "") == "clusterid" and name not in SPARED and dice.random() < 0.5:
            case.path_parameters[parameter] = cluster_id

    def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        connection = http.client.HTTPConnection(service.host, timeout=10)
        try:
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            told = {key.lower(): value for key, value in response.getheaders()}
            return Reply(response.status, told, response.read())
        finally:
            connection.close()

    check(case, send, host=service.host, key=service.root_key, now=datetime.now(UTC))
