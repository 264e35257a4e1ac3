"""Waivers of readiness checks: made, listed and taken back; or read from a file, for a scan without a service."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from addonry.lifecycle.world import World
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ClusterId, ComponentName
from addonry.model.readiness import Waiver
from addonry.model.tasks import Event, EventLevel
from addonry.rules.readiness.waiving import NEVER, WAIVABLE

LONGEST: Final = timedelta(days=366)
"""A waiver without an end would outlive everybody who knows why."""

_LONGEST_TEXT: Final = 500
_KIND: Final = "waiver"


async def add(
    world: World, cluster: ClusterId, check: str, component: str, *, reason: str, until: str, owner: str
) -> Waiver:
    """See ``Lifecycle.add_waiver``."""
    entry = world.catalog.entry(component) if component else None
    waiver = waiver_of(
        check=check,
        component=entry.name if entry else component,
        reason=reason,
        until=until,
        owner=owner,
        now=world.now(),
        id=world.ids.waiver(),
    )
    about = f"{waiver.check} of {waiver.component or 'all components'} until {waiver.until:%Y-%m-%d}"
    await world.store.waivers.add(cluster, waiver, _event(world, cluster, waiver, "Waived", f"{about}: {reason}"))
    return waiver


async def remove(world: World, cluster: ClusterId, waiver: str, *, by: str) -> None:
    """See ``Lifecycle.remove_waiver``."""
    known = next((each for each in await world.store.waivers.waivers(cluster) if each.id == waiver), None)
    told = f"{known.check} of {known.component or 'all components'}" if known else waiver
    event = _event(world, cluster, known, "WaiverRemoved", f"{told} is waived no longer, by {by}")
    await world.store.waivers.remove(cluster, waiver, event)


def waiver_of(
    *,
    check: str,
    component: str,
    reason: str,
    until: str,
    owner: str,
    now: datetime,
    id: str = "",  # noqa: A002 - the waiver's own name for it
) -> Waiver:
    """A waiver, checked. Raises InvalidParameter."""
    if check in NEVER:
        raise InvalidParameter("check", f"{check} cannot be waived", remedy="Mend what it is about.")
    if check not in WAIVABLE:
        raise InvalidParameter(
            "check", f"there is no check {check!r}", remedy="Take its id as a scan or a status tells it."
        )
    if not reason.strip():
        raise InvalidParameter("reason", "is empty", remedy="Say why.")
    for name, text in {"reason": reason, "owner": owner, "component": component}.items():
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise InvalidParameter(name, f"must have up to {_LONGEST_TEXT} characters, on one line")
    end = _end_of(until)
    if not now < end <= now + LONGEST:
        raise InvalidParameter(
            "until",
            "must lie ahead, and within a year",
            remedy=f"Give a day such as {now + timedelta(days=90):%Y-%m-%d}.",
        )
    return Waiver(check, ComponentName(component) if component else None, reason.strip(), owner, end, now, id)


def read_waivers(content: object, *, now: datetime) -> tuple[Waiver, ...]:
    """The waivers of a file: a list of ``{check, component, reason, owner, until}``. Raises InvalidParameter.

    One that has ended is read all the same: a scan tells of it.
    """
    listed = content.get("waivers") if isinstance(content, Mapping) else content
    if not isinstance(listed, list):
        raise InvalidParameter("waivers", "must be a list", remedy="Write `waivers:` and below it one item for each.")
    return tuple(_read_each(listed, now))


def _read_each(listed: Iterable[Any], now: datetime) -> Iterable[Waiver]:
    for number, each in enumerate(listed, 1):
        if not isinstance(each, Mapping):
            raise InvalidParameter(f"waivers[{number}]", "must have members: check, reason, owner and until")
        texts = {name: str(each.get(name) or "") for name in ("check", "component", "reason", "owner", "until")}
        if not texts["owner"]:
            raise InvalidParameter(f"waivers[{number}].owner", "is missing", remedy="Say who answers for it.")
        end = _end_of(texts["until"])
        yield waiver_of(**texts, now=min(now, end - timedelta(seconds=1)))


def _end_of(text: str) -> datetime:
    """The end of a day, in UTC, or a moment."""
    try:
        if len(text) == len("2027-01-31"):
            return datetime.combine(date.fromisoformat(text), time.min, UTC) + timedelta(days=1)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidParameter("until", f"{text!r} is no day", remedy="Write it as 2027-01-31.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _event(world: World, cluster: ClusterId, waiver: Waiver | None, reason: str, message: str) -> Event:
    return Event(
        cluster=cluster,
        task=None,
        component=waiver.component if waiver else None,
        kind=_KIND,
        reason=reason,
        message=message,
        at=world.now(),
        level=EventLevel.WARNING,
    )
