"""Why pods do not come, where neither they nor their workload say it: the last line of a log, the events of a refusal.

Asked only for what is stalled, never needed for a verdict: whatever goes wrong here, the stall is told without it.
"""

import re
from dataclasses import replace
from typing import Final

import msgspec

from addonry.kube.api import Api
from addonry.model.components import ObjectRef
from addonry.model.errors import ClusterTrouble
from addonry.rules.health import Stall, WorkloadState, refusal

LINE_LIMIT: Final = 200

_CONTROL: Final = re.compile(r"(?:\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f\u2028\u2029])+")
_SECRET: Final = re.compile(
    # user:password@ in an address; password=..., "token": "..."; the header Authorization.
    r"(?P<address>://[^/\s:@]+:)[^/\s@]+(?=@)"
    r"|(?P<name>(?:pass(?:word|wd)?|secret|token|api[_-]?key|credential)s?[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]+",
    re.IGNORECASE,
)


class _Involved(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""


class _Event(msgspec.Struct, rename="camel", gc=False):
    message: str = ""
    involved_object: _Involved = msgspec.field(default_factory=_Involved)


async def explain(api: Api, ref: ObjectRef, state: WorkloadState, stall: Stall | None) -> Stall | None:
    """*stall* with what else can be found out; a refusal where there was none and pods are missing."""
    try:
        if stall is None and state.replicas < state.desired and ref.kind != "Deployment":
            return await _refused(api, ref)
        if stall is not None and stall.reason == "CrashLoopBackOff":
            line = await _last_line(api, ref.namespace, stall)
            return replace(stall, message=f"{stall.message}; its last words: {line}") if line else stall
    except ClusterTrouble:
        pass  # not allowed, or gone by now
    return stall


def fit_to_be_told(line: str) -> str:
    """A line of somebody's log, on one line, short, and without what looks like a password or token."""
    told = _CONTROL.sub(" ", line).strip()
    told = _SECRET.sub(lambda found: (found["address"] or found["name"] or found["scheme"]) + "***", told)
    return told if len(told) <= LINE_LIMIT else f"{told[: LINE_LIMIT - 1]}…"


async def _last_line(api: Api, namespace: str, stall: Stall) -> str:
    """Of the container's life before this one. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/"""
    params = {"container": stall.container, "previous": "true", "tailLines": "1", "limitBytes": "4096"}
    text = await api.text(f"/api/v1/namespaces/{namespace}/pods/{stall.pod}/log", params=params)
    lines = text.strip().splitlines()
    return fit_to_be_told(lines[-1]) if lines else ""


async def _refused(api: Api, ref: ObjectRef) -> Stall | None:
    """StatefulSets and DaemonSets tell of pods they may not create in events only."""
    selector = f"involvedObject.kind={ref.kind},involvedObject.name={ref.name},reason=FailedCreate"
    found, _ = await api.list(f"/api/v1/namespaces/{ref.namespace}/events", _Event, params={"fieldSelector": selector})
    mine = [each for each in found if (each.involved_object.kind, each.involved_object.name) == (ref.kind, ref.name)]
    if not mine:
        return None
    message = fit_to_be_told(mine[-1].message)
    return Stall(refusal(message), f"{ref.kind} {ref.name} may not create its pods: {message}", is_fatal=False)
