"""What lies ahead of a component: the newest version there is, the end of the installed one, and the way back."""

from addonry.model.catalog import EndOfLife
from addonry.model.components import Found, ReleaseStatus, SourceKind
from addonry.model.outlook import Outlook
from addonry.model.readiness import Facts
from addonry.rules.offers import covers, proposable, version_of


def look_ahead(facts: Facts) -> Outlook:
    """The outlook of a component, installed or not."""
    newest = next(iter(proposable(facts.offers)), None)
    end = end_of_life(facts)
    return Outlook(
        newest=version_of(newest, facts.component, facts.entry) if newest else None,
        end=end,
        has_ended=end is not None and facts.now is not None and end.day <= facts.now.date(),
        can_roll_back=_can_roll_back(facts.component.found) if facts.component else None,
    )


def end_of_life(facts: Facts) -> EndOfLife | None:
    """The first day from which on nobody mends the installed version, as far as the catalog knows."""
    if facts.component is None or facts.entry is None:
        return None
    found = facts.component.found
    ends = [each for each in facts.entry.ends if covers(each.versions, found.version, found.app_version)]
    return min(ends, key=lambda each: each.day, default=None)


def _can_roll_back(found: Found) -> bool | None:
    if found.placement.source is SourceKind.WORKLOAD:
        return True  # what it was is remembered before it is changed
    if found.status is ReleaseStatus.UNKNOWN:
        return None
    return bool(found.deployed)
