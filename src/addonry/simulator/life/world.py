"""What controllers see of a cluster, and how they change it.

Controllers write without field managers: nobody applies the fields they own, and tracking would cost more than
everything else they do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from addonry.simulator import removal
from addonry.simulator.access.users import EVERYBODY, Identity
from addonry.simulator.admission import completion, limits, podsecurity, quotas
from addonry.simulator.admission.accounts import refuse_without_account
from addonry.simulator.admission.policies import refuse_by_policy
from addonry.simulator.admission.webhooks import Webhooks, Write
from addonry.simulator.clock import Clock, timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.life.events import Recorder, Reporter
from addonry.simulator.life.occupancy import Occupancy
from addonry.simulator.objects import apply_defaults, take_over_status
from addonry.simulator.resources import Resource, Served, built_in
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey, Record, Store, new_uid

NAMESPACES: Final = built_in("", "namespaces")
NODES: Final = built_in("", "nodes")
PODS: Final = built_in("", "pods")
SERVICES: Final = built_in("", "services")
CLAIMS: Final = built_in("", "persistentvolumeclaims")
VOLUMES: Final = built_in("", "persistentvolumes")
STORAGE_CLASSES: Final = built_in("storage.k8s.io", "storageclasses")
ENDPOINTS: Final = built_in("", "endpoints")
SLICES: Final = built_in("discovery.k8s.io", "endpointslices")
AUTOSCALERS: Final = built_in("autoscaling", "horizontalpodautoscalers")
DEPLOYMENTS: Final = built_in("apps", "deployments")
REPLICA_SETS: Final = built_in("apps", "replicasets")
DAEMON_SETS: Final = built_in("apps", "daemonsets")
STATEFUL_SETS: Final = built_in("apps", "statefulsets")
QUOTAS: Final = built_in("", "resourcequotas")
BUDGETS: Final = built_in("policy", "poddisruptionbudgets")
REVISIONS: Final = built_in("apps", "controllerrevisions")
JOBS: Final = built_in("batch", "jobs")
CRON_JOBS: Final = built_in("batch", "cronjobs")
DEFINITIONS: Final = built_in("apiextensions.k8s.io", "customresourcedefinitions")
API_SERVICES: Final = built_in("apiregistration.k8s.io", "apiservices")

_CONTROLLERS: Final = Identity("system:kube-controller-manager", (EVERYBODY,))
# How long a controller that was refused an object waits before it tries again.
RETRY_SECONDS: Final = 1.0
# What controllers make for workloads, and admission may refuse.
_ADMITTED: Final = frozenset({PODS.key, CLAIMS.key})
# Kinds whose dependents wake their controller.
_OWNERS: Final = frozenset(r.key for r in (DEPLOYMENTS, REPLICA_SETS, DAEMON_SETS, STATEFUL_SETS, JOBS, CRON_JOBS))
_HASH_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


class Controller(Protocol):
    """See the package's docstring."""

    def keys(self, change: Change) -> Iterable[ObjectKey]: ...

    def reconcile(self, key: ObjectKey) -> None: ...


@dataclass
class World:
    """One cluster, as its controllers know it."""

    store: Store
    served: Served
    clock: Clock
    wake: Callable[[Controller, ObjectKey, float], None]
    """Reconcile an object again after so many simulated seconds."""
    ready_at: dict[str, float] = field(default_factory=dict)
    """When a Pod became ready, in simulated seconds; timestamps are too coarse. Unknown means long ago."""
    webhooks: Webhooks = field(init=False)
    occupancy: Occupancy = field(init=False)
    recorder: Recorder = field(init=False)
    _refused: dict[str, str] = field(default_factory=dict)
    """Which workloads were refused a Pod, by uid, and why; so that it is told once and not at every attempt."""
    _owners: dict[str, ObjectKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.webhooks = Webhooks(self.store)
        self.occupancy = Occupancy(self.store)
        self.recorder = Recorder(self.store, self.clock, self.create)

    # ------------------------------------------------------------------ reading

    def get(self, key: ObjectKey) -> Object | None:
        record = self.store.get(key)
        return None if record is None else record.decode()

    def owned(self, uid: str, resource: Resource) -> list[Object]:
        """Dependents of one kind, oldest first."""
        found = [r.decode() for r in self.store.dependents(uid) if r.key.resource == resource.key]
        return sorted(found, key=lambda obj: (obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]))

    def owner_keys(self, record: Record, resource: Resource) -> list[ObjectKey]:
        """Owners of that kind of the changed object."""
        found = (self._owners.get(uid) for uid in record.owners)
        return [key for key in found if key is not None and key.resource == resource.key]

    def owner_keys_of(self, obj: Object, resource: Resource) -> list[ObjectKey]:
        """The same for an object at hand."""
        found = (self._owners.get(owner["uid"]) for owner in obj["metadata"].get("ownerReferences") or ())
        return [key for key in found if key is not None and key.resource == resource.key]

    def note(self, change: Change) -> None:
        """Keep up with what is where; called for every change before controllers are asked."""
        self.occupancy.note(change)
        if change.record.key.resource in _OWNERS:
            if change.type is ChangeType.DELETED:
                self._owners.pop(change.record.uid, None)
                self._refused.pop(change.record.uid, None)
            else:
                self._owners[change.record.uid] = change.record.key

    # ------------------------------------------------------------------ writing

    def create(self, resource: Resource, obj: Object) -> Object:
        """A new object with everything the server fills in; raises `ApiError` where admission refuses it."""
        full = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
        full = apply_defaults(full, resource.kind)
        full["metadata"] = metadata = dict(full["metadata"])
        if "name" not in metadata:
            metadata["name"] = metadata["generateName"] + completion.random_suffix()
        metadata["uid"] = new_uid()
        metadata["creationTimestamp"] = timestamp(self.clock.now())
        if resource.has_generation:
            metadata["generation"] = 1
        refuse_without_account(self.store, resource, full)
        completion.complete(resource.key, full, self.store)
        if resource.key in _ADMITTED:
            full = self._admit(resource, full)
            quotas.refuse_over_quota(self.store, resource, full)
        return self.store.put(resource, full).decode()

    def _admit(self, resource: Resource, obj: Object) -> Object:
        """Ask the webhooks; an answer is good for one attempt to make one object."""
        obj = limits.with_defaults(self.store, resource, obj)
        write = Write("CREATE", resource, obj, who=_CONTROLLERS)
        try:
            changed = self.webhooks.mutate(write)
            if changed is not obj:
                obj = apply_defaults(changed, resource.kind)
            limits.refuse_beyond_limits(self.store, resource, obj)
            podsecurity.judge(self.store, resource, obj)
            made = Write("CREATE", resource, obj, who=_CONTROLLERS)
            refuse_by_policy(self.store, self.served, made)
            self.webhooks.validate(made)
        except ApiError:
            self.webhooks.forget(write)
            raise
        self.webhooks.forget(write)
        return obj

    def put(self, resource: Resource, obj: Object) -> None:
        self.store.put(resource, obj)

    def set_status(self, resource: Resource, obj: Object, status: Mapping[str, Any]) -> bool:
        """Write the status if it differs; says whether it did."""
        before = obj.get("status") or {}
        if before == status:
            return False
        take_over_status(obj, [key for key in {*before, *status} if before.get(key) != status.get(key)])
        obj["status"] = dict(status)
        self.store.put(resource, obj)
        return True

    def remove(self, resource: Resource, obj: Object, *, policy: str = "Background", grace: int | None = None) -> None:
        record = self.store.get(key_of(resource, obj))
        if record is not None:
            removal.remove(self.store, self.clock, resource, record, policy=policy, grace=grace)

    def refused(self, resource: Resource, owner: Object, error: ApiError, message: str, *, by: str) -> None:
        """Tell that the Pod of a workload was refused, once for each reason."""
        # The name of the Pod is another at each attempt, and no part of the reason.
        reason = error.message.partition('" ')[2] or error.message
        if self._refused.get(owner["metadata"]["uid"]) != reason:
            self._refused[owner["metadata"]["uid"]] = reason
            self.event(resource, owner, "FailedCreate", message, by=by, warning=True)

    def admitted(self, owner: Object) -> None:
        """A Pod of the workload was made: the next refusal is news again."""
        self._refused.pop(owner["metadata"]["uid"], None)

    def event(
        self,
        resource: Resource,
        obj: Object,
        reason: str,
        message: str,
        *,
        by: str | Reporter,
        warning: bool = False,
        action: str = "",
        part: str = "",
    ) -> None:
        """Tell the users of the cluster what happened to an object, or to the *part* of it at that path."""
        metadata = obj["metadata"]
        about = {
            "kind": resource.kind,
            **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": resource.api_version,
            **({"resourceVersion": metadata["resourceVersion"]} if "resourceVersion" in metadata else {}),
            **({"fieldPath": part} if part else {}),
        }
        reporter = Reporter(by) if isinstance(by, str) else by
        self.recorder.tell(about, reason, message, by=reporter, warning=warning, action=action)


def key_of(resource: Resource, obj: Object) -> ObjectKey:
    return ObjectKey(resource.key, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


def is_kind(change: Change, *resources: Resource) -> bool:
    group, plural = change.record.key.resource
    # Asked by every controller for every change, so without building keys to compare.
    for resource in resources:  # noqa: SIM110 - any() with a generator takes three times as long
        if resource.plural == plural and resource.group == group:
            return True
    return False


def owner_reference(resource: Resource, obj: Object) -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def template_hash(template: Any, length: int = 10) -> str:
    """A name for a Pod template; equal templates have equal names, as on a real cluster, which uses another hash."""
    number = int.from_bytes(hashlib.blake2b(_encode_sorted(template), digest_size=8).digest())
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_HASH_ALPHABET))
        letters.append(_HASH_ALPHABET[rest])
    return "".join(letters)


def node_condition(node: Object) -> str:
    """Whether the node is ready: True, False, or Unknown when its kubelet says nothing any more."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return next((str(c["status"]) for c in conditions if c["type"] == "Ready"), "True")


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_leaving(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Counts as a replica: neither finished nor on its way out."""
    return not is_leaving(pod) and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


def condition(obj: Object, kind: str) -> dict[str, Any] | None:
    return next((c for c in (obj.get("status", {}).get("conditions") or ()) if c["type"] == kind), None)


def since(old: Mapping[str, Any] | None, status: str, now: str) -> str:
    """Since when a condition has its *status*: a change of its reason alone is no transition."""
    return str(old["lastTransitionTime"]) if old is not None and old["status"] == status else now


def scaled(value: Any, total: int, *, up: bool) -> int:
    """A number, or a percentage of *total* rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        hundredths = int(value[:-1]) * total
        return -(-hundredths // 100) if up else hundredths // 100
    return int(value or 0)


def without(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}
