"""Checks on request (ack-api 04): Addonry's readiness checks, under ACK's names.

ACK publishes no type for a check of one component; ours is ``AddonUpgrade``, with the component as ``target`` and the
wanted version in ``options``.
"""

from datetime import datetime
from typing import Any, TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Level, Parameter, Registry
from addonry.model.checks import CheckItem, ClusterCheck
from addonry.model.readiness import Blocker, Severity

operations = Registry()


class NewCheck(msgspec.Struct):
    """The body of RunClusterCheck."""

    type: str
    target: str | None = None
    options: dict[str, str] | None = None


class CheckStarted(TypedDict):
    """The answer of RunClusterCheck."""

    check_id: str
    request_id: str


class CheckSummary(TypedDict):
    """One check, as it is listed; ``target`` is Addonry's own member."""

    check_id: str
    type: str
    target: str
    status: str
    message: str
    created_at: str
    finished_at: str


class CheckDetail(CheckSummary):
    """One check with what was looked at, by group."""

    check_items: dict[str, list[dict[str, Any]]]


class Checks(TypedDict):
    """The checks of a cluster."""

    checks: list[CheckSummary]


GROUP = "Addon"
"""The group of all items."""

LEVELS = {Severity.BLOCKS: "error", Severity.WARNS: "warning"}
"""Beside ``normal``, of what passed."""


@operations.add("RunClusterCheck", "POST", "/clusters/{cluster_id}/checks", Level.CREATE, CheckStarted, body=NewCheck)
async def run_cluster_check(call: Call) -> CheckStarted:
    """Ask the readiness checks: for one component (AddonUpgrade), or before an upgrade of the cluster."""
    asked = call.object(NewCheck)
    check = await call.lifecycle.run_check(
        call.cluster("cluster_id"), asked.type, asked.target or "", asked.options or {}
    )
    return {"check_id": check.id, "request_id": call.request_id}


@operations.add("GetClusterCheck", "GET", "/clusters/{cluster_id}/checks/{check_id}", Level.GET, CheckDetail)
async def get_cluster_check(call: Call) -> CheckDetail:
    """One check: what was looked at of each component, and what stands in the way."""
    check = await call.lifecycle.check(call.cluster("cluster_id"), call.path["check_id"])
    return {**_summary(check), "check_items": {GROUP: [_item(each) for each in check.outcome.items]}}


@operations.add(
    "ListClusterChecks",
    "GET",
    "/clusters/{cluster_id}/checks",
    Level.LIST,
    Checks,
    query=(Parameter("type", about="Of this type only."), Parameter("target", about="Of this target only.")),
)
async def list_cluster_checks(call: Call) -> Checks:
    """The checks of a cluster, newest first; ``type`` and ``target`` filter."""
    kind, target = call.text("type"), call.text("target")
    found = await call.lifecycle.checks(call.cluster("cluster_id"))
    return {"checks": [_summary(each) for each in found if kind in {"", each.type} and target in {"", each.target}]}


def _summary(check: ClusterCheck) -> CheckSummary:
    outcome = check.outcome
    return {
        "check_id": check.id,
        "type": check.type,
        "target": check.target,
        "status": "Succeeded" if outcome.passed else "Failed",
        "message": outcome.message,
        "created_at": _nanoseconds(outcome.created_at),
        "finished_at": _nanoseconds(outcome.finished_at),
    }


def _nanoseconds(at: datetime) -> str:
    return f"{vocabulary.moment(at)[:-1]}.{at.microsecond:06d}000Z"


def _item(item: CheckItem) -> dict[str, Any]:
    levels: dict[str, Any] = {}
    for finding in item.findings:
        # Who reads ACK's answer knows of no waivers: a finding that was waived is one that warns.
        severity = Severity.WARNS if finding.waived else finding.severity
        level = levels.setdefault(LEVELS[severity], {"Message": [], "Targets": [{"Target": item.component}]})
        level["Message"].append(f"{finding.id}: {finding.message} {_what_to_do(finding)}".strip())
    told = {name: {**level, "Message": " ".join(level["Message"])} for name, level in levels.items()}
    passed = {"normal": {"Message": "passed", "Targets": [{"Target": item.component}]}}
    return {"Name": item.component, "Group": GROUP, "Version": item.version, "Level": told or passed}


def _what_to_do(finding: Blocker) -> str:
    waiver = finding.waived
    return f"Waived by {waiver.by} until {vocabulary.moment(waiver.until)}." if waiver else finding.remedy
