"""The path of a request, whatever the operation."""

import asyncio
import contextlib
import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.errors import Refusal
from addonry.gateway.kept import Kept
from addonry.gateway.operation import PAGING, Call, Kind, Level, Operation, Parameter, Router, read_query
from addonry.gateway.operations import OPERATIONS
from addonry.gateway.operations.envelope import Tag
from addonry.gateway.request import WireRequest
from addonry.model.errors import InvalidParameter
from tests.wire.driver import REQUEST_ID, exchange
from tests.wire.fakes import CLUSTER, KEY, SECRET, a_lifecycle

STATUS = f"/clusters/{CLUSTER}/components/upgradestatus"


async def test_health_is_told_without_a_signature(client):
    reply = await exchange(client.app, "GET", "/healthz")
    assert (reply.status, reply.json) == (200, {"status": "ok"})


async def test_every_answer_carries_the_request_id_and_is_not_to_be_stored(client):
    for reply in (
        await client.get(STATUS),
        await client.get("/nowhere"),
        await exchange(client.app, "GET", "/healthz"),
    ):
        assert reply.headers["x-acs-request-id"] == REQUEST_ID
        assert reply.headers["cache-control"] == "no-store"
        assert int(reply.headers["content-length"]) == len(reply.body)


async def test_request_ids_are_upper_case_and_differ():
    app = build_gateway(a_lifecycle())
    ids = {(await exchange(app, "GET", "/healthz")).headers["x-acs-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(each == each.upper() and len(each) == 36 for each in ids)


async def test_head_is_get_without_its_body(client):
    got = await client.get(STATUS)
    head = await client.call("HEAD", STATUS)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_options_tells_the_methods_without_a_signature(client):
    reply = await exchange(client.app, "OPTIONS", f"/clusters/{CLUSTER}")
    assert (reply.status, reply.headers["allow"]) == (200, "DELETE, GET, HEAD, OPTIONS")
    assert (await exchange(client.app, "OPTIONS", "/nowhere")).status == 404


async def test_the_access_log_tells_who_did_what_and_no_secret(client, caplog):
    caplog.set_level(logging.DEBUG, "addonry")
    await client.post("/addonry/v1/keys?token=in-the-query", {"name": "ci"})
    line = next(record.getMessage() for record in caplog.records if record.name == "addonry.access")
    assert '"POST /addonry/v1/keys" 200' in line
    assert f"key={KEY}" in line
    assert "operation=CreateAccessKey" in line
    for secret in (SECRET, "only-once", "in-the-query", "Signature"):
        assert secret not in caplog.text


async def test_a_key_that_did_not_prove_itself_is_not_named_in_the_log(client, caplog):
    caplog.set_level(logging.INFO, "addonry")
    client.secret = "wrong"
    await client.get(STATUS)
    assert f"key={KEY}" not in caplog.text


async def test_a_refused_request_may_be_sent_again_a_served_one_not(client):
    """A nonce is noted only once the signature was accepted; otherwise a stranger could use up other people's."""
    from addonry.gateway.signing import sign_request

    signed = sign_request("GET", STATUS, {"host": "h"}, b"", key_id=KEY, secret=SECRET, now=client.now, nonce="one")
    forged = {**signed, "authorization": signed["authorization"][:-1] + "x"}
    assert (await exchange(client.app, "GET", STATUS, forged.items())).json["Code"] == "SignatureDoesNotMatch"
    assert (await exchange(client.app, "GET", STATUS, signed.items())).status == 200
    assert (await exchange(client.app, "GET", STATUS, signed.items())).json["Code"] == "SignatureNonceUsed"


async def test_a_client_that_goes_away_in_its_body_is_not_answered(client):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/clusters/{CLUSTER}/components/install",
        "query_string": b"",
        "headers": [(b"content-length", b"10")],
    }
    await client.app(scope, receive, send)
    assert sent == []


async def test_a_body_that_does_not_arrive_is_given_up():
    app = build_gateway(a_lifecycle(), GatewaySettings(body_seconds=0.01))
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/clusters",
        "query_string": b"",
        "headers": [(b"content-length", b"9")],
    }
    await app(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_the_application_may_be_started_and_stopped_by_a_server(client):
    incoming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent = []

    async def receive():
        return next(incoming)

    async def send(message):
        sent.append(message["type"])

    await client.app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_turned_away(client):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await client.app({"type": "websocket"}, receive, send)
    assert sent == ["websocket.close"]


def test_the_path_is_split_before_it_is_decoded():
    router = Router(OPERATIONS)
    selected = router.select("GET", "/clusters/c%2F1/components/a%20b%2fc/upgradestatus")
    assert selected.operation.name == "DescribeClusterAddonUpgradeStatus"
    assert selected.parameters == {"ClusterId": "c/1", "ComponentId": "a b/c"}


def test_literal_segments_win_over_parameters():
    router = Router(OPERATIONS)
    assert router.select("GET", "/clusters/c/components/version").operation.name == "DescribeClusterAddonsVersion"
    # A cluster called 'components' still has its tasks: the literal branch leads nowhere there.
    assert router.select("GET", "/clusters/components/tasks").parameters == {"cluster_id": "components"}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_found_where_it_is_declared(operation):
    router = Router(OPERATIONS)
    path = "/".join("x%20y" if part.startswith("{") else part for part in operation.path.split("/"))
    selected = router.select(operation.method, path)
    assert selected.operation is operation
    assert selected.parameters == dict.fromkeys(operation.parameters, "x y")


@given(st.sampled_from(["GET", "POST", "DELETE", "HEAD", "X"]), st.text("/%abc0fF{}clusters", max_size=60))
def test_any_path_is_selected_or_refused(method, path):
    router = Router(OPERATIONS)
    try:
        router.select(method, "/" + path)
    except (Refusal, InvalidParameter):
        return


@given(st.text('ab=&%+0fF;[]"', max_size=60))
def test_any_query_is_read_or_refused(query):
    try:
        read = read_query(query)
    except InvalidParameter:
        return
    assert sum(map(len, read.values())) == len([piece for piece in query.split("&") if piece])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(max_codepoint=255), max_size=30),
    st.text(st.characters(max_codepoint=255), max_size=30),
    st.dictionaries(
        st.sampled_from(["authorization", "accept", "x-acs-version", "x-acs-date", "host"]),
        st.text(st.characters(max_codepoint=255), max_size=30),
    ),
)
async def test_no_unsigned_request_is_a_fault_of_ours(client, path, query, headers):
    reply = await exchange(client.app, "GET", f"/{path.replace('?', '')}?{query}", headers.items())
    assert 400 <= reply.status < 500 or path == "healthz"
    assert reply.body


async def nothing(_call):
    """Nothing."""


PARAMETERS = (
    Parameter("a", Kind.FLAG),
    Parameter("n", Kind.NUMBER),
    Parameter("t"),
    Parameter("names", Kind.NAMES),
    Parameter("tags", Kind.OBJECTS),
    *PAGING,
)
ANY = Operation("Any", "GET", "/x", Level.GET, nothing, dict, query=PARAMETERS)


def a_call(query):
    return Call(a_lifecycle(), ANY, WireRequest("GET", "/x", query, {}), "R", {}, Kept())


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["key", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
).map(json.dumps)


@given(st.text('[]{}":,abkey 01-+eE.TtrueFalsé\\', max_size=40) | st.text(max_size=20) | JSONISH)
def test_any_value_of_any_parameter_is_read_or_refused(value):
    query = "&".join(f"{each.name}={quote(value, safe='')}" for each in PARAMETERS)
    readers = {
        "a": lambda call: call.flag("a"),
        "n": lambda call: call.number("n", 7, low=1, high=50),
        "t": lambda call: call.text("t"),
        "names": lambda call: call.names("names"),
        "tags": lambda call: call.objects("tags", Tag),
        "page": Call.page,
    }
    read = {}
    for name, reader in readers.items():
        with contextlib.suppress(InvalidParameter):
            read[name] = reader(a_call(query))
    assert read.get("n", 1) in range(1, 51)
    assert read.get("t", value) == value
    assert all(isinstance(each, str) and each for each in read.get("names", ())) or value.startswith("[")
    assert len(set(read.get("names", ()))) == len(read.get("names", ()))
    assert all(isinstance(each, Tag) for each in read.get("tags", ()))
    page = read.get("page")
    assert page is None or (1 <= page.size <= 100 and page.offset >= 0)


def test_what_an_operation_does_not_declare_it_does_not_read():
    """The OpenAPI document would not tell of it."""
    with pytest.raises(AssertionError, match="does not declare cluster_id"):
        a_call("cluster_id=c").text("cluster_id")


@pytest.mark.parametrize(
    ("query", "flag"),
    [
        ("a=True", True),
        ("a=true", True),
        ("a=TRUE", True),
        ("a=1", True),
        ("a=False", False),
        ("a=", False),
        ("", False),
    ],
)
def test_booleans_of_a_query_may_be_spelled_as_any_sdk_does(query, flag):
    assert a_call(query).flag("a") is flag


def test_a_boolean_that_is_none_is_refused():
    with pytest.raises(InvalidParameter):
        a_call("a=maybe").flag("a")


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("-3", 1), ("0", 1), ("99999999999999999999", 50), (" 8 ", 8), ("", 5)]
)
def test_numbers_out_of_range_are_moved_into_it(text, number):
    assert a_call(f"n={text.replace(' ', '%20')}").number("n", 5, low=1, high=50) == number
