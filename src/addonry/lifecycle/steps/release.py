"""Let go on what *hold* or *canary* has held; on the way back too, once the old version is applied again."""

from addonry.lifecycle.steps.common import cluster_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when nothing of the component is held by Addonry."""
    live = await cluster_of(task, world)
    return Done(await live.release(task.change.placement))
