"""What lies around the components of a cluster, as far as readiness checks ask for it.

A digest, not the objects: one scan makes it, the store keeps it, and no answer asks the cluster again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from addonry.model.components import Placement


@dataclass(frozen=True, slots=True)
class Room:
    """What one node has left for another pod."""

    cpu: int
    """In thousandths of a core."""
    memory: int
    """In bytes."""
    taints: tuple[str, ...] = ()
    """Keys of the taints that keep pods away."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The machines of a cluster, taken together."""

    count: int = 0
    not_ready: tuple[str, ...] = ()
    cordoned: tuple[str, ...] = ()
    kubelets: Mapping[str, int] = field(default_factory=dict)
    """How many nodes run each kubelet version."""
    free_pods: int | None = None
    """How many more pods the ready nodes take; None when that is not known."""
    rooms: tuple[Room, ...] | None = None
    """The roomiest of the ready nodes, one each that no other outdoes; None when that is not known."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget over pods of a workload."""

    name: str
    allowed: int
    """How many of its pods may be evicted now."""


@dataclass(frozen=True, slots=True)
class WorkloadNote:
    """A workload, as far as a change to it is concerned."""

    placement: Placement
    """The component that it belongs to: a Helm release, or the workload itself."""
    kind: str
    namespace: str
    name: str
    replicas: int = 1
    cpu: int = 0
    """What one pod asks for, in thousandths of a core."""
    memory: int = 0
    tolerates: tuple[str, ...] = ()
    """Keys of the taints that its pods tolerate; ``*`` is all of them."""
    is_pinned: bool = False
    """Its pods ask for certain nodes, so that free room elsewhere is of no use to them."""
    goes_down: bool = False
    """A change takes pods away before others are ready, down to none."""
    needs_room: bool = False
    """A change makes a new pod before it takes an old one away."""
    unprobed: tuple[str, ...] = ()
    """Containers without a readiness probe."""
    is_spread: bool = False
    """Something keeps its pods on different nodes."""
    budgets: tuple[Budget, ...] = ()
    scalers: tuple[str, ...] = ()
    """What changes its number or size of pods by itself."""
    pending_balancers: tuple[str, ...] = ()
    """Services of type LoadBalancer before its pods that have no address."""
    editors: tuple[str, ...] = ()
    """Managers beside the owner that have set fields of its spec."""

    @property
    def title(self) -> str:
        """As ``kubectl get`` takes it."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class DeadWebhook:
    """A webhook that refuses what it is not asked about, and that nobody answers."""

    title: str
    service: str
    resources: tuple[str, ...]
    """What is held up, ``group/resource``; ``*`` stands for any of either."""
    spared: tuple[str, ...] = ()
    """Namespaces that it is not asked about."""
    only: tuple[str, ...] = ()
    """When there are any: the only namespaces that it is asked about."""
    is_certain: bool = True
    """Nothing else decides whether it is asked."""


@dataclass(frozen=True, slots=True)
class DeadApi:
    """An aggregated API that does not answer."""

    name: str
    message: str
    placement: Placement | None = None
    """The Helm release that it belongs to."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """A certificate that has expired, or will soon."""

    title: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the last scan learnt of a cluster beside its components."""

    served: frozenset[str] = frozenset()
    denied: tuple[str, ...] = ()
    values_errors: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """By component and version: what that chart's schema says against the present values."""
    obsolete: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By component: the patterns of the catalog's obsolete settings that its configuration holds, and where."""
    nodes: Nodes = field(default_factory=Nodes)
    workloads: tuple[WorkloadNote, ...] = ()
    dead_webhooks: tuple[DeadWebhook, ...] = ()
    dead_apis: tuple[DeadApi, ...] = ()
    expiring: tuple[Expiry, ...] = ()
    """Certificates that webhooks and aggregated APIs are trusted by."""
    credentials_end: datetime | None = None
    """When the certificate that the cluster is reached with expires."""

    def only(self, keep: Callable[[WorkloadNote], bool]) -> "Surroundings":
        """With those workloads alone that *keep* says yes to."""
        return replace(self, workloads=tuple(each for each in self.workloads if keep(each)))
