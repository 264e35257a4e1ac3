"""What several steps need: the target of a change, the time a step has taken, and the words of a stall."""

from datetime import timedelta

from addonry.kube import LiveCluster, Target
from addonry.lifecycle.world import World
from addonry.model.catalog import ChartArchive, Offer
from addonry.model.components import Component
from addonry.model.errors import VersionNotFound
from addonry.model.readiness import Facts
from addonry.model.tasks import Change, Snapshot, Task, Trouble
from addonry.rules.offers import find_offer, image_tag


async def cluster_of(task: Task, world: World) -> LiveCluster:
    """The cluster that the task works on."""
    return await world.connections.get(task.cluster)


async def offer_of(task: Task, world: World) -> Offer:
    """The offer the present change goes to. Raises VersionNotFound when it is no longer there."""
    change = task.change
    cluster = await world.store.cluster(task.cluster)
    installed = {each.name: each for each in await world.store.components(task.cluster)}
    facts = Facts(
        cluster=cluster,
        name=change.component,
        component=installed.get(change.component),
        entry=world.catalog.entry(change.component),
        offers=world.catalog.offers(change.component),
    )
    offer = find_offer(facts, change.to_version)
    if offer is None:
        raise VersionNotFound(change.component, change.to_version)
    return offer


async def archive_of(task: Task, world: World) -> ChartArchive:
    """The chart of the present change; from the cache after the fetch step. Raises ChartTrouble."""
    return await world.catalog.fetch(await offer_of(task, world))


async def target_of(task: Task, world: World) -> Target:
    """What the present change makes the component run."""
    change = task.change
    archive = await archive_of(task, world)
    entry = world.catalog.entry(change.component)
    return Target(
        version=change.to_version,
        archive=archive,
        values=change.values,
        container=entry.container if entry else "",
        tag=image_tag(archive.offer, entry),
        edits=change.edits,
    )


def snapshot_of(change: Change) -> Snapshot:
    """What the snapshot step recorded. The plan puts it before every step that asks."""
    assert change.snapshot is not None, "the plan runs snapshot before apply"
    return change.snapshot


async def time_in_step(task: Task, world: World) -> timedelta:
    """How long ago the present step was begun, across restarts; after a pause it begins anew."""
    change = task.change
    begun = [
        record.started_at
        for record in await world.store.steps(task.id)
        if record.component == change.component and record.step == change.step
    ]
    return world.now() - max(begun) if begun else timedelta(0)


async def remember(task: Task, world: World) -> Component | None:
    """Look at the component once more and store what is seen, so that the next answer tells the truth at once."""
    change = task.change
    live = await cluster_of(task, world)
    moment = world.now()
    found = await live.find(change.placement)
    if found is None:
        await world.store.drop_component(task.cluster, change.component)
        return None
    known = world.catalog.entry(change.component) is not None
    component = Component(change.component, found, in_catalog=known, observed_at=moment)
    await world.store.save_component(task.cluster, component)
    return component


def stalled(component: str, reason: str, note: str, world: World) -> Trouble:
    """The trouble of a rollout that does not come to its end."""
    if reason == "RolloutTimeout":
        words = f"{component} did not become ready within {world.patience.rollout:.0f} s: {note}."
    else:
        words = f"The rollout of {component} failed ({reason}): {note}."
    return Trouble(reason, words, "Correct the cause and ask for the change again.")
