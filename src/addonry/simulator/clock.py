"""Simulated time: how controllers wait.

Moments (`now`) are always real ones, so ages and timestamps read right; *durations* may be shortened. A controller
that wants to act "in 10 seconds" asks its clock. `RealClock(speed=10)` makes that one second; `SteppedClock` waits until
a test advances it. Nothing in the simulator sleeps in any other way.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    """Something that will be called and can still be called off."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What controllers know of time."""

    def now(self) -> datetime: ...

    def elapsed(self) -> float:
        """Simulated seconds since some fixed moment; only differences mean anything."""
        ...

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call *action* after so many simulated seconds, on the loop of the simulator."""
        ...

    def call_later_for_client(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call *action* after seconds that a client asked for and counts itself: no speed shortens them."""
        ...


class RealClock:
    """Real time, with durations divided by *speed*."""

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"The speed of a clock must be above zero, not {speed}.")
        self.speed = speed

    def now(self) -> datetime:
        return datetime.now(UTC)

    def elapsed(self) -> float:
        return asyncio.get_running_loop().time() * self.speed

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds / self.speed, action)

    def call_later_for_client(self, seconds: float, action: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, action)


class _SteppedTimer:
    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class SteppedClock:
    """Time that stands still until `advance` is called; from outside, through `Simulator.advance`."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime.now(UTC)
        self._elapsed = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, _SteppedTimer]] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def elapsed(self) -> float:
        return self._elapsed

    def call_later(self, seconds: float, action: Callable[[], None]) -> Timer:
        timer = _SteppedTimer(action)
        heapq.heappush(self._due, (self._elapsed + seconds, next(self._order), timer))
        return timer

    call_later_for_client = call_later

    async def advance(self, seconds: float) -> None:
        """Let *seconds* pass, calling what falls due in order, and let its consequences settle in between."""
        until = self._elapsed + seconds
        await _settle()
        while self._due and self._due[0][0] <= until:
            at, _, timer = heapq.heappop(self._due)
            self._elapsed = max(self._elapsed, at)
            if timer.action is not None:
                timer.action()
                await _settle()
        self._elapsed = until


async def _settle() -> None:
    # Controllers work in slices on the loop (see life.manager); a handful of turns outlasts every chain of them.
    for _ in range(200):
        await asyncio.sleep(0)


def timestamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it, one second of resolution."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_timestamp(text: str) -> datetime:
    """The moment of a Kubernetes timestamp of either resolution."""
    return datetime.fromisoformat(text)
