"""What the facade adds: answers that are kept as long as they are true, and names that are understood."""

import random

import pytest

from addonry.lifecycle import UpgradeRequest
from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.service import Service
from addonry.model.errors import ClusterNotFound, ComponentNotFound, InvalidParameter, VersionNotFound
from addonry.model.ids import ClusterId, Version
from addonry.store import Surroundings
from tests.builders import a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER


@pytest.fixture
def service(world) -> Service:
    return Service(world, Scanner(world, period=60, dice=random.Random(1)))


async def test_the_status_tells_what_runs_and_what_could(service):
    status = await service.status(CLUSTER)
    assert list(status) == ["coredns", "metrics-server"]
    assert status["coredns"].component.version == "1.0.0"
    assert status["coredns"].readiness.target.version == "1.2.0"
    assert status["coredns"].task is None
    assert status["metrics-server"].component is None
    assert status["metrics-server"].readiness.is_ready


async def test_the_same_answer_comes_back_until_something_changes(service, world, catalog):
    first = await service.status(CLUSTER)
    assert await service.status(CLUSTER) is first

    await service.upgrade(CLUSTER, [UpgradeRequest("coredns")], by="root")
    second = await service.status(CLUSTER)
    assert second["coredns"].change.to_version == "1.2.0"
    assert [blocker.id for blocker in second["coredns"].readiness.blockers] == ["TaskRunning"]

    await world.store.save_inventory(a_cluster(), [a_component("1.1.0")], Surroundings())
    third = await service.status(CLUSTER)
    assert third["coredns"].component.version == "1.1.0"

    catalog.generation += 1
    assert await service.status(CLUSTER) is not third


async def test_a_removed_cluster_is_gone_from_the_answers_as_well(service):
    await service.status(CLUSTER)
    task = await service.remove_cluster(CLUSTER, by="root")
    with pytest.raises(ClusterNotFound):
        await service.status(CLUSTER)
    history = await service.task(task)
    assert (history.task.kind, history.task.status) == ("remove", "success")


async def test_names_and_aliases_are_understood(service):
    assert await service.resolve("kube-dns") == "coredns"
    assert await service.resolve("unheard-of") == "unheard-of"


async def test_what_is_unknown_is_told_apart(service):
    with pytest.raises(ComponentNotFound):
        await service.catalog_item("nonsense")
    with pytest.raises(VersionNotFound):
        await service.chart("coredns", Version("9"))
    with pytest.raises(ComponentNotFound):
        await service.values(CLUSTER, "metrics-server")
    with pytest.raises(ClusterNotFound):
        await service.tasks(ClusterId("c0"))


async def test_a_key_signs_and_is_listed_without_its_secret(service):
    made = await service.create_key(" ci ")
    assert (await service.credential(made.id)).secret == made.secret
    (listed,) = await service.keys()
    assert (listed.id, listed.name, listed.is_root) == (made.id, "ci", False)
    assert not hasattr(listed, "secret")


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb"])
async def test_a_key_needs_a_name_for_people(service, name):
    with pytest.raises(InvalidParameter):
        await service.create_key(name)
