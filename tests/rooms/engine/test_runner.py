"""The runner, on a real store and without the queue: what becomes of a step, and of a worker that dies anywhere."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from addonry.engine import Step, TaskLog
from addonry.engine.runner import Clockwork, Limits, drive
from addonry.model.errors import ClusterUnreachable, HelmFailed, StoreUnavailable
from addonry.model.ids import TaskId
from addonry.model.tasks import (
    Again,
    Broken,
    Done,
    Event,
    Outcome,
    Snapshot,
    Status,
    StepName,
    StepRecord,
    Task,
    Trouble,
)
from addonry.rules.planning import BACK, FORWARD
from addonry.store import Store, StoreSettings, open_store
from tests.builders import NOW, a_change, a_cluster, a_task

KEY = "k" * 43
TROUBLE = Trouble("ImagePullBackOff", "The image cannot be pulled.")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(StoreSettings(f"sqlite:///{tmp_path / 'addonry.sqlite'}", None, KEY))
    await opened.add_cluster(a_cluster(), "kubeconfig")
    yield opened
    await opened.close()


@dataclass
class Time:
    """A clock that moves when somebody sleeps, and by a millisecond at each look."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        self.passed += 0.001
        return NOW + timedelta(seconds=self.passed)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds
        await asyncio.sleep(0)

    def work(self) -> Clockwork:
        return Clockwork(now=self.now, elapsed=lambda: self.passed, sleep=self.sleep, dice=lambda: 0.5)


@dataclass
class Journal:
    """Steps that write down when they begin and end, and do what a test asks of one of them."""

    lines: list[str] = field(default_factory=list)
    does: dict[StepName, Callable[[], Outcome | Awaitable[Outcome]]] = field(default_factory=dict)

    def steps(self) -> dict[StepName, Step]:
        return {name: self._step(name) for name in StepName}

    def _step(self, name: StepName) -> Step:
        async def run(task: Task) -> Outcome:
            assert task.change.step is name
            self.lines.append(f"begin {task.change.component} {name}")
            outcome = self.does.get(name, Done)()
            if isinstance(outcome, Awaitable):
                outcome = await outcome
            self.lines.append(f"end {task.change.component} {name}")
            return outcome

        return run

    def ended(self) -> list[str]:
        return [line.split()[-1] for line in self.lines if line.startswith("end")]


def raising(error: BaseException) -> Callable[[], Outcome]:
    def fail() -> Outcome:
        raise error

    return fail


def in_turn(*outcomes: Outcome | BaseException) -> Callable[[], Outcome]:
    waiting = list(outcomes)

    def take() -> Outcome:
        outcome = waiting.pop(0) if waiting else Done()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return take


async def submit(store: Store, task: Task | None = None) -> TaskId:
    task = task or a_task()
    await store.submit(task, [], lambda _connection: None)
    return task.id


async def run(
    store: TaskLog, journal: Journal, *, limits: Limits | None = None, time: Time | None = None, claim: str = "a"
) -> None:
    await drive(
        a_task().id,
        run=1,
        claim=claim,
        log=store,
        steps=journal.steps(),
        limits=limits or Limits(),
        clock=(time or Time()).work(),
    )


class TestTheUsualWay:
    async def test_a_task_runs_its_plan_in_order_and_succeeds(self, store: Store) -> None:
        journal = Journal(does={StepName.SNAPSHOT: lambda: Done("revision 4", Snapshot(4))})
        await run_submitted(store, journal)
        task = await store.task(a_task().id)
        assert task.status is Status.SUCCESS
        assert journal.ended() == list(FORWARD)
        assert task.change.snapshot == Snapshot(4)
        assert task.change.percent == 100

    async def test_the_history_has_each_step_once_with_its_times(self, store: Store) -> None:
        await run_submitted(store, Journal(does={StepName.FETCH: lambda: Done("sha256:1234")}))
        records = await store.steps(a_task().id)
        assert [record.step for record in records] == list(FORWARD)
        assert all(record.ok and record.finished_at and record.started_at < record.finished_at for record in records)
        assert records[1].message == "sha256:1234"
        reasons = [event.reason for event in (await store.events(task=a_task().id))[0]]
        assert reasons == ["Succeeded", "Started"]

    async def test_changes_run_one_after_the_other(self, store: Store) -> None:
        journal = Journal()
        await run_submitted(store, journal, a_task(a_change("a"), a_change("b")))
        components = [line.split()[1] for line in journal.lines if line.startswith("end")]
        assert components == ["a"] * len(FORWARD) + ["b"] * len(FORWARD)

    async def test_a_step_sees_that_it_was_begun_before_it_runs(self, store: Store) -> None:
        """Steps measure their patience by the moment the record was opened, across restarts."""
        seen: list[tuple[StepRecord, ...]] = []

        async def look() -> Outcome:
            seen.append(await store.steps(a_task().id))
            return Done()

        await run_submitted(store, Journal(does={StepName.PREFLIGHT: look, StepName.ROLLOUT: look}))
        assert [records[-1].step for records in seen] == [StepName.PREFLIGHT, StepName.ROLLOUT]
        assert all(records[-1].finished_at is None for records in seen)

    async def test_progress_is_saved_when_there_is_something_new_to_show(self, store: Store) -> None:
        counting = Counting(store)
        again = Again(1.0, "1 of 2", percent=50)
        journal = Journal(does={StepName.ROLLOUT: in_turn(again, again, again, Again(0.0, "2 of 2", percent=90))})
        time = Time()
        await submit(store)
        await run(counting, journal, time=time)
        assert counting.saves == 1 + len(FORWARD) + 2
        assert time.slept == [1.0, 1.0, 1.0, 0.0]

    async def test_a_run_that_is_superseded_does_nothing(self, store: Store) -> None:
        await submit(store)
        assert await store.requeue([(a_task().id, 1, a_task().cluster)], enqueue=lambda *_: None) == 1
        journal = Journal()
        await run(store, journal)
        assert journal.lines == []
        assert (await store.task(a_task().id)).status is Status.QUEUED


class TestTrouble:
    async def test_an_error_of_the_domain_breaks_the_step_with_its_remedy(self, store: Store) -> None:
        journal = Journal(does={StepName.RENDER: raising(HelmFailed("no such chart", remedy="Look."))})
        await run_submitted(store, journal)
        task = await store.task(a_task().id)
        assert (task.status, task.trouble) == (Status.FAILED, Trouble("HelmFailed", "no such chart", "Look."))
        assert StepName.ROLLBACK not in journal.ended()
        last = (await store.steps(task.id))[-1]
        assert (last.step, last.ok, last.message) == (StepName.RENDER, False, "no such chart")

    async def test_a_break_after_apply_is_rolled_back(self, store: Store) -> None:
        journal = Journal(does={StepName.ROLLOUT: lambda: Broken(TROUBLE)})
        await run_submitted(store, journal)
        task = await store.task(a_task().id)
        assert (task.status, task.trouble) == (Status.FAILED, TROUBLE)
        assert journal.ended() == [*FORWARD[:8], *BACK]
        records = {record.step: record.ok for record in await store.steps(task.id)}
        assert records[StepName.ROLLOUT] is False
        assert records[StepName.ROLLBACK] is True

    async def test_a_silent_cluster_is_asked_again_ever_less_often(self, store: Store) -> None:
        silent = [ClusterUnreachable("no route")] * 7
        time = Time()
        await run_submitted(store, Journal(does={StepName.APPLY: in_turn(*silent)}), time=time)
        assert (await store.task(a_task().id)).status is Status.SUCCESS
        assert time.slept == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]

    async def test_a_cluster_that_stays_silent_fails_the_step(self, store: Store) -> None:
        journal = Journal(does={StepName.FETCH: raising(ClusterUnreachable("no route"))})
        time = Time()
        await run_submitted(store, journal, time=time, limits=Limits(unreachable_seconds=60))
        task = await store.task(a_task().id)
        assert task.status is Status.FAILED
        assert task.trouble
        assert task.trouble.code == "ClusterUnreachable"
        assert "60 s: no route" in task.trouble.message
        assert 60 <= time.passed < 80

    async def test_an_answer_in_between_gives_the_cluster_all_its_time_again(self, store: Store) -> None:
        turns = [ClusterUnreachable("x"), ClusterUnreachable("x"), Again(50.0, "moving"), ClusterUnreachable("x")]
        journal = Journal(does={StepName.ROLLOUT: in_turn(*turns, *turns)})
        await run_submitted(store, journal, limits=Limits(unreachable_seconds=30))
        assert (await store.task(a_task().id)).status is Status.SUCCESS

    async def test_a_bug_is_tried_again_and_then_told_without_its_words(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        journal = Journal(does={StepName.RENDER: raising(ValueError("token=hunter2"))})
        with caplog.at_level(logging.ERROR):
            await run_submitted(store, journal, limits=Limits(bug_limit=3))
        task = await store.task(a_task().id)
        assert task.trouble
        assert task.trouble.code == "InternalError"
        assert "hunter2" not in repr(task)
        assert sum(line == "begin coredns render" for line in journal.lines) == 3
        assert len(caplog.records) == 3
        assert all(record.exc_info for record in caplog.records)

    async def test_a_step_that_takes_too_long_is_stopped(self, store: Store) -> None:
        async def hang() -> Outcome:
            await asyncio.Event().wait()
            return Done()

        await run_submitted(store, Journal(does={StepName.DRY_RUN: hang}), limits=Limits(step_seconds=0.01))
        task = await store.task(a_task().id)
        assert task.trouble
        assert task.trouble.code == "StepTimeout"

    async def test_a_timeout_from_within_a_step_is_not_taken_for_ours(self, store: Store) -> None:
        await run_submitted(store, Journal(does={StepName.FETCH: in_turn(TimeoutError())}))
        assert (await store.task(a_task().id)).status is Status.SUCCESS

    async def test_a_cancellation_nobody_asked_for_is_a_bug_of_the_step(self, store: Store) -> None:
        await run_submitted(store, Journal(does={StepName.FETCH: in_turn(asyncio.CancelledError())}))
        assert (await store.task(a_task().id)).status is Status.SUCCESS

    async def test_a_planned_stop_passes_through_and_leaves_the_task_where_it_was(self, store: Store) -> None:
        begun = asyncio.Event()

        async def hang() -> Outcome:
            begun.set()
            await asyncio.Event().wait()
            return Done()

        await submit(store)
        driving = asyncio.create_task(run(store, Journal(does={StepName.ROLLOUT: hang})))
        await begun.wait()
        driving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await driving
        task = await store.task(a_task().id)
        assert (task.status, task.change.step) == (Status.RUNNING, StepName.ROLLOUT)

    async def test_a_database_that_cannot_be_written_is_the_queues_business(self, store: Store) -> None:
        journal = Journal(does={StepName.FETCH: in_turn(StoreUnavailable("disk full"))})
        await submit(store)
        with pytest.raises(StoreUnavailable):
            await run(store, journal)
        assert (await store.task(a_task().id)).status is Status.RUNNING
        await run(store, journal)
        assert (await store.task(a_task().id)).status is Status.SUCCESS
        assert (await store.task(a_task().id)).crashes == 0


class TestOwnership:
    async def test_a_worker_whose_task_was_taken_over_stops(self, store: Store) -> None:
        """A worker that was frozen wakes up and must not write over the one that took its task."""
        second = Journal()

        async def be_overtaken() -> Outcome:
            await run(store, second, claim="b")
            return Broken(TROUBLE)

        first = Journal(does={StepName.FETCH: be_overtaken})
        await submit(store)
        await run(store, first, claim="a")
        task = await store.task(a_task().id)
        assert (task.status, task.trouble) == (Status.SUCCESS, None)
        assert first.ended() == [StepName.PREFLIGHT, StepName.FETCH]
        assert second.ended() == list(FORWARD[1:])

    async def test_a_save_whose_answer_was_lost_is_not_done_twice(self, store: Store) -> None:
        forgetful = Forgetful(store)
        journal = Journal()
        await submit(store)
        await run(forgetful, journal)
        assert (await store.task(a_task().id)).status is Status.SUCCESS
        assert journal.ended() == list(FORWARD)
        assert (await store.events(task=a_task().id))[1] == 2


class TestCrashes:
    async def test_a_step_that_kills_its_worker_again_and_again_is_given_up(self, store: Store) -> None:
        await submit(store)
        attempts = await die_until_done(store, {StepName.RENDER}, limit=3)
        task = await store.task(a_task().id)
        assert attempts == 4
        assert task.trouble
        assert (task.status, task.trouble.code) == (Status.FAILED, "WorkerCrashed")
        assert (await store.steps(task.id))[-1].ok is False

    async def test_a_poisonous_rollout_is_rolled_back(self, store: Store) -> None:
        await submit(store)
        await die_until_done(store, {StepName.ROLLOUT}, limit=3)
        task = await store.task(a_task().id)
        assert task.status is Status.FAILED
        assert [record.step for record in await store.steps(task.id) if record.ok] == [*FORWARD[:7], *BACK]

    async def test_even_a_poisonous_way_back_ends(self, store: Store) -> None:
        await submit(store)
        await die_until_done(store, {StepName.ROLLOUT, StepName.ROLLBACK}, limit=3)
        task = await store.task(a_task().id)
        assert task.trouble
        assert (task.status, task.trouble.code) == (Status.FAILED, "RollbackFailed")

    @pytest.mark.parametrize("story", ["succeeds", "fails after apply"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_a_worker_that_dies_at_any_save_is_replaced_without_loss(
        self, store: Store, story: str, moment: str
    ) -> None:
        """Dies before and after each save of the task's life; another worker finishes it."""
        does = {StepName.VERIFY: lambda: Broken(TROUBLE)} if story != "succeeds" else {}
        expected = [*FORWARD, *BACK] if does else list(FORWARD)
        for point in range(1, 40):
            task = a_task(id=TaskId(f"T-{point}"))
            await store.submit(task, [], lambda _connection: None)
            journal = Journal(does=dict(does))
            dying = Dying(store, at=point, moment=moment)
            with_died = await die_once(dying, journal, task.id)
            await drive_as(store, journal, task.id, claim="second")
            ended = await store.task(task.id)
            assert ended.status is (Status.FAILED if does else Status.SUCCESS)
            records = await store.steps(task.id)
            assert [record.step for record in records] == expected
            assert all(record.finished_at for record in records)
            told = journal.ended()
            assert list(dict.fromkeys(told)) == expected
            repeated = len(told) - len(expected)
            assert repeated <= (1 if moment == "before" else 0)
            reasons = [event.reason for event in (await store.events(task=task.id))[0]]
            assert len(reasons) == len(set(reasons)) == (3 if does else 2)
            if not with_died:
                assert point == 1 + len(expected) + 1
                return
        pytest.fail("the task never ended without a crash")


class Died(BaseException):
    """The process is gone: nothing below may handle it."""


async def run_submitted(
    store: Store,
    journal: Journal,
    task: Task | None = None,
    *,
    limits: Limits | None = None,
    time: Time | None = None,
) -> None:
    await submit(store, task)
    await run(store, journal, limits=limits, time=time)


async def drive_as(store: TaskLog, journal: Journal, task: TaskId, *, claim: str) -> None:
    steps, clock = journal.steps(), Time().work()
    await drive(task, run=1, claim=claim, log=store, steps=steps, limits=Limits(), clock=clock)


async def die_once(log: TaskLog, journal: Journal, task: TaskId) -> bool:
    try:
        await drive_as(log, journal, task, claim="first")
    except Died:
        return True
    return False


async def die_until_done(store: Store, poison: set[StepName], *, limit: int) -> int:
    """How many workers died of the poisonous steps before the task ended."""
    for attempt in range(30):
        journal = Journal(does={step: raising(Died()) for step in poison})
        try:
            await run(store, journal, limits=Limits(crash_limit=limit), claim=f"worker-{attempt}")
        except Died:
            continue
        return attempt
    pytest.fail("the task never ended")


@dataclass
class Wrapped:
    """A store that passes everything on; its children harm one call."""

    inner: Store

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@dataclass
class Counting(Wrapped):
    saves: int = 0

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        self.saves += 1
        return await self.inner.save(task, claim=claim, events=events, steps=steps)


@dataclass
class Forgetful(Wrapped):
    """Every save is done, and looks as if it had not been."""

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        assert await self.inner.save(task, claim=claim, events=events, steps=steps)
        return await self.inner.save(replace(task, revision=task.revision), claim=claim, events=events, steps=steps)


@dataclass
class Dying(Wrapped):
    """The process ends before or after the save of this number."""

    at: int = 0
    moment: str = "before"
    saves: int = 0

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        self.saves += 1
        if self.saves == self.at and self.moment == "before":
            raise Died
        saved = await self.inner.save(task, claim=claim, events=events, steps=steps)
        if self.saves == self.at:
            raise Died
        return saved
