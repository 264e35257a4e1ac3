"""DaemonSets: one Pod on every node that fits, replaced within maxUnavailable or maxSurge.

See https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.errors import ApiError
from addonry.simulator.life import revisions, scheduling
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
from addonry.simulator.objects.defaults import TEMPLATE_GENERATION
from addonry.simulator.storage import Change, Object, ObjectKey

_COMPONENT: Final = "daemonset-controller"
# What every daemon Pod puts up with, see
# https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
_TOLERATED: Final = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_ON_HOST_NETWORK: Final = ("network-unavailable", "NoSchedule")


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
        nodes, tolerated = self._nodes(workload)
        pods = self._pods(workload)
        surge = self._surge(workload, len(nodes))
        for name, found in pods.items():
            staying = [pod for pod in found if is_active(pod)]
            # Without surge there is one Pod a node, the oldest, whatever an earlier strategy has left.
            spare = [pod["metadata"]["uid"] for pod in (staying[1:] if not surge else ())]
            for pod in found:
                if not is_leaving(pod) and (
                    name not in tolerated or not is_active(pod) or pod["metadata"]["uid"] in spare
                ):
                    self._delete(workload, pod)
        for name in nodes:
            if not pods.get(name):
                self._create(workload, name, hash_)
        if _is_rolling(workload):
            self._roll(workload, nodes, pods, hash_, surge)
        self._report(key, workload, nodes, hash_, pods)

    def _nodes(self, workload: Object) -> tuple[list[str], list[str]]:
        """The nodes where a Pod should run, and those where one that runs may stay."""
        template = workload["spec"]["template"]["spec"]
        spec = {**template, "tolerations": _tolerations(template)}
        nodes = (record.decode() for record in self._world.store.records(NODES.key))
        fitting = [node for node in nodes if scheduling.matches_node(spec, node)]

        def names(*effects: str) -> list[str]:
            return [n["metadata"]["name"] for n in fitting if not scheduling.untolerated(spec, n, effects)]

        return names("NoSchedule", "NoExecute"), names("NoExecute")

    def _pods(self, workload: Object) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for pod in self._world.owned(workload["metadata"]["uid"], PODS):
            found.setdefault(pod["spec"].get("nodeName") or _meant_for(pod), []).append(pod)
        return found

    def _surge(self, workload: Object, nodes: int) -> int:
        rolling = workload["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
        return scaled(rolling.get("maxSurge", 0), nodes, up=True) if _is_rolling(workload) else 0

    def _roll(self, workload: Object, nodes: list[str], pods: dict[str, list[Object]], hash_: str, surge: int) -> None:
        if surge:
            self._roll_with_surge(workload, nodes, pods, hash_, surge)
            return
        rolling = workload["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
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
        generation = (workload["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "1")
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
        spec = {
            **template["spec"],
            "affinity": _tied_to(node, template["spec"].get("affinity") or {}),
            "tolerations": _tolerations(template["spec"]),
        }
        try:
            pod = self._world.create(PODS, {"metadata": metadata, "spec": spec})
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

    def _report(
        self, key: ObjectKey, workload: Object, nodes: list[str], hash_: str, before: dict[str, list[Object]]
    ) -> None:
        """Write the counts, those from *before* this pass: what it made or removed comes to be seen in the next one."""
        pods = {name: [p for p in found if is_active(p)] for name, found in before.items()}
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


def _tolerations(spec: Object) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = list(spec.get("tolerations") or ())
    more = (*_TOLERATED, _ON_HOST_NETWORK) if spec.get("hostNetwork") else _TOLERATED
    added = [{"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": effect} for what, effect in more]
    return [*own, *(toleration for toleration in added if toleration not in own)]


def _tied_to(node: str, affinity: Object) -> Object:
    """The affinity of the template, for this one node: the scheduler places the Pod, and finds out if it has room."""
    required = ((affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")) or {}
    name = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    terms = [{**term, "matchFields": name} for term in required.get("nodeSelectorTerms") or [{}]]
    own = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), **own}}


def _meant_for(pod: Object) -> str:
    """The node of a Pod that is not placed yet."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity")) or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    fields = (field for term in required.get("nodeSelectorTerms") or () for field in term.get("matchFields") or ())
    return next((field["values"][0] for field in fields if field["key"] == "metadata.name"), "")


def _is_rolling(workload: Object) -> bool:
    return bool(workload["spec"].get("updateStrategy", {}).get("type", "RollingUpdate") == "RollingUpdate")


def _hash(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))
