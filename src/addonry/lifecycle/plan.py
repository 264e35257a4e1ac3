"""What a task would do, without doing it: the changes in order, and what the cluster has to say to each.

The same steps are asked that a task begins with, those that write nothing; so a plan and the task that follows it cannot
differ in what they look at, only in the moment.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from addonry.lifecycle import ConfigureRequest, InstallRequest, PlannedChange, UpgradeRequest
from addonry.lifecycle.changes import to_configure, to_install, to_upgrade
from addonry.lifecycle.steps import RUN
from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.errors import AddonryError, InvalidParameter
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import Broken, Change, Done, Status, StepName, Task, Trouble
from addonry.rules.eta import seconds_for
from addonry.rules.task_moves import after_step

ASKED: Final = (StepName.PREFLIGHT, StepName.FETCH, StepName.RENDER, StepName.DRY_RUN)
"""The steps that only look."""

NO_TASK: Final = TaskId("plan")


async def plan(
    world: World, cluster: ClusterId, requests: Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]
) -> tuple[PlannedChange, ...]:
    """See ``Lifecycle.plan``."""
    changes = await _changes(world, cluster, requests)
    return tuple([await _look(world, cluster, change) for change in changes])


async def _changes(
    world: World, cluster: ClusterId, requests: Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]
) -> tuple[Change, ...]:
    installs = [each for each in requests if isinstance(each, InstallRequest)]
    upgrades = [each for each in requests if isinstance(each, UpgradeRequest)]
    configures = [each for each in requests if isinstance(each, ConfigureRequest)]
    if sum(1 for kind in (installs, upgrades, configures) if kind) > 1:
        raise InvalidParameter("body", "mixes kinds of changes", remedy="Plan each kind of change by itself.")
    if installs:
        return await to_install(world, cluster, installs)
    if configures:
        return await to_configure(world, cluster, configures)
    return await to_upgrade(world, cluster, upgrades)


async def _look(world: World, cluster: ClusterId, change: Change) -> PlannedChange:
    now = world.now()
    started = replace(change, status=Status.RUNNING)
    task = Task(NO_TASK, cluster, change.kind, (started,), created_at=now, updated_at=now, status=Status.RUNNING)
    trouble: Trouble | None = None
    for step in ASKED:
        try:
            outcome = await RUN[step](task, world)
        except AddonryError as error:
            outcome = Broken(Trouble(type(error).__name__, error.message, error.remedy))
        if not isinstance(outcome, Done):
            trouble = outcome.trouble if isinstance(outcome, Broken) else None
            break
        task = after_step(task, outcome, now=now)
    found = replace(change, remarks=task.change.remarks, trouble=trouble)
    seconds = seconds_for(change.plan, await world.store.step_seconds(change.component))
    no_return = await _point_of_no_return(task, world) if trouble is None else None
    return PlannedChange(found, no_return, seconds)


async def _point_of_no_return(task: Task, world: World) -> StepName | None:
    """Where a rollback no longer brings back everything. What hooks of a chart do is nobody's to know."""
    live = await cluster_of(task, world)
    crds = await live.changing_crds(task.change.placement, await target_of(task, world))
    return StepName.CRDS if crds else None
