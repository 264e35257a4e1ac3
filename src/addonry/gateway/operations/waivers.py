"""Waivers of readiness checks: Addonry's own, ACK has none."""

from typing import TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Level, Registry
from addonry.gateway.operations.envelope import Nothing
from addonry.model.readiness import Waiver

operations = Registry()


class NewWaiver(msgspec.Struct):
    """The body of AddWaiver."""

    check: str
    reason: str
    until: str
    component: str = ""
    owner: str = ""


class WaiverShape(TypedDict):
    """One waiver. ``component`` is empty when it is of all."""

    waiver_id: str
    check: str
    component: str
    reason: str
    owner: str
    until: str
    made_at: str
    expired: bool


class NewWaiverShape(WaiverShape):
    """The answer of AddWaiver."""

    requestId: str


class Waivers(TypedDict):
    """The waivers of a cluster."""

    waivers: list[WaiverShape]
    requestId: str


@operations.add(
    "AddWaiver",
    "POST",
    "/addonry/v1/clusters/{ClusterId}/waivers",
    Level.CREATE,
    NewWaiverShape,
    body=NewWaiver,
)
async def add_waiver(call: Call) -> NewWaiverShape:
    """Take a finding upon oneself until a day: it is told as before, and no longer blocks."""
    asked = call.object(NewWaiver)
    owner = asked.owner or (call.credential.user if call.credential else "") or call.key
    made = await call.lifecycle.add_waiver(
        call.cluster(), asked.check, asked.component, reason=asked.reason, until=asked.until, owner=owner
    )
    return {**_shape(made, expired=False), "requestId": call.request_id}


@operations.add("ListWaivers", "GET", "/addonry/v1/clusters/{ClusterId}/waivers", Level.LIST, Waivers)
async def list_waivers(call: Call) -> Waivers:
    """The waivers of a cluster, oldest first, with those that have expired."""
    told = await call.lifecycle.waivers(call.cluster())
    return {"waivers": [_shape(each, expired=expired) for each, expired in told], "requestId": call.request_id}


@operations.add("RemoveWaiver", "DELETE", "/addonry/v1/clusters/{ClusterId}/waivers/{waiver}", Level.DELETE, Nothing)
async def remove_waiver(call: Call) -> Nothing:
    """Take a waiver back: what it was about blocks again."""
    await call.lifecycle.remove_waiver(call.cluster(), call.path["waiver"], by=call.key)
    return {}


def _shape(waiver: Waiver, *, expired: bool) -> WaiverShape:
    return {
        "waiver_id": waiver.id,
        "check": waiver.check,
        "component": waiver.component or "",
        "reason": waiver.reason,
        "owner": waiver.by,
        "until": vocabulary.moment(waiver.until),
        "made_at": vocabulary.moment(waiver.made_at),
        "expired": expired,
    }
