"""Every error has its row, and no row breaks a client."""

import json

import pytest

from addonry.gateway.errors import REFUSALS, WIRE, Refusal, body_of, describe
from addonry.model import errors as domain
from addonry.model.readiness import Blocker
from tests.wire.driver import HOST, REQUEST_ID, Client, exchange
from tests.wire.fakes import CLUSTER

STATUS = f"/clusters/{CLUSTER}/components/upgradestatus"


def tree(root):
    # Classes that a test made are not part of the tree.
    if root.__module__ == domain.__name__:
        yield root
    for child in root.__subclasses__():
        yield from tree(child)


EXAMPLES = [
    domain.InvalidParameter("name", "is missing"),
    domain.KubeconfigRejected("It would run a command."),
    domain.ClusterNameTaken("There is a cluster 'a' already."),
    domain.ClusterNotFound("c1"),
    domain.ComponentNotFound("coredns"),
    domain.VersionNotFound("coredns", "9"),
    domain.TaskNotFound("T-1"),
    domain.ComponentBusy("coredns", "T-1"),
    domain.AlreadyInstalled("coredns", "1"),
    domain.UpgradeNotPossible("coredns", (Blocker("A", "One.", "Do this."), Blocker("B", "Two.", "Do that."))),
    domain.ClusterUnreachable("No answer from https://10.0.0.1: services NotFound."),
    domain.ClusterRefused("Forbidden."),
    domain.ClusterRejected("Invalid."),
    domain.FieldConflict((("spec.replicas", "hpa"),)),
    domain.CatalogUnavailable("Down."),
    domain.ChartRejected("Unsafe."),
    domain.ValuesInvalid(("replicas: must be a number",)),
    domain.RenderFailed("nil pointer"),
    domain.HelmFailed("timed out"),
    domain.IllegalMove("T-1", "success", "begin"),
    domain.DataDirectoryBusy("Another process works on it."),
    domain.StoreUnavailable("The disk is full."),
]


def test_every_domain_error_has_its_row():
    assert set(tree(domain.AddonryError)) == set(WIRE)


def test_no_code_is_empty_or_a_bare_number():
    """Terraform takes an empty code for every code, and ``400`` for 'gone' (ack-gateway 5.6)."""
    for row in (*WIRE.values(), *REFUSALS.values()):
        assert row.code
        assert not row.code.isdigit()
        assert 400 <= row.status < 600


def test_not_found_is_said_of_what_is_not_there_and_only_then():
    for row in (*WIRE.values(), *REFUSALS.values()):
        assert ("NotFound" in row.code) == (row.status == 404)


def test_5xx_are_our_own_faults_only():
    """Terraform repeats them for five minutes."""
    faults = {kind for kind, row in WIRE.items() if row.status >= 500}
    assert faults == {domain.AddonryError, domain.StoreUnavailable, domain.DataDirectoryBusy}
    assert {code for code, row in REFUSALS.items() if row.status >= 500} == {"InternalError"}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
async def test_an_error_is_answered_in_both_spellings_with_its_remedy(error, client, lifecycle):
    lifecycle.error = error
    reply = await client.get(STATUS)
    row = WIRE[type(error)]
    body = reply.json
    assert (reply.status, body["Code"], body["code"], body["status"]) == (row.status, row.code, row.code, row.status)
    assert body["Message"] == body["message"]
    assert error.remedy in body["message"]
    assert body["RequestId"] == body["requestId"] == reply.headers["x-acs-request-id"] == REQUEST_ID
    assert body["HostId"] == HOST
    assert body["Recommend"] == ""
    assert ("NotFound" in body["message"]) <= (reply.status == 404)
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert "x-acs-retry-after" not in reply.headers


async def test_a_bug_is_answered_without_its_details_and_logged_with_them(client, lifecycle, caplog):
    lifecycle.error = RuntimeError("password=hunter2")
    reply = await client.get(STATUS)
    assert (reply.status, reply.json["Code"]) == (500, "InternalError")
    assert b"hunter2" not in reply.body
    assert f"request {REQUEST_ID}" in caplog.text
    assert "hunter2" in caplog.text


async def test_an_error_is_xml_when_xml_was_asked_for(client):
    """The SDKs read an XML error under exactly this type, with exactly this root (ack-gateway 5.3)."""
    reply = await client.get("/clusters/c1/components/upgradestatus", accept="application/xml")
    assert (reply.status, reply.headers["content-type"]) == (404, "text/xml;charset=utf-8")
    assert reply.xml.tag == "Error"
    assert {each.tag: each.text for each in reply.xml} == {
        "RequestId": REQUEST_ID,
        "HostId": HOST,
        "Code": "ErrorClusterNotFound",
        "Message": "There is no cluster 'c1'. List the registered clusters with `addonry clusters list`.",
        "Recommend": None,
    }


async def test_refusals_before_the_route_are_json_too(client):
    for method, target, status, code in [
        ("GET", "/", 404, "InvalidApi.NotFound"),
        ("GET", "/nowhere", 404, "InvalidApi.NotFound"),
        ("GET", "//clusters", 404, "InvalidApi.NotFound"),
        ("GET", "/clusters//components/version", 404, "InvalidApi.NotFound"),
        ("GET", f"/clusters/{CLUSTER}/", 404, "InvalidApi.NotFound"),
        ("GET", "/%ff/x", 404, "InvalidApi.NotFound"),
        ("PATCH", "/clusters", 405, "UnsupportedHTTPMethod"),
        ("GET", f"/clusters/{CLUSTER}/components/install", 405, "UnsupportedHTTPMethod"),
        ("GET", STATUS + "?a=" + "x" * 17_000, 414, "RequestUriTooLarge"),
        ("GET", "/" + "x" * 5_000, 414, "RequestUriTooLarge"),
        ("GET", STATUS, 400, "MissingVersion"),
        ("GET", "/tasks/%ff", 400, "InvalidParameter"),
        ("GET", "/tasks/T%00", 400, "InvalidParameter"),
    ]:
        reply = await exchange(client.app, method, target)
        assert (reply.status, reply.json["Code"], reply.json["code"]) == (status, code, code), target
        assert reply.json["Message"]


async def test_a_wrong_method_is_told_the_right_ones(client):
    reply = await exchange(client.app, "PUT", f"/clusters/{CLUSTER}")
    assert reply.status == 405
    assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"


async def test_headers_are_limited(client):
    reply = await exchange(client.app, "GET", STATUS, [("x-a", "a" * 40_000)])
    assert (reply.status, reply.json["Code"]) == (431, "RequestHeaderTooLarge")


async def test_a_body_is_refused_while_it_arrives_not_after_it_was_kept(client):
    def stream():
        yield from (b" " * 65_536 for _ in range(70))

    reply = await exchange(client.app, "POST", f"/clusters/{CLUSTER}/components/install", chunks=stream())
    assert (reply.status, reply.json["Code"]) == (413, "RequestEntityTooLarge")
    assert reply.headers["connection"] == "close"


async def test_a_body_in_chunks_is_one_body(client):
    """Node's SDK sends every body so."""
    reply = await exchange(
        client.app, "POST", f"/clusters/{CLUSTER}/components/install", chunks=[b"[", b'{"name":', b'"a"}]']
    )
    assert reply.json["Code"] == "MissingVersion"


async def test_throttling_alone_carries_the_header_that_clients_wait_by(lifecycle):
    """Newer clients take any error with x-acs-retry-after for throttling (ack-gateway, section 0)."""
    client = Client(lifecycle)
    client.app._nonces._capacity = 1
    assert (await client.get(STATUS)).status == 200
    reply = await client.get(STATUS)
    assert (reply.status, reply.json["Code"]) == (429, "Throttling.User")
    assert int(reply.headers["x-acs-retry-after"]) > 0


def test_a_class_of_error_that_comes_later_is_still_answered():
    class Later(domain.ClusterNotFound):
        pass

    assert describe(Later("c")).code == "ErrorClusterNotFound"


def test_the_body_of_a_refusal_is_plain_json():
    fault = describe(Refusal("MissingAccessKeyId", remedy="Sign it."))
    body = json.loads(json.dumps(body_of(fault, request_id="R", host="h")))
    assert body["Message"].endswith("Sign it.")
    assert all(isinstance(body[name], str) for name in ("Code", "Message", "RequestId", "HostId", "Recommend"))
