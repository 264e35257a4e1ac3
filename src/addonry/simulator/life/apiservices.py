"""APIServices: available a moment after the Pods behind their Service are ready.

Nothing answers behind them; a client that calls such an API gets 503 until it is available, and 404 then. What matters
to an upgrade is the condition, which Helm does not wait for. The APIs of custom resource definitions have an APIService
each, made and removed with them.
See https://kubernetes.io/docs/tasks/extend-kubernetes/setup-extension-api-server/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addonry.simulator import aggregation, selectors
from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import (
    API_SERVICES,
    DEFINITIONS,
    PODS,
    SERVICES,
    World,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    since,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

AVAILABLE_SECONDS: Final = 2.0
_CUSTOM_PRIORITIES: Final = (1000, 100)


class ApiServices:
    """The availability controller of the aggregation layer."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, API_SERVICES):
            return (change.record.key,)
        if is_kind(change, SERVICES, PODS):
            apis = aggregation.aggregated(self._world.store)
            return tuple(ObjectKey(API_SERVICES.key, "", f"{api.version}.{api.group}") for api in apis)
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        api_service = self._world.get(key)
        if api_service is None or is_leaving(api_service):
            return
        uid, now = api_service["metadata"]["uid"], self._world.clock.elapsed()
        status, reason, message = self._judge(api_service)
        if status == "True" and not aggregation.is_available(api_service) and api_service["spec"].get("service"):
            due = self._due.setdefault(uid, now + AVAILABLE_SECONDS)
            if now < due:
                self._world.wake(self, key, due - now)
                status, reason = "False", "FailedDiscoveryCheck"
                message = "failing or missing response: the API is not answering yet"
        else:
            self._due.pop(uid, None)
        self._set(api_service, status, reason, message)

    def _judge(self, api_service: Object) -> tuple[str, str, str]:
        service = api_service["spec"].get("service")
        if not service:
            return "True", "Local", "Local APIServices are always available"
        where = f'"{service["name"]}" in "{service["namespace"]}"'
        found = self._world.get(ObjectKey(SERVICES.key, service["namespace"], service["name"]))
        if found is None:
            return (
                "False",
                "ServiceNotFound",
                f"service/{service['name']} in {where[len(service['name']) + 6 :]} is not present",
            )
        selector = selectors.from_object({"matchLabels": found["spec"].get("selector") or {}})
        pods = self._world.store.records(PODS.key, service["namespace"])
        chosen = [r.decode() for r in pods if selector and selectors.matches(selector, r.labels)]
        if not any(is_active(pod) and is_ready(pod) for pod in chosen):
            return "False", "MissingEndpoints", f"endpoints for service/{service['name']} in {where} have no addresses"
        return "True", "Passed", "all checks passed"

    def _set(self, api_service: Object, status: str, reason: str, message: str) -> None:
        conditions = (api_service.get("status") or {}).get("conditions", [])
        old = next((c for c in conditions if c["type"] == "Available"), None)
        if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            return
        now = timestamp(self._world.clock.now())
        made = {
            "type": "Available",
            "status": status,
            "lastTransitionTime": since(old, status, now),
            "reason": reason,
            "message": message,
        }
        self._world.set_status(API_SERVICES, api_service, {"conditions": [made]})


class CustomApis:
    """Registers the APIs of custom resource definitions."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, API_SERVICES) and change.type is ChangeType.DELETED:
            return (change.record.key,)
        if is_kind(change, DEFINITIONS):
            spec = change.record.decode()["spec"]
            names = (f"{version['name']}.{spec['group']}" for version in spec.get("versions") or ())
            return tuple(ObjectKey(API_SERVICES.key, "", name) for name in names)
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        world = self._world
        version, _, group = key.name.partition(".")
        known = world.get(key)
        if not self._is_defined(group, version):
            if known is not None and known["metadata"].get("labels", {}).get(aggregation.AUTOMANAGED) == "true":
                world.store.remove(key)
        elif known is None:
            now = timestamp(world.clock.now())
            made = aggregation.local_service(group, version, now, managed="true", priorities=_CUSTOM_PRIORITIES)
            world.put(API_SERVICES, made)

    def _is_defined(self, group: str, version: str) -> bool:
        specs = (record.decode()["spec"] for record in self._world.store.records(DEFINITIONS.key))
        return any(
            spec["group"] == group and any(v["name"] == version and v.get("served") for v in spec.get("versions") or ())
            for spec in specs
        )
