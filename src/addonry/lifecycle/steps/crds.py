"""Create or update the chart's CRDs: Helm installs them once and never again.

Nothing is ever deleted here. CRDs are not taken back by a rollback: an older component works with a newer CRD as long
as the served versions stay, and removing one would remove the user's objects.
"""

from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.components import SourceKind
from addonry.model.tasks import Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the cluster has the CRDs of the target; a plain workload has none."""
    change = task.change
    if change.placement.source is not SourceKind.HELM:
        return Done("none")
    live = await cluster_of(task, world)
    count = await live.apply_crds(change.placement, await target_of(task, world))
    return Done(f"{count} applied" if count else "none")
