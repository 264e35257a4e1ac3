"""Tasks: how what was asked for goes (ack-api 05, sections 1 and 2)."""

from typing import TypedDict

from addonry.gateway import vocabulary
from addonry.gateway.operation import PAGING, Call, Level, PageInfo, Parameter, Registry
from addonry.gateway.operations.envelope import Free
from addonry.gateway.vocabulary import ErrorMembers, TroubleMembers
from addonry.lifecycle import TaskHistory
from addonry.model.ids import ClusterId
from addonry.model.tasks import LIVE, Change, Event, Pace, StepRecord, Task

operations = Registry()


class Target(TypedDict):
    """What a task is about."""

    id: str
    type: str


class Stage(TypedDict):
    """One stage of a task; the published model has no name for it, so that is in ``outputs``."""

    state: str
    start_time: str
    end_time: str
    message: str
    outputs: Free


class TaskEvent(TypedDict):
    """One event of a task."""

    action: str
    level: str
    message: str
    reason: str
    source: str
    timestamp: str


class TaskResult(TypedDict):
    """What a task does to one component; after ``status`` all members are Addonry's own."""

    data: str
    status: str
    state: str
    from_version: str
    to_version: str
    canary: bool
    edits: str
    percent: int
    steps: list[str]
    stage: str
    note: str
    stall: str
    remarks: list[str]
    error: TroubleMembers


class TaskInfo(TypedDict):
    """One task; after ``outputs`` all members are Addonry's own."""

    task_id: str
    cluster_id: str
    task_type: str
    state: str
    created: str
    updated: str
    current_stage: str
    target: Target
    parameters: Free
    stages: list[Stage]
    events: list[TaskEvent]
    task_result: list[TaskResult]
    error: ErrorMembers
    outputs: Free
    percent: int
    seconds_left: int | None
    wish: str
    is_canceled: bool
    requested_by: str
    finished: str


class TaskSummary(TypedDict):
    """One task, as it is listed; after ``error`` all members are Addonry's own."""

    task_id: str
    task_type: str
    state: str
    created: str
    updated: str
    error: ErrorMembers
    cluster_id: str
    percent: int
    requested_by: str
    components: list[TaskResult]


class Tasks(TypedDict):
    """A page of tasks."""

    requestId: str
    next_token: str
    page_info: PageInfo
    tasks: list[TaskSummary]


_FILTERS = (
    Parameter("state", about="In this state only: running, paused, success, fail, canceled."),
    Parameter("task_type", about="Of this type only, for example cluster_addon_upgrade."),
    *PAGING,
)


@operations.add("DescribeTaskInfo", "GET", "/tasks/{task_id}", Level.GET, TaskInfo)
async def describe_task_info(call: Call) -> TaskInfo:
    """One task with its stages, events and the result of each component."""
    history = await call.lifecycle.task(call.task())
    return _info(history)


@operations.add("DescribeClusterTasks", "GET", "/clusters/{cluster_id}/tasks", Level.LIST, Tasks, query=_FILTERS)
async def describe_cluster_tasks(call: Call) -> Tasks:
    """The tasks of a cluster, newest first; ``state`` and ``task_type`` filter."""
    cluster = call.cluster("cluster_id")
    # Asked for its refusal alone: a filter that matches nothing must not hide that there is no such cluster.
    await call.lifecycle.cluster(cluster)
    return await _list(call, cluster)


@operations.add(
    "ListTasks",
    "GET",
    "/addonry/v1/tasks",
    Level.LIST,
    Tasks,
    query=(Parameter("cluster_id", about="Of this cluster only."), *_FILTERS),
)
async def list_tasks(call: Call) -> Tasks:
    """The tasks of all clusters, newest first; ``state``, ``task_type`` and ``cluster_id`` filter."""
    cluster = call.text("cluster_id")
    return await _list(call, ClusterId(cluster) if cluster else None)


async def _list(call: Call, cluster: ClusterId | None) -> Tasks:
    page = call.page()
    state, task_type = call.text("state"), call.text("task_type")
    statuses = vocabulary.statuses_in(state)
    kind = vocabulary.KIND_FILTER.get(task_type)
    tasks: tuple[Task, ...] = ()
    total = 0
    # An unknown word in a filter matches nothing; an empty filter would match everything.
    if (not state or statuses) and (not task_type or kind):
        tasks, total = await call.lifecycle.tasks(
            cluster, statuses=statuses, kinds=(kind,) if kind else (), offset=page.offset, limit=page.size
        )
    return {
        "requestId": call.request_id,
        "next_token": page.next_token(total),
        "page_info": page.info(total),
        "tasks": [_summary(task) for task in tasks],
    }


def _summary(task: Task) -> TaskSummary:
    return {
        "task_id": task.id,
        "task_type": vocabulary.KIND[task.kind].task_type,
        "state": vocabulary.STATUS[task.status].state,
        "created": vocabulary.exact_moment(task.created_at),
        "updated": vocabulary.exact_moment(task.updated_at),
        "error": _error(task),
        # Beyond the published members, as all that follows.
        "cluster_id": task.cluster,
        "percent": _percent(task),
        "requested_by": task.requested_by,
        "components": [_result(change) for change in task.changes],
    }


def _info(history: TaskHistory) -> TaskInfo:
    task = history.task
    seconds = None if history.seconds_left is None else round(history.seconds_left)
    return {
        "task_id": task.id,
        "cluster_id": task.cluster,
        "task_type": vocabulary.KIND[task.kind].task_type,
        "state": vocabulary.STATUS[task.status].state,
        "created": vocabulary.exact_moment(task.created_at),
        "updated": vocabulary.exact_moment(task.updated_at),
        "current_stage": _stage_name(task),
        "target": {"id": task.cluster, "type": "cluster"},
        "parameters": {},
        "stages": [_stage(task, step) for step in history.steps],
        "events": [_event(event) for event in history.events],
        "task_result": [_result(change) for change in task.changes],
        "error": _error(task),
        # Free-form, and so the one place where the official SDKs hand on what they have no member for.
        "outputs": {
            "percent": _percent(task),
            "seconds_left": "" if seconds is None else seconds,
            "stall": _stall(task),
            "wish": task.wish or "",
        },
        # Beyond the published members, as all that follows.
        "percent": _percent(task),
        "seconds_left": seconds,
        "wish": task.wish or "",
        "is_canceled": task.canceled,
        "requested_by": task.requested_by,
        "finished": vocabulary.exact_moment(task.finished_at) if task.finished_at else "",
    }


def _stage_name(task: Task) -> str:
    if task.status not in LIVE or not task.changes:
        return ""
    step = task.change.step
    return step if step and task.change.started_at else vocabulary.QUEUED_STAGE


def _stall(task: Task) -> str:
    return task.change.stall if task.changes and task.status in LIVE else ""


def _stage(task: Task, step: StepRecord) -> Stage:
    change = task.change
    # What a step has to say is in its record once it has ended; until then it is the change's note.
    is_present = step.ok is None and (step.component, step.step) == (change.component, change.step)
    # The published model has no name for a stage; free-form outputs are where one can be put.
    return {
        "state": vocabulary.stage_state(step),
        "start_time": vocabulary.stage_moment(step.started_at),
        "end_time": vocabulary.stage_moment(step.finished_at),
        "message": change.note if is_present else step.message,
        "outputs": {"name": step.step, "component": step.component, "stall": change.stall if is_present else ""},
    }


def _event(event: Event) -> TaskEvent:
    return {
        "action": vocabulary.ACTION.get(event.reason, event.reason.lower()),
        "level": vocabulary.TASK_EVENT_LEVEL[event.level],
        "message": event.message,
        "reason": event.reason,
        "source": "Addonry",
        "timestamp": vocabulary.unix_ms(event.at),
    }


def _result(change: Change) -> TaskResult:
    is_live = change.status in LIVE
    return {
        "data": change.component,
        "status": vocabulary.STATUS[change.status].result,
        # Beyond the published members, as all that follows.
        "state": vocabulary.STATUS[change.status].state,
        "from_version": change.from_version,
        "to_version": change.to_version,
        "canary": change.pace is Pace.CANARY,
        "edits": change.edits,
        "percent": change.percent,
        "steps": list(change.plan),
        "stage": change.step if change.step and is_live else "",
        "note": change.note,
        "stall": change.stall if is_live else "",
        "remarks": list(change.remarks),
        "error": vocabulary.trouble_members(change.trouble),
    }


def _error(task: Task) -> ErrorMembers:
    trouble = task.trouble
    # While a task still walks back, it has met trouble but has not failed.
    if trouble is None or task.status in LIVE:
        return {"code": "", "message": ""}
    return {"code": vocabulary.trouble_code(trouble), "message": vocabulary.trouble_message(trouble)}


def _percent(task: Task) -> int:
    if not task.changes:
        return 100
    return sum(change.percent for change in task.changes) // len(task.changes)
