"""The APIs of a cluster as its APIServices tell: those it serves itself, and those that other servers answer.

Each group version that is served here has an APIService without a Service, which clients only look at. One with a
Service makes a group known that nothing here answers for: while it is not available, its paths answer 503.
See https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from addonry.simulator.resources import Resource, ResourceKey, built_in, built_ins
from addonry.simulator.storage import Object, ObjectKey, Store, new_uid

API_SERVICES: Final = ResourceKey("apiregistration.k8s.io", "apiservices")
AUTOMANAGED: Final = "kube-aggregator.kubernetes.io/automanaged"

# What kube-apiserver registers the groups of its own with: their priority, and that of a version where it is not 15.
_GROUPS: Final[Mapping[str, int]] = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "resource.k8s.io": 15900,
}
_VERSIONS: Final[Mapping[tuple[str, str], int]] = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("flowcontrol.apiserver.k8s.io", "v1beta3"): 18,
    ("flowcontrol.apiserver.k8s.io", "v1beta2"): 15,
}
_USUAL_VERSION: Final = 15


class Aggregated(NamedTuple):
    """A group version that another server answers for."""

    group: str
    version: str
    available: bool


def aggregated(store: Store) -> tuple[Aggregated, ...]:
    """All of them, the most important group first."""
    found = []
    for record in store.records(API_SERVICES):
        # Asked for with every discovery, so local ones are told apart without decoding them.
        if b'"service":{' in record.body and (spec := (obj := record.decode())["spec"]).get("service"):
            order = (-spec.get("groupPriorityMinimum", 0), spec["group"], -spec.get("versionPriority", 0))
            found.append((order, Aggregated(spec["group"], spec["version"], is_available(obj))))
    return tuple(each for _, each in sorted(found))


def answered_elsewhere(store: Store, group: str, version: str) -> Aggregated | None:
    """The aggregated API of a path, if it is one."""
    record = store.get(ObjectKey(API_SERVICES, "", f"{version}.{group}")) if group else None
    if record is None or b'"service":{' not in record.body:
        return None
    return Aggregated(group, version, is_available(record.decode()))


def is_available(api_service: Object) -> bool:
    """Whether its Service answers."""
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Available" and c["status"] == "True" for c in conditions)


def local_services(minor: int, now: str) -> Iterator[tuple[Resource, Object]]:
    """The APIServices of what Kubernetes 1.*minor* serves by itself; its own API for them is not among these."""
    kind = built_in(*API_SERVICES)
    for group, version in _group_versions(built_ins(minor)):
        if group in _GROUPS:
            priorities = (_GROUPS[group], _VERSIONS.get((group, version), _USUAL_VERSION))
            yield kind, local_service(group, version, now, managed="onstart", priorities=priorities)


def local_service(group: str, version: str, now: str, *, managed: str, priorities: tuple[int, int]) -> Object:
    """An APIService of the server's own, available from the start."""
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    about: dict[str, Any] = {"group": group} if group else {}
    return {
        "metadata": {
            "name": f"{version}.{group}",
            "uid": new_uid(),
            "creationTimestamp": now,
            "labels": {AUTOMANAGED: managed},
        },
        "spec": {**about, "version": version, "groupPriorityMinimum": priorities[0], "versionPriority": priorities[1]},
        "status": {"conditions": [condition]},
    }


def _group_versions(resources: Iterable[Resource]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((resource.group, resource.version) for resource in resources))
