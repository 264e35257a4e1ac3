"""Ways and upgrades of Kubernetes, from what the store and the catalog know."""

from dataclasses import replace

import pytest

from addonry.lifecycle import UpgradeRequest, UpgradeWay
from addonry.lifecycle.changes import to_upgrade
from addonry.lifecycle.cluster_upgrade import plan_upgrade
from addonry.lifecycle.ways import ways
from addonry.model.catalog import Counted, Hop, PathRule
from addonry.model.errors import ComponentNotFound, InvalidParameter, VersionNotFound
from addonry.store import Surroundings
from tests.builders import a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER

RULE = PathRule(Hop.MINOR, Counted.CHART, "https://example.org/upgrade")


@pytest.fixture
def strict(catalog):
    entry, offers = catalog.known["coredns"]
    catalog.known["coredns"] = (replace(entry, path=RULE), offers)


@pytest.mark.usefixtures("strict")
async def test_a_way_is_told_to_what_is_wanted_and_to_the_newest(world):
    expected = (UpgradeWay("coredns", "1.0.0", ("1.1.0", "1.2.0")),)
    assert await ways(world, CLUSTER, [("kube-dns", None)]) == expected
    assert await ways(world, CLUSTER, [("coredns", "1.2.0")]) == expected
    assert (await ways(world, CLUSTER, [("coredns", "1.1.0")]))[0].hops == ("1.1.0",)


async def test_without_a_rule_every_version_is_one_hop_away(world):
    assert (await ways(world, CLUSTER, [("coredns", None)]))[0].hops == ("1.2.0",)


async def test_what_is_not_there_has_no_way(world):
    with pytest.raises(ComponentNotFound):
        await ways(world, CLUSTER, [("metrics-server", None)])
    with pytest.raises(VersionNotFound):
        await ways(world, CLUSTER, [("coredns", "9.9.9")])


async def test_an_upgrade_of_kubernetes_is_planned_leg_by_leg_to_the_minor_asked_for(world):
    legs = await plan_upgrade(world, CLUSTER, "1.38")
    assert [(leg.from_kubernetes, leg.to_kubernetes) for leg in legs] == [("v1.36.2", "1.37"), ("1.37", "1.38")]
    assert [leg.to_kubernetes for leg in await plan_upgrade(world, CLUSTER, "")] == ["1.37"]


async def test_what_is_to_come_after_another_comes_after_it_in_one_task(world, catalog):
    await world.store.save_inventory(
        a_cluster(), [a_component("1.0.0"), a_component("3.12.1", "metrics-server")], Surroundings()
    )
    entry, offers = catalog.known["coredns"]
    catalog.known["coredns"] = (replace(entry, after=("metrics-server",)), offers)
    changes = await to_upgrade(world, CLUSTER, [UpgradeRequest("coredns"), UpgradeRequest("metrics-server")])
    assert [change.component for change in changes] == ["metrics-server", "coredns"]


@pytest.mark.parametrize("version", ["1.36", "1.35", "2.0", "1.99", "next"])
async def test_a_minor_that_cannot_be_gone_to_is_refused_with_one_that_can(world, version):
    with pytest.raises(InvalidParameter, match=r"above 1\.36") as caught:
        await plan_upgrade(world, CLUSTER, version)
    assert "1.37" in caught.value.remedy
