"""Tells the tasks that run here what people wish of them: one query for all of them, twice a second.

``runner`` listens through an ``Ear``; ``queue`` keeps one ``Watch`` for its process. A wish heard is only a hint to look:
what counts is the row, which the runner reads again before it does anything about it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from addonry.engine import TaskLog
from addonry.model.errors import StoreUnavailable
from addonry.model.ids import TaskId
from addonry.model.tasks import Wish

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 0.5


class Ear:
    """What one running task has heard."""

    def __init__(self) -> None:
        self._wish: Wish | None = None
        self._heard = asyncio.Event()

    def tell(self, wish: Wish | None) -> None:
        """The wish that stands now; None when there is none."""
        if wish is not self._wish:
            self._wish = wish
            self._heard.set()

    async def hear(self, matters: Callable[[Wish], bool]) -> None:
        """Wait until there is a wish that *matters*."""
        while self._wish is None or not matters(self._wish):
            self._heard.clear()
            await self._heard.wait()


class Watch:
    """The wishes of all tasks that run in this process."""

    def __init__(self, tasks: TaskLog, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._sleep = sleep
        self._ears: dict[TaskId, Ear] = {}

    @contextlib.contextmanager
    def ear(self, task: TaskId) -> Iterator[Ear]:
        """An ear for one execution of a task, for as long as it lasts."""
        ear = self._ears[task] = Ear()
        try:
            yield ear
        finally:
            # An execution that took the task over in this process has its own by now.
            if self._ears.get(task) is ear:
                del self._ears[task]

    async def look(self) -> None:
        """Ask once for all."""
        if not self._ears:
            return
        wishes = await self._tasks.wishes(tuple(self._ears))
        for task, ear in self._ears.items():
            ear.tell(wishes.get(task))

    async def look_forever(self) -> None:
        """Until canceled. A database that cannot be read is asked again."""
        while True:
            try:
                await self.look()
            except StoreUnavailable as error:
                log.debug("wishes could not be read: %s", error.message)
            except Exception:
                log.exception("wishes could not be read; it is tried again")
            await self._sleep(WATCH_SECONDS)
