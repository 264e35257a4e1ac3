"""Who may do what, over the wire: a question of each operation, its refusal, and the record of it."""

import json
from datetime import timedelta

import pytest

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.operations import OPERATIONS
from addonry.gateway.origin import Origin, origin_of, read_networks
from addonry.gateway.signing import sign_request
from addonry.gateway.throttle import Rate, Throttle
from addonry.model.access import Policy
from addonry.model.clusters import Profile
from addonry.model.errors import InvalidParameter
from addonry.model.keys import Credential
from addonry.rules.access import SYSTEM_POLICIES
from tests.wire.driver import HOST, REQUEST_ID, Client, exchange
from tests.wire.fakes import CLUSTER, KEY, LIVE_TASK, NOW, SECRET
from tests.wire.test_operations import EXCHANGES

ANN = "ANNSKEY"


def allow(action="cs:*", resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, **more):
    return {**allow(action, **more), "Effect": "Deny"}


@pytest.fixture
def ann(lifecycle):
    """A caller whose policies are what a test says."""
    lifecycle.access.credentials[ANN] = Credential(ANN, SECRET, user="ann")
    caller = Client(lifecycle, key=ANN)

    def having(*statements):
        document = {"Version": "1", "Statement": list(statements)}
        lifecycle.access.attached["ann"] = (Policy("p", document),) if statements else ()
        return caller

    return having


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_no_operation_answers_a_user_whom_no_policy_allows_it(operation, ann, lifecycle):
    method, target, body, *_ = EXCHANGES[operation.name]
    before = len(lifecycle.asked)
    reply = await ann().call(method, target, body)
    assert (reply.status, reply.json["code"]) == (403, "StatusForbidden")
    assert reply.json["message"].startswith(f"RAM policy Forbidden for action {operation.actions[0]}")
    detail = reply.json["AccessDeniedDetail"]
    assert (detail["AuthAction"], detail["NoPermissionType"]) == (operation.actions[0], "ImplicitDeny")
    assert reply.json["accessDeniedDetail"] == detail
    assert all(asked[0] == "cluster" for asked in lifecycle.asked[before:]), "asked for its region alone"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_each_name_of_an_operations_action_allows_it(operation, ann):
    method, target, body, status, _ = EXCHANGES[operation.name]
    for action in operation.actions:
        reply = await ann(allow(action)).call(method, target, body)
        assert reply.status in {status, 400} or operation.name == "DeleteCluster", (action, reply.body)
        assert reply.status != 403


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.cluster], ids=lambda operation: operation.name
)
async def test_an_operation_on_a_cluster_can_be_limited_to_it(operation, ann):
    method, target, body, *_ = EXCHANGES[operation.name]
    here, elsewhere = (allow("cs:*", f"acs:cs:*:*:cluster/{each}") for each in (CLUSTER, "c0"))
    assert (await ann(elsewhere).call(method, target, body)).status == 403
    assert (await ann(here).call(method, target, body)).status != 403


async def test_what_addresses_no_cluster_matches_no_statement_that_names_one(ann):
    of_cluster = allow("cs:*", f"acs:cs:*:*:cluster/{CLUSTER}")
    for target in ("/api/v1/clusters", f"/tasks/{LIVE_TASK}", f"/tags?resource_ids=%5B%22{CLUSTER}%22%5D"):
        assert (await ann(of_cluster).get(target)).status == 403
        assert (await ann(allow()).get(target)).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("components/install", [{"name": "cert-manager"}, {"name": "coredns"}]),
        ("components/upgrade", [{"component_name": "cert-manager"}, {"component_name": "coredns"}]),
        ("components/uninstall", [{"name": "cert-manager"}, {"name": "coredns"}]),
    ],
)
async def test_components_that_a_body_names_are_asked_about_all_of_them(path, body, ann):
    target = f"/clusters/{CLUSTER}/{path}"
    only = allow(Condition={"StringEquals": {"cs:AddonNames": "cert-manager"}})
    without = deny("cs:*", Condition={"StringEquals": {"cs:AddonNames": "coredns"}})
    assert (await ann(only).post(target, body)).status == 403
    assert (await ann(only).post(target, body[:1])).status != 403
    refused = await ann(allow(), without).post(target, body)
    assert refused.json["AccessDeniedDetail"]["NoPermissionType"] == "ExplicitDeny"
    assert (await ann(allow(), without).post(target, body[:1])).status != 403


async def test_a_component_is_refused_by_its_alias_too(ann):
    without = deny("cs:*", Condition={"StringEquals": {"cs:AddonName": "metrics-server"}})
    for name in ("metrics-server", "metric-server"):
        reply = await ann(allow(), without).post(f"/clusters/{CLUSTER}/components/{name}/config", {"replicas": 1})
        assert reply.status == 403
    body = [{"component_name": "metric-server"}]
    assert (await ann(allow(), without).post(f"/clusters/{CLUSTER}/components/upgrade", body)).status == 403


async def test_the_tags_of_a_cluster_decide_where_a_policy_asks_for_them(ann, lifecycle):
    tagged = allow(Condition={"StringEquals": {"acs:ResourceTag/env": "test"}})
    lifecycle.set[CLUSTER] = Profile(tags={"env": "prod"})
    assert (await ann(tagged).get(f"/clusters/{CLUSTER}")).status == 403
    lifecycle.set[CLUSTER] = Profile(tags={"env": "test"})
    assert (await ann(tagged).get(f"/clusters/{CLUSTER}")).status == 200
    assert (await ann(tagged).get("/api/v1/clusters")).status == 403


@pytest.mark.parametrize("name", ["CreateCluster", "TagResources", "ModifyClusterTags"])
async def test_the_tags_of_a_request_decide_where_a_policy_asks_for_them(name, ann):
    method, target, body, status, _ = EXCHANGES[name]
    body = {**body, "tags": [{"key": "env", "value": "test"}]} if isinstance(body, dict) else body
    tests_only = allow(Condition={"StringEquals": {"acs:RequestTag/env": "test"}})
    assert (await ann(tests_only).call(method, target, body)).status == status
    changed = json.loads(json.dumps(body).replace('"test"', '"prod"'))
    assert (await ann(tests_only).call(method, target, changed)).status == 403


async def test_a_clusters_region_is_part_of_its_name(ann):
    assert (await ann(allow("cs:*", "acs:cs:local:*:cluster/*")).get(f"/clusters/{CLUSTER}")).status == 200
    assert (await ann(allow("cs:*", "acs:cs:cn-beijing:*:cluster/*")).get(f"/clusters/{CLUSTER}")).status == 403


async def test_that_a_cluster_does_not_exist_is_told_only_to_who_may_know(ann):
    assert (await ann().get("/clusters/c0")).json["code"] == "StatusForbidden"
    assert (await ann(allow()).get("/clusters/c0")).json["code"] == "ErrorClusterNotFound"


async def test_what_a_caller_says_of_himself_is_not_asked(ann):
    here = allow(Condition={"IpAddress": {"acs:SourceIp": "10.0.0.1"}, "Bool": {"acs:SecureTransport": "true"}})
    reply = await ann(here).get(
        f"/clusters/{CLUSTER}", x_acs_source_ip="10.0.0.1", x_acs_secure_transport="true", x_forwarded_for="10.0.0.1"
    )
    assert reply.status == 403


async def test_a_session_is_refused_in_the_words_of_sts(lifecycle):
    document = {"Version": "1", "Statement": [allow("cs:Describe*")]}
    lifecycle.access.credentials["STS.x"] = Credential(
        "STS.x", SECRET, security_token="t0ken", expires_at=NOW + timedelta(hours=1), session_policy=document
    )

    async def call(method, target):
        headers = {"host": HOST, "accept": "application/json"}
        nonce = f"{method}{target}"
        signed = sign_request(
            method, target, headers, b"", key_id="STS.x", secret=SECRET, now=NOW, nonce=nonce, security_token="t0ken"
        )
        return await exchange(Client(lifecycle).app, method, target, signed.items())

    assert (await call("GET", f"/clusters/{CLUSTER}")).status == 200
    refused = await call("DELETE", f"/clusters/{CLUSTER}")
    assert refused.json["message"].startswith("STSToken policy Forbidden for action cs:DeleteCluster")
    detail = refused.json["AccessDeniedDetail"]
    assert (detail["AuthPrincipalType"], detail["PolicyType"]) == ("AssumedRoleUser", "AccountLevelIdentityBasedPolicy")


async def test_reading_hands_out_no_kubeconfig(ann, lifecycle):
    caller = ann()
    lifecycle.access.attached["ann"] = (SYSTEM_POLICIES["AliyunCSReadOnlyAccess"],)
    assert (await caller.get(f"/clusters/{CLUSTER}/components/upgradestatus")).status == 200
    for target in (f"/k8s/{CLUSTER}/user_config", f"/api/v2/k8s/{CLUSTER}/user_config"):
        assert (await caller.get(target)).json["AccessDeniedDetail"]["NoPermissionType"] == "ExplicitDeny"


async def test_a_denial_is_an_xml_document_too(ann):
    reply = await ann().get("/clusters/c0", accept="application/xml")
    assert (reply.status, reply.xml.findtext("Code")) == (403, "StatusForbidden")


async def test_nobody_gives_himself_a_policy_or_a_key_of_the_account(ann, lifecycle):
    everything = allow("*")
    raised = await ann(everything).call("PUT", "/addonry/v1/users/ann/policies/AdministratorAccess")
    assert (raised.status, "himself" in raised.json["message"]) == (400, True)
    assert (await ann(everything).post("/addonry/v1/keys", {"name": "mine"})).json["user"] == "ann"
    assert ("attach", "ann", "AdministratorAccess") not in lifecycle.access.asked


# The record of it


async def test_every_call_is_recorded_with_what_decided_it(ann, client, lifecycle):
    await ann(allow("cs:Describe*")).get(f"/clusters/{CLUSTER}")
    await ann(allow("cs:Describe*")).call("DELETE", f"/clusters/{CLUSTER}")
    await client.call("DELETE", f"/clusters/{CLUSTER}")
    await client.get("/nowhere?secret=x")
    await exchange(client.app, "GET", f"/clusters/{CLUSTER}")
    await exchange(client.app, "GET", "/healthz")
    await exchange(client.app, "GET", "/openapi.json")
    told = [
        (each.operation, each.cluster, each.key, each.user, each.status, each.code, each.verdict)
        for each in lifecycle.access.recorded
    ]
    assert told == [
        ("DescribeClusterDetail", CLUSTER, ANN, "ann", 200, "", "p#1"),
        ("DeleteCluster", CLUSTER, ANN, "ann", 403, "StatusForbidden", ""),
        ("DeleteCluster", CLUSTER, KEY, "", 202, "", "account"),
        ("", "", "", "", 404, "InvalidApi.NotFound", ""),
        ("DescribeClusterDetail", CLUSTER, "", "", 400, "MissingVersion", ""),
    ]
    # What has changed something is on record before its answer.
    assert lifecycle.access.at_once == [False, False, True, False, False]
    assert {each.request_id for each in lifecycle.access.recorded} == {REQUEST_ID}
    assert "secret" not in json.dumps([each.path for each in lifecycle.access.recorded])


async def test_the_audit_log_can_be_read_and_filtered(client, lifecycle):
    await client.get(f"/clusters/{CLUSTER}")
    reply = await client.get(f"/addonry/v1/audit?user=ann&cluster_id={CLUSTER}&page_size=1")
    (record,) = reply.json["records"]
    assert (record["operation"], record["allowed_by"], record["status"]) == ("DescribeClusterDetail", "account", 200)
    assert ("audit", {"operation": "", "key": "", "user": "ann", "cluster": CLUSTER}) in lifecycle.access.asked


# Where a call comes from

TRUSTED = read_networks("10.0.0.0/8, 192.0.2.7,2001:db8::1")


@pytest.mark.parametrize(
    ("client", "headers", "expected"),
    [
        ("198.51.100.1", {}, Origin("198.51.100.1", is_encrypted=False)),
        ("198.51.100.1", {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https"}, Origin("198.51.100.1", False)),
        ("10.0.0.1", {"x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https"}, Origin("1.1.1.1", True)),
        # The caller may have written the first; what the last proxy of ours saw counts.
        ("10.0.0.1", {"x-forwarded-for": "9.9.9.9, 1.1.1.1, 192.0.2.7"}, Origin("1.1.1.1", False)),
        ("2001:db8::1", {"x-forwarded-for": "10.0.0.9"}, Origin("10.0.0.9", False)),
        ("10.0.0.1", {"x-forwarded-for": "rubbish"}, Origin("10.0.0.1", False)),
        ("10.0.0.1", {}, Origin("10.0.0.1", False)),
    ],
)
def test_only_a_proxy_that_is_named_is_believed(client, headers, expected):
    assert origin_of({"client": (client, 1), "scheme": "http"}, headers, TRUSTED) == expected


def test_who_is_trusted_must_be_addresses():
    assert read_networks("") == ()
    with pytest.raises(InvalidParameter, match="trusted-proxies"):
        read_networks("10.0.0.1,proxy.example.com")


# How often


def test_a_key_may_burst_and_then_waits_for_its_share():
    throttle = Throttle(Rate(per_second=10, burst=3))
    for _ in range(3):
        throttle.take("a", now=0.0)
    with pytest.raises(Exception, match="flow control") as refused:
        throttle.take("a", now=0.0)
    headers = dict(refused.value.headers)
    assert headers == {"x-acs-retry-after": "100", "x-ratelimit-user": "Limit:3,Remain:0,TimeLeft:100"}
    throttle.take("b", now=0.0)
    throttle.take("a", now=0.1)
    # What was not used is not saved up beyond the burst.
    for _ in range(3):
        throttle.take("a", now=100.0)
    with pytest.raises(Exception, match="flow control"):
        throttle.take("a", now=100.0)


async def test_too_many_requests_are_told_as_clients_wait_by_it(lifecycle):
    app = build_gateway(lifecycle, GatewaySettings(now=lambda: NOW, rate=Rate(per_second=0.001, burst=1)))

    async def call(number):
        signed = sign_request(
            "GET", "/regions", {"host": HOST}, b"", key_id=KEY, secret=SECRET, now=NOW, nonce=f"n{number}"
        )
        return await exchange(app, "GET", "/regions", signed.items())

    assert (await call(1)).status == 200
    reply = await call(2)
    assert (reply.status, reply.json["Code"]) == (429, "Throttling.User")
    assert 0 < int(reply.headers["x-acs-retry-after"]) <= 1_000_000
    assert reply.headers["x-ratelimit-user"].startswith("Limit:1,Remain:0,TimeLeft:")
    other = await exchange(app, "GET", "/regions")
    assert "x-acs-retry-after" not in other.headers
