"""What every namespace gets from the cluster: a service account, and the certificate its Pods trust the server by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from addonry.simulator.life.world import NAMESPACES, World, is_kind, is_leaving
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_ACCOUNTS: Final = built_in("", "serviceaccounts")
_CONFIG_MAPS: Final = built_in("", "configmaps")
_ACCOUNT: Final = "default"
_CERTIFICATE: Final = "kube-root-ca.crt"
_DESCRIPTION: Final = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
# Nothing runs in the Pods, so nothing verifies with it.
_BUNDLE: Final = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n"


class Namespaced:
    """Makes, and makes anew, one object in each namespace."""

    def __init__(self, world: World, resource: Resource, name: str, content: Object) -> None:
        self._world, self._resource, self._name, self._content = world, resource, name, content

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, NAMESPACES) and change.type is not ChangeType.DELETED:
            return (change.record.key,)
        if (
            change.type is ChangeType.DELETED
            and is_kind(change, self._resource)
            and change.record.key.name == self._name
        ):
            return (ObjectKey(NAMESPACES.key, "", change.record.key.namespace),)
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        namespace = self._world.get(key)
        if namespace is None or is_leaving(namespace):
            return
        if self._world.store.get(ObjectKey(self._resource.key, key.name, self._name)) is None:
            metadata = {"name": self._name, "namespace": key.name, **self._content.get("metadata", {})}
            self._world.create(self._resource, {**self._content, "metadata": metadata})


def default_accounts(world: World) -> Namespaced:
    return Namespaced(world, _ACCOUNTS, _ACCOUNT, {})


def root_certificates(world: World) -> Namespaced:
    annotations = {"kubernetes.io/description": _DESCRIPTION}
    content = {"metadata": {"annotations": annotations}, "data": {"ca.crt": _BUNDLE}}
    return Namespaced(world, _CONFIG_MAPS, _CERTIFICATE, content)
