"""A worker on a database that it shares: its steps write into a journal, and *apply* waits for a file that says go.

Started as ``python -m tests.support.engine_worker URL DIRECTORY NAME [UNKNOWN STEP]``; says ``ready`` once it works.
``TIME_TO_LIVE`` in the environment, in seconds, is how long it may be silent.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from addonry.engine import SHARE_OF_LIFE, EngineSettings, Lease, Pulse
from addonry.engine.queue import DbosEngine
from addonry.model.tasks import Done, Outcome, StepName, Task
from addonry.store import StoreSettings, open_store

PULSE = Pulse(beat=0.2, time_to_live=float(os.environ.get("TIME_TO_LIVE", "1.5")), reap=0.2)
KEY = "k" * 43


async def main(url: str, directory: Path, name: str, unknown: str) -> None:
    lease = Lease(PULSE.time_to_live * SHARE_OF_LIFE)
    journal = (directory / "journal").open("a", buffering=1)

    def note(task: Task, what: str) -> None:
        # As every write to a cluster: not without a lease.
        lease.check()
        journal.write(f"{name} {task.id} {task.change.step} {what}\n")

    async def step(task: Task) -> Outcome:
        note(task, "begin")
        while task.change.step == StepName.APPLY and not (directory / "go").exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.02)
        note(task, "end")
        return Done()

    store = open_store(StoreSettings(url, None, KEY))
    assert store.roll is not None, "PostgreSQL has a roll"
    engine = DbosEngine(EngineSettings(url, poll_seconds=0.1, pulse=PULSE), roll=store.roll, lease=lease)
    until = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, until.set)
    steps = {each: step for each in StepName if each != unknown}
    await engine.start(store, steps)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await until.wait()
    await engine.stop()
    await store.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    given = [*sys.argv[1:], ""]
    asyncio.run(main(given[0], Path(given[1]), given[2], given[3]))
