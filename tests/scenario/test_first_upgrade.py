"""The main job, through every layer, with the official SDK: what a user of ACK's API sees on any cluster.

Each test runs the service as a process on simulated clusters, which it reaches over HTTP like any other.
"""

import base64
import json
import socket
import urllib.request

import pytest
from alibabacloud_cs20151215 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from addonry.simulator import SimulatedCluster, Simulator
from tests.support.helm import helm
from tests.support.sdk import sdk
from tests.support.service import Service
from tests.support.waiting import until

pytestmark = pytest.mark.slow

WORKLOADS = ("deployments", "daemonsets", "statefulsets", "customresourcedefinitions", "namespaces")
ENDED = frozenset({"Success", "Failed", "Canceled"})


def register(client, kubeconfig: str, name: str = "prod") -> str:
    """CreateCluster of the SDK; the kubeconfig travels in the text member that takes one (docs/reference)."""
    request = models.CreateClusterRequest(
        name=name,
        region_id="local",
        cluster_type="ExternalKubernetes",
        user_data=base64.b64encode(kubeconfig.encode()).decode(),
    )
    created = client.create_cluster(request).body
    task = client.describe_task_info(created.task_id).body
    assert (task.state, task.task_type) == ("success", "cluster_create")
    return created.cluster_id


def status_of(client, cluster_id: str, name: str) -> dict:
    """Operation 1 for one component."""
    request = models.DescribeClusterAddonsUpgradeStatusRequest(component_ids=[name])
    return client.describe_cluster_addons_upgrade_status(cluster_id, request).body[name]


def ready(client, cluster_id: str, name: str) -> dict:
    """Operation 1, once what Helm has just installed has settled: its wait does not look at APIServices."""

    def look():
        status = status_of(client, cluster_id, name)
        return status if status["addon_info"]["ready_to_upgrade"] == "true" else None

    return until(look, what=f"{name} to be ready")


def upgrade(client, cluster_id: str, name: str, version: str) -> str:
    """UpgradeClusterAddons, once the component is ready; the task's id."""
    ready(client, cluster_id, name)
    wanted = models.UpgradeClusterAddonsRequestBody(component_name=name, next_version=version)
    return client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted])).body.task_id


def finished(client, cluster_id: str, name: str) -> dict:
    """Operation 1, polled until the task has ended."""

    def look():
        status = status_of(client, cluster_id, name)
        return status if status["tasks"]["status"] in ENDED else None

    return until(look, seconds=60, what=f"{name} to end")


def get(cluster: SimulatedCluster, path: str) -> dict:
    """A plain call of the Kubernetes API."""
    request = urllib.request.Request(cluster.server + path, headers={"Authorization": f"Bearer {cluster.token}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def images(cluster: SimulatedCluster, path: str) -> list[str]:
    """The images of a workload."""
    return [each["image"] for each in get(cluster, path)["spec"]["template"]["spec"]["containers"]]


def no_workload_was_deleted(cluster: SimulatedCluster) -> bool:
    """No client ever asked to delete a workload, CRD or namespace."""
    return not [
        each for each in cluster.requests if each.method == "DELETE" and any(kind in each.path for kind in WORKLOADS)
    ]


def test_an_upgrade_from_the_sdk_to_the_pods(client, cluster, install):
    """The call Addonry exists for, on a chart that somebody else installed with Helm itself."""
    install("metrics-server", "3.12.1")
    cluster_id = register(client, cluster.kubeconfig())

    before = ready(client, cluster_id, "metrics-server")
    assert before["addon_info"]["version"] == "3.12.1"
    assert before["can_upgrade"] is True
    assert before["tasks"]["created_at"] == "0001-01-01T00:00:00Z"

    task_id = upgrade(client, cluster_id, "metrics-server", "3.13.0")
    seen = {status_of(client, cluster_id, "metrics-server")["tasks"]["status"]}
    after = finished(client, cluster_id, "metrics-server")

    assert seen == {"Upgrading"}
    assert after["tasks"]["status"] == "Success"
    assert after["addon_info"]["version"] == "3.13.0"
    assert after["can_upgrade"] is False
    history = helm(cluster.kubeconfig(), "history", "metrics-server")
    assert [(each["revision"], each["status"]) for each in history] == [(1, "superseded"), (2, "deployed")]
    assert images(cluster, "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server") == [
        "registry.k8s.io/metrics-server/metrics-server:v0.8.0"
    ]
    task = client.describe_task_info(task_id).body
    assert (task.state, task.task_type) == ("success", "cluster_addon_upgrade")
    assert [result.status for result in task.task_result] == ["success"]
    assert no_workload_was_deleted(cluster)


def test_a_broken_version_fails_and_the_old_one_runs_on(client, cluster, install):
    """The promise: no failure path takes away what worked."""
    install("node-problem-detector", "2.3.14")
    cluster_id = register(client, cluster.kubeconfig())

    task_id = upgrade(client, cluster_id, "node-problem-detector", "2.3.15")
    after = finished(client, cluster_id, "node-problem-detector")

    assert after["tasks"]["status"] == "Failed"
    assert "ImagePull" in after["tasks"]["message"]
    assert after["addon_info"]["version"] == "2.3.14"
    daemonset = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-problem-detector"
    assert images(cluster, daemonset)[0].endswith(":v0.8.20")
    state = get(cluster, daemonset)["status"]
    assert state["numberReady"] == state["updatedNumberScheduled"] == 3
    history = helm(cluster.kubeconfig(), "history", "node-problem-detector")
    assert history[-1]["status"] == "deployed"
    assert history[-1]["chart_version"] == "2.3.14"
    assert no_workload_was_deleted(cluster)
    task = client.describe_task_info(task_id).body
    assert task.state == "fail"
    assert task.error.code
    reasons = [event.reason for event in task.events]
    assert reasons.count("RollingBack") == 1
    assert reasons.count("Failed") == 1


def test_an_installation_from_the_sdk(client, cluster):
    """A component that is not there yet is installed in the newest version that fits, by its alias as well."""
    cluster_id = register(client, cluster.kubeconfig())
    wanted = models.InstallClusterAddonsRequestBody(name="nginx-ingress-controller", version="")

    client.install_cluster_addons(cluster_id, models.InstallClusterAddonsRequest(body=[wanted]))
    after = finished(client, cluster_id, "ingress-nginx")

    assert after["tasks"]["status"] == "Success"
    assert after["addon_info"]["version"] == "4.13.3"
    releases = helm(cluster.kubeconfig(), "list", namespace="", all_namespaces=True)
    assert [each["name"] for each in releases] == ["ingress-nginx"]
    instances = client.list_cluster_addon_instances(cluster_id).body.addons
    assert [(each.name, each.version, each.state) for each in instances] == [("ingress-nginx", "4.13.3", "active")]


@pytest.mark.uninstalls("node-problem-detector")
def test_a_first_installation_that_fails_is_taken_back(client, cluster):
    """Nothing was there before, so nothing is left behind: the one case in which Addonry uninstalls."""
    cluster_id = register(client, cluster.kubeconfig())
    wanted = models.InstallClusterAddonsRequestBody(name="node-problem-detector", version="2.3.15")

    client.install_cluster_addons(cluster_id, models.InstallClusterAddonsRequest(body=[wanted]))
    after = finished(client, cluster_id, "node-problem-detector")

    assert after["tasks"]["status"] == "Failed"
    assert after["addon_info"]["version"] == ""
    assert helm(cluster.kubeconfig(), "list", all_states=True) == []


def test_a_dead_cluster_is_told_in_bounded_time_and_delays_nobody(client, simulator, cluster, install):
    """One cluster hangs; its status says so, and the other is served and upgraded meanwhile."""
    install("metrics-server", "3.12.1")
    alive = register(client, cluster.kubeconfig(), "alive")
    other = simulator.cluster("sim-2")
    dead = register(client, other.kubeconfig(), "dead")
    other.trouble.hang()

    until(lambda: client.describe_cluster_detail(dead).body.state == "unavailable", seconds=30)
    told = status_of(client, dead, "metrics-server")
    assert told["addon_info"]["ready_to_upgrade"] == "false"
    wanted = models.InstallClusterAddonsRequest(body=[models.InstallClusterAddonsRequestBody(name="metrics-server")])
    with pytest.raises(ClientException) as refused:
        client.install_cluster_addons(dead, wanted)
    assert refused.value.status_code == 400
    assert "does not answer" in refused.value.message

    upgrade(client, alive, "metrics-server", "3.13.0")
    assert finished(client, alive, "metrics-server")["tasks"]["status"] == "Success"


def test_registering_what_does_not_answer_is_refused_and_remembers_nothing(client):
    """A closed port: a 4xx with a code, in bounded time."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    kubeconfig = f"""
apiVersion: v1
kind: Config
current-context: x
contexts: [{{name: x, context: {{cluster: x, user: x}}}}]
clusters: [{{name: x, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: x, user: {{token: SECRET-TOKEN}}}}]
"""
    with pytest.raises(ClientException) as refused:
        register(client, kubeconfig)
    assert refused.value.status_code == 400
    assert refused.value.code
    assert "SECRET-TOKEN" not in refused.value.message
    assert client.describe_clusters_v1(models.DescribeClustersV1Request()).body.clusters == []


def test_an_upgrade_survives_the_kill_of_its_service(service: Service, client, cluster, simulator: Simulator, install):
    """kill -9 in the middle of the rollout; the next process finishes the task, and Helm ran once."""
    install("metrics-server", "3.12.1")
    cluster_id = register(client, cluster.kubeconfig())
    task_id = upgrade(client, cluster_id, "metrics-server", "3.13.0")
    until(lambda: client.describe_task_info(task_id).body.current_stage in {"rollout", "verify"}, seconds=30)

    service.kill()
    service.start()
    again = sdk(service.host, service.root_key)
    after = finished(again, cluster_id, "metrics-server")

    assert after["tasks"]["status"] == "Success"
    history = helm(cluster.kubeconfig(), "history", "metrics-server")
    assert [each["revision"] for each in history] == [1, 2]


def test_secrets_stay_out_of_the_log(service: Service, client, cluster):
    """The kubeconfig's token and the access key's secret are in nothing the service writes for people."""
    register(client, cluster.kubeconfig())
    log = service.log()
    assert cluster.token not in log
    assert service.root_key[1] not in log
