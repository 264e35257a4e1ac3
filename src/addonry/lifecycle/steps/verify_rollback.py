"""Check that the component works again after the way back."""

from datetime import timedelta

from addonry.lifecycle.steps.common import cluster_of, remember, time_in_step
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Broken, Done, Outcome, Task, Trouble
from addonry.rules.versions import same_version


async def run(task: Task, world: World) -> Outcome:
    """Done when the old version runs and is well; Broken, and said so, when even that does not come."""
    change = task.change
    live = await cluster_of(task, world)
    component = await remember(task, world)
    if component is None:
        if not change.from_version:
            return Done("nothing is left of it")
        return Broken(Trouble("RollbackFailed", f"{change.component} is no longer there after the rollback."))
    look = await live.assess_health(change.placement)
    restored = same_version(component.version, change.from_version)
    if restored and look.health is Health.CURRENT:
        await remember(task, world)
        return Done(f"{change.component} runs {component.version} again")
    if await time_in_step(task, world) < timedelta(seconds=world.patience.rollout):
        return Again(0.5, look.note, percent=look.percent)
    return Broken(
        Trouble(
            "RollbackFailed",
            f"{change.component} is not well after the rollback: {look.note}.",
            f"Look at it: kubectl -n {change.placement.namespace} get pods",
        )
    )
