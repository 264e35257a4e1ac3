"""What several steps need: the target of a change, the time a step has taken, and a look at its rollout."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from addonry.kube import LiveCluster, Rollout, Target
from addonry.lifecycle.facts import look_at
from addonry.lifecycle.world import World
from addonry.model.catalog import ChartArchive, Offer
from addonry.model.components import Component, Health
from addonry.model.errors import VersionNotFound
from addonry.model.readiness import Facts
from addonry.model.tasks import Again, Broken, Change, Outcome, Snapshot, Task, Trouble
from addonry.rules.offers import find_offer, image_tag

FIRST_LOOK_SECONDS: Final = 10.0


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
    found = await look_at(world, task, live)
    if found is None:
        await world.store.drop_component(task.cluster, change.component)
        return None
    known = world.catalog.entry(change.component) is not None
    component = Component(change.component, found, in_catalog=known, observed_at=moment)
    await world.store.save_component(task.cluster, component)
    return component


async def follow(task: Task, world: World, weigh: Callable[[Rollout], Awaitable[Outcome | None]]) -> Outcome:
    """Look at the component's rollout until *weigh* makes an outcome of a look.

    Before that: Broken with the named reason of a stall, or of the end of all patience; Again with percent and note at
    each visible progress.
    """
    change = task.change
    live = await cluster_of(task, world)
    left = timedelta(seconds=world.patience.rollout) - await time_in_step(task, world)
    note = change.note
    try:
        # One look is always taken: a worker that was away for long may come back to a rollout that has ended well.
        async with asyncio.timeout(max(left.total_seconds(), FIRST_LOOK_SECONDS)):
            async for look in live.follow_rollout(change.placement):
                note = look.note
                if look.health is Health.FAILED:
                    return Broken(_stalled(change.component, look.stall, look.note, world))
                if (outcome := await weigh(look)) is not None:
                    return outcome
                if look.note != change.note:
                    return Again(0.0, look.note, percent=look.percent, stall=look.stall)
    except TimeoutError:
        return Broken(_stalled(change.component, "RolloutTimeout", note, world))
    return Again(1.0, change.note, stall=change.stall)


def _stalled(component: str, reason: str, note: str, world: World) -> Trouble:
    """The trouble of a rollout that does not come to its end."""
    if reason == "RolloutTimeout":
        words = f"{component} did not become ready within {world.patience.rollout:.0f} s: {note}."
    else:
        words = f"The rollout of {component} failed ({reason}): {note}."
    return Trouble(reason, words, "Correct the cause and ask for the change again.")
