"""Whose is it: would somebody put back what we change, do two fight over it, does anybody hold it still.

What an owner does about foreign changes was read from its own objects. To tell people what to do about one more owner,
add its sentence to REMEDIES.
"""

from collections.abc import Mapping
from typing import Final

from addonry.model.catalog import Offer
from addonry.model.components import Driver
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.model.readiness import Blocker, Facts, Severity
from addonry.rules.churn import WINDOW, is_churn, is_restless, per_day

_TOLD: Final = 5
"""How many conflicts the evidence names; a release may have dozens of workloads."""


def has_one_owner(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nobody else holds it for his own: two owners undo each other's changes, whoever begins."""
    conflicts = facts.component.found.conflicts if facts.component else ()
    if not conflicts:
        return None
    first = conflicts[0]
    titles = [claim.by.title for claim in first.claims]
    return Blocker(
        "TwoOwners",
        f"{first.subject} belongs to {' and to '.join(titles)}; each would undo what the other did.",
        f"Decide who keeps it, and take it out of the other: {titles[0]} or {', '.join(titles[1:])}.",
        evidence=tuple(
            f"{each.subject}: " + ", ".join(f"{claim.by.title} ({claim.sign})" for claim in each.claims)
            for each in conflicts[:_TOLD]
        ),
    )


REMEDIES: Final[Mapping[tuple[Owner, str], str]] = {
    (Owner.ARGO_CD, "Application"): "Change the version in the source of Application {name}, and let Argo CD sync it.",
    (Owner.FLUX, "HelmRelease"): "Change the chart's version in HelmRelease {name} where it is kept, or hand it over: "
    "flux suspend helmrelease {name} -n {namespace}",
    (Owner.FLUX, "Kustomization"): "Change it in the source of Kustomization {name}, or hand it over: "
    "flux suspend kustomization {name} -n {namespace}",
    (
        Owner.K3S,
        "Addon",
    ): "It is upgraded with k3s; to manage it here, disable its manifest on the servers (--disable).",
    (
        Owner.K3S,
        "HelmChart",
    ): "Change the chart's version in HelmChart {namespace}/{name}; one that k3s brings is upgraded with k3s.",
    (
        Owner.RKE2,
        "Addon",
    ): "It is upgraded with RKE2; to manage it here, disable its manifest on the servers (disable).",
    (Owner.RKE2, "HelmChart"): "It is upgraded with RKE2; to manage it here, start the servers with disable: {name}.",
    (Owner.OLM, "Subscription"): "Change the channel of Subscription {namespace}/{name}, or approve its install plan.",
    (Owner.OLM, "ClusterExtension"): "Change the version or channel of ClusterExtension {name}.",
    (Owner.EKS, "add-on"): "Upgrade it as an EKS add-on: "
    "aws eks update-addon --cluster-name CLUSTER --addon-name {name}",
    (Owner.AKS, "add-on"): "AKS upgrades it with the cluster.",
    (Owner.GKE, "add-on"): "GKE upgrades it with the cluster.",
    (Owner.ACK, "component"): "Upgrade it through ACK itself: give this command ACK's own endpoint.",
}
"""What to do instead, by owner and kind of its object; ``_ANYWHERE`` where nothing better is known."""

_ANYWHERE: Final = "Change it where it is managed: {title}."

_CONSEQUENCES: Final[Mapping[Upkeep, str]] = {
    Upkeep.CORRECTS: "which puts back whatever is changed here",
    Upkeep.APPLIES: "whose next change overwrites whatever is changed here",
    Upkeep.UNKNOWN: "which may put back whatever is changed here",
    Upkeep.PAUSED: "which puts back whatever is changed here once it goes on",
}


def is_managed_here(facts: Facts, _target: Offer | None) -> Blocker | None:
    """A change made here would last. One that is at rest is no obstacle, and worth knowing."""
    ref = facts.component.found.owner_ref if facts.component else None
    if ref is None or ref.owner is Owner.HELM or ref.upkeep is Upkeep.NONE:
        return None
    note = f" ({ref.note})" if ref.note else ""
    return Blocker(
        "ManagedElsewhere",
        f"{facts.name} is managed by {ref.title}{note}, {_CONSEQUENCES[ref.upkeep]}.",
        _remedy(ref),
        Severity.WARNS if ref.upkeep is Upkeep.PAUSED else Severity.BLOCKS,
    )


def _remedy(ref: OwnerRef) -> str:
    sentence = REMEDIES.get((ref.owner, ref.kind), _ANYWHERE) if ref.name else _ANYWHERE
    return sentence.format(name=ref.name, namespace=ref.namespace or "NAMESPACE", title=ref.title)


_FIND_OUT: Final = (
    "Find out who changes it (kubectl get --show-managed-fields, helm history) before changing it yourself."
)
_HOURS: Final = WINDOW.total_seconds() / 3600


def is_at_rest(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Nothing changes it over and over: a sign that two fight over it, or that one fights with itself."""
    component = facts.component
    if component is None or component.observed_at is None:
        return None
    now, watch = component.observed_at, component.found.watch
    if watch is not None and is_restless(watch):
        return Blocker(
            "Churn",
            f"{facts.name} does not come to rest: it was changed {watch.changes} times within {_HOURS:.0f} hours.",
            _FIND_OUT,
            Severity.WARNS,
            evidence=tuple(
                f"{part}: change {count}, {watch.first[part]} at {watch.since:%Y-%m-%d %H:%M}"
                for part, count in watch.last.items()
                if count > watch.first.get(part, count)
            )[:_TOLD],
        )
    restless = [each for each in component.found.turnovers if is_churn(each, now)]
    if not restless:
        return None
    worst = max(restless, key=lambda each: per_day(each, now))
    return Blocker(
        "Churn",
        f"{facts.name} does not come to rest: {worst.count} {worst.what}, about {per_day(worst, now):.0f} a day.",
        _FIND_OUT,
        Severity.WARNS,
        evidence=tuple(f"{each.count} {each.what} since {each.since:%Y-%m-%d}" for each in restless[:_TOLD]),
    )


def release_is_where_helm_looks(facts: Facts, _target: Offer | None) -> Blocker | None:
    """Helm's records are Secrets, which is where the Helm that we start keeps its own."""
    if facts.component is None or facts.component.found.driver is Driver.SECRETS:
        return None
    placement = facts.component.found.placement
    return Blocker(
        "ReleaseInConfigMaps",
        f"Helm keeps release {placement.name} in ConfigMaps, which are read here and not written.",
        f"Upgrade it with HELM_DRIVER=configmap helm upgrade {placement.name} -n {placement.namespace}",
    )


def version_is_known(facts: Facts, _target: Offer | None) -> Blocker | None:
    """What runs says which version it is."""
    if facts.component is None or facts.component.version or not facts.component.found.no_version:
        return None
    return Blocker(
        "VersionUnknown",
        f"Which version of {facts.name} runs is not known: {facts.component.found.no_version}.",
        "Label its workload with app.kubernetes.io/version, or name its image by a tag.",
        Severity.WARNS,
        evidence=facts.component.found.images,
    )
