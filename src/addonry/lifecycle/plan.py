"""What a task would do, without doing it: the changes in order, and what the cluster has to say to each.

The same steps are asked that a task begins with, those that write nothing; so a plan and the task that follows it cannot
differ in what they look at, only in the moment.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from addonry.lifecycle import ConfigureRequest, InstallRequest, PlannedChange, UpgradeRequest, UpgradeWay
from addonry.lifecycle.changes import to_configure, to_install, to_upgrade
from addonry.lifecycle.steps import RUN, dry_run
from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.ways import ways
from addonry.lifecycle.world import World
from addonry.model.errors import AddonryError, InvalidParameter
from addonry.model.ids import ClusterId, ComponentName, TaskId
from addonry.model.tasks import Broken, Change, Done, Status, StepName, Task, Trouble
from addonry.rules.differences import ObjectDifference, differences
from addonry.rules.eta import seconds_for
from addonry.rules.task_moves import after_step

ASKED: Final = (StepName.PREFLIGHT, StepName.FETCH, StepName.RENDER, StepName.DRY_RUN)
"""The steps that only look."""

NO_TASK: Final = TaskId("plan")

Requests = Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]


async def plan(world: World, cluster: ClusterId, requests: Requests) -> tuple[PlannedChange, ...]:
    """See ``Lifecycle.plan``."""
    upgrades = [(each.name, each.version) for each in requests if isinstance(each, UpgradeRequest)]
    found = {way.component: way for way in await ways(world, cluster, upgrades)} if upgrades else {}
    changes = await _changes(world, cluster, [_to_first_hop(world, each, found) for each in requests])
    return tuple([await _look(world, cluster, change, found.get(change.component)) for change in changes])


def _to_first_hop(
    world: World, request: InstallRequest | UpgradeRequest | ConfigureRequest, found: Mapping[ComponentName, UpgradeWay]
) -> InstallRequest | UpgradeRequest | ConfigureRequest:
    """What is further away than one upgrade may go is planned as far as that."""
    if not isinstance(request, UpgradeRequest) or request.version is None:
        return request
    entry = world.catalog.entry(request.name)
    way = found[entry.name if entry else ComponentName(request.name)]
    return replace(request, version=way.hops[0]) if len(way.hops) > 1 else request


async def _changes(world: World, cluster: ClusterId, requests: Requests) -> tuple[Change, ...]:
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


async def _look(world: World, cluster: ClusterId, change: Change, way: UpgradeWay | None) -> PlannedChange:
    now = world.now()
    started = replace(change, status=Status.RUNNING)
    task = Task(NO_TASK, cluster, change.kind, (started,), created_at=now, updated_at=now, status=Status.RUNNING)
    found = _Found()
    try:
        task, found.trouble = await _take(task, world, found)
    except AddonryError as error:
        found.trouble = Trouble(type(error).__name__, error.message, error.remedy)
    seconds = seconds_for(change.plan, await world.store.step_seconds(change.component))
    seen = found.seen
    return PlannedChange(
        replace(change, remarks=task.change.remarks, trouble=found.trouble),
        # What hooks of a chart do is nobody's to know.
        StepName.CRDS if seen and seen.crds else None,
        seconds,
        way=way.hops if way else (change.to_version,),
        mode=found.mode,
        differences=found.differences,
        edits=seen.judged.conflicts if seen else (),
        crds=seen.crds if seen else (),
    )


@dataclass(slots=True)
class _Found:
    """What a person wants to read of a change, as far as it was come to."""

    mode: str = ""
    differences: tuple[ObjectDifference, ...] = ()
    seen: dry_run.Seen | None = None
    trouble: Trouble | None = None


async def _take(task: Task, world: World, found: _Found) -> tuple[Task, Trouble | None]:
    """Take the steps that only look, up to the first that meets trouble."""
    for step in ASKED:
        if step is StepName.DRY_RUN:
            await _compare(task, world, found)
            found.seen = await dry_run.look(task, world)
            outcome = dry_run.weigh(task.change, found.seen)
        else:
            outcome = await RUN[step](task, world)
        if not isinstance(outcome, Done):
            return task, outcome.trouble if isinstance(outcome, Broken) else None
        task = after_step(task, outcome, now=world.now())
    return task, None


async def _compare(task: Task, world: World, found: _Found) -> None:
    placement = task.change.placement
    live = await cluster_of(task, world)
    preview = await live.preview(placement, await target_of(task, world))
    found.mode = preview.mode
    found.differences = await asyncio.to_thread(differences, preview.before, preview.after, placement.namespace)
