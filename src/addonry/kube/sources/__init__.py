"""Component sources: how a component can live on a cluster.

One module per source, one entry in SOURCES; the contract suite in ``tests/rooms/kube`` runs against each without
further asking. A source is given the cluster's Api, the settings and a kubeconfig for child processes. It keeps no
state of its own: ``kube.cluster`` makes a new one for each call, so that the kubeconfig's token is never stale.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from addonry.kube import DryRun, KubeSettings, Preview, Target
from addonry.model.components import Found, ObjectRef, Placement, SourceKind
from addonry.model.ids import TaskId
from addonry.model.tasks import Snapshot

if TYPE_CHECKING:
    from addonry.kube.api import Api


class Source(Protocol):
    """What each source can do; the promises are those of ``kube.LiveCluster``."""

    async def find(self, placement: Placement) -> Found | None:
        """The component, read afresh, without its health; None when nothing is there."""
        ...

    async def owned(self, placement: Placement) -> tuple[ObjectRef, ...]:
        """Every object the component consists of, for rollout and health."""
        ...

    async def render(self, placement: Placement, target: Target) -> str:
        """See ``LiveCluster.render``."""
        ...

    async def dry_run(self, placement: Placement, target: Target, *, manifest: str = "") -> DryRun:
        """See ``LiveCluster.dry_run``. *manifest* is what ``render`` has just given for it; empty renders it again."""
        ...

    async def preview(self, placement: Placement, target: Target, *, manifest: str = "") -> Preview:
        """See ``LiveCluster.preview``. *manifest* is what ``render`` has just given for it; empty renders it again."""
        ...

    async def snapshot(self, placement: Placement) -> Snapshot:
        """See ``LiveCluster.snapshot``."""
        ...

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """See ``LiveCluster.apply``."""
        ...

    async def uninstall(self, placement: Placement, *, task: TaskId) -> None:
        """See ``LiveCluster.uninstall``."""
        ...

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """See ``LiveCluster.rollback``."""
        ...


def _helm(api: "Api", settings: KubeSettings, kubeconfig: str) -> Source:
    from addonry.kube.sources.helm import HelmSource

    return HelmSource(api, settings, kubeconfig)


def _workload(api: "Api", settings: KubeSettings, kubeconfig: str) -> Source:
    from addonry.kube.sources.workload import WorkloadSource

    return WorkloadSource(api, settings, kubeconfig)


SOURCES: Final[Mapping[SourceKind, Callable[["Api", KubeSettings, str], Source]]] = {
    SourceKind.HELM: _helm,
    SourceKind.WORKLOAD: _workload,
}
"""How a source is made: of the Api, the settings, and a self-contained kubeconfig (``Access.for_helm``).

The server's address, for locks, is ``Api.server``. A plain workload's Found is made by ``inventory.found_workload``,
so that a single look and a scan say the same version.
"""

__all__ = ["SOURCES", "Source"]
