"""One registered Kubernetes cluster, as Addonry remembers it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Profile:
    """What people have set of a cluster; nothing of it comes from the cluster itself."""

    tags: dict[str, str] = field(default_factory=dict)
    deletion_protection: bool = False
    resource_group: str = ""
    timezone: str = ""
    maintenance_window: dict[str, Any] = field(default_factory=dict)
    """In ACK's shape, with ``enforce`` of ours; ``rules.windows`` reads it."""
    operation_policy: dict[str, Any] = field(default_factory=dict)
    init_version: str = ""
    """The Kubernetes version at registration."""
