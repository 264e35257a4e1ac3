"""Make the cluster run the target version."""

from addonry.lifecycle.steps.common import cluster_of, snapshot_of, target_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the target is applied; its pods may still be on their way."""
    live = await cluster_of(task, world)
    change = task.change
    await live.apply(change.placement, await target_of(task, world), task=task.id, snapshot=snapshot_of(change))
    return Done(f"{change.component} {change.to_version} applied")
