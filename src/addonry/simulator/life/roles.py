"""ClusterRoles that are put together from others: their rules are those of all roles with certain labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addonry.simulator import selectors
from addonry.simulator.life.world import World, is_kind
from addonry.simulator.resources import built_in
from addonry.simulator.storage import Change, ObjectKey

CLUSTER_ROLES: Final = built_in("rbac.authorization.k8s.io", "clusterroles")


class AggregatedRoles:
    """See https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles"""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if not is_kind(change, CLUSTER_ROLES):
            return ()
        records = self._world.store.records(CLUSTER_ROLES.key)
        return tuple(record.key for record in records if b'"aggregationRule"' in record.body)

    def reconcile(self, key: ObjectKey) -> None:
        role = self._world.get(key)
        if role is None or not role.get("aggregationRule"):
            return
        rules = []
        wanted = role["aggregationRule"].get("clusterRoleSelectors") or ()
        for selector in map(selectors.from_object, wanted):
            for record in self._world.store.records(CLUSTER_ROLES.key):
                if record.key != key and selectors.matches(selector, record.labels):
                    rules += [rule for rule in record.decode().get("rules") or () if rule not in rules]
        if rules != role.get("rules"):
            role["rules"] = rules
            self._world.put(CLUSTER_ROLES, role)
