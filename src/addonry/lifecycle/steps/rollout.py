"""Follow the component's workloads until the new pods are up, or are known not to come."""

import asyncio
from datetime import timedelta

from addonry.lifecycle.steps.common import cluster_of, stalled, time_in_step
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Broken, Done, Outcome, Task

FIRST_LOOK_SECONDS = 10.0


async def run(task: Task, world: World) -> Outcome:
    """Again with percent and note at each visible progress; Broken with the named reason of the stall, or of the end of
    all patience.
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
                if look.health is Health.CURRENT:
                    return Done(look.note)
                if look.health is Health.FAILED:
                    return Broken(stalled(change.component, look.stall, look.note, world))
                if look.note != change.note:
                    return Again(0.0, look.note, percent=look.percent, stall=look.stall)
    except TimeoutError:
        return Broken(stalled(change.component, "RolloutTimeout", note, world))
    return Again(1.0, change.note, stall=change.stall)
