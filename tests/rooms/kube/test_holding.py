"""Holding a rollout where it is and letting it go, on each kind of workload."""

import asyncio
from typing import Any

import pytest

from addonry.kube.api import Api, Outdated
from addonry.kube.holding import HELD, hold, is_held, release
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.kube.objects import PATHS
from addonry.kube.rollout import Stalls, follow
from addonry.model.components import Health, ObjectRef
from addonry.simulator import SimulatedCluster, Simulator

KINDS = ("Deployment", "StatefulSet", "DaemonSet")


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=1, speed=5.0) as running:
        yield running


@pytest.fixture
def cluster(simulator) -> SimulatedCluster:
    return simulator.add(f"c-{len(simulator.clusters)}")


@pytest.fixture
async def api(cluster):
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=3)
    yield made
    await made.close()


def ref(kind: str) -> ObjectRef:
    return ObjectRef("apps/v1", kind, "default", "web")


def path(kind: str) -> str:
    return f"{PATHS[kind].format(namespace='default')}/web"


async def create(api: Api, kind: str, **spec: Any) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    given: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template, **spec}
    given |= {} if kind == "DaemonSet" else {"replicas": 3}
    given |= {"serviceName": "web"} if kind == "StatefulSet" else {}
    body = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web"}, "spec": given}
    await api.create(path(kind).rpartition("/")[0], body)
    await settle(api, kind)


async def settle(api: Api, kind: str) -> None:
    async with asyncio.timeout(30):
        looks = [look async for look in follow(api, [ref(kind)], stalls=Stalls(5.0))]
    assert looks[-1].health is Health.CURRENT


async def begin_rollout(api: Api, kind: str) -> None:
    """Return once the first pod of the new template is there."""
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}
    await api.patch(path(kind), patch, kind="strategic")
    async with asyncio.timeout(30):
        async for look in follow(api, [ref(kind)], stalls=Stalls(5.0)):
            if look.updated:
                return


async def images(api: Api) -> set[str]:
    pods, _ = await api.list("/api/v1/namespaces/default/pods", dict)
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {pod["spec"]["containers"][0]["image"] for pod in staying}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_rollout_that_is_held_goes_no_further_until_it_is_let_go(api, kind):
    await create(api, kind)
    before = (await api.get(path(kind)))["spec"]
    await begin_rollout(api, kind)
    assert await hold(api, [ref(kind)]) == (ref(kind),)
    # What the controllers had under way comes to rest; then both versions are there.
    async with asyncio.timeout(30):
        async for look in follow(api, [ref(kind)], stalls=Stalls(5.0)):
            if look.health is Health.CURRENT or look.updated_ready >= look.updated:
                break
    assert await images(api) == {"app:1", "app:2"}
    assert await hold(api, [ref(kind)]) == (ref(kind),), "asked twice, it stays as it is"

    assert await release(api, [ref(kind)]) == (ref(kind),)
    await settle(api, kind)
    assert await images(api) == {"app:2"}
    after = await api.get(path(kind))
    assert not is_held(after)
    changed = {key for key in {*before, *after["spec"]} if before.get(key) != after["spec"].get(key)}
    assert changed == {"template"}, "nothing of the hold is left"
    assert await release(api, [ref(kind)]) == (), "nothing is held any more"


async def test_what_somebody_else_holds_is_not_ours_to_let_go(api):
    await create(api, "Deployment")
    await api.patch(path("Deployment"), {"spec": {"paused": True}}, kind="merge")
    assert await hold(api, [ref("Deployment")]) == ()
    assert await release(api, [ref("Deployment")]) == ()
    assert (await api.get(path("Deployment")))["spec"]["paused"] is True


async def test_a_field_that_was_changed_meanwhile_is_left_as_it_is(api):
    """Helm, on the way back, has put its own value there."""
    await create(api, "DaemonSet")
    await hold(api, [ref("DaemonSet")])
    patch = {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}}}
    await api.patch(path("DaemonSet"), patch, kind="merge")
    await release(api, [ref("DaemonSet")])
    found = await api.get(path("DaemonSet"))
    assert found["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 2
    assert not is_held(found)


async def test_a_mark_that_somebody_spoilt_is_taken_away_and_nothing_else(api):
    await create(api, "Deployment")
    await hold(api, [ref("Deployment")])
    await api.patch(path("Deployment"), {"metadata": {"annotations": {HELD: "not json"}}}, kind="merge")
    await release(api, [ref("Deployment")])
    found = await api.get(path("Deployment"))
    assert not is_held(found)
    assert found["spec"]["paused"] is True, "nobody knows what was there before"


async def test_a_workload_that_changes_between_read_and_write_is_read_again(api, cluster):
    await create(api, "Deployment")
    cluster.trouble.fail(status=409, method="PATCH", path_contains="deployments/web", times=1)
    assert await hold(api, [ref("Deployment")]) == (ref("Deployment"),)
    cluster.trouble.fail(status=409, method="PATCH", path_contains="deployments/web", times=None)
    with pytest.raises(Outdated):
        await release(api, [ref("Deployment")])


async def test_what_is_no_workload_is_passed_over(api):
    assert await hold(api, [ObjectRef("v1", "ConfigMap", "default", "web")]) == ()
    assert await hold(api, [ref("Deployment")]) == (), "it is not there"
