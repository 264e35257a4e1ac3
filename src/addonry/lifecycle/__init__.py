"""What users ask for: gather facts, ask the rules, commit. This is the door for ``gateway``, ``web`` and ``cli``.

``Lifecycle`` is the whole of what the outside may ask. Every method raises the errors of ``model.errors`` and returns
values of ``model`` or of this module.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from addonry.model.catalog import CatalogEntry, ChartContents, ChartCredential, Offer
from addonry.model.checks import ClusterCheck
from addonry.model.clusters import Cluster, Profile
from addonry.model.components import Component, ObjectRef
from addonry.model.ids import ClusterId, ComponentName, TaskId, Version
from addonry.model.outlook import Outlook
from addonry.model.readiness import Readiness, Waiver
from addonry.model.tasks import Change, Edits, Event, Pace, Status, StepName, StepRecord, Task
from addonry.rules.cluster_upgrades import Leg
from addonry.rules.crd_changes import CrdVerdict
from addonry.rules.differences import ObjectDifference

if TYPE_CHECKING:
    from addonry.lifecycle.access import Access


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component of one cluster: what runs, what fits, what blocks, and how its last task goes or went."""

    name: ComponentName
    component: Component | None
    """None when it is not installed."""
    entry: CatalogEntry | None
    """None when the catalog does not know it."""
    readiness: Readiness
    task: Task | None = None
    change: Change | None = None
    """The newest task of the component, and what it does or did to it; both None when there never was one."""
    outlook: Outlook = field(default_factory=Outlook)


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """Install one component; *version* None means the newest that fits."""

    name: str
    version: Version | None = None
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    pace: Pace = Pace.AT_ONCE
    unsafe_crds: bool = False


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """Upgrade one component; *version* None means the newest that fits, *values* None keeps the present ones."""

    name: str
    version: Version | None = None
    expected: Version | None = None
    """What the caller believes is installed; refused when it is not."""
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    edits: Edits = Edits.OVERWRITE
    pace: Pace = Pace.AT_ONCE
    unsafe_crds: bool = False


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """Give one installed component other values; its version stays."""

    name: str
    values: Mapping[str, Any] = field(repr=False)
    """The whole of the user's values."""
    edits: Edits = Edits.OVERWRITE
    pace: Pace = Pace.AT_ONCE
    unsafe_crds: bool = False


@dataclass(frozen=True, slots=True)
class UpgradeWay:
    """By which versions a component comes to the one that is wanted."""

    component: ComponentName
    from_version: Version
    hops: tuple[Version, ...]
    """Where to go, one after the other; empty when there is no way, or nothing to go to."""
    missing: str = ""
    """The line of versions that none on offer fits of, such as ``1.26``, when it is that which is in the way."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change as a task would begin it, and what a person should know before."""

    change: Change
    """Its remarks name what the API server had to say: fields taken or kept and whose they were, CRDs that change."""
    point_of_no_return: StepName | None
    """The first step whose work a rollback does not take back; None when all of it can be."""
    seconds: float | None
    """How long such a change took in the past; None when it was never done."""
    way: tuple[Version, ...] = ()
    """Every version on the way to what is wanted, the first one first: where versions must not be skipped, this change
    goes to the first and others follow."""
    mode: str = ""
    """How objects are brought to the cluster: ``server-side``, ``client-side``, ``patch``; empty when that was not reached."""
    differences: tuple[ObjectDifference, ...] = ()
    edits: tuple[tuple[str, str], ...] = ()
    """Fields that others have set, each with who it was; the change's ``edits`` says what becomes of them."""
    crds: tuple[CrdVerdict, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """A task with all its steps and events."""

    task: Task
    steps: tuple[StepRecord, ...]
    events: tuple[Event, ...]
    seconds_left: float | None = None
    """How long it will take still, judged by past tasks; None when it is not running or nothing is known."""


@dataclass(frozen=True, slots=True)
class CatalogItem:
    """One component of the catalog with the versions on offer, newest first."""

    entry: CatalogEntry
    offers: tuple[Offer, ...]
    trouble: str = ""
    """Why its repository could not be read last time, when it could not."""


class Lifecycle(Protocol):
    """All that can be asked of Addonry."""

    # Clusters

    async def register_cluster(
        self, name: str, kubeconfig: str, *, region: str, by: str, profile: Profile | None = None
    ) -> tuple[Cluster, TaskId]:
        """Check that it answers, remember it, scan it. Raises KubeconfigRejected, ClusterUnreachable,
        ClusterRefused, ClusterNameTaken, InvalidParameter; then nothing is remembered. The id is that of the
        registration as a task would have; it has ended when this returns.
        """
        ...

    async def clusters(self) -> tuple[Cluster, ...]:
        """All registered clusters, by name."""
        ...

    async def cluster(self, cluster: ClusterId) -> Cluster:
        """Raises ClusterNotFound."""
        ...

    async def profiles(self) -> Mapping[ClusterId, Profile]:
        """What people have set, of every cluster of which anything was set."""
        ...

    async def modify_cluster(
        self, cluster: ClusterId, change: Callable[[Profile], Profile], *, name: str | None = None, by: str
    ) -> TaskId:
        """Change what is set of a cluster, and its name when one is given. Raises ClusterNotFound, ClusterNameTaken,
        InvalidParameter, and what *change* raises. The id is that of a task, which has ended.
        """
        ...

    async def kubeconfig(self, cluster: ClusterId) -> tuple[str, datetime | None]:
        """The kubeconfig that the cluster was registered with, and when its certificate expires. Raises ClusterNotFound."""
        ...

    async def run_check(self, cluster: ClusterId, kind: str, target: str, options: Mapping[str, str]) -> ClusterCheck:
        """Ask the readiness checks for one component (*target*), or for all of them before an upgrade of the cluster
        (``version`` of *options*, else the next minor). Raises ClusterNotFound, ComponentNotFound, InvalidParameter.
        """
        ...

    async def check(self, cluster: ClusterId, check: str) -> ClusterCheck:
        """Raises ClusterNotFound, NotThere."""
        ...

    async def checks(self, cluster: ClusterId) -> tuple[ClusterCheck, ...]:
        """Newest first. Raises ClusterNotFound."""
        ...

    async def add_waiver(
        self, cluster: ClusterId, check: str, component: str, *, reason: str, until: str, owner: str
    ) -> Waiver:
        """Let a check of *component*, or with none of all, pass until the end of a day. Raises ClusterNotFound,
        InvalidParameter: for what cannot be waived as well.
        """
        ...

    async def waivers(self, cluster: ClusterId) -> tuple[tuple[Waiver, bool], ...]:
        """Oldest first, each with whether it has expired. Raises ClusterNotFound."""
        ...

    async def remove_waiver(self, cluster: ClusterId, waiver: str, *, by: str) -> None:
        """Raises ClusterNotFound, NotThere."""
        ...

    async def remove_cluster(self, cluster: ClusterId, *, by: str) -> TaskId:
        """Forget a cluster; what runs there stays. Raises ClusterNotFound, ClusterProtected, ComponentBusy while tasks
        run there.
        """
        ...

    async def scan(self, cluster: ClusterId) -> tuple[ComponentStatus, ...]:
        """Look at the cluster now. Raises ClusterNotFound, ClusterUnreachable, ClusterRefused."""
        ...

    # Components

    async def status(self, cluster: ClusterId) -> Mapping[str, ComponentStatus]:
        """Every component that is installed or can be installed, by name, from what was last seen.

        The same object comes back until something about the cluster changes, so that encodings of it can be kept.
        Raises ClusterNotFound; never asks the cluster.
        """
        ...

    async def resolve(self, name: str) -> str:
        """The catalog's name for a name or alias; the name itself when the catalog does not know it."""
        ...

    async def values(self, cluster: ClusterId, name: str) -> Mapping[str, Any]:
        """The present values of an installed component. Raises ComponentNotFound."""
        ...

    async def owned(self, cluster: ClusterId, name: str) -> tuple[ObjectRef, ...]:
        """The objects of an installed component, asked of the cluster now. Raises ComponentNotFound, ClusterTrouble."""
        ...

    async def install(self, cluster: ClusterId, requests: Sequence[InstallRequest], *, by: str) -> Task:
        """One task for all, refused as a whole when one is wrong."""
        ...

    async def upgrade(self, cluster: ClusterId, requests: Sequence[UpgradeRequest], *, by: str) -> Task:
        """One task for all, refused as a whole when one is wrong."""
        ...

    async def configure(self, cluster: ClusterId, requests: Sequence[ConfigureRequest], *, by: str) -> Task:
        """One task for all, refused as a whole when one is wrong."""
        ...

    async def uninstall(self, cluster: ClusterId, names: Sequence[str], *, by: str) -> Task:
        """One task for all, refused as a whole when one is wrong. Raises UpgradeNotPossible for plain workloads and
        components that others need.
        """
        ...

    async def plan(
        self, cluster: ClusterId, requests: Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]
    ) -> tuple[PlannedChange, ...]:
        """What would be done, in order, without doing it. Asks the cluster, writes nothing there, makes no task.

        Raises as the request itself would; what the cluster objects to stands in the change's ``trouble``.
        """
        ...

    async def plan_cluster_upgrade(self, cluster: ClusterId, version: str) -> tuple[Leg, ...]:
        """Which components an upgrade of Kubernetes to *version* (empty: the next minor) needs upgraded before and after
        each minor, and which are in the way. From what was last seen. Raises ClusterNotFound, InvalidParameter.
        """
        ...

    async def ways(self, cluster: ClusterId, wanted: Sequence[tuple[str, Version | None]]) -> tuple[UpgradeWay, ...]:
        """By which versions components come to those that are wanted (None: the newest that fits and can be come to).

        From what was last seen. Raises ClusterNotFound, ComponentNotFound for what is not installed, VersionNotFound.
        """
        ...

    # Tasks and events

    async def pause(self, task: TaskId, *, by: str) -> Task:
        """Ask it to stop where it is; granted at its next safe place. Raises TaskNotFound, IllegalMove."""
        ...

    async def resume(self, task: TaskId, *, by: str) -> Task:
        """Let it go on. Raises TaskNotFound, IllegalMove."""
        ...

    async def cancel(self, task: TaskId, *, by: str) -> Task:
        """End it; what it has begun is taken back first. Raises TaskNotFound, IllegalMove."""
        ...

    async def live_task(self, cluster: ClusterId, name: str) -> Task:
        """The task that is queued, running or paused on a component. Raises ClusterNotFound, ComponentNotFound, TaskNotFound."""
        ...

    async def task(self, task: TaskId) -> TaskHistory:
        """Raises TaskNotFound."""
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
        """Newest first, and how many there are. Raises ClusterNotFound."""
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
        """Newest first, and how many there are."""
        ...

    # Catalog

    async def catalog(self) -> tuple[CatalogItem, ...]:
        """Everything the catalog knows, by name; never asks a repository."""
        ...

    async def catalog_item(self, name: str) -> CatalogItem:
        """By name or alias. Raises ComponentNotFound."""
        ...

    async def chart(self, name: str, version: Version) -> ChartContents:
        """Metadata, values and schema of one version's chart; may fetch it. Raises VersionNotFound, ChartTrouble."""
        ...

    async def add_component_file(self, text: str) -> CatalogItem:
        """Keep a component file of the site's own. Raises InvalidParameter, and keeps nothing, for a wrong one."""
        ...

    async def chart_hosts(self) -> Mapping[str, ChartCredential]:
        """How to get into hosts of charts, by host; not those of the file that the settings name."""
        ...

    async def log_in(self, host: str, credential: ChartCredential) -> str:
        """Keep how to get into a host of charts; its name as it is kept. Raises InvalidParameter."""
        ...

    async def log_out(self, host: str) -> None:
        """Forget it. Raises NotThere."""
        ...

    async def sync_catalog(self) -> tuple[CatalogItem, ...]:
        """Read the chart repositories now."""
        ...

    # Beside all that

    @property
    def access(self) -> "Access":
        """Who may call, and what they may do."""
        ...

    @property
    def region(self) -> str:
        """The region of clusters that are registered without one."""
        ...


__all__ = [
    "CatalogItem",
    "ComponentStatus",
    "ConfigureRequest",
    "InstallRequest",
    "Lifecycle",
    "PlannedChange",
    "TaskHistory",
    "UpgradeRequest",
    "UpgradeWay",
]
