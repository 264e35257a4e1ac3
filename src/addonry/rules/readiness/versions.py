"""The version to go to: is there one, is it newer, does it fit."""

from addonry.model.catalog import Offer
from addonry.model.components import SourceKind
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.rules.offers import find_offer, fitting_offers, misfits, newer_offers, next_offer, version_of, way_to
from addonry.rules.versions import is_newer


def is_newer_version(facts: Facts, target: Offer | None) -> Blocker | None:
    """The wanted version is above the installed one."""
    if facts.component is None or target is None:
        return None
    wanted = version_of(target, facts.component, facts.entry)
    if is_newer(wanted, than=facts.component.version):
        return None
    return Blocker(
        "NotNewer",
        f"{facts.name} runs {facts.component.version}; {wanted} is not newer.",
        "Ask for a newer version; to go back after an upgrade, use the rollback of its own source (helm rollback).",
    )


def is_offered(facts: Facts, target: Offer | None) -> Blocker | None:
    """There is a version to go to."""
    if target is not None:
        return None
    refused = explain_no_target(facts, None) or way_is_open(facts, None)
    if refused is None and facts.component is not None and facts.offers:
        return Blocker(
            "NoVersion",
            f"{facts.name} runs {facts.component.version}, the newest version that fits.",
            "There is nothing to do.",
        )
    return Blocker(
        "NoVersion",
        refused.message if refused else f"No version of {facts.name} is on offer.",
        refused.remedy if refused else "Check the chart repository with `addonry catalog show`.",
    )


def fits_kubernetes(facts: Facts, target: Offer | None) -> Blocker | None:
    """The wanted version runs on this Kubernetes."""
    needed = misfits(target, facts.kubernetes, facts.entry) if target and facts.kubernetes else ""
    if target is None or not needed:
        return None
    return Blocker(
        "KubernetesVersion",
        f"{facts.name} {target.version} needs Kubernetes {needed}; the cluster runs {facts.kubernetes}.",
        "Choose a version that fits, or upgrade the cluster first.",
    )


def skips_no_version(facts: Facts, target: Offer | None) -> Blocker | None:
    """The wanted version may be gone to at once: the catalog knows of none between that must not be skipped."""
    rule = facts.entry.path if facts.entry else None
    if facts.component is None or target is None or rule is None:
        return None
    wanted = version_of(target, facts.component, facts.entry)
    found = way_to(facts, target)
    if not found.is_long or not is_newer(wanted, than=facts.component.version):
        return None
    names = [version_of(offer, facts.component, facts.entry) for offer in found.hops]
    way = f"go by {', '.join(names[:-1])}" if names else f"no {found.missing} that fits is on offer to go by"
    return Blocker(
        "VersionsSkipped",
        f"From {facts.component.version}, {facts.name} {wanted} cannot be gone to at once: "
        f"one {rule.by} version at a time ({rule.evidence}); {way}.",
        f"Go the whole way: addonry upgrade {facts.cluster.name} {facts.name}@{wanted} --wait"
        if names
        else f"Choose a version below {found.missing}, or follow the component's own instructions.",
    )


def way_is_open(facts: Facts, target: Offer | None) -> Blocker | None:
    """Where newer versions fit, one of them can be gone to: which step is missing when none can."""
    fitting = fitting_offers(facts)
    if target is not None or not fitting:
        return None
    first = fitting[-1]
    return Blocker(
        "VersionsSkipped",
        f"{facts.name} {first.version} fits, and there is no way to it: no {way_to(facts, first).missing} that fits is "
        "on offer, and none may be skipped.",
        "Follow the component's own instructions for an upgrade from so far behind.",
        Severity.WARNS,
    )


def outlives_upgrade(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What is installed runs on the Kubernetes that the cluster is to have."""
    if facts.component is None:
        return None
    installed = find_offer(facts, facts.component.version)
    needed = misfits(installed, facts.kubernetes, facts.entry) if installed else ""
    if not needed:
        return None
    better = next_offer(facts)
    return Blocker(
        "KubernetesVersion",
        f"{facts.name} {facts.component.version} needs Kubernetes {needed}; the cluster is to run {facts.kubernetes}.",
        f"Upgrade it first, {better.version} fits: addonry upgrade {facts.cluster.name} {facts.name}@{better.version}"
        if better
        else "No version on offer fits; stay on the present Kubernetes.",
    )


def explain_no_target(facts: Facts, target: Offer | None) -> Blocker | None:
    """Newer versions exist, but none fits: which one, and what it needs."""
    if target is not None or facts.entry is None or not facts.kubernetes:
        return None
    newer = newer_offers(facts)
    if fitting_offers(facts):
        return None  # something fits; that it cannot be gone to is the business of way_is_open
    if not newer:
        if facts.component is not None or facts.offers:
            return None
        return Blocker(
            "NoVersion",
            f"No version of {facts.name} is on offer.",
            "Check its chart repository with `addonry catalog show`.",
            Severity.WARNS,
        )
    first = newer[-1]
    return Blocker(
        "KubernetesVersion",
        f"{facts.name} {first.version} needs Kubernetes {misfits(first, facts.kubernetes, facts.entry)}; "
        f"the cluster runs {facts.kubernetes}.",
        "Upgrade the cluster first.",
        Severity.WARNS,
    )


def is_known(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The catalog knows where new versions come from."""
    if facts.entry is not None:
        return None
    return Blocker(
        "NotInCatalog",
        f"The catalog does not know {facts.name}, so no newer version can be named.",
        "Describe it in a catalog directory of your own (ADDONRY_CATALOG).",
        Severity.WARNS,
    )


def has_versions(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Newer versions can be named under the name that they would have where it runs."""
    entry = facts.entry
    if facts.component is None or entry is None:
        return None
    notes = f" Its releases: {entry.notes}" if entry.notes else ""
    if entry.source is None:
        return Blocker(
            "NoCharts",
            f"The catalog recognises {facts.name} and knows no charts of it, so no newer version can be named.",
            f"Upgrade it the way it was installed.{notes}",
            Severity.WARNS,
        )
    if facts.component.found.placement.source is SourceKind.WORKLOAD and not entry.tag:
        return Blocker(
            "NoCharts",
            f"The charts of {facts.name} do not tell the tags of its images, so no newer version can be named here.",
            f"Upgrade it the way it was installed, or install it from its chart.{notes}",
            Severity.WARNS,
        )
    return None


def catalog_is_fresh(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The chart repository could be read."""
    if not facts.catalog_trouble:
        return None
    return Blocker(
        "CatalogUnavailable",
        facts.catalog_trouble,
        "What was read before is still used; try again with `addonry catalog sync`.",
        Severity.WARNS,
    )
