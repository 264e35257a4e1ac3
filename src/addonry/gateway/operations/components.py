"""Components of a cluster: what runs, what fits, how the last task went.

What is read of the classic family (ack-api 02), the instances of the current one (ack-api 03), and Addonry's own view
of the same. What changes components is in ``changes``.
"""

from collections.abc import Mapping
from typing import TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.component import ComponentShape, component_shape
from addonry.gateway.operation import Call, Encoded, Kind, Level, Parameter, Registry
from addonry.gateway.operations.envelope import Free
from addonry.lifecycle import ComponentStatus
from addonry.model.components import Component, Health, ObjectRef, SourceKind
from addonry.model.errors import ComponentNotFound
from addonry.model.ids import ClusterId, Version
from addonry.model.tasks import LIVE, Change, Status, TaskKind
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
    Level.GET,
    dict[str, UpgradeStatus],
    query=(Parameter("componentIds", Kind.NAMES, "Of these only; without it, of all installed or installable."),),
)
async def describe_clusters_addons_upgrade_status(call: Call) -> dict[str, UpgradeStatus] | Encoded:
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
    Level.GET,
    dict[str, UpgradeStatus],
    action="cs:QueryK8sComponentUpgradeStatus",
    also=("cs:DescribeClusterAddonUpgradeStatus",),
)
async def describe_cluster_addon_upgrade_status(call: Call) -> dict[str, UpgradeStatus]:
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


class AddonVersion(TypedDict):
    """One component, in an older vocabulary than the others."""

    component_name: str
    version: str
    next_version: str
    changed: str
    can_upgrade: bool
    force: bool
    policy: str
    ExtraVars: None
    ready_to_upgrade: str
    message: str
    exist: bool
    category: str
    required: bool
    template: str
    value: str
    description: str
    properties: None
    supported_actions: list[str]
    config: str


@operations.add(
    "DescribeClusterAddonsVersion",
    "GET",
    "/clusters/{ClusterId}/components/version",
    Level.GET,
    dict[str, AddonVersion],
    action="cs:Queryk8sComponentsUpdateVersion",
    also=("cs:DescribeClusterAddonsVersion",),
)
async def describe_cluster_addons_version(call: Call) -> dict[str, AddonVersion]:
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


def _version(name: str, status: ComponentStatus) -> AddonVersion:
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


class Instance(TypedDict):
    """One installed component."""

    name: str
    version: str
    state: str


class Instances(TypedDict):
    """The installed components of a cluster."""

    addons: list[Instance]


class InstanceWithConfig(Instance):
    """Also its values, as JSON in a text."""

    config: str


class Logging(TypedDict):
    """A component's way to a log service, which none has here."""

    capable: bool
    enabled: bool
    log_project: str
    logstore: str


class InstanceDetail(InstanceWithConfig):
    """Everything about one installed component."""

    logging: Logging


class HelmReleaseShape(TypedDict):
    """The release that a component is."""

    release_name: str
    namespace: str
    chart_name: str
    chart_version: str


class ObjectShape(TypedDict):
    """The address of one object."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str


class InstanceResources(TypedDict):
    """What belongs to a component."""

    helm_release: HelmReleaseShape | None
    kubernetes_objects: list[ObjectShape]


class AssociatedObject(TypedDict):
    """What made a resource."""

    kind: str
    namespace: str
    name: str


class ClusterResource(TypedDict):
    """One thing that belongs to a cluster: here, a component's release or workload."""

    cluster_id: str
    instance_id: str
    resource_type: str
    resource_info: str
    state: str
    auto_create: int
    created: str
    creator_type: str
    associated_object: AssociatedObject
    delete_behavior: Free
    dependencies: Free
    extra_info: Free


@operations.add("ListClusterAddonInstances", "GET", "/clusters/{cluster_id}/addon_instances", Level.LIST, Instances)
async def list_cluster_addon_instances(call: Call) -> Instances:
    """The installed components, and those being installed."""
    statuses = await call.lifecycle.status(call.cluster("cluster_id"))
    return {"addons": [_instance(name, status) for name, status in statuses.items() if _is_instance(status)]}


@operations.add(
    "GetClusterAddonInstance",
    "GET",
    "/clusters/{cluster_id}/addon_instances/{instance_name}",
    Level.GET,
    InstanceDetail,
)
async def get_cluster_addon_instance(call: Call) -> InstanceDetail:
    """One installed component with its present values."""
    instance = await _instance_with_config(call, call.cluster("cluster_id"), call.path["instance_name"])
    return {**instance, "logging": {"capable": False, "enabled": False, "log_project": "", "logstore": ""}}


@operations.add(
    "DescribeClusterAddonInstance",
    "GET",
    "/clusters/{ClusterID}/components/{AddonName}/instance",
    Level.GET,
    InstanceWithConfig,
)
async def describe_cluster_addon_instance(call: Call) -> InstanceWithConfig:
    """The same, as older clients ask for it; a component that does not work is ``unhealthy``."""
    cluster, name = call.cluster("ClusterID"), call.path["AddonName"]
    instance = await _instance_with_config(call, cluster, name)
    status = await _installed(call, cluster, name)
    found = status.component.found if status.component else None
    if instance["state"] == vocabulary.ACTIVE and found is not None and found.health is Health.FAILED:
        instance["state"] = vocabulary.UNHEALTHY
    return instance


async def _instance_with_config(call: Call, cluster: ClusterId, name: str) -> InstanceWithConfig:
    status = await _installed(call, cluster, name)
    if status.component is not None:
        values = await call.lifecycle.values(cluster, status.name)
    else:
        values = (status.change.values if status.change else None) or {}
    return {**_instance(name, status), "config": write_json(dict(values)).decode()}


async def _installed(call: Call, cluster: ClusterId, name: str) -> ComponentStatus:
    """The component of that name or alias, installed or being so. Raises ClusterNotFound, ComponentNotFound."""
    status = (await _choose(call, await call.lifecycle.status(cluster), (name,))).get(name)
    if status is None or not _is_instance(status):
        raise ComponentNotFound(name, f"Component {name!r} is not installed.")
    return status


@operations.add(
    "ListClusterAddonInstanceResources",
    "GET",
    "/clusters/{cluster_id}/addon_instances/{instance_name}/resources",
    Level.LIST,
    InstanceResources,
)
async def list_cluster_addon_instance_resources(call: Call) -> InstanceResources:
    """The objects of an installed component, asked of the cluster now, and its Helm release if it is one."""
    cluster, name = call.cluster("cluster_id"), call.path["instance_name"]
    status = await _installed(call, cluster, name)
    found = status.component.found if status.component else None
    # While it is being installed, nothing of it is recorded yet.
    owned = await call.lifecycle.owned(cluster, status.name) if found else ()
    release: HelmReleaseShape | None = None
    if found is not None and found.placement.source is SourceKind.HELM:
        release = {
            "release_name": found.placement.name,
            "namespace": found.placement.namespace,
            "chart_name": found.chart,
            "chart_version": found.version,
        }
    return {"helm_release": release, "kubernetes_objects": [_object(each) for each in owned]}


def _object(reference: ObjectRef) -> ObjectShape:
    group, _, version = reference.api_version.rpartition("/")
    return {
        "group": group,
        "version": version,
        "kind": reference.kind,
        "namespace": reference.namespace,
        "name": reference.name,
    }


@operations.add(
    "DescribeClusterResources",
    "GET",
    "/clusters/{ClusterId}/resources",
    Level.GET,
    list[ClusterResource],
    query=(Parameter("with_addon_resources", Kind.FLAG, "Tell of the components; there is nothing else to tell of."),),
)
async def describe_cluster_resources(call: Call) -> list[ClusterResource]:
    """The resources of a cluster: it has none of a cloud, so the components alone, and those when they are asked for."""
    cluster = call.cluster()
    statuses = await call.lifecycle.status(cluster)
    if not call.flag("with_addon_resources"):
        return []
    return [_resource(cluster, status.name, status.component) for status in statuses.values() if status.component]


def _resource(cluster: ClusterId, name: str, component: Component) -> ClusterResource:
    placement = component.found.placement
    return {
        "cluster_id": cluster,
        "instance_id": f"{placement.namespace}/{placement.name}",
        "resource_type": "Addon",
        "resource_info": component.version,
        "state": "CREATE_COMPLETE",
        "auto_create": 0,
        "created": "",
        "creator_type": "addon",
        "associated_object": {
            "kind": placement.kind or "HelmRelease",
            "namespace": placement.namespace,
            "name": placement.name,
        },
        "delete_behavior": {"delete_by_default": False, "changeable": False},
        "dependencies": {},
        "extra_info": {"component_name": name},
    }


def _is_instance(status: ComponentStatus) -> bool:
    return status.component is not None or _is_being_installed(status.change)


def _is_being_installed(change: Change | None) -> bool:
    return change is not None and change.kind is TaskKind.INSTALL and change.status in LIVE


def _instance(name: str, status: ComponentStatus) -> Instance:
    if status.component is not None:
        version = status.component.version
    else:
        version = status.change.to_version if status.change else Version("")
    return {"name": name, "version": version, "state": vocabulary.instance_state(status.change)}


# Addonry's own


class Components(TypedDict):
    """The components of a cluster."""

    components: list[ComponentShape]
    requestId: str


@operations.add("ListClusterComponents", "GET", "/addonry/v1/clusters/{ClusterId}/components", Level.LIST, Components)
async def list_cluster_components(call: Call) -> Components:
    """Everything known of a cluster's components: owner, health, target, and each readiness finding with its remedy."""
    statuses = await call.lifecycle.status(call.cluster())
    return {"components": [component_shape(status) for status in statuses.values()], "requestId": call.request_id}


@operations.add("ScanCluster", "POST", "/addonry/v1/clusters/{ClusterId}/scan", Level.UPDATE, Components)
async def scan_cluster(call: Call) -> Components:
    """Look at the cluster now, and tell what runs there."""
    found = await call.lifecycle.scan(call.cluster())
    return {"components": [component_shape(status) for status in found], "requestId": call.request_id}
