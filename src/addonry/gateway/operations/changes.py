"""What changes components: install, upgrade, modify, uninstall (ack-api 02, sections 7 to 10), and plans of it.

The members ``canary`` and ``edits`` are Addonry's own, and so are the operations ConfigureComponents and PlanChanges.
A body is read and checked as a whole before anything is asked.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypedDict, TypeVar, assert_never

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import read_json_text
from addonry.gateway.operation import Call, Level, Registry
from addonry.gateway.operations.components import find_status
from addonry.gateway.operations.envelope import Accepted, Free, Nothing
from addonry.gateway.vocabulary import TroubleMembers
from addonry.lifecycle import ConfigureRequest, InstallRequest, PlannedChange, UpgradeRequest
from addonry.model.errors import ComponentNotFound, InvalidParameter
from addonry.model.ids import Version
from addonry.model.tasks import Edits, Pace

operations = Registry()

Words = TypeVar("Words", bound=StrEnum)


class Policy(StrEnum):
    """The published upgrade policies."""

    OVERWRITE = "overwrite"
    CANARY = "canary"


class Action(StrEnum):
    """What PlanChanges may be asked to plan."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    CONFIGURE = "configure"


class InstallItem(msgspec.Struct):
    """One element of InstallClusterAddons; *disabled*, *required* and others of old clients are ignored."""

    name: str
    version: str | None = None
    config: str | dict[str, Any] | None = None
    canary: bool | None = None


class UpgradeItem(msgspec.Struct):
    """One element of UpgradeClusterAddons."""

    component_name: str
    next_version: str | None = None
    version: str | None = None
    config: str | dict[str, Any] | None = None
    policy: str | None = None
    canary: bool | None = None
    edits: str | None = None


class UninstallItem(msgspec.Struct):
    """One element of UnInstallClusterAddons. *cleanup_cloud_resources* is ignored: there are none that we made."""

    name: str


class ConfigureItem(msgspec.Struct):
    """One element of ConfigureComponents."""

    name: str
    config: str | dict[str, Any]
    canary: bool | None = None
    edits: str | None = None


class PlanItem(msgspec.Struct):
    """One element of PlanChanges; without *action*, what is not installed is installed and the rest upgraded."""

    name: str
    action: str | None = None
    version: str | None = None
    config: str | dict[str, Any] | None = None
    canary: bool | None = None
    edits: str | None = None


class PlannedShape(TypedDict):
    """One change as it would be done."""

    component_name: str
    task_type: str
    action: str
    version: str
    next_version: str
    canary: bool
    edits: str
    steps: list[str]
    remarks: list[str]
    point_of_no_return: str
    seconds: int | None
    error: TroubleMembers


class Plan(TypedDict):
    """What would be done, in order."""

    changes: list[PlannedShape]
    requestId: str


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
    _check_names([item.name for item in items])
    requests = [
        InstallRequest(item.name, _version_of(item.version), _values(item.config), _pace(canary=item.canary))
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
    _check_names([item.component_name for item in items])
    requests = [
        UpgradeRequest(
            item.component_name,
            _version_of(item.next_version),
            _version_of(item.version),
            _values(item.config),
            _edits(item.edits),
            _pace(item.policy, canary=item.canary),
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
    _check_names(names)
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
    given = _needed(_values(config["config"]) if isinstance(config.get("config"), str) else config or None)
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
    _check_names([item.name for item in items])
    requests = [
        ConfigureRequest(item.name, _needed(_values(item.config)), _edits(item.edits), _pace(canary=item.canary))
        for item in items
    ]
    task = await call.lifecycle.configure(call.cluster(), requests, by=call.key)
    return Accepted(call.cluster(), call.request_id, task.id)


@operations.add(
    "PlanChanges",
    "POST",
    "/addonry/v1/clusters/{ClusterId}/plan",
    Level.GET,
    Plan,
    also=("cs:GetPlan",),
    body=list[PlanItem],
    names=lambda call: [item.name for item in call.items(PlanItem)],
)
async def plan_changes(call: Call) -> Plan:
    """What an install, upgrade or configure would do, in order, without doing it; the cluster is asked, not changed."""
    items = call.items(PlanItem)
    _check_names([item.name for item in items])
    read = [
        (
            _choice(Action, "action", item.action),
            UpgradeRequest(
                item.name,
                _version_of(item.version),
                None,
                _values(item.config),
                _edits(item.edits),
                _pace(canary=item.canary),
            ),
        )
        for item in items
    ]
    requests = [_request(action or await _usual(call, asked.name), asked) for action, asked in read]
    planned = await call.lifecycle.plan(call.cluster(), requests)
    return {"changes": [_plan(each) for each in planned], "requestId": call.request_id}


async def _usual(call: Call, name: str) -> Action:
    return Action.UPGRADE if (await find_status(call, name)).component else Action.INSTALL


def _request(action: Action, asked: UpgradeRequest) -> InstallRequest | UpgradeRequest | ConfigureRequest:
    match action:
        case Action.INSTALL:
            return InstallRequest(asked.name, asked.version, asked.values, asked.pace)
        case Action.UPGRADE:
            return asked
        case Action.CONFIGURE:
            return ConfigureRequest(asked.name, _needed(asked.values), asked.edits, asked.pace)
        case _:
            assert_never(action)


def _plan(planned: PlannedChange) -> PlannedShape:
    change = planned.change
    return {
        "component_name": change.component,
        "task_type": vocabulary.KIND[change.kind].task_type,
        "action": change.kind,
        "version": change.from_version,
        "next_version": change.to_version,
        "canary": change.pace is Pace.CANARY,
        "edits": change.edits,
        "steps": list(change.plan),
        "remarks": list(change.remarks),
        "point_of_no_return": planned.point_of_no_return or "",
        "seconds": None if planned.seconds is None else round(planned.seconds),
        "error": vocabulary.trouble_members(change.trouble),
    }


# What bodies hold


def _check_names(names: list[str]) -> None:
    if not names:
        raise InvalidParameter("body", "names no component", remedy="Send an array with at least one element.")
    if not all(names):
        raise InvalidParameter("body", "has an element without a component's name")
    if len(set(names)) < len(names):
        raise InvalidParameter("body", "names a component twice", remedy="Name each component once.")


def _needed(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Values that have to be given: an empty text taken for "none at all" would throw the present ones away."""
    if values is None:
        raise InvalidParameter("config", "is missing", remedy='Send {"config": "{\\"replicas\\": 2}"}, for example.')
    return values


def _pace(policy: str | None = None, *, canary: bool | None) -> Pace:
    # To take a canary for an ordinary upgrade would move all pods at once, against the caller's word. Clients that know
    # of ACK's policies only always send one, so that overwrite does not speak against `canary`.
    is_canary = _choice(Policy, "policy", policy) is Policy.CANARY or canary
    return Pace.CANARY if is_canary else Pace.AT_ONCE


def _edits(text: str | None) -> Edits:
    return _choice(Edits, "edits", text) or Edits.OVERWRITE


def _choice(words: type[Words], parameter: str, text: str | None) -> Words | None:
    """The word that *text* is; None when nothing was said. Raises InvalidParameter for another word."""
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        allowed = " or ".join(words)
        raise InvalidParameter(parameter, "is a word that is not known", remedy=f"Send {allowed}.") from None


def _version_of(text: str | None) -> Version | None:
    return Version(text.strip()) if text and text.strip() else None


def _values(config: str | dict[str, Any] | None) -> Mapping[str, Any] | None:
    if not config:
        # `{}` as an object is an answer ("no values"); no text and no member are none.
        return config if isinstance(config, dict) else None
    read = read_json_text(config, "config") if isinstance(config, str) else config
    if not isinstance(read, dict):
        raise InvalidParameter("config", "must be a JSON object as text", remedy='For example "{\\"replicas\\": 2}".')
    return read
