"""Keeps the status of ResourceQuotas: the limits in force, and what is used of them."""

from __future__ import annotations

from collections.abc import Iterable

from addonry.simulator.admission import quotas
from addonry.simulator.life.events import EVENTS
from addonry.simulator.life.world import QUOTAS, World, is_kind
from addonry.simulator.storage import Change, ChangeType, ObjectKey


class Quotas:
    """The ResourceQuota controller."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, QUOTAS) and change.type is not ChangeType.DELETED:
            return (change.record.key,)
        # A status has no say in what is used, but for that of a Pod, whose end frees its share.
        if not self._world.store.has_any(QUOTAS.key) or is_kind(change, EVENTS):
            return ()
        return tuple(r.key for r in self._world.store.records(QUOTAS.key, change.record.key.namespace or "-"))

    def reconcile(self, key: ObjectKey) -> None:
        quota = self._world.get(key)
        if quota is not None:
            hard = dict((quota.get("spec") or {}).get("hard") or {})
            self._world.set_status(QUOTAS, quota, {"hard": hard, "used": quotas.usage(self._world.store, quota)})
