"""What publishers say of the versions on the way: fixes of security, breaking changes, what was tested."""

from typing import Final

from addonry.model.catalog import Offer
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.rules.offers import untested, version_of
from addonry.rules.versions import is_newer

PUBLISHED: Final = frozenset({"SecurityFixes", "BreakingChanges", "Untested"})
"""What a plan repeats of these checks."""


def has_no_known_holes(facts: Facts, target: Offer | None) -> Blocker | None:
    """No version on the way to the target fixes security issues that what is installed then has."""
    fixing = [offer for offer in _on_the_way(facts, target) if offer.fixes_security]
    if not fixing or facts.component is None:
        return None
    names = ", ".join(version_of(offer, facts.component, facts.entry) for offer in fixing)
    return Blocker(
        "SecurityFixes",
        f"{facts.name} {facts.component.version} lacks fixes of security issues; they came with {names}.",
        "Upgrade it soon.",
        Severity.WARNS,
        tuple(note.text for offer in fixing for note in offer.notes if note.kind == "security"),
    )


def breaks_nothing(facts: Facts, target: Offer | None) -> Blocker | None:
    """No version on the way to the target comes with what its publisher calls a breaking change."""
    breaking = [offer for offer in _on_the_way(facts, target) if offer.is_breaking]
    if not breaking or facts.component is None:
        return None
    names = ", ".join(version_of(offer, facts.component, facts.entry) for offer in breaking)
    return Blocker(
        "BreakingChanges",
        f"The publisher of {facts.name} tells of breaking changes in {names}.",
        "Read its release notes before the upgrade.",
        Severity.WARNS,
        tuple(note.text for offer in breaking for note in offer.notes if note.is_breaking),
    )


def was_tested(facts: Facts, target: Offer | None) -> Blocker | None:
    """Somebody has tested the version to go to with this Kubernetes, where anybody says what they have tested."""
    tested = untested(target, facts.kubernetes, facts.entry) if target and facts.kubernetes else ""
    if target is None or not tested:
        return None
    return Blocker(
        "Untested",
        f"{facts.name} {target.version} was tested with Kubernetes {tested}, and the cluster runs {facts.kubernetes}.",
        "Try it where it does no harm first.",
        Severity.WARNS,
    )


def _on_the_way(facts: Facts, target: Offer | None) -> list[Offer]:
    """The versions above the installed one, up to the target, newest first."""
    component = facts.component
    if component is None or target is None:
        return []

    def told(offer: Offer) -> str:
        return version_of(offer, component, facts.entry)

    return [
        offer
        for offer in facts.offers
        if is_newer(told(offer), than=component.version) and not is_newer(told(offer), than=told(target))
    ]
