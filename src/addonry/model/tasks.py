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
    CONFIGURE = "configure"
    """New values for the version that runs."""
    UNINSTALL = "uninstall"
    REGISTER = "register"
    """A cluster was registered. Such a task has no changes and has ended when it is written."""
    REMOVE = "remove"
    """A cluster was forgotten; likewise."""
    MODIFY = "modify"
    """What is set of a cluster was changed; likewise."""


class Status(StrEnum):
    """Where a task, or one change of it, stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    """Nothing is held for it but its components: no worker, no place in the queue."""
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


LIVE = frozenset({Status.QUEUED, Status.RUNNING, Status.PAUSED})


class Wish(StrEnum):
    """What a person asked of a task that runs; granted between two steps, and inside a step that waits."""

    PAUSE = "pause"
    CANCEL = "cancel"


class Edits(StrEnum):
    """What becomes of fields of the component's objects that somebody else has set (design, section 5)."""

    OVERWRITE = "overwrite"
    """The change takes them; ACK's way."""
    PRESERVE = "preserve"
    """They stay as they are, with whoever set them."""
    NONE = "none"
    """There must be none: they block the change."""


class Pace(StrEnum):
    """How a change is brought to the component's pods."""

    AT_ONCE = "at-once"
    CANARY = "canary"
    """The first pods only; then the task is paused, and goes on or back when a person says so."""


class StepName(StrEnum):
    """The steps of a change; their order is that of ``rules.planning`` (design, section 5)."""

    PREFLIGHT = "preflight"
    FETCH = "fetch"
    RENDER = "render"
    DRY_RUN = "dry-run"
    SNAPSHOT = "snapshot"
    CRDS = "crds"
    APPLY = "apply"
    CANARY = "canary"
    """Wait for the first pods of the new version and hold the others back."""
    HOLD = "hold"
    """Stop a rollout where it is: the Deployment paused, the StatefulSet partitioned, the DaemonSet held."""
    RELEASE = "release"
    """Let what was held go on."""
    ROLLOUT = "rollout"
    VERIFY = "verify"
    UNINSTALL = "uninstall"
    VERIFY_GONE = "verify-gone"
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
    plan: tuple[str, ...]
    """Names of steps, fixed when the task is made; only a pause within a rollout, and a failure or cancel from
    *apply* on, replace what is left of it (``rules.planning``). One that is no StepName is of a newer Addonry."""
    position: int = 0
    status: Status = Status.QUEUED
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    """The caller's new values; None keeps the present ones."""
    edits: Edits = Edits.OVERWRITE
    pace: Pace = Pace.AT_ONCE
    unsafe_crds: bool = False
    """Whether somebody has said that CRDs may change in a way that breaks what is stored in them."""
    snapshot: Snapshot | None = None
    remarks: tuple[str, ...] = ()
    """What a person should know of the change, one sentence each: fields taken or kept and whose they were, CRDs that
    change, the point of no return. Found out by *dry-run*."""
    trouble: Trouble | None = None
    percent: int = 0
    note: str = ""
    """Where the present step stands, for people: ``2 of 3 pods updated``."""
    stall: str = ""
    """The stable reason why the present step does not get on, such as ``ImagePullBackOff``; empty while it does."""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def step(self) -> str | None:
        """The name of the step to run next; None when the plan is at its end."""
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
    wish: Wish | None = None
    canceled: bool = False
    """A cancel was granted: the task ends CANCELED once what it had begun is taken back."""
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
    step: str
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
    remarks: tuple[str, ...] = ()
    """Added to the change's."""


@dataclass(frozen=True, slots=True)
class Again:
    """Not now: ask again after *seconds*. The cluster did not answer, or something is still moving."""

    seconds: float
    note: str = ""
    percent: int | None = None
    stall: str = ""
    """See ``Change.stall``."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The step cannot succeed."""

    trouble: Trouble


Outcome = Done | Again | Broken
