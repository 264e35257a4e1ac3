"""What the API server itself writes into an object when it is created, beyond plain defaults.

Allocations (cluster IPs, node ports), first statuses, labels that tie a Job to its Pods. One function per kind, named
in `ON_CREATE`; to teach another kind, add a row.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import deepcopy
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.objects.faults import FieldError, invalid
from addonry.simulator.resources import ResourceKey, built_in
from addonry.simulator.storage import Object, Store

SERVICES: Final = ResourceKey("", "services")
STORAGE_CLASSES: Final = ResourceKey("storage.k8s.io", "storageclasses")
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_NETWORKS: Final = ResourceKey("networking.k8s.io", "servicecidrs")
_NODE_PORTS: Final = range(30000, 32768)

_TOKENS: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_NAMESPACE_FIELD: Final = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
_TOKEN_SOURCES: Final = {
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": _NAMESPACE_FIELD}]}},
    ],
    "defaultMode": 420,
}

# Names and suffixes avoid vowels and look-alikes, see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/rand
_SUFFIX_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"

# Of our own: a simulator runs beside other code of its process, which may count on the common generator (hypothesis
# does, and fails a test whose generator somebody else has moved).
_DICE: Final = random.Random()  # noqa: S311 - names, ports and addresses, no secrets


def random_suffix(length: int = 5) -> str:
    """The end of a generated name."""
    return "".join(_DICE.choices(_SUFFIX_ALPHABET, k=length))


def complete(resource: ResourceKey, obj: Object, store: Store) -> None:
    """Fill in what the server decides on creation; the object has its uid already."""
    prepare = ON_CREATE.get(resource)
    if prepare is not None:
        prepare(obj, store)


def carry_over(resource: ResourceKey, live: Object, new: Object) -> None:
    """Keep allocations that an update leaves out, as the real server does for Services."""
    if resource != SERVICES or new.get("spec", {}).get("type") == "ExternalName":
        return
    old_spec, spec = live.get("spec", {}), new.setdefault("spec", {})
    for member in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
        if not spec.get(member) and old_spec.get(member):
            spec[member] = old_spec[member]
    known = {_port_id(port): port.get("nodePort") for port in old_spec.get("ports", [])}
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        for port in spec.get("ports", []):
            if not port.get("nodePort"):
                port["nodePort"] = known.get(_port_id(port)) or _DICE.choice(_NODE_PORTS)


def _service(obj: Object, store: Store) -> None:
    spec = obj.setdefault("spec", {})
    obj.setdefault("status", {"loadBalancer": {}})
    if spec.get("type") == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = _free_address(store)
    elif spec["clusterIP"] != "None":
        _check_address(obj, store)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        taken = {port.get("nodePort") for port in _all_ports(store)}
        for port in spec.get("ports", []):
            if not port.get("nodePort"):
                port["nodePort"] = _unused(_NODE_PORTS, taken)
                taken.add(port["nodePort"])


def _free_address(store: Store) -> str:
    taken, networks = _addresses(store), _networks(store)
    if not networks:
        return ""
    while True:
        network = networks[0]
        address = str(network[_DICE.randrange(2, network.num_addresses - 1)])
        if address not in taken:
            return address


def _check_address(obj: Object, store: Store) -> None:
    """422 for an address that a client chose and cannot have."""
    address = obj["spec"]["clusterIP"]
    try:
        is_inside = any(ip_address(address) in network for network in _networks(store))
    except ValueError:
        said = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        raise _refused(obj, invalid("spec.clusterIPs[0]", address, said)) from None
    why = "" if is_inside else "the provided network does not match the current range"
    if is_inside and address in _addresses(store):
        why = "provided IP is already allocated"
    if why:
        raise _refused(obj, invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {why}"))


def _refused(service: Object, found: FieldError) -> errors.ApiError:
    cause = (str(found.type), found.message, found.field)
    return errors.invalid(built_in("", "services"), service["metadata"]["name"], [cause])


def _addresses(store: Store) -> set[Any]:
    return {record.decode().get("spec", {}).get("clusterIP") for record in store.records(SERVICES)}


def _networks(store: Store) -> list[IPv4Network | IPv6Network]:
    """What Services have their addresses from.

    See https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
    """
    written = (cidr for record in store.records(_NETWORKS) for cidr in record.decode()["spec"].get("cidrs") or ())
    found = []
    for cidr in written:
        with suppress(ValueError):
            found.append(ip_network(cidr))
    return found


def _all_ports(store: Store) -> Iterable[Mapping[str, Any]]:
    for record in store.records(SERVICES):
        yield from record.decode().get("spec", {}).get("ports", [])


def _unused(choice: range, taken: set[Any]) -> int:
    while (port := _DICE.choice(choice)) in taken:
        pass
    return port


def _port_id(port: Mapping[str, Any]) -> tuple[Any, Any]:
    return port.get("port"), port.get("protocol", "TCP")


def _namespace(obj: Object, _: Store) -> None:
    obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    obj["status"] = {"phase": "Active"}


def _pod(obj: Object, _: Store) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("serviceAccountName", spec.get("serviceAccount", "default"))
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("tolerations", []).extend(
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
        if not any(t.get("key") == f"node.kubernetes.io/{what}" for t in spec["tolerations"])
    )
    _mount_token(spec)
    obj["status"] = {"phase": "Pending", "qosClass": _quality(spec)}


def _mount_token(spec: Object) -> None:
    """The Pod's way to the API server, unless it wants none.

    See https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/
    """
    if spec.get("automountServiceAccountToken") is False:
        return
    name = f"kube-api-access-{random_suffix()}"
    mount = {"name": name, "readOnly": True, "mountPath": _TOKENS}
    mounted = False
    for member in ("containers", "initContainers"):
        # A Pod of a controller shares its containers with the template they came from, which stays as it is.
        for number, container in enumerate(containers := list(spec.get(member) or ())):
            mounts = container.get("volumeMounts") or []
            if all(m.get("mountPath") != _TOKENS for m in mounts):
                containers[number] = {**container, "volumeMounts": [*mounts, mount]}
                mounted = True
        if containers:
            spec[member] = containers
    if mounted:
        spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": _TOKEN_SOURCES}]


def _quality(spec: Mapping[str, Any]) -> str:
    """See https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/"""
    wanted = [c.get("resources") or {} for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))]
    if not any(w.get("requests") or w.get("limits") for w in wanted):
        return "BestEffort"
    guaranteed = all(
        set(w.get("limits") or ()) >= {"cpu", "memory"} and (w.get("requests") or w["limits"]) == w["limits"]
        for w in wanted
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _job(obj: Object, _: Store) -> None:
    """Tie the Job to its Pods by a label of its own uid, as batch/v1 documents for a Job without manualSelector."""
    spec, metadata = obj.setdefault("spec", {}), obj["metadata"]
    obj["status"] = {}
    if spec.get("manualSelector"):
        return
    labels = {
        "batch.kubernetes.io/controller-uid": metadata["uid"],
        "batch.kubernetes.io/job-name": metadata["name"],
        "controller-uid": metadata["uid"],
        "job-name": metadata["name"],
    }
    template = spec.setdefault("template", {}).setdefault("metadata", {})
    template["labels"] = (template.get("labels") or {}) | labels
    metadata.setdefault("labels", dict(template["labels"]))
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": metadata["uid"]}}


def _claim(obj: Object, store: Store) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    if "storageClassName" not in spec and (name := _default_storage_class(store)):
        spec["storageClassName"] = name
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if "kubernetes.io/pvc-protection" not in finalizers:
        finalizers.append("kubernetes.io/pvc-protection")
    obj["status"] = {"phase": "Pending"}


def _default_storage_class(store: Store) -> str:
    """See https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass"""
    for record in store.records(STORAGE_CLASSES):
        if (record.decode()["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true":
            return record.key.name
    return ""


def _definition(obj: Object, _: Store) -> None:
    versions = obj.get("spec", {}).get("versions", [])
    stored = [version["name"] for version in versions if version.get("storage")]
    obj["status"] = {"conditions": None, "acceptedNames": {"kind": "", "plural": ""}, "storedVersions": stored}


def _status(**first: Any) -> Callable[[Object, Store], None]:
    def set_status(obj: Object, _: Store) -> None:
        obj["status"] = deepcopy(first)

    return set_status


ON_CREATE: Final[Mapping[ResourceKey, Callable[[Object, Store], None]]] = {
    SERVICES: _service,
    ResourceKey("", "namespaces"): _namespace,
    ResourceKey("", "pods"): _pod,
    ResourceKey("", "persistentvolumeclaims"): _claim,
    ResourceKey("batch", "jobs"): _job,
    ResourceKey("apiextensions.k8s.io", "customresourcedefinitions"): _definition,
    ResourceKey("", "resourcequotas"): _status(),
    ResourceKey("", "replicationcontrollers"): _status(replicas=0),
    ResourceKey("admissionregistration.k8s.io", "validatingadmissionpolicies"): _status(),
    ResourceKey("apiregistration.k8s.io", "apiservices"): _status(),
    ResourceKey("autoscaling", "horizontalpodautoscalers"): _status(desiredReplicas=0, currentMetrics=None),
    ResourceKey("batch", "cronjobs"): _status(),
    ResourceKey("certificates.k8s.io", "certificatesigningrequests"): _status(),
    ResourceKey("flowcontrol.apiserver.k8s.io", "flowschemas"): _status(),
    ResourceKey("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): _status(),
    ResourceKey("networking.k8s.io", "ingresses"): _status(loadBalancer={}),
    ResourceKey("networking.k8s.io", "servicecidrs"): _status(),
    ResourceKey("resource.k8s.io", "resourceclaims"): _status(),
    ResourceKey("storage.k8s.io", "volumeattachments"): _status(attached=False),
    ResourceKey("policy", "poddisruptionbudgets"): _status(
        disruptionsAllowed=0, currentHealthy=0, desiredHealthy=0, expectedPods=0
    ),
    ResourceKey("apps", "deployments"): _status(),
    ResourceKey("apps", "replicasets"): _status(replicas=0),
    ResourceKey("apps", "statefulsets"): _status(replicas=0, availableReplicas=0),
    ResourceKey("apps", "daemonsets"): _status(
        currentNumberScheduled=0, numberMisscheduled=0, desiredNumberScheduled=0, numberReady=0
    ),
}
