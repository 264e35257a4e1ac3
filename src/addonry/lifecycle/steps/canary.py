"""Let the first pods take the new version, hold the others back, and see whether the first are well.

How many are first is the workload's own affair: a Deployment begins with as many as its ``maxSurge`` and
``maxUnavailable`` allow, a StatefulSet with its highest ordinal, a DaemonSet with ``maxUnavailable`` nodes. One that has
a single pod has its only pod replaced. A worker that dies between *apply* and this step leaves the rollout going on until
another takes the task over.
"""

import asyncio
from datetime import timedelta

from addonry.kube import LiveCluster, Rollout
from addonry.lifecycle.steps.common import cluster_of, stalled, time_in_step
from addonry.lifecycle.world import World
from addonry.model.components import Health
from addonry.model.tasks import Again, Broken, Done, Outcome, Task

FIRST_LOOK_SECONDS = 10.0


async def run(task: Task, world: World) -> Outcome:
    """Done once the first pods are ready and the others held; the task is then paused. Broken as *rollout* is."""
    change = task.change
    live = await cluster_of(task, world)
    left = timedelta(seconds=world.patience.rollout) - await time_in_step(task, world)
    note = change.note
    try:
        async with asyncio.timeout(max(left.total_seconds(), FIRST_LOOK_SECONDS)):
            async for look in live.follow_rollout(change.placement):
                note = look.note
                if look.health is Health.CURRENT:
                    return Done(f"every pod there is has the new version: {look.note}")
                if look.health is Health.FAILED:
                    return Broken(stalled(change.component, look.stall, look.note, world))
                if look.updated:
                    return await _hold(task, live, look)
                if look.note != change.note:
                    return Again(0.0, look.note, percent=look.percent, stall=look.stall)
    except TimeoutError:
        return Broken(stalled(change.component, "RolloutTimeout", note, world))
    return Again(1.0, change.note)


async def _hold(task: Task, live: LiveCluster, look: Rollout) -> Outcome:
    """At each call again: it bears repeating, and the first pods may take their time to become ready."""
    held = await live.hold(task.change.placement)
    if look.updated_ready >= look.updated:
        return Done(f"{look.updated} of {look.total} pods have the new version and are ready; {held}")
    return Again(0.5, f"waiting for {look.updated} first pods: {look.note}", percent=look.percent, stall=look.stall)
