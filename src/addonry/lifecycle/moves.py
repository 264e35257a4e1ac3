"""Pause, resume, cancel: what people ask of a task that is there.

``rules.task_moves`` decides, the store writes it if the task is still the one that was read. A worker that saves at the
same moment wins or loses by the task's revision; then the same is asked of the task as it is now.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from addonry.lifecycle.world import World
from addonry.model.errors import ComponentNotFound, TaskNotFound
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import LIVE, Task
from addonry.rules import task_moves

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Asking(Protocol):
    """One of ``task_moves.pause``, ``resume`` and ``cancel``."""

    def __call__(self, task: Task, *, now: datetime) -> Task:
        """The task once it was asked for; itself when nothing is to do. Raises IllegalMove."""
        ...


async def pause(world: World, task: TaskId, *, by: str) -> Task:
    """See ``Lifecycle.pause``."""
    return await _ask(world, task, task_moves.pause, by=by)


async def resume(world: World, task: TaskId, *, by: str) -> Task:
    """See ``Lifecycle.resume``."""
    return await _ask(world, task, task_moves.resume, by=by)


async def cancel(world: World, task: TaskId, *, by: str) -> Task:
    """See ``Lifecycle.cancel``."""
    return await _ask(world, task, task_moves.cancel, by=by)


async def live_task(world: World, cluster: ClusterId, name: str) -> Task:
    """See ``Lifecycle.live_task``."""
    await world.store.cluster(cluster)
    entry = world.catalog.entry(name)
    changes = {str(component): found for component, found in (await world.store.last_changes(cluster)).items()}
    found = changes.get(entry.name if entry else name)
    if found is not None and found[0].status in LIVE:
        return found[0]
    known = {component.name for component in await world.store.components(cluster)}
    if entry is None and found is None and name not in known:
        raise ComponentNotFound(name)
    raise TaskNotFound("", f"No task is under way on {name}.")


async def _ask(world: World, task: TaskId, asking: Asking, *, by: str) -> Task:
    while True:
        found = await world.store.task(task)
        now = world.now()
        after = asking(found, now=now)
        if after is found:
            return found
        told = tuple(
            replace(event, message=f"{event.message} (asked by {by})")
            for event in task_moves.events_of(found, after, now=now)
        )
        if await world.store.move(after, told, _enqueuing(world, after) if after.run != found.run else None):
            return replace(after, revision=after.revision + 1)


def _enqueuing(world: World, task: Task) -> "Callable[[Connection], None]":
    return lambda connection: world.engine.enqueue(connection, task.id, run=task.run, cluster=task.cluster)
