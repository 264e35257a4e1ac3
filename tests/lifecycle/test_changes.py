"""Install and upgrade: everything is checked before anything is written."""

from dataclasses import replace

import pytest

from addonry.lifecycle import InstallRequest, UpgradeRequest
from addonry.lifecycle.changes import install, upgrade
from addonry.model.clusters import Reach
from addonry.model.components import Health, Placement, SourceKind
from addonry.model.errors import (
    AlreadyInstalled,
    ClusterNotFound,
    ComponentBusy,
    ComponentNotFound,
    InvalidParameter,
    UpgradeNotPossible,
    VersionNotFound,
)
from addonry.model.ids import ClusterId
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import Status, TaskKind
from addonry.rules.planning import FORWARD
from tests.builders import a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER


async def nothing_was_written(world, engine) -> bool:
    tasks, count = await world.store.tasks(CLUSTER)
    _, events = await world.store.events(clusters=[CLUSTER])
    return (tasks, count, events, engine.taken) == ((), 0, 0, [])


async def test_an_upgrade_becomes_one_queued_task_to_the_newest_version_that_fits(world, engine):
    task = await upgrade(world, CLUSTER, [UpgradeRequest("kube-dns")], by="root")

    kept = await world.store.task(task.id)
    assert (kept.kind, kept.status, kept.requested_by) == (TaskKind.UPGRADE, Status.QUEUED, "root")
    (change,) = kept.changes
    assert (change.component, change.from_version, change.to_version) == ("coredns", "1.0.0", "1.2.0")
    assert (change.plan, change.values) == (FORWARD, None)
    assert engine.taken == [(task.id, 1, CLUSTER)]
    events, _ = await world.store.events(task=task.id)
    assert [event.reason for event in events] == ["Queued"]


async def test_an_installation_goes_where_the_catalog_says(world):
    values = {"replicas": 2}
    task = await install(world, CLUSTER, [InstallRequest("metrics-server", None, values)], by="root")
    (change,) = (await world.store.task(task.id)).changes
    assert change.placement == Placement(SourceKind.HELM, "kube-system", "metrics-server")
    assert (change.from_version, change.to_version, change.values) == ("", "3.13.0", values)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (UpgradeRequest("nonsense"), ComponentNotFound),
        (UpgradeRequest("metrics-server"), ComponentNotFound),
        (UpgradeRequest("coredns", "9.9.9"), VersionNotFound),
        (UpgradeRequest("coredns", "1.0.0"), UpgradeNotPossible),
        (UpgradeRequest("coredns", "1.3.0"), UpgradeNotPossible),
        (UpgradeRequest("coredns", "1.2.0", expected="1.1.0"), UpgradeNotPossible),
    ],
)
async def test_an_upgrade_that_cannot_be_is_refused_whole(world, engine, request_, error):
    with pytest.raises(error) as refused:
        await upgrade(world, CLUSTER, [request_], by="root")
    assert refused.value.remedy
    assert await nothing_was_written(world, engine)


async def test_one_wrong_request_stops_all_of_a_call(world, engine):
    requests = [UpgradeRequest("coredns"), UpgradeRequest("nonsense")]
    with pytest.raises(ComponentNotFound):
        await upgrade(world, CLUSTER, requests, by="root")
    assert await nothing_was_written(world, engine)


@pytest.mark.parametrize("names", [[], ["coredns", "coredns"], ["coredns", "kube-dns"]])
async def test_no_name_and_a_name_twice_are_malformed(world, engine, names):
    with pytest.raises(InvalidParameter):
        await upgrade(world, CLUSTER, [UpgradeRequest(name) for name in names], by="root")
    assert await nothing_was_written(world, engine)


async def test_installing_what_is_there_is_refused(world):
    with pytest.raises(AlreadyInstalled):
        await install(world, CLUSTER, [InstallRequest("coredns")], by="root")


async def test_an_unknown_cluster_is_told_before_its_components(world):
    with pytest.raises(ClusterNotFound):
        await upgrade(world, ClusterId("c0"), [UpgradeRequest("nonsense")], by="root")


async def test_a_second_task_on_a_component_is_refused_and_names_the_first(world):
    first = await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    with pytest.raises(ComponentBusy, match=first.id):
        await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    await install(world, CLUSTER, [InstallRequest("metrics-server")], by="root")


@pytest.mark.parametrize(
    ("cluster", "component"),
    [
        (a_cluster(reach=Reach.UNREACHABLE, trouble="no answer."), a_component()),
        (a_cluster(), a_component(health=Health.FAILED)),
    ],
)
async def test_what_blocks_is_told_with_its_remedy(world, cluster, component):
    await world.store.save_inventory(cluster, [component], Surroundings())
    with pytest.raises(UpgradeNotPossible) as refused:
        await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    assert refused.value.blockers
    assert refused.value.remedy == refused.value.blockers[0].remedy


async def test_values_that_break_the_new_schema_block_unless_new_ones_are_given(world):
    broken = Surroundings(values_errors={"coredns": {"1.2.0": ("replicas must be of type integer",)}})
    await world.store.save_inventory(a_cluster(), [a_component()], broken)
    with pytest.raises(UpgradeNotPossible, match="replicas"):
        await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    task = await upgrade(world, CLUSTER, [UpgradeRequest("coredns", values={"replicas": 2})], by="root")
    assert task.changes[0].values == {"replicas": 2}


async def test_values_for_a_plain_workload_are_refused_and_not_ignored(world, engine):
    placement = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    await world.store.save_inventory(a_cluster(), [a_component("1.0.0", placement=placement)], Surroundings())
    with pytest.raises(InvalidParameter, match="takes no values"):
        await upgrade(world, CLUSTER, [UpgradeRequest("coredns", values={"replicas": 3})], by="root")
    assert await nothing_was_written(world, engine)


async def test_what_is_up_to_date_is_told_so(world, catalog):
    entry, offers = catalog.known["coredns"]
    catalog.known["coredns"] = (entry, offers[1:])
    await world.store.save_inventory(a_cluster(), [a_component("1.2.0")], Surroundings())
    with pytest.raises(UpgradeNotPossible) as refused:
        await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    assert refused.value.message == "coredns runs 1.2.0, the newest version that fits."


async def test_a_plain_workload_goes_to_an_image_tag(world, catalog):
    placement = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    entry, offers = catalog.known["coredns"]
    catalog.known["coredns"] = (replace(entry, tag="v{app_version}"), offers)
    await world.store.save_inventory(a_cluster(), [a_component("v1.0.0", placement=placement)], Surroundings())
    task = await upgrade(world, CLUSTER, [UpgradeRequest("coredns")], by="root")
    assert (task.changes[0].placement, task.changes[0].to_version) == (placement, "v1.2.0")
