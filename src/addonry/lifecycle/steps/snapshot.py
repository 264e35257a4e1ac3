"""Record what to go back to, before the first write."""

from addonry.lifecycle.steps.common import cluster_of
from addonry.lifecycle.world import World
from addonry.model.components import SourceKind
from addonry.model.tasks import Broken, Done, Outcome, Task, TaskKind, Trouble


async def run(task: Task, world: World) -> Outcome:
    """Done with the recorded revision or images in the outcome."""
    change = task.change
    live = await cluster_of(task, world)
    snapshot = await live.snapshot(change.placement)
    is_helm = change.placement.source is SourceKind.HELM
    if change.kind in {TaskKind.UPGRADE, TaskKind.CONFIGURE} and is_helm and not snapshot.revision:
        return Broken(
            Trouble(
                "NothingToGoBackTo",
                f"Release {change.placement.name} has no deployed revision, so a failed upgrade could not be undone.",
                f"Look at its history: helm history {change.placement.name} -n {change.placement.namespace}",
            )
        )
    words = f"revision {snapshot.revision}" if snapshot.revision else ", ".join(snapshot.images.values()) or "nothing"
    return Done(f"to go back to: {words}", snapshot=snapshot)
