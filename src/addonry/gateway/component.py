"""One component of a cluster with everything that is known of it, as the API tells it and ``addonry scan`` prints it."""

from typing import TypedDict

from addonry.gateway import vocabulary
from addonry.gateway.findings import FindingShape, finding_shape
from addonry.gateway.ownership import ConflictShape, OwnerShape, conflict_shape, owner_shape
from addonry.lifecycle import ComponentStatus
from addonry.model.outlook import Outlook
from addonry.model.tasks import Change, Task
from addonry.rules.offers import version_of


class ComponentTask(TypedDict):
    """The last task of a component."""

    task_id: str
    task_type: str
    state: str
    status: str
    percent: int
    from_version: str
    to_version: str
    created_at: str
    finished_at: str
    message: str
    stall: str


class EndOfLifeShape(TypedDict):
    """From which day on nobody mends the installed version."""

    day: str
    passed: bool
    successor: str
    evidence: str


class ComponentShape(TypedDict):
    """Everything known of one component of a cluster."""

    name: str
    title: str
    category: str
    in_catalog: bool
    installed: bool
    version: str
    app_version: str
    source: str
    namespace: str
    instance: str
    kind: str
    owner: str
    owner_ref: OwnerShape | None
    conflicts: list[ConflictShape]
    health: str
    message: str
    ready: bool
    can_upgrade: bool
    target: str
    newest: str
    can_roll_back: bool | None
    end_of_life: EndOfLifeShape | None
    findings: list[FindingShape]
    observed_at: str
    task: ComponentTask | None


def component_shape(status: ComponentStatus) -> ComponentShape:
    """All of it; what is not known is empty."""
    found = status.component.found if status.component else None
    entry, target = status.entry, status.readiness.target
    return {
        "name": status.name,
        "title": entry.title if entry else "",
        "category": entry.category if entry else "",
        "in_catalog": entry is not None,
        "installed": found is not None,
        "version": found.version if found else "",
        "app_version": found.app_version if found else "",
        "source": found.placement.source if found else "",
        "namespace": found.placement.namespace if found else (entry.namespace if entry else ""),
        "instance": found.placement.name if found else (entry.release if entry else ""),
        "kind": found.placement.kind if found else "",
        "owner": found.owner if found else "",
        "owner_ref": owner_shape(found.owner_ref) if found and found.owner_ref else None,
        "conflicts": [conflict_shape(each) for each in found.conflicts] if found else [],
        "health": found.health if found else "",
        "message": found.message if found else "",
        "ready": status.readiness.is_ready,
        "can_upgrade": status.readiness.can_upgrade,
        "target": version_of(target, status.component, entry) if target else "",
        "newest": status.outlook.newest or "",
        "can_roll_back": status.outlook.can_roll_back,
        "end_of_life": _end_of_life(status.outlook),
        "findings": [finding_shape(each) for each in status.readiness.findings],
        "observed_at": vocabulary.moment(status.component.observed_at if status.component else None),
        "task": _task(status.task, status.change),
    }


def _end_of_life(outlook: Outlook) -> EndOfLifeShape | None:
    if outlook.end is None:
        return None
    return {
        "day": outlook.end.day.isoformat(),
        "passed": outlook.has_ended,
        "successor": outlook.end.successor,
        "evidence": outlook.end.evidence,
    }


def _task(task: Task | None, change: Change | None) -> ComponentTask | None:
    if task is None or change is None:
        return None
    return {
        "task_id": task.id,
        "task_type": vocabulary.KIND[change.kind].task_type,
        "state": vocabulary.STATUS[change.status].state,
        "status": vocabulary.status_of(change),
        "percent": change.percent,
        "from_version": change.from_version,
        "to_version": change.to_version,
        "created_at": vocabulary.moment(task.created_at),
        "finished_at": vocabulary.moment(change.finished_at),
        "message": vocabulary.trouble_message(change.trouble) if change.trouble else change.note,
        "stall": change.stall,
    }
