"""Remove the component. From here on there is no way back."""

from addonry.lifecycle.steps.common import cluster_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when Helm has removed the release and what it owned."""
    live = await cluster_of(task, world)
    await live.uninstall(task.change.placement, task=task.id)
    return Done(f"release {task.change.placement.name} removed; CRDs, volumes and the namespace stay")
