"""The kube room: all that speaks to a cluster. This is its door.

From outside only what stands here is imported: ``open_cluster`` gives a ``LiveCluster``. Every call raises the
ClusterTrouble and ChartTrouble errors of ``model.errors``, HelmFailed, and nothing else; each ends in bounded time.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from addonry.model.catalog import ChartArchive
from addonry.model.components import Found, Health, ObjectRef, Placement
from addonry.model.ids import TaskId, Version
from addonry.model.inventory import Inventory
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import Edits, Snapshot
from addonry.rules.removed_apis import Requested


@dataclass(frozen=True, slots=True)
class Target:
    """What a component is to run: for a Helm release a chart and values, for a plain workload an image tag."""

    version: Version
    archive: ChartArchive
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    """The whole of the user's values; None keeps those of the installed release (none on a first install)."""
    container: str = ""
    """Plain workload: the container whose image changes; empty means the first."""
    tag: str = ""
    """Plain workload: the new image tag."""
    edits: Edits = Edits.OVERWRITE
    """What becomes of fields that another manager has set."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The first look at a cluster."""

    kubernetes: str
    nodes: int
    server: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the API server says to the target's objects without storing them."""

    objects: int
    conflicts: tuple[tuple[str, str], ...] = ()
    """Pairs of field and the manager that owns it."""


class Mode(StrEnum):
    """How what a component consists of is brought to the cluster."""

    SERVER_SIDE = "server-side"
    """The server merges, knows whose each field is, and refuses to take fields of others unasked."""
    CLIENT_SIDE = "client-side"
    """Helm merges: a release that Helm 3 has made. Fields of others are overwritten without a word."""
    PATCH = "patch"
    """One field of a plain workload is set."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a component's manifest says now and what it would say, hooks left out. May hold Secrets."""

    before: tuple[Mapping[str, Any], ...] = field(repr=False)
    after: tuple[Mapping[str, Any], ...] = field(repr=False)
    mode: Mode


@dataclass(frozen=True, slots=True)
class CrdChange:
    """A CRD that a change would touch."""

    name: str
    before: Mapping[str, Any] | None = field(repr=False)
    """As the cluster has it, with its status; None when it would be created."""
    after: Mapping[str, Any] | None = field(repr=False)
    """As the cluster would have it; None when it would be deleted."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One look at the workloads of a component while they move."""

    percent: int
    health: Health
    note: str
    """For people: ``Deployment coredns: 1 of 2 updated``, or the named reason of a stall."""
    stall: str = ""
    """A stable reason when it cannot go on by itself: ImagePullBackOff, CrashLoopBackOff, Unschedulable,
    ProgressDeadlineExceeded, ...; empty otherwise."""
    updated: int = 0
    """Pods of the new version that are there, over all workloads."""
    updated_ready: int = 0
    """Those of them that are ready, as far as the workloads' own status tells."""
    total: int = 0
    """Pods that are wanted."""


class LiveCluster(Protocol):
    """A cluster that answers, reached with one kubeconfig. Safe for concurrent use."""

    async def probe(self) -> Probe:
        """Ask for version and nodes; the cheapest proof that address and credentials are right."""
        ...

    async def requested_apis(self) -> tuple[Requested, ...] | None:
        """The deprecated APIs that somebody has asked for since the API server began; None when it does not tell us.

        Some megabytes on a large cluster: asked before an upgrade of Kubernetes, not with each scan.
        """
        ...

    async def take_inventory(self) -> Inventory:
        """Everything that runs there, in a fixed number of requests. Forbidden lists are named, not raised."""
        ...

    async def look_around(self) -> Surroundings:
        """What an inventory learns beside the components, without them; for one that is about to be changed."""
        ...

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """The texts of a ConfigMap; empty when it is not there or may not be read."""
        ...

    async def missing_rights(self, placement: Placement) -> tuple[str, ...]:
        """In words, each right that a change of the component needs and the credentials lack; as far as what it consists
        of now tells. Empty when the cluster does not answer such questions.
        """
        ...

    async def find(self, placement: Placement) -> Found | None:
        """One component, read afresh; None when nothing is there."""
        ...

    async def render(self, placement: Placement, target: Target) -> str:
        """The target's manifests. Raises ValuesInvalid, RenderFailed. Writes nothing."""
        ...

    async def dry_run(self, placement: Placement, target: Target) -> DryRun:
        """Send what *apply* would send with ``dryRun=All``. Raises ClusterRejected for objects the server refuses."""
        ...

    async def snapshot(self, placement: Placement) -> Snapshot:
        """What to go back to: the deployed revision, or the present images."""
        ...

    async def preview(self, placement: Placement, target: Target) -> Preview:
        """The component's manifest as it is and as it would be. Raises as *render* does. Writes nothing."""
        ...

    async def crd_changes(self, placement: Placement, target: Target, *, of_templates: bool) -> tuple[CrdChange, ...]:
        """The CRDs that *apply_crds* would create or change, and with *of_templates* those that *apply* would create,
        change or delete because the chart renders them itself. Writes nothing.
        """
        ...

    async def apply_crds(self, placement: Placement, target: Target) -> int:
        """Create or update the chart's CRDs by server-side apply; how many. Helm itself never updates them."""
        ...

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """Make the component run the target, without waiting for its pods.

        Bears repeating: what *task* has already applied is left alone, and a release that a killed run of it left
        ``pending-*`` is unlocked and applied again. Never uninstalls. Fields of other managers are taken, left as they
        are, or raise FieldConflict before anything is written, as ``target.edits`` says.
        """
        ...

    async def hold(self, placement: Placement) -> str:
        """Stop the component's workloads where their rollout is; in words, what was held.

        The Deployment is paused, the StatefulSet partitioned, the DaemonSet updates on deletion only. What was set before
        is written beside it in an annotation, so that *release* needs no memory. Bears repeating.
        """
        ...

    async def release(self, placement: Placement) -> str:
        """Undo *hold*, wherever it came to; in words, what was let go. Nothing happens when nothing is held."""
        ...

    async def uninstall(self, placement: Placement, *, task: TaskId) -> None:
        """Remove the component. Bears repeating: what is gone already is done.

        CRDs, the namespace and volumes stay. Raises ClusterRejected for a plain workload: nobody knows what else
        belongs to it.
        """
        ...

    async def owned(self, placement: Placement) -> tuple[ObjectRef, ...]:
        """Everything that belongs to the component, as its source has recorded it; without hooks. Empty when it is gone."""
        ...

    def follow_rollout(self, placement: Placement) -> AsyncIterator[Rollout]:
        """Look at the component's workloads at once and again whenever they change, until the caller stops.

        The last look has health Current, or Failed with a named stall. Outlasts cut watches; raises
        ClusterUnreachable only when the server stays away.
        """
        ...

    async def assess_health(self, placement: Placement) -> Rollout:
        """One look at everything the component owns: workloads, and the APIServices Helm does not look at."""
        ...

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """Bring back what *snapshot* recorded; a repeated call changes nothing. Never uninstalls what was there.

        With an empty snapshot (a first install that failed) the release is taken back.
        """
        ...

    async def close(self) -> None:
        """Give up connections. The object is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """How to speak to clusters."""

    work_directory: Path
    """Where Helm's children have their homes and locks; removed freely between runs."""
    helm_binary: str | None = None
    """A ``helm`` command to use instead of the packaged SDK."""
    request_seconds: float = 10.0
    """The longest wait for an answer to one request."""
    helm_seconds: float = 120.0
    """The hard deadline of one Helm operation; then its process is killed."""
    stall_seconds: float = 20.0
    """How long a pod may be stalled (an image that cannot be pulled, a crash loop) before its rollout has failed."""
    before_write: Callable[[], None] = field(default=lambda: None, compare=False)
    """Called before each write to a cluster, also before each Helm operation: it raises, or ends the process, when this
    process may no longer work on tasks."""
    helm_silence: float = 0.0
    """How long a Helm child works on when this process gives no sign of life, in seconds; 0: until its deadline."""
    may_run_plugins: bool = False
    """Whether a kubeconfig may name commands and files (the user's own, on the CLI; never an uploaded one)."""


def open_cluster(
    kubeconfig: str | bytes, settings: KubeSettings, *, context: str | None = None, base: Path | None = None
) -> LiveCluster:
    """A cluster by its kubeconfig; nothing is sent yet. Raises KubeconfigRejected.

    *base* is the folder that relative file paths in the kubeconfig refer to, where those are allowed.
    """
    from addonry.kube.cluster import HttpCluster

    return HttpCluster.open(kubeconfig, settings, context=context, base=base)


async def flatten_kubeconfig(kubeconfig: str | bytes) -> str:
    """One context of the user's own kubeconfig as one that runs nothing and reads nothing: files are inlined, and a
    plugin is asked once for the credential of the moment, which will expire.

    Raises KubeconfigRejected, and ClusterRefused with the plugin's own words when it fails.
    """
    from addonry.kube.kubeconfig import Credentials, read_kubeconfig

    access = read_kubeconfig(kubeconfig, may_run_plugins=True)
    return access.for_helm(await Credentials(access).current())


def credentials_end(kubeconfig: str) -> datetime | None:
    """When the client certificate of a kubeconfig expires; None when it has none. Raises KubeconfigRejected.

    A token may expire too, but only who made it knows when.
    """
    from addonry.kube.kubeconfig import read_kubeconfig

    return read_kubeconfig(kubeconfig).certificate_end


__all__ = [
    "CrdChange",
    "DryRun",
    "KubeSettings",
    "LiveCluster",
    "Mode",
    "Preview",
    "Probe",
    "Rollout",
    "Target",
    "credentials_end",
    "flatten_kubeconfig",
    "open_cluster",
]
