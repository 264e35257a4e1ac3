"""How a task moves: one table of statuses and edges, one function that walks it, and what follows a step or a wish.

The engine asks ``begin`` when it has claimed a task, ``grant`` before each step, ``after_step`` after it and
``after_crashes`` for a task that keeps killing its worker. People ask ``pause``, ``resume`` and ``cancel``. All are
pure: a moment in, the next value of the task out. Nothing else writes a status.
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
    StepName,
    Task,
    TaskKind,
    Trouble,
    Wish,
)
from addonry.rules.planning import BACK, HOLDING, MOVING, NO_RETURN, has_touched, is_going_back, percent_done


class Move(StrEnum):
    """The edges of the table."""

    BEGIN = "begin"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    FAIL = "fail"
    CANCEL = "cancel"


TRANSITIONS: Final[Mapping[Status, Mapping[Move, Status]]] = {
    Status.QUEUED: {
        Move.BEGIN: Status.RUNNING,
        Move.PAUSE: Status.PAUSED,
        Move.FAIL: Status.FAILED,
        Move.CANCEL: Status.CANCELED,
    },
    Status.RUNNING: {
        Move.BEGIN: Status.RUNNING,
        Move.PAUSE: Status.PAUSED,
        Move.FINISH: Status.SUCCESS,
        Move.FAIL: Status.FAILED,
        Move.CANCEL: Status.CANCELED,
    },
    Status.PAUSED: {Move.RESUME: Status.QUEUED, Move.CANCEL: Status.CANCELED},
    Status.SUCCESS: {},
    Status.FAILED: {},
    Status.CANCELED: {},
}
"""RUNNING begins again when the worker that ran it died and another claims it. A task that is canceled after *apply*
goes back first, RUNNING, or QUEUED for that from PAUSED, and is CANCELED at the end of the way."""

ROLLBACK_FAILED: Final = "RollbackFailed"
"""The trouble of a change whose way back broke as well: the component needs a look."""


def move(task: Task, how: Move, *, now: datetime) -> Task:
    """The task after *how*; an edge missing from the table raises IllegalMove and changes nothing."""
    try:
        status = TRANSITIONS[task.status][how]
    except KeyError:
        raise IllegalMove(task.id, task.status, how) from None
    # A wish ends with the status it was asked in.
    wish = task.wish if how is Move.BEGIN else None
    return replace(task, status=status, wish=wish, updated_at=now, finished_at=None if status in LIVE else now)


# What the engine asks


def begin(task: Task, *, now: datetime) -> Task:
    """The task once a worker has claimed it: running, its present change running."""
    change = task.change
    if change.status is Status.QUEUED:
        task = _with_change(task, replace(change, status=Status.RUNNING, started_at=change.started_at or now))
    return move(task, Move.BEGIN, now=now)


def grant(task: Task, *, now: datetime) -> Task:
    """The running task with its wish granted where it stands, between two calls of steps; itself when it has none.

    A pause where pods move takes two steps more: one that holds them, before the pause, and one that lets them go,
    after it. A cancel where the component may have changed leads onto the way back.
    """
    change = task.change
    match task.wish:
        case None:
            return task
        case Wish.CANCEL:
            return _cancel_here(task, now=now)
        case Wish.PAUSE if change.step == StepName.HOLD or is_going_back(change):
            return task
        case Wish.PAUSE if change.step in MOVING:
            plan = (*change.plan[: change.position], *HOLDING, *change.plan[change.position :])
            return _with_change(replace(task, updated_at=now), replace(change, plan=plan, note="holding the rollout"))
        case Wish.PAUSE:
            return _pause_here(task, now=now)
        case _:
            assert_never(task.wish)


def after_step(task: Task, outcome: Outcome, *, now: datetime) -> Task:
    """The task after its present step reported *outcome*.

    A step that breaks once the component may have been changed leads onto the way back, and the change ends
    FAILED when that is walked. The changes after a failed one are not begun and fail with it. A *canary* that is done
    pauses the task.
    """
    change = task.change
    match outcome:
        case Again():
            within = 0 if outcome.percent is None else outcome.percent
            # Never backwards: a step that is repeated after a crash begins at nothing and would undo what was shown.
            percent = max(change.percent, percent_done(change.plan, change.position, within))
            return _with_change(
                replace(task, updated_at=now), replace(change, note=outcome.note, stall=outcome.stall, percent=percent)
            )
        case Done():
            done = change.step
            change = replace(
                change,
                position=change.position + 1,
                # What the step has to say stands in its record; the note tells of the step that runs.
                note="",
                stall="",
                snapshot=outcome.snapshot or change.snapshot,
                remarks=(*change.remarks, *(each for each in outcome.remarks if each not in change.remarks)),
                percent=max(change.percent, percent_done(change.plan, change.position + 1)),
            )
            # A step that was carried out is progress: crashes count in a row only.
            task = replace(task, updated_at=now, crashes=0)
            if change.step is None:
                return _end_change(task, change, now=now)
            task = _with_change(task, change)
            if done == StepName.CANARY and task.wish is not Wish.CANCEL:
                return _pause_here(task, now=now)
            return grant(task, now=now)
        case Broken():
            if has_touched(change) and not is_going_back(change):
                # A wish for the way forward has come to nothing.
                back = replace(task, updated_at=now, crashes=0, wish=None)
                return _with_change(back, _turn_back(change, outcome.trouble))
            return _end_change(task, replace(change, trouble=_both(task, outcome.trouble)), now=now)
        case _:
            assert_never(outcome)


def after_crashes(task: Task, trouble: Trouble, *, now: datetime) -> Task:
    """The task once its present step has killed its worker too often.

    Before *apply*, and on the way back, it ends FAILED without another step. From *apply* on the component may be half
    changed, so it goes onto the way back first, once; that gets as many tries of its own.
    """
    return after_step(task, Broken(trouble), now=now)


# What people ask


def pause(task: Task, *, now: datetime) -> Task:
    """The task once a pause was asked for: a queued one is paused, a running one wishes it. Itself when it is or does
    already. Raises IllegalMove when it has ended, goes back, is being canceled or is past the point of no return.
    """
    if task.status is Status.PAUSED:
        return task
    if task.status is Status.RUNNING:
        if task.wish is Wish.CANCEL:
            raise IllegalMove(task.id, "being canceled", Move.PAUSE)
        if task.change.step in NO_RETURN:
            raise IllegalMove(task.id, "past its point of no return", Move.PAUSE)
    if task.status in LIVE and is_going_back(task.change):
        raise IllegalMove(task.id, "going back to what was there", Move.PAUSE)
    if task.status is Status.RUNNING:
        return task if task.wish is Wish.PAUSE else replace(task, wish=Wish.PAUSE, updated_at=now)
    return _pause_here(task, now=now)


def resume(task: Task, *, now: datetime) -> Task:
    """The task once it was told to go on: a paused one waits for a worker under its next ``run``, a wish to pause is
    withdrawn. Itself when it goes on anyway. Raises IllegalMove when it has ended or is being canceled.
    """
    if task.status is Status.PAUSED:
        task = replace(move(task, Move.RESUME, now=now), run=task.run + 1)
        return _with_change(task, replace(task.change, status=Status.QUEUED))
    if task.status not in LIVE:
        raise IllegalMove(task.id, task.status, Move.RESUME)
    if task.wish is Wish.CANCEL:
        raise IllegalMove(task.id, "being canceled", Move.RESUME)
    return replace(task, wish=None, updated_at=now) if task.wish is Wish.PAUSE else task


def cancel(task: Task, *, now: datetime) -> Task:
    """The task once a cancel was asked for.

    Ended at once when it waits and its component has not been touched; on its way back (under its next ``run`` if it
    was paused) when it has; a running one wishes it. Itself when it is being canceled or goes back already: that is
    what a cancel would do. Raises IllegalMove when it has ended otherwise, and past the point of no return.
    """
    if task.status is Status.CANCELED or task.wish is Wish.CANCEL:
        return task
    if task.status not in LIVE:
        raise IllegalMove(task.id, task.status, Move.CANCEL)
    if is_going_back(task.change):
        return task
    if task.change.step in NO_RETURN and task.status is Status.RUNNING:
        raise IllegalMove(task.id, "past its point of no return", Move.CANCEL)
    if task.status is Status.RUNNING:
        return replace(task, wish=Wish.CANCEL, updated_at=now)
    if not has_touched(task.change):
        return _cancel_here(task, now=now)
    if task.status is Status.PAUSED:
        task = resume(task, now=now)
    return _cancel_here(task, now=now)


def events_of(before: Task, after: Task, *, now: datetime) -> tuple[Event, ...]:
    """What the move from *before* to *after* tells the world; empty for progress within a change."""
    told: list[Event] = []
    if after.wish is not None and after.wish is not before.wish:
        message = f"Asked to {after.wish} the task while it runs"
        told.append(_event(after, after.change, f"{after.wish.capitalize()}Asked", message, now))
    for old, new in zip(before.changes, after.changes, strict=True):
        words = words_of(new)
        if old.started_at is None and new.started_at is not None:
            told.append(_event(after, new, "Started", f"Start to {words}", now))
        if not is_going_back(old) and is_going_back(new):
            told.append(_event(after, new, "RollingBack", _why_back(new), now, EventLevel.WARNING))
        if old.status is not new.status:
            told += _moved(after, old, new, words, now)
        elif new.stall and new.stall != old.stall:
            told.append(_event(after, new, "Stalled", new.note, now, EventLevel.WARNING))
    return tuple(told)


def diagram() -> str:
    """The table as a Mermaid state diagram, for ``docs/internals/tasks.md`` (a test compares)."""
    edges = [(status, how, to) for status, row in TRANSITIONS.items() for how, to in row.items()]
    lines = [f"    [*] --> {Status.QUEUED}"]
    lines += [f"    {status} --> {to}: {how}" for status, how, to in edges]
    lines += [f"    {status} --> [*]" for status in TRANSITIONS if status not in LIVE]
    return "\n".join(["stateDiagram-v2", *lines])


def _pause_here(task: Task, *, now: datetime) -> Task:
    return _with_change(move(task, Move.PAUSE, now=now), replace(task.change, status=Status.PAUSED))


def _cancel_here(task: Task, *, now: datetime) -> Task:
    change = task.change
    task = replace(task, canceled=True, wish=None, updated_at=now)
    if has_touched(change):
        return _with_change(replace(task, crashes=0), _turn_back(change, None))
    return _end_change(task, change, now=now)


def _turn_back(change: Change, trouble: Trouble | None) -> Change:
    done = change.plan[: change.position + 1]
    plan = (*done, *BACK)
    # The plan has become another one, so the share that is done begins anew.
    percent = percent_done(plan, len(done))
    return replace(change, plan=plan, position=len(done), trouble=trouble, percent=percent, note="rolling back")


def _both(task: Task, trouble: Trouble) -> Trouble:
    """What to tell of a change that breaks: on the way back both what led there and that it failed as well."""
    change = task.change
    if not is_going_back(change):
        return trouble
    first = change.trouble.message if change.trouble else "The task was canceled."
    return Trouble(ROLLBACK_FAILED, f"{first} Then the way back failed: {trouble.message}", trouble.remedy)


def _end_change(task: Task, change: Change, *, now: datetime) -> Task:
    """The present change has ended, and with it the task or, when it went well, the next change begins."""
    if change.trouble is not None:
        trouble = Trouble("NotBegun", f"Not begun, because {change.component} failed before it.")
        return _end_task(task, replace(change, status=Status.FAILED), trouble, Move.FAIL, now=now)
    if task.canceled:
        return _end_task(task, replace(change, status=Status.CANCELED), None, Move.CANCEL, now=now)
    task = _with_change(task, replace(change, status=Status.SUCCESS, percent=100, finished_at=now))
    if task.current + 1 == len(task.changes):
        return move(task, Move.FINISH, now=now)
    following = replace(task, current=task.current + 1, updated_at=now)
    following = _with_change(following, replace(following.change, status=Status.RUNNING, started_at=now))
    return grant(following, now=now)


def _end_task(task: Task, change: Change, unbegun: Trouble | None, how: Move, *, now: datetime) -> Task:
    """Ended with its present change; those after it are not begun and end alike."""
    task = _with_change(task, replace(change, finished_at=now))
    rest = (
        replace(each, status=change.status, finished_at=now, trouble=unbegun)
        for each in task.changes[task.current + 1 :]
    )
    return move(replace(task, changes=(*task.changes[: task.current + 1], *rest)), how, now=now)


def _with_change(task: Task, change: Change) -> Task:
    changes = list(task.changes)
    changes[task.current] = change
    return replace(task, changes=tuple(changes))


# Words of events


def words_of(change: Change) -> str:
    """What a change does, for events and answers."""
    if change.kind is TaskKind.UNINSTALL:
        return f"{change.kind} addon {change.component}"
    return f"{change.kind} addon {change.component} to {change.to_version}"


def _why_back(change: Change) -> str:
    why = change.trouble.message if change.trouble else "the task was canceled."
    return f"Rolling {change.component} back to {change.from_version or 'nothing'}: {why}"


def _moved(task: Task, old: Change, new: Change, words: str, now: datetime) -> list[Event]:
    """The event of a change that took another status."""
    match new.status:
        case Status.PAUSED:
            after = "after its first pods" if StepName.CANARY in old.plan[: new.position] else f"before {new.step}"
            return [_event(task, new, "Paused", f"Paused to {words}, {after}", now)]
        case Status.QUEUED:
            return [_event(task, new, "Resumed", f"Asked to go on with: {words}", now)]
        case Status.SUCCESS:
            return [_event(task, new, "Succeeded", f"Succeeded to {words}", now)]
        case Status.FAILED:
            why = new.trouble.message if new.trouble else "not begun"
            return [_event(task, new, "Failed", f"Failed to {words}: {why}", now, EventLevel.ERROR)]
        case Status.CANCELED:
            return [_event(task, new, "Canceled", f"Canceled to {words}", now, EventLevel.WARNING)]
        case Status.RUNNING:
            return []
        case _:
            assert_never(new.status)


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
