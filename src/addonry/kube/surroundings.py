"""What lies around the components: nodes and what is left on them, budgets, autoscalers, webhooks, certificates.

Ten lists beside those of the inventory, whatever runs there; each in pages, of each object the few fields that are read.
``Survey`` holds them as they came; ``surroundings_of`` makes the digest that readiness checks are asked with.
"""

import asyncio
import base64
import binascii
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

import msgspec

from addonry.kube.api import Api, all_of
from addonry.kube.objects import (
    API_SERVICES,
    ApiService,
    Container,
    Meta,
    Selector,
    ServiceRef,
    StatusCondition,
    Workload,
    fits,
)
from addonry.kube.questions import Questions
from addonry.kube.rollout import assess_api_service
from addonry.model.components import Health, Placement, SourceKind
from addonry.model.surroundings import Budget, DeadApi, DeadWebhook, Expiry, Nodes, Room, Surroundings, WorkloadNote
from addonry.rules.owners import RELEASE_NAME, RELEASE_NAMESPACE
from addonry.rules.quantities import thousandths, whole

T = TypeVar("T")

SOON: Final = timedelta(days=30)
"""How long before its end a certificate is told of."""

WORKLOADS: Final[Mapping[str, str]] = {
    "Deployment": "/apis/apps/v1/deployments",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
}
"""Where all workloads of a cluster are."""

_PODS: Final = "/api/v1/pods"
_NODES: Final = "/api/v1/nodes"
_SERVICES: Final = "/api/v1/services"
_SLICES: Final = "/apis/discovery.k8s.io/v1/endpointslices"
_BUDGETS: Final = "/apis/policy/v1/poddisruptionbudgets"
_VALIDATING: Final = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
_MUTATING: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_SCALERS: Final[Mapping[str, str]] = {
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/horizontalpodautoscalers",
    "ScaledObject": "/apis/keda.sh/v1alpha1/scaledobjects",
    "VerticalPodAutoscaler": "/apis/autoscaling.k8s.io/v1/verticalpodautoscalers",
}
_ALL_NAMES: Final = "kubernetes.io/metadata.name"


# What is read.


class _Allocatable(msgspec.Struct, gc=False):
    cpu: str | int = "0"
    memory: str | int = "0"
    pods: str | int = "0"


class _NodeInfo(msgspec.Struct, rename="camel", gc=False):
    kubelet_version: str = ""


class _NodeStatus(msgspec.Struct, rename="camel", gc=False):
    allocatable: _Allocatable | None = None
    conditions: list[StatusCondition] | None = None
    node_info: _NodeInfo | None = None


class _Taint(msgspec.Struct, gc=False):
    key: str = ""
    effect: str = ""


class _NodeSpec(msgspec.Struct, gc=False):
    unschedulable: bool = False
    taints: list[_Taint] | None = None


class Node(msgspec.Struct, gc=False):
    """A node."""

    metadata: Meta
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


class _PodSpec(msgspec.Struct, rename="camel", gc=False):
    node_name: str = ""
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None


class _PodStatus(msgspec.Struct, gc=False):
    phase: str = ""


class PlacedPod(msgspec.Struct, gc=False):
    """A pod, as a guest of its node."""

    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _BudgetSpec(msgspec.Struct, gc=False):
    selector: Selector | None = None


class _BudgetStatus(msgspec.Struct, rename="camel", gc=False):
    disruptions_allowed: int = 0
    expected_pods: int = 0


class DisruptionBudget(msgspec.Struct, gc=False):
    """A PodDisruptionBudget."""

    metadata: Meta
    spec: _BudgetSpec = msgspec.field(default_factory=_BudgetSpec)
    status: _BudgetStatus = msgspec.field(default_factory=_BudgetStatus)


class _ScaleTarget(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = "Deployment"


class _UpdatePolicy(msgspec.Struct, rename="camel", gc=False):
    update_mode: str = "Auto"


class _ScalerSpec(msgspec.Struct, rename="camel", gc=False):
    scale_target_ref: _ScaleTarget | None = None
    target_ref: _ScaleTarget | None = None
    update_policy: _UpdatePolicy | None = None


class Scaler(msgspec.Struct, gc=False):
    """A HorizontalPodAutoscaler, a VerticalPodAutoscaler, or KEDA's ScaledObject."""

    metadata: Meta
    spec: _ScalerSpec = msgspec.field(default_factory=_ScalerSpec)


class _LoadBalancer(msgspec.Struct, gc=False):
    ingress: list[Any] | None = None


class _ServiceStatus(msgspec.Struct, rename="camel", gc=False):
    load_balancer: _LoadBalancer | None = None


class _ServiceSpec(msgspec.Struct, gc=False):
    type: str = ""
    selector: dict[str, str] | None = None


class Service(msgspec.Struct, gc=False):
    """A Service."""

    metadata: Meta
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)
    status: _ServiceStatus = msgspec.field(default_factory=_ServiceStatus)


class _EndpointConditions(msgspec.Struct, gc=False):
    ready: bool | None = None


class _Endpoint(msgspec.Struct, gc=False):
    conditions: _EndpointConditions | None = None


class EndpointSlice(msgspec.Struct, gc=False):
    """Some of the endpoints of a Service."""

    metadata: Meta
    endpoints: list[_Endpoint] | None = None


class _ClientConfig(msgspec.Struct, rename="camel", gc=False):
    service: ServiceRef | None = None
    ca_bundle: str = ""


class _Rule(msgspec.Struct, rename="camel", gc=False):
    api_groups: list[str] | None = None
    resources: list[str] | None = None


class _Hook(msgspec.Struct, rename="camel", gc=False):
    name: str = ""
    client_config: _ClientConfig = msgspec.field(default_factory=_ClientConfig)
    failure_policy: str = "Fail"
    rules: list[_Rule] | None = None
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None
    match_conditions: list[Any] | None = None


class WebhookConfiguration(msgspec.Struct, gc=False):
    """A ValidatingWebhookConfiguration or a MutatingWebhookConfiguration."""

    metadata: Meta
    webhooks: list[_Hook] | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """The lists as they came; None where they may not be made."""

    nodes: list[Node] | None
    pods: list[PlacedPod] | None = None
    budgets: list[DisruptionBudget] = field(default_factory=list)
    scalers: Mapping[str, list[Scaler]] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)
    slices: list[EndpointSlice] | None = None
    webhooks: Mapping[str, list[WebhookConfiguration]] = field(default_factory=dict)


async def survey(api: Api, questions: Questions) -> Survey:
    """Make the lists."""

    def begin(path: str, item: type[T], otherwise: list[T] | None) -> "asyncio.Task[list[T] | None]":
        return asyncio.create_task(questions.ask(path.rpartition("/")[2], partial(_list, api, path, item), otherwise))

    nodes, pods = begin(_NODES, Node, None), begin(_PODS, PlacedPod, None)
    budgets, services = begin(_BUDGETS, DisruptionBudget, []), begin(_SERVICES, Service, [])
    slices = begin(_SLICES, EndpointSlice, None)
    scalers = {kind: begin(path, Scaler, []) for kind, path in _SCALERS.items()}
    hooks = {
        "ValidatingWebhookConfiguration": begin(_VALIDATING, WebhookConfiguration, []),
        "MutatingWebhookConfiguration": begin(_MUTATING, WebhookConfiguration, []),
    }
    await all_of(nodes, pods, budgets, services, slices, *scalers.values(), *hooks.values())
    return Survey(
        nodes=nodes.result(),
        pods=pods.result(),
        budgets=budgets.result() or [],
        scalers={kind: task.result() or [] for kind, task in scalers.items()},
        services=services.result() or [],
        slices=slices.result(),
        webhooks={kind: task.result() or [] for kind, task in hooks.items()},
    )


async def _list(api: Api, path: str, item: type[T]) -> list[T]:
    return (await api.list(path, item))[0]


def surroundings_of(
    seen: Survey,
    workloads: Iterable[tuple[Workload, str, Placement]],
    services: Sequence[ApiService],
    *,
    served: frozenset[str],
    denied: tuple[str, ...],
    credentials_end: datetime | None,
) -> Surroundings:
    """The digest of what was seen, *workloads* and aggregated APIs included."""
    around = _Around.of(seen)
    return Surroundings(
        served=served,
        denied=denied,
        nodes=_nodes(seen),
        workloads=tuple(_note(workload, kind, placement, around) for workload, kind, placement in workloads),
        dead_webhooks=tuple(_dead_webhooks(seen)),
        dead_apis=tuple(
            DeadApi(api.metadata.name, assessed.note, _release_of(api.metadata))
            for api in services
            # One that is served by the API server itself has no Service and cannot be away.
            if api.spec.service and (assessed := assess_api_service(api)).health is not Health.CURRENT
        ),
        expiring=tuple(_expiring(seen, services, now=datetime.now(UTC))),
        credentials_end=credentials_end,
    )


def placed(
    workloads: Mapping[str, Iterable[Workload]], releases: Collection[tuple[str, str]] | None
) -> Iterator[tuple[Workload, str, Placement]]:
    """Each workload with its kind and what it is part of: the release that it says, if that is among *releases*.

    None says that they are not known; then its word counts.
    """
    for kind, listed in workloads.items():
        for each in listed:
            release = _release_of(each.metadata)
            if release is None or (releases is not None and (release.namespace, release.name) not in releases):
                release = Placement(SourceKind.WORKLOAD, each.metadata.namespace, each.metadata.name, kind)
            yield each, kind, release


def _release_of(meta: Meta) -> Placement | None:
    notes = meta.annotations or {}
    name = notes.get(RELEASE_NAME)
    return Placement(SourceKind.HELM, notes.get(RELEASE_NAMESPACE, meta.namespace), name) if name else None


async def look_around(api: Api) -> Surroundings:
    """The surroundings alone, without what Helm has recorded: for a component that is about to be changed."""
    questions = Questions(api)
    served = asyncio.create_task(questions.ask("discovery", api.served, frozenset[str]()))
    around = asyncio.create_task(survey(api, questions))
    services = asyncio.create_task(questions.list(API_SERVICES, ApiService, is_namespaced=False))
    workloads = {kind: asyncio.create_task(questions.list(path, Workload)) for kind, path in WORKLOADS.items()}
    await all_of(served, around, services, *workloads.values())
    return surroundings_of(
        around.result(),
        placed({kind: listed.result().items for kind, listed in workloads.items()}, None),
        services.result().items,
        served=served.result(),
        denied=tuple(sorted(questions.denied)),
        credentials_end=api.credentials_end,
    )


# Nodes.


def _nodes(seen: Survey) -> Nodes:
    nodes = seen.nodes or []
    kubelets: dict[str, int] = defaultdict(int)
    for each in nodes:
        kubelets[each.status.node_info.kubelet_version if each.status.node_info else ""] += 1
    kubelets.pop("", None)
    usable = [each for each in nodes if _is_ready(each) and not each.spec.unschedulable]
    left = None if seen.pods is None or seen.nodes is None else _left(usable, seen.pods)
    return Nodes(
        count=len(nodes),
        not_ready=tuple(each.metadata.name for each in nodes if not _is_ready(each)),
        cordoned=tuple(each.metadata.name for each in nodes if each.spec.unschedulable),
        kubelets=dict(sorted(kubelets.items())),
        free_pods=None if left is None else sum(pods for _, pods in left),
        rooms=None if left is None else _roomiest(room for room, pods in left if pods > 0),
    )


def _is_ready(node: Node) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or [])


def _left(nodes: list[Node], pods: list[PlacedPod]) -> list[tuple[Room, int]]:
    """What each node has left, and for how many pods. A pod that has ended holds nothing."""
    taken: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for pod in pods:
        if pod.spec.node_name and pod.status.phase not in {"Succeeded", "Failed"}:
            cpu, memory = _requests(pod.spec.containers, pod.spec.init_containers)
            sums = taken[pod.spec.node_name]
            sums[0] += cpu
            sums[1] += memory
            sums[2] += 1
    left = []
    for node in nodes:
        room, used = node.status.allocatable or _Allocatable(), taken[node.metadata.name]
        # A node that says nothing of its room is not one without.
        free = whole(str(room.pods)) - used[2] if node.status.allocatable else 1
        taints = tuple(
            sorted({each.key for each in node.spec.taints or [] if each.effect in {"NoSchedule", "NoExecute"}})
        )
        left.append(
            (Room(thousandths(str(room.cpu)) - used[0], whole(str(room.memory)) - used[1], taints), max(free, 0))
        )
    return left


def _roomiest(rooms: Iterable[Room]) -> tuple[Room, ...]:
    """Those that no other with the same taints, or fewer, outdoes: whatever fits anywhere fits into one of them."""
    best: list[Room] = []
    for room in sorted(rooms, key=lambda each: (-each.cpu, -each.memory, len(each.taints))):
        if not any(each.memory >= room.memory and set(each.taints) <= set(room.taints) for each in best):
            best.append(room)
    return tuple(best)


def _requests(containers: list[Container] | None, first: list[Container] | None) -> tuple[int, int]:
    """What the scheduler counts: the containers together, or the largest that runs before them."""
    cpu = memory = 0
    for each in containers or ():
        asked = (each.resources.requests if each.resources else None) or {}
        cpu += thousandths(str(asked.get("cpu", "0")))
        memory += whole(str(asked.get("memory", "0")))
    for each in first or ():
        asked = (each.resources.requests if each.resources else None) or {}
        cpu = max(cpu, thousandths(str(asked.get("cpu", "0"))))
        memory = max(memory, whole(str(asked.get("memory", "0"))))
    return cpu, memory


# Workloads.


@dataclass(frozen=True, slots=True)
class _Around:
    """What may act on a workload, by namespace."""

    budgets: Mapping[str, list[DisruptionBudget]]
    balancers: Mapping[str, list[Service]]
    scalers: Mapping[tuple[str, str, str], list[str]]

    @classmethod
    def of(cls, seen: Survey) -> "_Around":
        budgets: dict[str, list[DisruptionBudget]] = defaultdict(list)
        for budget in seen.budgets:
            budgets[budget.metadata.namespace].append(budget)
        balancers: dict[str, list[Service]] = defaultdict(list)
        for service in seen.services:
            pending = not (service.status.load_balancer and service.status.load_balancer.ingress)
            if service.spec.type == "LoadBalancer" and service.spec.selector and pending:
                balancers[service.metadata.namespace].append(service)
        scalers: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for kind, listed in seen.scalers.items():
            for scaler in listed:
                target = scaler.spec.scale_target_ref or scaler.spec.target_ref
                policy = scaler.spec.update_policy
                if target is not None and not (policy and policy.update_mode in {"Off", "Initial"}):
                    key = (target.kind, scaler.metadata.namespace, target.name)
                    scalers[key].append(f"{kind} {scaler.metadata.namespace}/{scaler.metadata.name}")
        return cls(budgets, balancers, scalers)


def _note(workload: Workload, kind: str, placement: Placement, around: _Around) -> WorkloadNote:
    meta, spec = workload.metadata, workload.spec
    pods = spec.template.spec
    labels = spec.template.metadata.labels or {}
    cpu, memory = _requests(pods.containers, pods.init_containers)
    affinity = pods.affinity
    replicas = 1 if spec.replicas is None else spec.replicas
    unavailable, surge = _steps(workload, kind, replicas)
    return WorkloadNote(
        placement=placement,
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        replicas=replicas,
        cpu=cpu,
        memory=memory,
        tolerates=tuple(sorted({each.key or "*" for each in pods.tolerations or []})),
        is_pinned=bool(pods.node_selector)
        or (
            affinity is not None and affinity.node_affinity is not None and affinity.node_affinity.required is not None
        ),
        goes_down=kind != "DaemonSet" and 0 < replicas <= unavailable,
        needs_room=kind == "Deployment" and replicas > 0 and surge > 0 and unavailable == 0,
        unprobed=tuple(each.name for each in workload.containers if each.readiness_probe is None),
        is_spread=bool(pods.topology_spread_constraints)
        or (affinity is not None and affinity.pod_anti_affinity is not None),
        budgets=tuple(
            Budget(each.metadata.name, each.status.disruptions_allowed)
            for each in around.budgets.get(meta.namespace, ())
            if each.status.expected_pods > 0 and fits(each.spec.selector, labels)
        ),
        scalers=tuple(around.scalers.get((kind, meta.namespace, meta.name), ())),
        pending_balancers=tuple(
            each.metadata.name
            for each in around.balancers.get(meta.namespace, ())
            if each.spec.selector and each.spec.selector.items() <= labels.items()
        ),
        editors=tuple(_editors(workload)) if placement.source is SourceKind.HELM else (),
    )


def _steps(workload: Workload, kind: str, replicas: int) -> tuple[int, int]:
    """How many pods a change may take away before others are ready, and how many it may have too many.

    Percentages of what may be missing are rounded down, of what may be too many up
    (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment).
    """
    if kind == "StatefulSet":
        return 1, 0
    strategy = workload.spec.strategy
    if strategy is not None and strategy.type == "Recreate":
        return replicas, 0
    rolling = strategy.rolling_update if strategy else None
    unavailable = _part(
        "25%" if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable, replicas
    )
    surge = -_part("25%" if rolling is None or rolling.max_surge is None else rolling.max_surge, -replicas)
    # The API server refuses two zeros; what rounds down to two may take one away.
    return (1 if unavailable == surge == 0 else unavailable), surge


def _part(number: int | str, of: int) -> int:
    """*number*, or as a percentage that part of *of*, rounded down."""
    if isinstance(number, int):
        return number if of >= 0 else -number
    text = number.removesuffix("%")
    return of * int(text) // 100 if text.isdecimal() and len(text) < 5 else 0


_CONTROLLERS: Final = (
    "helm",
    "addonry",
    "kube-controller-manager",
    "terraform-provider-helm",
    "argocd-",
    "kustomize-controller",
    "cloud-controller-manager",
)
"""Managers whose fields are no person's: who installs, and the cluster's own."""

_FIELDS_TOLD: Final = 3


def _editors(workload: Workload) -> Iterator[str]:
    for each in workload.metadata.managed_fields or ():
        if each.subresource == "" and not each.manager.startswith(_CONTROLLERS) and b'"f:spec"' in bytes(each.fields):
            fields = list(_paths(msgspec.json.decode(each.fields).get("f:spec"), "spec"))
            more = ", ..." if len(fields) > _FIELDS_TOLD else ""
            yield f"{each.manager}: {', '.join(fields[:_FIELDS_TOLD])}{more}"


def _paths(fields: Any, at: str) -> Iterator[str]:
    """The fields of a managed-fields tree that have none below them, as a person writes them."""
    below = [key for key in fields if key != "."] if isinstance(fields, dict) else []
    if not below:
        yield at
    for key in below:
        kind, _, name = key.partition(":")
        yield from _paths(fields[key], f"{at}.{name}" if kind == "f" else f"{at}[{name.strip('{}')}]")


# Webhooks and certificates.


def _dead_webhooks(seen: Survey) -> Iterator[DeadWebhook]:
    """Those that refuse when nobody answers, and before whose Service nobody is ready."""
    if seen.slices is None:
        return
    ready: set[tuple[str, str]] = set()
    for each in seen.slices:
        # Ready unless it says otherwise: unknown counts as ready, as the proxy counts it.
        if any(end.conditions is None or end.conditions.ready is not False for end in each.endpoints or ()):
            service = (each.metadata.labels or {}).get("kubernetes.io/service-name", "")
            ready.add((each.metadata.namespace, service))
    for kind, configuration, hook in _hooks(seen):
        service_ref = hook.client_config.service
        if hook.failure_policy != "Fail" or service_ref is None:
            continue
        if (service_ref.namespace, service_ref.name) in ready:
            continue
        only, spared, is_certain = _namespaces(hook.namespace_selector)
        yield DeadWebhook(
            title=f"{kind} {configuration.metadata.name} ({hook.name})",
            service=f"{service_ref.namespace}/{service_ref.name}",
            resources=tuple(
                dict.fromkeys(
                    f"{group}/{resource.partition('/')[0]}"
                    for rule in hook.rules or ()
                    for group in rule.api_groups or ()
                    for resource in rule.resources or ()
                    if resource == "*" or "/" not in resource
                )
            ),
            only=only,
            spared=spared,
            is_certain=is_certain and not hook.match_conditions and _is_empty(hook.object_selector),
        )


def _hooks(seen: Survey) -> Iterator[tuple[str, WebhookConfiguration, _Hook]]:
    for kind, listed in seen.webhooks.items():
        for configuration in listed:
            for hook in configuration.webhooks or ():
                yield kind, configuration, hook


def _is_empty(selector: Selector | None) -> bool:
    return selector is None or not (selector.match_labels or selector.match_expressions)


def _namespaces(selector: Selector | None) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The only namespaces meant, those that are spared, and whether that is the whole of it.

    The one label read is that which every namespace has with its name; what others decide is not known here.
    """
    only: list[str] = []
    spared: list[str] = []
    is_certain = True
    if selector is not None:
        for key, value in (selector.match_labels or {}).items():
            if key == _ALL_NAMES:
                only.append(value)
            else:
                is_certain = False
        for each in selector.match_expressions or ():
            if each.key == _ALL_NAMES and each.operator == "In":
                only += each.values or []
            elif each.key == _ALL_NAMES and each.operator == "NotIn":
                spared += each.values or []
            else:
                is_certain = False
    return tuple(only), tuple(spared), is_certain


def _expiring(seen: Survey, services: Iterable[ApiService], *, now: datetime) -> Iterator[Expiry]:
    bundles: dict[str, str] = {}
    for kind, configuration, hook in _hooks(seen):
        bundles.setdefault(hook.client_config.ca_bundle, f"{kind} {configuration.metadata.name} ({hook.name})")
    for api in services:
        bundles.setdefault(api.spec.ca_bundle, f"APIService {api.metadata.name}")
    for bundle, title in bundles.items():
        end = _end_of(bundle) if bundle else None
        if end is not None and end - now < SOON:
            yield Expiry(title, end)


@lru_cache(maxsize=1024)
def _end_of(bundle: str) -> datetime | None:
    """When the last certificate of a bundle expires: until then one of them is good."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        certificates = load_pem_x509_certificates(base64.b64decode(bundle, validate=True))
    except (ValueError, binascii.Error):
        return None
    return max((each.not_valid_after_utc for each in certificates), default=None)
