"""Wait for a task, and show how it goes.

On a terminal a bar with percent, step, note, what it is held up by and the time left; piped, one line for each change.
The task goes on in the service whatever happens here, so a service that is away for a moment (it is being started
again) is waited for, and Ctrl-C stops the watching only. A task that is paused after its canary waits for a person, so
waiting for it ends there, and well.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import click

from addonry.cli.client import NoAnswer, segment
from addonry.cli.errors import Failed, Stopped
from addonry.cli.output import Format, plain, show
from addonry.cli.session import Session

POLL_SECONDS: Final = 0.4
AWAY_SECONDS: Final = 60.0
"""How long a service may be away before we stop waiting for it."""

SUCCESSES: Final = frozenset({"success", "succeeded"})
PAUSED: Final = frozenset({"paused"})
CANCELED: Final = frozenset({"canceled", "cancelled"})
FAILURES: Final = frozenset({"fail", "failed", "error"}) | CANCELED


@dataclass(frozen=True, slots=True)
class Look:
    """How a task stands, in the words that are shown."""

    percent: int
    what: str
    note: str
    stall: str = ""
    """Why it does not get on, in a word."""
    left: float | None = field(default=None, compare=False)
    """Seconds left, as the service judges by past tasks. Two looks that differ in nothing else say the same."""

    @property
    def words(self) -> str:
        """The note, with the reason of a stall where it does not name it itself."""
        named = f"[{self.stall}]" if self.stall and self.stall not in self.note else ""
        return " ".join(part for part in (self.note, named) if part)

    @property
    def line(self) -> str:
        """For a pipe."""
        return " ".join(part for part in (f"{self.percent:3d}%", self.what, self.words) if part)


def read_task(session: Session, task: str) -> dict[str, Any]:
    """The answer of DescribeTaskInfo."""
    answer: dict[str, Any] = session.client.get(f"/tasks/{segment(task)}", action="DescribeTaskInfo")
    return answer


def wait_for(session: Session, task: str, output: Format, *, until: frozenset[str] = SUCCESSES) -> dict[str, Any]:
    """Wait until the task is in one of the states *until* or has ended, and tell how.

    Raises Failed when it ended otherwise, Stopped at Ctrl-C. Who waits for success is told when a canary is paused.
    """

    def is_there(told: Mapping[str, Any]) -> bool:
        return told["state"] in until or (until is SUCCESSES and is_paused_canary(told))

    try:
        told = follow(session, task, quiet=output is not Format.TABLE, until=is_there)
    except KeyboardInterrupt:
        raise Stopped(_goes_on(session, task)) from None
    if output is not Format.TABLE:
        show(told, output, _no_table)
    if not is_there(told):
        raise _failure(session, told, until)
    if output is Format.TABLE:
        for line in _ending(session, told):
            click.echo(plain(line))
    elif told["state"] in PAUSED:
        click.echo(_rests(told), err=True)
    return told


def is_paused_canary(told: Mapping[str, Any]) -> bool:
    """Whether the task waits for a person's word after its first pods; another pause was asked for by somebody."""
    stages = told.get("stages") or ()
    last: Mapping[str, Any] = (stages[-1].get("outputs") or {}) if stages else {}
    return told["state"] in PAUSED and last.get("name") == "canary"


def _ending(session: Session, told: Mapping[str, Any]) -> list[str]:
    if told["state"] in PAUSED:
        return [_rests(told)]
    if told["state"] in CANCELED:
        return [f"Task {told['task_id']} is canceled. {_what_runs(session, told)}".rstrip()]
    return [_result(each, str(told["task_type"])) for each in told.get("task_result") or ()]


def _result(each: Mapping[str, Any], task_type: str) -> str:
    name, before, after = each["data"], each.get("from_version"), each.get("to_version")
    match task_type:
        case "cluster_addon_uninstall":
            return f"{name} {before} uninstalled"
        case "cluster_addon_modify":
            return f"{name} {before} configured"
        case _:
            return f"{name} {before or 'installed'} -> {after}"


def _rests(told: Mapping[str, Any]) -> str:
    task = told["task_id"]
    why = " after the first pods" if is_paused_canary(told) else ""
    return f"Task {task} is paused{why}: `addonry resume {task}` goes on, `addonry cancel {task}` goes back."


def tell_how_to_follow(session: Session, task: str) -> None:
    """One line on stderr for those who do not wait."""
    click.echo(_goes_on(session, task), err=True)


def look_at(told: Mapping[str, Any]) -> Look:
    """What to show of an answer."""
    now: Mapping[str, Any] = next((each for each in told.get("task_result") or () if each.get("stage")), {})
    asked = f"(asked to {told['wish']})" if told.get("wish") else ""
    paused = "paused" if told["state"] in PAUSED else ""
    words = (str(now.get("data", "")), str(told.get("current_stage") or ""), paused, asked)
    left = told.get("seconds_left")
    return Look(
        percent=int(told.get("percent") or 0),
        what=plain(" ".join(word for word in words if word)),
        note=plain(str(now.get("note") or "")),
        stall=plain(str(now.get("stall") or "")),
        left=None if left is None else float(left),
    )


def length_of(seconds: float) -> str:
    """A length of time for people: ``about 40 s``, ``about 3 min``."""
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"


def guess_remaining(elapsed: float, percent: int, *, since: int = 0) -> float | None:
    """Seconds left if it goes on as it went, or None while that says nothing.

    *since* is the percentage that was reached when *elapsed* began: a task may be looked at half-way.
    """
    if percent - since <= 5 or percent >= 100 or elapsed <= 0:
        return None
    return elapsed * (100 - percent) / (percent - since)


def _goes_on(session: Session, task: str) -> str:
    follow = f"follow it with `addonry tasks show {task} --wait`, end it with `addonry cancel {task}`."
    if session.is_embedded:
        return f"Task {task} goes on when a service runs (`addonry serve`); {follow}"
    return f"Task {task} goes on in the service; {follow}"


def _no_table() -> Any:
    raise AssertionError("other formats only")


def follow(
    session: Session, task: str, *, quiet: bool = False, until: Callable[[dict[str, Any]], bool] = lambda _: False
) -> dict[str, Any]:
    """Show how a task goes until it has ended or *until* says so; its last answer. Raises Failed when none comes."""
    with _display(quiet=quiet) as display:
        began = time.monotonic()
        while True:
            told = _read_patiently(session, task)
            display.show(look_at(told), time.monotonic() - began)
            if told["state"] in SUCCESSES | FAILURES or until(told):
                return told
            time.sleep(POLL_SECONDS)


def _read_patiently(session: Session, task: str) -> dict[str, Any]:
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        try:
            return read_task(session, task)
        except NoAnswer as error:
            if session.is_embedded or time.monotonic() > deadline:
                raise Failed(error.message, remedy=_goes_on(session, task)) from error
            time.sleep(1.0)


def _failure(session: Session, told: Mapping[str, Any], until: frozenset[str]) -> Failed:
    if told["state"] in SUCCESSES:
        return Failed(f"Task {told['task_id']} ended well before it could be {next(iter(sorted(until)))}.")
    error = told.get("error") or {}
    results = list(told.get("task_result") or ())
    broken: Mapping[str, Any] = next((each for each in results if (each.get("error") or {}).get("code")), {})
    message = error.get("message") or f"Task {told['task_id']} ended as {told['state']}."
    code = f" ({error['code']})" if error.get("code") else ""
    remedy = (broken.get("error") or {}).get("remedy", "")
    # The published message has the remedy in it already.
    remedy = "" if remedy and remedy in message else remedy
    return Failed(f"{message}{code}", remedy=" ".join(part for part in (remedy, _what_runs(session, told)) if part))


def _what_runs(session: Session, told: Mapping[str, Any]) -> str:
    """What runs now of the components that were to change."""
    path = f"/clusters/{segment(str(told['cluster_id']))}/addon_instances"
    try:
        addons = session.client.get(path, action="ListClusterAddonInstances").get("addons") or ()
    except Failed:
        return ""
    running = {each["name"]: each["version"] for each in addons}
    told_of = [
        f"{each['data']} {running[each['data']]}" if each["data"] in running else f"{each['data']} is not installed"
        for each in told.get("task_result") or ()
    ]
    return f"Running now: {', '.join(told_of)}." if told_of else ""


class _Display(Protocol):
    def show(self, look: Look, elapsed: float) -> None: ...


class _Silence:
    def show(self, look: Look, elapsed: float) -> None:
        """Show nothing."""


class _Lines:
    def __init__(self) -> None:
        self._before: Look | None = None

    def show(self, look: Look, elapsed: float) -> None:  # noqa: ARG002 - the display's signature
        """One line, if something has changed."""
        if look != self._before:
            click.echo(look.line)
            self._before = look


class _Bar:
    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._bar = progress.add_task("", total=100, left="", note="")
        self._first: int | None = None

    def show(self, look: Look, elapsed: float) -> None:
        """Move the bar."""
        if self._first is None:
            self._first = look.percent
        # The service knows past tasks; where it knows none, the speed so far has to do.
        left = look.left
        if left is None:
            left = guess_remaining(elapsed, look.percent, since=self._first)
        told = "" if left is None else f"{length_of(left)} left"
        self._progress.update(self._bar, completed=look.percent, description=look.what, left=told, note=look.words)


@contextmanager
def _display(*, quiet: bool) -> Iterator[_Display]:
    if quiet:
        yield _Silence()
    elif not sys.stdout.isatty():
        yield _Lines()
    else:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        # Only the note gives way on a narrow terminal.
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=24)),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%", table_column=Column(no_wrap=True, min_width=4)),
            TextColumn("{task.fields[left]}", markup=False, table_column=Column(no_wrap=True, min_width=15)),
            TextColumn("{task.fields[note]}", markup=False, style="dim", table_column=Column(ratio=1, no_wrap=True)),
        )
        with Progress(*columns, expand=True) as progress:
            yield _Bar(progress)
