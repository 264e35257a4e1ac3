"""Component sources: how a component can live on a cluster.

One module per source, one entry in SOURCES; the contract suite in ``tests/rooms/kube`` runs against each without
further asking. A source is given the cluster's Api and settings and keeps no state of its own.
"""

from dataclasses import dataclass
from typing import Protocol

from addonry.kube import DryRun, Target
from addonry.model.components import Found, Placement, SourceKind
from addonry.model.ids import TaskId
from addonry.model.tasks import Snapshot


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """The address of one object on a cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str


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

    async def dry_run(self, placement: Placement, target: Target) -> DryRun:
        """See ``LiveCluster.dry_run``."""
        ...

    async def snapshot(self, placement: Placement) -> Snapshot:
        """See ``LiveCluster.snapshot``."""
        ...

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """See ``LiveCluster.apply``."""
        ...

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """See ``LiveCluster.rollback``."""
        ...


def source_of(kind: SourceKind) -> str:
    """The module that implements *kind*; ``kube.cluster`` builds it with its Api."""
    return {SourceKind.HELM: "helm", SourceKind.WORKLOAD: "workload"}[kind]


__all__ = ["ObjectRef", "Source", "source_of"]
