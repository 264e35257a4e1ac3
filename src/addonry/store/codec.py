"""Rows to values and back. The only place that knows how a value of ``model`` lies in a table.

Members that nobody asks the database about lie in JSON columns (msgspec), values that may hold secrets are sealed.
A JSON member that a newer Addonry wrote and this one does not know is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
from sqlalchemy import Row

from addonry.model.catalog import ShelvedIndex
from addonry.model.clusters import Cluster, Reach
from addonry.model.components import Component, Found, Placement
from addonry.model.ids import ClusterId, ComponentName, TaskId, Version
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import (
    Change,
    Edits,
    Event,
    EventLevel,
    Pace,
    Snapshot,
    Status,
    StepName,
    StepRecord,
    Task,
    TaskKind,
    Trouble,
    Wish,
)
from addonry.store.secrets import Cipher

_FOUND: Final = msgspec.json.Decoder(Found)
_PLACEMENT: Final = msgspec.json.Decoder(Placement)
_PLAN: Final = msgspec.json.Decoder(tuple[str, ...])
_REMARKS: Final = msgspec.json.Decoder(tuple[str, ...])
_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)
_TROUBLE: Final = msgspec.json.Decoder(Trouble)
_SURROUNDINGS: Final = msgspec.json.Decoder(Surroundings)
# What JSON lacks (a Decimal, a date from YAML) is kept as its text; NaN and infinities become null.
_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)

Parameters = dict[str, Any]


def to_json(value: object) -> str:
    """Any value of ``model`` as JSON."""
    return _ENCODER.encode(value).decode()


def seal_values(values: Mapping[str, Any] | None, cipher: Cipher, *, owner: str) -> bytes | None:
    """Values, sealed; None stays None."""
    return None if values is None else cipher.seal(_ENCODER.encode(_with_text_keys(values)), owner=owner)


def open_values(sealed: bytes | None, cipher: Cipher, *, owner: str) -> Mapping[str, Any] | None:
    """The reverse of ``seal_values``."""
    if sealed is None:
        return None
    values: Mapping[str, Any] = msgspec.json.decode(cipher.open(sealed, owner=owner))
    return values


def _with_text_keys(value: Any) -> Any:
    # YAML knows keys like `on:` and `null:` that are no text; JSON does not.
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else _key(key): _with_text_keys(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text_keys(each) for each in value]
    return value


def _key(key: object) -> str:
    match key:
        case bool():
            return "true" if key else "false"
        case None:
            return "null"
        case _:
            return str(key)


def of_component(cluster: str, name: str) -> str:
    """The owner of a component's sealed values."""
    return f"values/{cluster}/{name}"


def of_change(task: str, place: int) -> str:
    """The owner of a change's sealed values."""
    return f"new-values/{task}/{place}"


# Clusters and components


def cluster_parameters(cluster: Cluster) -> Parameters:
    """A cluster's own columns."""
    return {
        "id": cluster.id,
        "name": cluster.name,
        "region": cluster.region,
        "server": cluster.server,
        "created_at": cluster.created_at,
        "updated_at": cluster.updated_at,
        "kubernetes": cluster.kubernetes,
        "nodes": cluster.nodes,
        "reach": cluster.reach,
        "trouble": cluster.trouble,
        "scanned_at": cluster.scanned_at,
    }


def read_cluster(row: Row[Any]) -> Cluster:
    """One row of ``queries.CLUSTERS``."""
    return Cluster(
        id=ClusterId(row.id),
        name=row.name,
        region=row.region,
        server=row.server,
        created_at=row.created_at,
        updated_at=row.updated_at,
        kubernetes=row.kubernetes,
        nodes=row.nodes,
        reach=Reach(row.reach),
        trouble=row.trouble,
        scanned_at=row.scanned_at,
    )


def component_parameters(cluster: str, component: Component, cipher: Cipher) -> Parameters:
    """All columns of a component."""
    found = component.found
    return {
        "cluster": cluster,
        "name": component.name,
        "version": found.version,
        "in_catalog": component.in_catalog,
        "observed_at": component.observed_at,
        "found": to_json(replace(found, values=None)),
        "values_sealed": seal_values(found.values, cipher, owner=of_component(cluster, component.name)),
    }


def read_component(row: Row[Any], cipher: Cipher) -> Component:
    """One row of ``queries.COMPONENTS``."""
    found = _FOUND.decode(row.found)
    values = open_values(row.values_sealed, cipher, owner=of_component(row.cluster, row.name))
    return Component(
        name=ComponentName(row.name),
        found=replace(found, values=values),
        in_catalog=row.in_catalog,
        observed_at=row.observed_at,
    )


def read_surroundings(text: str) -> Surroundings:
    """The JSON of a cluster's surroundings."""
    return _SURROUNDINGS.decode(text)


# Tasks


def task_parameters(task: Task) -> Parameters:
    """The columns of a task that moves change."""
    return {
        "status": task.status,
        "current": task.current,
        "crashes": task.crashes,
        "wish": task.wish,
        "canceled": task.canceled,
        "updated_at": task.updated_at,
        "finished_at": task.finished_at,
    }


def new_task_parameters(task: Task) -> Parameters:
    """All columns of a task."""
    return {
        **task_parameters(task),
        "id": task.id,
        "cluster": task.cluster,
        "kind": task.kind,
        "run": task.run,
        "revision": task.revision,
        "claim": None,
        "created_at": task.created_at,
        "requested_by": task.requested_by,
    }


def change_parameters(change: Change) -> Parameters:
    """The columns of a change that moves change."""
    return {
        "plan": to_json(change.plan),
        "position": change.position,
        "status": change.status,
        "snapshot": None if change.snapshot is None else to_json(change.snapshot),
        "remarks": to_json(change.remarks),
        "trouble": None if change.trouble is None else to_json(change.trouble),
        "percent": change.percent,
        "note": change.note,
        "stall": change.stall,
        "started_at": change.started_at,
        "finished_at": change.finished_at,
    }


def new_change_parameters(task: Task, place: int, *, number: int, cipher: Cipher) -> Parameters:
    """All columns of a change."""
    change = task.changes[place]
    return {
        **change_parameters(change),
        "task": number,
        "place": place,
        "cluster": task.cluster,
        "component": change.component,
        "kind": change.kind,
        "placement": to_json(change.placement),
        "from_version": change.from_version,
        "to_version": change.to_version,
        "edits": change.edits,
        "unsafe_crds": change.unsafe_crds,
        "pace": change.pace,
        "values_sealed": seal_values(change.values, cipher, owner=of_change(task.id, place)),
    }


def read_task(row: Row[Any], changes: Sequence[Row[Any]], cipher: Cipher) -> Task:
    """One row of ``queries.TASKS`` with its changes, in order."""
    return Task(
        id=TaskId(row.id),
        cluster=ClusterId(row.cluster),
        kind=TaskKind(row.kind),
        changes=tuple(_read_change(each, row.id, cipher) for each in changes),
        created_at=row.created_at,
        updated_at=row.updated_at,
        status=Status(row.status),
        current=row.current,
        run=row.run,
        revision=row.revision,
        crashes=row.crashes,
        wish=None if row.wish is None else Wish(row.wish),
        canceled=row.canceled,
        finished_at=row.finished_at,
        requested_by=row.requested_by,
    )


def _read_change(row: Row[Any], task: str, cipher: Cipher) -> Change:
    return Change(
        component=ComponentName(row.component),
        kind=TaskKind(row.kind),
        placement=_PLACEMENT.decode(row.placement),
        from_version=Version(row.from_version),
        to_version=Version(row.to_version),
        plan=tuple(_step_name(each) for each in _PLAN.decode(row.plan)),
        position=row.position,
        status=Status(row.status),
        values=open_values(row.values_sealed, cipher, owner=of_change(task, row.place)),
        edits=Edits(row.edits),
        pace=Pace(row.pace),
        unsafe_crds=row.unsafe_crds,
        snapshot=None if row.snapshot is None else _SNAPSHOT.decode(row.snapshot),
        remarks=_REMARKS.decode(row.remarks),
        trouble=None if row.trouble is None else _TROUBLE.decode(row.trouble),
        percent=row.percent,
        note=row.note,
        stall=row.stall,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _step_name(name: str) -> str:
    """A StepName where this release knows it; a newer one's name stays the text it is."""
    try:
        return StepName(name)
    except ValueError:
        return name


def read_step(row: Row[Any]) -> StepRecord:
    """One row of ``queries.STEPS``."""
    return StepRecord(
        component=ComponentName(row.component),
        step=_step_name(row.step),
        started_at=row.started_at,
        finished_at=row.finished_at,
        ok=row.ok,
        message=row.message,
    )


# The rest


def event_parameters(event: Event, *, id: str) -> Parameters:  # noqa: A002 - the column's name
    """All columns of an event."""
    return {
        "id": id,
        "cluster": event.cluster,
        "task": event.task,
        "component": event.component,
        "kind": event.kind,
        "reason": event.reason,
        "message": event.message,
        "level": event.level,
        "at": event.at,
    }


def read_event(row: Row[Any]) -> Event:
    """One row of ``queries.EVENTS``."""
    return Event(
        cluster=ClusterId(row.cluster),
        task=None if row.task is None else TaskId(row.task),
        component=None if row.component is None else ComponentName(row.component),
        kind=row.kind,
        reason=row.reason,
        message=row.message,
        at=row.at,
        level=EventLevel(row.level),
        id=row.id,
    )


def read_index(row: Row[Any]) -> ShelvedIndex:
    """One row of ``queries.CHART_INDEX``."""
    return ShelvedIndex(row.repository, row.body, row.etag, row.last_modified, row.fetched_at)
