"""Checks that somebody ran on a cluster, before a risky change or to look."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from addonry.model.ids import ClusterId
from addonry.model.readiness import Blocker


class CheckType(StrEnum):
    """What is to be done to the cluster. The first four are ACK's; it publishes none for components."""

    CLUSTER_UPGRADE = "ClusterUpgrade"
    MASTER_UPGRADE = "MasterUpgrade"
    NODE_POOL_UPGRADE = "NodePoolUpgrade"
    CLUSTER_MIGRATE = "ClusterMigrate"
    ADDON_UPGRADE = "AddonUpgrade"


@dataclass(frozen=True, slots=True)
class CheckItem:
    """What was looked at of one component."""

    component: str
    version: str
    findings: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What came of it."""

    created_at: datetime
    finished_at: datetime
    passed: bool
    message: str
    items: tuple[CheckItem, ...]


@dataclass(frozen=True, slots=True)
class ClusterCheck:
    """One check of one cluster."""

    id: str
    cluster: ClusterId
    type: str
    target: str
    """The component, for a check of one."""
    outcome: CheckOutcome
