"""API versions: what a component needs of the cluster, and what its stored release asks for that is gone or going.

Of objects only what Helm has stored is looked at. What is written in last-applied annotations and managed fields says how
an object was once sent and not how it is kept, and has misled other tools (FairwindsOps/pluto#495,
doitintl/kube-no-trouble#309). Of live objects the API server itself counts who still comes by an old API.
"""

from collections.abc import Iterable
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.rules.offers import find_offer, misfits
from addonry.rules.removed_apis import GUIDE, Requested, minor_number, removal_of
from addonry.rules.versions import minor_after, minor_of

TOLD_AT_MOST: Final = 5
"""Of the changes of CRDs, how many a message has room for."""


def apis_are_served(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What the catalog says that it needs of the cluster, the cluster has."""
    served = facts.surroundings.served
    missing = tuple(each for each in (facts.entry.apis if facts.entry else ()) if served and each not in served)
    if not missing:
        return None
    return Blocker(
        "ApiMissing",
        f"{facts.name} needs {', '.join(missing)}, which {facts.cluster.name} does not serve.",
        "Install what brings it (its CRDs), or a Kubernetes that has it.",
        evidence=missing,
    )


def release_apis_are_there(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Helm can still read back what it has stored: it compares the old release with the new one, object by object."""
    gone = []
    for kind in facts.component.found.kinds if facts.component else ():
        removal = removal_of(kind)
        is_removed = removal is not None and _is_by(removal.removed, facts.kubernetes)
        if is_removed or (facts.surroundings.served and kind.partition(" ")[0] not in facts.surroundings.served):
            gone.append(kind)
    if not gone or facts.component is None:
        return None
    placement = facts.component.found.placement
    return Blocker(
        "ReleaseApiRemoved",
        f"The stored release of {facts.name} has objects that Kubernetes {facts.kubernetes} does not serve: "
        f"{', '.join(gone)}. Helm cannot upgrade it.",
        f"Rewrite the record with Helm's mapkubeapis plugin: helm mapkubeapis {placement.name} "
        f"-n {placement.namespace}",
        evidence=(*gone, GUIDE),
    )


def release_apis_will_stay(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The next Kubernetes still serves what the stored release asks for."""
    going = {}
    for kind in facts.component.found.kinds if facts.component else ():
        removal = removal_of(kind)
        if removal is None or _is_by(removal.removed, facts.kubernetes):
            continue  # of what is gone already another check tells
        if _is_by(removal.deprecated, facts.kubernetes):
            going[kind] = removal
    if not going:
        return None
    first = min((each.removed for each in going.values()), key=minor_number)
    told = ", ".join(f"{kind} (gone in {removal.removed})" for kind, removal in going.items())
    return Blocker(
        "ReleaseApiDeprecated",
        f"The stored release of {facts.name} has objects of deprecated API versions: {told}.",
        f"Upgrade it to a version without them before the cluster goes to Kubernetes {first}.",
        Severity.WARNS,
        evidence=(
            *(f"{kind} -> {removal.successor or 'nothing replaces it'}" for kind, removal in going.items()),
            GUIDE,
        ),
    )


def crds_stay_safe(facts: Facts, _target: Offer | None) -> Blocker | None:
    """The CRDs of the new version break nothing that is stored, and nobody who writes it."""
    return unsafe_crd_change(facts.unsafe_crds)


def unsafe_crd_change(changes: tuple[str, ...]) -> Blocker | None:
    """The finding about these changes of CRDs; the same for a check, a plan and a task."""
    if not changes:
        return None
    more = f"; and {len(changes) - TOLD_AT_MOST} more" if len(changes) > TOLD_AT_MOST else ""
    return Blocker(
        "UnsafeCrdChange",
        f"Objects that are stored may break, or those who write them: {'; '.join(changes[:TOLD_AT_MOST])}{more}.",
        "See that no object is affected and ask again with --allow-unsafe-crds (`unsafe_crds` in the API); a rollback "
        "does not take CRDs back.",
        evidence=changes,
    )


def requested_apis_will_stay(requested: Iterable[Requested] | None, kubernetes: str) -> Blocker | None:
    """Nobody asks the cluster for what *kubernetes* no longer serves. About the cluster, so no check of a component.

    None for *requested* is a cluster that does not tell.
    """
    if requested is None:
        return Blocker(
            "NotChecked",
            "The API server's metrics may not be read, so nobody knows whether somebody still asks for APIs that go.",
            "Allow to get the path /metrics.",
            Severity.WARNS,
        )
    going = [each for each in requested if _is_by(each.removed, kubernetes)]
    if not going:
        return None
    told = ", ".join(f"{each.api} (gone in {each.removed})" for each in going)
    return Blocker(
        "RemovedApiRequested",
        f"Since its API server was started, somebody has asked the cluster for {told}.",
        "Find out who, from the audit log, and upgrade that client first. The count begins anew with the API server.",
        Severity.WARNS,
        evidence=(*(each.api for each in going), GUIDE),
    )


def _is_by(minor: str, kubernetes: str) -> bool:
    """Whether *minor* has come with *kubernetes*."""
    now = minor_number(minor_of(kubernetes))
    return now > (0, 0) and minor_number(minor) <= now


def fits_next_kubernetes(facts: Facts, target: Offer | None) -> Blocker | None:
    """What would run after the change runs on the next Kubernetes too."""
    following = minor_after(facts.kubernetes)
    would_run = target or (find_offer(facts, facts.component.version) if facts.component else None)
    needed = misfits(would_run, f"{following}.0", facts.entry) if following and would_run else ""
    if would_run is None or not needed or misfits(would_run, facts.kubernetes, facts.entry):
        return None
    return Blocker(
        "NextKubernetes",
        f"{facts.name} {would_run.version} needs Kubernetes {needed}: it holds up an upgrade of the cluster to {following}.",
        "Look for a newer version before that.",
        Severity.WARNS,
        evidence=(needed,),
    )
