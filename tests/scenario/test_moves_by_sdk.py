"""Pause, resume, cancel, modify and uninstall with the official SDK, on a simulated cluster, to the pods and back.

The picture has to be the same in operation 1 (by component), 17 (the instance) and 22 (the task), whichever of the two
families was asked (ack-api 09, section 5).
"""

import json

import pytest
from alibabacloud_cs20151215 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.scenario.test_first_upgrade import (
    finished,
    get,
    images,
    no_workload_was_deleted,
    ready,
    register,
    status_of,
    upgrade,
)
from tests.support.helm import helm
from tests.support.sdk import sdk
from tests.support.service import Service
from tests.support.waiting import until

pytestmark = pytest.mark.slow

NAME = "metrics-server"
DEPLOYMENT = f"/apis/apps/v1/namespaces/kube-system/deployments/{NAME}"
OLD, NEW = "3.12.1", "3.13.0"


class Families:
    """The three words, by task or by component."""

    def __init__(self, client, cluster_id: str, *, by_component: bool) -> None:
        self._client = client
        self._cluster_id = cluster_id
        self._by_component = by_component

    def say(self, word: str, task_id: str) -> None:
        """One of pause, resume and cancel."""
        if self._by_component:
            getattr(self._client, f"{word}_component_upgrade")(self._cluster_id, NAME)
        else:
            getattr(self._client, f"{word}_task")(task_id)


@pytest.fixture(params=[False, True], ids=["by task", "by component"])
def family(request, client, cluster_id):
    return Families(client, cluster_id, by_component=request.param)


UNHURRIED = {"podAnnotations": {"simulated-start-seconds": "30"}}
"""Values whose pods take three seconds to start here: the first ones are held before the others follow."""


@pytest.fixture
def cluster_id(request, client, cluster, install):
    """A registered cluster on which the old version runs with two pods, installed by somebody else."""
    install(NAME, OLD, replicas=2, **getattr(request, "param", {}))
    registered = register(client, cluster.kubeconfig())
    ready(client, registered, NAME)
    return registered


def canary(client, cluster_id: str) -> str:
    """An upgrade with ACK's policy for careful people; the task's id."""
    wanted = models.UpgradeClusterAddonsRequestBody(component_name=NAME, next_version=NEW, policy="canary")
    return client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted])).body.task_id


def state_of(client, task_id: str, state: str):
    """Operation 22, polled until the task is in that state."""

    def look():
        task = client.describe_task_info(task_id).body
        assert task.state in {"running", "paused", state}, (task.state, task.error.message)
        return task if task.state == state else None

    return until(look, seconds=60, what=f"{task_id} to be {state}")


def picture(client, cluster_id: str, task_id: str) -> tuple[str, str, str]:
    """Operations 1, 17 and 22."""
    return (
        status_of(client, cluster_id, NAME)["tasks"]["status"],
        client.get_cluster_addon_instance(cluster_id, NAME).body.state,
        client.describe_task_info(task_id).body.state,
    )


@pytest.mark.parametrize("cluster_id", [UNHURRIED], indirect=True, ids=["unhurried"])
def test_a_canary_rests_after_its_first_pods_and_goes_on_when_it_is_resumed(client, cluster, cluster_id, family):
    task_id = canary(client, cluster_id)
    task = state_of(client, task_id, "paused")
    assert [stage.outputs["name"] for stage in task.stages][-1] == "canary"
    assert picture(client, cluster_id, task_id) == ("Paused", "upgrading", "paused")
    status = get(cluster, DEPLOYMENT)["status"]
    assert 1 <= status["updatedReplicas"] < status["replicas"], "pods of both versions are there"

    family.say("resume", task_id)
    state_of(client, task_id, "success")

    assert picture(client, cluster_id, task_id) == ("Success", "active", "success")
    assert status_of(client, cluster_id, NAME)["addon_info"]["version"] == NEW
    deployment = get(cluster, DEPLOYMENT)
    assert not deployment["spec"].get("paused")
    assert deployment["status"]["updatedReplicas"] == 2
    assert no_workload_was_deleted(cluster)


@pytest.mark.parametrize("cluster_id", [UNHURRIED], indirect=True, ids=["unhurried"])
def test_a_canary_that_is_canceled_leaves_the_old_version_at_work(client, cluster, cluster_id, family):
    task_id = canary(client, cluster_id)
    state_of(client, task_id, "paused")

    family.say("cancel", task_id)
    task = state_of(client, task_id, "canceled")

    told = status_of(client, cluster_id, NAME)
    assert (told["tasks"]["status"], told["tasks"]["is_canceled"]) == ("Canceled", True)
    assert told["addon_info"]["version"] == OLD
    assert picture(client, cluster_id, task_id) == ("Canceled", "active", "canceled")
    assert task.error.code == ""
    deployment = get(cluster, DEPLOYMENT)
    assert images(cluster, DEPLOYMENT)[0].endswith(":v0.7.1")
    assert not deployment["spec"].get("paused")
    last = helm(cluster.kubeconfig(), "history", NAME)[-1]
    assert (last["status"], last["chart_version"]) == ("deployed", OLD)
    assert no_workload_was_deleted(cluster)


def test_a_task_that_is_paused_anywhere_goes_on_when_it_is_resumed(client, cluster_id, family):
    """Wherever the pause finds it: which step that is depends on the machine's speed."""
    wanted = models.UpgradeClusterAddonsRequestBody(component_name=NAME, next_version=NEW)
    request = models.UpgradeClusterAddonsRequest(body=[wanted])
    task_id = client.upgrade_cluster_addons(cluster_id, request).body.task_id

    family.say("pause", task_id)
    family.say("pause", task_id)
    state_of(client, task_id, "paused")
    assert picture(client, cluster_id, task_id) == ("Paused", "upgrading", "paused")
    family.say("resume", task_id)
    task = state_of(client, task_id, "success")

    assert status_of(client, cluster_id, NAME)["addon_info"]["version"] == NEW
    reasons = [event.reason for event in task.events]
    assert (reasons.count("Paused"), reasons.count("Resumed"), reasons.count("Succeeded")) == (1, 1, 1)


def test_a_stalled_rollout_is_named_while_it_stalls_and_can_be_held_and_canceled(
    tmp_path, chart_repository, cluster, install
):
    """Where the official SDK can see it: the stage's outputs and message, the task's outputs and its events."""
    name = "node-problem-detector"
    install(name, "2.3.14")
    # So patient that the stall is there for as long as the test looks at it.
    environment = {"ADDONRY_CHART_MIRROR": chart_repository, "ADDONRY_STALL_SECONDS": "600"}
    with Service(tmp_path / "data", environment) as service:
        client = sdk(service.host, service.root_key)
        cluster_id = register(client, cluster.kubeconfig())
        task_id = upgrade(client, cluster_id, name, "2.3.15")

        def stalled():
            task = client.describe_task_info(task_id).body
            return task if task.outputs["stall"] else None

        task = until(stalled, seconds=60, what="the stall to be named")
        assert (task.state, task.current_stage) == ("running", "rollout")
        assert task.outputs["stall"] == task.stages[-1].outputs["stall"] == "ImagePullBackOff"
        assert "ImagePullBackOff" in task.stages[-1].message
        [told] = [event for event in task.events if event.reason == "Stalled"]
        assert (told.action, told.level) == ("stall", "Warning")
        assert "ImagePullBackOff" in told.message

        client.pause_task(task_id)
        task = state_of(client, task_id, "paused")
        assert task.stages[-1].outputs["name"] == "hold", "in the middle of a rollout, the pods are held first"
        assert status_of(client, cluster_id, name)["tasks"]["status"] == "Paused"

        client.cancel_component_upgrade(cluster_id, name)
        task = state_of(client, task_id, "canceled")

        assert task.outputs["stall"] == ""
        assert status_of(client, cluster_id, name)["addon_info"]["version"] == "2.3.14"
    state = get(cluster, f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}")["status"]
    assert state["numberReady"] == state["updatedNumberScheduled"] == 3
    assert no_workload_was_deleted(cluster)


def test_where_nothing_runs_nothing_can_be_paused(client, cluster_id):
    with pytest.raises(ClientException) as refused:
        client.pause_component_upgrade(cluster_id, NAME)
    assert (refused.value.status_code, refused.value.code) == (400, "BadRequest")
    with pytest.raises(ClientException) as refused:
        client.pause_component_upgrade(cluster_id, "coredns")
    assert (refused.value.status_code, refused.value.code) == (404, "AddonNotFound")


def test_a_modification_is_found_among_the_tasks_and_shows_in_the_instance(client, cluster, cluster_id):
    """As ecctl does it: the call tells no task, so the one that is new in the list must be it."""

    def modifications() -> list[str]:
        listed = client.describe_cluster_tasks(cluster_id, models.DescribeClusterTasksRequest(page_size=20)).body
        return [task.task_id for task in listed.tasks if task.task_type == "cluster_addon_modify"]

    assert modifications() == []
    client.modify_cluster_addon(cluster_id, NAME, models.ModifyClusterAddonRequest(config='{"replicas":3}'))
    [task_id] = modifications()
    state_of(client, task_id, "success")

    instance = client.get_cluster_addon_instance(cluster_id, NAME).body
    assert (json.loads(instance.config), instance.version, instance.state) == ({"replicas": 3}, OLD, "active")
    assert get(cluster, DEPLOYMENT)["status"]["updatedReplicas"] == 3
    assert finished(client, cluster_id, NAME)["tasks"]["status"] == "Success"


@pytest.mark.uninstalls("node-problem-detector")
def test_an_uninstall_leaves_an_empty_version_and_no_instance(client, cluster, install):
    name = "node-problem-detector"
    install(name, "2.3.14")
    install(NAME, OLD)
    cluster_id = register(client, cluster.kubeconfig())

    def uninstall(component: str) -> str:
        item = models.UnInstallClusterAddonsRequestAddons(name=component, cleanup_cloud_resources=True)
        request = models.UnInstallClusterAddonsRequest(addons=[item])
        return client.un_install_cluster_addons(cluster_id, request).body.task_id

    with pytest.raises(ClientException) as refused:
        uninstall(NAME)  # which the catalog calls required
    assert (refused.value.status_code, refused.value.code) == (400, "BadRequest")
    state_of(client, uninstall(name), "success")

    told = status_of(client, cluster_id, name)
    assert (told["addon_info"]["version"], told["tasks"]["status"]) == ("", "Success")
    for gone in (uninstall, lambda each: client.get_cluster_addon_instance(cluster_id, each)):
        with pytest.raises(ClientException) as refused:
            gone(name)
        assert (refused.value.status_code, refused.value.code) == (404, "AddonNotFound")
    assert [each["name"] for each in helm(cluster.kubeconfig(), "list", all_states=True)] == [NAME]
    get(cluster, "/api/v1/namespaces/kube-system")  # still there, or this would raise
