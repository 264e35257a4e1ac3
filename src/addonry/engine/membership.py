"""Who works on a database that many processes share: heartbeat, lease and reaper.

The queue's open-source edition knows no dead workers, so this is ours (docs/decisions/0001-engine.md). Each worker
beats in a row of its own, by the clock of the database. Whoever finds a worker silent for longer than the time to live
takes its row away and hands its runs out again. A worker cannot be told that this was done to it: it may be frozen, or
cut off. So it keeps a *lease* by its own clock, shorter than the time to live, looks at it before each write to a
cluster, and ends itself when it has run out. On SQLite one process works alone, under a lock of the operating system.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from addonry.model.errors import StoreUnavailable

log = logging.getLogger(__name__)

SHARE_OF_LIFE: Final = 0.8
"""The lease as a share of the time to live: what is left must do for a write that is under way."""

LEASE_LOST: Final = 75
"""Exit status of a worker that lost its lease (EX_TEMPFAIL): its supervisor starts it anew."""


Living = Callable[[timedelta], frozenset[str]]
"""Takes away the rows of workers that have been silent for so long, and names the others."""


Held = Callable[[], Mapping[str, Sequence[str]]]
"""The runs that workers have taken and not ended, by worker."""

HandOut = Callable[[Sequence[str]], Awaitable[None]]
"""Lets others take these runs. Bears repeating, and a run that somebody has taken over since is left alone."""


class Roll(Protocol):
    """The register of workers. All times are those of the database."""

    async def enter(self, worker: str, host: str) -> None:
        """Write the worker's row, or its beat if there is one."""
        ...

    async def beat(self, worker: str) -> bool:
        """Still alive. False when the row is gone: somebody has taken this worker for dead."""
        ...

    async def leave(self, worker: str) -> None:
        """Take the row away: the worker stops as planned, and others need not wait."""
        ...

    async def alone(self, work: Callable[[Living], None]) -> bool:
        """Do *work* in a thread while no other process does such work; False at once when one does."""
        ...


@dataclass(frozen=True, slots=True)
class Pulse:
    """How often, in seconds."""

    beat: float = 5.0
    time_to_live: float = 30.0
    reap: float = 5.0


def boot_time() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps (Linux); see clock_gettime(2)."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def end_process() -> None:
    """End at once and without tidying up: whatever is under way here may be under way elsewhere too."""
    os._exit(LEASE_LOST)


class Lease:
    """Until when this process may work on tasks."""

    def __init__(
        self, seconds: float, *, clock: Callable[[], float] = boot_time, lost: Callable[[], None] = end_process
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lost = lost
        self._until = float("inf")

    def renew(self, since: float) -> None:
        """A beat that was begun at *since* was good."""
        self._until = since + self._seconds

    def give_up(self) -> None:
        """It is known to be lost."""
        log.critical("another worker has taken this one for dead; it ends, and its tasks go on elsewhere")
        self._lost()

    def check(self) -> None:
        """Called before each write to a cluster. Does not return when the lease has run out."""
        if self._clock() >= self._until:
            log.critical("no heartbeat for %.0f s: this worker ends, and its tasks go on elsewhere", self._seconds)
            self._lost()


class Membership:
    """This process's place among the workers."""

    def __init__(
        self,
        roll: Roll,
        worker: str,
        *,
        pulse: Pulse,
        lease: Lease,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._roll = roll
        self._worker = worker
        self._pulse = pulse
        self._lease = lease
        self._clock = clock
        self._sleep = sleep

    async def enter(self) -> None:
        """Before the first task is taken: whoever claims is on the roll."""
        since = self._clock()
        await self._roll.enter(self._worker, socket.gethostname())
        self._lease.renew(since)

    async def leave(self) -> None:
        """The last thing; a database that is away finds out by itself."""
        with contextlib.suppress(StoreUnavailable):
            await self._roll.leave(self._worker)

    async def beat_forever(self) -> None:
        """Until canceled, or until this worker must not go on."""
        while True:
            await self._sleep(self._pulse.beat)
            since = self._clock()
            try:
                alive = await self._roll.beat(self._worker)
            except StoreUnavailable as error:
                log.warning("no heartbeat: %s", error.message)
            else:
                if alive:
                    self._lease.renew(since)
                else:
                    self._lease.give_up()
            # A worker without work must end as well: it would claim tasks that it may not carry out.
            self._lease.check()

    async def reap_forever(self, held: Held, hand_out: HandOut) -> None:
        """Until canceled: hand out again what dead workers *held*."""
        while True:
            await self._sleep(self._pulse.reap)
            try:
                await self.reap(held, hand_out)
            except StoreUnavailable as error:
                log.warning("dead workers could not be looked for: %s", error.message)
            except Exception:
                log.exception("dead workers could not be looked for; it is tried again")

    async def reap(self, held: Held, hand_out: HandOut) -> None:
        """Once. First what is held, then who lives: a worker is on the roll before it claims anything.

        Handed out is only what a worker held whose row is gone for good: while the burial is not committed, the worker
        could come back to life with its next beat. Between the two this process may stand still for long, and another
        may have handed the same runs out; *hand_out* bears that.
        """
        orphans: list[str] = []

        def work(living: Living) -> None:
            by_worker = held()
            alive = living(timedelta(seconds=self._pulse.time_to_live))
            orphans[:] = [run for worker, runs in by_worker.items() if worker not in alive for run in runs]

        await self._roll.alone(work)
        if orphans:
            log.warning("handing out %d runs of workers that are gone", len(orphans))
            await hand_out(orphans)
