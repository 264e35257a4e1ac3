"""Follow the component's workloads until the new pods are up, or are known not to come."""

from addonry.kube import Rollout
from addonry.lifecycle.steps.common import follow
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when everything is up; see ``common.follow`` for what is told before."""
    return await follow(task, world, _weigh)


async def _weigh(look: Rollout) -> Outcome | None:
    return Done(look.note) if look.health is Health.CURRENT else None
