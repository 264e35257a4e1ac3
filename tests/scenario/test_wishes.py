"""Pause, resume and cancel of tasks that run on a cluster: what is asked happens, and the cluster shows it."""

import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from addonry.app import open_app
from addonry.lifecycle import UpgradeRequest
from addonry.model.errors import IllegalMove
from addonry.model.tasks import Edits, Pace, Status, StepName, Wish
from addonry.settings import Settings
from addonry.simulator import Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.scenario.test_first_upgrade import images, no_workload_was_deleted
from tests.support.helm import helm
from tests.support.wishing import Wishing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

APPS = "/apis/apps/v1/namespaces"
INGRESS = f"{APPS}/ingress-nginx/deployments/ingress-nginx-controller"
DETECTOR = f"{APPS}/kube-system/daemonsets/node-problem-detector"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Slow enough to come between two pods."""
    with Simulator(clusters=1, charts=ChartRepository(pack(find_charts())), speed=3.0) as running:
        yield running


@pytest.fixture
async def wishing(tmp_path: Path, simulator, cluster, chart_repository, install) -> AsyncIterator[Wishing]:
    """Addonry in this process, and a cluster with two releases that were made without it."""
    install("ingress-nginx", "4.12.1", "ingress-nginx", controller={"replicaCount": 4})
    install("node-problem-detector", "2.3.13")
    settings = Settings(
        data_directory=tmp_path / "data", chart_mirror=chart_repository, stall_seconds=1.0, request_seconds=2.0
    )
    async with open_app(settings) as app:
        await app.service.sync_catalog()
        registered, _ = await app.service.register_cluster("c", cluster.kubeconfig(), region="local", by="test")
        yield Wishing(app.service, registered.id, cluster)


async def test_a_pause_in_a_rollout_holds_it_and_resume_finishes_it(wishing):
    task = await wishing.upgrade("ingress-nginx", "4.13.3")
    await wishing.until(task, lambda now: now.change.step == StepName.ROLLOUT and "updated" in now.change.note)
    await wishing.pause(task)
    paused = await wishing.until(task, lambda now: now.status is Status.PAUSED)
    assert paused.wish is None
    assert paused.change.step == StepName.RELEASE
    held = wishing.seen(INGRESS)
    assert held["spec"]["paused"] is True
    assert wishing.is_held(INGRESS)

    await wishing.resume(task)
    ended = await wishing.ended(task)
    assert ended.status is Status.SUCCESS, ended
    assert not wishing.is_held(INGRESS)
    assert "paused" not in wishing.seen(INGRESS)["spec"]
    assert images(wishing.simulated, INGRESS)[0].endswith(":v1.13.3")
    assert await wishing.reasons(task) == ["Queued", "Started", "PauseAsked", "Paused", "Resumed", "Succeeded"]


async def test_a_cancel_in_a_rollout_brings_the_old_version_back(wishing):
    task = await wishing.upgrade("ingress-nginx", "4.13.3")
    await wishing.until(task, lambda now: now.change.step == StepName.ROLLOUT)
    await wishing.cancel(task)
    ended = await wishing.ended(task)
    assert (ended.status, ended.canceled, ended.trouble) == (Status.CANCELED, True, None), ended
    assert images(wishing.simulated, INGRESS)[0].endswith(":v1.12.1")
    history = helm(wishing.simulated.kubeconfig(), "history", "ingress-nginx", namespace="ingress-nginx")
    assert [each["revision"] for each in history] == [1, 2, 3]
    assert no_workload_was_deleted(wishing.simulated)


async def test_a_paused_rollout_that_is_canceled_goes_back_and_is_let_go(wishing):
    task = await wishing.upgrade("node-problem-detector", "2.3.14")
    await wishing.until(task, lambda now: now.change.step == StepName.ROLLOUT and "updated" in now.change.note)
    await wishing.pause(task)
    await wishing.until(task, lambda now: now.status is Status.PAUSED)
    assert wishing.seen(DETECTOR)["spec"]["updateStrategy"]["type"] == "OnDelete"
    await wishing.cancel(task)
    ended = await wishing.ended(task)
    assert ended.status is Status.CANCELED, ended
    assert not wishing.is_held(DETECTOR)
    assert wishing.seen(DETECTOR)["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    assert images(wishing.simulated, DETECTOR)[0].endswith(":v0.8.19")
    assert no_workload_was_deleted(wishing.simulated)


async def test_a_canary_stops_after_its_first_pods_and_goes_on_when_told(wishing):
    task = await wishing.upgrade("ingress-nginx", "4.13.3", pace=Pace.CANARY)
    paused = await wishing.until(task, lambda now: now.status is Status.PAUSED)
    status = wishing.seen(INGRESS)["status"]
    assert 1 <= status["updatedReplicas"] < 4
    assert paused.change.step == StepName.RELEASE
    await wishing.resume(task)
    ended = await wishing.ended(task)
    assert ended.status is Status.SUCCESS, ended
    assert wishing.seen(INGRESS)["status"]["updatedReplicas"] == 4
    assert not wishing.is_held(INGRESS)


async def test_a_canary_that_is_canceled_leaves_nothing_of_the_new_version(wishing):
    task = await wishing.upgrade("node-problem-detector", "2.3.14", pace=Pace.CANARY)
    await wishing.until(task, lambda now: now.status is Status.PAUSED)
    await wishing.cancel(task)
    ended = await wishing.ended(task)
    assert ended.status is Status.CANCELED, ended
    seen = wishing.seen(DETECTOR)
    assert seen["status"]["updatedNumberScheduled"] == seen["status"]["desiredNumberScheduled"]
    assert images(wishing.simulated, DETECTOR)[0].endswith(":v0.8.19")
    assert not wishing.is_held(DETECTOR)


async def test_a_task_whose_cluster_does_not_answer_is_paused_and_canceled_all_the_same(wishing):
    task = await wishing.upgrade("ingress-nginx", "4.13.3")
    await wishing.until(task, lambda now: now.change.step == StepName.ROLLOUT)
    wishing.simulated.trouble.refuse()
    await wishing.pause(task)
    await wishing.until(task, lambda now: now.status is Status.PAUSED)
    canceled = await wishing.cancel(task)
    assert canceled.status is Status.QUEUED, "there is something to take back"
    wishing.simulated.trouble.recover()
    ended = await wishing.ended(task)
    assert ended.status is Status.CANCELED, ended
    assert images(wishing.simulated, INGRESS)[0].endswith(":v1.12.1")


async def test_what_is_asked_twice_is_done_once(wishing):
    task = await wishing.upgrade("ingress-nginx", "4.13.3")
    await wishing.until(task, lambda now: now.change.step == StepName.ROLLOUT)
    await wishing.pause(task)
    await wishing.pause(task)
    await wishing.until(task, lambda now: now.status is Status.PAUSED)
    await wishing.pause(task)
    first, second = await wishing.resume(task), await wishing.resume(task)
    assert (first.run, second.run) == (2, 2)
    await wishing.until(task, lambda now: now.status is Status.RUNNING)
    await wishing.cancel(task)
    await wishing.cancel(task)
    ended = await wishing.ended(task)
    assert ended.status is Status.CANCELED
    with pytest.raises(IllegalMove):
        await wishing.resume(task)
    assert await wishing.cancel(task) == ended
    assert (await wishing.reasons(task)).count("Canceled") == 1


async def test_other_values_are_a_task_like_any_other(wishing):
    task = await wishing.configure("ingress-nginx", {"controller": {"replicaCount": 2}})
    ended = await wishing.ended(task)
    assert ended.status is Status.SUCCESS, ended
    assert wishing.seen(INGRESS)["spec"]["replicas"] == 2
    assert images(wishing.simulated, INGRESS)[0].endswith(":v1.12.1")
    values = helm(wishing.simulated.kubeconfig(), "get_values", "ingress-nginx", namespace="ingress-nginx")
    assert values == {"controller": {"replicaCount": 2}}


@pytest.mark.uninstalls("node-problem-detector")
async def test_an_uninstalled_component_is_gone_and_cannot_be_canceled_on_the_way(wishing):
    task = await wishing.uninstall("node-problem-detector")
    ended = await wishing.ended(task)
    assert ended.status is Status.SUCCESS, ended
    assert not helm(wishing.simulated.kubeconfig(), "list")
    status = await wishing.service.status(wishing.cluster)
    assert status["node-problem-detector"].component is None
    with pytest.raises(IllegalMove):
        await wishing.cancel(task)


async def test_a_task_that_waits_is_paused_and_canceled_at_once(wishing):
    """Three lanes a cluster: nothing here is asked of a worker."""
    task = await wishing.upgrade("ingress-nginx", "4.13.3")
    paused = await wishing.pause(task)
    if paused.status is Status.RUNNING:
        assert paused.wish is Wish.PAUSE
    await wishing.until(task, lambda now: now.status is Status.PAUSED)
    canceled = await wishing.cancel(task)
    ended = await wishing.ended(canceled)
    assert ended.status is Status.CANCELED
    assert images(wishing.simulated, INGRESS)[0].endswith(":v1.12.1")


def scale_as_kubectl(wishing: Wishing, replicas: int) -> None:
    """What `kubectl patch` does: the field is kubectl's from then on."""
    request = urllib.request.Request(
        f"{wishing.simulated.server}{INGRESS}?fieldManager=kubectl-patch",
        data=json.dumps({"spec": {"replicas": replicas}}).encode(),
        method="PATCH",
        headers={
            "Authorization": f"Bearer {wishing.simulated.token}",
            "Content-Type": "application/merge-patch+json",
        },
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("edits", "status", "replicas", "tag"),
    [
        (Edits.OVERWRITE, Status.SUCCESS, 4, "v1.13.3"),
        (Edits.PRESERVE, Status.SUCCESS, 3, "v1.13.3"),
        (Edits.NONE, Status.FAILED, 3, "v1.12.1"),
    ],
)
async def test_fields_of_others_are_taken_kept_or_in_the_way_as_asked(wishing, edits, status, replicas, tag):
    """Whoever scaled the controller by hand wants it to stay so, or not: nobody else can know."""
    scale_as_kubectl(wishing, 3)
    await wishing.settled("ingress-nginx")
    (planned,) = await wishing.service.plan(wishing.cluster, [UpgradeRequest("ingress-nginx", "4.13.3", edits=edits)])
    told = " ".join([*planned.change.remarks, planned.change.trouble.message if planned.change.trouble else ""])
    assert "spec.replicas" in told
    assert "kubectl-patch" in told
    task = await wishing.upgrade("ingress-nginx", "4.13.3", edits=edits)
    ended = await wishing.ended(task)
    assert ended.status is status, ended
    seen = wishing.seen(INGRESS)
    assert seen["spec"]["replicas"] == replicas
    assert seen["spec"]["template"]["spec"]["containers"][0]["image"].endswith(tag)
    owners = {
        entry["manager"]
        for entry in seen["metadata"]["managedFields"]
        if "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
    }
    assert owners == {"helm"} if edits is Edits.OVERWRITE else "kubectl-patch" in owners
    if edits is Edits.PRESERVE:
        assert owners == {"kubectl-patch"}
