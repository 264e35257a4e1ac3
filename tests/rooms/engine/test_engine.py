"""The engine's door, with the real queue on a real SQLite file."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from addonry.engine import EngineSettings, Step
from addonry.engine.queue import DbosEngine, real_clock
from addonry.engine.runner import Clockwork
from addonry.model.errors import ComponentBusy, StoreUnavailable
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import LIVE, Broken, Done, Event, Outcome, Status, StepName, StepRecord, Task, Trouble
from addonry.rules.planning import FORWARD
from addonry.store import Store, StoreSettings, open_store
from tests.builders import a_change, a_cluster, a_task

KEY = "k" * 43


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(StoreSettings(url(tmp_path), None, KEY))
    for number in (1, 2):
        await opened.add_cluster(a_cluster(id=ClusterId(f"c{number}"), name=f"prod-{number}"), "kubeconfig")
    yield opened
    await opened.close()


@pytest.fixture
async def open_engine(tmp_path: Path) -> AsyncIterator[Callable[..., DbosEngine]]:
    made: list[DbosEngine] = []

    def make(*, clock: Clockwork | None = None, **given: object) -> DbosEngine:
        settings = EngineSettings(url(tmp_path), poll_seconds=0.02)
        engine = DbosEngine(replace(settings, **given), clock=clock)  # type: ignore[arg-type]
        made.append(engine)
        return engine

    yield make
    for engine in made:
        await engine.stop()


def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'addonry.sqlite'}"


def a_task_of(number: int, cluster: str = "c1") -> Task:
    return a_task(a_change(f"component-{number}"), id=TaskId(f"T-{number}"), cluster=ClusterId(cluster))


def all_do(do: Step) -> dict[StepName, Step]:
    return dict.fromkeys(StepName, do)


async def done(_task: Task) -> Outcome:
    return Done()


async def submit(store: Store, engine: DbosEngine, task: Task) -> None:
    await store.submit(
        task, [], lambda connection: engine.enqueue(connection, task.id, run=task.run, cluster=task.cluster)
    )


async def comes_true(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another thread's work, in a file
            await asyncio.sleep(0.01)


async def ended(store: Store, *tasks: str, seconds: float = 20.0) -> list[Task]:
    """The tasks once they have ended; waits for that, not for a time."""
    async with asyncio.timeout(seconds):
        while True:
            found = [await store.task(TaskId(task)) for task in tasks]
            if not any(task.status in LIVE for task in found):
                return found
            await asyncio.sleep(0.01)


def rows(directory: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(directory / "addonry.sqlite")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


async def test_a_submitted_task_is_carried_out_on_the_loop_of_the_service(store: Store, open_engine) -> None:
    loops = set()

    async def look(_task: Task) -> Outcome:
        loops.add(asyncio.get_running_loop())
        return Done()

    engine = open_engine()
    await engine.start(store, all_do(look))
    await submit(store, engine, a_task_of(1))
    (task,) = await ended(store, "T-1")
    assert (task.status, task.crashes, task.run) == (Status.SUCCESS, 0, 1)
    assert [record.step for record in await store.steps(task.id)] == list(FORWARD)
    assert loops == {asyncio.get_running_loop()}


async def test_a_refused_task_leaves_nothing_in_the_queue(store: Store, open_engine, tmp_path: Path) -> None:
    holding = asyncio.Event()

    async def hold(_task: Task) -> Outcome:
        await holding.wait()
        return Done()

    engine = open_engine()
    await engine.start(store, all_do(hold))
    await submit(store, engine, a_task_of(1))
    with pytest.raises(ComponentBusy):
        await submit(store, engine, replace(a_task_of(1), id=TaskId("T-2")))

    def fail(connection: object) -> None:
        engine.enqueue(connection, TaskId("T-3"), run=1, cluster="c1")
        raise RuntimeError("after the enqueue")

    with pytest.raises(RuntimeError):
        await store.submit(a_task_of(3), [], fail)
    assert rows(tmp_path, "SELECT workflow_uuid FROM workflow_status") == [("T-1:1",)]
    holding.set()
    await ended(store, "T-1")


async def test_a_task_submitted_before_the_start_is_found_by_its_row(store: Store, open_engine) -> None:
    engine = open_engine()
    await submit(store, engine, a_task_of(1))
    await engine.start(store, all_do(done))
    (task,) = await ended(store, "T-1")
    assert (task.status, task.run) == (Status.SUCCESS, 2)


@pytest.mark.parametrize("lanes", [1, 2])
async def test_lanes_bound_the_work_on_one_cluster_and_leave_others_alone(
    store: Store, open_engine, lanes: int
) -> None:
    at_once: dict[str, set[str]] = {"c1": set(), "c2": set()}
    most = {"c1": 0, "c2": 0}
    together = asyncio.Event()

    async def count(task: Task) -> Outcome:
        at_once[task.cluster].add(task.id)
        most[task.cluster] = max(most[task.cluster], len(at_once[task.cluster]))
        # Nobody goes on before as many as may run at once do, or it is known that they never will.
        if len(at_once["c1"]) == lanes and at_once["c2"]:
            together.set()
        await together.wait()
        await asyncio.sleep(0)
        at_once[task.cluster].discard(task.id)
        return Done()

    engine = open_engine(lanes=lanes)
    await engine.start(store, {**all_do(done), StepName.APPLY: count})
    for number in range(4):
        await submit(store, engine, a_task_of(number))
    await submit(store, engine, a_task_of(9, "c2"))
    tasks = await ended(store, "T-0", "T-1", "T-2", "T-3", "T-9")
    assert {task.status for task in tasks} == {Status.SUCCESS}
    assert most == {"c1": lanes, "c2": 1}


async def test_a_planned_stop_waits_for_no_step_and_the_next_start_goes_on(store: Store, open_engine) -> None:
    """A restart must neither wait for a rollout of ten minutes nor count as a crash of its step."""
    begun = asyncio.Event()

    async def hang(_task: Task) -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return Done()

    ran: list[StepName | None] = []

    async def note(task: Task) -> Outcome:
        ran.append(task.change.step)
        return Done()

    first = open_engine()
    await first.start(store, {**all_do(done), StepName.ROLLOUT: hang})
    await submit(store, first, a_task_of(1))
    await begun.wait()
    await first.stop()
    second = open_engine()
    await second.start(store, all_do(note))
    (task,) = await ended(store, "T-1")
    assert (task.status, task.crashes, task.run) == (Status.SUCCESS, 0, 1)
    assert ran == [StepName.ROLLOUT, StepName.VERIFY]


async def test_an_engine_whose_tables_are_lost_is_rebuilt_from_the_rows(
    store: Store, open_engine, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def hang(_task: Task) -> Outcome:
        begun.set()
        await asyncio.Event().wait()
        return Done()

    first = open_engine()
    await first.start(store, {**all_do(done), StepName.RENDER: hang})
    await submit(store, first, a_task_of(1))
    await begun.wait()
    await first.stop()
    connection = sqlite3.connect(tmp_path / "addonry.sqlite")
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    connection.execute("PRAGMA foreign_keys=OFF")
    for name in names:
        if not name.startswith(("addonry_", "sqlite_")):
            connection.execute(f'DROP TABLE "{name}"')
    connection.commit()
    connection.close()
    second = open_engine()
    await second.start(store, all_do(done))
    (task,) = await ended(store, "T-1")
    assert (task.status, task.run) == (Status.SUCCESS, 2)
    assert [record.step for record in await store.steps(task.id)] == list(FORWARD)


async def test_the_queue_keeps_quiet_about_itself(
    store: Store, open_engine, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        engine = open_engine()
        await engine.start(store, all_do(done))
        await submit(store, engine, a_task_of(1))
        await ended(store, "T-1")
        await engine.stop()
    assert [record for record in caplog.records if record.name == "dbos"] == []
    assert capfd.readouterr() == ("", "")


async def test_a_task_outlives_a_database_that_cannot_be_written_for_a_while(store: Store, open_engine) -> None:
    class Ailing:
        refused = 0

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        async def save(
            self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
        ) -> Task | None:
            if task.change.step is StepName.APPLY and self.refused < 2:
                self.refused += 1
                raise StoreUnavailable("database or disk is full")
            return await store.save(task, claim=claim, events=events, steps=steps)

    ailing = Ailing()
    clock = replace(real_clock(), sleep=lambda _seconds: asyncio.sleep(0.01))
    engine = open_engine(clock=clock)
    await engine.start(ailing, all_do(done))
    await submit(store, engine, a_task_of(1))
    (task,) = await ended(store, "T-1")
    assert (task.status, task.run, ailing.refused) == (Status.SUCCESS, 1, 2)
    assert [record.step for record in await store.steps(task.id)] == list(FORWARD)


async def test_a_failed_task_frees_its_lane(store: Store, open_engine) -> None:
    async def fail(task: Task) -> Outcome:
        return Broken(Trouble("No", "no")) if task.id == "T-1" else Done()

    engine = open_engine(lanes=1)
    await engine.start(store, all_do(fail))
    await submit(store, engine, a_task_of(1))
    await submit(store, engine, a_task_of(2))
    tasks = await ended(store, "T-1", "T-2")
    assert [task.status for task in tasks] == [Status.FAILED, Status.SUCCESS]


async def test_finished_runs_are_forgotten_and_tasks_are_not(store: Store, open_engine, tmp_path: Path) -> None:
    now = [datetime.now(UTC)]
    engine = open_engine(clock=replace(real_clock(), now=lambda: now[0]))
    await engine.start(store, all_do(done))
    await submit(store, engine, a_task_of(1))
    await ended(store, "T-1")
    await comes_true(lambda: rows(tmp_path, "SELECT status FROM workflow_status") == [("SUCCESS",)])
    engine._forget_finished()
    assert len(rows(tmp_path, "SELECT 1 FROM workflow_status")) == 1
    now[0] += timedelta(hours=2)
    await asyncio.to_thread(engine._forget_finished)
    assert rows(tmp_path, "SELECT 1 FROM workflow_status") == []
    assert (await store.task(TaskId("T-1"))).status is Status.SUCCESS


@pytest.mark.slow
async def test_a_task_is_carried_out_on_postgresql_too(postgres_url: str) -> None:
    store = open_store(StoreSettings(postgres_url, None, KEY))
    engine = DbosEngine(EngineSettings(postgres_url, poll_seconds=0.02), roll=store.roll)
    try:
        await store.add_cluster(a_cluster(id=ClusterId("c1")), "kubeconfig")
        await engine.start(store, all_do(done))
        await submit(store, engine, a_task_of(1))
        (task,) = await ended(store, "T-1")
    finally:
        await engine.stop()
        await store.close()
    assert (task.status, task.run) == (Status.SUCCESS, 1)
