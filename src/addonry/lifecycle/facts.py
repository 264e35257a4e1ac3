"""The only place that turns look-ups into Facts.

``gather`` reads the store and the catalog, never a cluster; ``gather_live`` has one component looked at afresh.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from addonry.catalogs import Catalog
from addonry.kube import LiveCluster
from addonry.lifecycle.world import World
from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.clusters import Cluster, Reach
from addonry.model.components import Component, Found
from addonry.model.errors import ChartTrouble
from addonry.model.ids import ClusterId, ComponentName, TaskId
from addonry.model.readiness import Facts, Waiver
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import LIVE, Change, Task
from addonry.rules.offers import next_offer
from addonry.rules.readiness.configuration import held_settings
from addonry.rules.values import coalesce, schema_errors

Changes = Mapping[ComponentName, tuple[Task, Change]]


async def gather(world: World, cluster: ClusterId) -> tuple[dict[ComponentName, Facts], Changes]:
    """The facts of every component that is installed on the cluster or could be, and the newest task of each."""
    known = await world.store.cluster(cluster)
    components = await world.store.components(cluster)
    surroundings = await world.store.surroundings(cluster)
    changes = await world.store.last_changes(cluster)
    live = {name: task.id for name, (task, change) in changes.items() if change.status in LIVE}
    setting = await _setting(world, cluster)
    return weigh(known, components, surroundings, world.catalog, live=live, setting=setting), changes


@dataclass(frozen=True, slots=True)
class Setting:
    """What people have said of a cluster that its readiness depends on, and the moment."""

    now: datetime | None = None
    maintenance_window: Mapping[str, Any] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()


async def _setting(world: World, cluster: ClusterId) -> Setting:
    profile = await world.store.profiles.profile(cluster)
    return Setting(world.now(), profile.maintenance_window, await world.store.waivers.waivers(cluster))


def weigh(
    cluster: Cluster,
    components: Iterable[Component],
    surroundings: Surroundings,
    catalog: Catalog,
    *,
    live: Mapping[ComponentName, TaskId],
    setting: Setting,
) -> dict[ComponentName, Facts]:
    """The facts of everything installed or on offer, by name."""
    installed = {component.name: component for component in components}
    entries = {entry.name: entry for entry in catalog.entries()}
    names = sorted({*installed, *entries})
    needed_by = {name: _needed_by(name, entries, installed) for name in installed}
    return {
        name: Facts(
            cluster=cluster,
            name=name,
            component=installed.get(name),
            entry=entries.get(name),
            offers=catalog.offers(name) if name in entries else (),
            live_task=live.get(name),
            values_errors=surroundings.values_errors.get(name),
            catalog_trouble=catalog.trouble(name) if name in entries else "",
            lacking=tuple(other for other in entries[name].requires if other not in installed)
            if name in entries
            else (),
            required_by=needed_by.get(name, ()),
            surroundings=surroundings,
            waivers=setting.waivers,
            maintenance_window=setting.maintenance_window,
            now=setting.now,
        )
        for name in names
    }


def _needed_by(
    name: ComponentName, entries: Mapping[ComponentName, CatalogEntry], installed: Iterable[ComponentName]
) -> tuple[ComponentName, ...]:
    return tuple(other for other in sorted(installed) if other in entries and name in entries[other].requires)


async def gather_live(world: World, task: Task) -> Facts:
    """The facts of the component that *task* is changing, looked at afresh. Raises ClusterTrouble.

    The task itself does not stand in its own way.
    """
    change = task.change
    cluster = await world.store.cluster(task.cluster)
    live = await world.connections.get(task.cluster)
    probe = await live.probe()
    found = await look_at(world, task, live)
    entry = world.catalog.entry(change.component)
    component = Component(change.component, found, in_catalog=entry is not None) if found else None
    surroundings = await live.look_around()
    setting = await _setting(world, task.cluster)
    return Facts(
        cluster=replace(cluster, kubernetes=probe.kubernetes, nodes=probe.nodes, reach=Reach.ANSWERS, trouble=""),
        name=change.component,
        component=component,
        entry=entry,
        offers=world.catalog.offers(change.component),
        surroundings=replace(
            surroundings, obsolete=await obsolete_settings(live, [component] if component else [], world.catalog)
        ),
        waivers=setting.waivers,
        maintenance_window=setting.maintenance_window,
        missing_rights=await live.missing_rights(change.placement),
        now=setting.now,
    )


async def look_at(world: World, task: Task, live: LiveCluster) -> Found | None:
    """The component that *task* is changing, as it is now; None when it is gone. Raises ClusterTrouble.

    Whose it is, is taken from the last scan: one component alone does not show what its controllers say.
    """
    found = await live.find(task.change.placement)
    components = await world.store.components(task.cluster)
    known = next((each.found for each in components if each.name == task.change.component), None)
    if found is None or known is None or known.placement != found.placement:
        return found
    return replace(
        found,
        owner=known.owner,
        owner_ref=known.owner_ref,
        conflicts=known.conflicts,
        turnovers=known.turnovers,
        watch=known.watch,
    )


async def obsolete_settings(
    live: LiveCluster, components: Iterable[Component], catalog: Catalog
) -> dict[str, dict[str, str]]:
    """By component: which of the catalog's obsolete settings its ConfigMaps hold, and where.

    One request for each such ConfigMap. One that may not be read, or is not there, holds none.
    """
    found: dict[str, dict[str, str]] = {}
    for component in components:
        entry = catalog.entry(component.name)
        for name in sorted({each.config_map for each in entry.obsolete} if entry else ()):
            texts = await live.config_map(component.found.placement.namespace, name)
            assert entry is not None
            held = held_settings(entry, name, texts)
            if held:
                found.setdefault(component.name, {}).update(held)
    return found


async def values_errors(
    catalog: Catalog, facts: Mapping[ComponentName, Facts]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """What the schema of each component's next version says against its present values.

    Needs the chart, so it may fetch it; where that fails nothing is said, and the task's own steps will find out.
    """
    wanted = [(each.name, each, offer) for each in facts.values() if each.component and (offer := next_offer(each))]
    told = await asyncio.gather(*(_values_errors(catalog, each, offer) for _, each, offer in wanted))
    return {name: {offer.version: errors} for (name, _, offer), errors in zip(wanted, told, strict=True) if errors}


async def _values_errors(catalog: Catalog, facts: Facts, offer: Offer) -> tuple[str, ...]:
    if facts.component is None or facts.component.found.values is None:
        return ()
    try:
        contents = await catalog.read_chart(await catalog.fetch(offer))
    except ChartTrouble:
        return ()
    values = coalesce(contents.values, facts.component.found.values)
    return await asyncio.to_thread(schema_errors, values, contents.schema)
