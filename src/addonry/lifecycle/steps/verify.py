"""Check that the component works: its version, its workloads, and the APIServices that Helm's own wait ignores."""

from datetime import timedelta

from addonry.lifecycle.steps.common import cluster_of, remember, time_in_step
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Broken, Done, Outcome, Task, Trouble
from addonry.rules.versions import same_version


async def run(task: Task, world: World) -> Outcome:
    """Done when everything the component owns is well and it says the wanted version of itself."""
    change = task.change
    live = await cluster_of(task, world)
    look = await live.assess_health(change.placement)
    if look.health is not Health.CURRENT:
        if await time_in_step(task, world) < timedelta(seconds=world.patience.settle):
            return Again(0.5, look.note, percent=look.percent)
        return Broken(
            Trouble(look.stall or "Unhealthy", f"{change.component} is not well after the {change.kind}: {look.note}.")
        )
    component = await remember(task, world)
    if component is None or not same_version(component.version, change.to_version):
        runs = component.version if component else "nothing"
        return Broken(Trouble("VersionChanged", f"{change.component} should run {change.to_version} and runs {runs}."))
    return Done(f"{change.component} {component.version} is well")
