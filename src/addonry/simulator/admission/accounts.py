"""The service account that a Pod runs as: without it, the Pod is refused.

See https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#serviceaccount
"""

from __future__ import annotations

from typing import Final

from addonry.simulator import errors
from addonry.simulator.resources import Resource, ResourceKey
from addonry.simulator.storage import Object, ObjectKey, Store

_PODS: Final = ResourceKey("", "pods")
_ACCOUNTS: Final = ResourceKey("", "serviceaccounts")
# Every namespace gets it a moment after it was made; a real server waits that long for it, and then lets the Pod in.
_GIVEN: Final = "default"
_MIRROR: Final = "kubernetes.io/config.mirror"


def refuse_without_account(store: Store, resource: Resource, obj: Object) -> None:
    """Raise the 403 for a new Pod whose service account is not there; a kubelet's own Pods need none."""
    metadata = obj["metadata"]
    if resource.key != _PODS or _MIRROR in (metadata.get("annotations") or {}):
        return
    spec, namespace = obj.get("spec") or {}, metadata["namespace"]
    name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _GIVEN
    if name == _GIVEN or store.get(ObjectKey(_ACCOUNTS, namespace, name)) is not None:
        return
    why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
    # Asked before a generated name is complete.
    raise errors.forbidden(resource, metadata.get("generateName") or metadata["name"], why)
