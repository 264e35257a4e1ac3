"""Bring back what the snapshot step recorded. Never deletes what was there before the task."""

from addonry.lifecycle.steps.common import cluster_of, snapshot_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the old state is applied again, or a failed first install is taken back."""
    change = task.change
    live = await cluster_of(task, world)
    await live.rollback(change.placement, snapshot_of(change), task=task.id)
    return Done(f"back to {change.from_version}" if change.from_version else "taken back")
