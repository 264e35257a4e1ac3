"""Load balancers get an address, and claims a volume. Traffic and storage are not simulated."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from addonry.simulator.life.world import CLAIMS, SERVICES, World, is_kind, is_leaving
from addonry.simulator.storage import Change, ChangeType, ObjectKey


class Services:
    """A cloud provider's load balancers."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        return (change.record.key,) if is_kind(change, SERVICES) else ()

    def reconcile(self, key: ObjectKey) -> None:
        service = self._world.get(key)
        if service is None or is_leaving(service):
            return
        is_balanced = service.get("spec", {}).get("type") == "LoadBalancer"
        ingress = [{"ip": _address(key), "ipMode": "VIP"}] if is_balanced else []
        status = {**(service.get("status") or {}), "loadBalancer": {"ingress": ingress} if ingress else {}}
        self._world.set_status(SERVICES, service, status)


def _address(key: ObjectKey) -> str:
    number = zlib.crc32(f"{key.namespace}/{key.name}".encode()) & 0xFFFF
    return f"198.18.{number >> 8}.{number & 0xFF}"  # the range reserved for benchmarks, RFC 2544


class Claims:
    """Binds each claim to a volume of its size, and lets it go when it is deleted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        is_claim = is_kind(change, CLAIMS) and change.type is not ChangeType.DELETED
        return (change.record.key,) if is_claim else ()

    def reconcile(self, key: ObjectKey) -> None:
        claim = self._world.get(key)
        if claim is None:
            return
        if is_leaving(claim):
            rest = [f for f in claim["metadata"].get("finalizers", []) if f != "kubernetes.io/pvc-protection"]
            if not rest:
                self._world.store.remove(key)
            return
        if claim.get("status", {}).get("phase") == "Bound":
            return
        spec = claim["spec"]
        spec.setdefault("volumeName", f"pvc-{claim['metadata']['uid']}")
        size = spec.get("resources", {}).get("requests", {}).get("storage", "1Gi")
        status = {"phase": "Bound", "accessModes": spec.get("accessModes", []), "capacity": {"storage": size}}
        self._world.set_status(CLAIMS, claim, status)
