"""Components of a cluster: what runs, what fits, how the last task went.

What is read of the classic family (ack-api 02), the instances of the current one (ack-api 03), and Addonry's own view
of the same. What changes components is in ``changes``.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.operation import Call, Encoded, Registry
from addonry.lifecycle import ComponentStatus
from addonry.model.components import Health, SourceKind
from addonry.model.errors import ComponentNotFound
from addonry.model.ids import Version
from addonry.model.tasks import LIVE, Change, Status, Task, TaskKind
from addonry.rules.offers import version_of

operations = Registry()


# The upgrade status


class TaskError(msgspec.Struct):
    """Why the last task failed."""

    code: str
    message: str


class LastTask(msgspec.Struct):
    """``tasks``: how the last task goes or went. The order of the members is that of the published sample."""

    created_at: str = vocabulary.ZERO_TIME
    finished_at: str = vocabulary.ZERO_TIME
    is_canceled: bool = False
    status: str = vocabulary.NEVER_TOUCHED
    message: str | msgspec.UnsetType = msgspec.UNSET
    error: TaskError | msgspec.UnsetType = msgspec.UNSET


class AddonInfo(msgspec.Struct):
    """``addon_info``: what runs."""

    component_name: str
    version: str
    ready_to_upgrade: str


class UpgradeStatus(msgspec.Struct):
    """One component. ``can_upgrade`` is documented nowhere, and Terraform crashes without it (ack-api, section 2)."""

    tasks: LastTask
    addon_info: AddonInfo
    can_upgrade: bool


@operations.add(
    "DescribeClusterAddonsUpgradeStatus",
    "GET",
    "/clusters/{ClusterId}/components/upgradestatus",
    may="component:read",
)
async def describe_clusters_addons_upgrade_status(call: Call) -> Any:
    """Of these components: which version runs, is it ready to upgrade, how did or does its last task go."""
    cluster = call.cluster()
    statuses = await call.lifecycle.status(cluster)
    # By the query as it was sent: what is asked for again is not even parsed again.
    variant = ("upgradestatus", call.request.query)
    kept = call.kept.find(cluster, statuses, variant) if call.wants_json else None
    if kept is not None:
        return Encoded(kept)
    names = call.names("componentIds")
    chosen = await _choose(call, statuses, names) if names else statuses
    told = {name: _upgrade_status(name, status) for name, status in chosen.items()}
    if not call.wants_json:
        return told
    encoded = write_json(told)
    call.kept.keep(cluster, statuses, variant, encoded)
    return Encoded(encoded)


@operations.add(
    "DescribeClusterAddonUpgradeStatus",
    "GET",
    "/clusters/{ClusterId}/components/{ComponentId}/upgradestatus",
    may="component:read",
)
async def describe_cluster_addon_upgrade_status(call: Call) -> Any:
    """The same of one component, under its name."""
    name = call.path["ComponentId"]
    return {name: _upgrade_status(name, await find_status(call, name))}


async def _choose(
    call: Call, statuses: Mapping[str, ComponentStatus], names: tuple[str, ...]
) -> dict[str, ComponentStatus]:
    # Unknown names are left out: Terraform reads a missing key as 'not there'. An alias answers under the name asked.
    chosen: dict[str, ComponentStatus] = {}
    for name in names:
        status = statuses.get(name) or statuses.get(await call.lifecycle.resolve(name))
        if status is not None:
            chosen[name] = status
    return chosen


async def find_status(call: Call, name: str) -> ComponentStatus:
    """The component of that name or alias on the cluster of the path. Raises ClusterNotFound, ComponentNotFound."""
    status = (await _choose(call, await call.lifecycle.status(call.cluster()), (name,))).get(name)
    if status is None:
        raise ComponentNotFound(name)
    return status


def _upgrade_status(name: str, status: ComponentStatus) -> UpgradeStatus:
    version = status.component.version if status.component else ""
    ready = "true" if status.readiness.is_ready else "false"
    return UpgradeStatus(
        tasks=_last_task(status),
        addon_info=AddonInfo(name, version, ready),
        can_upgrade=status.readiness.can_upgrade,
    )


def _last_task(status: ComponentStatus) -> LastTask:
    if status.task is None or status.change is None:
        found = status.component.found if status.component else None
        if found is not None and found.health is Health.FAILED:
            return LastTask(status=vocabulary.BROKEN, message=found.message)
        return LastTask()
    word = vocabulary.status_of(status.change)
    told = LastTask(
        created_at=vocabulary.moment(status.task.created_at),
        finished_at=vocabulary.moment(status.change.finished_at, never=vocabulary.ZERO_TIME),
        is_canceled=word == vocabulary.CANCELED,
        status=word,
    )
    trouble = status.change.trouble
    if status.change.status is Status.FAILED and trouble is not None:
        told.message = vocabulary.trouble_message(trouble)
        told.error = TaskError(vocabulary.trouble_code(trouble), told.message)
    return told


# Versions


@operations.add("DescribeClusterAddonsVersion", "GET", "/clusters/{ClusterId}/components/version", may="component:read")
async def describe_cluster_addons_version(call: Call) -> Any:
    """Everything installed or installable: the version that runs, and the one an upgrade would bring."""
    statuses = await call.lifecycle.status(call.cluster())
    return {name: _version(name, status) for name, status in statuses.items()}


def next_version(status: ComponentStatus) -> str:
    """What an install or upgrade would bring; the installed version when nothing newer fits."""
    if status.readiness.target is not None:
        return version_of(status.readiness.target, status.component, status.entry)
    return status.component.version if status.component else ""


def supported_actions(status: ComponentStatus) -> list[str]:
    """What may be asked of the component.

    A plain workload takes no values and is nobody's to remove; what no catalog knows has no chart to render values with.
    """
    entry, found = status.entry, status.component.found if status.component else None
    is_workload = found is not None and found.placement.source is SourceKind.WORKLOAD
    actions = ["Install", "Upgrade"] if entry else []
    actions += ["Modify"] if entry and not is_workload else []
    is_removable = not is_workload and (found is not None or entry is not None)
    return [*actions, "Uninstall"] if is_removable and not (entry and entry.required) else actions


def _version(name: str, status: ComponentStatus) -> dict[str, Any]:
    installed, entry = status.component, status.entry
    return {
        "component_name": name,
        "version": installed.version if installed else "",
        "next_version": next_version(status),
        "changed": _changed(status),
        "can_upgrade": status.readiness.can_upgrade,
        "force": False,
        "policy": "overwrite",
        "ExtraVars": None,
        "ready_to_upgrade": "true" if status.readiness.is_ready else "false",
        "message": " ".join(blocker.message for blocker in status.readiness.blockers),
        # 'exist' means installable, whatever the English page says (ack-api 02, section 3).
        "exist": installed is not None or status.readiness.can_upgrade,
        "category": entry.category if entry else "",
        "required": entry.required if entry else False,
        "template": "",
        "value": "",
        "description": entry.description if entry else "",
        "properties": None,
        "supported_actions": supported_actions(status),
        "config": "",
    }


def _changed(status: ComponentStatus) -> str:
    if status.component is None:
        return "unknown"
    change = status.change
    updated = change is not None and change.kind is TaskKind.UPGRADE and change.status is Status.SUCCESS
    return "true" if updated else "false"


# Instances


@operations.add("ListClusterAddonInstances", "GET", "/clusters/{cluster_id}/addon_instances", may="component:read")
async def list_cluster_addon_instances(call: Call) -> Any:
    """The installed components, and those being installed."""
    statuses = await call.lifecycle.status(call.cluster("cluster_id"))
    return {"addons": [_instance(name, status) for name, status in statuses.items() if _is_instance(status)]}


@operations.add(
    "GetClusterAddonInstance", "GET", "/clusters/{cluster_id}/addon_instances/{instance_name}", may="component:read"
)
async def get_cluster_addon_instance(call: Call) -> Any:
    """One installed component with its present values."""
    cluster, name = call.cluster("cluster_id"), call.path["instance_name"]
    status = (await _choose(call, await call.lifecycle.status(cluster), (name,))).get(name)
    if status is None or not _is_instance(status):
        raise ComponentNotFound(name, f"Component {name!r} is not installed.")
    if status.component is not None:
        values = await call.lifecycle.values(cluster, status.name)
    else:
        values = (status.change.values if status.change else None) or {}
    return {
        **_instance(name, status),
        "config": write_json(dict(values)).decode(),
        "logging": {"capable": False, "enabled": False, "log_project": "", "logstore": ""},
    }


def _is_instance(status: ComponentStatus) -> bool:
    return status.component is not None or _is_being_installed(status.change)


def _is_being_installed(change: Change | None) -> bool:
    return change is not None and change.kind is TaskKind.INSTALL and change.status in LIVE


def _instance(name: str, status: ComponentStatus) -> dict[str, Any]:
    if status.component is not None:
        version = status.component.version
    else:
        version = status.change.to_version if status.change else Version("")
    return {"name": name, "version": version, "state": vocabulary.instance_state(status.change)}


# Addonry's own


@operations.add("ListClusterComponents", "GET", "/addonry/v1/clusters/{ClusterId}/components", may="component:read")
async def list_cluster_components(call: Call) -> Any:
    """Everything known of a cluster's components: owner, health, target, and each readiness finding with its remedy."""
    statuses = await call.lifecycle.status(call.cluster())
    return {"components": [_component(status) for status in statuses.values()], "requestId": call.request_id}


@operations.add("ScanCluster", "POST", "/addonry/v1/clusters/{ClusterId}/scan", may="cluster:scan")
async def scan_cluster(call: Call) -> Any:
    """Look at the cluster now, and tell what runs there."""
    found = await call.lifecycle.scan(call.cluster())
    return {"components": [_component(status) for status in found], "requestId": call.request_id}


def _component(status: ComponentStatus) -> dict[str, Any]:
    found = status.component.found if status.component else None
    entry = status.entry
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
        "health": found.health if found else "",
        "message": found.message if found else "",
        "ready": status.readiness.is_ready,
        "can_upgrade": status.readiness.can_upgrade,
        "target": next_version(status) if status.readiness.target else "",
        "findings": [
            {"id": each.id, "severity": each.severity, "message": each.message, "remedy": each.remedy}
            for each in status.readiness.findings
        ],
        "observed_at": vocabulary.moment(status.component.observed_at if status.component else None),
        "task": _task(status.task, status.change),
    }


def _task(task: Task | None, change: Change | None) -> dict[str, Any] | None:
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
