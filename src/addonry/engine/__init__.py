"""The engine room: runs steps, survives crashes. This is its door.

The task row is the truth; the engine's queue only hands it out. What the engine needs from outside it declares here
(``TaskLog``, ``Steps``), and ``app.py`` brings the two together.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from addonry.engine.membership import SHARE_OF_LIFE, Lease, Pulse, Roll
from addonry.model.ids import TaskId
from addonry.model.tasks import Event, Outcome, StepRecord, Task, Wish

if TYPE_CHECKING:
    from sqlalchemy import Connection

Step = Callable[[Task], Awaitable[Outcome]]
"""Runs the present step of a task's present change. Short, bears repeating, reports an outcome."""

Steps = Mapping[str, Step]
"""By the step's name. One that is not in it belongs to a newer release, whose worker must carry it out."""


class TaskLog(Protocol):
    """Where tasks are kept; the engine's only memory."""

    async def task(self, task: TaskId) -> Task:
        """The task as saved last. Raises TaskNotFound."""
        ...

    async def claim(self, task: TaskId, *, run: int, claim: str) -> Task | None:
        """Make *claim* the one that may save the task; None when the run is superseded or the task has ended.

        A task that was RUNNING under another claim comes back with ``crashes`` counted up: its last worker died. One
        that was released does not, and asking again with the same claim changes nothing.
        """
        ...

    async def claimed(self, task: TaskId, *, claim: str) -> Task | None:
        """The task as saved last while *claim* owns it; None when another claim does."""
        ...

    async def release(self, task: TaskId, *, claim: str) -> None:
        """Give the task back without it counting as a crash: the worker stops as planned."""
        ...

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        """Write the task with its events and steps in one transaction, if *claim* still owns it and ``task.revision``
        is the one read. The saved task with its new revision, or None when another came first.
        """
        ...

    async def wishes(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Wish]:
        """What people wish of these tasks; those without a wish are left out. One query, however many."""
        ...

    async def unfinished(self) -> Sequence[tuple[TaskId, int, str]]:
        """Id, run and cluster of every task that is queued or running, oldest first."""
        ...

    async def requeue(
        self, runs: "Sequence[tuple[TaskId, int, str]]", *, enqueue: "Callable[[Connection, TaskId, int, str], None]"
    ) -> int:
        """Raise the run of each task that is still at the run named, and call *enqueue* with its id, its new run and its
        cluster; all in one transaction. How many there were.
        """
        ...


class Engine(Protocol):
    """A durable queue of tasks and the worker that carries them out."""

    def enqueue(self, connection: "Connection", task: TaskId, *, run: int, cluster: str) -> None:
        """Put the task's run into the queue, within the caller's transaction."""
        ...

    async def start(self, log: TaskLog, steps: Steps) -> None:
        """Begin to carry tasks out, first those that a dead worker left. Call once.

        On a database of many workers this process is on the roll from then on, and ends when it is taken for dead.
        """
        ...

    async def stop(self) -> None:
        """Stop in under a second. Steps under way are abandoned; the next start repeats them."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine works."""

    database_url: str
    """SQLAlchemy URL of the database that also holds the task rows."""
    concurrency: int = 20
    lanes: int = 3
    """How many tasks run on one cluster at once."""
    poll_seconds: float = 0.5
    """How often the queue is asked for work: each time costs about 6 ms of CPU, and a task waits half of it."""
    step_seconds: float = 900.0
    """The longest one call of a step may take."""
    crash_limit: int = 5
    """A task whose worker died more often than this in a row is not run again as it is."""
    pulse: Pulse = field(default_factory=Pulse)
    """How workers on one database know of each other."""


def open_engine(settings: EngineSettings, *, roll: Roll | None = None, lease: Lease | None = None) -> Engine:
    """The engine on a database whose schema exists.

    Where several processes share it, *roll* is their register and *lease* is kept for this one.
    """
    from addonry.engine.queue import DbosEngine

    return DbosEngine(settings, roll=roll, lease=lease)


__all__ = [
    "SHARE_OF_LIFE",
    "Engine",
    "EngineSettings",
    "Lease",
    "Pulse",
    "Roll",
    "Step",
    "Steps",
    "TaskLog",
    "open_engine",
]
