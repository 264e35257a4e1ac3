"""The scanner: each cluster on its own period, and nothing that happens to one stops it."""

import asyncio
import random
from collections.abc import Callable

import pytest

from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.facts import gather
from addonry.model.clusters import Reach
from addonry.model.components import Health
from addonry.model.errors import ClusterRefused, ClusterUnreachable, StoreUnavailable
from addonry.model.ids import ClusterId
from addonry.model.inventory import Inventory
from addonry.rules.readiness import assess
from tests.builders import a_cluster, a_component
from tests.lifecycle.conftest import CLUSTER

OTHER = ClusterId("c" + "2" * 32)


class Scanned:
    """A cluster whose inventory, or trouble, the test sets; it counts the looks."""

    def __init__(self, *versions: str, health: Health = Health.CURRENT) -> None:
        self.found = tuple(a_component(version, health=health).found for version in versions)
        self.trouble: Exception | None = None
        self.looks = 0
        self.hangs = False

    async def take_inventory(self) -> Inventory:
        self.looks += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble:
            raise self.trouble
        return Inventory("v1.36.2", 3, frozenset({"v1"}), self.found)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture
def live(world) -> Scanned:
    cluster = Scanned("1.1.0")
    world.connections._open_clusters[CLUSTER] = cluster
    return cluster


@pytest.fixture
async def scanner(world):
    made = Scanner(world, period=0.04, dice=random.Random(1))
    yield made
    await made.stop()


async def test_what_is_seen_is_stored_under_the_catalogs_names(world, scanner, live):
    await scanner.scan(CLUSTER)
    (stored,) = await world.store.components(CLUSTER)
    assert (stored.name, stored.version) == ("coredns", "1.1.0")
    assert (await world.store.cluster(CLUSTER)).reach is Reach.ANSWERS


async def test_what_is_changed_again_and_again_is_told_from_scan_to_scan(world, scanner, live):
    """Two owners who fight over something leave it well and ready at every single look."""
    for count in range(100, 113):
        live.found = (a_component("1.1.0", changes={"Deployment kube-system/coredns": count}).found,)
        await scanner.scan(CLUSTER)
    facts, _ = await gather(world, CLUSTER)
    assert "Churn" in {each.id for each in assess(facts["coredns"]).findings}


@pytest.mark.parametrize(
    ("trouble", "reach"),
    [(ClusterUnreachable("no answer."), Reach.UNREACHABLE), (ClusterRefused("401."), Reach.REFUSED)],
)
async def test_a_cluster_that_fails_keeps_what_was_known_and_says_why(world, scanner, live, trouble, reach):
    await scanner.scan(CLUSTER)
    live.trouble = trouble
    with pytest.raises(type(trouble)):
        await scanner.scan(CLUSTER)
    cluster = await world.store.cluster(CLUSTER)
    assert (cluster.reach, cluster.trouble) == (reach, trouble.message)
    assert [each.version for each in await world.store.components(CLUSTER)] == ["1.1.0"]
    live.trouble = None
    await scanner.scan(CLUSTER)
    assert (await world.store.cluster(CLUSTER)).reach is Reach.ANSWERS


async def test_two_who_ask_at_once_share_one_look(scanner, live):
    await asyncio.gather(scanner.scan(CLUSTER), scanner.scan(CLUSTER))
    assert live.looks == 1


async def test_a_cluster_that_hangs_delays_nobody(world, scanner, live):
    other = Scanned("1.0.0")
    other.hangs = True
    await world.store.add_cluster(a_cluster(id=OTHER, name="dead"), "kubeconfig")
    world.connections._open_clusters[OTHER] = other
    scanner.start()
    await until(lambda: live.looks >= 3 and other.looks == 1)


async def test_a_bug_in_one_look_does_not_end_the_looking(scanner, live, caplog):
    live.trouble = ZeroDivisionError("a bug")
    scanner.start()
    await until(lambda: live.looks >= 2)
    assert "scanning cluster" in caplog.text


async def test_a_database_that_is_away_for_a_while_does_not_end_the_looking(world, scanner, live, monkeypatch):
    """The list of clusters itself cannot be read; when it can, the scans go on."""
    listing = world.store.clusters
    failures = iter([StoreUnavailable("disk full."), StoreUnavailable("disk full.")])

    async def failing():
        for error in failures:
            raise error
        return await listing()

    monkeypatch.setattr(world.store, "clusters", failing)
    scanner.start()
    await until(lambda: live.looks >= 1)


async def test_what_is_still_moving_is_looked_at_again_soon(world):
    """Or a component that was just installed would be told as not ready for a whole period."""
    moving = Scanned("1.0.0", health=Health.IN_PROGRESS)
    world.connections._open_clusters[CLUSTER] = moving
    slow = Scanner(world, period=3600, dice=random.Random(1))
    await slow.scan(CLUSTER)
    soon = slow._due[CLUSTER] - asyncio.get_running_loop().time()
    assert 0 < soon < 10
