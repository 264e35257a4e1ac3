"""The published words for our statuses, kinds, reasons and times. Tables; nothing else in the gateway spells them.

ACK uses three vocabularies for progress (ack-api 09, section 1): ``tasks.status`` of the upgrade status
(``Upgrading``, ``Success``), ``state`` of a task (``running``, ``fail``) and ``state`` of an instance (``active``).
``STATUS`` and ``KIND`` hold them side by side; a test asks that each status and kind has its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypedDict

from addonry.model.clusters import Reach
from addonry.model.tasks import LIVE, Change, EventLevel, Status, StepRecord, TaskKind, Trouble

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""What stands for 'never' in the upgrade status."""

NEVER_TOUCHED: Final = "Success"
"""``tasks.status`` when no task ever ran on the component, and it works. Terraform waits for this word."""

BROKEN: Final = "Failed"

CANCELED: Final = "Canceled"

# Statuses and kinds, side by side


@dataclass(frozen=True, slots=True)
class StatusWords:
    """The published words for where a task, or one change of it, stands."""

    state: str
    """``state`` of a task, operations 22 and 23."""
    result: str
    """``status`` in ``task_result``; there are three words only."""
    status: str = ""
    """``tasks.status``, operations 1 and 2; empty: that of the kind."""


@dataclass(frozen=True, slots=True)
class KindWords:
    """The published words for what a task does."""

    task_type: str
    """Also the ``type`` of events."""
    status: str = "Running"
    """``tasks.status`` while it goes on."""
    instance: str = "active"
    """``state`` of the instance while it goes on, operations 16 and 17."""


STATUS: Final[Mapping[Status, StatusWords]] = {
    Status.QUEUED: StatusWords("running", "initial"),
    Status.RUNNING: StatusWords("running", "initial"),
    Status.PAUSED: StatusWords("paused", "initial", "Paused"),
    Status.SUCCESS: StatusWords("success", "success", "Success"),
    Status.FAILED: StatusWords("fail", "failed", BROKEN),
    Status.CANCELED: StatusWords("canceled", "failed", CANCELED),
}

KIND: Final[Mapping[TaskKind, KindWords]] = {
    TaskKind.INSTALL: KindWords("cluster_addon_install", instance="initial"),
    TaskKind.UPGRADE: KindWords("cluster_addon_upgrade", "Upgrading", "upgrading"),
    TaskKind.CONFIGURE: KindWords("cluster_addon_modify", instance="updating"),
    TaskKind.UNINSTALL: KindWords("cluster_addon_uninstall", instance="deleting"),
    TaskKind.REGISTER: KindWords("cluster_create"),
    TaskKind.REMOVE: KindWords("cluster_delete"),
    TaskKind.MODIFY: KindWords("cluster_modify"),
}

SAME_STATE: Final[Mapping[str, str]] = {"failed": "fail", "cancelled": "canceled", "succeeded": "success"}
"""Other spellings of a task's ``state``, which clients know and may filter by."""

ACTIVE: Final = "active"
UNHEALTHY: Final = "unhealthy"
"""``state`` of an instance that does not work; in the older family only, where it is published."""

CLUSTER_EVENT: Final = "cluster_modify"
"""The ``type`` of an event whose kind is that of no task."""

KIND_FILTER: Final[Mapping[str, TaskKind]] = {words.task_type: kind for kind, words in KIND.items()}

QUEUED_STAGE: Final = "queued"
"""``current_stage`` before the first step; after it, stages are called as our steps are."""


def status_of(change: Change) -> str:
    """The ``tasks.status`` of a component whose newest change this is."""
    return STATUS[change.status].status or KIND[change.kind].status


def instance_state(change: Change | None) -> str:
    """The ``state`` of a component whose newest change this is."""
    return KIND[change.kind].instance if change is not None and change.status in LIVE else ACTIVE


def statuses_in(state: str) -> tuple[Status, ...]:
    """Which statuses a ``state`` in a query means; a word that is none means none of them."""
    wanted = SAME_STATE.get(state, state)
    return tuple(status for status, words in STATUS.items() if words.state == wanted)


def stage_state(step: StepRecord) -> str:
    """The ``state`` of a stage."""
    if step.ok is None:
        return "running"
    return "success" if step.ok else "fail"


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
    "Stalled": "stall",
    "PauseAsked": "pause",
    "Paused": "pause",
    "Resumed": "resume",
    "CancelAsked": "cancel",
    "Canceled": "cancel",
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
    return KIND[TaskKind(kind)].task_type if kind in set(TaskKind) else CLUSTER_EVENT


# errors of tasks

TROUBLE_PREFIX: Final = "AddonOperationFailed"

NOT_READY: Final = "WaitForAddonReadyTimeout"

WEBHOOK: Final = "FailedCallingWebhook"

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
    "QuotaExceeded": NOT_READY,
    "DisruptionBudget": NOT_READY,
    "WebhookDenied": WEBHOOK,
    "WebhookUnreachable": WEBHOOK,
}
"""The published code behind ``AddonOperationFailed.`` for our own; one without a row keeps its own name there."""


class ErrorMembers(TypedDict):
    """Why something failed; empty while nothing is wrong."""

    code: str
    message: str


class TroubleMembers(ErrorMembers):
    """Also what to do about it: Addonry's own member."""

    remedy: str


def trouble_code(trouble: Trouble) -> str:
    """The code of a task's ``error`` (ack-api 05, section 1)."""
    return f"{TROUBLE_PREFIX}.{TROUBLE.get(trouble.code, trouble.code)}"


def trouble_members(trouble: Trouble | None) -> TroubleMembers:
    """``error`` of one component, with our own member *remedy*; all empty while nothing is wrong."""
    if trouble is None:
        return {"code": "", "message": "", "remedy": ""}
    return {"code": trouble_code(trouble), "message": trouble.message, "remedy": trouble.remedy}


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
