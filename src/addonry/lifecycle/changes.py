"""Install, upgrade, configure and uninstall: check what is asked, make the task, hand it to the engine.

All requests of a call are checked before anything is written, and become one task. The checks here use what was last
seen; the task's preflight step asks the cluster itself.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from addonry.lifecycle import ConfigureRequest, InstallRequest, UpgradeRequest
from addonry.lifecycle.facts import gather
from addonry.lifecycle.world import World
from addonry.model.components import Component, Placement, SourceKind
from addonry.model.errors import (
    AlreadyInstalled,
    ComponentBusy,
    ComponentNotFound,
    InvalidParameter,
    UpgradeNotPossible,
    VersionNotFound,
)
from addonry.model.ids import ClusterId, ComponentName, Version
from addonry.model.readiness import Blocker, Facts, Readiness
from addonry.model.tasks import NO_VERSION, Change, Event, Pace, Task, TaskKind
from addonry.rules.offers import find_offer, version_of
from addonry.rules.planning import in_order, plan_for
from addonry.rules.readiness import assess_change
from addonry.rules.task_moves import words_of
from addonry.rules.versions import same_version


async def install(world: World, cluster: ClusterId, requests: Sequence[InstallRequest], *, by: str) -> Task:
    """One task for all; see ``Lifecycle.install``."""
    return await _submit(world, cluster, TaskKind.INSTALL, await to_install(world, cluster, requests), by=by)


async def upgrade(world: World, cluster: ClusterId, requests: Sequence[UpgradeRequest], *, by: str) -> Task:
    """One task for all; see ``Lifecycle.upgrade``."""
    return await _submit(world, cluster, TaskKind.UPGRADE, await to_upgrade(world, cluster, requests), by=by)


async def configure(world: World, cluster: ClusterId, requests: Sequence[ConfigureRequest], *, by: str) -> Task:
    """One task for all; see ``Lifecycle.configure``."""
    return await _submit(world, cluster, TaskKind.CONFIGURE, await to_configure(world, cluster, requests), by=by)


async def uninstall(world: World, cluster: ClusterId, names: Sequence[str], *, by: str) -> Task:
    """One task for all; see ``Lifecycle.uninstall``."""
    facts = await _facts_of(world, cluster, names)
    going = {each.name for each in facts}
    alone = [replace(each, required_by=tuple(name for name in each.required_by if name not in going)) for each in facts]
    return await _submit(
        world, cluster, TaskKind.UNINSTALL, _ordered(world, [_uninstall(each) for each in alone]), by=by
    )


async def to_install(world: World, cluster: ClusterId, requests: Sequence[InstallRequest]) -> tuple[Change, ...]:
    """The changes of such a task, in order, checked."""
    facts = await _facts_of(world, cluster, [request.name for request in requests])
    coming = {each.name for each in facts}
    found = [replace(each, lacking=tuple(name for name in each.lacking if name not in coming)) for each in facts]
    return _ordered(world, [_install(each, request) for each, request in zip(found, requests, strict=True)])


async def to_upgrade(world: World, cluster: ClusterId, requests: Sequence[UpgradeRequest]) -> tuple[Change, ...]:
    """The changes of such a task, in order, checked."""
    facts = await _facts_of(world, cluster, [request.name for request in requests])
    return _ordered(world, [_upgrade(each, request) for each, request in zip(facts, requests, strict=True)])


async def to_configure(world: World, cluster: ClusterId, requests: Sequence[ConfigureRequest]) -> tuple[Change, ...]:
    """The changes of such a task, in order, checked."""
    facts = await _facts_of(world, cluster, [request.name for request in requests])
    return _ordered(world, [_configure(each, request) for each, request in zip(facts, requests, strict=True)])


def _ordered(world: World, changes: Sequence[Change]) -> tuple[Change, ...]:
    entries = ((change.component, world.catalog.entry(change.component)) for change in changes)
    return in_order(changes, {name: (*entry.requires, *entry.after) for name, entry in entries if entry is not None})


async def _facts_of(world: World, cluster: ClusterId, names: Sequence[str]) -> list[Facts]:
    await world.store.cluster(cluster)
    if not names:
        raise InvalidParameter("body", "names no component", remedy="Send at least one component.")
    entries = [world.catalog.entry(name) for name in names]
    resolved = [entry.name if entry else ComponentName(name) for entry, name in zip(entries, names, strict=True)]
    twice = [name for name, count in Counter(resolved).items() if count > 1]
    if twice:
        raise InvalidParameter("body", f"names {twice[0]} more than once", remedy="Name each component once.")
    facts, _ = await gather(world, cluster)
    for name in resolved:
        if name not in facts:
            raise ComponentNotFound(name)
    return [facts[name] for name in resolved]


def _install(facts: Facts, request: InstallRequest) -> Change:
    if facts.component is not None:
        raise AlreadyInstalled(facts.name, facts.component.version)
    if facts.entry is None:
        raise ComponentNotFound(facts.name)
    placement = Placement(SourceKind.HELM, facts.entry.namespace, facts.entry.release)
    change = _change(facts, TaskKind.INSTALL, placement, request.version, request.values)
    return replace(change, pace=request.pace, plan=plan_for(change.kind, request.pace), unsafe_crds=request.unsafe_crds)


def _upgrade(facts: Facts, request: UpgradeRequest) -> Change:
    component = _installed(facts)
    if request.expected and not same_version(request.expected, component.version):
        blocker = Blocker(
            "VersionChanged",
            f"Addon status not match: {facts.name} runs {component.version}, not {request.expected}.",
            "Look at its status and ask again.",
        )
        raise UpgradeNotPossible(facts.name, (blocker,))
    placement = component.found.placement
    if request.values is not None and placement.source is SourceKind.WORKLOAD:
        raise InvalidParameter(
            "config",
            f"{facts.name} is a plain {placement.kind} and takes no values",
            remedy="Leave them out; an upgrade changes its image and nothing else.",
        )
    change = _change(facts, TaskKind.UPGRADE, placement, request.version, request.values)
    return replace(
        change,
        edits=request.edits,
        pace=request.pace,
        plan=plan_for(change.kind, request.pace),
        unsafe_crds=request.unsafe_crds,
    )


def _configure(facts: Facts, request: ConfigureRequest) -> Change:
    component = _installed(facts)
    change = _change(facts, TaskKind.CONFIGURE, component.found.placement, component.version, request.values)
    return replace(
        change,
        edits=request.edits,
        pace=request.pace,
        plan=plan_for(change.kind, request.pace),
        unsafe_crds=request.unsafe_crds,
    )


def _uninstall(facts: Facts) -> Change:
    component = _installed(facts)
    if facts.live_task is not None:
        raise ComponentBusy(facts.name, facts.live_task)
    if blockers := assess_change(facts, None, TaskKind.UNINSTALL).blockers:
        raise UpgradeNotPossible(facts.name, blockers)
    return Change(
        component=facts.name,
        kind=TaskKind.UNINSTALL,
        placement=component.found.placement,
        from_version=component.version,
        to_version=NO_VERSION,
        plan=plan_for(TaskKind.UNINSTALL, Pace.AT_ONCE),
    )


def _installed(facts: Facts) -> Component:
    if facts.component is None:
        raise ComponentNotFound(facts.name, f"Component {facts.name!r} is not installed on {facts.cluster.name}.")
    return facts.component


def _change(
    facts: Facts, kind: TaskKind, placement: Placement, version: Version | None, values: Mapping[str, Any] | None
) -> Change:
    if facts.live_task is not None:
        raise ComponentBusy(facts.name, facts.live_task)
    readiness = assess_change(facts, version, kind)
    if version is not None and find_offer(facts, version) is None and placement.source is SourceKind.HELM:
        raise VersionNotFound(facts.name, version)
    blockers = _standing(readiness, new_values=values is not None)
    if blockers:
        raise UpgradeNotPossible(facts.name, blockers)
    assert readiness.target is not None, "a readiness without blockers has a target"
    return Change(
        component=facts.name,
        kind=kind,
        placement=placement,
        from_version=facts.component.version if facts.component else NO_VERSION,
        to_version=version_of(readiness.target, facts.component, facts.entry),
        plan=plan_for(kind, Pace.AT_ONCE),
        values=values,
    )


def _standing(readiness: Readiness, *, new_values: bool) -> tuple[Blocker, ...]:
    # New values are judged by the render step; what the schema says of the old ones no longer matters.
    return tuple(each for each in readiness.blockers if not (new_values and each.id == "ValuesInvalid"))


async def _submit(world: World, cluster: ClusterId, kind: TaskKind, changes: Sequence[Change], *, by: str) -> Task:
    now = world.now()
    task = Task(
        id=world.ids.task(),
        cluster=cluster,
        kind=kind,
        changes=tuple(changes),
        created_at=now,
        updated_at=now,
        requested_by=by,
    )
    events = [
        Event(
            cluster=cluster,
            task=task.id,
            component=change.component,
            kind=kind,
            reason="Queued",
            message=f"Asked to {words_of(change)}",
            at=now,
        )
        for change in changes
    ]
    await world.store.submit(
        task,
        events,
        lambda connection: world.engine.enqueue(connection, task.id, run=task.run, cluster=cluster),
    )
    return task
