"""What a worker owes to the tasks beside carrying them out: that it is alone, and that none is forgotten.

On SQLite one process works on the database, under a lock of the operating system; what it left when it died is handed
out again by the queue at the next start. On PostgreSQL every process has an executor id of its own, and ``membership``
sees to those that died.
"""

import logging
import os
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from addonry.engine import TaskLog
from addonry.model.ids import TaskId

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

LOCAL: Final = "local"

BATCH: Final = 200
"""How many forgotten tasks are handed out in one transaction: each for itself, ten thousand would take half a minute."""


def run_id(task: str, run: int) -> str:
    """The id of one run of a task in the queue."""
    return f"{task}:{run}"


def executor_id(database_url: str) -> str:
    """Who this process is to the queue.

    Always the same on SQLite, where the lock keeps others away, so that the queue knows at the next start what was
    left; unique per process on PostgreSQL, where two of the same id would run each other's tasks twice.
    """
    if database_url.startswith("sqlite"):
        return LOCAL
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


async def reconcile(
    log_of_tasks: TaskLog,
    live_runs: Callable[[], Awaitable[frozenset[str]]],
    enqueue: "Callable[[Connection, TaskId, int, str], None]",
) -> int:
    """Hand out again every unfinished task whose run the queue does not know; how many there were.

    Safe at any time: a task that was enqueued or ended in between is not touched, because the unfinished are read
    before the queue, and a requeue names the run it read.
    """
    unfinished = await log_of_tasks.unfinished()
    if not unfinished:
        return 0
    live = await live_runs()
    return await hand_out(log_of_tasks, [each for each in unfinished if run_id(each[0], each[1]) not in live], enqueue)


async def hand_out(
    log_of_tasks: TaskLog,
    runs: Sequence[tuple[TaskId, int, str]],
    enqueue: "Callable[[Connection, TaskId, int, str], None]",
) -> int:
    """Enqueue each of these tasks under its next run, unless it has left the run named; how many that were."""
    count = 0
    for first in range(0, len(runs), BATCH):
        count += await log_of_tasks.requeue(runs[first : first + BATCH], enqueue=enqueue)
    if count:
        log.info("handed out %d unfinished tasks again", count)
    return count


class Lanes:
    """Serial lanes of each cluster: which one the next task takes. Bounds the work on one cluster.

    Counts what this process handed out, which is all there is on SQLite; with several processes a lane may be less
    evenly used, never overfull. ``reset`` corrects the counts from the queue itself.
    """

    def __init__(self, lanes: int) -> None:
        self._lanes = lanes
        self._used: Counter[str] = Counter()
        # Chosen in the store's threads, given back in the event loop.
        self._lock = threading.Lock()

    def take(self, cluster: str) -> str:
        """The least used lane, now used once more."""
        with self._lock:
            names = [f"{cluster}/{number}" for number in range(self._lanes)]
            chosen = min(names, key=lambda name: self._used[name])
            self._used[chosen] += 1
            return chosen

    def give_back(self, lane: str) -> None:
        """A run in the lane has ended."""
        with self._lock:
            self._used[lane] -= 1
            if self._used[lane] <= 0:
                del self._used[lane]

    def reset(self, used: Iterable[str]) -> None:
        """Count anew: one name for each run that waits or runs."""
        with self._lock:
            self._used = Counter(used)
