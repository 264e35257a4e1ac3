"""Several processes on one PostgreSQL database: whoever dies, freezes or stops, each task is carried out, by one."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from addonry.engine.membership import LEASE_LOST
from addonry.engine.queue import APPLICATION_VERSION, QUEUE, WORKFLOW
from addonry.engine.worker import run_id
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import Status, StepName, Task
from addonry.rules.planning import FORWARD
from addonry.store import Store, StoreSettings, open_store
from tests.builders import a_change, a_cluster, a_task
from tests.support.engine_worker import KEY
from tests.support.postgres import Postgres
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ROOT = Path(__file__).parents[3]


@dataclass
class Workers:
    """Processes, and the journal that they all write."""

    url: str
    directory: Path
    running: dict[str, subprocess.Popen[str]]

    def start(self, name: str, unknown: str = "") -> subprocess.Popen[str]:
        log = (self.directory / f"{name}.log").open("a")
        self.running[name] = process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.engine_worker", self.url, str(self.directory), name, unknown],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )
        log.close()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (self.directory / f"{name}.log").read_text()[-2000:]
        return process

    def go(self) -> None:
        (self.directory / "go").touch()

    def journal(self) -> list[tuple[str, str, str, str]]:
        path = self.directory / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(line.split()) for line in lines]  # type: ignore[misc]

    def owner_of(self, step: str, task: str = "T-1") -> str:
        """Who has begun a step of the task last."""
        return until(
            lambda: next(
                (who for who, of, at, what in reversed(self.journal()) if (of, at, what) == (task, step, "begin")), ""
            ),
            what=f"{step} of {task} to begin",
        )

    def other(self, name: str) -> str:
        return next(each for each in self.running if each != name)

    def ended(self, task: str = "T-1") -> list[str]:
        return [step for _, of, step, what in self.journal() if (of, what) == (task, "end")]


PATIENT = 20.0
"""A time to live in seconds, for what must not depend on how soon a busy machine does something."""


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that may be silent for long before they are taken for dead."""
    monkeypatch.setenv("TIME_TO_LIVE", str(PATIENT))


@pytest.fixture
def workers(postgres_url: str, tmp_path: Path) -> Iterator[Workers]:
    """Two of them, on a fresh database."""
    # The schema, before both of them want to make it.
    started = Workers(postgres_url, tmp_path, {})
    yield started
    for process in started.running.values():
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    opened = open_store(StoreSettings(postgres_url, None, KEY))
    await opened.add_cluster(a_cluster(id=ClusterId("c1")), "kubeconfig")
    yield opened
    await opened.close()


@pytest.fixture
def submit(postgres_url: str, store: Store, workers: Workers) -> Iterator[Callable]:
    """Submit a task as any process of the service does, beside two workers."""
    from dbos import DBOSClient, WorkflowSerializationFormat

    workers.start("a")
    workers.start("b")
    client = DBOSClient(system_database_url=postgres_url)

    def enqueue(connection, task: Task, run: int) -> None:
        options = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": run_id(task.id, run),
            "queue_partition_key": f"c1/{task.id}",
            "app_version": APPLICATION_VERSION,
            "serialization_type": WorkflowSerializationFormat.PORTABLE,
        }
        client.enqueue_in_transaction(connection, options, task.id, run, f"c1/{task.id}")

    async def run(number: int = 1) -> Task:
        task = a_task(a_change(f"component-{number}"), id=TaskId(f"T-{number}"), cluster=ClusterId("c1"))
        await store.submit(task, [], lambda connection: enqueue(connection, task, 1))
        return task

    yield run
    client.destroy()


def statuses(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT id, status FROM addonry_task").fetchall())


def succeeded(workers: Workers, *tasks: str) -> None:
    until(lambda: all(statuses(workers.url)[task] == Status.SUCCESS for task in tasks), what=f"{tasks} to succeed")


async def test_a_task_of_a_killed_worker_goes_on_in_another(workers, submit, store):
    """Nobody restarts anything: the tasks of a machine that burnt down are finished by the others."""
    await submit()
    owner = workers.owner_of(StepName.APPLY)
    workers.running[owner].kill()
    workers.go()
    succeeded(workers, "T-1")
    assert workers.owner_of(StepName.VERIFY) == workers.other(owner)
    assert workers.ended() == list(FORWARD), "every step ended once"
    assert (await store.task(TaskId("T-1"))).run == 2, "a process that wakes up late cannot hand out the first again"


async def test_a_frozen_worker_that_thaws_writes_nothing_more(workers, submit, store):
    """The other has gone on meanwhile; a late write would undo its work."""
    await submit()
    owner = workers.owner_of(StepName.APPLY)
    frozen, other = workers.running[owner], workers.other(owner)
    frozen.send_signal(signal.SIGSTOP)
    until(
        lambda: [who for who, _, step, _ in workers.journal() if step == StepName.APPLY] == [owner, other],
        what="a take-over",
    )
    workers.go()
    succeeded(workers, "T-1")
    before = workers.journal()
    frozen.send_signal(signal.SIGCONT)
    assert frozen.wait(20) == LEASE_LOST
    assert workers.journal() == before
    assert workers.ended() == list(FORWARD)


async def test_a_worker_that_is_told_to_stop_hands_its_tasks_over_without_a_crash(workers, submit, store):
    """A rolling release is no accident: it must not count towards the limit of crashes."""
    await submit()
    owner = workers.owner_of(StepName.APPLY)
    workers.running[owner].terminate()
    assert workers.running[owner].wait(10) == 0
    until(
        lambda: [who for who, _, step, _ in workers.journal() if step == StepName.APPLY][-1] != owner, what="the other"
    )
    assert (await store.task(TaskId("T-1"))).crashes == 0
    workers.go()
    succeeded(workers, "T-1")


async def test_a_worker_that_was_taken_for_dead_ends_itself(workers, submit):
    await submit()
    owner = workers.owner_of(StepName.APPLY)
    with psycopg.connect(workers.url, autocommit=True) as connection:
        for (name,) in connection.execute("SELECT id FROM addonry_worker").fetchall():
            if f"-{workers.running[owner].pid}-" in name:
                connection.execute("DELETE FROM addonry_worker WHERE id = %s", [name])
    assert workers.running[owner].wait(20) == LEASE_LOST
    workers.go()
    succeeded(workers, "T-1")


async def test_tasks_outlive_a_restart_of_the_database(patient, workers, submit, postgres: Postgres):
    """Shorter than the lease: the workers wait for it, and go on."""
    await submit(1)
    await submit(2)
    workers.owner_of(StepName.APPLY, "T-1")
    workers.owner_of(StepName.APPLY, "T-2")
    postgres.restart()
    workers.go()
    succeeded(workers, "T-1", "T-2")
    assert workers.ended("T-1")[-3:] == list(FORWARD[-3:])


async def test_a_step_that_only_a_newer_release_knows_waits_for_it(workers, postgres_url, submit, store):
    """In a rolling release an old worker may get a task that a new one has made."""
    for name in ("a", "b"):
        workers.running[name].terminate()
        workers.running[name].wait(10)
    workers.start("old", unknown=StepName.ROLLOUT)
    task = await submit()
    workers.owner_of(StepName.APPLY)
    workers.go()
    until(
        lambda: "waits for a newer worker" in (workers.directory / "old.log").read_text(),
        what="the old one to give it back",
    )
    found = await store.task(task.id)
    assert (found.status, found.crashes) == (Status.RUNNING, 0)
    workers.running["old"].terminate()
    workers.running["old"].wait(10)
    workers.start("new")
    succeeded(workers, "T-1")
    assert workers.ended() == list(FORWARD)
    assert workers.owner_of(StepName.ROLLOUT) == "new"
