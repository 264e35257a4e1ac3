"""How a task moves: one table of statuses and edges, one function that walks it, and what follows a step.

The engine asks ``begin`` when it has claimed a task, ``after_step`` after each step and ``after_crashes`` for a task
that keeps killing its worker. All are pure: a moment in, the next value of the task out. Nothing else writes a status.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from addonry.model.errors import IllegalMove
from addonry.model.tasks import (
    LIVE,
    Again,
    Broken,
    Change,
    Done,
    Event,
    EventLevel,
    Outcome,
    Status,
    Task,
    Trouble,
)
from addonry.rules.planning import BACK, TOUCHING, percent_done


class Move(StrEnum):
    """The edges of the table."""

    BEGIN = "begin"
    FINISH = "finish"
    FAIL = "fail"


TRANSITIONS: Final[Mapping[Status, Mapping[Move, Status]]] = {
    Status.QUEUED: {Move.BEGIN: Status.RUNNING, Move.FAIL: Status.FAILED},
    Status.RUNNING: {Move.BEGIN: Status.RUNNING, Move.FINISH: Status.SUCCESS, Move.FAIL: Status.FAILED},
    Status.SUCCESS: {},
    Status.FAILED: {},
}
"""RUNNING begins again when the worker that ran it died and another claims it."""

ROLLBACK_FAILED: Final = "RollbackFailed"
"""The trouble of a change whose way back broke as well: the component needs a look."""


def move(task: Task, how: Move, *, now: datetime) -> Task:
    """The task after *how*; an edge missing from the table raises IllegalMove and changes nothing."""
    try:
        status = TRANSITIONS[task.status][how]
    except KeyError:
        raise IllegalMove(task.id, task.status, how) from None
    return replace(task, status=status, updated_at=now, finished_at=None if status in LIVE else now)


def begin(task: Task, *, now: datetime) -> Task:
    """The task once a worker has claimed it: running, its present change running."""
    change = task.change
    if change.status is Status.QUEUED:
        task = _with_change(task, replace(change, status=Status.RUNNING, started_at=now))
    return move(task, Move.BEGIN, now=now)


def after_step(task: Task, outcome: Outcome, *, now: datetime) -> Task:
    """The task after its present step reported *outcome*.

    A step that breaks once the component may have been changed leads onto the way back, and the change ends
    FAILED when that is walked. The changes after a failed one are not begun and fail with it.
    """
    change = task.change
    match outcome:
        case Again():
            within = 0 if outcome.percent is None else outcome.percent
            # Never backwards: a step that is repeated after a crash begins at nothing and would undo what was shown.
            percent = max(change.percent, percent_done(change.plan, change.position, within))
            return _with_change(replace(task, updated_at=now), replace(change, note=outcome.note, percent=percent))
        case Done():
            change = replace(
                change,
                position=change.position + 1,
                # What the step has to say stands in its record; the note tells of the step that runs.
                note="",
                snapshot=outcome.snapshot or change.snapshot,
                percent=max(change.percent, percent_done(change.plan, change.position + 1)),
            )
            # A step that was carried out is progress: crashes count in a row only.
            task = replace(task, updated_at=now, crashes=0)
            if change.step is not None:
                return _with_change(task, change)
            return _end_change(task, change, now=now)
        case Broken():
            if change.step in TOUCHING:
                return _with_change(replace(task, updated_at=now, crashes=0), _turn_back(change, outcome.trouble))
            return _end_change(task, replace(change, trouble=_both(change, outcome.trouble)), now=now)
        case _:
            assert_never(outcome)


def after_crashes(task: Task, trouble: Trouble, *, now: datetime) -> Task:
    """The task once its present step has killed its worker too often.

    Before *apply*, and on the way back, it ends FAILED without another step. From *apply* on the component may be half
    changed, so it goes onto the way back first, once; that gets as many tries of its own.
    """
    return after_step(task, Broken(trouble), now=now)


def events_of(before: Task, after: Task, *, now: datetime) -> tuple[Event, ...]:
    """What the move from *before* to *after* tells the world; empty for progress within a change."""
    told: list[Event] = []
    for old, new in zip(before.changes, after.changes, strict=True):
        if old.status is Status.QUEUED and new.status is Status.RUNNING:
            told.append(_event(after, new, "Started", f"Start to {_words(new)}", now))
        if old.trouble is None and new.trouble is not None and new.status in LIVE:
            message = f"Rolling {new.component} back to {new.from_version or 'nothing'}: {new.trouble.message}"
            told.append(_event(after, new, "RollingBack", message, now, EventLevel.WARNING))
        if old.status in LIVE and new.status is Status.SUCCESS:
            told.append(_event(after, new, "Succeeded", f"Succeeded to {_words(new)}", now))
        if old.status in LIVE and new.status is Status.FAILED:
            why = new.trouble.message if new.trouble else "not begun"
            told.append(_event(after, new, "Failed", f"Failed to {_words(new)}: {why}", now, EventLevel.ERROR))
    return tuple(told)


def diagram() -> str:
    """The table as a Mermaid state diagram, for ``docs/internals/tasks.md`` (a test compares)."""
    edges = [(status, how, to) for status, row in TRANSITIONS.items() for how, to in row.items()]
    lines = [f"    [*] --> {Status.QUEUED}"]
    lines += [f"    {status} --> {to}: {how}" for status, how, to in edges]
    lines += [f"    {status} --> [*]" for status in TRANSITIONS if status not in LIVE]
    return "\n".join(["stateDiagram-v2", *lines])


def _turn_back(change: Change, trouble: Trouble) -> Change:
    done = change.plan[: change.position + 1]
    plan = (*done, *BACK)
    # The plan has become another one, so the share that is done begins anew.
    percent = percent_done(plan, len(done))
    return replace(change, plan=plan, position=len(done), trouble=trouble, percent=percent, note="rolling back")


def _both(change: Change, trouble: Trouble) -> Trouble:
    """What to tell of a change that breaks: on the way back both what led there and that it failed as well."""
    if change.trouble is None:
        return trouble
    return Trouble(
        ROLLBACK_FAILED, f"{change.trouble.message} Then the way back failed: {trouble.message}", trouble.remedy
    )


def _end_change(task: Task, change: Change, *, now: datetime) -> Task:
    failed = change.trouble is not None
    percent = change.percent if failed else 100
    status = Status.FAILED if failed else Status.SUCCESS
    task = _with_change(task, replace(change, status=status, percent=percent, finished_at=now))
    if failed:
        rest = (
            replace(
                each,
                status=Status.FAILED,
                finished_at=now,
                trouble=Trouble("NotBegun", f"Not begun, because {change.component} failed before it."),
            )
            for each in task.changes[task.current + 1 :]
        )
        changes = (*task.changes[: task.current + 1], *rest)
        return move(replace(task, changes=changes), Move.FAIL, now=now)
    if task.current + 1 == len(task.changes):
        return move(task, Move.FINISH, now=now)
    following = replace(task, current=task.current + 1, updated_at=now)
    return _with_change(following, replace(following.change, status=Status.RUNNING, started_at=now))


def _with_change(task: Task, change: Change) -> Task:
    changes = list(task.changes)
    changes[task.current] = change
    return replace(task, changes=tuple(changes))


def _words(change: Change) -> str:
    return f"{change.kind} addon {change.component} to {change.to_version}"


def _event(
    task: Task, change: Change, reason: str, message: str, now: datetime, level: EventLevel = EventLevel.INFO
) -> Event:
    return Event(
        cluster=task.cluster,
        task=task.id,
        component=change.component,
        kind=change.kind,
        reason=reason,
        message=message,
        at=now,
        level=level,
    )
