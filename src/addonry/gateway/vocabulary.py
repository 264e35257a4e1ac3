"""The published words for our statuses, kinds, reasons and times. Tables; nothing else in the gateway spells them.

ACK uses three vocabularies for progress (ack-api 09, section 1): ``tasks.status`` of the upgrade status
(``Upgrading``, ``Success``), ``state`` of a task (``running``, ``fail``) and ``state`` of an instance (``active``).
A test asks that each status and kind has its row.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from addonry.model.clusters import Reach
from addonry.model.tasks import LIVE, Change, EventLevel, Status, StepRecord, TaskKind, Trouble

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""What stands for 'never' in the upgrade status."""

# tasks.status, operations 1 and 2

NEVER_TOUCHED: Final = "Success"
"""No task ever ran on the component, and it works. Terraform waits for this word."""

BROKEN: Final = "Failed"

LIVE_STATUS: Final[Mapping[TaskKind, str]] = {
    TaskKind.INSTALL: "Running",
    TaskKind.UPGRADE: "Upgrading",
    TaskKind.REGISTER: "Running",
    TaskKind.REMOVE: "Running",
}

ENDED_STATUS: Final[Mapping[Status, str]] = {Status.SUCCESS: "Success", Status.FAILED: BROKEN}

CANCELED: Final = "Canceled"


def status_of(change: Change) -> str:
    """The ``tasks.status`` of a component whose newest change this is."""
    return LIVE_STATUS[change.kind] if change.status in LIVE else ENDED_STATUS[change.status]


# state of a task, operations 22 and 23

TASK_STATE: Final[Mapping[Status, str]] = {
    Status.QUEUED: "running",
    Status.RUNNING: "running",
    Status.SUCCESS: "success",
    Status.FAILED: "fail",
}

STATE_FILTER: Final[Mapping[str, tuple[Status, ...]]] = {
    "running": (Status.QUEUED, Status.RUNNING),
    "success": (Status.SUCCESS,),
    "fail": (Status.FAILED,),
    "failed": (Status.FAILED,),
}
"""Which statuses a ``state`` in a query means; another one means none."""

RESULT: Final[Mapping[Status, str]] = {
    Status.QUEUED: "initial",
    Status.RUNNING: "initial",
    Status.SUCCESS: "success",
    Status.FAILED: "failed",
}
"""``task_result`` of one component."""

TASK_TYPE: Final[Mapping[TaskKind, str]] = {
    TaskKind.INSTALL: "cluster_addon_install",
    TaskKind.UPGRADE: "cluster_addon_upgrade",
    TaskKind.REGISTER: "cluster_create",
    TaskKind.REMOVE: "cluster_delete",
}
"""Also the ``type`` of events."""

CLUSTER_EVENT: Final = "cluster_modify"
"""The ``type`` of an event whose kind is that of no task."""

KIND_FILTER: Final[Mapping[str, TaskKind]] = {word: kind for kind, word in TASK_TYPE.items()}

QUEUED_STAGE: Final = "queued"
"""``current_stage`` before the first step; after it, stages are called as our steps are."""


def stage_state(step: StepRecord) -> str:
    """The ``state`` of a stage."""
    if step.ok is None:
        return "running"
    return "success" if step.ok else "fail"


# state of an instance, operations 16 and 17

INSTANCE_STATE: Final[Mapping[TaskKind, str]] = {TaskKind.INSTALL: "initial", TaskKind.UPGRADE: "upgrading"}

ACTIVE: Final = "active"


def instance_state(change: Change | None) -> str:
    """The ``state`` of a component whose newest change this is."""
    if change is None or change.status not in LIVE:
        return ACTIVE
    return INSTANCE_STATE.get(change.kind, ACTIVE)


# state of a cluster

CLUSTER_STATE: Final[Mapping[Reach, str]] = {
    Reach.UNKNOWN: "initial",
    Reach.ANSWERS: "running",
    Reach.UNREACHABLE: "unavailable",
    Reach.REFUSED: "unavailable",
}

# events

ACTION: Final[Mapping[str, str]] = {
    "Queued": "queue",
    "Started": "start",
    "RollingBack": "rollback",
    "Succeeded": "success",
    "Failed": "fail",
}
"""``action`` of a task's event, by our reason; another reason is written in lower case."""

TASK_EVENT_LEVEL: Final[Mapping[EventLevel, str]] = {
    EventLevel.INFO: "Normal",
    EventLevel.WARNING: "Warning",
    EventLevel.ERROR: "Warning",
}


def event_type(kind: str) -> str:
    """The ``type`` of an event."""
    return TASK_TYPE.get(TaskKind(kind), CLUSTER_EVENT) if kind in set(TaskKind) else CLUSTER_EVENT


# errors of tasks

TROUBLE_PREFIX: Final = "AddonOperationFailed"

NOT_READY: Final = "WaitForAddonReadyTimeout"

TROUBLE: Final[Mapping[str, str]] = {
    "ClusterUnreachable": "APIServerUnreachable",
    "ClusterRefused": "UserForbidden",
    "FieldConflict": "ResourceExists",
    "ClusterRejected": "ErrApplyingPatch",
    "ComponentNotFound": "ResourceNotFound",
    "NotInstalled": "ResourceNotFound",
    "AlreadyInstalled": "ReleaseNameInUse",
    "Missing": "ResourceNotFound",
    "RolloutTimeout": NOT_READY,
    "StepTimeout": NOT_READY,
    "Unhealthy": NOT_READY,
    "NotReady": NOT_READY,
    "ImagePullBackOff": NOT_READY,
    "ErrImageNeverPull": NOT_READY,
    "InvalidImageName": NOT_READY,
    "CrashLoopBackOff": NOT_READY,
    "CreateContainerConfigError": NOT_READY,
    "CreateContainerError": NOT_READY,
    "RunContainerError": NOT_READY,
    "Unschedulable": NOT_READY,
    "Evicted": NOT_READY,
    "ReplicaFailure": NOT_READY,
    "ProgressDeadlineExceeded": NOT_READY,
}
"""The published code behind ``AddonOperationFailed.`` for our own; one without a row keeps its own name there."""


def trouble_code(trouble: Trouble) -> str:
    """The code of a task's ``error`` (ack-api 05, section 1)."""
    return f"{TROUBLE_PREFIX}.{TROUBLE.get(trouble.code, trouble.code)}"


def trouble_message(trouble: Trouble) -> str:
    """What happened and what to do next, in one text."""
    return f"{trouble.message} {trouble.remedy}".strip()


# times (ack-api 01, section 8)


def moment(at: datetime | None, *, never: str = "") -> str:
    """RFC 3339, UTC, seconds."""
    return never if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_moment(at: datetime) -> str:
    """RFC 3339, UTC, milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stage_moment(at: datetime | None) -> str:
    """``YYYY-MM-DD HH:mm:ss`` without a zone, as published; ours are UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def unix_ms(at: datetime) -> str:
    """Unix milliseconds, as text."""
    return str(int(at.timestamp() * 1000))
