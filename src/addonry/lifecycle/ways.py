"""By which versions a component comes to the one that is wanted: read from the store and the catalog."""

from collections.abc import Mapping, Sequence

from addonry.lifecycle import UpgradeWay
from addonry.lifecycle.facts import gather
from addonry.lifecycle.world import World
from addonry.model.errors import ComponentNotFound, VersionNotFound
from addonry.model.ids import ClusterId, ComponentName, Version
from addonry.model.readiness import Facts
from addonry.rules.offers import best_way, find_offer, version_of, way_to
from addonry.rules.paths import Way


async def ways(
    world: World, cluster: ClusterId, wanted: Sequence[tuple[str, Version | None]]
) -> tuple[UpgradeWay, ...]:
    """See ``Lifecycle.ways``."""
    facts, _ = await gather(world, cluster)
    return tuple(_way(world, facts, name, version) for name, version in wanted)


def _way(world: World, known: Mapping[ComponentName, Facts], name: str, version: Version | None) -> UpgradeWay:
    entry = world.catalog.entry(name)
    facts = known.get(entry.name if entry else ComponentName(name))
    if facts is None or facts.component is None:
        raise ComponentNotFound(name, f"Component {name!r} is not installed.")
    if version is None:
        found = best_way(facts) or Way(())
    else:
        offer = find_offer(facts, version)
        if offer is None:
            raise VersionNotFound(facts.name, version)
        found = way_to(facts, offer)
    hops = tuple(version_of(offer, facts.component, facts.entry) for offer in found.hops)
    return UpgradeWay(facts.name, facts.component.version, hops, found.missing)
