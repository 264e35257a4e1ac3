"""Whose an object is: what its marks say, held against what the controllers on the cluster say themselves.

Marks are copied, left behind and overwritten, so a mark alone proves little. A claim counts when the controller behind
it confirms it, or when that controller could not be asked; one that it denies is what a former owner left behind, and
tells of an owner only where nobody else does. Two claims that count are a conflict. How each owner is told is in
``signs``.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from addonry.model.owners import Claim, Conflict, Owner, OwnerRef
from addonry.rules.owners.marks import RELEASE_NAME, RELEASE_NAMESPACE, Marks, ObjectKey, ReleaseKey, Writer
from addonry.rules.owners.registry import Controlled, Registry, register
from addonry.rules.owners.signs import HINTS, READERS, controller_of, last_writer

__all__ = [
    "RELEASE_NAME",
    "RELEASE_NAMESPACE",
    "Controlled",
    "Marks",
    "ObjectKey",
    "Registry",
    "ReleaseKey",
    "Writer",
    "claims_on",
    "claims_on_release",
    "conflict_over",
    "conflict_over_release",
    "installed_by",
    "register",
]


def claims_on(marks: Marks, registry: Registry) -> tuple[Claim, ...]:
    """Every claim on an object that counts, its owner's first; none when it is nobody's."""
    if marks.controller is not None and (controlling := controller_of(marks.controller)) is not None:
        # Operators hand the marks of a custom resource on to what they make of it, so none of those counts.
        return (controlling,)
    read = [each for reader in READERS for each in reader(marks, registry)]
    firm = _without_means(_distinct([each.claim for each in read if each.is_firm]), marks)
    if firm:
        return (*firm, *last_writer(marks, firm))
    left_behind = (each.claim for each in read)
    probable = (each.claim for hint in HINTS for each in hint(marks, registry))
    first = next(left_behind, None) or next(probable, None)
    return (first,) if first else ()


def claims_on_release(
    release: ReleaseKey, members: Iterable[tuple[Claim, ...]], registry: Registry
) -> tuple[Claim, ...]:
    """Every claim on a Helm release: of the controllers that say so, else of what its workloads tell."""
    said = registry.releases.get(release, ())
    if said:
        return tuple(Claim(each.by, f"{each.by.kind} {each.by.name}") for each in said)
    told = [claim for claims in members for claim in claims[:1] if claim.by.owner not in _NO_OWNER_OF_A_RELEASE]
    return tuple(_distinct(told)[:1])


def conflict_over(marks: Marks, claims: tuple[Claim, ...]) -> Conflict | None:
    """The conflict that *claims* on an object are, when they are one."""
    return Conflict(marks.title, claims) if len(claims) > 1 else None


def conflict_over_release(release: ReleaseKey, claims: tuple[Claim, ...]) -> Conflict | None:
    """The conflict that *claims* on a Helm release are, when they are one."""
    return Conflict(f"Helm release {release[0]}/{release[1]}", claims) if len(claims) > 1 else None


def installed_by(claims: tuple[Claim, ...], registry: Registry) -> str:
    """The version that the owner says it has installed; empty where it says none."""
    return registry.versions.get(claims[0].by, "") if claims else ""


_MEANS: Final[Mapping[tuple[Owner, str], frozenset[Owner]]] = {
    (Owner.FLUX, "HelmRelease"): frozenset({Owner.HELM}),
    (Owner.K3S, "HelmChart"): frozenset({Owner.HELM}),
    (Owner.RKE2, "HelmChart"): frozenset({Owner.HELM}),
    (Owner.AKS, "add-on"): frozenset({Owner.HELM, Owner.ADDON_MANAGER}),
    (Owner.GKE, "add-on"): frozenset({Owner.ADDON_MANAGER}),
}
"""Whom an owner has at work, so that both have their marks on an object and are no two owners."""

_NO_OWNER_OF_A_RELEASE: Final = frozenset({Owner.HELM, Owner.KUBEADM, Owner.OPERATOR})
"""What single workloads may tell, and nobody takes a whole release for."""


def _distinct(claims: list[Claim]) -> list[Claim]:
    """One claim each, of several that are the same the one that says most."""
    found: list[Claim] = []
    for claim in claims:
        known = next((place for place, each in enumerate(found) if _is_same(each.by, claim.by)), None)
        if known is None:
            found.append(claim)
        elif not found[known].by.name and claim.by.name:
            found[known] = claim
    return found


def _without_means(claims: list[Claim], marks: Marks) -> list[Claim]:
    """*claims* without those of the means by which another of the owners works. Of Helm that is the object's own
    release; another one that holds the object is a rival all the same.
    """
    means = {owner for each in claims for owner in _MEANS.get((each.by.owner, each.by.kind), ())}
    return [each for each in claims if each.by.owner not in means or _is_rival(each.by, marks)]


def _is_rival(by: OwnerRef, marks: Marks) -> bool:
    return by.owner is Owner.HELM and (by.namespace, by.name) != marks.release


def _is_same(one: OwnerRef, other: OwnerRef) -> bool:
    if one.owner is not other.owner:
        return False
    if not one.name or not other.name:
        return True
    is_same_place = one.namespace == other.namespace or not (one.namespace and other.namespace)
    return one.kind == other.kind and one.name == other.name and is_same_place
