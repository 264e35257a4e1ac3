"""Maintenance windows: when a cluster may be changed, in the shape that ACK gives them.

``{enable, maintenance_time, duration, weekly_period, recurrence, exclusions}``; ``enforce`` is Addonry's own. What cannot
be read of a window holds nothing back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT: Final = {day[:2].upper(): number for number, day in enumerate(DAYS)}
_DEFAULT_DAYS: Final = "Thursday"
_EXCLUDING: Final = frozenset({"NoOperations", "NoUpgrades"})
"""The scopes of exclusions that cover components."""
_SEARCHED: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance window that was read."""

    days: frozenset[int]
    """From 0, Monday."""
    start: time
    """With a zone."""
    duration: timedelta
    weeks: int = 1
    """It comes every so many weeks."""
    anchor: datetime | None = None
    """A moment of a week in which it comes."""
    is_enforced: bool = False
    exclusions: tuple[tuple[datetime, datetime, str], ...] = ()
    """From, until, name."""

    def holds(self, now: datetime) -> bool:
        """Whether *now* is within it, and not excluded."""
        return not self.exclusion(now) and any(
            begin <= now < begin + self.duration for begin in self._begins(now - self.duration, now)
        )

    def exclusion(self, now: datetime) -> str:
        """The name of an exclusion that *now* is in."""
        return next((name or "an exclusion" for since, until, name in self.exclusions if since <= now < until), "")

    def next_after(self, now: datetime) -> datetime | None:
        """When it opens next, exclusions counted; None when not within two months."""
        coming = (begin for begin in self._begins(now, now + _SEARCHED) if begin > now and not self.exclusion(begin))
        return next(coming, None)

    def _begins(self, since: datetime, until: datetime) -> Iterator[datetime]:
        zone = self.start.tzinfo or UTC
        day = since.astimezone(zone).date()
        while day <= until.astimezone(zone).date():
            if day.weekday() in self.days and self._is_its_week(datetime.combine(day, self.start)):
                yield datetime.combine(day, self.start)
            day += timedelta(days=1)

    def _is_its_week(self, begin: datetime) -> bool:
        if self.weeks == 1 or self.anchor is None:
            return True
        anchor = self.anchor.astimezone(begin.tzinfo)
        monday = begin.date() - timedelta(days=begin.weekday())
        first = anchor.date() - timedelta(days=anchor.weekday())
        return (monday - first).days // 7 % self.weeks == 0


def read_window(given: Mapping[str, Any]) -> Window | None:
    """The window that was set; None when none is, it is switched off, or what was set is none."""
    if given.get("enable") is not True:
        return None
    anchor, start = _start(str(given.get("maintenance_time") or ""))
    duration = _duration(str(given.get("duration") or ""))
    recurrence = _parts(str(given.get("recurrence") or ""))
    weeks = recurrence.get("INTERVAL", "1")
    if recurrence.get("FREQ") == "DAILY":
        days = frozenset(range(7))
    elif "BYDAY" in recurrence:
        days = frozenset(_SHORT[each] for each in recurrence["BYDAY"].split(",") if each in _SHORT)
    else:
        named = str(given.get("weekly_period") or _DEFAULT_DAYS).replace(" ", "").split(",")
        days = frozenset(DAYS.index(each) for each in named if each in DAYS)
    if start is None or duration is None or not days:
        return None
    return Window(
        days,
        start,
        duration,
        weeks=max(int(weeks), 1) if weeks.isdecimal() and len(weeks) < 4 else 1,
        anchor=anchor,
        is_enforced=given.get("enforce") is True,
        exclusions=tuple(_exclusions(given.get("exclusions"))),
    )


def _start(text: str) -> tuple[datetime | None, time | None]:
    """A moment, of which the time of day counts, or that alone; without a zone it is UTC."""
    moment = _moment(text)
    if moment is not None:
        return moment, moment.timetz()
    try:
        alone = time.fromisoformat(text)
    except ValueError:
        return None, None
    return None, alone if alone.tzinfo else alone.replace(tzinfo=UTC)


def _duration(text: str) -> timedelta | None:
    hours = text.removesuffix("h")
    if not (text.endswith("h") and hours.isdecimal() and len(hours) < 4):
        return None
    return timedelta(hours=int(hours)) if 1 <= int(hours) <= 24 else None


def _parts(recurrence: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in recurrence.removeprefix("RRULE:").split(";"))
    return {name.upper(): value.upper() for name, _, value in pairs}


def _exclusions(listed: object) -> Iterator[tuple[datetime, datetime, str]]:
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, Mapping) and each.get("scope") in _EXCLUDING:
            since, until = _moment(str(each.get("start_time") or "")), _moment(str(each.get("end_time") or ""))
            if since and until:
                yield since, until, str(each.get("name") or "")


def _moment(text: str) -> datetime | None:
    if "T" not in text and " " not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
