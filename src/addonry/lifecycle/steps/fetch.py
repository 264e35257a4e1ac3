"""Fetch the chart and check its archive, before anything is touched."""

from addonry.lifecycle.steps.common import archive_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the chart lies in the cache, unharmed."""
    archive = await archive_of(task, world)
    return Done(f"sha256:{archive.digest[:12]}")
