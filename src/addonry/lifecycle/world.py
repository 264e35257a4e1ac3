"""What the use cases and steps work with: the rooms' doors, the clock and ids, handed in by ``app.py``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from addonry.catalogs import Catalog
from addonry.engine import Engine
from addonry.kube import LiveCluster
from addonry.model.ids import ClusterId, TaskId
from addonry.store import Store

OpenCluster = Callable[[str], LiveCluster]
"""A cluster by its uploaded kubeconfig; raises KubeconfigRejected."""


@dataclass(frozen=True, slots=True)
class Ids:
    """Where ids come from."""

    cluster: Callable[[], ClusterId]
    task: Callable[[], TaskId]
    key: Callable[[], tuple[str, str]]
    """An access key's id and secret."""
    check: Callable[[ClusterId], str]
    """A check's id, of a cluster."""
    waiver: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long steps wait, in seconds."""

    rollout: float = 600.0
    settle: float = 60.0
    """How long *verify* gives a component to become healthy once its rollout has ended."""


class Connections:
    """One LiveCluster per registered cluster, opened when first needed."""

    def __init__(self, store: Store, open_cluster: OpenCluster) -> None:
        self._store = store
        self._open = open_cluster
        self._open_clusters: dict[ClusterId, LiveCluster] = {}

    def open_once(self, kubeconfig: str) -> LiveCluster:
        """A cluster that is not registered; the caller closes it."""
        return self._open(kubeconfig)

    async def get(self, cluster: ClusterId) -> LiveCluster:
        """Raises ClusterNotFound."""
        if cluster not in self._open_clusters:
            kubeconfig = await self._store.kubeconfig(cluster)
            # Another coroutine may have opened it while this one read the kubeconfig.
            if cluster not in self._open_clusters:
                self._open_clusters[cluster] = self._open(kubeconfig)
        return self._open_clusters[cluster]

    async def drop(self, cluster: ClusterId) -> None:
        """Close the connection to a cluster that was forgotten."""
        live = self._open_clusters.pop(cluster, None)
        if live is not None:
            await live.close()

    async def close(self) -> None:
        """Close all."""
        for cluster in tuple(self._open_clusters):
            await self.drop(cluster)


@dataclass(frozen=True, slots=True)
class World:
    """Everything a use case or a step may touch."""

    store: Store
    engine: Engine
    catalog: Catalog
    connections: Connections
    now: Callable[[], datetime]
    ids: Ids
    patience: Patience = field(default_factory=Patience)
    region: str = "local"
