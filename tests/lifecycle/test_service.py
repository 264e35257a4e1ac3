"""What the facade adds: answers that are kept as long as they are true, and names that are understood."""

import random
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from addonry.kube import CrdChange
from addonry.lifecycle import UpgradeRequest
from addonry.lifecycle.access import Access
from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.service import Service
from addonry.model.errors import ClusterNotFound, ClusterProtected, ComponentNotFound, InvalidParameter, VersionNotFound
from addonry.model.ids import ClusterId, Version
from addonry.model.surroundings import Surroundings
from addonry.rules.removed_apis import Requested
from tests.builders import a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER


@pytest.fixture
def service(world) -> Service:
    access = Access(
        world.store,
        now=world.now,
        new_key=world.ids.key,
        new_token=lambda: "token",
        audit_kept=timedelta(days=1),
    )
    return Service(world, Scanner(world, period=60, dice=random.Random(1)), access)


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


# Settings of clusters


async def test_what_is_set_of_a_cluster_is_changed_as_a_task_that_has_ended(service, world):
    task = await service.modify_cluster(CLUSTER, lambda now: replace(now, tags={"env": "test"}), name="other", by="ann")
    history = await service.task(task)
    assert (history.task.kind, history.task.status, history.task.requested_by) == ("modify", "success", "ann")
    assert (await service.cluster(CLUSTER)).name == "other"
    assert (await service.profiles())[CLUSTER].tags == {"env": "test"}
    with pytest.raises(ClusterNotFound):
        await service.modify_cluster(ClusterId("c0"), lambda now: now, by="ann")
    with pytest.raises(InvalidParameter):
        await service.modify_cluster(CLUSTER, lambda now: now, name="-", by="ann")


async def test_a_protected_cluster_is_not_removed(service):
    await service.modify_cluster(CLUSTER, lambda now: replace(now, deletion_protection=True), by="ann")
    with pytest.raises(ClusterProtected):
        await service.remove_cluster(CLUSTER, by="ann")
    await service.modify_cluster(CLUSTER, lambda now: replace(now, deletion_protection=False), by="ann")
    await service.remove_cluster(CLUSTER, by="ann")
    assert await service.clusters() == ()


# Checks


@dataclass
class Guarded:
    """A cluster whose credentials lack some rights, and that is asked for some APIs that go."""

    lacking: tuple[str, ...] = ()
    requested: tuple[Requested, ...] | None = ()
    crds: tuple[CrdChange, ...] = ()

    async def crd_changes(self, _placement, _target, *, of_templates):
        assert of_templates, "some charts have them among their templates"
        return self.crds

    async def requested_apis(self):
        return self.requested

    async def missing_rights(self, _placement):
        return self.lacking


@pytest.fixture
def guarded(world) -> Guarded:
    cluster = Guarded()
    world.connections._open_clusters[CLUSTER] = cluster
    return cluster


async def test_a_check_of_a_component_asks_the_cluster_for_the_rights_of_an_upgrade(service, guarded):
    guarded.lacking = ("patch deployments.apps in kube-system",)
    refused = await service.run_check(CLUSTER, "AddonUpgrade", "coredns", {})
    assert [each.id for each in refused.outcome.items[0].findings] == ["RightsMissing"]
    assert refused == (await service.checks(CLUSTER))[0], "with its evidence"


async def test_a_check_of_a_component_judges_the_crds_of_the_version_asked_about(service, guarded):
    guarded.crds = (
        CrdChange("widgets.example.com", {"spec": {"scope": "Cluster"}}, {"spec": {"scope": "Namespaced"}}),
    )
    refused = await service.run_check(CLUSTER, "AddonUpgrade", "coredns", {})
    (finding,) = [each for each in refused.outcome.items[0].findings if each.id == "UnsafeCrdChange"]
    assert not refused.outcome.passed
    assert "widgets.example.com its scope changes from Cluster to Namespaced" in finding.message


@pytest.mark.usefixtures("guarded")
async def test_a_check_of_a_component_asks_what_its_upgrade_would(service):
    check = await service.run_check(CLUSTER, "AddonUpgrade", "kube-dns", {"version": "1.3.0"})
    (item,) = check.outcome.items
    assert (item.component, item.version, check.outcome.passed) == ("coredns", "1.0.0", False)
    assert "KubernetesVersion" in {each.id for each in item.findings}
    good = await service.run_check(CLUSTER, "AddonUpgrade", "coredns", {})
    assert (good.outcome.passed, good.outcome.message) == (True, "task succeed")
    assert [each.id for each in await service.checks(CLUSTER)] == [good.id, check.id]
    assert await service.check(CLUSTER, check.id) == check


async def test_a_check_before_a_cluster_upgrade_tells_who_asks_for_apis_that_go(service, guarded):
    guarded.requested = (Requested("flowcontrol.apiserver.k8s.io/v1beta3 flowschemas", "1.37"),)
    asked = await service.run_check(CLUSTER, "ClusterUpgrade", "", {})
    of_the_cluster = asked.outcome.items[-1]
    assert (of_the_cluster.component, of_the_cluster.version) == ("kubernetes", "v1.36.2")
    assert [each.id for each in of_the_cluster.findings] == ["RemovedApiRequested"]
    assert asked.outcome.passed, "it may have been anybody, long ago"


@pytest.mark.usefixtures("guarded")
async def test_a_check_before_a_cluster_upgrade_asks_whether_what_runs_outlives_it(service, catalog):
    passed = await service.run_check(CLUSTER, "ClusterUpgrade", "", {})
    assert (passed.outcome.passed, passed.target) == (True, "1.37")
    entry, offers = catalog.known["coredns"]
    old = [replace(each, kubernetes="<1.38.0-0") if each.version == "1.0.0" else each for each in offers]
    catalog.known["coredns"] = (entry, tuple(old))
    blocked = await service.run_check(CLUSTER, "MasterUpgrade", "", {"version": "1.38"})
    (finding,) = blocked.outcome.items[0].findings
    assert (finding.id, blocked.outcome.message) == ("KubernetesVersion", "blocked by coredns")
    assert "1.3.0 fits" in finding.remedy


@pytest.mark.parametrize(
    ("kind", "target", "options", "told"),
    [
        ("Everything", "", {}, "AddonUpgrade"),
        ("NodePoolUpgrade", "np1", {}, "machines"),
        ("ClusterMigrate", "", {}, "machines"),
        ("ClusterUpgrade", "", {"version": "newest"}, "newest"),
        ("AddonUpgrade", "", {}, "target"),
    ],
)
async def test_a_check_that_makes_no_sense_is_refused(service, kind, target, options, told):
    with pytest.raises(InvalidParameter, match=told):
        await service.run_check(CLUSTER, kind, target, options)
    with pytest.raises(ComponentNotFound):
        await service.run_check(CLUSTER, "AddonUpgrade", "nothing", {})
    assert await service.checks(CLUSTER) == ()
