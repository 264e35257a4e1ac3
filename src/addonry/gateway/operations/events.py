"""Events: what happened to clusters and their components (ack-api 05, section 4)."""

from collections.abc import Sequence
from typing import TypedDict

from addonry.gateway import vocabulary
from addonry.gateway.operation import PAGING, Call, Kind, Level, PageInfo, Parameter, Registry
from addonry.model.ids import ClusterId, TaskId
from addonry.model.tasks import Event

operations = Registry()


class EventData(TypedDict):
    """What is told of an event."""

    level: str
    reason: str
    message: str


class EventShape(TypedDict):
    """One event; ``task_id`` is Addonry's own member."""

    event_id: str
    type: str
    source: str
    subject: str
    time: str
    cluster_id: str
    task_id: str
    data: EventData


class Events(TypedDict):
    """A page of events."""

    events: list[EventShape]
    next_token: str
    page_info: PageInfo


class ClusterLog(TypedDict):
    """One line of DescribeClusterLogs."""

    ID: int
    cluster_id: str
    cluster_log: str
    created: str
    updated: str


SOURCE = "cluster"
"""The ``source`` of all events: they are about clusters."""

_TASK = Parameter("task_id", about="Of this task only.")
_TYPE = Parameter("type", about="Of this type only, for example cluster_addon_upgrade.")
_CLUSTER = Parameter("cluster_id", about="Of this cluster only.")
_SOURCE = Parameter("source", about="Of this source only; all events have the source cluster.")
_LOG_LINES = 200


@operations.add(
    "DescribeClusterEvents",
    "GET",
    "/clusters/{ClusterId}/events",
    Level.GET,
    Events,
    query=(_TASK, _TYPE, *PAGING),
)
async def describe_cluster_events(call: Call) -> Events:
    """The events of a cluster, newest first; ``task_id`` and ``type`` filter."""
    cluster = call.cluster()
    await call.lifecycle.cluster(cluster)
    return await _events(call, (cluster,), task=call.text("task_id"))


@operations.add("DescribeEvents", "GET", "/events", Level.LIST, Events, query=(_CLUSTER, _TYPE, _SOURCE, *PAGING))
async def describe_events(call: Call) -> Events:
    """The events of all clusters, those that were removed too, newest first; the filters narrow it down."""
    cluster = call.text("cluster_id")
    if call.text("source") not in {"", SOURCE}:
        return _page(call, (), 0)
    return await _events(call, (ClusterId(cluster),) if cluster else None)


@operations.add(
    "DescribeEventsForRegion",
    "GET",
    "/regions/{region_id}/events",
    Level.LIST,
    Events,
    query=(_CLUSTER, Parameter("type", Kind.TEXT, _TYPE.about), *PAGING),
)
async def describe_events_for_region(call: Call) -> Events:
    """The events of the clusters of a region, newest first; a region without clusters has none."""
    region, cluster = call.path["region_id"], call.text("cluster_id")
    there = {each.id for each in await call.lifecycle.clusters() if each.region == region}
    wanted = there & {ClusterId(cluster)} if cluster else there
    return await _events(call, tuple(sorted(wanted)))


@operations.add("DescribeClusterLogs", "GET", "/clusters/{ClusterId}/logs", Level.GET, list[ClusterLog])
async def describe_cluster_logs(call: Call) -> list[ClusterLog]:
    """What happened to a cluster, one line an event, newest first."""
    cluster = call.cluster()
    await call.lifecycle.cluster(cluster)
    events, total = await call.lifecycle.events(clusters=(cluster,), limit=_LOG_LINES)
    return [
        {
            "ID": total - place,
            "cluster_id": cluster,
            "cluster_log": f"[{event.level}] {event.component or cluster}: {event.message}",
            "created": vocabulary.moment(event.at),
            "updated": vocabulary.moment(event.at),
        }
        for place, event in enumerate(events)
    ]


async def _events(call: Call, clusters: tuple[ClusterId, ...] | None, *, task: str = "") -> Events:
    page = call.page()
    wanted = call.text("type")
    kind = vocabulary.KIND_FILTER.get(wanted, "")
    # An unknown word in a filter matches nothing; an empty filter would match everything.
    if (wanted and not kind) or clusters == ():
        return _page(call, (), 0)
    events, total = await call.lifecycle.events(
        clusters=clusters, task=TaskId(task) if task else None, kind=kind, offset=page.offset, limit=page.size
    )
    return _page(call, events, total)


def _page(call: Call, events: Sequence[Event], total: int) -> Events:
    page = call.page()
    return {
        "events": [_event(event) for event in events],
        "next_token": page.next_token(total),
        "page_info": page.info(total),
    }


def _event(event: Event) -> EventShape:
    return {
        "event_id": event.id,
        "type": vocabulary.event_type(event.kind),
        "source": SOURCE,
        "subject": event.component or event.cluster,
        "time": vocabulary.moment(event.at),
        "cluster_id": event.cluster,
        "task_id": event.task or "",
        "data": {"level": event.level, "reason": event.reason, "message": event.message},
    }
