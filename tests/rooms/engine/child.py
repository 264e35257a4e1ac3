"""The worker that the crash sweep kills: a process of its own, with the real engine on a real SQLite file.

It dies by ``os._exit``, which like kill -9 leaves no handler, buffer or connection a chance. Where it dies is told to
it beforehand, so that the sweep is the same each time.
"""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from addonry.engine import EngineSettings, Step, open_engine
from addonry.model.tasks import LIVE, Broken, Done, Event, Outcome, Snapshot, StepName, StepRecord, Task, Trouble
from addonry.store import Store, StoreSettings, open_store
from tests.builders import a_cluster, a_task

KILLED = 9
SECONDS = 30.0
"""After so long a worker that neither died nor finished is one that hangs."""


@dataclass(frozen=True)
class Story:
    """Where the database and the journal are, where this process dies, and which step breaks."""

    directory: Path
    dies_at: str = ""
    """``claimed``, or ``begun``, ``ended`` or ``saved`` and a step's name."""
    breaks: StepName | None = None

    @property
    def url(self) -> str:
        return f"sqlite:///{self.directory / 'addonry.sqlite'}"

    def open_store(self) -> Store:
        return open_store(StoreSettings(self.url, None, "k" * 43))

    def write(self, line: str) -> None:
        """To the journal, and to the end of this process when the line is the one it dies at."""
        descriptor = os.open(self.directory / "journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)
        if line == self.dies_at:
            os._exit(KILLED)


def submit(story: Story) -> None:
    """A task in the database, as a service leaves it that dies right after it answered."""

    async def write() -> None:
        store = story.open_store()
        await store.add_cluster(a_cluster(), "kubeconfig")
        await store.submit(a_task(), [], lambda _connection: None)
        await store.close()

    asyncio.run(write())


def work(story: Story) -> None:
    """Carry tasks out until the one of the sweep has ended, or until this process dies."""
    asyncio.run(_work(story))


async def _work(story: Story) -> None:
    store = story.open_store()
    engine = open_engine(EngineSettings(story.url, poll_seconds=0.02))
    telling = Telling(store, story)
    await engine.start(telling, {step: _step(step, story) for step in StepName})
    async with asyncio.timeout(SECONDS):
        # One that was killed after its last save leaves nothing to do.
        if (await store.task(a_task().id)).status in LIVE:
            await telling.finished.wait()
    await engine.stop()
    await store.close()


def _step(name: StepName, story: Story) -> Step:
    async def run(_task: Task) -> Outcome:
        story.write(f"begun {name}")
        await asyncio.sleep(0)
        story.write(f"ended {name}")
        if name is story.breaks:
            return Broken(Trouble("Broke", "it broke"))
        return Done(snapshot=Snapshot(4) if name is StepName.SNAPSHOT else None)

    return run


class Telling:
    """The store, which tells the journal what was saved."""

    def __init__(self, store: Store, story: Story) -> None:
        self._store = store
        self._story = story
        self.finished = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def claim(self, task: str, *, run: int, claim: str) -> Task | None:
        claimed = await self._store.claim(task, run=run, claim=claim)
        self._story.write("claimed")
        return claimed

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        saved = await self._store.save(task, claim=claim, events=events, steps=steps)
        for step in steps:
            self._story.write(f"{'saved' if step.finished_at else 'opened'} {step.step}")
        if task.status not in LIVE:
            self.finished.set()
        return saved
