"""Pause, resume and cancel: of a task (ack-api 05, section 3), or of whatever runs on a component (02, sections 11-13).

They answer at once; when the task is where it was asked to be is told by DescribeTaskInfo. Asking twice is no error.
"""

from addonry.gateway.operation import Call, Level, Registry
from addonry.gateway.operations.components import find_status
from addonry.gateway.operations.envelope import Nothing
from addonry.model.errors import ComponentNotFound, NotNow, TaskNotFound
from addonry.model.ids import TaskId

operations = Registry()


@operations.add("PauseTask", "POST", "/tasks/{task_id}/pause", Level.UPDATE, Nothing)
async def pause_task(call: Call) -> Nothing:
    """Stop a task where it is: between two steps, or in the middle of a rollout, which is then held."""
    await call.lifecycle.pause(call.task(), by=call.key)
    return {}


@operations.add("ResumeTask", "POST", "/tasks/{task_id}/resume", Level.UPDATE, Nothing)
async def resume_task(call: Call) -> Nothing:
    """Let a paused task go on, after a canary too; a pause that was not granted yet is withdrawn."""
    await call.lifecycle.resume(call.task(), by=call.key)
    return {}


@operations.add("CancelTask", "POST", "/tasks/{task_id}/cancel", Level.UPDATE, Nothing)
async def cancel_task(call: Call) -> Nothing:
    """End a task; what it has begun on its present component is rolled back first."""
    await call.lifecycle.cancel(call.task(), by=call.key)
    return {}


@operations.add(
    "PauseComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentid}/pause", Level.UPDATE, Nothing
)
async def pause_component_upgrade(call: Call) -> Nothing:
    """PauseTask for the task that is at work on the component; it pauses as a whole."""
    await call.lifecycle.pause(await _task_on(call, call.path["componentid"]), by=call.key)
    return {}


@operations.add(
    "ResumeComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentid}/resume", Level.UPDATE, Nothing
)
async def resume_component_upgrade(call: Call) -> Nothing:
    """ResumeTask for the task that is at work on the component."""
    await call.lifecycle.resume(await _task_on(call, call.path["componentid"]), by=call.key)
    return {}


@operations.add(
    "CancelComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentId}/cancel", Level.UPDATE, Nothing
)
async def cancel_component_upgrade(call: Call) -> Nothing:
    """CancelTask for the task that is at work on the component."""
    await call.lifecycle.cancel(await _task_on(call, call.path["componentId"]), by=call.key)
    return {}


async def _task_on(call: Call, name: str) -> TaskId:
    """The live task of the component. Raises NotNow when there is none: 404 would mean that the component is gone."""
    status = await find_status(call, name)
    try:
        return (await call.lifecycle.live_task(call.cluster(), status.name)).id
    except TaskNotFound as error:
        if status.component is None:
            raise ComponentNotFound(name, f"Component {name!r} is not installed.") from error
        raise NotNow(
            f"Addon status not match: no task is queued, running or paused on {name}.",
            remedy="`addonry tasks list` shows how its last one ended.",
        ) from error
