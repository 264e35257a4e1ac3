"""kill -9 before and after the work of every step: the task is finished all the same, and no effect is doubled.

One task is killed at every moment of its life in turn, each time by another process: harder than once per task, because
whatever one death leaves behind, the next process must bear.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alibabacloud_cs20151215 import models
from darabonba.exceptions import UnretryableException

from addonry.kube.holding import HELD
from addonry.model.tasks import StepName
from addonry.rules.planning import BACK, CANARY, FORWARD, REMOVAL
from tests.scenario.test_first_upgrade import (
    ENDED,
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
from tests.support.troubles import at_first_write, heal
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def moments(tmp_path: Path) -> Path:
    """The moments at which a process is still to die."""
    return tmp_path / "moments"


@pytest.fixture
def dying(tmp_path: Path, moments: Path, chart_repository: str) -> Iterator[Service]:
    """A service that dies at each of the moments."""
    environment = {"ADDONRY_CHART_MIRROR": chart_repository, "ADDONRY_STALL_SECONDS": "1", "DIE_AT": str(moments)}
    moments.write_text("")
    with Service(tmp_path / "data", environment, module="tests.support.dying_service") as service:
        yield service


def die_at_each(
    service: Service,
    moments: Path,
    steps: tuple[StepName, ...],
    cluster_id: str,
    name: str,
    *,
    ends: frozenset[str] = ENDED,
) -> dict:
    """Start the service again after each death until the task is in one of *ends*; operation 1 then."""
    deaths = 0
    while True:
        died = service.wait_or(lambda: _is(service, cluster_id, name, ends))
        if not died:
            break
        deaths += 1
        service.start()
    assert deaths == 2 * len(steps), f"not every moment came: {moments.read_text().split()}"
    return status_of(sdk(service.host, service.root_key), cluster_id, name)


def _is(service: Service, cluster_id: str, name: str, ends: frozenset[str]) -> bool:
    try:
        return status_of(sdk(service.host, service.root_key), cluster_id, name)["tasks"]["status"] in ends
    except UnretryableException:
        return False  # It is just dying.


def arm(moments: Path, steps: tuple[StepName, ...]) -> None:
    moments.write_text("\n".join(f"{step} {when}" for step in steps for when in ("before", "after")))


def test_an_upgrade_killed_at_every_moment_is_finished(dying, moments, cluster, install):
    """However often the worker died, the target runs in the end and was rolled out once."""
    install("metrics-server", "3.12.1")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    arm(moments, FORWARD)
    task_id = upgrade(client, cluster_id, "metrics-server", "3.13.0")

    after = die_at_each(dying, moments, FORWARD, cluster_id, "metrics-server")

    assert after["tasks"]["status"] == "Success", after["tasks"]
    assert after["addon_info"]["version"] == "3.13.0"
    history = helm(cluster.kubeconfig(), "history", "metrics-server")
    assert [(each["revision"], each["status"]) for each in history] == [(1, "superseded"), (2, "deployed")]
    deployment = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"
    assert images(cluster, deployment)[0].endswith(":v0.8.0")
    rolled_out = get(cluster, deployment)["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert rolled_out == "2", "one rollout, however often the step was begun"
    task = sdk(dying.host, dying.root_key).describe_task_info(task_id).body
    assert [event.reason for event in task.events].count("Succeeded") == 1
    assert [stage.outputs["name"] for stage in task.stages] == list(FORWARD)
    assert no_workload_was_deleted(cluster)


def test_a_rollback_killed_at_every_moment_is_finished(dying, moments, cluster, install):
    """The way back is walked to its end as well, and once."""
    steps = (StepName.APPLY, StepName.ROLLOUT, *BACK)
    install("node-problem-detector", "2.3.14")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    arm(moments, steps)
    upgrade(client, cluster_id, "node-problem-detector", "2.3.15")

    after = die_at_each(dying, moments, steps, cluster_id, "node-problem-detector")

    assert after["tasks"]["status"] == "Failed", after["tasks"]
    assert after["addon_info"]["version"] == "2.3.14"
    history = helm(cluster.kubeconfig(), "history", "node-problem-detector")
    assert [each["revision"] for each in history] == [1, 2, 3], "one upgrade, one rollback"
    assert history[-1]["status"] == "deployed"
    daemonset = "/apis/apps/v1/namespaces/kube-system/daemonsets/node-problem-detector"
    assert images(cluster, daemonset)[0].endswith(":v0.8.20")
    assert no_workload_was_deleted(cluster)


DETECTOR = "node-problem-detector"
DAEMON_SET = f"/apis/apps/v1/namespaces/kube-system/daemonsets/{DETECTOR}"


def revisions(cluster, name: str) -> list[tuple[int, str]]:
    return [(each["revision"], each["status"]) for each in helm(cluster.kubeconfig(), "history", name)]


def test_a_canary_killed_at_every_moment_stops_and_goes_on(dying, moments, cluster, install):
    """Half of the deaths before the pause, half after: it pauses all the same, and nothing stays held.

    How many pods are first is not asked here: the rollout goes on while nobody is alive to hold it.
    """
    before, after = CANARY[: CANARY.index(StepName.RELEASE)], CANARY[CANARY.index(StepName.RELEASE) :]
    install(DETECTOR, "2.3.13")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, DETECTOR)
    arm(moments, before)
    wanted = models.UpgradeClusterAddonsRequestBody(component_name=DETECTOR, next_version="2.3.14", policy="canary")
    request = models.UpgradeClusterAddonsRequest(body=[wanted])
    task_id = client.upgrade_cluster_addons(cluster_id, request).body.task_id
    die_at_each(dying, moments, before, cluster_id, DETECTOR, ends=frozenset({"Paused"}))

    arm(moments, after)
    sdk(dying.host, dying.root_key).resume_task(task_id)
    told = die_at_each(dying, moments, after, cluster_id, DETECTOR)

    assert told["tasks"]["status"] == "Success", told
    assert revisions(cluster, DETECTOR) == [(1, "superseded"), (2, "deployed")]
    found = get(cluster, DAEMON_SET)
    assert HELD not in found["metadata"].get("annotations", {})
    assert found["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    assert found["status"]["updatedNumberScheduled"] == found["status"]["desiredNumberScheduled"]


def test_a_cancel_killed_at_every_moment_goes_back(dying, moments, cluster, install):
    """Canceled while its canary rests: rollback, release and verification, each with two deaths."""
    install(DETECTOR, "2.3.13")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, DETECTOR)
    wanted = models.UpgradeClusterAddonsRequestBody(component_name=DETECTOR, next_version="2.3.14", policy="canary")
    request = models.UpgradeClusterAddonsRequest(body=[wanted])
    task_id = client.upgrade_cluster_addons(cluster_id, request).body.task_id
    assert die_at_each(dying, moments, (), cluster_id, DETECTOR, ends=frozenset({"Paused"}))

    arm(moments, BACK)
    client.cancel_task(task_id)
    told = die_at_each(dying, moments, BACK, cluster_id, DETECTOR)

    assert (told["tasks"]["status"], told["tasks"]["is_canceled"]) == ("Canceled", True)
    assert revisions(cluster, DETECTOR) == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert images(cluster, DAEMON_SET)[0].endswith(":v0.8.19")
    assert HELD not in get(cluster, DAEMON_SET)["metadata"].get("annotations", {})


def test_other_values_killed_at_every_moment_are_there_once(dying, moments, cluster, install):
    install("metrics-server", "3.12.1")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, "metrics-server")
    arm(moments, FORWARD)
    client.modify_cluster_addon(
        cluster_id, "metrics-server", models.ModifyClusterAddonRequest(config='{"replicas": 2}')
    )

    told = die_at_each(dying, moments, FORWARD, cluster_id, "metrics-server")

    assert (told["tasks"]["status"], told["addon_info"]["version"]) == ("Success", "3.12.1")
    assert revisions(cluster, "metrics-server") == [(1, "superseded"), (2, "deployed")]
    assert helm(cluster.kubeconfig(), "get_values", "metrics-server") == {"replicas": 2}


@pytest.mark.uninstalls(DETECTOR)
def test_an_uninstall_killed_at_every_moment_is_finished(dying, moments, cluster, install):
    install(DETECTOR, "2.3.13")
    client = sdk(dying.host, dying.root_key)
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, DETECTOR)
    arm(moments, REMOVAL)
    gone = models.UnInstallClusterAddonsRequestAddons(name=DETECTOR)
    client.un_install_cluster_addons(cluster_id, models.UnInstallClusterAddonsRequest(addons=[gone]))

    told = die_at_each(dying, moments, REMOVAL, cluster_id, DETECTOR)

    assert (told["tasks"]["status"], told["addon_info"]["version"]) == ("Success", "")
    assert get(cluster, "/apis/apps/v1/namespaces/kube-system/daemonsets")["items"] == []
    assert helm(cluster.kubeconfig(), "list") == []


def test_a_service_killed_while_helm_writes_is_replaced(tmp_path, simulator, chart_repository, cluster, install):
    """Helm dies with its service in the middle of an upgrade; the next one frees the release and finishes."""
    install("metrics-server", "3.12.1")
    with Service(tmp_path / "data", {"ADDONRY_CHART_MIRROR": chart_repository}) as service:
        client = sdk(service.host, service.root_key)
        cluster_id = register(client, cluster.kubeconfig())
        at_first_write(cluster, cluster.trouble.hang)
        upgrade(client, cluster_id, "metrics-server", "3.13.0")
        until(lambda: cluster.trouble.state == "hanging", what="Helm to write")
        service.kill()
        heal(cluster)
        cluster.trouble.recover()
        service.start()
        client = sdk(service.host, service.root_key)
        until(lambda: _is(service, cluster_id, "metrics-server", ENDED), seconds=60, what="the task to end")
        after = status_of(client, cluster_id, "metrics-server")

    assert after["tasks"]["status"] == "Success", after["tasks"]
    history = helm(cluster.kubeconfig(), "history", "metrics-server")
    assert [each["revision"] for each in history if each["status"] == "deployed"] == [history[-1]["revision"]]
    deployment = "/apis/apps/v1/namespaces/kube-system/deployments/metrics-server"
    assert images(cluster, deployment)[0].endswith(":v0.8.0")
    rolled_out = get(cluster, deployment)["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
    assert rolled_out == "2", "the pods were replaced once"
    assert no_workload_was_deleted(cluster)
