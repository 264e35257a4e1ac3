"""The official Python SDK over a socket: what it sends is accepted, what we answer it understands."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import uvicorn
from alibabacloud_cs20151215 import models
from alibabacloud_tea_openapi.exceptions import ClientException, ThrottlingException

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.throttle import Rate
from addonry.lifecycle import ConfigureRequest
from addonry.model.tasks import Wish
from tests.support.sdk import sdk
from tests.support.waiting import until
from tests.wire.fakes import CLUSTER, KEY, LIVE_TASK, SECRET, TASK, FakeLifecycle


@pytest.fixture
def host(lifecycle: FakeLifecycle) -> Iterator[str]:
    """Where a real server serves the gateway."""
    with serving(lifecycle, GatewaySettings(body_limit=1024 * 1024)) as host:
        yield host


@contextmanager
def serving(lifecycle: FakeLifecycle, gateway: GatewaySettings) -> Iterator[str]:
    """A real server, as long as the context lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = build_gateway(lifecycle, gateway)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started, seconds=10, what="the server to start")
            yield f"127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def client(host):
    return sdk(host, (KEY, SECRET))


def test_the_upgrade_status(client):
    request = models.DescribeClusterAddonsUpgradeStatusRequest(component_ids=["metrics-server", "coredns"])
    reply = client.describe_cluster_addons_upgrade_status(CLUSTER, request)
    assert reply.status_code == 200
    assert reply.body["coredns"] == {
        "tasks": {
            "created_at": "2026-11-23T08:00:00Z",
            "finished_at": "2026-11-23T08:00:41Z",
            "is_canceled": False,
            "status": "Success",
        },
        "addon_info": {"component_name": "coredns", "version": "1.40.0", "ready_to_upgrade": "true"},
        "can_upgrade": False,
    }
    assert reply.headers["x-acs-request-id"]


async def test_the_upgrade_status_without_names_asynchronously(client):
    request = models.DescribeClusterAddonsUpgradeStatusRequest()
    reply = await client.describe_cluster_addons_upgrade_status_async(CLUSTER, request)
    assert len(reply.body) == 4


def test_the_upgrade_status_of_one_and_the_versions(client):
    assert list(client.describe_cluster_addon_upgrade_status(CLUSTER, "coredns").body) == ["coredns"]
    assert client.describe_cluster_addons_version(CLUSTER).body["coredns"]["version"] == "1.40.0"


def test_an_upgrade_and_an_install(client):
    item = models.UpgradeClusterAddonsRequestBody(
        component_name="coredns", version="1.40.0", next_version="1.41.0", policy="overwrite", config='{"note":"é"}'
    )
    upgraded = client.upgrade_cluster_addons(CLUSTER, models.UpgradeClusterAddonsRequest(body=[item])).body
    assert (upgraded.cluster_id, upgraded.task_id) == (CLUSTER, TASK)
    assert len(upgraded.request_id) == 36
    wanted = models.InstallClusterAddonsRequestBody(name="cert-manager", version="")
    installed = client.install_cluster_addons(CLUSTER, models.InstallClusterAddonsRequest(body=[wanted])).body
    assert installed.task_id == TASK


def test_a_modification_and_an_uninstall(client, lifecycle):
    request = models.ModifyClusterAddonRequest(config='{"replicas":3}')
    assert client.modify_cluster_addon(CLUSTER, "coredns", request).status_code == 200
    assert ("configure", CLUSTER, (ConfigureRequest("coredns", {"replicas": 3}),), KEY) in lifecycle.asked
    item = models.UnInstallClusterAddonsRequestAddons(name="coredns", cleanup_cloud_resources=True)
    removed = client.un_install_cluster_addons(CLUSTER, models.UnInstallClusterAddonsRequest(addons=[item])).body
    assert (removed.cluster_id, removed.task_id) == (CLUSTER, TASK)


def test_pause_resume_and_cancel(client, lifecycle):
    """Both families; the models of the answers are empty, so that the status is all there is."""
    assert client.pause_component_upgrade(CLUSTER, "ingress-nginx").status_code == 200
    assert lifecycle.histories[LIVE_TASK].task.wish is Wish.PAUSE
    assert client.resume_task(LIVE_TASK).status_code == 200
    assert lifecycle.histories[LIVE_TASK].task.wish is None
    assert client.pause_task(LIVE_TASK).status_code == 200
    assert client.resume_component_upgrade(CLUSTER, "ingress-nginx").status_code == 200
    assert client.cancel_component_upgrade(CLUSTER, "ingress-nginx").status_code == 200
    assert client.cancel_task(LIVE_TASK).status_code == 200
    task = client.describe_task_info(LIVE_TASK).body
    assert (task.state, task.outputs["wish"]) == ("running", "cancel")
    error = refusal(client.pause_task, LIVE_TASK)
    assert (error.status_code, error.code) == (400, "BadRequest")


def test_a_task_with_its_parts(client):
    task = client.describe_task_info(TASK).body
    assert (task.task_id, task.state, task.task_type) == (TASK, "success", "cluster_addon_upgrade")
    assert [stage.state for stage in task.stages] == ["success", "running"]
    assert [event.reason for event in task.events] == ["Started", "Succeeded"]
    assert [(result.data, result.status) for result in task.task_result] == [("coredns", "success")]
    assert (task.error.code, task.target.id) == ("", CLUSTER)
    tasks = client.describe_cluster_tasks(CLUSTER, models.DescribeClusterTasksRequest(page_size=1)).body
    assert (len(tasks.tasks), tasks.page_info.total_count) == (1, 3)
    assert tasks.request_id


def test_clusters(client):
    listed = client.describe_clusters_v1(models.DescribeClustersV1Request(page_number=1, page_size=20)).body
    assert [cluster.name for cluster in listed.clusters] == ["sim-1"]
    assert listed.page_info.total_count == 1
    detail = client.describe_cluster_detail(CLUSTER).body
    assert (detail.state, detail.current_version, detail.size) == ("running", "1.31.1", 3)
    assert detail.deletion_protection is False


def test_registering_and_forgetting_a_cluster(client):
    request = models.CreateClusterRequest(
        name="prod", region_id="local", cluster_type="ExternalKubernetes", user_data="apiVersion: v1\n", vpcid="vpc-1"
    )
    created = client.create_cluster(request)
    assert created.status_code == 202
    assert created.body.cluster_id.startswith("c")
    assert created.body.task_id == TASK
    deleted = client.delete_cluster(CLUSTER, models.DeleteClusterRequest(retain_all_resources=True))
    assert deleted.status_code == 202


def test_instances_add_ons_and_events(client):
    instances = client.list_cluster_addon_instances(CLUSTER).body.addons
    assert ("coredns", "1.40.0", "active") in [(each.name, each.version, each.state) for each in instances]
    one = client.get_cluster_addon_instance(CLUSTER, "coredns").body
    assert (json.loads(one.config), one.logging.capable) == ({"replicas": 2}, False)
    assert len(client.list_addons(models.ListAddonsRequest(cluster_id=CLUSTER)).body.addons) == 4
    request = models.DescribeAddonRequest(cluster_id=CLUSTER, version="3.12.1")
    addon = client.describe_addon("metrics-server", request).body
    assert [(each.version, each.upgradable) for each in addon.newer_versions] == [("3.13.0", True), ("4.0.0", False)]
    events = client.describe_cluster_events(CLUSTER, models.DescribeClusterEventsRequest(task_id=TASK)).body
    assert [event.data.reason for event in events.events] == ["Succeeded", "Started"]


def refusal(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value


def test_an_add_on_that_is_not_installed(client):
    error = refusal(client.get_cluster_addon_instance, CLUSTER, "cert-manager")
    assert (error.status_code, error.code) == (404, "AddonNotFound")
    assert error.message.startswith("code: 404, ")
    assert error.request_id in error.message


def test_an_unknown_cluster(client):
    error = refusal(client.describe_cluster_detail, "cffff")
    assert (error.status_code, error.code) == (404, "ErrorClusterNotFound")


def test_a_wrong_secret(host):
    error = refusal(sdk(host, (KEY, "wrong")).describe_cluster_detail, CLUSTER)
    assert (error.status_code, error.code) == (400, "SignatureDoesNotMatch")


def test_an_unknown_key(host):
    error = refusal(sdk(host, ("LTAInobody", SECRET)).describe_cluster_detail, CLUSTER)
    assert (error.status_code, error.code) == (404, "InvalidAccessKeyId.NotFound")


def test_too_many_requests_are_a_throttling_to_the_sdk(lifecycle):
    with serving(lifecycle, GatewaySettings(rate=Rate(per_second=0.5, burst=1))) as host:
        client = sdk(host, (KEY, SECRET))
        client.describe_regions(models.DescribeRegionsRequest())
        with pytest.raises(ThrottlingException) as refused:
            client.describe_regions(models.DescribeRegionsRequest())
    assert (refused.value.status_code, refused.value.code) == (429, "Throttling.User")
    assert 0 < refused.value.retry_after <= 2_000


def test_awkward_names_in_path_and_query(client):
    """Blanks, plus, star, tilde and slashes are encoded differently by path and query; both must verify."""
    name = "a b+c*d~e/fé'\"%&="
    request = models.DescribeClusterAddonsUpgradeStatusRequest(component_ids=[name, "coredns"])
    assert list(client.describe_cluster_addons_upgrade_status(CLUSTER, request).body) == ["coredns"]
    error = refusal(client.describe_task_info, "T a/b+c*d~é")
    assert (error.status_code, error.code) == (404, "ErrorTaskNotFound")


def test_a_body_over_the_limit_is_answered_on_the_socket(host):
    """The client is still sending when the limit is reached; it must see the answer all the same."""
    connection = http.client.HTTPConnection(host, timeout=20)
    connection.request("POST", f"/clusters/{CLUSTER}/components/install", body=b" " * 3_000_000)
    reply = connection.getresponse()
    assert (reply.status, json.loads(reply.read())["Code"]) == (413, "RequestEntityTooLarge")
    connection.close()


def test_an_encoded_path_and_raw_brackets_arrive_as_they_were_sent(host):
    """The server must hand over the raw target, or signatures break: no decoding, no normalising."""
    for target, status in [
        ("/healthz", 200),
        (f"/tasks/{quote('a/b', safe='')}", 400),
        ('/clusters/c/components/upgradestatus?componentIds=["a"]', 400),
        ("/%68ealthz", 404),
        ("/clusters/../healthz", 404),
    ]:
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", target)
        reply = connection.getresponse()
        assert (reply.status, json.loads(reply.read()).get("Code")) == (
            status,
            {200: None, 400: "MissingVersion", 404: "InvalidApi.NotFound"}[status],
        )
        connection.close()
