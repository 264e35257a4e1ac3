"""Carries one task out: claim it, run its steps, save what became of each.

Knows nothing of the queue that hands tasks out. It has no opinions either: what follows a step is decided by
``rules.task_moves``; here a step's time-out, its errors and the save are taken care of. Nothing is kept between two
saves that the task's row does not hold, so a worker may die at any point and another goes on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from addonry.engine import Step, Steps, TaskLog
from addonry.engine.wishes import Ear
from addonry.model.errors import AddonryError, ClusterUnreachable, StoreUnavailable
from addonry.model.ids import TaskId
from addonry.model.tasks import Again, Broken, Change, Done, Outcome, Status, StepRecord, Task, Trouble, Wish
from addonry.rules.planning import is_last_way, stops
from addonry.rules.task_moves import after_crashes, after_step, begin, events_of, grant

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 15.0
_REPORT: Final = "This is a bug of Addonry: the log has the details; please report them."


@dataclass(frozen=True, slots=True)
class Limits:
    """How much patience the runner has."""

    step_seconds: float = 900.0
    """The longest one call of a step may take."""
    unreachable_seconds: float = 600.0
    """How long a cluster may not answer within one step."""
    crash_limit: int = 5
    """How often in a row a step may kill its worker."""
    bug_limit: int = 3
    """How often in a row a step may fail in a way that nobody foresaw."""
    last_way_limit: int = 6
    """How often in a row a step may fail that there is no other way from: on the way back, and past the point of no
    return. What would be given up there is a component half changed."""


@dataclass(frozen=True, slots=True)
class Clockwork:
    """Time and dice, handed in, so that tests need neither wait nor hope."""

    now: Callable[[], datetime]
    elapsed: Callable[[], float]
    """Seconds on a clock that nobody sets."""
    sleep: Callable[[float], Awaitable[None]]
    dice: Callable[[], float]
    """A number from 0 to 1."""


async def drive(
    task_id: TaskId,
    *,
    run: int,
    claim: str,
    log: TaskLog,
    steps: Steps,
    limits: Limits,
    clock: Clockwork,
    ear: Ear | None = None,
) -> None:
    """Carry the task out to its end or pause, or until another claim owns it.

    Returns at once for a run that is superseded; gives back a task whose next step is of a newer release. Raises
    StoreUnavailable when the task cannot be saved; call again with the same *claim* then. Cancelling it leaves the task
    as saved last.
    """
    drive = _Drive(run=run, claim=claim, log=log, steps=steps, limits=limits, clock=clock, ear=ear or Ear())
    await drive.carry_out(task_id)


class _Interrupted(Exception):
    """A wish was heard that does not wait for the end of the step."""


@dataclass(slots=True)
class _Drive:
    """One execution of a task, and what it remembers of the present step: since when the cluster is silent."""

    run: int
    claim: str
    log: TaskLog
    steps: Steps
    limits: Limits
    clock: Clockwork
    ear: Ear
    silent_since: float | None = None
    silences: int = 0
    bugs: int = 0
    failures: int = 0

    async def carry_out(self, task_id: TaskId) -> None:
        found = await self.log.claim(task_id, run=self.run, claim=self.claim)
        task = None if found is None else await self._begin(found)
        while task is not None and task.status is Status.RUNNING:
            self.ear.tell(task.wish)
            if task.change.step not in self.steps:
                log.warning("task %s waits for a newer worker, which knows the step %s", task.id, task.change.step)
                await self.log.release(task.id, claim=self.claim)
                return
            try:
                task = await self._turn(task)
            except _Interrupted:
                self._forget()
                task = await self.log.claimed(task_id, claim=self.claim)

    async def _begin(self, found: Task) -> Task | None:
        """Running, or already on another way because its step killed too many workers."""
        if found.crashes <= self.limits.crash_limit:
            return await self._commit(found, lambda task: begin(task, now=self.clock.now()))
        trouble = Trouble(
            "WorkerCrashed",
            f"The step {found.change.step} ended its worker {found.crashes} times in a row.",
            "Look at the service's log and memory, then ask for the change again.",
        )

        def give_up(task: Task) -> Task:
            now = self.clock.now()
            return after_crashes(begin(task, now=now), trouble, now=now)

        return await self._commit(found, give_up, outcome=Broken(trouble))

    async def _turn(self, task: Task) -> Task | None:
        """One call of the present step and its save; the task as saved, or None when it is no longer ours."""
        if grant(task, now=self.clock.now()) is not task:
            self._forget()
            return await self._commit(task, lambda task: grant(task, now=self.clock.now()))
        outcome = await self._unless(
            self._outcome(task), lambda wish: stops(task.change.step, wish) and self._is_granted(task, wish)
        )
        if not isinstance(outcome, Again):
            self._forget()
        saved = await self._carry_on(task, outcome)
        if isinstance(outcome, Again) and saved is not None and saved.status is Status.RUNNING:
            resting = saved
            await self._unless(
                self.clock.sleep(max(0.0, outcome.seconds)), lambda wish: self._is_granted(resting, wish)
            )
        return saved

    async def _carry_on(self, task: Task, outcome: Outcome) -> Task | None:
        if isinstance(outcome, Again):
            after = after_step(task, outcome, now=self.clock.now())
            if _shown(after.change) == _shown(task.change):
                return task
        return await self._commit(task, lambda task: after_step(task, outcome, now=self.clock.now()), outcome=outcome)

    def _is_granted(self, task: Task, wish: Wish) -> bool:
        wishing = replace(task, wish=wish)
        return grant(wishing, now=self.clock.now()) is not wishing

    async def _unless(self, work: Awaitable[T], matters: Callable[[Wish], bool]) -> T:
        """What *work* gives. Raises _Interrupted when it was stopped because of a wish that *matters*."""
        working = asyncio.ensure_future(work)
        listening = asyncio.ensure_future(self.ear.hear(matters))
        try:
            await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                # To its very end: a step that is stopped may still have a child process to put an end to.
                await asyncio.wait({working})
            if working.cancelled():
                raise _Interrupted
            return working.result()
        finally:
            listening.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait({working})

    async def _outcome(self, task: Task) -> Outcome:
        """What the step reports, with its errors turned into outcomes."""
        step = task.change.step
        assert step is not None, "a live task has a step to run"
        try:
            outcome = await _within(self.limits.step_seconds, self.steps[step], task)
        except StoreUnavailable:
            # Ours, not the step's: nothing can be decided that cannot be saved.
            raise
        except ClusterUnreachable as error:
            return self._silent(error)
        except AddonryError as error:
            self.failures += 1
            if is_last_way(task.change) and self.failures < self.limits.last_way_limit:
                return Again(self._pause(self.failures), f"is tried again: {error.message}", stall=type(error).__name__)
            return Broken(Trouble(type(error).__name__, error.message, error.remedy))
        except Exception as error:  # noqa: BLE001 - a bug of one step must not end the worker
            return self._bug(task, error)
        self._forget()
        return outcome

    def _forget(self) -> None:
        """Patience begins anew: with the next step, and once the step has answered in its own words."""
        self.silent_since, self.silences, self.bugs, self.failures = None, 0, 0, 0

    def _silent(self, error: ClusterUnreachable) -> Outcome:
        now = self.clock.elapsed()
        if self.silent_since is None:
            self.silent_since = now
        if now - self.silent_since >= self.limits.unreachable_seconds:
            lasted = f"The cluster did not answer for {self.limits.unreachable_seconds:.0f} s: {error.message}"
            return Broken(Trouble(type(error).__name__, lasted, "Ask for the change again when the cluster answers."))
        self.silences += 1
        return Again(self._pause(self.silences), f"waiting for the cluster: {error.message}")

    def _bug(self, task: Task, error: Exception) -> Outcome:
        self.bugs += 1
        step = task.change.step
        log.error("step %s of task %s failed unexpectedly (%d)", step, task.id, self.bugs, exc_info=error)
        if self.bugs < self.limits.bug_limit:
            return Again(self._pause(self.bugs), task.change.note)
        # The exception's words stay in the log: nobody knows what they hold.
        return Broken(Trouble("InternalError", f"The step {step} failed unexpectedly.", _REPORT))

    def _pause(self, tries: int) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 10)) * (0.75 + self.clock.dice() / 2)

    async def _commit(
        self, task: Task, decide: Callable[[Task], Task], *, outcome: Outcome | None = None
    ) -> Task | None:
        """Write what *decide* makes of the task, with its events and the records of the steps it ends and begins.

        A person may have written a wish meanwhile: then the same is decided about the task as it is now, because the
        step has been carried out and need not be again.
        """
        while True:
            after = decide(task)
            now = self.clock.now()
            records = [] if isinstance(outcome, Again) else _records(task, after, outcome, now=now)
            events = events_of(task, after, now=now)
            saved = await self.log.save(after, claim=self.claim, events=events, steps=records)
            if saved is not None:
                return saved
            # Another came first: a wish, somebody who owns the task now, or our own save whose answer was lost.
            found = await self.log.claimed(task.id, claim=self.claim)
            if found is None or not _is_only_wished(task, found):
                return found
            task = found


def _is_only_wished(read: Task, found: Task) -> bool:
    return replace(found, wish=read.wish, revision=read.revision, updated_at=read.updated_at) == read


def _shown(change: Change) -> tuple[str, str, int]:
    return change.note, change.stall, change.percent


def _records(before: Task, after: Task, outcome: Outcome | None, *, now: datetime) -> list[StepRecord]:
    records = []
    ended = before.change
    moved = after.status is not Status.RUNNING or after.change.step != ended.step
    if outcome is not None and ended.step is not None:
        ok = isinstance(outcome, Done)
        message = outcome.trouble.message if isinstance(outcome, Broken) else outcome.note
        # Replaces the open record, which has the moment the step began.
        records.append(StepRecord(ended.component, ended.step, now, now, ok, message))
    elif before.wish is not None and ended.step is not None and moved:
        # Neither well nor ill: its time begins anew when it is called again.
        records.append(StepRecord(ended.component, ended.step, now, now, None, f"stopped to {before.wish}"))
    if after.status is Status.RUNNING and after.change.step is not None:
        records.append(StepRecord(after.change.component, after.change.step, now))
    return records


async def _within(seconds: float, step: Step, task: Task) -> Outcome:
    """What the step reports, or Broken when it takes too long.

    A CancelledError that nobody asked for is a bug of the step like any other; one that was asked for passes.
    """
    runner = asyncio.current_task()
    assert runner is not None, "called within a task"
    asked = runner.cancelling()
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            return await step(task)
    except TimeoutError:
        if not deadline.expired():
            raise
        name = task.change.step
        return Broken(Trouble("StepTimeout", f"The step {name} took longer than {seconds:.0f} s and was stopped."))
    except asyncio.CancelledError as error:
        if runner.cancelling() > asked:
            raise
        raise RuntimeError("the step was canceled by something within it") from error
