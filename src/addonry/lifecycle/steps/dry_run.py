"""Let the API server judge the target's objects without storing them; name the fields that others own.

Conflicts do not stop an upgrade with the policy *overwrite* (ACK's default): they are told, then taken.
"""

from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the server would accept every object."""
    live = await cluster_of(task, world)
    judged = await live.dry_run(task.change.placement, await target_of(task, world))
    if not judged.conflicts:
        return Done(f"{judged.objects} objects accepted")
    taken = ", ".join(f"{field} from {manager}" for field, manager in judged.conflicts)
    return Done(f"{judged.objects} objects accepted; will take over {taken}")
