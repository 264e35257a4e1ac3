"""How a component's owner is told: the same in the service's answers and in a scan's."""

from typing import TypedDict

from addonry.model.owners import Conflict, OwnerRef


class OwnerShape(TypedDict):
    """The object by which an owner keeps a component, and what it does about changes of others."""

    owner: str
    kind: str
    namespace: str
    name: str
    upkeep: str
    note: str


class ClaimShape(OwnerShape):
    """One of several owners, and what gives it away."""

    sign: str


class ConflictShape(TypedDict):
    """An object that several owners hold for their own."""

    subject: str
    claims: list[ClaimShape]


def owner_shape(ref: OwnerRef) -> OwnerShape:
    """An owner, all of it."""
    return {
        "owner": ref.owner.value,
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "upkeep": ref.upkeep.value,
        "note": ref.note,
    }


def conflict_shape(conflict: Conflict) -> ConflictShape:
    """A conflict with everybody who is in it."""
    return {
        "subject": conflict.subject,
        "claims": [{**owner_shape(claim.by), "sign": claim.sign} for claim in conflict.claims],
    }
