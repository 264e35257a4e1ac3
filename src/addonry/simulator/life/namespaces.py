"""Namespaces go away in the background: first what is in them, then they themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addonry.simulator.life.world import NAMESPACES, World, is_kind, is_leaving
from addonry.simulator.removal import remove
from addonry.simulator.storage import Change, ChangeType, ObjectKey, Record

# A real cluster takes some seconds; clients list and watch meanwhile.
_LINGER_SECONDS: Final = 1.0


class Namespaces:
    """The namespace controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, NAMESPACES):
            return (change.record.key,)
        if change.type is ChangeType.DELETED and change.record.key.namespace:
            return (ObjectKey(NAMESPACES.key, "", change.record.key.namespace),)
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        namespace = self._world.get(key)
        if namespace is None or not is_leaving(namespace):
            return
        left = self._empty(key.name)
        now = self._world.clock.elapsed()
        due = self._due.setdefault(namespace["metadata"]["uid"], now + _LINGER_SECONDS)
        if left:
            return  # the deletion of the last object wakes us
        if now < due:
            self._world.wake(self, key, due - now)
            return
        del self._due[namespace["metadata"]["uid"]]
        namespace["spec"]["finalizers"] = [f for f in namespace["spec"].get("finalizers", []) if f != "kubernetes"]
        if namespace["spec"]["finalizers"] or namespace["metadata"].get("finalizers"):
            self._world.put(NAMESPACES, namespace)
        else:
            self._world.store.remove(key)

    def _empty(self, name: str) -> list[Record]:
        """Remove what is in the namespace; what is still there."""
        world, left = self._world, []
        for record in [r for r in world.store.everything() if r.key.namespace == name]:
            resource = world.served.storage_of(record.key.resource)
            if resource is None:
                world.store.remove(record.key)
            elif is_leaving(record.decode()) or remove(world.store, world.clock, resource, record) is not None:
                left.append(record)
        return left
