"""Garbage collection by owner references, in the three policies of a deletion.

See https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addonry.simulator.life.world import World, is_leaving
from addonry.simulator.removal import FOREGROUND, ORPHAN, is_due, remove
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey, Record

_ORPHANING_SECONDS: Final = 0.05


class Garbage:
    """The garbage collector."""

    def __init__(self, world: World) -> None:
        self._world = world
        # Owners are known by the uids of objects that exist; filled as changes pass by.
        self._alive: dict[str, ObjectKey] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        record = change.record
        if change.type is not ChangeType.DELETED:
            self._alive[record.uid] = record.key
            return (record.key,) if record.owners or self._may_wait(record) else ()
        self._alive.pop(record.uid, None)
        dependents = [dependent.key for dependent in self._world.store.dependents(record.uid)]
        return [*dependents, *(self._alive[uid] for uid in record.owners if uid in self._alive)]

    def reconcile(self, key: ObjectKey) -> None:
        record = self._world.store.get(key)
        if record is None:
            return
        obj = record.decode()
        if is_leaving(obj):
            self._let_go(record, obj)
        elif record.owners and not any(uid in self._alive for uid in record.owners):
            self._remove(record)

    @staticmethod
    def _may_wait(record: Record) -> bool:
        # Cheap test before decoding: only objects with these finalizers are of interest.
        return FOREGROUND.encode() in record.body or f'"{ORPHAN}"'.encode() in record.body

    def _let_go(self, record: Record, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers", [])
        dependents = self._world.store.dependents(record.uid)
        if ORPHAN in finalizers:
            for dependent in dependents:
                self._orphan(dependent, record.uid)
            if dependents:
                # The owner's controller sees that they are gone before the owner is.
                self._world.wake(self, record.key, _ORPHANING_SECONDS)
            else:
                self._drop(record, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            if not dependents:
                self._drop(record, obj, FOREGROUND)
            for dependent in dependents:
                if not is_leaving(dependent.decode()):
                    # One that owns nothing has nobody to wait for.
                    policy = "Foreground" if self._world.store.dependents(dependent.uid) else "Background"
                    self._remove(dependent, policy=policy)

    def _remove(self, record: Record, *, policy: str = "Background") -> None:
        resource = self._world.served.storage_of(record.key.resource)
        if resource is not None:
            remove(self._world.store, self._world.clock, resource, record, policy=policy)

    def _orphan(self, dependent: Record, owner: str) -> None:
        resource = self._world.served.storage_of(dependent.key.resource)
        if resource is None:
            return
        obj = dependent.decode()
        rest = [o for o in obj["metadata"]["ownerReferences"] if o["uid"] != owner]
        if rest:
            obj["metadata"]["ownerReferences"] = rest
        else:
            del obj["metadata"]["ownerReferences"]
        self._world.put(resource, obj)

    def _drop(self, record: Record, obj: Object, finalizer: str) -> None:
        resource = self._world.served.storage_of(record.key.resource)
        if resource is None:
            return
        rest = [f for f in obj["metadata"].get("finalizers", []) if f != finalizer]
        obj["metadata"]["finalizers"] = rest
        if not rest:
            del obj["metadata"]["finalizers"]
        if is_due(resource, obj):
            self._world.store.remove(record.key)
        else:
            self._world.put(resource, obj)
