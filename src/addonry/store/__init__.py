"""The store room: all that outlives a restart. This is its door.

SQLite by default, the same statements on PostgreSQL. Reads are cheap and inline; writes are short transactions.
Kubeconfigs and the secrets of access keys are encrypted at rest and leave only through ``kubeconfig`` and
``accounts.credential``, credentials of chart hosts only through ``chart_credentials``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from addonry.model.catalog import ChartCredential, ShelvedIndex
from addonry.model.clusters import Cluster
from addonry.model.components import Component
from addonry.model.ids import ClusterId, ComponentName, TaskId
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import Change, Event, Status, StepRecord, Task, Wish

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from addonry.store.accounts import Accounts
    from addonry.store.audit import AuditLog
    from addonry.store.hosts import ChartHosts
    from addonry.store.profiles import Profiles
    from addonry.store.waivers import Waivers
    from addonry.store.workers import WorkerRoll


class Store(Protocol):
    """Everything Addonry remembers. Also the engine's TaskLog and the catalogs' shelf."""

    # Clusters

    async def add_cluster(
        self, cluster: Cluster, kubeconfig: str, events: Sequence[Event] = (), *, record: Task | None = None
    ) -> None:
        """Remember a cluster, and with it the ended task that tells of it. Raises ClusterNameTaken."""
        ...

    async def cluster(self, cluster: ClusterId) -> Cluster:
        """Raises ClusterNotFound."""
        ...

    async def clusters(self) -> tuple[Cluster, ...]:
        """All of them, by name."""
        ...

    async def save_cluster(self, cluster: Cluster) -> None:
        """Update what a look at a cluster has shown; one that was removed meanwhile stays removed."""
        ...

    async def rename_cluster(self, cluster: ClusterId, name: str, at: datetime) -> None:
        """Raises ClusterNotFound, ClusterNameTaken."""
        ...

    async def remove_cluster(
        self, cluster: ClusterId, events: Sequence[Event] = (), *, record: Task | None = None
    ) -> None:
        """Forget a cluster, its components and kubeconfig; tasks and events stay, and *record* is added to them.

        Raises ClusterNotFound, ComponentBusy while a task runs there.
        """
        ...

    async def kubeconfig(self, cluster: ClusterId) -> str:
        """Decrypted. Raises ClusterNotFound."""
        ...

    async def save_inventory(
        self, cluster: Cluster, components: Sequence[Component], surroundings: Surroundings
    ) -> None:
        """Replace what is known to run on the cluster, and the cluster's own row, in one transaction.

        A component stored with a later ``observed_at`` than the cluster's ``scanned_at`` (the moment the scan began)
        was looked at by a task meanwhile: it is kept as it is.
        """
        ...

    async def save_component(self, cluster: ClusterId, component: Component) -> None:
        """Update or add one component that a task has just looked at."""
        ...

    async def drop_component(self, cluster: ClusterId, name: ComponentName) -> None:
        """One component is no longer there. Nothing happens when it was not known."""
        ...

    async def components(self, cluster: ClusterId) -> tuple[Component, ...]:
        """By name."""
        ...

    async def surroundings(self, cluster: ClusterId) -> Surroundings:
        """Empty before the first scan."""
        ...

    async def generation(self, cluster: ClusterId) -> int:
        """A number that changes with every write about the cluster or its tasks. Raises ClusterNotFound."""
        ...

    # Tasks

    async def submit(self, task: Task, events: Sequence[Event], enqueue: "Callable[[Connection], None]") -> None:
        """Write a new task and call *enqueue* in the same transaction.

        Raises ComponentBusy (with the task that runs) when one of its components has a live task, and ClusterNotFound
        when a task with changes is for a cluster that was removed; then nothing is written.
        """
        ...

    async def record(self, task: Task, events: Sequence[Event]) -> None:
        """Write a task that has ended already. Raises ClusterNotFound."""
        ...

    async def task(self, task: TaskId) -> Task:
        """Raises TaskNotFound."""
        ...

    async def claim(self, task: TaskId, *, run: int, claim: str) -> Task | None:
        """See ``engine.TaskLog``."""
        ...

    async def claimed(self, task: TaskId, *, claim: str) -> Task | None:
        """See ``engine.TaskLog``."""
        ...

    async def release(self, task: TaskId, *, claim: str) -> None:
        """See ``engine.TaskLog``."""
        ...

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        """See ``engine.TaskLog``. Each of *steps* replaces the open record of the same component and step, keeping
        the moment that began, else is added.
        """
        ...

    async def move(
        self, task: Task, events: Sequence[Event], enqueue: "Callable[[Connection], None] | None" = None
    ) -> bool:
        """Write what a person asked of a task, whoever owns it: status, wish, run and the present change, if
        ``task.revision`` is still the one read; *enqueue* is called in the same transaction. False when another save came
        first: read it again and ask again.
        """
        ...

    async def wishes(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Wish]:
        """See ``engine.TaskLog``."""
        ...

    async def step_seconds(self, component: ComponentName) -> Mapping[str, float]:
        """How long each step of the component took in its newest successful tasks, on any cluster: the median, by step."""
        ...

    async def unfinished(self) -> Sequence[tuple[TaskId, int, str]]:
        """See ``engine.TaskLog``."""
        ...

    async def requeue(
        self, runs: "Sequence[tuple[TaskId, int, str]]", *, enqueue: "Callable[[Connection, TaskId, int, str], None]"
    ) -> int:
        """See ``engine.TaskLog``."""
        ...

    async def tasks(
        self,
        cluster: ClusterId | None = None,
        *,
        statuses: Sequence[Status] = (),
        kinds: Sequence[str] = (),
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Task, ...], int]:
        """Newest first, and how many there are in all."""
        ...

    async def last_changes(self, cluster: ClusterId) -> Mapping[ComponentName, tuple[Task, Change]]:
        """The newest task of each component that ever had one."""
        ...

    async def steps(self, task: TaskId) -> tuple[StepRecord, ...]:
        """In the order they began."""
        ...

    async def events(
        self,
        *,
        clusters: Sequence[ClusterId] | None = None,
        task: TaskId | None = None,
        kind: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Event, ...], int]:
        """Newest first, and how many there are in all."""
        ...

    async def add_events(self, events: Sequence[Event]) -> None:
        """Record what happened outside a task."""
        ...

    # Chart repositories

    async def shelved_index(self, repository: str) -> ShelvedIndex | None:
        """What was last read from a chart repository."""
        ...

    async def shelve_index(self, index: ShelvedIndex) -> None:
        """Keep it, in place of the one before."""
        ...

    async def chart_credentials(self) -> Mapping[str, ChartCredential]:
        """How to get into hosts of charts, by host; ``chart_hosts`` changes them."""
        ...

    # Each with methods of its own

    @property
    def accounts(self) -> "Accounts":
        """Access keys, users and policies."""
        ...

    @property
    def audit(self) -> "AuditLog":
        """What was called."""
        ...

    @property
    def chart_hosts(self) -> "ChartHosts":
        """How to get into the hosts of charts."""
        ...

    @property
    def profiles(self) -> "Profiles":
        """What people have set of clusters, and the checks they ran."""
        ...

    @property
    def waivers(self) -> "Waivers":
        """Waivers of readiness checks."""
        ...

    @property
    def roll(self) -> "WorkerRoll | None":
        """The register of workers (``engine.membership.Roll``); None on SQLite, where there is one."""
        ...

    async def close(self) -> None:
        """Give up connections. The object is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the store is."""

    database_url: str
    """``sqlite:///PATH`` or a PostgreSQL URL."""
    secret_key_file: Path | None
    """Made on first use, mode 0600."""
    secret_key: str | None = None
    """Given instead of the file (``ADDONRY_SECRET_KEY``)."""


def open_store(settings: StoreSettings) -> Store:
    """The store, its schema brought up to date.

    Raises StoreUnavailable (also for a key that does not fit and a schema newer than this code), InvalidParameter.
    """
    from addonry.store.database import SqlStore

    return SqlStore.open(settings)


__all__ = ["Store", "StoreSettings", "Surroundings", "open_store"]
