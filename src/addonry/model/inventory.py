"""Everything that one look at a cluster saw."""

from dataclasses import dataclass

from addonry.model.components import Found
from addonry.model.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Inventory:
    """What runs on a cluster, and what lies around it."""

    kubernetes: str
    nodes: int
    served: frozenset[str]
    """API versions served, ``apps/v1`` style (core: ``v1``)."""
    found: tuple[Found, ...]
    denied: tuple[str, ...] = ()
    """Lists the credentials were not allowed to make, by resource; what they hold is missing from *found*."""
    namespace: str = ""
    """Where a denied list was allowed after all, in the kubeconfig's own namespace: that namespace."""
    surroundings: Surroundings | None = None
    """What lies around all that, as the readiness checks ask for it."""
