"""What tasks cost and how fast they move, with steps that do nothing: figures of the engine and the store alone."""

import asyncio
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from addonry.engine import EngineSettings, open_engine
from addonry.engine.queue import DbosEngine
from addonry.model.errors import StoreUnavailable
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import Done, Outcome, Snapshot, Status, StepName, Task
from addonry.rules import task_moves
from addonry.rules.planning import FORWARD
from addonry.store import Store, StoreSettings, open_store
from bench.measure import python
from tests.builders import NOW, a_change, a_cluster, a_task
from tests.support.postgres import postgres_server

KEY = "k" * 43
TASKS = 300
OPEN_TASKS = 10_000
CLUSTERS = 100


def bench_tasks(tell: Callable[[str, str, str], None]) -> None:
    """Client CPU of one task of nine steps, on both databases; the sheet counts six steps."""
    share = 6 / len(FORWARD)
    for name, url in _databases():
        with url as address:
            cpu = asyncio.run(_cpu_of_a_task(address))
        figure = f"{cpu * 1000:.1f} ms CPU ({cpu * share * 1000:.1f} ms for 6 steps)"
        tell(f"a task of {len(FORWARD)} steps, {name}", figure, "7 ms for 6 steps")


def bench_restart(tell: Callable[[str, str, str], None]) -> None:
    """After a restart, how long until each of many open tasks is in the queue: with the queue's tables, and without."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'addonry.sqlite'}"
        without, with_queue = asyncio.run(_restart(url))
    tell(f"restart with {OPEN_TASKS:,} open tasks", f"{with_queue:.1f} s until all are queued", "10 s")
    tell("the same with the queue's tables lost", f"{without:.1f} s until all are queued", "10 s")


def bench_moves(tell: Callable[[str, str, str], None]) -> None:
    """How soon a killed worker is replaced on SQLite, a worker ends, and a pause is granted within a step."""
    with tempfile.TemporaryDirectory() as folder:
        recovered, stopped = zip(*(_kill_and_stop(Path(folder), number) for number in range(5)), strict=True)
    tell("running again after kill -9, SQLite", f"{statistics.median(recovered):.2f} s with process start", "0.75 s")
    tell("planned stop of a worker at work", f"{statistics.median(stopped):.2f} s", "1 s")
    paused, resumed = asyncio.run(_pauses())
    tell("a pause within a step is granted", f"at most {max(paused):.2f} s of {len(paused)}", "0.5 s")
    tell("a paused step runs again", f"at most {max(resumed):.2f} s of {len(resumed)}", "poll 0.5 s + 0.05 s")


@contextlib.contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'addonry.sqlite'}"


@contextlib.contextmanager
def _postgresql() -> Iterator[str]:
    with postgres_server() as server, server.fresh_database() as url:
        yield url


def _databases() -> list[tuple[str, contextlib.AbstractContextManager[str]]]:
    return [("SQLite", _sqlite()), ("PostgreSQL", _postgresql())]


def _task(number: int) -> Task:
    """Each on a cluster and a component of its own as far as that matters: nothing waits for anything."""
    cluster = ClusterId(f"c{number % CLUSTERS:032}")
    return a_task(a_change(f"component-{number}"), id=TaskId(f"T-{number}"), cluster=cluster)


async def _done(task: Task) -> Outcome:
    return Done(snapshot=Snapshot(1) if task.change.step == StepName.SNAPSHOT else None)


@contextlib.asynccontextmanager
async def _store(url: str) -> AsyncIterator[Store]:
    store = open_store(StoreSettings(url, None, KEY))
    for number in range(CLUSTERS):
        with contextlib.suppress(Exception):  # there from an earlier start
            await store.add_cluster(a_cluster(id=ClusterId(f"c{number:032}"), name=f"c-{number}"), "kubeconfig")
    try:
        yield store
    finally:
        await store.close()


async def _cpu_of_a_task(url: str) -> float:
    async with _store(url) as store:
        engine = open_engine(EngineSettings(url, poll_seconds=0.2), roll=store.roll)
        await engine.start(store, dict.fromkeys(StepName, _done))
        idle = await _idle_share()
        for batch in (range(20), range(20, 20 + TASKS)):  # the first are not counted
            before, began = time.process_time(), time.perf_counter()
            for number in batch:
                task = _task(number)
                await store.submit(task, [], lambda connection, task=task: _enqueue(engine, connection, task))
            while await store.unfinished():
                await asyncio.sleep(0.1)
            used = time.process_time() - before - idle * (time.perf_counter() - began)
        await engine.stop()
    return used / TASKS


def _enqueue(engine: Any, connection: Any, task: Task) -> None:
    engine.enqueue(connection, task.id, run=task.run, cluster=task.cluster)


async def _idle_share() -> float:
    await asyncio.sleep(2)
    before = time.process_time()
    await asyncio.sleep(3)
    return (time.process_time() - before) / 3


async def _restart(url: str) -> tuple[float, float]:
    async with _store(url) as store:
        for number in range(OPEN_TASKS):
            await store.submit(_task(number), [], lambda _connection: None)
        # Submitted while no engine ran: the queue knows none of them, as if its tables had been lost.
        without = await _until_all_are_queued(store, url)
        with_queue = await _until_all_are_queued(store, url)
    return without, with_queue


async def _until_all_are_queued(store: Store, url: str) -> float:
    waiting = asyncio.Event()

    async def wait(_task: Task) -> Outcome:
        await waiting.wait()
        return Done()

    engine = DbosEngine(EngineSettings(url), roll=store.roll)
    began = time.perf_counter()
    await engine.start(store, dict.fromkeys(StepName, wait))
    while len(await engine._live_runs()) < OPEN_TASKS:
        await asyncio.sleep(0.2)
    took = time.perf_counter() - began
    await engine.stop()
    return took


# A worker as a process, for what only the end of one shows.


def _kill_and_stop(folder: Path, number: int) -> tuple[float, float]:
    """Seconds from the kill of a worker until its successor is at the same step; and of a planned stop of that one."""
    url = f"sqlite:///{folder / f'{number}.sqlite'}"
    asyncio.run(_submit(url))
    journal = folder / f"{number}.journal"

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(python("-m", "bench.engine", url, str(journal)))

    first = start()
    _await_lines(journal, 1)
    first.kill()
    first.wait()
    began = time.perf_counter()
    second = start()
    _await_lines(journal, 2)
    recovered = time.perf_counter() - began
    began = time.perf_counter()
    second.send_signal(signal.SIGTERM)
    second.wait()
    return recovered, time.perf_counter() - began


async def _submit(url: str) -> None:
    async with _store(url) as store:
        await store.submit(_task(1), [], lambda _connection: None)


def _await_lines(journal: Path, count: int) -> None:
    while not journal.exists() or journal.read_text().count("\n") < count:
        time.sleep(0.005)


async def _work(url: str, journal: Path) -> None:
    store = open_store(StoreSettings(url, None, KEY))
    engine = open_engine(EngineSettings(url, poll_seconds=0.2))
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)

    async def begin_and_wait(_task: Task) -> Outcome:
        descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, b"begun\n")
        os.close(descriptor)
        await asyncio.Event().wait()
        return Done()

    await engine.start(store, dict.fromkeys(StepName, begin_and_wait))
    await told.wait()
    await engine.stop()
    await store.close()


async def _pauses() -> tuple[list[float], list[float]]:
    """Seconds from the wish to the paused row, and from the resume to the step, for each of some tasks."""
    begun: asyncio.Queue[TaskId] = asyncio.Queue()

    async def look_on(task: Task) -> Outcome:
        begun.put_nowait(task.id)
        await asyncio.Event().wait()
        return Done()

    paused, resumed = [], []
    with _sqlite() as url:
        async with _store(url) as store:
            engine = open_engine(EngineSettings(url))
            await engine.start(store, dict.fromkeys(StepName, look_on))
            for number in range(10):
                task = _task(number)
                await store.submit(task, [], lambda connection, task=task: _enqueue(engine, connection, task))
                await begun.get()
                began = time.perf_counter()
                await store.move(task_moves.pause(await store.task(task.id), now=NOW), [])
                while (found := await store.task(task.id)).status is not Status.PAUSED:
                    await asyncio.sleep(0.005)
                paused.append(time.perf_counter() - began)
                began = time.perf_counter()
                again = task_moves.resume(found, now=NOW)
                await store.move(again, [], lambda connection, again=again: _enqueue(engine, connection, again))
                await begun.get()
                resumed.append(time.perf_counter() - began)
            await engine.stop()
    return paused, resumed


if __name__ == "__main__":
    with contextlib.suppress(StoreUnavailable):
        asyncio.run(_work(sys.argv[1], Path(sys.argv[2])))
