"""Calls without an Authorization header: bearer tokens, and the RPC calls outside of the Container Service."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.signing.rpc import string_to_sign
from addonry.model.keys import Credential
from tests.wire.driver import exchange
from tests.wire.fakes import CLUSTER

VECTORS = json.loads((Path(__file__).parent / "fixtures" / "ack-gateway-vectors.json").read_text())
RPC = VECTORS["rpc"]
BEARER = next(vector for vector in VECTORS["accept"] if vector["id"] == "bearer-python")
UNKNOWN = next(vector for vector in VECTORS["reject"] if vector["id"] == "neg-bearer-unknown")


@pytest.fixture
def app(lifecycle):
    """Knows the keys of the vectors, at the moment when they were recorded."""
    for key, known in VECTORS["credentials"].items():
        if key != "bearer_tokens":
            token = known.get("security_token")
            lifecycle.access.credentials[key] = Credential(key, known["secret"], security_token=token)
    for token in VECTORS["credentials"]["bearer_tokens"]:
        lifecycle.access.bearers[token] = Credential("STS.bearer", "s", security_token=token, user="")
    return lambda now: build_gateway(lifecycle, GatewaySettings(now=lambda: now))


def moment(vector):
    parameters = dict(parse_qsl(vector["request"]["target"].partition("?")[2]))
    return datetime.strptime(parameters["Timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


async def send(app, vector):
    request = vector["request"]
    return await exchange(app, request["method"], request["target"], request["headers"], request["body"].encode())


@pytest.mark.parametrize("vector", RPC, ids=lambda vector: vector["id"])
async def test_recorded_calls_are_answered(vector, app):
    target = vector["request"]["target"]
    parameters = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))
    assert string_to_sign("POST", parameters) == vector["expect"]["string_to_sign"]
    reply = await send(app(moment(vector)), vector)
    assert reply.status == 200
    if parameters["Action"] == "GetCallerIdentity":
        assert {"RequestId", "AccountId", "UserId", "PrincipalId", "Arn", "IdentityType"} == reply.json.keys()
    else:
        (endpoint,) = reply.json["Endpoints"]["Endpoint"]
        assert (endpoint["Id"], endpoint["SerivceCode"]) == ("cn-hangzhou", "cs")
        assert endpoint["Endpoint"] == dict(vector["request"]["headers"])["Host"]


@pytest.mark.parametrize("vector", RPC, ids=lambda vector: vector["id"])
async def test_a_call_is_good_once_and_for_fifteen_minutes(vector, app):
    served = app(moment(vector))
    assert (await send(served, vector)).status == 200
    assert (await send(served, vector)).json["Code"] == "SignatureNonceUsed"
    for late in (timedelta(minutes=16), timedelta(minutes=-16)):
        assert (await send(app(moment(vector) + late), vector)).json["Code"] == "InvalidTimeStamp.Expired"


@pytest.mark.parametrize("vector", RPC, ids=lambda vector: vector["id"])
async def test_any_changed_parameter_is_refused(vector, app):
    request = vector["request"]
    parameters = dict(parse_qsl(request["target"].partition("?")[2], keep_blank_values=True))
    for name, value in parameters.items():
        changed = {**parameters, name: f"{value}x"}
        target = f"/?{urlencode(changed)}"
        reply = await exchange(app(moment(vector)), request["method"], target, request["headers"])
        assert reply.status in {400, 404}, name
        without = {each: kept for each, kept in parameters.items() if each != name}
        reply = await exchange(app(moment(vector)), request["method"], f"/?{urlencode(without)}", request["headers"])
        assert reply.status in {400, 404}, name
    added = f"{request['target']}&Extra=1"
    reply = await exchange(app(moment(vector)), request["method"], added, request["headers"])
    assert reply.json["Code"] == "SignatureDoesNotMatch"


async def test_what_is_not_served_there_is_told(app):
    reply = await exchange(app(datetime.now(UTC)), "POST", "/?Action=RunInstances&Version=2014-05-26")
    assert (reply.status, reply.json["Code"]) == (404, "InvalidApi.NotFound")
    assert (await exchange(app(datetime.now(UTC)), "GET", "/")).status == 404


def here(app):
    """The same, called from this machine."""

    async def called(scope, receive, send):
        await app({**scope, "client": ("127.0.0.1", 1)}, receive, send)

    return called


def over_tls(app):
    async def called(scope, receive, send):
        await app({**scope, "client": ("192.0.2.1", 1), "scheme": "https"}, receive, send)

    return called


@pytest.mark.parametrize("way", [here, over_tls])
async def test_a_bearer_token_is_taken_here_and_over_tls(way, app):
    vector = {**BEARER, "request": {**BEARER["request"], "target": f"/clusters/{CLUSTER}"}}
    assert (await send(way(app(datetime.now(UTC))), vector)).status == 200
    assert (await send(way(app(datetime.now(UTC))), UNKNOWN)).json["Code"] == "InvalidBearerToken"


async def test_a_bearer_token_in_the_clear_from_elsewhere_is_refused(app):
    reply = await send(app(datetime.now(UTC)), BEARER)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidProtocol.NeedSsl")


async def test_a_bearer_token_ends_with_its_session(app, lifecycle):
    now = datetime.now(UTC)
    (token,) = VECTORS["credentials"]["bearer_tokens"]
    lifecycle.access.bearers[token] = Credential("STS.b", "s", security_token=token, expires_at=now)
    assert (await send(here(app(now)), BEARER)).json["Code"] == "InvalidBearerToken"
    assert (await send(here(app(now)), BEARER)).json["Code"] == "InvalidBearerToken"
