"""Nodes join a cluster, fall silent and come back, as a cloud and its kubelets would have them; see `life.nodes`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from addonry.simulator.clock import timestamp
from addonry.simulator.resources import built_in
from addonry.simulator.storage import ObjectKey, Store, new_uid

NODES: Final = built_in("", "nodes")
_HOSTNAME: Final = "kubernetes.io/hostname"
_READINESS: Final = {
    "True": ("KubeletReady", "kubelet is posting ready status"),
    "False": ("KubeletNotReady", "container runtime is down"),
    "Unknown": ("NodeStatusUnknown", "Kubelet stopped posting node status."),
}


def node_key(name: str) -> ObjectKey:
    return ObjectKey(NODES.key, "", name)


def joining(store: Store, name: str, room: Mapping[str, str], *, now: datetime) -> None:
    """Put a node like the first one into the store, as a group of nodes does that grows."""
    if store.get(node_key(name)) is not None:
        raise ValueError(f"There is a node {name!r} already; choose another name.")
    pattern = next(iter(store.records(NODES.key)), None)
    if pattern is None:
        raise ValueError("A cluster without any node has none that a new one could be like.")
    node = pattern.decode()
    number = sum(1 for _ in store.records(NODES.key)) + 1
    node["metadata"] = {
        "name": name,
        "uid": new_uid(),
        "creationTimestamp": timestamp(now),
        "labels": {**(node["metadata"].get("labels") or {}), _HOSTNAME: name},
    }
    node["spec"] = {}
    status = node["status"]
    status["addresses"] = [
        {"type": "InternalIP", "address": f"10.200.{number // 250}.{number % 250 + 1}"},
        {"type": "Hostname", "address": name},
    ]
    for member in ("capacity", "allocatable"):
        status[member] = {**status.get(member, {}), **room}
    store.put(NODES, node)
    set_ready(store, name, "True", now=now)


def set_ready(store: Store, name: str, status: str, *, now: datetime) -> None:
    """Let the Ready condition of a node say True, False, or Unknown."""
    record = store.get(node_key(name))
    if record is None:
        raise KeyError(f"There is no node {name!r}.")
    node, (reason, message) = record.decode(), _READINESS[status]
    for condition in node["status"]["conditions"]:
        if condition["type"] == "Ready":
            since = condition["lastTransitionTime"] if condition["status"] == status else timestamp(now)
            condition |= {"status": status, "reason": reason, "message": message, "lastTransitionTime": since}
    store.put(NODES, node)
