"""Let the first pods take the new version, hold the others back, and see whether the first are well.

How many are first is the workload's own affair: a Deployment begins with as many as its ``maxSurge`` and
``maxUnavailable`` allow, a StatefulSet with its highest ordinal, a DaemonSet with ``maxUnavailable`` nodes. One that has
a single pod has its only pod replaced. A worker that dies between *apply* and this step leaves the rollout going on until
another takes the task over.
"""

from addonry.kube import Rollout
from addonry.lifecycle.steps.common import cluster_of, follow
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Done, Outcome, Task


async def run(task: Task, world: World) -> Outcome:
    """Done once the first pods are ready and the others held; the task is then paused. Broken as *rollout* is."""

    async def weigh(look: Rollout) -> Outcome | None:
        if look.health is Health.CURRENT:
            return Done(f"every pod there is has the new version: {look.note}")
        return await _hold(task, world, look) if look.updated else None

    return await follow(task, world, weigh)


async def _hold(task: Task, world: World, look: Rollout) -> Outcome:
    """At each call again: it bears repeating, and the first pods may take their time to become ready."""
    live = await cluster_of(task, world)
    held = await live.hold(task.change.placement)
    if look.updated_ready >= look.updated:
        return Done(f"{look.updated} of {look.total} pods have the new version and are ready; {held}")
    return Again(0.5, f"waiting for {look.updated} first pods: {look.note}", percent=look.percent, stall=look.stall)
