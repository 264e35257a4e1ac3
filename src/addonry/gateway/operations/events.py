"""Events: what happened to a cluster and its components (ack-api 05, section 4)."""

from typing import Any

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Registry
from addonry.model.ids import TaskId
from addonry.model.tasks import Event

operations = Registry()


@operations.add("DescribeClusterEvents", "GET", "/clusters/{ClusterId}/events", may="event:read")
async def describe_cluster_events(call: Call) -> Any:
    """The events of a cluster, newest first; ``task_id`` and ``type`` filter."""
    cluster = call.cluster()
    await call.lifecycle.cluster(cluster)
    page = call.page()
    task, wanted = call.text("task_id"), call.text("type")
    kind = vocabulary.KIND_FILTER.get(wanted, "")
    events: tuple[Event, ...] = ()
    total = 0
    if not wanted or kind:
        events, total = await call.lifecycle.events(
            cluster=cluster, task=TaskId(task) if task else None, kind=kind, offset=page.offset, limit=page.size
        )
    return {
        "events": [_event(event) for event in events],
        "next_token": page.next_token(total),
        "page_info": page.info(total),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "type": vocabulary.event_type(event.kind),
        "source": "cluster",
        "subject": event.component or event.cluster,
        "time": vocabulary.moment(event.at),
        "cluster_id": event.cluster,
        "task_id": event.task or "",
        "data": {"level": event.level, "reason": event.reason, "message": event.message},
    }
