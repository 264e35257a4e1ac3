"""Load balancers get an address after a while, or, by an annotation of the Service, never. Traffic is not simulated."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from addonry.simulator.life.world import SERVICES, World, is_kind, is_leaving
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

BALANCER_SECONDS: Final = 2.0
LOAD_BALANCER: Final = "simulated-load-balancer"
"""The annotation that keeps a Service waiting for its address with the value `pending`."""
_COMPONENT: Final = "service-controller"


class Services:
    """A cloud provider's load balancers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if not is_kind(change, SERVICES):
            return ()
        if change.type is ChangeType.DELETED:
            self._due.pop(change.record.uid, None)
            return ()
        return (change.record.key,)

    def reconcile(self, key: ObjectKey) -> None:
        service = self._world.get(key)
        if service is None or is_leaving(service):
            return
        has_address = bool(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress"))
        if service.get("spec", {}).get("type") != "LoadBalancer":
            self._due.pop(service["metadata"]["uid"], None)
            self._set(service, {})
        elif not has_address:
            self._balance(key, service)

    def _balance(self, key: ObjectKey, service: Object) -> None:
        uid, now = service["metadata"]["uid"], self._world.clock.elapsed()
        if uid not in self._due:
            self._due[uid] = now + BALANCER_SECONDS
            said = "Ensuring load balancer"
            self._world.event(SERVICES, service, "EnsuringLoadBalancer", said, by=_COMPONENT)
        if (service["metadata"].get("annotations") or {}).get(LOAD_BALANCER) == "pending":
            return
        if now < self._due[uid]:
            self._world.wake(self, key, self._due[uid] - now)
            return
        del self._due[uid]
        self._set(service, {"ingress": [{"ip": _address(key), "ipMode": "VIP"}]})
        self._world.event(SERVICES, service, "EnsuredLoadBalancer", "Ensured load balancer", by=_COMPONENT)

    def _set(self, service: Object, balancer: Object) -> None:
        self._world.set_status(SERVICES, service, {**(service.get("status") or {}), "loadBalancer": balancer})


def _address(key: ObjectKey) -> str:
    number = zlib.crc32(f"{key.namespace}/{key.name}".encode()) & 0xFFFF
    return f"198.18.{number >> 8}.{number & 0xFF}"  # the range reserved for benchmarks, RFC 2544
