"""Tasks, their changes and steps: the values. How a task moves is decided in ``rules.task_moves``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from addonry.model.components import Placement
from addonry.model.ids import ClusterId, ComponentName, TaskId, Version

NO_VERSION: Final = Version("")
"""Nothing is installed."""


class TaskKind(StrEnum):
    """What one API call asked for."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    REGISTER = "register"
    """A cluster was registered. Such a task has no changes and has ended when it is written."""
    REMOVE = "remove"
    """A cluster was forgotten; likewise."""


class Status(StrEnum):
    """Where a task, or one change of it, stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


LIVE = frozenset({Status.QUEUED, Status.RUNNING})


class StepName(StrEnum):
    """The steps of a change, in the order of ``rules.planning`` (design, section 5)."""

    PREFLIGHT = "preflight"
    FETCH = "fetch"
    RENDER = "render"
    DRY_RUN = "dry-run"
    SNAPSHOT = "snapshot"
    CRDS = "crds"
    APPLY = "apply"
    ROLLOUT = "rollout"
    VERIFY = "verify"
    ROLLBACK = "rollback"
    VERIFY_ROLLBACK = "verify-rollback"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something failed: a stable code, a sentence, what to do next. Never holds a secret."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to go back to, recorded before anything is written."""

    revision: int = 0
    """Helm: the deployed revision (0: there was none, a first install)."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Plain workload: image by container."""
    version: Version = NO_VERSION


@dataclass(frozen=True, slots=True)
class Change:
    """What a task does to one component."""

    component: ComponentName
    kind: TaskKind
    placement: Placement
    from_version: Version
    to_version: Version
    plan: tuple[StepName, ...]
    """Fixed when the task is made; only a failure after *apply* replaces the rest by the way back."""
    position: int = 0
    status: Status = Status.QUEUED
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    """The caller's new values; None keeps the present ones."""
    snapshot: Snapshot | None = None
    trouble: Trouble | None = None
    percent: int = 0
    note: str = ""
    """Where the present step stands, for people: ``2 of 3 pods updated``."""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def step(self) -> StepName | None:
        """The step to run next; None when the plan is at its end."""
        return self.plan[self.position] if self.position < len(self.plan) else None


@dataclass(frozen=True, slots=True)
class Task:
    """What one API call asked for: changes of components of one cluster, carried out in order."""

    id: TaskId
    cluster: ClusterId
    kind: TaskKind
    changes: tuple[Change, ...]
    created_at: datetime
    updated_at: datetime
    status: Status = Status.QUEUED
    current: int = 0
    """Index of the change being carried out."""
    run: int = 1
    """How often the task was handed to the engine's queue."""
    revision: int = 0
    """Counts saves; a save names the revision it read and loses if another came first."""
    crashes: int = 0
    finished_at: datetime | None = None
    requested_by: str = ""

    @property
    def change(self) -> Change:
        """The change being carried out, or the last one. Tasks about a cluster itself have none: IndexError."""
        return self.changes[min(self.current, len(self.changes) - 1)]

    @property
    def trouble(self) -> Trouble | None:
        """The first trouble any change met."""
        return next((change.trouble for change in self.changes if change.trouble), None)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One run of a step, for the task's history ('stages' on the wire)."""

    component: ComponentName
    step: StepName
    started_at: datetime
    finished_at: datetime | None = None
    ok: bool | None = None
    message: str = ""


class EventLevel(StrEnum):
    """How loud an event is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, told once, in the transaction that made it true."""

    cluster: ClusterId
    task: TaskId | None
    component: ComponentName | None
    kind: str
    """What it is about: ``install``, ``upgrade``, ``cluster``."""
    reason: str
    message: str
    at: datetime
    level: EventLevel = EventLevel.INFO
    id: str = ""


# Outcomes: what a step reports to the engine.


@dataclass(frozen=True, slots=True)
class Done:
    """The step has done its work; *note* is kept in the history."""

    note: str = ""
    snapshot: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """Not now: ask again after *seconds*. The cluster did not answer, or something is still moving."""

    seconds: float
    note: str = ""
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """The step cannot succeed."""

    trouble: Trouble


Outcome = Done | Again | Broken
