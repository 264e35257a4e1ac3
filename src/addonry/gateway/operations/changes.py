"""What changes components: install, upgrade, modify, uninstall (ack-api 02, sections 7 to 10).

The members ``canary``, ``edits`` and ``unsafe_crds`` are Addonry's own, and so is the operation ConfigureComponents. A body
is read and checked as a whole before anything is asked.
"""

from typing import Any

import msgspec

from addonry.gateway.operation import Call, Level, Registry
from addonry.gateway.operations.bodies import check_names, edits_of, needed, pace_of, values_of, version_of
from addonry.gateway.operations.components import find_status
from addonry.gateway.operations.envelope import Accepted, Free, Nothing
from addonry.lifecycle import ConfigureRequest, InstallRequest, UpgradeRequest
from addonry.model.errors import ComponentNotFound

operations = Registry()


class InstallItem(msgspec.Struct):
    """One element of InstallClusterAddons; *disabled*, *required* and others of old clients are ignored."""

    name: str
    version: str | None = None
    config: str | dict[str, Any] | None = None
    canary: bool | None = None
    unsafe_crds: bool | None = None


class UpgradeItem(msgspec.Struct):
    """One element of UpgradeClusterAddons."""

    component_name: str
    next_version: str | None = None
    version: str | None = None
    config: str | dict[str, Any] | None = None
    policy: str | None = None
    canary: bool | None = None
    edits: str | None = None
    unsafe_crds: bool | None = None


class UninstallItem(msgspec.Struct):
    """One element of UnInstallClusterAddons. *cleanup_cloud_resources* is ignored: there are none that we made."""

    name: str


class ConfigureItem(msgspec.Struct):
    """One element of ConfigureComponents."""

    name: str
    config: str | dict[str, Any]
    canary: bool | None = None
    edits: str | None = None
    unsafe_crds: bool | None = None


@operations.add(
    "InstallClusterAddons",
    "POST",
    "/clusters/{ClusterId}/components/install",
    Level.CREATE,
    Accepted,
    also=("cs:InstallK8sComponents",),
    body=list[InstallItem],
    names=lambda call: [item.name for item in call.items(InstallItem)],
)
async def install_cluster_addons(call: Call) -> Accepted:
    """Install components, as one task; without a version, the newest that fits."""
    items = call.items(InstallItem)
    check_names([item.name for item in items])
    requests = [
        InstallRequest(
            item.name,
            version_of(item.version),
            values_of(item.config),
            pace_of(canary=item.canary),
            unsafe_crds=bool(item.unsafe_crds),
        )
        for item in items
    ]
    task = await call.lifecycle.install(call.cluster(), requests, by=call.key)
    return Accepted(call.cluster(), call.request_id, task.id)


@operations.add(
    "UpgradeClusterAddons",
    "POST",
    "/clusters/{ClusterId}/components/upgrade",
    Level.UPDATE,
    Accepted,
    action="cs:UpgradeK8sComponents",
    also=("cs:UpgradeClusterAddons",),
    body=list[UpgradeItem],
    names=lambda call: [item.component_name for item in call.items(UpgradeItem)],
)
async def upgrade_cluster_addons(call: Call) -> Accepted:
    """Upgrade components, as one task; without config, the present values stay."""
    items = call.items(UpgradeItem)
    check_names([item.component_name for item in items])
    requests = [
        UpgradeRequest(
            item.component_name,
            version_of(item.next_version),
            version_of(item.version),
            values_of(item.config),
            edits_of(item.edits),
            pace_of(item.policy, canary=item.canary),
            unsafe_crds=bool(item.unsafe_crds),
        )
        for item in items
    ]
    task = await call.lifecycle.upgrade(call.cluster(), requests, by=call.key)
    return Accepted(call.cluster(), call.request_id, task.id)


@operations.add(
    "UnInstallClusterAddons",
    "POST",
    "/clusters/{ClusterId}/components/uninstall",
    Level.DELETE,
    Accepted,
    also=("cs:UnInstallK8sComponents",),
    body=list[UninstallItem],
    names=lambda call: [item.name for item in call.items(UninstallItem)],
)
async def uninstall_cluster_addons(call: Call) -> Accepted:
    """Uninstall components, as one task; CRDs, volumes and namespaces stay."""
    names = [item.name for item in call.items(UninstallItem)]
    check_names(names)
    task = await call.lifecycle.uninstall(call.cluster(), names, by=call.key)
    return Accepted(call.cluster(), call.request_id, task.id)


@operations.add(
    "ModifyClusterAddon",
    "POST",
    "/clusters/{ClusterId}/components/{component_id}/config",
    Level.UPDATE,
    Nothing,
    body=Free,
)
async def modify_cluster_addon(call: Call) -> Nothing:
    """Change values of an installed component: the top-level keys in config replace the present ones, others stay."""
    config = call.object(dict[str, Any])
    # Some clients send the parameters themselves as the body, without the member (ack-api 02, section 10).
    given = needed(values_of(config["config"]) if isinstance(config.get("config"), str) else config or None)
    status = await find_status(call, call.path["component_id"])
    if status.component is None:
        raise ComponentNotFound(status.name, f"Component {status.name!r} is not installed.")
    present = await call.lifecycle.values(call.cluster(), status.name)
    await call.lifecycle.configure(call.cluster(), [ConfigureRequest(status.name, {**present, **given})], by=call.key)
    return {}


# Addonry's own


@operations.add(
    "ConfigureComponents",
    "POST",
    "/addonry/v1/clusters/{ClusterId}/configure",
    Level.UPDATE,
    Accepted,
    also=("cs:ModifyClusterAddon",),
    body=list[ConfigureItem],
    names=lambda call: [item.name for item in call.items(ConfigureItem)],
)
async def configure_components(call: Call) -> Accepted:
    """Give components other values, as one task; config is the whole of them, so that keys can be taken away too."""
    items = call.items(ConfigureItem)
    check_names([item.name for item in items])
    requests = [
        ConfigureRequest(
            item.name,
            needed(values_of(item.config)),
            edits_of(item.edits),
            pace_of(canary=item.canary),
            unsafe_crds=bool(item.unsafe_crds),
        )
        for item in items
    ]
    task = await call.lifecycle.configure(call.cluster(), requests, by=call.key)
    return Accepted(call.cluster(), call.request_id, task.id)
