"""One exchange for each operation, and what else each promises."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import msgspec
import pytest

from addonry.gateway.operations import OPERATIONS
from addonry.lifecycle import ConfigureRequest, InstallRequest, PlannedChange, TaskHistory, UpgradeRequest
from addonry.model.catalog import Offer
from addonry.model.clusters import Reach
from addonry.model.components import Component, Placement, SourceKind
from addonry.model.errors import CatalogUnavailable
from addonry.model.ids import ComponentName, TaskId
from addonry.model.readiness import Severity
from addonry.model.tasks import (
    Edits,
    Event,
    EventLevel,
    Pace,
    Status,
    StepName,
    StepRecord,
    TaskKind,
    Trouble,
)
from tests.wire.driver import REQUEST_ID
from tests.wire.exchanges import MORE
from tests.wire.fakes import (
    CLUSTER,
    KEY,
    LIVE_TASK,
    NOW,
    TASK,
    TROUBLE,
    a_blocker,
    a_change,
    a_check,
    a_cluster,
    a_component,
    a_status,
    a_task,
    a_waiver,
    an_offer,
)

ACCEPTED = {"cluster_id": CLUSTER, "request_id": REQUEST_ID, "task_id": TASK}
KUBECONFIG = "apiVersion: v1\nkind: Config\n"


def a_field(path, before, after, *, change="changed"):
    return {
        "path": path,
        "change": change,
        "before": before,
        "after": after,
        "lines": [],
        "hidden": False,
        "noise": False,
    }


NEW_CLUSTER = {
    "name": "prod",
    "cluster_type": "ExternalKubernetes",
    "region_id": "cn-beijing",
    "vswitch_ids": ["vsw-1"],
    "kubeconfig": KUBECONFIG,
}
ALL_ACTIONS = ["Install", "Upgrade", "Modify", "Uninstall"]
ITEM = {"name": "coredns", "version": "1.40.0", "state": "active"}

EXCHANGES = {
    "DescribeClusterAddonsUpgradeStatus": ("GET", f"/clusters/{CLUSTER}/components/upgradestatus", None, 200, None),
    "DescribeClusterAddonUpgradeStatus": (
        "GET",
        f"/clusters/{CLUSTER}/components/coredns/upgradestatus",
        None,
        200,
        None,
    ),
    "DescribeClusterAddonsVersion": ("GET", f"/clusters/{CLUSTER}/components/version", None, 200, None),
    "InstallClusterAddons": (
        "POST",
        f"/clusters/{CLUSTER}/components/install",
        [{"name": "cert-manager", "version": "1.16.0", "config": '{"replicas":2}'}],
        200,
        ACCEPTED,
    ),
    "UpgradeClusterAddons": (
        "POST",
        f"/clusters/{CLUSTER}/components/upgrade",
        [{"component_name": "metrics-server", "next_version": "3.13.0", "policy": "overwrite"}],
        200,
        ACCEPTED,
    ),
    "UnInstallClusterAddons": (
        "POST",
        f"/clusters/{CLUSTER}/components/uninstall",
        [{"name": "coredns", "cleanup_cloud_resources": True}],
        200,
        ACCEPTED,
    ),
    "ModifyClusterAddon": (
        "POST",
        f"/clusters/{CLUSTER}/components/coredns/config",
        {"config": '{"replicas":3}'},
        200,
        {},
    ),
    "PauseTask": ("POST", f"/tasks/{LIVE_TASK}/pause", None, 200, {}),
    "ResumeTask": ("POST", f"/tasks/{LIVE_TASK}/resume", None, 200, {}),
    "CancelTask": ("POST", f"/tasks/{LIVE_TASK}/cancel", None, 200, {}),
    "PauseComponentUpgrade": ("POST", f"/clusters/{CLUSTER}/components/ingress-nginx/pause", None, 200, {}),
    "ResumeComponentUpgrade": ("POST", f"/clusters/{CLUSTER}/components/ingress-nginx/resume", None, 200, {}),
    "CancelComponentUpgrade": ("POST", f"/clusters/{CLUSTER}/components/ingress-nginx/cancel", None, 200, {}),
    "ConfigureComponents": (
        "POST",
        f"/addonry/v1/clusters/{CLUSTER}/configure",
        [{"name": "coredns", "config": '{"replicas":3}', "edits": "preserve", "canary": True}],
        200,
        ACCEPTED,
    ),
    "PlanChanges": (
        "POST",
        f"/addonry/v1/clusters/{CLUSTER}/plan",
        [{"name": "coredns", "canary": True}],
        200,
        {
            "changes": [
                {
                    "component_name": "coredns",
                    "task_type": "cluster_addon_upgrade",
                    "action": "upgrade",
                    "version": "1.0.0",
                    "next_version": "1.1.0",
                    "canary": True,
                    "edits": "overwrite",
                    "steps": [
                        *("preflight", "fetch", "render", "dry-run", "snapshot", "crds", "apply"),
                        *("canary", "release", "rollout", "verify"),
                    ],
                    "remarks": ["spec.replicas is kept; kubectl has set it."],
                    "point_of_no_return": "crds",
                    "seconds": 42,
                    "path": ["1.1.0", "1.2.0"],
                    "mode": "server-side",
                    "differences": [
                        {
                            "kind": "Deployment",
                            "namespace": "kube-system",
                            "name": "dns",
                            "change": "changed",
                            "kept": False,
                            "fields": [
                                a_field("spec.replicas", "1", "2"),
                                {**a_field("data.key", "(hidden)", None, change="removed"), "hidden": True},
                                a_field("spec.template.spec.containers[dns].image", "dns:1", "dns:2"),
                            ],
                        },
                        {
                            "kind": "ConfigMap",
                            "namespace": "kube-system",
                            "name": "old",
                            "change": "removed",
                            "kept": True,
                            "fields": [],
                        },
                    ],
                    "images": [{"before": "dns:1", "after": "dns:2"}],
                    "user_edits": [{"field": "Deployment dns spec.replicas", "manager": "kubectl", "kept": False}],
                    "crds": [
                        {
                            "name": "widgets.example.com",
                            "change": "changed",
                            "unsafe": [
                                {"kind": "FieldRemoved", "version": "v1", "field": "spec.size", "message": "is removed"}
                            ],
                        }
                    ],
                    "error": {"code": "", "message": "", "remedy": ""},
                }
            ],
            "requestId": REQUEST_ID,
        },
    ),
    "PlanClusterUpgrade": (
        "GET",
        f"/addonry/v1/clusters/{CLUSTER}/upgradeplan?version=1.32",
        None,
        200,
        {
            "legs": [
                {
                    "from_kubernetes": "v1.31.1",
                    "to_kubernetes": "1.32",
                    "before": [
                        {
                            "component_name": "coredns",
                            "version": "1.0.0",
                            "path": ["1.1.0"],
                            "reason": "goes before Kubernetes",
                        }
                    ],
                    "after": [],
                    "blocked": [
                        {
                            "component_name": "ingress-nginx",
                            "version": "4.11.0",
                            "message": "It needs less.",
                            "remedy": "Stay.",
                        }
                    ],
                    "unknown": ["odd"],
                }
            ],
            "is_possible": False,
            "requestId": REQUEST_ID,
        },
    ),
    "DescribeUpgradePaths": (
        "POST",
        f"/addonry/v1/clusters/{CLUSTER}/paths",
        [{"name": "coredns", "version": "1.2.0"}],
        200,
        {
            "paths": [
                {"component_name": "coredns", "version": "1.0.0", "path": ["1.1.0", "1.2.0"], "missing": ""},
            ],
            "requestId": REQUEST_ID,
        },
    ),
    "ListClusterAddonInstances": (
        "GET",
        f"/clusters/{CLUSTER}/addon_instances",
        None,
        200,
        {
            "addons": [
                ITEM,
                {"name": "ingress-nginx", "version": "4.11.0", "state": "upgrading"},
                {"name": "metrics-server", "version": "3.12.1", "state": "active"},
            ]
        },
    ),
    "GetClusterAddonInstance": (
        "GET",
        f"/clusters/{CLUSTER}/addon_instances/coredns",
        None,
        200,
        {
            **ITEM,
            "config": '{"replicas":2}',
            "logging": {"capable": False, "enabled": False, "log_project": "", "logstore": ""},
        },
    ),
    "ListAddons": ("GET", f"/addons?cluster_id={CLUSTER}", None, 200, None),
    "DescribeAddon": (
        "GET",
        f"/addons/metrics-server?cluster_id={CLUSTER}&version=3.12.1",
        None,
        200,
        {
            "name": "metrics-server",
            "version": "3.12.1",
            "category": "core",
            "architecture": [],
            "config_schema": '{"type":"object","properties":{"replicas":{"type":"integer"}}}',
            "install_by_default": False,
            "managed": False,
            "supported_actions": ALL_ACTIONS,
            # The newest does not fit this Kubernetes, so it stands behind the one that does.
            "newer_versions": [
                {"version": "3.13.0", "minimum_cluster_version": "1.25.0", "upgradable": True},
                {"version": "4.0.0", "minimum_cluster_version": "1.40.0", "upgradable": False},
            ],
        },
    ),
    "CreateCluster": (
        "POST",
        "/clusters",
        NEW_CLUSTER,
        202,
        {**ACCEPTED, "cluster_id": "cb95aa626a47740afbf6aa099b6500000"},
    ),
    "DeleteCluster": ("DELETE", f"/clusters/{CLUSTER}?retain_all_resources=True", None, 202, ACCEPTED),
    "DescribeClusterDetail": ("GET", f"/clusters/{CLUSTER}", None, 200, None),
    "DescribeClustersV1": ("GET", "/api/v1/clusters?page_number=1&page_size=20", None, 200, None),
    "DescribeTaskInfo": ("GET", f"/tasks/{TASK}", None, 200, None),
    "DescribeClusterTasks": ("GET", f"/clusters/{CLUSTER}/tasks", None, 200, None),
    "DescribeClusterEvents": (
        "GET",
        f"/clusters/{CLUSTER}/events?task_id={TASK}&page_size=1&page_number=2",
        None,
        200,
        {
            "events": [
                {
                    "event_id": "e-1",
                    "type": "cluster_addon_upgrade",
                    "source": "cluster",
                    "subject": "coredns",
                    "time": "2026-11-23T08:00:00Z",
                    "cluster_id": CLUSTER,
                    "task_id": TASK,
                    "data": {"level": "info", "reason": "Started", "message": "Start to upgrade"},
                }
            ],
            "next_token": "",
            "page_info": {"page_number": 2, "page_size": 1, "total_count": 2},
        },
    ),
    "ListClusterComponents": ("GET", f"/addonry/v1/clusters/{CLUSTER}/components", None, 200, None),
    "ScanCluster": ("POST", f"/addonry/v1/clusters/{CLUSTER}/scan", None, 200, None),
    "ListCatalog": ("GET", "/addonry/v1/catalog", None, 200, None),
    "GetCatalogItem": ("GET", "/addonry/v1/catalog/coredns", None, 200, None),
    "SyncCatalog": ("POST", "/addonry/v1/catalog/sync", None, 200, None),
    "AddCatalogFile": ("POST", "/addonry/v1/catalog/files", {"content": "extends: coredns"}, 200, None),
    "ListChartHosts": (
        "GET",
        "/addonry/v1/chart-hosts",
        None,
        200,
        {
            "hosts": [
                {
                    "host": "charts.test:8443",
                    "username": "robot",
                    "has_token": False,
                    "has_authority": False,
                    "realm": "",
                    "plain_http": False,
                }
            ],
            "requestId": REQUEST_ID,
        },
    ),
    "PutChartHost": (
        "PUT",
        "/addonry/v1/chart-hosts/ghcr.io",
        {"token": "hunter2", "plain_http": True},
        200,
        {
            "host": "ghcr.io",
            "username": "",
            "has_token": True,
            "has_authority": False,
            "realm": "",
            "plain_http": True,
        },
    ),
    "DeleteChartHost": ("DELETE", "/addonry/v1/chart-hosts/charts.test%3A8443", None, 200, {}),
    "ListTasks": ("GET", "/addonry/v1/tasks", None, 200, None),
    **MORE,
}


def test_every_operation_has_its_exchange():
    assert {each.name for each in OPERATIONS} == set(EXCHANGES)


@pytest.mark.parametrize("name", EXCHANGES)
async def test_the_exchange_is_as_recorded(name, client):
    method, target, body, status, expected = EXCHANGES[name]
    reply = await client.call(method, target, body, x_acs_action=name)
    assert reply.status == status, reply.body
    # What the OpenAPI document declares, and not a member more.
    operation = next(each for each in OPERATIONS if each.name == name)
    assert msgspec.to_builtins(msgspec.convert(reply.json, operation.answer)) == reply.json
    if expected is not None:
        assert reply.json == expected


@pytest.mark.parametrize("name", EXCHANGES)
async def test_every_answer_can_be_had_as_xml(name, client):
    method, target, body, status, _ = EXCHANGES[name]
    reply = await client.call(method, target, body, accept="application/xml")
    assert reply.status == status
    assert reply.xml.tag == f"{name}Response"
    assert reply.xml[0].tag == "RequestId"


@pytest.mark.parametrize("name", EXCHANGES)
async def test_no_operation_answers_without_a_signature(name, client):
    client.secret = "another"
    method, target, body, *_ = EXCHANGES[name]
    reply = await client.call(method, target, body)
    assert (reply.status, reply.json["Code"]) == (400, "SignatureDoesNotMatch")
    assert client.lifecycle.asked == []


@pytest.mark.parametrize("name", EXCHANGES)
async def test_every_answer_is_a_document_too(name, client):
    method, target, body, status, _ = EXCHANGES[name]
    reply = await client.call(method, target, body, accept="application/xml")
    assert (reply.status, reply.headers["content-type"]) == (status, "application/xml; charset=utf-8")
    assert (reply.xml.tag, reply.xml[0].tag) == (f"{name}Response", "RequestId")


FILTERED = {"DescribeEvents", "ListTagResources"}
"""There a cluster is a filter, and one that is unknown (or was removed) has nothing, or what it left."""


@pytest.mark.parametrize(
    "name", [name for name, row in EXCHANGES.items() if CLUSTER in row[1] and name not in FILTERED]
)
async def test_an_unknown_cluster_is_told_by_every_operation_on_one(name, client):
    method, target, body, *_ = EXCHANGES[name]
    reply = await client.call(method, target.replace(CLUSTER, "cffff"), body)
    assert (reply.status, reply.json["Code"]) == (404, "ErrorClusterNotFound")


# Install and upgrade


async def test_what_is_asked_reaches_the_lifecycle(client, lifecycle):
    await client.call(*EXCHANGES["InstallClusterAddons"][:3])
    await client.post(
        f"/clusters/{CLUSTER}/components/upgrade",
        [
            {
                "component_name": "coredns",
                "version": "1.40.0",
                "next_version": "1.41.0",
                "config": '{"a":{"b":[1,2]}}',
                "policy": "",
                "unknown": 1,
            },
            {"component_name": "metrics-server", "next_version": "3.13.0"},
        ],
    )
    changes = [asked for asked in lifecycle.asked if asked[0] in {"install", "upgrade"}]
    assert changes == [
        ("install", CLUSTER, (InstallRequest("cert-manager", "1.16.0", {"replicas": 2}),), KEY),
        (
            "upgrade",
            CLUSTER,
            (
                UpgradeRequest("coredns", "1.41.0", "1.40.0", {"a": {"b": [1, 2]}}),
                UpgradeRequest("metrics-server", "3.13.0"),
            ),
            KEY,
        ),
    ]


@pytest.mark.parametrize("item", [{}, {"version": ""}, {"version": None}, {"config": ""}, {"disabled": True}])
async def test_an_install_without_a_version_leaves_the_choice_to_the_server(client, lifecycle, item):
    """Terraform always sends ``version``, empty when unset."""
    reply = await client.post(f"/clusters/{CLUSTER}/components/install", [{"name": "cert-manager", **item}])
    assert reply.status == 200
    assert ("install", CLUSTER, (InstallRequest("cert-manager"),), KEY) in lifecycle.asked


async def test_values_may_be_an_object_and_an_empty_object_is_no_values(client, lifecycle):
    for config in ({}, "{}"):
        await client.post(f"/clusters/{CLUSTER}/components/install", [{"name": "cert-manager", "config": config}])
    asked = [each for each in lifecycle.asked if each[0] == "install"]
    assert [each[2][0].values for each in asked] == [{}, {}]


BAD = [
    [],
    None,
    {},
    "coredns",
    [1],
    [[]],
    [None],
    [{"name": 1, "component_name": 1}],
    [{"name": "", "component_name": ""}],
    [{"other": "a"}],
    [{"name": "a", "component_name": "a"}, {"name": "a", "component_name": "a"}],
    [{"name": "a", "component_name": "a", "config": "[]"}],
    [{"name": "a", "component_name": "a", "config": "{"}],
    [{"name": "a", "component_name": "a", "config": "3"}],
    [{"name": "a", "component_name": "a", "config": 3}],
    b"{not json",
]


@pytest.mark.parametrize("operation", ["install", "upgrade", "configure", "plan"])
@pytest.mark.parametrize("body", BAD, ids=lambda body: json.dumps(body) if not isinstance(body, bytes) else "bytes")
async def test_a_malformed_request_is_refused_before_anything_is_asked(client, lifecycle, operation, body):
    own = operation in {"configure", "plan"}
    path = f"/addonry/v1/clusters/{CLUSTER}/{operation}" if own else f"/clusters/{CLUSTER}/components/{operation}"
    reply = await client.post(path, body)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert lifecycle.asked == []


@pytest.mark.parametrize("member", ["policy", "edits"])
@pytest.mark.parametrize("word", ["x", "Canary", "at-once"])
async def test_a_policy_that_is_unknown_is_refused_with_the_known_ones_rather_than_ignored(
    client, lifecycle, member, word
):
    """A canary taken for an ordinary upgrade would move every pod at once."""
    body = [{"component_name": "coredns", "next_version": "1.41.0", member: word}]
    reply = await client.post(f"/clusters/{CLUSTER}/components/upgrade", body)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    allowed = {"policy": "overwrite or canary", "edits": "overwrite or preserve or none"}[member]
    assert allowed in reply.json["Message"]
    assert lifecycle.asked == []


@pytest.mark.parametrize(
    ("members", "pace", "edits"),
    [
        ({}, Pace.AT_ONCE, Edits.OVERWRITE),
        ({"policy": "overwrite"}, Pace.AT_ONCE, Edits.OVERWRITE),
        ({"policy": None, "edits": None, "canary": None}, Pace.AT_ONCE, Edits.OVERWRITE),
        ({"policy": "canary"}, Pace.CANARY, Edits.OVERWRITE),
        ({"canary": True}, Pace.CANARY, Edits.OVERWRITE),
        # Terraform always sends the published policy, so it cannot speak against a member of ours.
        ({"policy": "overwrite", "canary": True, "edits": "none"}, Pace.CANARY, Edits.NONE),
        ({"policy": "canary", "edits": "preserve"}, Pace.CANARY, Edits.PRESERVE),
    ],
)
async def test_the_policy_of_an_upgrade_says_how_fast_and_what_becomes_of_edits(
    client, lifecycle, members, pace, edits
):
    body = [{"component_name": "coredns", "next_version": "1.41.0", **members}]
    assert (await client.post(f"/clusters/{CLUSTER}/components/upgrade", body)).status == 200
    assert ("upgrade", CLUSTER, (UpgradeRequest("coredns", "1.41.0", edits=edits, pace=pace),), KEY) in lifecycle.asked


async def test_an_install_may_be_a_canary_too(client, lifecycle):
    await client.post(f"/clusters/{CLUSTER}/components/install", [{"name": "cert-manager", "canary": True}])
    assert ("install", CLUSTER, (InstallRequest("cert-manager", pace=Pace.CANARY),), KEY) in lifecycle.asked


# Modify, configure, uninstall and plan


@pytest.mark.parametrize(
    "body",
    [
        {"config": '{"replicas":3,"zones":{"a":1}}'},
        # ecctl and the classic CLI send the parameters themselves.
        {"replicas": 3, "zones": {"a": 1}},
    ],
)
async def test_a_modification_replaces_the_keys_it_names_and_no_other(client, lifecycle, body):
    """Whether ACK merges is not documented; Terraform compares the keys it manages only, so the others have to stay."""
    status = lifecycle.statuses[CLUSTER]["coredns"]
    found = replace(status.component.found, values={"replicas": 2, "zones": {"b": 2}, "kept": True})
    changed = replace(status, component=replace(status.component, found=found))
    lifecycle.statuses[CLUSTER] = {"coredns": changed}
    reply = await client.post(f"/clusters/{CLUSTER}/components/coredns/config", body)
    assert (reply.status, reply.json) == (200, {})
    wanted = ConfigureRequest("coredns", {"replicas": 3, "zones": {"a": 1}, "kept": True})
    assert ("configure", CLUSTER, (wanted,), KEY) in lifecycle.asked


@pytest.mark.parametrize("body", [None, {}, {"config": ""}, {"config": "[]"}, {"config": "{"}, [], "x", b"{nope"])
async def test_a_modification_without_values_is_refused_before_anything_is_asked(client, lifecycle, body):
    reply = await client.post(f"/clusters/{CLUSTER}/components/coredns/config", body)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert lifecycle.asked == []


@pytest.mark.parametrize("name", ["cert-manager", "nothing"])
async def test_what_is_not_installed_can_be_neither_modified_nor_uninstalled(client, name):
    """Terraform takes AddonNotFound for 'gone already'."""
    for path, body in [(f"{name}/config", {"config": "{}"}), ("uninstall", [{"name": name}])]:
        reply = await client.post(f"/clusters/{CLUSTER}/components/{path}", body)
        assert (reply.status, reply.json["Code"]) == (404, "AddonNotFound")


async def test_a_modification_of_an_alias_is_one_of_the_component(client, lifecycle):
    await client.post(f"/clusters/{CLUSTER}/components/metric-server/config", {"replicas": 3})
    assert ("configure", CLUSTER, (ConfigureRequest("metrics-server", {"replicas": 3}),), KEY) in lifecycle.asked


async def test_new_values_are_the_whole_of_them_where_addonry_itself_is_asked(client, lifecycle):
    """A merge could never take a key away."""
    body = [{"name": "coredns", "config": {}, "edits": "none"}, {"name": "metrics-server", "config": '{"a":1}'}]
    assert (await client.post(f"/addonry/v1/clusters/{CLUSTER}/configure", body)).json == ACCEPTED
    wanted = (ConfigureRequest("coredns", {}, Edits.NONE), ConfigureRequest("metrics-server", {"a": 1}))
    assert ("configure", CLUSTER, wanted, KEY) in lifecycle.asked


@pytest.mark.parametrize("item", [{}, {"config": None}, {"config": ""}])
async def test_values_that_are_missing_are_not_taken_for_none_at_all(client, lifecycle, item):
    """That would throw the present ones away."""
    for path, more in [("configure", {}), ("plan", {"action": "configure"})]:
        body = [{"name": "coredns", **more, **item}]
        reply = await client.post(f"/addonry/v1/clusters/{CLUSTER}/{path}", body)
        assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert not [asked for asked in lifecycle.asked if asked[0] in {"configure", "plan"}]


async def test_an_uninstall_names_its_components(client, lifecycle):
    body = [{"name": "coredns", "cleanup_cloud_resources": None}, {"name": "metrics-server"}]
    await client.post(f"/clusters/{CLUSTER}/components/uninstall", body)
    assert ("uninstall", CLUSTER, ("coredns", "metrics-server"), KEY) in lifecycle.asked


@pytest.mark.parametrize("body", [[], None, {}, [{}], [{"name": ""}], [{"name": "a"}, {"name": "a"}], ["coredns"]])
async def test_an_uninstall_of_nothing_in_particular_is_refused(client, lifecycle, body):
    reply = await client.post(f"/clusters/{CLUSTER}/components/uninstall", body)
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert lifecycle.asked == []


async def test_a_plan_is_of_what_would_usually_be_asked_for_unless_it_says_otherwise(client, lifecycle):
    body = [
        {"name": "cert-manager", "canary": True},
        {"name": "metric-server", "version": "3.13.0", "edits": "none"},
        {"name": "coredns", "action": "configure", "config": '{"a":1}', "edits": "preserve"},
        {"name": "ingress-nginx", "action": "upgrade", "config": {}},
    ]
    told = (await client.post(f"/addonry/v1/clusters/{CLUSTER}/plan", body)).json["changes"]
    assert [each["action"] for each in told] == ["install", "upgrade", "configure", "upgrade"]
    [asked] = [each for each in lifecycle.asked if each[0] == "plan"]
    assert asked[2] == (
        InstallRequest("cert-manager", pace=Pace.CANARY),
        UpgradeRequest("metric-server", "3.13.0", edits=Edits.NONE),
        ConfigureRequest("coredns", {"a": 1}, Edits.PRESERVE),
        UpgradeRequest("ingress-nginx", values={}),
    )


async def test_a_plan_that_the_cluster_objects_to_says_so(client, lifecycle):
    change = a_change("coredns", status=Status.QUEUED, trouble=Trouble("FieldConflict", "kubectl owns it.", "Ask."))

    async def plan(cluster, requests):
        return (PlannedChange(change, None, None),)

    lifecycle.plan = plan
    told = (await client.post(f"/addonry/v1/clusters/{CLUSTER}/plan", [{"name": "coredns"}])).json["changes"][0]
    assert told["error"] == {
        "code": "AddonOperationFailed.ResourceExists",
        "message": "kubectl owns it.",
        "remedy": "Ask.",
    }
    assert (told["point_of_no_return"], told["seconds"]) == ("", None)


async def test_an_unknown_action_of_a_plan_is_refused(client, lifecycle):
    reply = await client.post(f"/addonry/v1/clusters/{CLUSTER}/plan", [{"name": "coredns", "action": "uninstall"}])
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert "install or upgrade or configure" in reply.json["Message"]
    assert lifecycle.asked == []


# Pause, resume and cancel


def stand(lifecycle, **members):
    """The live task of ingress-nginx as it then stands."""
    history = lifecycle.histories[LIVE_TASK]
    change = replace(history.task.change, **{key: members.pop(key) for key in ("plan", "position") if key in members})
    status = members.get("status", history.task.status)
    task = replace(history.task, changes=(replace(change, status=status),), **members)
    lifecycle.histories[LIVE_TASK] = replace(history, task=task)


WAYS = [f"/tasks/{LIVE_TASK}", f"/clusters/{CLUSTER}/components/ingress-nginx"]


@pytest.mark.parametrize("way", WAYS)
async def test_pause_resume_and_cancel_give_the_same_picture_by_task_and_by_component(client, lifecycle, way):
    """Clients poll DescribeTaskInfo for paused, running and canceled."""
    stand(lifecycle, status=Status.QUEUED, position=0)

    async def after(what):
        assert (await client.post(f"{way}/{what}")).json == {}
        return (await client.get(f"/tasks/{LIVE_TASK}")).json["state"]

    assert [await after(what) for what in ("pause", "resume", "cancel")] == ["paused", "running", "canceled"]
    assert {each[2] for each in lifecycle.asked if each[0] in {"pause", "resume", "cancel"}} == {KEY}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["pause", "cancel"])
async def test_asking_twice_is_no_error(client, lifecycle, way, what):
    for _ in range(2):
        assert (await client.post(f"{way}/{what}")).status == 200
    told = (await client.get(f"/tasks/{LIVE_TASK}")).json
    assert (told["state"], told["wish"], told["outputs"]["wish"]) == ("running", what, what)


async def test_resuming_what_runs_has_no_effect(client, lifecycle):
    assert (await client.post(f"/tasks/{LIVE_TASK}/resume")).status == 200
    assert lifecycle.histories[LIVE_TASK].task.wish is None


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_a_task_that_has_ended_is_in_no_state_for_it(client, what):
    reply = await client.post(f"/tasks/{TASK}/{what}")
    assert (reply.status, reply.json["Code"]) == (400, "BadRequest")
    assert "success" in reply.json["Message"]


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_a_task_about_a_cluster_itself_has_nothing_to_move(client, lifecycle, what):
    """It has ended when its id is told, and has no components that could be asked for their state."""
    lifecycle.histories[TASK] = TaskHistory(a_task(kind=TaskKind.REGISTER, status=Status.SUCCESS), (), ())
    reply = await client.post(f"/tasks/{TASK}/{what}")
    assert (reply.status, reply.json["Code"]) == (400, "BadRequest")


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
async def test_an_unknown_task_cannot_be_moved(client, what):
    reply = await client.post(f"/tasks/T-0/{what}")
    assert (reply.status, reply.json["Code"]) == (404, "ErrorTaskNotFound")


@pytest.mark.parametrize("what", ["pause", "resume", "cancel"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("coredns", 400, "BadRequest"), ("cert-manager", 404, "AddonNotFound"), ("nothing", 404, "AddonNotFound")],
)
async def test_a_component_without_a_task_is_told_apart_from_one_that_is_not_there(client, what, name, status, code):
    """404 would tell Terraform that the component is gone."""
    reply = await client.post(f"/clusters/{CLUSTER}/components/{name}/{what}")
    assert (reply.status, reply.json["Code"]) == (status, code)
    assert ("Addon status not match" in reply.json["Message"]) == (code == "BadRequest")


async def test_a_component_being_installed_can_be_canceled_by_its_name(client, lifecycle):
    change = a_change("cert-manager", kind=TaskKind.INSTALL, status=Status.QUEUED)
    lifecycle.histories[TaskId("T-9")] = TaskHistory(a_task(change, task="T-9"), (), ())
    assert (await client.post(f"/clusters/{CLUSTER}/components/cert-manager/cancel")).status == 200
    assert (await client.get("/tasks/T-9")).json["state"] == "canceled"


@pytest.mark.parametrize(
    ("operation", "body", "status", "code"),
    [
        ("install", [{"name": "nothing"}], 404, "AddonNotFound"),
        ("install", [{"name": "coredns"}], 400, "BadRequest"),
        ("upgrade", [{"component_name": "cert-manager"}], 404, "AddonNotFound"),
        ("upgrade", [{"component_name": "coredns", "next_version": "9.9.9"}], 404, "AddonNotFound"),
    ],
)
async def test_what_the_lifecycle_refuses_has_its_published_code(client, operation, body, status, code):
    reply = await client.post(f"/clusters/{CLUSTER}/components/{operation}", body)
    assert (reply.status, reply.json["Code"]) == (status, code)


@pytest.mark.parametrize("content_type", ["", "application/octet-stream", "application/json", "text/plain"])
async def test_an_array_body_may_have_any_content_type(client, content_type):
    """The aliyun CLI declares arrays application/octet-stream; others send none."""
    body = [{"name": "cert-manager"}]
    reply = await client.post(f"/clusters/{CLUSTER}/components/install", body, content_type=content_type)
    assert reply.json == ACCEPTED


async def test_a_body_wrapped_into_a_form_is_unwrapped(client):
    body = b"addons=" + quote('[{"name":"cert-manager"}]').encode()
    reply = await client.post(
        f"/clusters/{CLUSTER}/components/install", body, content_type="application/x-www-form-urlencoded"
    )
    assert reply.json == ACCEPTED


# Versions and instances


async def test_versions_tell_what_an_upgrade_would_bring(client):
    told = (await client.get(f"/clusters/{CLUSTER}/components/version")).json
    pick = ("version", "next_version", "changed", "can_upgrade", "ready_to_upgrade", "exist", "message")
    assert {name: tuple(each[member] for member in pick) for name, each in told.items()} == {
        "cert-manager": ("", "1.16.0", "unknown", True, "true", True, ""),
        "coredns": ("1.40.0", "1.40.0", "true", False, "true", True, ""),
        "ingress-nginx": ("4.11.0", "4.12.0", "false", True, "false", True, "Task T-1 is running on it."),
        "metrics-server": ("3.12.1", "3.13.0", "false", True, "true", True, ""),
    }
    documented = {"component_name", "policy", "required", "value", "force", "ExtraVars", "category", "template"}
    assert documented | {"description", "properties", "supported_actions", "config"} <= set(told["coredns"])
    assert told["coredns"]["required"] is False
    assert told["coredns"]["policy"] == "overwrite"


async def test_a_plain_workload_is_offered_the_image_tag_it_would_run(client, lifecycle):
    """Its version is a tag, so the next one must be one too: clients send it back in an upgrade."""
    status = a_status("coredns", target=None)
    found = status.component.found
    placement = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    workload = type(found)(**{**{name: getattr(found, name) for name in found.__slots__}, "placement": placement})
    offer = Offer(ComponentName("coredns"), "1.41.0", "v1.12.1", "", "", "")
    lifecycle.statuses[CLUSTER] = {
        "coredns": type(status)(
            status.name,
            Component(status.name, workload, in_catalog=True),
            status.entry,
            type(status.readiness)((), offer),
        )
    }
    told = (await client.get(f"/clusters/{CLUSTER}/components/version")).json
    assert told["coredns"]["next_version"] == "1.12.1"


async def test_a_component_being_installed_is_an_instance_already(client, lifecycle):
    """Terraform asks for the instance right after the install call."""
    change = a_change("a", kind=TaskKind.INSTALL, status=Status.QUEUED, to_version="2.0.0", values={"x": 1})
    lifecycle.statuses[CLUSTER] = {"a": a_status("a", version=None, change=change)}
    assert (await client.get(f"/clusters/{CLUSTER}/addon_instances")).json == {
        "addons": [{"name": "a", "version": "2.0.0", "state": "initial"}]
    }
    one = (await client.get(f"/clusters/{CLUSTER}/addon_instances/a")).json
    assert (one["state"], one["config"]) == ("initial", '{"x":1}')


async def test_an_instance_under_an_upgrade_says_so(client, lifecycle):
    lifecycle.statuses[CLUSTER] = {"a": a_status("a", change=a_change("a", status=Status.RUNNING))}
    assert (await client.get(f"/clusters/{CLUSTER}/addon_instances/a")).json["state"] == "upgrading"


@pytest.mark.parametrize("name", ["cert-manager", "nothing"])
async def test_a_component_that_is_not_installed_is_no_instance(client, name):
    """Terraform takes AddonNotFound for 'create it'."""
    reply = await client.get(f"/clusters/{CLUSTER}/addon_instances/{name}")
    assert (reply.status, reply.json["Code"]) == (404, "AddonNotFound")


async def test_an_instance_has_an_alias(client):
    one = (await client.get(f"/clusters/{CLUSTER}/addon_instances/metric-server")).json
    assert (one["name"], one["version"]) == ("metric-server", "3.12.1")


async def test_an_install_that_failed_leaves_no_instance(client, lifecycle):
    change = a_change("a", kind=TaskKind.INSTALL, status=Status.FAILED, trouble=TROUBLE)
    lifecycle.statuses[CLUSTER] = {"a": a_status("a", version=None, change=change)}
    assert (await client.get(f"/clusters/{CLUSTER}/addon_instances")).json == {"addons": []}


# Catalog


async def test_add_ons_of_a_cluster_are_all_that_is_installed_or_installable(client, lifecycle):
    lifecycle.statuses[CLUSTER] = {
        **lifecycle.statuses[CLUSTER],
        "by-hand": a_status("by-hand", target=None, known=False),
    }
    told = (await client.get(f"/addons?cluster_id={CLUSTER}")).json["addons"]
    assert [(each["name"], each["version"], each["supported_actions"]) for each in told] == [
        ("cert-manager", "1.16.0", ALL_ACTIONS),
        ("coredns", "1.40.0", ALL_ACTIONS),
        ("ingress-nginx", "4.12.0", ALL_ACTIONS),
        ("metrics-server", "3.13.0", ALL_ACTIONS),
        ("by-hand", "1.0.0", ["Uninstall"]),
    ]


async def test_only_what_works_is_among_the_supported_actions(client, lifecycle):
    """Terraform offers what stands here; a plain workload takes no values, and what is required stays."""
    status = a_status("coredns")
    required = replace(status, entry=replace(status.entry, required=True))
    placement = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    component = status.component
    workload = replace(status, component=replace(component, found=replace(component.found, placement=placement)))
    lifecycle.statuses[CLUSTER] = {"required": required, "workload": workload}
    told = (await client.get(f"/addons?cluster_id={CLUSTER}")).json["addons"]
    assert [each["supported_actions"] for each in told] == [["Install", "Upgrade", "Modify"], ["Install", "Upgrade"]]


async def test_add_ons_without_a_cluster_are_the_catalog_for_a_kubernetes(client):
    every = (await client.get("/addons?region_id=local")).json["addons"]
    assert [(each["name"], each["version"]) for each in every] == [("coredns", "1.40.0"), ("metrics-server", "4.0.0")]
    fitting = (await client.get("/addons?cluster_version=1.31.1-aliyun.1")).json["addons"]
    assert [(each["name"], each["version"]) for each in fitting] == [
        ("coredns", "1.40.0"),
        ("metrics-server", "3.13.0"),
    ]


async def test_an_empty_catalog_is_an_empty_array(client, lifecycle):
    """Terraform fails on null."""
    lifecycle.items.clear()
    assert (await client.get("/addons")).json == {"addons": []}


@pytest.mark.parametrize("query", ["", "&version="])
async def test_without_a_version_the_newest_that_fits_is_described(client, query):
    told = (await client.get(f"/addons/metrics-server?cluster_id={CLUSTER}{query}")).json
    assert told["version"] == "3.13.0"
    assert [each["version"] for each in told["newer_versions"]] == ["4.0.0"]


@pytest.mark.parametrize("target", ["/addons/nothing", "/addons/coredns?version=9.9"])
async def test_an_unknown_add_on_or_version_is_told(client, target):
    reply = await client.get(target)
    assert (reply.status, reply.json["Code"]) == (404, "AddonNotFound")


async def test_the_newest_version_has_no_newer_ones(client):
    assert (await client.get("/addons/coredns?version=1.40.0")).json["newer_versions"] == []


async def test_the_installed_version_can_be_described_after_it_left_the_repository(client, lifecycle):
    """Terraform asks for exactly that on every read."""
    lifecycle.statuses[CLUSTER] = {"coredns": a_status("coredns", version="1.38.0")}
    told = (await client.get(f"/addons/coredns?cluster_id={CLUSTER}&version=1.38.0")).json
    assert (told["version"], told["config_schema"]) == ("1.38.0", "{}")
    assert [each["version"] for each in told["newer_versions"]] == ["1.40.0", "1.39.0"]


async def test_what_no_catalog_knows_can_be_described_where_it_is_installed(client, lifecycle):
    lifecycle.statuses[CLUSTER] = {"by-hand": a_status("by-hand", target=None, known=False)}
    told = (await client.get(f"/addons/by-hand?cluster_id={CLUSTER}&version=1.0.0")).json
    assert (told["version"], told["newer_versions"], told["config_schema"]) == ("1.0.0", [], "{}")


async def test_a_chart_that_cannot_be_had_costs_the_schema_only(client, lifecycle):
    async def chart(name, version):
        raise CatalogUnavailable("Down.")

    lifecycle.chart = chart
    told = (await client.get("/addons/coredns")).json
    assert (told["version"], told["config_schema"]) == ("1.40.0", "{}")


async def test_the_catalog_lists_versions_newest_first(client):
    told = (await client.get("/addonry/v1/catalog/metrics-server")).json
    assert [each["version"] for each in told["versions"]] == ["4.0.0", "3.13.0", "3.12.1"]
    assert told["newest"] == "4.0.0"
    listed = (await client.get("/addonry/v1/catalog")).json["components"]
    assert [(each["name"], each["versions_count"]) for each in listed] == [("coredns", 2), ("metrics-server", 3)]


async def test_a_catalog_component_is_found_by_its_alias_and_others_are_told(client):
    assert (await client.get("/addonry/v1/catalog/metric-server")).json["name"] == "metrics-server"
    assert (await client.get("/addonry/v1/catalog/nothing")).json["Code"] == "AddonNotFound"


async def test_a_deprecated_version_is_listed_and_not_proposed(client, lifecycle):
    item = lifecycle.items["coredns"]
    offers = (an_offer("coredns", "1.41.0", deprecated=True), *item.offers)
    lifecycle.items["coredns"] = type(item)(item.entry, offers)
    assert (await client.get("/addons/coredns")).json["version"] == "1.40.0"
    assert (await client.get("/addonry/v1/catalog/coredns")).json["versions"][0]["deprecated"] is True


# Clusters


DETAIL = """cluster_id name cluster_type profile cluster_spec region_id zone_id state init_version current_version
next_version created updated size deletion_protection resource_group_id tags vpc_id security_group_id vswitch_ids
vswitch_id container_cidr service_cidr ip_stack proxy_mode subnet_cidr network_mode cluster_domain timezone
docker_version external_loadbalancer_id worker_ram_role_name private_zone master_url meta_data parameters
maintenance_window operation_policy node_cidr_mask extra_sans"""


async def test_a_cluster_has_every_documented_member(client):
    told = (await client.get(f"/clusters/{CLUSTER}")).json
    assert [member for member in DETAIL.split() if member not in told] == []
    assert None not in told.values()
    assert told["cluster_id"] == CLUSTER
    assert (told["cluster_type"], told["state"], told["size"]) == ("ExternalKubernetes", "running", 3)
    assert told["current_version"] == told["init_version"] == "1.31.1"
    assert told["created"] == "2026-11-23T08:00:00Z"
    assert json.loads(told["master_url"]) == {
        "api_server_endpoint": "",
        "intranet_api_server_endpoint": "https://10.0.0.1:6443",
    }
    assert json.loads(told["meta_data"]) == {}


@pytest.mark.parametrize(
    ("reach", "state"),
    [
        (Reach.UNKNOWN, "initial"),
        (Reach.ANSWERS, "running"),
        (Reach.UNREACHABLE, "unavailable"),
        (Reach.REFUSED, "unavailable"),
    ],
)
async def test_the_state_of_a_cluster_is_whether_it_answers(client, lifecycle, reach, state):
    lifecycle.known[CLUSTER] = a_cluster(reach=reach, trouble="no route to host")
    told = (await client.get(f"/clusters/{CLUSTER}")).json
    assert (told["state"], told["trouble"]) == (state, "no route to host")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["prod-1", "prod-2", "sim-1"]),
        ("?name=PROD", ["prod-1", "prod-2"]),
        ("?name=nothing", []),
        (f"?cluster_id={CLUSTER}", ["sim-1"]),
        ("?cluster_type=ExternalKubernetes", ["prod-1", "prod-2", "sim-1"]),
        ("?cluster_type=ManagedKubernetes", []),
        ("?profile=Edge", []),
        ("?cluster_spec=ack.pro.small", []),
        ("?region_id=cn-beijing", ["prod-2"]),
        ("?page_size=2", ["prod-1", "prod-2"]),
        ("?page_size=2&page_number=2", ["sim-1"]),
        ("?page_size=2&page_number=3", []),
        ("?page_size=0", ["prod-1"]),
        ("?page_number=-1", ["prod-1", "prod-2", "sim-1"]),
    ],
)
async def test_clusters_are_listed_and_filtered(client, lifecycle, query, names):
    lifecycle.known["c1"] = a_cluster("prod-1", "c1")
    lifecycle.known["c2"] = a_cluster("prod-2", "c2", region="cn-beijing")
    told = (await client.get(f"/api/v1/clusters{query}")).json
    assert [each["name"] for each in told["clusters"]] == names


async def test_the_page_says_how_many_there_are(client):
    assert (await client.get("/api/v1/clusters?page_number=3&page_size=20")).json["page_info"] == {
        "page_number": 3,
        "page_size": 20,
        "total_count": 1,
    }


@pytest.mark.parametrize("value", ["x", "1.5", "0x10"])
async def test_a_page_that_is_no_number_is_refused(client, value):
    reply = await client.get(f"/api/v1/clusters?page_size={value}")
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")


async def test_a_kubeconfig_may_be_text_or_base64_and_stand_where_the_sdks_can_put_it(client, lifecycle):
    encoded = base64.b64encode(KUBECONFIG.encode()).decode()
    wrapped = "\n".join(encoded[at : at + 16] for at in range(0, len(encoded), 16)) + "\n"
    for member, text in [("kubeconfig", KUBECONFIG), ("kubeconfig", wrapped), ("user_data", encoded)]:
        body = {"name": " prod ", "cluster_type": "ExternalKubernetes", "region_id": "", member: text}
        assert (await client.post("/clusters", body)).status == 202
    asked = [each for each in lifecycle.asked if each[0] == "register_cluster"]
    assert asked == [("register_cluster", "prod", KUBECONFIG, "", KEY)] * 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": ""}, "name"),
        ({"cluster_type": "ManagedKubernetes"}, "ExternalKubernetes"),
        ({"cluster_type": ""}, "ExternalKubernetes"),
        ({"kubeconfig": ""}, "kubeconfig"),
        ({"kubeconfig": "AAAAA"}, "kubeconfig"),
        ({"kubeconfig": base64.b64encode(b"\xff\xfe\xfd").decode()}, "kubeconfig"),
        ({"name": 5}, "name"),
    ],
)
async def test_a_cluster_that_cannot_be_registered_is_refused_with_what_is_missing(client, lifecycle, change, told):
    reply = await client.post("/clusters", {**NEW_CLUSTER, **change})
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")
    assert told in reply.json["Message"]
    assert lifecycle.asked == []


async def test_a_rejected_body_is_not_quoted(client):
    """It may hold a kubeconfig."""
    for body in (b'{"kubeconfig": "SECRET-TOKEN', b'{"kubeconfig": ["SECRET-TOKEN"]}'):
        reply = await client.post("/clusters", body)
        assert reply.status == 400
        assert b"SECRET" not in reply.body


async def test_a_cluster_that_was_forgotten_is_gone(client):
    assert (await client.call("DELETE", f"/clusters/{CLUSTER}")).status == 202
    assert (await client.get(f"/clusters/{CLUSTER}")).json["Code"] == "ErrorClusterNotFound"


# Tasks and events


async def test_a_task_tells_its_stages_events_and_results(client):
    told = (await client.get(f"/tasks/{TASK}")).json
    assert told["task_type"] == "cluster_addon_upgrade"
    assert told["state"] == "success"
    assert told["created"] == "2026-11-23T08:00:00.000Z"
    assert told["updated"] == "2026-11-23T08:00:41.250Z"
    assert told["target"] == {"id": CLUSTER, "type": "cluster"}
    assert told["error"] == {"code": "", "message": ""}
    assert told["stages"] == [
        {
            "state": "success",
            "start_time": "2026-11-23 08:00:00",
            "end_time": "2026-11-23 08:00:00",
            "message": "ready",
            "outputs": {"name": "preflight", "component": "coredns", "stall": ""},
        },
        {
            "state": "running",
            "start_time": "2026-11-23 08:00:00",
            "end_time": "",
            "message": "",
            "outputs": {"name": "rollout", "component": "coredns", "stall": ""},
        },
    ]
    assert told["events"][0] == {
        "action": "start",
        "level": "Normal",
        "message": "Start to upgrade",
        "reason": "Started",
        "source": "Addonry",
        "timestamp": "1795420800000",
    }
    assert [(each["data"], each["status"]) for each in told["task_result"]] == [("coredns", "success")]


async def test_a_task_under_way_tells_where_it_stands(client, lifecycle):
    running = a_change("coredns", status=Status.RUNNING, position=2, percent=40, note="1 of 2 updated", trouble=TROUBLE)
    waiting = a_change("metrics-server", status=Status.QUEUED)
    task = a_task(running, waiting, status=Status.RUNNING)
    lifecycle.histories[TASK] = TaskHistory(task, (), ())
    told = (await client.get(f"/tasks/{TASK}")).json
    assert (told["state"], told["current_stage"], told["percent"]) == ("running", "rollout", 20)
    assert [each["status"] for each in told["task_result"]] == ["initial", "initial"]
    assert told["task_result"][0]["note"] == "1 of 2 updated"
    # It has met trouble and walks back; it has not failed yet.
    assert told["error"] == {"code": "", "message": ""}


async def test_a_stalled_task_names_the_reason_where_each_client_can_see_it(client, lifecycle):
    """The official SDKs drop members they do not know; stages and outputs are what they hand on."""
    note = "1 of 2 updated; container x is in ImagePullBackOff"
    change = a_change(
        "coredns", status=Status.RUNNING, position=2, percent=40, note=note, stall="ImagePullBackOff",
        remarks=("spec.replicas is taken from kubectl.",),
    )  # fmt: skip
    began = StepRecord(ComponentName("coredns"), StepName.ROLLOUT, NOW)
    earlier = StepRecord(ComponentName("coredns"), StepName.APPLY, NOW, NOW, ok=True, message="revision 2")
    lifecycle.histories[TASK] = TaskHistory(a_task(change), (earlier, began), (), seconds_left=12.4)
    told = (await client.get(f"/tasks/{TASK}")).json
    assert [(each["message"], each["outputs"]["stall"]) for each in told["stages"]] == [
        ("revision 2", ""),
        (note, "ImagePullBackOff"),
    ]
    assert told["outputs"] == {"percent": 40, "seconds_left": 12, "stall": "ImagePullBackOff", "wish": ""}
    assert (told["percent"], told["seconds_left"]) == (40, 12)
    [result] = told["task_result"]
    assert (result["stall"], result["remarks"]) == ("ImagePullBackOff", ["spec.replicas is taken from kubectl."])
    assert (result["canary"], result["edits"], result["steps"]) == (
        False,
        "overwrite",
        ["preflight", "apply", "rollout"],
    )


async def test_a_canceled_task_says_so_without_an_error(client, lifecycle):
    change = a_change("coredns", status=Status.CANCELED)
    lifecycle.histories[TASK] = TaskHistory(replace(a_task(change), canceled=True), (), ())
    told = (await client.get(f"/tasks/{TASK}")).json
    assert (told["state"], told["is_canceled"], told["current_stage"]) == ("canceled", True, "")
    assert told["error"] == {"code": "", "message": ""}
    assert (told["task_result"][0]["status"], told["task_result"][0]["state"]) == ("failed", "canceled")


async def test_a_paused_task_tells_before_which_step_it_rests(client, lifecycle):
    change = a_change("coredns", status=Status.PAUSED, position=1, percent=10)
    lifecycle.histories[TASK] = TaskHistory(a_task(change), (), ())
    told = (await client.get(f"/tasks/{TASK}")).json
    assert (told["state"], told["current_stage"], told["percent"]) == ("paused", "apply", 10)
    assert told["task_result"][0]["status"] == "initial"


async def test_a_task_that_waits_to_start_is_running_to_the_outside(client, lifecycle):
    lifecycle.histories[TASK] = TaskHistory(a_task(a_change("a", status=Status.QUEUED)), (), ())
    told = (await client.get(f"/tasks/{TASK}")).json
    assert (told["state"], told["current_stage"]) == ("running", "queued")


async def test_a_failed_task_tells_its_error_with_the_remedy(client, lifecycle):
    failed = a_change("coredns", status=Status.FAILED, trouble=TROUBLE)
    step = StepRecord(ComponentName("coredns"), StepName.ROLLOUT, NOW, NOW + timedelta(seconds=3), ok=False)
    event = Event(CLUSTER, TASK, ComponentName("coredns"), "upgrade", "RollingBack", "x", NOW, EventLevel.WARNING)
    lifecycle.histories[TASK] = TaskHistory(a_task(failed), (step,), (event,))
    told = (await client.get(f"/tasks/{TASK}")).json
    assert told["state"] == "fail"
    assert told["error"] == {
        "code": "AddonOperationFailed.WaitForAddonReadyTimeout",
        "message": "coredns cannot pull its image. Correct the image.",
    }
    assert told["stages"][0]["state"] == "fail"
    assert (told["events"][0]["level"], told["events"][0]["action"]) == ("Warning", "rollback")
    assert told["task_result"][0]["status"] == "failed"


@pytest.mark.parametrize(
    ("kind", "task_type"), [(TaskKind.REGISTER, "cluster_create"), (TaskKind.REMOVE, "cluster_delete")]
)
async def test_a_task_about_a_cluster_itself_has_ended_and_no_results(client, lifecycle, kind, task_type):
    """Terraform follows the task id of CreateCluster until success."""
    lifecycle.histories[TASK] = TaskHistory(a_task(kind=kind, status=Status.SUCCESS), (), ())
    told = (await client.get(f"/tasks/{TASK}")).json
    assert (told["task_type"], told["state"], told["current_stage"]) == (task_type, "success", "")
    assert (told["task_result"], told["percent"]) == ([], 100)


async def test_an_unknown_task_is_told(client):
    reply = await client.get("/tasks/T%20a%2Fb")
    assert (reply.status, reply.json["Code"]) == (404, "ErrorTaskNotFound")
    assert "'T a/b'" in reply.json["Message"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3),
        ("?state=success", 1),
        ("?state=fail", 1),
        ("?state=failed", 1),
        ("?state=running", 1),
        ("?state=paused", 0),
        ("?state=canceled", 0),
        ("?state=unheard-of", 0),
        ("?task_type=cluster_addon_upgrade", 3),
        ("?task_type=cluster_addon_install", 0),
        ("?task_type=cluster_addon_modify", 0),
        ("?task_type=cluster_upgrade", 0),
        ("?page_size=1", 1),
        ("?page_size=1&page_number=4", 0),
    ],
)
async def test_tasks_are_listed_and_filtered(client, query, count):
    for path in (f"/clusters/{CLUSTER}/tasks", "/addonry/v1/tasks"):
        told = (await client.get(path + query)).json
        assert len(told["tasks"]) == count
        assert told["requestId"] == REQUEST_ID


async def test_a_listed_task_tells_its_error_and_components(client):
    told = (await client.get(f"/clusters/{CLUSTER}/tasks?state=fail")).json["tasks"][0]
    assert told["error"]["code"] == "AddonOperationFailed.WaitForAddonReadyTimeout"
    assert [each["data"] for each in told["components"]] == ["metrics-server"]
    assert told["cluster_id"] == CLUSTER


async def test_pages_can_be_walked_by_token(client, lifecycle):
    for number in range(5):
        task = a_task(a_change("a"), task=f"T-{number}")
        lifecycle.histories[TaskId(task.id)] = TaskHistory(task, (), ())
    seen, token = [], None
    while token != "":
        query = "?max_results=3" + (f"&next_token={token}" if token else "")
        told = (await client.get(f"/clusters/{CLUSTER}/tasks{query}")).json
        seen += [each["task_id"] for each in told["tasks"]]
        token = told["next_token"]
    assert len(seen) == len(set(seen)) == 8


async def test_a_token_that_we_did_not_give_is_refused(client):
    reply = await client.get(f"/clusters/{CLUSTER}/tasks?next_token=abc")
    assert (reply.status, reply.json["Code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("?task_id=T-other", 0),
        ("?type=cluster_addon_upgrade", 2),
        ("?type=cluster_addon_install", 0),
        ("?type=nodepool_upgrade", 0),
    ],
)
async def test_events_are_filtered(client, query, count):
    told = (await client.get(f"/clusters/{CLUSTER}/events{query}")).json
    assert (len(told["events"]), told["page_info"]["total_count"]) == (count, count)


# Addonry's own view


async def test_components_are_told_with_their_owner_and_findings(client):
    told = {
        each["name"]: each
        for each in (await client.get(f"/addonry/v1/clusters/{CLUSTER}/components")).json["components"]
    }
    ingress = told["ingress-nginx"]
    assert (ingress["owner"], ingress["source"], ingress["instance"]) == ("Helm", "helm", "ingress-nginx")
    assert (ingress["installed"], ingress["ready"], ingress["can_upgrade"]) == (True, False, True)
    assert ingress["target"] == "4.12.0"
    assert ingress["findings"] == [
        {
            "id": "TaskRunning",
            "severity": "blocks",
            "message": "Task T-1 is running on it.",
            "remedy": "Wait until it has ended.",
            "evidence": [],
            "waived": None,
        }
    ]
    assert (ingress["task"]["state"], ingress["task"]["percent"], ingress["task"]["stall"]) == ("running", 40, "")
    assert (told["cert-manager"]["installed"], told["cert-manager"]["task"]) == (False, None)
    assert told["coredns"]["target"] == ""
    failed = told["metrics-server"]["task"]
    assert (failed["state"], failed["status"], failed["percent"]) == ("fail", "Failed", 60)
    assert failed["message"] == "coredns cannot pull its image. Correct the image."


async def test_a_finding_that_was_waived_is_told_with_who_and_why(client, lifecycle):
    waived = replace(a_blocker(), waived=a_waiver(), evidence=("Deployment kube-system/a",))
    lifecycle.statuses[CLUSTER] = {"a": a_status("a", findings=(waived,))}
    told = (await client.get(f"/addonry/v1/clusters/{CLUSTER}/components")).json["components"][0]
    [finding] = told["findings"]
    assert (told["ready"], finding["severity"], finding["evidence"]) == (True, "blocks", ["Deployment kube-system/a"])
    assert finding["waived"] == {"reason": "one flaky node", "by": "ann", "until": "2027-02-01T00:00:00Z"}


async def test_a_check_tells_of_a_waived_finding_as_one_that_warns(client, lifecycle):
    """ACK has no word for it, and an error is what stops a client."""
    check = a_check()
    item = replace(check.outcome.items[1], findings=(replace(a_blocker(), waived=a_waiver()),))
    lifecycle.ran = [replace(check, outcome=replace(check.outcome, items=(item,)))]
    [told] = (await client.get(f"/clusters/{CLUSTER}/checks/{check.id}")).json["check_items"]["Addon"]
    assert told["Level"].keys() == {"warning"}
    assert "Waived by ann until 2027-02-01" in told["Level"]["warning"]["Message"]


async def test_a_warning_is_told_and_does_not_block(client, lifecycle):
    warned = a_status("a", findings=(a_blocker(severity=Severity.WARNS),))
    lifecycle.statuses[CLUSTER] = {"a": warned}
    told = (await client.get(f"/addonry/v1/clusters/{CLUSTER}/components")).json["components"][0]
    assert (told["ready"], told["findings"][0]["severity"]) == (True, "warns")


async def test_a_scan_looks_now_and_tells_what_it_saw(client, lifecycle):
    told = (await client.post(f"/addonry/v1/clusters/{CLUSTER}/scan")).json
    assert ("scan", CLUSTER) in lifecycle.asked
    assert len(told["components"]) == 4


async def test_user_values_are_told_by_the_instance_alone(client):
    """Values may hold secrets: lists, statuses and tasks leave them out."""
    for target in (
        f"/addonry/v1/clusters/{CLUSTER}/components",
        f"/clusters/{CLUSTER}/components/version",
        f"/clusters/{CLUSTER}/addon_instances",
        f"/tasks/{TASK}",
    ):
        assert b"replicas" not in (await client.get(target)).body
    assert a_component("a", "1").found.values == {"replicas": 2}
