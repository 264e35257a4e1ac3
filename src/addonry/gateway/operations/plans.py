"""What would be done, without doing it: plans of changes, and the versions on the way. All of it is Addonry's own."""

from enum import StrEnum
from typing import Any, TypedDict, assert_never

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Level, Parameter, Registry
from addonry.gateway.operations.bodies import check_names, choice_of, edits_of, needed, pace_of, values_of, version_of
from addonry.gateway.operations.components import find_status
from addonry.gateway.vocabulary import TroubleMembers
from addonry.lifecycle import ConfigureRequest, InstallRequest, PlannedChange, UpgradeRequest
from addonry.model.tasks import Edits, Pace
from addonry.rules.cluster_upgrades import Move
from addonry.rules.crd_changes import CrdVerdict
from addonry.rules.differences import ObjectDifference, images_between

operations = Registry()


class Action(StrEnum):
    """What PlanChanges may be asked to plan."""

    INSTALL = "install"
    UPGRADE = "upgrade"
    CONFIGURE = "configure"


class PlanItem(msgspec.Struct):
    """One element of PlanChanges; without *action*, what is not installed is installed and the rest upgraded."""

    name: str
    action: str | None = None
    version: str | None = None
    config: str | dict[str, Any] | None = None
    canary: bool | None = None
    edits: str | None = None
    unsafe_crds: bool | None = None


class FieldShape(TypedDict):
    """One field that is different; values that are no text are JSON, null is a field that is not there."""

    path: str
    change: str
    before: str | None
    after: str | None
    lines: list[str]
    hidden: bool
    noise: bool


class ObjectShape(TypedDict):
    """One object that comes, goes or has other fields."""

    kind: str
    namespace: str
    name: str
    change: str
    kept: bool
    fields: list[FieldShape]


class ImageShape(TypedDict):
    """An image in place of another."""

    before: str
    after: str


class EditShape(TypedDict):
    """A field that somebody else has set, and whether it stays."""

    field: str
    manager: str
    kept: bool


class UnsafeShape(TypedDict):
    """What is unsafe about a change of a CRD."""

    kind: str
    version: str
    field: str
    message: str


class CrdShape(TypedDict):
    """A CRD that would be created, changed or deleted."""

    name: str
    change: str
    unsafe: list[UnsafeShape]


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
    path: list[str]
    mode: str
    differences: list[ObjectShape]
    images: list[ImageShape]
    user_edits: list[EditShape]
    crds: list[CrdShape]
    error: TroubleMembers


class WayItem(msgspec.Struct):
    """One element of DescribeUpgradePaths; without *version*, the newest that fits and can be come to."""

    name: str
    version: str | None = None


class WayShape(TypedDict):
    """By which versions a component comes to the wanted one; ``missing`` names the line of versions that is in the way."""

    component_name: str
    version: str
    path: list[str]
    missing: str


class Ways(TypedDict):
    """The ways of several components."""

    paths: list[WayShape]
    requestId: str


class MoveShape(TypedDict):
    """One component that is upgraded on one side of a leg."""

    component_name: str
    version: str
    path: list[str]
    reason: str


class StopShape(TypedDict):
    """One component that is in the way of a leg."""

    component_name: str
    version: str
    message: str
    remedy: str


class LegShape(TypedDict):
    """One minor of Kubernetes up."""

    from_kubernetes: str
    to_kubernetes: str
    before: list[MoveShape]
    after: list[MoveShape]
    blocked: list[StopShape]
    unknown: list[str]


class ClusterUpgradePlan(TypedDict):
    """The way up, to the minor that was asked for or the first that something is in the way of."""

    legs: list[LegShape]
    is_possible: bool
    requestId: str


class Plan(TypedDict):
    """What would be done, in order."""

    changes: list[PlannedShape]
    requestId: str


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
    check_names([item.name for item in items])
    read = [
        (
            choice_of(Action, "action", item.action),
            UpgradeRequest(
                item.name,
                version_of(item.version),
                None,
                values_of(item.config),
                edits_of(item.edits),
                pace_of(canary=item.canary),
                unsafe_crds=bool(item.unsafe_crds),
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
            return InstallRequest(asked.name, asked.version, asked.values, asked.pace, asked.unsafe_crds)
        case Action.UPGRADE:
            return asked
        case Action.CONFIGURE:
            return ConfigureRequest(asked.name, needed(asked.values), asked.edits, asked.pace, asked.unsafe_crds)
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
        "path": list(planned.way),
        "mode": planned.mode,
        "differences": [_object(each) for each in planned.differences],
        "images": [{"before": before, "after": after} for before, after in images_between(planned.differences)],
        "user_edits": [
            {"field": field, "manager": manager, "kept": change.edits is Edits.PRESERVE}
            for field, manager in planned.edits
        ],
        "crds": [_crd(each) for each in planned.crds],
        "error": vocabulary.trouble_members(change.trouble),
    }


def _object(found: ObjectDifference) -> ObjectShape:
    return {
        "kind": found.kind,
        "namespace": found.namespace,
        "name": found.name,
        "change": found.change,
        "kept": found.is_kept,
        "fields": [
            {
                "path": each.path,
                "change": each.change,
                "before": _value(each.before),
                "after": _value(each.after),
                "lines": list(each.lines),
                "hidden": each.is_hidden,
                "noise": each.is_noise,
            }
            for each in found.fields
        ],
    }


def _value(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()


def _crd(verdict: CrdVerdict) -> CrdShape:
    return {
        "name": verdict.name,
        "change": verdict.change,
        "unsafe": [
            {"kind": each.kind, "version": each.version, "field": each.field, "message": each.message}
            for each in verdict.unsafe
        ],
    }


@operations.add(
    "DescribeUpgradePaths",
    "POST",
    "/addonry/v1/clusters/{ClusterId}/paths",
    Level.GET,
    Ways,
    body=list[WayItem],
    names=lambda call: [item.name for item in call.items(WayItem)],
)
async def describe_upgrade_paths(call: Call) -> Ways:
    """By which versions components come to those that are wanted, where versions must not be skipped."""
    items = call.items(WayItem)
    check_names([item.name for item in items])
    found = await call.lifecycle.ways(call.cluster(), [(item.name, version_of(item.version)) for item in items])
    return {
        "paths": [
            {
                "component_name": each.component,
                "version": each.from_version,
                "path": list(each.hops),
                "missing": each.missing,
            }
            for each in found
        ],
        "requestId": call.request_id,
    }


@operations.add(
    "PlanClusterUpgrade",
    "GET",
    "/addonry/v1/clusters/{ClusterId}/upgradeplan",
    Level.GET,
    ClusterUpgradePlan,
    query=(Parameter("version", about="The minor of Kubernetes to come to; else the next one."),),
)
async def plan_cluster_upgrade(call: Call) -> ClusterUpgradePlan:
    """Which components to upgrade before and after each minor of an upgrade of Kubernetes, and which are in the way."""
    legs = await call.lifecycle.plan_cluster_upgrade(call.cluster(), call.text("version"))
    return {
        "legs": [
            {
                "from_kubernetes": leg.from_kubernetes,
                "to_kubernetes": leg.to_kubernetes,
                "before": [_move(each) for each in leg.before],
                "after": [_move(each) for each in leg.after],
                "blocked": [
                    {
                        "component_name": each.component,
                        "version": each.version,
                        "message": each.message,
                        "remedy": each.remedy,
                    }
                    for each in leg.stops
                ],
                "unknown": list(leg.unknown),
            }
            for leg in legs
        ],
        "is_possible": not any(leg.stops for leg in legs),
        "requestId": call.request_id,
    }


def _move(move: Move) -> MoveShape:
    return {
        "component_name": move.component,
        "version": move.from_version,
        "path": list(move.hops),
        "reason": move.reason,
    }
