"""StatefulSets: Pods with a name and a claim of their own, one after the other.

OrderedReady and Parallel, RollingUpdate with a partition, OnDelete. As on a real cluster, a rollout that is stuck on a
broken Pod stays stuck after the template was fixed, until that Pod is deleted:
https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.errors import ApiError
from addonry.simulator.life import revisions
from addonry.simulator.life.replicasets import available_of
from addonry.simulator.life.revisions import HASH_LABEL
from addonry.simulator.life.world import (
    CLAIMS,
    PODS,
    RETRY_SECONDS,
    STATEFUL_SETS,
    World,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    key_of,
    owner_reference,
)
from addonry.simulator.storage import Change, Object, ObjectKey

_COMPONENT: Final = "statefulset-controller"


class StatefulSets:
    """The StatefulSet controller."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, STATEFUL_SETS):
            return (change.record.key,)
        return self._world.owner_keys(change.record, STATEFUL_SETS) if is_kind(change, PODS) else ()

    def reconcile(self, key: ObjectKey) -> None:
        workload = self._world.get(key)
        if workload is None or is_leaving(workload):
            return
        update = revisions.record(self._world, STATEFUL_SETS, workload)
        current = workload.get("status", {}).get("currentRevision") or update
        self._arrange(workload, current, update)
        self._retain(workload)
        self._report(key, workload, current, update)

    # ------------------------------------------------------------------ Pods

    def _arrange(self, workload: Object, current: str, update: str) -> None:
        spec = workload["spec"]
        wanted, first = spec.get("replicas", 1), spec.get("ordinals", {}).get("start", 0)
        in_order = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        pods = self._pods(workload)
        for ordinal in range(first, first + wanted):
            pod = pods.get(ordinal)
            if pod is None:
                self._create(workload, ordinal, current, update)
                if in_order:
                    return
            elif in_order and (is_leaving(pod) or not is_ready(pod)):
                return
            elif not is_leaving(pod) and not is_active(pod):
                self._delete(workload, pod)
        surplus = sorted((o for o in pods if not first <= o < first + wanted), reverse=True)
        for ordinal in surplus:
            if not is_leaving(pods[ordinal]):
                self._delete(workload, pods[ordinal])
            if in_order:
                return
        self._update(workload, {o: pod for o, pod in pods.items() if o not in surplus}, first + wanted, update)

    def _update(self, workload: Object, pods: dict[int, Object], end: int, update: str) -> None:
        """Replace one outdated Pod, the highest first, when all above it are well."""
        strategy = workload["spec"].get("updateStrategy", {})
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        for ordinal in range(end - 1, min(pods, default=end) - 1, -1):
            pod = pods.get(ordinal)
            if ordinal < partition or pod is None:
                return
            if _revision(pod) != update and not is_leaving(pod):
                self._delete(workload, pod)
                return
            if is_leaving(pod) or not is_ready(pod):
                return

    def _pods(self, workload: Object) -> dict[int, Object]:
        found = {}
        for pod in self._world.owned(workload["metadata"]["uid"], PODS):
            ordinal = pod["metadata"]["name"].rpartition("-")[2]
            if ordinal.isdigit():
                found[int(ordinal)] = pod
        return found

    def _create(self, workload: Object, ordinal: int, current: str, update: str) -> None:
        try:
            self._make(workload, ordinal, current, update)
        except ApiError as error:
            name = workload["metadata"]["name"]
            said = f"create Pod {name}-{ordinal} in StatefulSet {name} failed error: {error.message}"
            self._world.refused(STATEFUL_SETS, workload, error, said, by=_COMPONENT)
            self._world.wake(self, key_of(STATEFUL_SETS, workload), RETRY_SECONDS)
        else:
            self._world.admitted(workload)

    def _make(self, workload: Object, ordinal: int, current: str, update: str) -> None:
        strategy = workload["spec"].get("updateStrategy", {})
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        is_old = ordinal < partition and strategy.get("type", "RollingUpdate") == "RollingUpdate"
        revision = current if is_old else update
        template = revisions.template(self._world, workload, revision)
        name, namespace = f"{workload['metadata']['name']}-{ordinal}", workload["metadata"]["namespace"]
        labels = {
            **(template.get("metadata", {}).get("labels") or {}),
            "apps.kubernetes.io/pod-index": str(ordinal),
            HASH_LABEL: revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        spec = {**template["spec"], "hostname": name}
        if workload["spec"].get("serviceName"):
            spec["subdomain"] = workload["spec"]["serviceName"]
        volumes = self._claims(workload, ordinal)
        if volumes:
            own = {volume["name"] for volume in volumes}
            spec["volumes"] = [*volumes, *(v for v in spec.get("volumes") or () if v["name"] not in own)]
        metadata: dict[str, Any] = {
            "name": name,
            "generateName": f"{workload['metadata']['name']}-",
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [owner_reference(STATEFUL_SETS, workload)],
        }
        if annotations := template.get("metadata", {}).get("annotations"):
            metadata["annotations"] = dict(annotations)
        self._world.create(PODS, {"metadata": metadata, "spec": spec})
        message = f"create Pod {name} in StatefulSet {workload['metadata']['name']} successful"
        self._world.event(STATEFUL_SETS, workload, "SuccessfulCreate", message, by=_COMPONENT)

    def _claims(self, workload: Object, ordinal: int) -> list[Object]:
        """The claims of one Pod, made if they are not there, as volumes."""
        volumes = []
        for template in workload["spec"].get("volumeClaimTemplates") or ():
            name = template["metadata"]["name"]
            claim = f"{name}-{workload['metadata']['name']}-{ordinal}"
            volumes.append({"name": name, "persistentVolumeClaim": {"claimName": claim}})
            namespace = workload["metadata"]["namespace"]
            if self._world.store.get(ObjectKey(CLAIMS.key, namespace, claim)) is None:
                labels = dict(workload["spec"]["selector"].get("matchLabels") or {})
                metadata = {"name": claim, "namespace": namespace, "labels": labels}
                self._world.create(CLAIMS, {"metadata": metadata, "spec": dict(template["spec"])})
        return volumes

    def _retain(self, workload: Object) -> None:
        """Tie claims to what they are to go with, as the retention policy says; by default they stay.

        See https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
        """
        policy = workload["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if "Delete" not in policy.values():
            return
        first = workload["spec"].get("ordinals", {}).get("start", 0)
        wanted = range(first, first + workload["spec"].get("replicas", 1))
        pods = self._pods(workload)
        for ordinal, claim in self._own_claims(workload):
            owners: list[dict[str, Any]] = []
            if policy.get("whenDeleted") == "Delete":
                owners.append({**owner_reference(STATEFUL_SETS, workload), "controller": False})
            if policy.get("whenScaled") == "Delete" and ordinal not in wanted and ordinal in pods:
                owners.append({**owner_reference(PODS, pods[ordinal]), "controller": False})
            if policy.get("whenScaled") == "Delete" and ordinal not in wanted and ordinal not in pods:
                self._world.remove(CLAIMS, claim)
            elif claim["metadata"].get("ownerReferences", []) != owners:
                claim["metadata"]["ownerReferences"] = owners
                self._world.put(CLAIMS, claim)

    def _own_claims(self, workload: Object) -> list[tuple[int, Object]]:
        names = [t["metadata"]["name"] for t in workload["spec"].get("volumeClaimTemplates") or ()]
        found = []
        for record in self._world.store.records(CLAIMS.key, workload["metadata"]["namespace"]):
            start, _, ordinal = record.key.name.rpartition("-")
            if ordinal.isdigit() and any(start == f"{name}-{workload['metadata']['name']}" for name in names):
                found.append((int(ordinal), record.decode()))
        return found

    def _delete(self, workload: Object, pod: Object) -> None:
        self._world.remove(PODS, pod)
        message = f"delete Pod {pod['metadata']['name']} in StatefulSet {workload['metadata']['name']} successful"
        self._world.event(STATEFUL_SETS, workload, "SuccessfulDelete", message, by=_COMPONENT)

    # ------------------------------------------------------------------ status

    def _report(self, key: ObjectKey, workload: Object, current: str, update: str) -> None:
        made = list(self._pods(workload).values())  # those on their way out count until they are gone
        ready = [pod for pod in made if is_ready(pod)]
        available, wait = available_of(self._world, ready, workload["spec"].get("minReadySeconds", 0))
        if wait:
            self._world.wake(self, key, wait)
        wanted = workload["spec"].get("replicas", 1)
        pods = [pod for pod in made if is_active(pod)]
        updated = [pod for pod in pods if _revision(pod) == update]
        if len(updated) == wanted == len(made) and all(is_ready(pod) for pod in updated):
            current = update
        counts = {
            "readyReplicas": len(ready),
            "currentReplicas": sum(_revision(pod) == current for pod in pods),
            "updatedReplicas": len(updated),
        }
        status: dict[str, Any] = {
            "observedGeneration": workload["metadata"].get("generation", 1),
            "replicas": len(made),
            **{name: count for name, count in counts.items() if count},
            "currentRevision": current,
            "updateRevision": update,
            "collisionCount": 0,
            "availableReplicas": available,
        }
        self._world.set_status(STATEFUL_SETS, workload, status)


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))
