"""What is known beforehand of a version and of a moment: ends of life, risks, windows."""

from datetime import timedelta
from typing import Final

from addonry.model.catalog import Offer, Risk
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.rules.offers import covers
from addonry.rules.outlook import end_of_life
from addonry.rules.versions import ConstraintError, satisfies
from addonry.rules.windows import DAYS, Window, read_window

END_SOON: Final = timedelta(days=90)


def is_maintained(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Somebody still mends what is installed."""
    end = end_of_life(facts)
    if facts.component is None or end is None or facts.now is None:
        return None
    found, today = facts.component.found, facts.now.date()
    if end.day - today > END_SOON:
        return None
    words = f"is not maintained since {end.day}" if end.day <= today else f"will not be maintained from {end.day} on"
    return Blocker(
        "EndOfLife",
        f"{facts.name} {found.version} {words}: no fixes, not even of security holes.",
        f"Go to {end.successor}." if end.successor else "Upgrade it, or look for a successor.",
        Severity.WARNS,
        evidence=(end.evidence,),
    )


def carries_no_risk(facts: Facts, target: Offer | None) -> Blocker | None:
    """Nothing is known to go wrong on the way to the version."""
    risks = [each for each in _risks(facts, target) if each.blocks]
    if not risks:
        return None
    return Blocker("KnownRisk", _messages(risks), _remedies(risks), evidence=_pages(risks))


def carries_no_lesser_risk(facts: Facts, target: Offer | None) -> Blocker | None:
    """Nor something that one should know."""
    risks = [each for each in _risks(facts, target) if not each.blocks]
    if not risks:
        return None
    return Blocker("KnownIssue", _messages(risks), _remedies(risks), Severity.WARNS, evidence=_pages(risks))


def _messages(risks: list[Risk]) -> str:
    return " ".join(each.message for each in risks)


def _remedies(risks: list[Risk]) -> str:
    return " ".join(dict.fromkeys(each.remedy for each in risks))


def _pages(risks: list[Risk]) -> tuple[str, ...]:
    return tuple(f"{each.id}: {each.evidence}" for each in risks)


def _risks(facts: Facts, target: Offer | None) -> list[Risk]:
    if target is None or facts.entry is None:
        return []
    return [
        each
        for each in facts.entry.risks
        if covers(each.versions, target.version, target.app_version)
        and (not each.origin or (facts.component is not None and _is(facts.component.version, each.origin)))
        and (not each.kubernetes or _is(facts.kubernetes, each.kubernetes))
    ]


def _is(version: str, constraint: str) -> bool:
    try:
        return satisfies(version, constraint)
    except ConstraintError:
        return False


def is_in_its_window(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The cluster may be changed now: an enforced maintenance window is open."""
    window = read_window(facts.maintenance_window)
    if window is None or not window.is_enforced or facts.now is None or window.holds(facts.now):
        return None
    return Blocker(
        "OutsideWindow",
        f"The cluster is changed in its maintenance window only; {_next(window, facts)}.",
        "Wait for it, or waive this check with a reason: addonry waivers add.",
        evidence=(_told(window),),
    )


def is_in_its_wished_window(facts: Facts, _target: Offer | None) -> Blocker | None:
    """It is told when one is not, where it is a wish and no rule."""
    window = read_window(facts.maintenance_window)
    if window is None or window.is_enforced or facts.now is None or window.holds(facts.now):
        return None
    return Blocker(
        "WindowClosed",
        f"The maintenance window of the cluster is closed; {_next(window, facts)}.",
        "Wait for it if you can.",
        Severity.WARNS,
        evidence=(_told(window),),
    )


def _next(window: Window, facts: Facts) -> str:
    assert facts.now is not None
    if excluded := window.exclusion(facts.now):
        return f"{excluded} excludes this moment"
    opens = window.next_after(facts.now)
    return f"it opens on {opens:%Y-%m-%d at %H:%M %Z}" if opens else "it does not open within two months"


def _told(window: Window) -> str:
    days = ", ".join(DAYS[day] for day in sorted(window.days))
    return f"{days} from {window.start:%H:%M %Z} for {window.duration.total_seconds() / 3600:g} h"
