"""Stop the rollout where it is, because a pause was asked for while pods move."""

from addonry.lifecycle.steps.common import cluster_of
from addonry.lifecycle.world import World
from addonry.model.errors import ClusterUnreachable
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the component's workloads are held, and also when the cluster does not answer: whoever asks for a pause
    gets it, and is told that the cluster goes on by itself.
    """
    live = await cluster_of(task, world)
    try:
        return Done(await live.hold(task.change.placement))
    except ClusterUnreachable as error:
        return Done(f"not held, the cluster does not answer: {error.message}")
