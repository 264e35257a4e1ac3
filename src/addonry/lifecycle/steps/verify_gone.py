"""Check that the component is no longer there."""

from addonry.lifecycle.steps.common import remember
from addonry.lifecycle.world import World
from addonry.model.tasks import Broken, Done, Outcome, Task, Trouble


async def run(task: Task, world: World) -> Outcome:
    """Done when the cluster does not show it any more."""
    component = await remember(task, world)
    if component is None:
        return Done("it is gone")
    where = component.found.placement
    return Broken(
        Trouble(
            "StillThere",
            f"{component.name} {component.version} is there although it was removed.",
            f"Find out who installs it anew: helm history {where.name} -n {where.namespace}",
        )
    )
