"""Subresources that are no view of their object: what is asked of a Pod, a Service or a service account.

To serve another, name it in the table of `resources` and write a function here, named in `ACTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.access.users import Users
from addonry.simulator.admission.evictions import mark_disrupted, take_disruption
from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.logs import log_of
from addonry.simulator.messages import Request, Response, json_response, text_response
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, Record, Store
from addonry.simulator.writing import DeleteOptions, WriteOptions, Writer

_USUAL_TOKEN: Final = 3600
_SHORTEST_TOKEN: Final = 600
_LONGEST_TOKEN: Final = 2**32


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the actions work with."""

    store: Store
    writer: Writer
    clock: Clock
    users: Users
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One request about one existing object; the body is empty where there was none."""

    request: Request
    resource: Resource
    record: Record
    body: Object
    options: WriteOptions
    deletion: DeleteOptions


Action = Callable[[Surroundings, Call], Response]


def _log(around: Surroundings, call: Call) -> Response:
    return text_response(log_of(call.record.decode(), call.request.query, dict(around.said)))


def _evict(around: Surroundings, call: Call) -> Response:
    take_disruption(around.store, call.record, dry_run=call.deletion.dry_run)
    if not call.deletion.dry_run:
        mark_disrupted(around.store, call.resource, call.record, around.clock)
    around.writer.delete(call.resource, call.record.key, call.deletion)
    return _success()


def _bind(around: Surroundings, call: Call) -> Response:
    """Place a Pod on a node, as a scheduler of one's own does."""
    pod = call.record.decode()
    node = (call.body.get("target") or {}).get("name")
    if not node:
        said = "Required value"
        raise errors.invalid(_BINDING, call.record.key.name, [("FieldValueRequired", said, "target.name")])
    if pod["spec"].get("nodeName"):
        why = f"pod {call.record.key.name} is already assigned to node {pod['spec']['nodeName']!r}".replace("'", '"')
        raise errors.conflict(built_in("", "pods"), call.record.key.name, why)
    if not call.options.dry_run:
        pod["spec"]["nodeName"] = node
        around.store.put(call.resource, pod)
    return _success()


def _connect(_: Surroundings, __: Call) -> Response:
    """exec, attach and port-forward: there is no container behind, even for a client that would upgrade."""
    raise ApiError(400, "BadRequest", "Upgrade request required")


def _proxy(_: Surroundings, call: Call) -> Response:
    name = call.record.key.name
    if call.resource.plural == "services":
        message = f'no endpoints available for service "{name}"'
    else:
        message = "error trying to reach service: connect: connection refused"
    raise ApiError(503, "ServiceUnavailable", message)


def _token(around: Surroundings, call: Call) -> Response:
    """A token with which its bearer is the service account."""
    namespace, name = call.record.key.namespace, call.record.key.name
    asked = call.body.get("spec") or {}
    given = asked.get("expirationSeconds")
    seconds = _USUAL_TOKEN if given is None else int(given)
    if not _SHORTEST_TOKEN <= seconds <= _LONGEST_TOKEN:
        less = seconds < _SHORTEST_TOKEN
        limit = "less than 10 minutes" if less else "larger than 2^32 seconds"
        said = f"Invalid value: {seconds}: may not specify a duration {limit}"
        raise errors.invalid(_TOKEN_REQUEST, "", [("FieldValueInvalid", said, "spec.expirationSeconds")])
    now = around.clock.now()
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    token = "" if call.options.dry_run else around.users.add(f"system:serviceaccount:{namespace}:{name}", groups)
    if token:
        around.clock.call_later(seconds, lambda: around.users.forget(token))
    account = call.record.decode()["metadata"]
    request: Object = {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "uid": account["uid"], "creationTimestamp": timestamp(now)},
        "spec": {**asked, "expirationSeconds": seconds},
    }
    request = around.writer.owned_by(request, _TOKEN_REQUEST, call.options, "token")
    spec = {"audiences": ["https://kubernetes.default.svc"], **request["spec"]}
    status = {"token": token, "expirationTimestamp": timestamp(now + timedelta(seconds=seconds))}
    return json_response({**request, "spec": spec, "status": status}, 201)


ACTIONS: Final[Mapping[str, Action]] = {
    "log": _log,
    "eviction": _evict,
    "binding": _bind,
    "exec": _connect,
    "attach": _connect,
    "portforward": _connect,
    "proxy": _proxy,
    "token": _token,
}

_TOKEN_REQUEST: Final = Resource(
    "authentication.k8s.io", "v1", "TokenRequest", "tokenrequests", "tokenrequest", namespaced=True
)
_BINDING: Final = Resource("", "v1", "Binding", "bindings", "binding", namespaced=True)


def _success() -> Response:
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return json_response(status, 201)
