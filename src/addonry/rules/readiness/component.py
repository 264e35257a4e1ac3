"""What runs, as it runs now: is it there, does it work, is somebody else at work on it."""

from addonry.model.catalog import Offer
from addonry.model.components import Health, ReleaseStatus, SourceKind
from addonry.model.readiness import Blocker, Facts, Severity

RIGHTS_SHOWN = 5


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


def no_task_running(facts: Facts, _target: Offer | None) -> Blocker | None:
    """One task per component at a time."""
    if facts.live_task is None:
        return None
    return Blocker(
        "TaskRunning",
        f"Task {facts.live_task} is running on it.",
        f"Wait until it has ended: addonry tasks show {facts.live_task}",
    )


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


def has_a_way_back(facts: Facts, _target: Offer | None) -> Blocker | None:
    """There is a revision that a rollback would bring back."""
    if facts.component is None or facts.component.found.placement.source is not SourceKind.HELM:
        return None
    found = facts.component.found
    if found.deployed or not (found.status.is_stuck or found.status is ReleaseStatus.FAILED):
        return None
    return Blocker(
        "NoRollback",
        f"No revision of Helm release {found.placement.name} is deployed: if a change fails, nothing can be brought back.",
        f"Look at what there was: helm history {found.placement.name} -n {found.placement.namespace}",
        Severity.WARNS,
        evidence=(f"revision {found.revision} is {found.status}",),
    )


def may_be_changed(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The credentials may do to each of its objects what a change does; asked of the cluster right before one."""
    if not facts.missing_rights:
        return None
    shown = ", ".join(facts.missing_rights[:RIGHTS_SHOWN])
    more = len(facts.missing_rights) - RIGHTS_SHOWN
    return Blocker(
        "RightsMissing",
        f"The cluster's credentials may not {shown}{f', and {more} more' if more > 0 else ''}.",
        "Give the kubeconfig's user these permissions (a ClusterRole and a binding), and try again.",
        evidence=facts.missing_rights,
    )
