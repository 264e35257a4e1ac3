"""DaemonSets: one Pod on every node that fits, replaced within maxUnavailable or maxSurge.

See https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.errors import ApiError
from addonry.simulator.life import revisions
from addonry.simulator.life.pods import matches_node
from addonry.simulator.life.replicasets import available_of
from addonry.simulator.life.revisions import HASH_LABEL
from addonry.simulator.life.world import (
    DAEMON_SETS,
    NODES,
    PODS,
    RETRY_SECONDS,
    World,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    key_of,
    owner_reference,
    scaled,
)
from addonry.simulator.storage import Change, Object, ObjectKey

_COMPONENT: Final = "daemonset-controller"


class DaemonSets:
    """The DaemonSet controller."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, DAEMON_SETS):
            return (change.record.key,)
        if is_kind(change, PODS):
            return self._world.owner_keys(change.record, DAEMON_SETS)
        if is_kind(change, NODES):
            return tuple(record.key for record in self._world.store.records(DAEMON_SETS.key))
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        workload = self._world.get(key)
        if workload is None or is_leaving(workload):
            return
        revision = revisions.record(self._world, DAEMON_SETS, workload)
        hash_ = revision.rpartition("-")[2]
        nodes = self._nodes(workload)
        pods = self._pods(workload)
        for name, found in pods.items():
            for pod in found:
                if not is_leaving(pod) and (name not in nodes or not is_active(pod)):
                    self._delete(workload, pod)
        for name in nodes:
            if not pods.get(name):
                self._create(workload, name, hash_)
        if workload["spec"].get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate":
            self._roll(workload, nodes, pods, hash_)
        self._report(key, workload, nodes, hash_)

    def _nodes(self, workload: Object) -> list[str]:
        spec = workload["spec"]["template"]["spec"]
        nodes = (record.decode() for record in self._world.store.records(NODES.key))
        return [node["metadata"]["name"] for node in nodes if matches_node(spec, node)]

    def _pods(self, workload: Object) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for pod in self._world.owned(workload["metadata"]["uid"], PODS):
            found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod)
        return found

    def _roll(self, workload: Object, nodes: list[str], pods: dict[str, list[Object]], hash_: str) -> None:
        rolling = workload["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
        surge = scaled(rolling.get("maxSurge", 0), len(nodes), up=True)
        if surge:
            self._roll_with_surge(workload, nodes, pods, hash_, surge)
            return
        allowed = max(scaled(rolling.get("maxUnavailable", 1), len(nodes), up=True), 1)
        unavailable = sum(not any(is_active(p) and is_ready(p) for p in pods.get(name, [])) for name in nodes)
        for name in nodes:
            for pod in pods.get(name, []):
                if _hash(pod) == hash_ or is_leaving(pod):
                    continue
                if not is_ready(pod):
                    self._delete(workload, pod)
                elif unavailable < allowed:
                    self._delete(workload, pod)
                    unavailable += 1

    def _roll_with_surge(
        self, workload: Object, nodes: list[str], pods: dict[str, list[Object]], hash_: str, surge: int
    ) -> None:
        for name in nodes:
            found = [pod for pod in pods.get(name, []) if not is_leaving(pod)]
            new = [pod for pod in found if _hash(pod) == hash_]
            old = [pod for pod in found if _hash(pod) != hash_]
            if old and new and is_ready(new[0]):
                for pod in old:
                    self._delete(workload, pod)
            elif old and not new and surge > 0:
                self._create(workload, name, hash_)
                surge -= 1
            elif old and new:
                surge -= 1

    def _create(self, workload: Object, node: str, hash_: str) -> None:
        template = workload["spec"]["template"]
        generation = str(workload["metadata"].get("generation", 1))
        labels = {
            **(template.get("metadata", {}).get("labels") or {}),
            HASH_LABEL: hash_,
            "pod-template-generation": generation,
        }
        metadata: dict[str, Any] = {
            "generateName": f"{workload['metadata']['name']}-",
            "namespace": workload["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner_reference(DAEMON_SETS, workload)],
        }
        if annotations := template.get("metadata", {}).get("annotations"):
            metadata["annotations"] = dict(annotations)
        # Each Pod is tied to its node; who schedules it makes no difference to a client.
        try:
            pod = self._world.create(PODS, {"metadata": metadata, "spec": {**template["spec"], "nodeName": node}})
        except ApiError as error:
            self._world.refused(DAEMON_SETS, workload, error, f"Error creating: {error.message}", by=_COMPONENT)
            self._world.wake(self, key_of(DAEMON_SETS, workload), RETRY_SECONDS)
            return
        self._world.admitted(workload)
        message = f"Created pod: {pod['metadata']['name']}"
        self._world.event(DAEMON_SETS, workload, "SuccessfulCreate", message, by=_COMPONENT)

    def _delete(self, workload: Object, pod: Object) -> None:
        self._world.remove(PODS, pod)
        message = f"Deleted pod: {pod['metadata']['name']}"
        self._world.event(DAEMON_SETS, workload, "SuccessfulDelete", message, by=_COMPONENT)

    def _report(self, key: ObjectKey, workload: Object, nodes: list[str], hash_: str) -> None:
        pods = {name: [p for p in found if is_active(p)] for name, found in self._pods(workload).items()}
        placed = [pods[name] for name in nodes if pods.get(name)]
        best = [next((p for p in found if is_ready(p)), found[0]) for found in placed]
        ready = [pod for pod in best if is_ready(pod)]
        available, wait = available_of(self._world, ready, workload["spec"].get("minReadySeconds", 0))
        if wait:
            self._world.wake(self, key, wait)
        updated = sum(any(_hash(pod) == hash_ for pod in found) for found in placed)
        status: dict[str, Any] = {
            "currentNumberScheduled": len(placed),
            "numberMisscheduled": sum(bool(found) for name, found in pods.items() if name not in nodes),
            "desiredNumberScheduled": len(nodes),
            "numberReady": len(ready),
            "observedGeneration": workload["metadata"].get("generation", 1),
        }
        counts = {
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": len(nodes) - available,
        }
        status |= {name: count for name, count in counts.items() if count}
        self._world.set_status(DAEMON_SETS, workload, status)


def _hash(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))
