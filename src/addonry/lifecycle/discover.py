"""Look at clusters: what runs there, recognised by the catalog, weighed by the rules.

``scan_once`` is the whole of ``addonry scan``: no store, nothing written. ``Scanner`` keeps the store's picture of the
registered clusters fresh, each on its own period, so that a dead cluster never delays another.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from addonry.catalogs import Catalog
from addonry.kube import LiveCluster
from addonry.lifecycle import ComponentStatus
from addonry.lifecycle.facts import Setting, obsolete_settings, values_errors, weigh
from addonry.lifecycle.world import World
from addonry.model.clusters import Cluster, Reach
from addonry.model.components import Component, Health
from addonry.model.errors import AddonryError, ClusterNotFound, ClusterRefused, ClusterTrouble
from addonry.model.ids import ClusterId
from addonry.model.inventory import Inventory
from addonry.model.readiness import Blocker, Waiver
from addonry.model.surroundings import Surroundings
from addonry.rules.churn import watched
from addonry.rules.matching import count_others, recognise
from addonry.rules.outlook import look_ahead
from addonry.rules.readiness import assess
from addonry.rules.readiness.apis import requested_apis_will_stay

log = logging.getLogger(__name__)

SCANS_AT_ONCE = 8
MOVING_SECONDS = 3.0
"""How soon a cluster is looked at again on which something was still on its way up."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One look at a cluster that is not registered."""

    inventory: Inventory
    components: tuple[ComponentStatus, ...]
    others: int
    """Workloads that are none of them."""
    findings: tuple[Blocker, ...] = ()
    """What there is to say of the cluster itself before it is upgraded."""


async def scan_once(
    live: LiveCluster,
    catalog: Catalog,
    *,
    name: str,
    kubernetes: str = "",
    waivers: tuple[Waiver, ...] = (),
    now: datetime | None = None,
) -> Scan:
    """Everything that runs on a cluster, what fits and what blocks it. Writes nothing anywhere.

    With *kubernetes* the versions are chosen for that Kubernetes instead of the one that runs, and the API server is asked
    who still comes by APIs that go; deadlines are weighed
    against *now*, usually the present. Raises ClusterTrouble.
    """
    now = now or datetime.now(UTC)
    inventory = await live.take_inventory()
    cluster = Cluster(
        id=ClusterId(""),
        name=name,
        region="",
        server="",
        created_at=now,
        updated_at=now,
        kubernetes=kubernetes or inventory.kubernetes,
        nodes=inventory.nodes,
        reach=Reach.ANSWERS,
        scanned_at=now,
    )
    components = recognise(inventory, catalog.entries(), now)
    await catalog.refresh([component.name for component in components if component.in_catalog])
    surroundings = await _surroundings(live, inventory, components, catalog)
    setting = Setting(now, waivers=waivers)
    facts = weigh(cluster, components, surroundings, catalog, live={}, setting=setting)
    errors = await values_errors(catalog, facts)
    found = (each for each in facts.values() if each.component)
    weighed = (replace(each, values_errors=errors.get(each.name)) for each in found)
    statuses = tuple(
        ComponentStatus(each.name, each.component, each.entry, readiness=assess(each), outlook=look_ahead(each))
        for each in weighed
    )
    finding = requested_apis_will_stay(await live.requested_apis(), kubernetes) if kubernetes else None
    return Scan(inventory, statuses, count_others(inventory, components), (finding,) if finding else ())


async def _surroundings(
    live: LiveCluster, inventory: Inventory, components: Sequence[Component], catalog: Catalog
) -> Surroundings:
    """What the checks are asked with: of the workloads those alone that are a component's."""
    ours = {component.found.placement for component in components}
    around = (inventory.surroundings or Surroundings()).only(lambda note: note.placement in ours)
    return replace(around, obsolete=await obsolete_settings(live, components, catalog))


async def scan_registered(world: World, cluster: ClusterId) -> bool:
    """Look at a registered cluster and store what was seen, or why nothing was. Raises ClusterTrouble as well.

    True when some component was still moving, so that another look will soon see something else.
    """
    began = world.now()
    known = await world.store.cluster(cluster)
    live = await world.connections.get(cluster)
    try:
        inventory = await live.take_inventory()
    except ClusterTrouble as error:
        reach = Reach.REFUSED if isinstance(error, ClusterRefused) else Reach.UNREACHABLE
        if (known.reach, known.trouble) != (reach, error.message):
            await world.store.save_cluster(replace(known, reach=reach, trouble=error.message, updated_at=world.now()))
        raise
    components = recognise(inventory, world.catalog.entries(), began)
    components = watched(components, await world.store.components(cluster), began)
    seen = replace(
        known,
        kubernetes=inventory.kubernetes,
        nodes=inventory.nodes,
        reach=Reach.ANSWERS,
        trouble="",
        scanned_at=began,
        updated_at=world.now(),
    )
    surroundings = await _surroundings(live, inventory, components, world.catalog)
    facts = weigh(seen, components, surroundings, world.catalog, live={}, setting=Setting())
    surroundings = replace(surroundings, values_errors=await values_errors(world.catalog, facts))
    await world.store.save_inventory(seen, components, surroundings)
    return any(component.found.health is Health.IN_PROGRESS for component in components)


class Scanner:
    """Scans every registered cluster on a period, with jitter, a few at a time."""

    def __init__(self, world: World, *, period: float, dice: random.Random) -> None:
        self._world = world
        self._period = period
        self._dice = dice
        self._gate = asyncio.Semaphore(SCANS_AT_ONCE)
        # Clusters that did not answer last time queue among themselves, so that their time-outs delay nobody else.
        self._doubtful_gate = asyncio.Semaphore(SCANS_AT_ONCE)
        self._background: set[asyncio.Task[None]] = set()
        self._running: dict[ClusterId, asyncio.Task[None]] = {}
        self._loop: asyncio.Task[None] | None = None
        self._due: dict[ClusterId, float] = {}

    def start(self) -> None:
        """Begin; the clusters known now are looked at at once."""
        self._loop = asyncio.create_task(self._watch_over_all(), name="scanner")

    async def scan(self, cluster: ClusterId) -> None:
        """Look now, sharing a look that is under way. Raises what the look raises."""
        task = self._running.get(cluster)
        if task is None:
            task = asyncio.create_task(self._scan(cluster), name=f"scan {cluster}")
            self._running[cluster] = task
            task.add_done_callback(lambda _: self._running.pop(cluster, None))
        await asyncio.shield(task)

    async def stop(self) -> None:
        """Stop looking; a look under way is abandoned."""
        tasks = [task for task in (self._loop, *self._background, *self._running.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _scan(self, cluster: ClusterId) -> None:
        known = await self._world.store.cluster(cluster)
        answered = known.reach in {Reach.ANSWERS, Reach.UNKNOWN}
        async with self._gate if answered else self._doubtful_gate:
            moving = await scan_registered(self._world, cluster)
        if moving:
            soon = asyncio.get_running_loop().time() + min(self._period, MOVING_SECONDS)
            self._due[cluster] = min(self._due.get(cluster, soon), soon)

    async def _watch_over_all(self) -> None:
        while True:
            try:
                self._begin_due({cluster.id for cluster in await self._world.store.clusters()})
            except AddonryError as error:
                # A full disk or a database that is away heals; who watches must not be gone by then.
                log.warning("the clusters could not be listed: %s", error.message)
            await asyncio.sleep(min(1.0, self._period / 4))

    def _begin_due(self, known: set[ClusterId]) -> None:
        now = asyncio.get_running_loop().time()
        self._due = {cluster: moment for cluster, moment in self._due.items() if cluster in known}
        for cluster in known:
            if self._due.get(cluster, 0.0) <= now and cluster not in self._running:
                self._due[cluster] = now + self._period * self._dice.uniform(0.8, 1.2)
                task = asyncio.create_task(self._scan_quietly(cluster))
                self._background.add(task)
                task.add_done_callback(self._background.discard)

    async def _scan_quietly(self, cluster: ClusterId) -> None:
        try:
            await self.scan(cluster)
        except ClusterNotFound:
            pass
        except AddonryError as error:
            log.info("cluster %s could not be scanned: %s", cluster, error.message)
        except Exception:
            log.exception("scanning cluster %s failed", cluster)
