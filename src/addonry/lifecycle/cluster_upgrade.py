"""What an upgrade of a cluster needs of its components, from what was last seen."""

from typing import Final

from addonry.lifecycle.facts import gather
from addonry.lifecycle.world import World
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ClusterId
from addonry.rules.cluster_upgrades import Leg, plan_cluster_upgrade
from addonry.rules.versions import major_minor, minor_after

MOST_LEGS: Final = 12


async def plan_upgrade(world: World, cluster: ClusterId, version: str) -> tuple[Leg, ...]:
    """See ``Lifecycle.plan_cluster_upgrade``."""
    known = await world.store.cluster(cluster)
    here, there = major_minor(known.kubernetes), major_minor(version or minor_after(known.kubernetes))
    if here is None:
        raise InvalidParameter(
            "version", "cannot be judged: the cluster was not looked at yet", remedy="Scan it, and ask again."
        )
    if there is None or there[0] != here[0] or not 0 < there[1] - here[1] <= MOST_LEGS:
        raise InvalidParameter(
            "version",
            f"must be a minor above {here[0]}.{here[1]}, which the cluster runs",
            remedy=f"Ask for {here[0]}.{here[1] + 1}, for example.",
        )
    facts, _ = await gather(world, cluster)
    return plan_cluster_upgrade(facts.values(), [f"{here[0]}.{minor}" for minor in range(here[1] + 1, there[1] + 1)])
