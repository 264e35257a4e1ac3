"""One registered Kubernetes cluster, as Addonry remembers it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from addonry.model.ids import ClusterId


class Reach(StrEnum):
    """Whether the cluster's API server answered when it was last asked."""

    UNKNOWN = "unknown"
    ANSWERS = "answers"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A registered cluster. Its kubeconfig is a secret and is never part of this value."""

    id: ClusterId
    name: str
    region: str
    server: str
    created_at: datetime
    updated_at: datetime
    kubernetes: str = ""
    nodes: int = 0
    reach: Reach = Reach.UNKNOWN
    trouble: str = ""
    scanned_at: datetime | None = None
