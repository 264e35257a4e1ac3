"""Leases and the roll of workers, with a clock that a test moves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from addonry.engine.membership import Lease, Membership, Pulse
from addonry.model.errors import StoreUnavailable


class Ended(BaseException):
    """Stands for the end of the process."""


def end() -> None:
    raise Ended


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class ListedRoll:
    """A roll in memory, with a database that may be away."""

    clock: Clock
    beats: dict[str, float] = field(default_factory=dict)
    away: bool = False
    asked: list[str] = field(default_factory=list)
    busy: bool = False
    locked: bool = False

    async def enter(self, worker: str, _host: str) -> None:
        self.beats[worker] = self.clock.now

    async def beat(self, worker: str) -> bool:
        if self.away:
            raise StoreUnavailable("away")
        if worker not in self.beats:
            return False
        self.beats[worker] = self.clock.now
        return True

    async def leave(self, worker: str) -> None:
        del self.beats[worker]

    async def alone(self, work: Callable) -> bool:
        if not self.busy:
            self.locked = True
            work(self._living)
            self.locked = False
        return not self.busy

    def _living(self, life: timedelta) -> frozenset[str]:
        self.asked.append("living")
        for worker, beat in tuple(self.beats.items()):
            if self.clock.now - beat > life.total_seconds():
                del self.beats[worker]
        return frozenset(self.beats)


async def nobody(runs: Sequence[str]) -> None:
    pytest.fail(f"{runs} are somebody's")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roll(clock: Clock) -> ListedRoll:
    return ListedRoll(clock)


@pytest.fixture
def member(clock: Clock, roll: ListedRoll) -> Membership:
    lease = Lease(24.0, clock=clock, lost=end)
    return Membership(roll, "me", pulse=Pulse(5.0, 30.0, 5.0), lease=lease, clock=clock, sleep=clock.sleep)


def test_a_lease_holds_until_its_time_is_up_and_not_a_moment_longer(clock: Clock):
    lease = Lease(24.0, clock=clock, lost=end)
    lease.check()
    lease.renew(clock.now)
    clock.now += 23.9
    lease.check()
    clock.now += 0.1
    with pytest.raises(Ended):
        lease.check()


def test_a_lease_counts_from_before_the_beat(clock: Clock):
    """The database may have written it a moment before the answer took ten seconds."""
    lease = Lease(24.0, clock=clock, lost=end)
    since = clock.now
    clock.now += 10
    lease.renew(since)
    clock.now += 14
    with pytest.raises(Ended):
        lease.check()


async def test_a_worker_that_cannot_beat_ends_before_others_may_take_its_tasks(member, roll, clock):
    await member.enter()
    entered = clock.now
    roll.away = True
    with pytest.raises(Ended):
        await member.beat_forever()
    assert clock.now - entered < 30.0


async def test_a_worker_without_a_row_ends_at_its_next_beat(member, roll, clock):
    await member.enter()
    del roll.beats["me"]
    entered = clock.now
    with pytest.raises(Ended):
        await member.beat_forever()
    assert clock.now - entered == 5.0


async def test_only_the_runs_of_silent_workers_are_handed_out(member, roll, clock):
    await member.enter()
    roll.beats["dead"] = clock.now - 31
    roll.beats["slow"] = clock.now - 29
    handed: list[str] = []
    held = {"dead": ["T-1:1"], "slow": ["T-2:1"], "me": ["T-3:1"], "never-seen": ["T-4:1"]}

    async def hand_out(runs: Sequence[str]) -> None:
        assert not roll.locked, "before its burial is certain, a worker may come back to life"
        handed.extend(runs)

    await member.reap(lambda: held, hand_out)
    assert sorted(handed) == ["T-1:1", "T-4:1"]
    assert "dead" not in roll.beats


async def test_what_is_held_is_asked_before_who_lives(member, roll):
    """The other way round, a worker that began in between would look dead: it is on the roll before it claims."""
    await member.enter()

    def held() -> dict[str, list[str]]:
        roll.asked.append("held")
        return {}

    await member.reap(held, nobody)
    assert roll.asked == ["held", "living"]


async def test_one_process_reaps_at_a_time(member, roll):
    """Two that hand out one run at once would have it run twice."""
    await member.enter()
    roll.busy = True
    await member.reap(lambda: {"dead": ["T-1:1"]}, nobody)
