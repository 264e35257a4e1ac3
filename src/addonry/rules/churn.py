"""What is changed so often that nobody can be behind it but two who fight, or one who fights with himself.

Two questions: whether something has been changed too often for its age, which a single look can tell; and whether it is
being changed too often now, which takes several.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from addonry.model.components import Component, Found
from addonry.model.owners import Turnover, Watch
from addonry.rules.owners import Marks

MANY: Final = 100
"""Changes that are not worth a thought, however fast they came."""
_A_DAY: Final = 10.0
_REVISION: Final = "deployment.kubernetes.io/revision"
"""Counts the rollouts of a Deployment. Autoscalers change its generation, and not this."""


def turnover_of(marks: Marks, generation: int, created_at: datetime | None) -> Turnover | None:
    """How often a workload was changed, where that is often: the rollouts of a Deployment, else the changes to its
    specification.
    """
    what = "rollouts" if _REVISION in marks.annotations else "changes"
    return often(f"{what} of {marks.title}", changes_of(marks, generation), created_at)


def often(what: str, count: int, since: datetime | None) -> Turnover | None:
    """A turnover worth keeping: more than a hundred changes. Whether it is too much, the age says (``is_churn``)."""
    return Turnover(what, count, since) if since is not None and count > MANY else None


def is_churn(turnover: Turnover, now: datetime) -> bool:
    """Whether something changes so often that no person can be behind it: over a hundred times, ten a day or more.

    The cases to catch are far beyond: a release at revision 352,140 (Azure/AKS#5822), one at 9,792
    (kubermatic/kubermatic#13915).
    """
    return turnover.count > MANY and per_day(turnover, now) >= _A_DAY


def per_day(turnover: Turnover, now: datetime) -> float:
    """Changes a day, on average since it came into being; its first day counts as a whole one."""
    days = max((now - turnover.since).total_seconds() / 86_400, 1.0)
    return turnover.count / days


# From scan to scan.

WINDOW: Final = timedelta(hours=6)
_MANY_IN_A_WINDOW: Final = 12


def changes_of(marks: Marks, generation: int) -> int:
    """A number that grows by one or more with each change of a workload that is not an autoscaler's."""
    revision = marks.annotations.get(_REVISION, "")
    return int(revision) if revision.isdecimal() else generation


def watched(components: Iterable[Component], before: Iterable[Component], now: datetime) -> tuple[Component, ...]:
    """*components* of this scan, with how often each was changed since it was first seen in the scans before."""
    known = {component.found.placement: component.found.watch for component in before}
    return tuple(replace(each, found=_watched(each.found, known.get(each.found.placement), now)) for each in components)


def _watched(found: Found, before: Watch | None, now: datetime) -> Found:
    return replace(found, watch=_go_on(before, found.changes, now), changes={})


def _go_on(watch: Watch | None, changes: Mapping[str, int], now: datetime) -> Watch:
    if watch is None:
        return Watch(now, changes, changes)
    if now - watch.since < WINDOW:
        # What is new since, or was made anew, begins with what it has.
        is_old = {part for part, count in changes.items() if count >= watch.last.get(part, count + 1)}
        first = {part: watch.first.get(part, count) if part in is_old else count for part, count in changes.items()}
        return replace(watch, first=first, last=changes)
    # After a silence of ours, nobody knows in which window the changes fell.
    is_next = now - watch.since < 2 * WINDOW
    return Watch(now, changes, changes, before=replace(watch, before=0).changes if is_next else 0)


def is_restless(watch: Watch) -> bool:
    """Whether one part was changed a dozen times within six hours, as nobody does by hand."""
    return watch.changes >= _MANY_IN_A_WINDOW
