"""Follow the component's workloads until the new pods are up, or are known not to come."""

from datetime import timedelta

from addonry.lifecycle.steps.common import cluster_of, time_in_step
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Broken, Done, Outcome, Task, Trouble


async def run(task: Task, world: World) -> Outcome:
    """Again with percent and note at each visible progress; Broken with the named reason of the stall."""
    change = task.change
    live = await cluster_of(task, world)
    late = await time_in_step(task, world) > timedelta(seconds=world.patience.rollout)
    async for look in live.follow_rollout(change.placement):
        if look.health is Health.CURRENT:
            return Done(look.note)
        if look.health is Health.FAILED or late:
            return Broken(_trouble(change.component, look.stall or "RolloutTimeout", look.note, world))
        if look.note != change.note:
            return Again(0.0, look.note, percent=look.percent)
    return Again(1.0, change.note)


def _trouble(component: str, reason: str, note: str, world: World) -> Trouble:
    if reason == "RolloutTimeout":
        words = f"{component} did not become ready within {world.patience.rollout:.0f} s: {note}."
    else:
        words = f"The rollout of {component} failed ({reason}): {note}."
    return Trouble(reason, words, "Correct the cause and ask for the change again.")
