"""Endpoints and EndpointSlices: the ready Pods behind each Service that has a selector.

One slice for each Service, however many Pods it has. See https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator import selectors
from addonry.simulator.life.world import (
    ENDPOINTS,
    PODS,
    SERVICES,
    SLICES,
    World,
    condition,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    owner_reference,
)
from addonry.simulator.selectors import LabelSelector
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

SERVICE_NAME: Final = "kubernetes.io/service-name"
_TRIGGER: Final = "endpoints.kubernetes.io/last-change-trigger-time"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
BATCH_SECONDS: Final = 0.2
"""Changes of Pods that come together are written together; a rollout of hundreds would be written hundreds of times."""


class Endpoints:
    """The controllers of Endpoints and EndpointSlices."""

    def __init__(self, world: World) -> None:
        self._world = world
        # Selectors by version: a Pod that changes is compared with every Service of its namespace.
        self._selectors: dict[ObjectKey, tuple[int, LabelSelector]] = {}
        self._written: dict[ObjectKey, float] = {}
        # The moments at which the Service was made and each of its Pods became ready, as last seen.
        self._moments: dict[ObjectKey, dict[str, str]] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        record = change.record
        if is_kind(change, SERVICES):
            if change.type is ChangeType.DELETED:
                self._selectors.pop(record.key, None)
                self._written.pop(record.key, None)
                self._moments.pop(record.key, None)
            return (record.key,)
        if is_kind(change, PODS):
            before = change.previous.labels if change.previous is not None else None
            return [
                service.key
                for service in self._world.store.records(SERVICES.key, record.key.namespace)
                if (selector := self._selector(service.key))
                and (selectors.matches(selector, record.labels) or selectors.matches(selector, before))
            ]
        return ()

    def _selector(self, key: ObjectKey) -> LabelSelector:
        record = self._world.store.get(key)
        if record is None:
            return ()
        known = self._selectors.get(key)
        if known is None or known[0] != record.version:
            wanted = record.decode().get("spec", {}).get("selector") or {}
            known = self._selectors[key] = (record.version, selectors.from_object({"matchLabels": wanted}))
        return known[1]

    def reconcile(self, key: ObjectKey) -> None:
        service = self._world.get(key)
        if service is None or is_leaving(service):
            # The slices are the Service's own, and garbage with it; Endpoints are found by name alone.
            if endpoints := self._world.get(ObjectKey(ENDPOINTS.key, key.namespace, key.name)):
                self._world.remove(ENDPOINTS, endpoints)
            return
        selector = self._selector(key)
        if not selector:
            return
        now = self._world.clock.elapsed()
        left = self._written.get(key, now - BATCH_SECONDS) + BATCH_SECONDS - now
        if left > 0:
            self._world.wake(self, key, left)
            return
        self._written[key] = now
        records = self._world.store.records(PODS.key, key.namespace)
        pods = [record.decode() for record in records if selectors.matches(selector, record.labels)]
        reachable = [pod for pod in pods if pod["status"].get("podIP") and (is_active(pod) or is_leaving(pod))]
        trigger = self._trigger(key, service, pods)
        self._write_endpoints(service, [pod for pod in reachable if not is_leaving(pod)], trigger)
        self._write_slice(service, reachable, trigger)

    def _trigger(self, key: ObjectKey, service: Object, pods: list[Object]) -> dict[str, str]:
        """The annotation that tells which moment led to a change: the first of those not seen before."""
        known = self._moments.get(key, {})
        moments = {"": service["metadata"]["creationTimestamp"]}
        for pod in pods:
            if (ready := condition(pod, "Ready")) and (moment := ready.get("lastTransitionTime")):
                moments[pod["metadata"]["name"]] = moment
        self._moments[key] = moments
        new = [moment for name, moment in moments.items() if moment > known.get(name, "")]
        return {_TRIGGER: min(new)} if new else {}

    def _write_endpoints(self, service: Object, pods: list[Object], trigger: dict[str, str]) -> None:
        everyone = bool(service["spec"].get("publishNotReadyAddresses"))
        ready = [_address(pod) for pod in pods if everyone or is_ready(pod)]
        waiting = [_address(pod) for pod in pods if not everyone and not is_ready(pod)]
        subset: dict[str, Any] = {}
        if ready:
            subset["addresses"] = ready
        if waiting:
            subset["notReadyAddresses"] = waiting
        if subset and (ports := _ports(service, pods)):
            subset["ports"] = ports
        about = service["metadata"]
        found = self._world.get(ObjectKey(ENDPOINTS.key, about["namespace"], about["name"]))
        subsets = [subset] if subset else []
        if found is None:
            metadata = {
                "name": about["name"],
                "namespace": about["namespace"],
                "labels": dict(about.get("labels") or {}),
                **({"annotations": trigger} if trigger else {}),
            }
            self._world.create(ENDPOINTS, {"metadata": metadata, **({"subsets": subsets} if subsets else {})})
        elif found.get("subsets", []) != subsets:
            found["subsets"] = subsets
            _annotate(found, trigger)
            self._world.put(ENDPOINTS, found)

    def _write_slice(self, service: Object, pods: list[Object], trigger: dict[str, str]) -> None:
        endpoints = [_endpoint(pod) for pod in pods]
        ports = _ports(service, pods)
        about = service["metadata"]
        mine = self._world.owned(about["uid"], SLICES)
        if not mine:
            labels = {**(about.get("labels") or {}), MANAGED_BY: "endpointslice-controller.k8s.io"}
            metadata = {
                "generateName": f"{about['name']}-",
                "namespace": about["namespace"],
                "labels": labels | {SERVICE_NAME: about["name"]},
                "ownerReferences": [owner_reference(SERVICES, service)],
                **({"annotations": trigger} if trigger else {}),
            }
            self._world.create(
                SLICES, {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
            )
        elif (mine[0].get("endpoints"), mine[0].get("ports")) != (endpoints, ports):
            mine[0] |= {"endpoints": endpoints, "ports": ports}
            _annotate(mine[0], trigger)
            mine[0]["metadata"]["generation"] = mine[0]["metadata"].get("generation", 1) + 1
            self._world.put(SLICES, mine[0])


def _annotate(obj: Object, trigger: dict[str, str]) -> None:
    annotations = {k: v for k, v in (obj["metadata"].pop("annotations", None) or {}).items() if k != _TRIGGER} | trigger
    if annotations:
        obj["metadata"]["annotations"] = annotations


def _reference(pod: Object) -> dict[str, Any]:
    about = pod["metadata"]
    return {"kind": "Pod", "namespace": about["namespace"], "name": about["name"], "uid": about["uid"]}


def _address(pod: Object) -> dict[str, Any]:
    return {"ip": pod["status"]["podIP"], "nodeName": pod["spec"].get("nodeName", ""), "targetRef": _reference(pod)}


def _endpoint(pod: Object) -> dict[str, Any]:
    ready, leaving = is_ready(pod), is_leaving(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready and not leaving, "serving": ready, "terminating": leaving},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": _reference(pod),
    }


def _ports(service: Object, pods: list[Object]) -> list[dict[str, Any]]:
    """The ports of the Service as they are in the Pods; one whose name no container knows is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = target if isinstance(target, int) else _named(pods, target)
        if number is not None:
            name = {"name": port.get("name", "")}
            found.append({**name, "port": number, "protocol": port.get("protocol", "TCP")})
    return found


def _named(pods: list[Object], name: str) -> int | None:
    if name.isdigit():
        return int(name)
    containers = (container for pod in pods for container in pod["spec"].get("containers") or ())
    ports = (port for container in containers for port in container.get("ports") or ())
    return next((port["containerPort"] for port in ports if port.get("name") == name), None)
