"""A waiver is made with a reason and an end, counts for both answers and tasks, and can be taken back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from addonry.lifecycle import UpgradeRequest, waivers
from addonry.lifecycle.changes import upgrade
from addonry.lifecycle.facts import gather
from addonry.lifecycle.waivers import read_waivers, waiver_of
from addonry.model.components import Health
from addonry.model.errors import ClusterNotFound, InvalidParameter, NotThere, UpgradeNotPossible
from addonry.model.surroundings import Surroundings
from addonry.rules.readiness import assess
from tests.builders import NOW, a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER

UNTIL = "2026-12-31"


async def waive(world, check="WorkloadUnhealthy", component="kube-dns", **given):
    told = {"reason": "known flake", "until": UNTIL, "owner": "ann", **given}
    return await waivers.add(world, CLUSTER, check, component, **told)


@pytest.fixture
async def broken(world):
    """coredns fails on the cluster."""
    component = a_component("1.0.0", health=Health.FAILED, message="CrashLoopBackOff")
    await world.store.save_inventory(a_cluster(), [component], Surroundings())
    return world


async def test_what_is_waived_no_longer_blocks_a_change_and_is_told(broken):
    with pytest.raises(UpgradeNotPossible):
        await upgrade(broken, CLUSTER, [UpgradeRequest("coredns")], by="root")
    made = await waive(broken)
    assert made.component == "coredns", "an alias is the catalog's name from then on"
    facts, _ = await gather(broken, CLUSTER)
    weighed = assess(facts["coredns"])
    assert (weighed.is_ready, weighed.findings[0].waived) == (True, made)
    assert (await upgrade(broken, CLUSTER, [UpgradeRequest("coredns")], by="root")).changes[0].component == "coredns"


async def test_it_ends_with_its_day_and_can_be_taken_back_before(broken):
    made = await waive(broken)
    later = replace(broken, now=lambda: made.until)
    facts, _ = await gather(later, CLUSTER)
    assert {each.id for each in assess(facts["coredns"]).findings} >= {"WorkloadUnhealthy", "WaiverExpired"}
    assert not assess(facts["coredns"]).is_ready
    await waivers.remove(broken, CLUSTER, made.id, by="ben")
    facts, _ = await gather(broken, CLUSTER)
    assert [each.id for each in assess(facts["coredns"]).blockers] == ["WorkloadUnhealthy"]
    events, _ = await broken.store.events(clusters=[CLUSTER])
    assert [each.reason for each in events if each.kind == "waiver"] == ["WaiverRemoved", "Waived"]
    with pytest.raises(NotThere):
        await waivers.remove(broken, CLUSTER, made.id, by="ben")


async def test_a_waiver_is_the_clusters_and_goes_with_it(world):
    await waive(world)
    before = await world.store.generation(CLUSTER)
    await waive(world, check="NoPodSlots", component="")
    assert await world.store.generation(CLUSTER) > before, "answers that were kept are made anew"
    assert [each.check for each in await world.store.waivers.waivers(CLUSTER)] == ["WorkloadUnhealthy", "NoPodSlots"]
    await world.store.remove_cluster(CLUSTER)
    assert await world.store.waivers.waivers(CLUSTER) == ()
    with pytest.raises(ClusterNotFound):
        await waive(world)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"check": "TaskRunning"}, "cannot be waived"),
        ({"check": "WorkloadsUnhealthy"}, "no check"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "x\0"}, "reason"),
        ({"component": "core\ndns"}, "component"),
        ({"owner": "\u202e"}, "owner"),
        ({"until": "soon"}, "no day"),
        ({"until": "2026-11-22"}, "ahead"),
        ({"until": "2028-01-01"}, "within a year"),
        ({"until": "9999-12-31"}, "no day"),
    ],
)
async def test_a_waiver_that_makes_no_sense_is_refused(world, given, word):
    with pytest.raises(InvalidParameter, match=word):
        await waive(world, **given)
    assert await world.store.waivers.waivers(CLUSTER) == ()


def test_the_last_day_counts_whole():
    made = waiver_of(check="NoPodSlots", component="", reason="x", until="2026-11-23", owner="ann", now=NOW)
    assert made.until == NOW.replace(day=24, hour=0)


@pytest.mark.parametrize(
    "content",
    ["text", {"waivers": {"check": "NoPodSlots"}}, ["NoPodSlots"], [{"check": "NoPodSlots", "reason": "x"}], 7, None],
)
def test_a_file_that_holds_no_waivers_is_refused(content):
    with pytest.raises(InvalidParameter):
        read_waivers(content, now=NOW)


def test_a_file_may_hold_waivers_that_have_ended():
    """Then a scan says so, instead of failing on the day after."""
    listed = [{"check": "NoPodSlots", "reason": "x", "owner": "ann", "until": NOW.date() - timedelta(days=9)}]
    [read] = read_waivers({"waivers": listed}, now=NOW)
    assert read.until < NOW
