"""Can a component be changed now, and if not, why not and what to do about it.

All checks are asked, so that a caller sees every obstacle at once. To add one, write a function that takes the
facts and the target and returns a Blocker or None, name it in CHECKS, and give its id a row in
``docs/reference/checks.md``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.clusters import Reach
from addonry.model.components import Health, ReleaseStatus, SourceKind
from addonry.model.ids import Version
from addonry.model.readiness import Blocker, Facts, Readiness, Severity
from addonry.model.tasks import TaskKind
from addonry.rules.offers import find_offer, misfits, newer_offers, next_offer, version_of
from addonry.rules.versions import is_newer

Check = Callable[[Facts, Offer | None], Blocker | None]


def assess(facts: Facts) -> Readiness:
    """Weigh the component's next change: the upgrade to the newest version that fits, or its installation.

    Being up to date is no obstacle: such a component is ready and has no target. Looks nothing up and reserves
    nothing: the cluster may change between this answer and the upgrade, so the preflight step asks again.
    """
    target = next_offer(facts)
    return Readiness(_ask(CHECKS, facts, target), target)


def assess_change(facts: Facts, version: Version | None, kind: TaskKind) -> Readiness:
    """Weigh one change that was asked for: to *version*, or to the newest that fits when it is None.

    Beside the checks of ``assess``, those of the kind of change are asked. The target of an uninstall is None.
    """
    if kind is TaskKind.UNINSTALL:
        target = None
    else:
        target = next_offer(facts) if version is None else find_offer(facts, version)
    return Readiness(_ask(FOR[kind], facts, target), target)


def assess_cluster_upgrade(facts: Facts, kubernetes: str) -> Readiness:
    """Weigh what an upgrade of the cluster to *kubernetes* means for a component that stays as it is.

    The target is the version to go to before, when one is needed.
    """
    there = replace(facts, cluster=replace(facts.cluster, kubernetes=kubernetes))
    needed = next_offer(there) if outlives_upgrade(there, None) else None
    return Readiness(_ask(CLUSTER_UPGRADE, there, needed), needed)


def _ask(checks: tuple[Check, ...], facts: Facts, target: Offer | None) -> tuple[Blocker, ...]:
    found = (check(facts, target) for check in checks)
    return tuple(blocker for blocker in found if blocker is not None)


def is_installed(facts: Facts, _target: Offer | None) -> Blocker | None:
    """An upgrade needs something to upgrade."""
    if facts.component is not None:
        return None
    return Blocker(
        "NotInstalled",
        f"{facts.name} is not installed on {facts.cluster.name}.",
        f"Install it: addonry install {facts.cluster.name} {facts.name}",
    )


def is_not_installed(facts: Facts, _target: Offer | None) -> Blocker | None:
    """An installation needs nothing to be there."""
    if facts.component is None:
        return None
    return Blocker(
        "AlreadyInstalled",
        f"{facts.name} is already installed in version {facts.component.version}.",
        f"Upgrade it: addonry upgrade {facts.cluster.name} {facts.name}",
    )


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


def has_what_it_requires(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What the component needs is there, or comes with the same task."""
    if not facts.lacking:
        return None
    return Blocker(
        "Requires",
        f"{facts.name} requires {', '.join(facts.lacking)}, which {facts.cluster.name} does not have.",
        f"Install it with it: addonry install {facts.cluster.name} {' '.join(facts.lacking)} {facts.name}",
    )


def is_not_required(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nothing else on the cluster needs it, and the cluster works without it."""
    if facts.entry is not None and facts.entry.required:
        return Blocker(
            "Required",
            f"A cluster does not work without {facts.name}.",
            "Leave it installed; another version or other values can be had with upgrade and configure.",
        )
    if facts.required_by:
        return Blocker(
            "RequiredBy",
            f"{facts.name} is required by {', '.join(facts.required_by)}.",
            f"Uninstall what requires it as well: addonry uninstall {facts.cluster.name} "
            f"{' '.join(facts.required_by)} {facts.name}",
        )
    return None


def is_a_release(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Somebody has recorded what belongs to it and what it was given: Helm, in the release."""
    if facts.component is None or facts.component.found.placement.source is SourceKind.HELM:
        return None
    placement = facts.component.found.placement
    return Blocker(
        "NotARelease",
        f"{facts.name} is a plain {placement.kind}: nobody has recorded what belongs to it, and it takes no values.",
        f"Change it the way it was installed, or by hand: kubectl -n {placement.namespace} get {placement.kind.lower()} "
        f"{placement.name}",
    )


def is_offered(facts: Facts, target: Offer | None) -> Blocker | None:
    """There is a version to go to."""
    if target is not None:
        return None
    refused = explain_no_target(facts, None)
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


def is_reachable(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The cluster answered when it was last asked."""
    match facts.cluster.reach:
        case Reach.ANSWERS:
            return None
        case Reach.UNKNOWN:
            return Blocker("NotScanned", "The cluster was not looked at yet.", "Wait a moment, or scan it now.")
        case Reach.REFUSED:
            remedy = "Register the cluster again with valid credentials."
        case Reach.UNREACHABLE:
            remedy = "Check that its API server runs and can be reached from here."
    return Blocker("ClusterUnreachable", f"The cluster does not answer: {facts.cluster.trouble}", remedy)


def no_task_running(facts: Facts, _target: Offer | None) -> Blocker | None:
    """One task per component at a time."""
    if facts.live_task is None:
        return None
    return Blocker(
        "TaskRunning",
        f"Task {facts.live_task} is running on it.",
        f"Wait until it has ended: addonry tasks show {facts.live_task}",
    )


def workloads_are_healthy(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What runs now works: an upgrade over a broken component cannot be told from a broken upgrade."""
    if facts.component is None or facts.component.found.health not in {Health.FAILED, Health.IN_PROGRESS}:
        return None
    found = facts.component.found
    words = "is failing" if found.health is Health.FAILED else "is still moving"
    return Blocker(
        "WorkloadUnhealthy",
        f"{facts.name} {words}: {found.message or 'not every pod is ready'}.",
        f"Mend it first: kubectl -n {found.placement.namespace} get pods",
    )


def release_is_not_stuck(facts: Facts, _target: Offer | None) -> Blocker | None:
    """No Helm operation is under way, or was left behind (helm/helm#8987)."""
    if facts.component is None or not facts.component.found.status.is_stuck:
        return None
    found = facts.component.found
    where = f"{found.placement.name} -n {found.placement.namespace}"
    back = "helm uninstall" if found.status is ReleaseStatus.PENDING_INSTALL else "helm rollback"
    return Blocker(
        "ReleaseStuck",
        f"Helm release {found.placement.name} is {found.status} since revision {found.revision}.",
        f"If no Helm operation is running on it, free it: {back} {where}",
    )


def values_are_valid(facts: Facts, target: Offer | None) -> Blocker | None:
    """The present values pass the new chart's schema."""
    if target is None or facts.values_errors is None:
        return None
    errors = facts.values_errors.get(target.version, ())
    if not errors:
        return None
    return Blocker(
        "ValuesInvalid",
        f"The present values do not fit the schema of {target.version}: {'; '.join(errors)}.",
        "Give corrected values with the upgrade (--set or --values).",
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


def explain_no_target(facts: Facts, target: Offer | None) -> Blocker | None:
    """Newer versions exist, but none fits: which one, and what it needs."""
    if target is not None or facts.entry is None or not facts.kubernetes:
        return None
    newer = newer_offers(facts)
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


def was_made_by_hand(facts: Facts, _target: Offer | None) -> Blocker | None:
    """A plain workload is upgraded by its image alone: manifests that changed between versions stay as they are."""
    if facts.component is None or facts.component.found.placement.source is not SourceKind.WORKLOAD:
        return None
    return Blocker(
        "PlainWorkload",
        f"{facts.name} is a plain {facts.component.found.placement.kind}: an upgrade changes its image and nothing else.",
        "Read the release notes for changes to its manifests, or install it from its chart.",
        Severity.WARNS,
    )


ASKED: Final[tuple[Check, ...]] = (is_offered, fits_kubernetes)
"""Asked of a version somebody wants."""

CHECKS: Final[tuple[Check, ...]] = (
    is_reachable,
    no_task_running,
    release_is_not_stuck,
    workloads_are_healthy,
    values_are_valid,
    explain_no_target,
    is_known,
    catalog_is_fresh,
    was_made_by_hand,
)
"""Asked always, in the order in which they are told."""

CLUSTER_UPGRADE: Final[tuple[Check, ...]] = (outlives_upgrade, is_reachable, no_task_running, workloads_are_healthy)
"""Asked of what stays while the cluster under it is upgraded."""

FOR: Final[Mapping[TaskKind, tuple[Check, ...]]] = {
    TaskKind.INSTALL: (is_not_installed, has_what_it_requires, *ASKED, *CHECKS),
    TaskKind.UPGRADE: (is_installed, is_newer_version, *ASKED, *CHECKS),
    # Other values may be what mends it, so neither its health nor its present values are in the way.
    TaskKind.CONFIGURE: (is_installed, is_a_release, *ASKED, is_reachable, no_task_running, release_is_not_stuck),
    TaskKind.UNINSTALL: (is_installed, is_a_release, is_not_required, is_reachable, no_task_running),
}
"""Asked of a change of each kind, in the order in which they are told."""
