"""What every new cluster holds: its namespaces and its nodes. What distributions put on top is in `populations`.

Values follow recordings of a real cluster with simulated kubelets. To give new clusters something more, write a
function that returns (resource, object) pairs and call it in `populate`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from ipaddress import ip_network
from typing import Any, Final

from addonry.simulator.access.roles import default_roles
from addonry.simulator.aggregation import local_services
from addonry.simulator.clock import timestamp
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, Store, new_uid
from addonry.simulator.versions import minor_of

NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
DEFAULT_NODES: Final = 3
DEFAULT_SERVICES: Final = "10.96.0.0/12"

_CONDITIONS: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def populate(
    store: Store, *, now: datetime, kubernetes_version: str, nodes: int | Sequence[Object], services: str
) -> None:
    """Put the first objects into an empty store; *nodes* are so many usual ones, or just these.

    *services* is the network that Services have their addresses from.
    """
    if isinstance(nodes, int):
        nodes = [
            node_object(number, f"node-{number}", now=now, kubernetes_version=kubernetes_version)
            for number in range(nodes)
        ]
    for resource, obj in _first_objects(timestamp(now), nodes, services):
        store.put(resource, obj)
    for resource, obj in local_services(minor_of(kubernetes_version), timestamp(now)):
        store.put(resource, obj)


def _first_objects(now: str, nodes: Sequence[Object], services: str) -> Iterator[tuple[Resource, Object]]:
    for name in NAMESPACES:
        yield built_in("", "namespaces"), _namespace(name, now)
    for node in nodes:
        yield built_in("", "nodes"), node
    yield built_in("", "services"), _kubernetes_service(now, str(ip_network(services)[1]))
    # Older versions hold the network elsewhere, and do not serve the object.
    yield built_in("networking.k8s.io", "servicecidrs"), _service_network(now, services)
    yield built_in("storage.k8s.io", "storageclasses"), _storage_class(now)
    yield from default_roles(now)


def _metadata(name: str, now: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "uid": new_uid(), "creationTimestamp": now, **more}


def _namespace(name: str, now: str) -> Object:
    return {
        "metadata": _metadata(name, now, labels={"kubernetes.io/metadata.name": name}),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def node_object(number: int, name: str, *, now: datetime, kubernetes_version: str) -> Object:
    """A node with room, ready since *now*; the number decides its addresses and its zone."""
    return _node(number, name, timestamp(now), kubernetes_version)


def _node(number: int, name: str, now: str, kubernetes_version: str) -> Object:
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"z{number % 3}",
    }
    room = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "100Gi", "pods": "250"}
    return {
        "metadata": _metadata(name, now, labels=labels),
        "spec": {"podCIDR": f"10.244.{number}.0/24", "podCIDRs": [f"10.244.{number}.0/24"]},
        "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                    "reason": reason,
                    "message": message,
                }
                for kind, status, reason, message in _CONDITIONS
            ],
            "addresses": [
                {"type": "InternalIP", "address": f"10.200.0.{number + 1}"},
                {"type": "Hostname", "address": name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.0.5",
                "kernelVersion": "6.1.0",
                "kubeProxyVersion": "",
                "kubeletVersion": kubernetes_version,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Linux",
                "systemUUID": "",
            },
        },
    }


def _storage_class(now: str) -> Object:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    return {
        "metadata": _metadata("standard", now, annotations=annotations),
        "provisioner": "simulated.addonry.dev",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
    }


def _service_network(now: str, network: str) -> Object:
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {
        "metadata": _metadata("kubernetes", now, finalizers=["networking.k8s.io/service-cidr-finalizer"]),
        "spec": {"cidrs": [network]},
        "status": {"conditions": [ready]},
    }


def _kubernetes_service(now: str, address: str) -> Object:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return {
        "metadata": _metadata("kubernetes", now, namespace="default", labels=labels),
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": {"loadBalancer": {}},
    }
