"""Create or update the chart's CRDs: Helm installs them once and never again.

They are judged once more before the first is written: since the dry run somebody may have stored objects in a version
that goes. Nothing is ever deleted here. CRDs are not taken back by a rollback: an older component works with a newer CRD as long
as the served versions stay, and removing one would remove the user's objects.
"""

from addonry.lifecycle.crds import judge_crds, unsafe_trouble
from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.components import SourceKind
from addonry.model.tasks import Broken, Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done when the cluster has the CRDs of the target, Broken when that is not safe; a plain workload has none."""
    change = task.change
    if change.placement.source is not SourceKind.HELM:
        return Done("none")
    live = await cluster_of(task, world)
    target = await target_of(task, world)
    unsafe = unsafe_trouble(await judge_crds(live, change.placement, target, of_templates=False))
    if unsafe and not change.unsafe_crds:
        return Broken(unsafe)
    count = await live.apply_crds(change.placement, target)
    return Done(f"{count} applied" if count else "none")
