"""May a component be changed now; each reason why not; and everything that was weighed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.clusters import Cluster
from addonry.model.components import Component
from addonry.model.ids import ComponentName, TaskId
from addonry.model.surroundings import Surroundings


class Severity(StrEnum):
    """A finding that blocks forbids the change; one that warns is told and nothing more."""

    BLOCKS = "blocks"
    WARNS = "warns"


@dataclass(frozen=True, slots=True)
class Waiver:
    """Somebody takes it upon themselves that one check, on one cluster, stands in nobody's way for a while."""

    check: str
    """The id of the finding."""
    component: ComponentName | None
    """None: of every component of the cluster."""
    reason: str
    by: str
    until: datetime
    """From then on it counts for nothing."""
    made_at: datetime | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One finding of a readiness check: a stable id, a sentence, and what to do about it."""

    id: str
    message: str
    remedy: str
    severity: Severity = Severity.BLOCKS
    evidence: tuple[str, ...] = ()
    """What was seen, for who does not believe the sentence: objects, numbers, the page that says so."""
    waived: Waiver | None = None
    """Who has waived it; it is told all the same, and forbids nothing."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision about one component of one cluster depends on, gathered before."""

    cluster: Cluster
    name: ComponentName
    component: Component | None
    entry: CatalogEntry | None
    offers: tuple[Offer, ...]
    live_task: TaskId | None = None
    values_errors: Mapping[str, tuple[str, ...]] | None = None
    """Per version: what the chart's schema says against the present values; absent: not known."""
    catalog_trouble: str = ""
    """Why the component's repository could not be read, when it could not."""
    lacking: tuple[ComponentName, ...] = ()
    """What the component requires and the cluster does not have."""
    required_by: tuple[ComponentName, ...] = ()
    """Installed components that require this one."""
    unsafe_crds: tuple[str, ...] = ()
    """What the CRDs of the version asked about would break; known only to who has asked the cluster for it."""
    surroundings: Surroundings = field(default_factory=Surroundings)
    waivers: tuple[Waiver, ...] = ()
    """All of the cluster's, expired ones too."""
    maintenance_window: Mapping[str, Any] = field(default_factory=dict)
    """As it was set of the cluster; empty when none was."""
    missing_rights: tuple[str, ...] = ()
    """What the change needs and the credentials may not do; empty also when nobody asked."""
    now: datetime | None = None
    """The moment that deadlines are weighed against; None weighs none."""

    @property
    def kubernetes(self) -> str:
        """The cluster's Kubernetes version, as it reports it."""
        return self.cluster.kubernetes


@dataclass(frozen=True, slots=True)
class Readiness:
    """The verdict on one component: what would be installed next, and what stands in the way."""

    findings: tuple[Blocker, ...]
    target: Offer | None
    """The newest version that fits and is newer than the installed one; None if there is none."""

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """The findings that forbid the change: those that block and that nobody has waived."""
        return tuple(each for each in self.findings if each.severity is Severity.BLOCKS and each.waived is None)

    @property
    def is_ready(self) -> bool:
        """Nothing stands in the way of a change now; says nothing about whether one is on offer."""
        return not self.blockers

    @property
    def can_upgrade(self) -> bool:
        """A version that fits exists, whether or not it may be installed now."""
        return self.target is not None
