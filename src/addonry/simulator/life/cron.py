"""When a schedule in cron's form is due next.

Five fields, names of months and days, ranges, steps, lists and the @-words; where day of month and day of week are both
restricted, either will do. See https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

_WORDS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST_DAYS: Final = 5 * 366  # the 29th of February comes within eight years at worst, within five as good as always


class _Schedule(NamedTuple):
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool
    """Whether day of month and day of week are both restricted."""


def next_time(text: str, after: datetime) -> datetime | None:
    """The first minute after *after*, in its zone, when the schedule is due; None when it never is, or cannot be read."""
    schedule = _read(text)
    if schedule is None:
        return None
    moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
    for _ in range(_LONGEST_DAYS):
        if _is_day(schedule, moment):
            for hour in sorted(h for h in schedule.hours if h >= moment.hour):
                first = moment.minute if hour == moment.hour else 0
                minute = min((m for m in schedule.minutes if m >= first), default=None)
                if minute is not None:
                    return moment.replace(hour=hour, minute=minute)
        moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
    return None


def _is_day(schedule: _Schedule, moment: datetime) -> bool:
    if moment.month not in schedule.months:
        return False
    matches = (moment.day in schedule.days, moment.isoweekday() % 7 in schedule.weekdays)
    return any(matches) if schedule.either_day else all(matches)


def _read(text: str) -> _Schedule | None:
    fields = _WORDS.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        return None
    try:
        return _Schedule(
            _values(fields[0], 0, 59),
            _values(fields[1], 0, 23),
            _values(fields[2], 1, 31),
            _values(fields[3], 1, 12, _MONTHS),
            _values(fields[4], 0, 6, _DAYS),
            either_day=not any(field.startswith(("*", "?")) for field in (fields[2], fields[4])),
        )
    except ValueError:
        return None


def _values(field: str, lowest: int, highest: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    def number(word: str) -> int:
        value = names.index(word.lower()) + lowest if word.lower() in names else int(word)
        if not lowest <= value <= highest:
            raise ValueError(f"{word} is not between {lowest} and {highest}")
        return value

    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first in ("*", "?"):
            start, end = lowest, highest
        else:
            start = number(first)
            end = number(last) if dash else highest if step else start
        found.update(range(start, end + 1, int(step) if step else 1))
    return frozenset(found)
