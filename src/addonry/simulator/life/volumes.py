"""Claims and the volumes they are bound to. Nothing is stored anywhere.

A claim of a StorageClass gets a volume made for it, at once or, with `WaitForFirstConsumer`, when the first Pod that
uses it is placed; one without a class is bound to a volume that somebody has made, and waits as long as there is none.
See https://kubernetes.io/docs/concepts/storage/persistent-volumes/ and
https://kubernetes.io/docs/concepts/storage/storage-classes/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.life.world import CLAIMS, PODS, STORAGE_CLASSES, VOLUMES, World, is_kind, is_leaving
from addonry.simulator.objects.validation import parse_quantity
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
PROTECTION: Final = "kubernetes.io/pvc-protection"
PROVISION_SECONDS: Final = 0.5
_BY_HAND: Final = "kubernetes.io/no-provisioner"
_COMPONENT: Final = "persistentvolume-controller"


def what_is_missing(world: World, pod: Object) -> str:
    """Why the claims of a Pod keep it from being placed anywhere; empty when they do not."""
    for name in claim_names(pod):
        claim = world.get(ObjectKey(CLAIMS.key, pod["metadata"]["namespace"], name))
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if not _is_bound(claim) and not _waits_for_consumer(world, claim):
            return "pod has unbound immediate PersistentVolumeClaims"
    return ""


def wait_for_volumes(world: World, pod: Object, node: str) -> bool:
    """Have the missing volumes of a Pod made for *node*; whether it must wait for that."""
    waits = False
    for name in claim_names(pod):
        claim = world.get(ObjectKey(CLAIMS.key, pod["metadata"]["namespace"], name))
        if claim is None or _is_bound(claim):
            continue
        waits = True
        annotations = claim["metadata"].setdefault("annotations", {})
        if SELECTED_NODE not in annotations:
            annotations[SELECTED_NODE] = node
            world.put(CLAIMS, claim)
    return waits


def claim_names(pod: Object) -> list[str]:
    """The claims that the volumes of a Pod name."""
    named = ((v.get("persistentVolumeClaim") or {}).get("claimName") for v in pod["spec"].get("volumes") or ())
    return [name for name in named if name]


class Claims:
    """The controllers that bind, provision and protect."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, float] = {}
        self._told: dict[str, str] = {}
        self._leaving: dict[ObjectKey, None] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        record = change.record
        if is_kind(change, CLAIMS):
            if change.type is not ChangeType.DELETED:
                return (record.key,)
            self._due.pop(record.uid, None)
            self._told.pop(record.uid, None)
            self._leaving.pop(record.key, None)
            self._give_back(record.decode())
            return ()
        if is_kind(change, PODS):
            return tuple(self._leaving) if self._leaving and change.type is ChangeType.DELETED else ()
        if is_kind(change, VOLUMES, STORAGE_CLASSES) and change.type is ChangeType.ADDED:
            return tuple(r.key for r in self._world.store.records(CLAIMS.key) if not _is_bound(r.decode()))
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        claim = self._world.get(key)
        if claim is None:
            return
        if is_leaving(claim):
            self._let_go(key, claim)
        elif not _is_bound(claim):
            self._find_volume(key, claim)

    # ------------------------------------------------------------------ binding

    def _find_volume(self, key: ObjectKey, claim: Object) -> None:
        volume = self._waiting_volume(claim)
        if volume is not None:
            self._bind(claim, volume)
            return
        name = claim["spec"].get("storageClassName", "")
        if not name:
            why = "no persistent volumes available for this claim and no storage class is set"
            self._tell(claim, "FailedBinding", why)
            return
        storage_class = self._world.get(ObjectKey(STORAGE_CLASSES.key, "", name))
        if storage_class is None:
            why = f'storageclass.storage.k8s.io "{name}" not found'
            self._tell(claim, "ProvisioningFailed", why, warning=True)
        elif _is_late(storage_class) and SELECTED_NODE not in (claim["metadata"].get("annotations") or {}):
            why = "waiting for first consumer to be created before binding"
            self._tell(claim, "WaitForFirstConsumer", why)
        elif storage_class.get("provisioner") != _BY_HAND:
            self._provision(key, claim, storage_class)

    def _waiting_volume(self, claim: Object) -> Object | None:
        """The smallest volume that somebody has made and that is large enough."""
        found = [r.decode() for r in self._world.store.records(VOLUMES.key)]
        free = [v for v in found if _fits(v, claim)]
        return min(free, key=lambda v: parse_quantity(v["spec"]["capacity"]["storage"]) or 0, default=None)

    def _provision(self, key: ObjectKey, claim: Object, storage_class: Object) -> None:
        now = self._world.clock.elapsed()
        due = self._due.setdefault(claim["metadata"]["uid"], now + PROVISION_SECONDS)
        if now < due:
            self._world.wake(self, key, due - now)
            return
        name = f"pvc-{claim['metadata']['uid']}"
        spec: dict[str, Any] = {
            "accessModes": claim["spec"].get("accessModes", []),
            "capacity": {"storage": _size(claim)},
            "csi": {"driver": storage_class.get("provisioner", ""), "volumeHandle": name},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
        }
        made = self._world.create(VOLUMES, {"metadata": {"name": name}, "spec": spec})
        self._bind(claim, made)
        self._tell(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _bind(self, claim: Object, volume: Object) -> None:
        about = claim["metadata"]
        volume["spec"]["claimRef"] = {
            "kind": "PersistentVolumeClaim",
            "namespace": about["namespace"],
            "name": about["name"],
            "uid": about["uid"],
            "apiVersion": "v1",
        }
        volume["status"] = {"phase": "Bound"}
        self._world.put(VOLUMES, volume)
        claim["spec"]["volumeName"] = volume["metadata"]["name"]
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes", []),
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        self._world.set_status(CLAIMS, claim, status)

    def _tell(self, claim: Object, reason: str, message: str, *, warning: bool = False) -> None:
        if self._told.get(claim["metadata"]["uid"]) != reason:
            self._told[claim["metadata"]["uid"]] = reason
            self._world.event(CLAIMS, claim, reason, message, by=_COMPONENT, warning=warning)

    # ------------------------------------------------------------------ letting go

    def _let_go(self, key: ObjectKey, claim: Object) -> None:
        """A claim that is in use stays until the last Pod that uses it has gone."""
        pods = (record.decode() for record in self._world.store.records(PODS.key, key.namespace))
        if any(key.name in claim_names(pod) and _is_at_work(pod) for pod in pods):
            self._leaving[key] = None
            return
        rest = [f for f in claim["metadata"].get("finalizers", []) if f != PROTECTION]
        if rest == claim["metadata"].get("finalizers", []):
            return
        claim["metadata"]["finalizers"] = rest
        if rest:
            self._world.put(CLAIMS, claim)
        else:
            self._world.store.remove(key)

    def _give_back(self, claim: Object) -> None:
        """A volume without its claim is deleted or kept, as its policy says."""
        name = claim["spec"].get("volumeName")
        volume = self._world.get(ObjectKey(VOLUMES.key, "", name)) if name else None
        if volume is None:
            return
        if volume["spec"].get("persistentVolumeReclaimPolicy", "Retain") == "Delete":
            self._world.remove(VOLUMES, volume)
        else:
            self._world.set_status(VOLUMES, volume, {"phase": "Released"})


def _is_at_work(pod: Object) -> bool:
    return bool(pod["spec"].get("nodeName")) and pod["status"].get("phase") not in ("Succeeded", "Failed")


def _is_bound(claim: Object) -> bool:
    return (claim.get("status") or {}).get("phase") == "Bound"


def _waits_for_consumer(world: World, claim: Object) -> bool:
    name = claim["spec"].get("storageClassName", "")
    storage_class = world.get(ObjectKey(STORAGE_CLASSES.key, "", name)) if name else None
    return storage_class is not None and _is_late(storage_class)


def _is_late(storage_class: Object) -> bool:
    return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def _fits(volume: Object, claim: Object) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    if spec.get("claimRef") and spec["claimRef"].get("uid") != claim["metadata"]["uid"]:
        return False
    if wanted.get("volumeName"):
        return bool(wanted["volumeName"] == volume["metadata"]["name"])
    if spec.get("storageClassName", "") != wanted.get("storageClassName", ""):
        return False
    if not set(wanted.get("accessModes", ())) <= set(spec.get("accessModes", ())):
        return False
    size = parse_quantity((spec.get("capacity") or {}).get("storage", "0")) or 0
    return size >= (parse_quantity(_size(claim)) or 0)


def _size(claim: Object) -> str:
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    return str(requests.get("storage", "1Gi"))
