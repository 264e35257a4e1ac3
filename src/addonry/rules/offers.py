"""Which version of a component would fit, and how a version is named where it runs.

A Helm release is named by its chart's version. A plain workload is named by its image tag, so offers are compared
with it under the tag their application version would have.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from addonry.model.catalog import CatalogEntry, Counted, KubernetesRange, Offer, PathRule, VersionScope
from addonry.model.components import Component, SourceKind
from addonry.model.ids import Version
from addonry.model.readiness import Facts
from addonry.rules.paths import Way, counted, way
from addonry.rules.versions import ConstraintError, admits, is_newer, is_prerelease, same_version, satisfies

TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


def image_tag(offer: Offer, entry: CatalogEntry | None) -> str:
    """The image tag of *offer* in a plain workload, by the entry's pattern; empty when its version makes none."""
    if not offer.app_version:
        return ""
    pattern = entry.tag if entry else "{app_version}"
    tag = pattern.format(app_version=offer.app_version.removeprefix("v"))
    # An application version is free text; a tag is not (OCI distribution specification, "Pulling manifests").
    return tag if TAG.fullmatch(tag) else ""


def version_of(offer: Offer, component: Component | None, entry: CatalogEntry | None) -> Version:
    """What *component* will say its version is once it runs *offer*."""
    if component is not None and component.found.placement.source is SourceKind.WORKLOAD:
        return Version(image_tag(offer, entry))
    return offer.version


def fits(offer: Offer, kubernetes: str, entry: CatalogEntry | None) -> bool:
    """The cluster's Kubernetes is within the chart's range and within what the catalog knows beyond it.

    An unknown Kubernetes or an unreadable range fits nothing.
    """
    return bool(kubernetes) and not misfits(offer, kubernetes, entry)


def misfits(offer: Offer, kubernetes: str, entry: CatalogEntry | None) -> str:
    """The Kubernetes that *offer* needs instead, and who says so; empty when it fits."""
    if not _admits(offer.kubernetes, kubernetes):
        return offer.kubernetes
    for known in entry.ranges if entry else ():
        if not known.is_tested and _is_outside(offer, kubernetes, known):
            return f"{known.kubernetes} ({known.evidence})"
    return ""


def untested(offer: Offer, kubernetes: str, entry: CatalogEntry | None) -> str:
    """The Kubernetes that *offer* was tested with instead, and who says so; empty when nobody says so."""
    tested = [
        known
        for known in (entry.ranges if entry else ())
        if known.is_tested and covers(known.versions, offer.version, offer.app_version)
    ]
    # Of several who have tested, one that has tested this is enough.
    if not tested or any(_admits(known.kubernetes, kubernetes) for known in tested):
        return ""
    return "; ".join(f"{known.kubernetes} ({known.evidence})" for known in tested)


def _is_outside(offer: Offer, kubernetes: str, known: KubernetesRange) -> bool:
    return covers(known.versions, offer.version, offer.app_version) and not _admits(known.kubernetes, kubernetes)


def installed_misfits(facts: Facts, kubernetes: str) -> str:
    """The Kubernetes that what is installed needs instead, and who says so; empty when it fits, or nobody knows.

    A version that is no longer on offer is known by its own numbers, so the catalog's ranges still speak of it.
    """
    component = facts.component
    if component is None:
        return ""
    is_workload = component.found.placement.source is SourceKind.WORKLOAD
    offer = find_offer(facts, component.version) or Offer(
        component=facts.name,
        version=Version("") if is_workload else component.version,
        app_version=component.version if is_workload else component.found.app_version,
        kubernetes="",
        url="",
        digest="",
    )
    return misfits(offer, kubernetes, facts.entry)


def covers(scope: VersionScope, version: str, app_version: str) -> bool:
    """Whether *scope* is about a component in chart *version* and application *app_version*; both may be unknown.

    What it says of a number that is not known is not applied.
    """
    counted = app_version if scope.of is Counted.APP else version
    return not scope.constraint or (bool(counted) and _is_within(counted, scope.constraint))


def _admits(constraint: str, kubernetes: str) -> bool:
    try:
        return admits(constraint, kubernetes)
    except ConstraintError:
        return False


def _is_within(version: str, constraint: str) -> bool:
    try:
        return satisfies(version, constraint)
    except ConstraintError:
        return False


def find_offer(facts: Facts, version: Version) -> Offer | None:
    """The offer that *version* names, under whichever name the component has where it runs."""
    for offer in facts.offers:
        if same_version(version_of(offer, facts.component, facts.entry), version):
            return offer
    return next((offer for offer in facts.offers if same_version(offer.version, version)), None)


def proposable(offers: Iterable[Offer]) -> Iterator[Offer]:
    """What may be chosen without being named: no deprecated charts and no pre-releases, as Helm does it.

    Nor what its publisher calls a pre-release, however its version reads.
    """
    return (
        offer
        for offer in offers
        if not offer.deprecated and not offer.is_prerelease and not is_prerelease(offer.version)
    )


def newer_offers(facts: Facts) -> tuple[Offer, ...]:
    """Proposable offers newer than what is installed, newest first; all of them when nothing is."""
    offers = proposable(facts.offers)
    if facts.component is None:
        return tuple(offers)
    installed = facts.component.version
    return tuple(offer for offer in offers if is_newer(version_of(offer, facts.component, facts.entry), than=installed))


def fitting_offers(facts: Facts) -> tuple[Offer, ...]:
    """Those of ``newer_offers`` that fit, newest first."""
    return tuple(offer for offer in newer_offers(facts) if fits(offer, facts.kubernetes, facts.entry))


def next_offer(facts: Facts) -> Offer | None:
    """What to upgrade to next: the newest version that fits, or the first hop on the way there."""
    found = best_way(facts)
    return found.hops[0] if found else None


def best_way(facts: Facts) -> Way | None:
    """The way to the newest version that fits and can be come to; None when there is none."""
    ways = (way_to(facts, offer) for offer in fitting_offers(facts))
    return next((found for found in ways if found.hops), None)


def way_to(facts: Facts, wanted: Offer) -> Way:
    """How to come to *wanted*, by versions that fit this cluster. Whether *wanted* itself fits is not asked."""
    rule = facts.entry.path if facts.entry else None
    if rule is None or facts.component is None:
        return Way((wanted,))
    known = tuple(proposable(facts.offers))
    return way(rule, _counted(facts, rule), wanted, by=fitting_offers(facts), known=known)


def _counted(facts: Facts, rule: PathRule) -> str:
    """The installed one of the two numbers that *rule* counts; empty when it is not known."""
    component = facts.component
    if component is None:
        return ""
    offer = find_offer(facts, component.version)
    if offer is not None:
        return counted(rule, offer)
    is_workload = component.found.placement.source is SourceKind.WORKLOAD
    if rule.of is Counted.APP:
        return component.version if is_workload else component.found.app_version
    return "" if is_workload else component.version
