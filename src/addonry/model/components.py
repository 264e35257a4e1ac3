"""What runs on a cluster: what was seen, and the component it was recognised as."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from addonry.model.ids import ComponentName, Version
from addonry.model.owners import Conflict, Owner, OwnerRef, Turnover, Watch


class SourceKind(StrEnum):
    """How a component lives on a cluster."""

    HELM = "helm"
    WORKLOAD = "workload"


class Driver(StrEnum):
    """Where Helm keeps the records of a release (``HELM_DRIVER``)."""

    SECRETS = "secrets"
    CONFIG_MAPS = "configmaps"


class Health(StrEnum):
    """What a workload's own fields say (the words of kstatus)."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class ReleaseStatus(StrEnum):
    """The status of the newest revision of a Helm release; NONE for a plain workload."""

    NONE = ""
    DEPLOYED = "deployed"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    UNINSTALLING = "uninstalling"
    UNINSTALLED = "uninstalled"
    UNKNOWN = "unknown"
    PENDING_INSTALL = "pending-install"
    PENDING_UPGRADE = "pending-upgrade"
    PENDING_ROLLBACK = "pending-rollback"

    @property
    def is_stuck(self) -> bool:
        """Helm refuses every operation on a release in such a state (helm/helm#8987)."""
        return self in _STUCK


_STUCK = frozenset({ReleaseStatus.PENDING_INSTALL, ReleaseStatus.PENDING_UPGRADE, ReleaseStatus.PENDING_ROLLBACK})


@dataclass(frozen=True, slots=True, order=True)
class Placement:
    """Where a component lives: its source, and the release's or workload's address."""

    source: SourceKind
    namespace: str
    name: str
    kind: str = ""
    """The workload's kind (``Deployment``, ...); empty for a Helm release."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing the inventory saw: a Helm release, or a workload that belongs to none."""

    placement: Placement
    version: Version
    app_version: str
    chart: str
    owner: Owner
    health: Health
    message: str = ""
    status: ReleaseStatus = ReleaseStatus.NONE
    revision: int = 0
    images: tuple[str, ...] = ()
    deployed: int = 0
    """The newest deployed revision of a Helm release, which a rollback would bring back; 0 when there is none."""
    applied: str = ""
    """How Helm applies the release: ``ssa``, ``csa``, or empty for one of Helm 3, which stays client-side."""
    kinds: tuple[str, ...] = ()
    """What the stored release consists of: ``apps/v1 Deployment``, each once."""
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    """The user's own values of a Helm release; never logged, they may hold secrets."""
    driver: Driver = Driver.SECRETS
    owner_ref: OwnerRef | None = None
    """Where the owner can be told; None for one that keeps no object of its own (Helm, kubeadm, nobody)."""
    conflicts: tuple[Conflict, ...] = ()
    turnovers: tuple[Turnover, ...] = ()
    """What of it has been changed more than a hundred times."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Of the release and of each workload a number that grows with each change: its revision, its rollouts. Empty where
    *watch* has taken it over.
    """
    watch: Watch | None = None
    """How these numbers grew from scan to scan; None in a single look."""
    no_version: str = ""
    """Why *version* is empty, where it is."""
    home: str = ""
    """The page that a release's chart calls its home, which tells whose chart of that name it is; not stored."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """The address of one object on a cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """A component of a cluster: something found, under the name the catalog gives it."""

    name: ComponentName
    found: Found
    in_catalog: bool
    observed_at: datetime | None = None
    parts: tuple[Placement, ...] = ()
    """Its other workloads, for who has just looked; they are not stored."""

    @property
    def version(self) -> Version:
        """The installed version: the chart's, or the image tag of a plain workload."""
        return self.found.version
