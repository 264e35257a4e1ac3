"""Objects of the API server, reduced to what is read of them, and what decisions make of that.

A Struct names the fields that are read; msgspec skips all others while decoding, which is what makes a scan cheap.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from addonry.rules.health import Condition, ContainerState, PodState, WorkloadState

PATHS: Final[Mapping[str, str]] = {
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
}
"""Where the workloads are that a rollout consists of."""

API_SERVICES: Final = "/apis/apiregistration.k8s.io/v1/apiservices"

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"
TEMPLATE_HASH_LABEL: Final = "pod-template-hash"
REVISION_HASH_LABEL: Final = "controller-revision-hash"


class Whatever(msgspec.Struct, gc=False):
    """Something of which only matters that it is there."""


class OwnerReference(msgspec.Struct, rename="camel", gc=False):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class Meta(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    deletion_timestamp: str | None = None


class Owned(msgspec.Struct, gc=False):
    """Anything of which only the owner matters."""

    metadata: Meta


class ConfigMap(msgspec.Struct, gc=False):
    """A ConfigMap, without what is not text."""

    data: dict[str, str] | None = None


class Revision(msgspec.Struct, gc=False):
    """A ControllerRevision."""

    metadata: Meta
    revision: int = 0


class _Resources(msgspec.Struct, gc=False):
    requests: dict[str, str | int | float] | None = None


class Container(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    image: str = ""
    resources: _Resources | None = None
    readiness_probe: Whatever | None = None


class Toleration(msgspec.Struct, gc=False):
    key: str = ""
    effect: str = ""


class _NodeAffinity(msgspec.Struct, gc=False):
    required: Whatever | None = msgspec.field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")


class _Affinity(msgspec.Struct, rename="camel", gc=False):
    node_affinity: _NodeAffinity | None = None
    pod_anti_affinity: Whatever | None = None


class _PodSpec(msgspec.Struct, rename="camel", gc=False):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    tolerations: list[Toleration] | None = None
    node_selector: dict[str, str] | None = None
    affinity: _Affinity | None = None
    topology_spread_constraints: list[Whatever] | None = None


class _Template(msgspec.Struct, gc=False):
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Requirement(msgspec.Struct, gc=False):
    key: str
    operator: str
    values: list[str] | None = None


class Selector(msgspec.Struct, rename="camel", gc=False):
    """A label selector."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[_Requirement] | None = None


class _RollingUpdate(msgspec.Struct, rename="camel", gc=False):
    partition: int | None = None
    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class _Strategy(msgspec.Struct, rename="camel", gc=False):
    type: str = ""
    rolling_update: _RollingUpdate | None = None


class _WorkloadSpec(msgspec.Struct, rename="camel", gc=False):
    replicas: int | None = None
    paused: bool = False
    selector: Selector | None = None
    template: _Template = msgspec.field(default_factory=_Template)
    strategy: _Strategy | None = None
    update_strategy: _Strategy | None = None


class StatusCondition(msgspec.Struct, gc=False):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class _WorkloadStatus(msgspec.Struct, rename="camel", gc=False):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0
    number_available: int = 0
    conditions: list[StatusCondition] | None = None


class ManagedFields(msgspec.Struct, gc=False):
    """Who wrote some of an object's fields; which ones is read only where that matters."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: str = ""
    fields: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="fieldsV1")


class WorkloadMeta(Meta, rename="camel", gc=False):
    """Metadata with everything that tells of an owner."""

    creation_timestamp: str = ""
    managed_fields: list[ManagedFields] | None = None


class Workload(msgspec.Struct, gc=False):
    """A Deployment, DaemonSet or StatefulSet. Items of a list do not say their kind."""

    metadata: WorkloadMeta
    kind: str = ""
    spec: _WorkloadSpec = msgspec.field(default_factory=_WorkloadSpec)
    status: _WorkloadStatus = msgspec.field(default_factory=_WorkloadStatus)

    @property
    def containers(self) -> list[Container]:
        """The containers of its pods."""
        return self.spec.template.spec.containers or []


class _ApiServiceStatus(msgspec.Struct, gc=False):
    conditions: list[StatusCondition] | None = None


class ServiceRef(msgspec.Struct, gc=False):
    namespace: str = ""
    name: str = ""


class _ApiServiceSpec(msgspec.Struct, rename="camel", gc=False):
    service: ServiceRef | None = None
    ca_bundle: str = ""


class ApiService(msgspec.Struct, gc=False):
    """An aggregated API."""

    metadata: Meta
    spec: _ApiServiceSpec = msgspec.field(default_factory=_ApiServiceSpec)
    status: _ApiServiceStatus = msgspec.field(default_factory=_ApiServiceStatus)


class _Waiting(msgspec.Struct, gc=False):
    reason: str = ""
    message: str = ""


class _Terminated(msgspec.Struct, rename="camel", gc=False):
    reason: str = ""
    exit_code: int = 0


class _ContainerStateObject(msgspec.Struct, gc=False):
    waiting: _Waiting | None = None
    terminated: _Terminated | None = None


class _ContainerStatus(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    ready: bool = False
    restart_count: int = 0
    state: _ContainerStateObject | None = None


class _PodStatus(msgspec.Struct, rename="camel", gc=False):
    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[StatusCondition] | None = None
    container_statuses: list[_ContainerStatus] | None = None
    init_container_statuses: list[_ContainerStatus] | None = None


class Pod(msgspec.Struct, gc=False):
    """A pod."""

    metadata: Meta
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


def state_of(workload: Workload, kind: str) -> WorkloadState:
    """What the health of a workload depends on."""
    meta, spec, status = workload.metadata, workload.spec, workload.status
    is_daemon_set = kind == "DaemonSet"
    strategy = spec.update_strategy or _Strategy()
    rolling = strategy.rolling_update or _RollingUpdate()
    return WorkloadState(
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        # Kubernetes fills in one replica where nothing is said.
        desired=status.desired_number_scheduled if is_daemon_set else (1 if spec.replicas is None else spec.replicas),
        generation=meta.generation,
        observed_generation=status.observed_generation,
        replicas=status.current_number_scheduled if is_daemon_set else status.replicas,
        updated=status.updated_number_scheduled if is_daemon_set else status.updated_replicas,
        ready=status.number_ready if is_daemon_set else status.ready_replicas,
        available=status.number_available if is_daemon_set else status.available_replicas,
        paused=spec.paused,
        strategy=strategy.type or "RollingUpdate",
        partition=rolling.partition or 0,
        current_revision=status.current_revision,
        update_revision=status.update_revision,
        conditions=tuple(
            Condition(each.type, each.status, each.reason, each.message) for each in status.conditions or []
        ),
    )


def pod_state(pod: Pod) -> PodState:
    """What may keep a pod."""
    status, labels = pod.status, pod.metadata.labels or {}
    conditions = {each.type: each for each in status.conditions or []}
    ready, scheduled = conditions.get("Ready"), conditions.get("PodScheduled")
    unschedulable = scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable"
    return PodState(
        name=pod.metadata.name,
        phase=status.phase,
        ready=ready is not None and ready.status == "True",
        revision=labels.get(TEMPLATE_HASH_LABEL) or labels.get(REVISION_HASH_LABEL, ""),
        is_ending=pod.metadata.deletion_timestamp is not None,
        reason=status.reason,
        message=status.message,
        unschedulable=(scheduled.message or "no reason given") if scheduled and unschedulable else "",
        containers=tuple(
            _container_state(each, is_init=is_init)
            for listed, is_init in ((status.init_container_statuses, True), (status.container_statuses, False))
            for each in listed or []
        ),
    )


def _container_state(container: _ContainerStatus, *, is_init: bool) -> ContainerState:
    state = container.state or _ContainerStateObject()
    waiting, terminated = state.waiting or _Waiting(), state.terminated
    return ContainerState(
        name=container.name,
        ready=container.ready,
        waiting=waiting.reason,
        message=waiting.message,
        terminated=(terminated.reason or "Ended") if terminated else "",
        exit_code=terminated.exit_code if terminated else 0,
        restarts=container.restart_count,
        is_init=is_init,
    )


def selector_text(selector: Selector | None) -> str:
    """A label selector as a query parameter has it."""
    found = selector or Selector()
    parts = [f"{name}={value}" for name, value in (found.match_labels or {}).items()]
    for each in found.match_expressions or []:
        values = ",".join(each.values or [])
        match each.operator:
            case "In":
                parts.append(f"{each.key} in ({values})")
            case "NotIn":
                parts.append(f"{each.key} notin ({values})")
            case "Exists":
                parts.append(each.key)
            case _:
                parts.append(f"!{each.key}")
    return ",".join(parts)


def fits(selector: Selector | None, labels: Mapping[str, str]) -> bool:
    """Whether *labels* are among those meant. No selector means none of them, an empty one all."""
    if selector is None:
        return False
    if not (selector.match_labels or {}).items() <= labels.items():
        return False
    return all(_meets(each, labels) for each in selector.match_expressions or ())


def _meets(each: _Requirement, labels: Mapping[str, str]) -> bool:
    values = each.values or []
    match each.operator:
        case "In":
            return labels.get(each.key) in values
        case "NotIn":
            return labels.get(each.key) not in values
        case "Exists":
            return each.key in labels
        case _:
            return each.key not in labels


def is_owned(meta: Meta, uid: str) -> bool:
    return any(each.uid == uid for each in meta.owner_references or [])


def belongs(pod: Pod, kind: str, workload: Workload) -> bool:
    """Whether a pod with fitting labels is one of this workload's, and not of another with an overlapping selector."""
    owner = next((each for each in pod.metadata.owner_references or [] if each.controller), None)
    if owner is None:
        return True
    if kind == "Deployment":
        # Its pods are its ReplicaSets'; those are called after it and the template's hash.
        return owner.kind == "ReplicaSet" and owner.name.rpartition("-")[0] == workload.metadata.name
    return owner.uid == workload.metadata.uid
