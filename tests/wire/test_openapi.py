"""The OpenAPI document says of each operation what its declaration says."""

import json

import jsonschema
import pytest

from addonry.gateway.openapi import describe
from addonry.gateway.operations import OPERATIONS
from tests.wire.driver import exchange
from tests.wire.test_operations import EXCHANGES

DOCUMENT = describe()


def found(operation):
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


async def test_it_is_served_to_anybody(client):
    reply = await exchange(client.app, "GET", "/openapi.json")
    assert reply.status == 200
    assert reply.json == json.loads(json.dumps(DOCUMENT))
    assert reply.json["openapi"].startswith("3.1")


def test_it_has_each_operation_once_and_no_other():
    told = [each["operationId"] for path in DOCUMENT["paths"].values() for each in path.values()]
    assert sorted(told) == sorted(each.name for each in OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_it_says_of_an_operation(operation):
    told = found(operation)
    names = {(each["in"], each["name"]) for each in told["parameters"]}
    assert names == {
        *(("path", each) for each in operation.parameters),
        *(("query", each) for each in operation.declared),
    }
    assert ("requestBody" in told) is (operation.body is not None)
    assert {str(operation.status), "400", "403", "404", "429", "500"} <= told["responses"].keys()
    assert told["x-ram-action"] == operation.actions[0]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_bodies_and_answers_are_as_it_says(operation, client):
    method, target, body, status, _ = EXCHANGES[operation.name]
    told = found(operation)
    if body is not None:
        check(body, told["requestBody"]["content"]["application/json"]["schema"])
    reply = await client.call(method, target, body)
    check(reply.json, told["responses"][str(status)]["content"]["application/json"]["schema"])


async def test_refusals_are_as_it_says(client):
    reply = await client.get("/clusters/c0")
    check(reply.json, {"$ref": "#/components/schemas/Error"})


def check(value, schema):
    jsonschema.Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(value)


def test_every_reference_leads_somewhere():
    text = json.dumps(DOCUMENT)
    for reference in set(json.loads(f"[{', '.join(_references(text))}]")):
        at = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


def _references(text):
    import re

    return re.findall(r'"\$ref": ("[^"]+")', text)
