"""Namespaces go away in the background: first the Pods in them, then the rest, then they themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import NAMESPACES, PODS, World, condition, is_kind, is_leaving, since
from addonry.simulator.removal import remove
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey, Record

# Other API servers may not know yet that the namespace goes, so a real cluster waits before it removes anything.
GRACE_SECONDS: Final = 5.0

_DISCOVERED: Final = ("False", "ResourcesDiscovered", "All resources successfully discovered")
_PARSED: Final = ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed")
_DELETED: Final = ("False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
_REMOVED: Final = ("False", "ContentRemoved", "All content successfully removed")
_UNHELD: Final = ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished")


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
        if (
            namespace is None
            or not is_leaving(namespace)
            or "kubernetes" not in namespace["spec"].get("finalizers", ())
        ):
            return
        now = self._world.clock.elapsed()
        due = self._due.setdefault(namespace["metadata"]["uid"], now + GRACE_SECONDS)
        if now < due:
            self._world.wake(self, key, due - now)
            return
        if self._remove(self._world.store.records(PODS.key, key.name)):
            self._tell(namespace, ())
            return  # the deletion of the last Pod wakes us
        left = self._remove(r for r in self._world.store.everything() if r.key.namespace == key.name)
        self._tell(namespace, left)
        if left:
            return  # as does that of the last object
        del self._due[namespace["metadata"]["uid"]]
        namespace["spec"]["finalizers"] = [f for f in namespace["spec"]["finalizers"] if f != "kubernetes"]
        if namespace["spec"]["finalizers"] or namespace["metadata"].get("finalizers"):
            self._world.put(NAMESPACES, namespace)
        else:
            self._world.store.remove(key)

    def _remove(self, records: Iterable[Record]) -> list[Record]:
        """Remove these; what is still there."""
        world, left = self._world, []
        for record in list(records):
            resource = world.served.storage_of(record.key.resource)
            if resource is None:
                world.store.remove(record.key)
            elif is_leaving(record.decode()) or remove(world.store, world.clock, resource, record) is not None:
                left.append(record)
        return left

    def _tell(self, namespace: Object, left: Iterable[Record]) -> None:
        """Say in the status how far it has got."""
        now, made = timestamp(self._world.clock.now()), []
        for kind, (verdict, reason, message) in _conditions(left).items():
            old = condition(namespace, kind)
            if old is None or (old["status"], old["reason"], old["message"]) != (verdict, reason, message):
                old = {
                    "type": kind,
                    "status": verdict,
                    "lastTransitionTime": since(old, verdict, now),
                    "reason": reason,
                    "message": message,
                }
            made.append(old)
        self._world.set_status(NAMESPACES, namespace, {**namespace.get("status", {}), "conditions": made})


def _conditions(left: Iterable[Record]) -> Mapping[str, tuple[str, str, str]]:
    remaining, held = _REMOVED, _UNHELD
    counts: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for record in left:
        group, plural = record.key.resource
        counts[f"{plural}.{group}"] += 1
        finalizers.update(_finalizers(record))
    if counts:
        listed = ", ".join(f"{what} has {number} resource instances" for what, number in sorted(counts.items()))
        remaining = ("True", "SomeResourcesRemain", f"Some resources are remaining: {listed}")
    if finalizers:
        listed = ", ".join(f"{name} in {number} resource instances" for name, number in sorted(finalizers.items()))
        said = f"Some content in the namespace has finalizers remaining: {listed}"
        held = ("True", "SomeFinalizersRemain", said)
    return {
        "NamespaceDeletionDiscoveryFailure": _DISCOVERED,
        "NamespaceDeletionGroupVersionParsingFailure": _PARSED,
        "NamespaceDeletionContentFailure": _DELETED,
        "NamespaceContentRemaining": remaining,
        "NamespaceFinalizersRemaining": held,
    }


def _finalizers(record: Record) -> list[Any]:
    return list(record.decode()["metadata"].get("finalizers") or ())
