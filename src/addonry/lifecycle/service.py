"""The one implementation of ``Lifecycle``: a facade over the use cases, one module each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from addonry.kube import credentials_end
from addonry.lifecycle import (
    CatalogItem,
    ComponentStatus,
    ConfigureRequest,
    InstallRequest,
    PlannedChange,
    TaskHistory,
    UpgradeRequest,
    UpgradeWay,
    checking,
    cluster_upgrade,
    moves,
)
from addonry.lifecycle import changes as changing
from addonry.lifecycle import clusters as registering
from addonry.lifecycle import plan as planning
from addonry.lifecycle import waivers as waiving
from addonry.lifecycle import ways as finding
from addonry.lifecycle.access import Access
from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.facts import gather
from addonry.lifecycle.world import World
from addonry.model.catalog import ChartContents, ChartCredential
from addonry.model.checks import ClusterCheck
from addonry.model.clusters import Cluster, Profile
from addonry.model.components import ObjectRef
from addonry.model.errors import ComponentNotFound, InvalidParameter, NotThere, VersionNotFound
from addonry.model.ids import ClusterId, TaskId, Version
from addonry.model.readiness import Waiver
from addonry.model.tasks import LIVE, Event, Status, StepRecord, Task
from addonry.rules.chart_hosts import checked, host_of
from addonry.rules.cluster_upgrades import Leg
from addonry.rules.eta import seconds_left, together
from addonry.rules.outlook import look_ahead
from addonry.rules.readiness import assess
from addonry.rules.versions import same_version


class Service:
    """Everything that can be asked, on one World. See ``Lifecycle`` for the promises."""

    def __init__(self, world: World, scanner: Scanner, access: Access) -> None:
        self._world = world
        self.access = access
        self.region = world.region
        self._scanner = scanner
        self._statuses: dict[ClusterId, tuple[tuple[int, int], Mapping[str, ComponentStatus]]] = {}

    # Clusters

    async def register_cluster(
        self, name: str, kubeconfig: str, *, region: str, by: str, profile: Profile | None = None
    ) -> tuple[Cluster, TaskId]:
        """See ``Lifecycle``."""
        return await registering.register(
            self._world, self._scanner, name, kubeconfig, region=region, by=by, profile=profile
        )

    async def clusters(self) -> tuple[Cluster, ...]:
        """See ``Lifecycle``."""
        return await self._world.store.clusters()

    async def cluster(self, cluster: ClusterId) -> Cluster:
        """See ``Lifecycle``."""
        return await self._world.store.cluster(cluster)

    async def profiles(self) -> Mapping[ClusterId, Profile]:
        """See ``Lifecycle``."""
        return await self._world.store.profiles.profiles()

    async def modify_cluster(
        self, cluster: ClusterId, change: Callable[[Profile], Profile], *, name: str | None = None, by: str
    ) -> TaskId:
        """See ``Lifecycle``."""
        return await registering.modify(self._world, cluster, change, name=name, by=by)

    async def kubeconfig(self, cluster: ClusterId) -> tuple[str, datetime | None]:
        """See ``Lifecycle``."""
        kubeconfig = await self._world.store.kubeconfig(cluster)
        return kubeconfig, credentials_end(kubeconfig)

    async def run_check(self, cluster: ClusterId, kind: str, target: str, options: Mapping[str, str]) -> ClusterCheck:
        """See ``Lifecycle``."""
        return await checking.run(self._world, cluster, kind, target, options)

    async def check(self, cluster: ClusterId, check: str) -> ClusterCheck:
        """See ``Lifecycle``."""
        await self._world.store.cluster(cluster)
        return await self._world.store.profiles.check(cluster, check)

    async def checks(self, cluster: ClusterId) -> tuple[ClusterCheck, ...]:
        """See ``Lifecycle``."""
        await self._world.store.cluster(cluster)
        return await self._world.store.profiles.checks(cluster)

    async def add_waiver(
        self, cluster: ClusterId, check: str, component: str, *, reason: str, until: str, owner: str
    ) -> Waiver:
        """See ``Lifecycle``."""
        return await waiving.add(self._world, cluster, check, component, reason=reason, until=until, owner=owner)

    async def waivers(self, cluster: ClusterId) -> tuple[tuple[Waiver, bool], ...]:
        """See ``Lifecycle``."""
        await self._world.store.cluster(cluster)
        now = self._world.now()
        return tuple((each, each.until <= now) for each in await self._world.store.waivers.waivers(cluster))

    async def remove_waiver(self, cluster: ClusterId, waiver: str, *, by: str) -> None:
        """See ``Lifecycle``."""
        await waiving.remove(self._world, cluster, waiver, by=by)

    async def remove_cluster(self, cluster: ClusterId, *, by: str) -> TaskId:
        """See ``Lifecycle``."""
        task = await registering.remove(self._world, cluster, by=by)
        self._statuses.pop(cluster, None)
        return task

    async def scan(self, cluster: ClusterId) -> tuple[ComponentStatus, ...]:
        """See ``Lifecycle``."""
        await self._world.store.cluster(cluster)
        await self._scanner.scan(cluster)
        return tuple((await self.status(cluster)).values())

    # Components

    async def status(self, cluster: ClusterId) -> Mapping[str, ComponentStatus]:
        """See ``Lifecycle``."""
        read = (await self._world.store.generation(cluster), self._world.catalog.generation)
        kept = self._statuses.get(cluster)
        if kept is not None and kept[0] == read:
            return kept[1]
        facts, changes = await gather(self._world, cluster)
        statuses: dict[str, ComponentStatus] = {}
        for name, each in facts.items():
            task, change = changes.get(name, (None, None))
            statuses[name] = ComponentStatus(
                name, each.component, each.entry, assess(each), task, change, look_ahead(each)
            )
        self._statuses[cluster] = (read, statuses)
        return statuses

    async def resolve(self, name: str) -> str:
        """See ``Lifecycle``."""
        entry = self._world.catalog.entry(name)
        return entry.name if entry else name

    async def values(self, cluster: ClusterId, name: str) -> Mapping[str, Any]:
        """See ``Lifecycle``."""
        status = (await self.status(cluster)).get(await self.resolve(name))
        if status is None or status.component is None:
            raise ComponentNotFound(name, f"Component {name!r} is not installed.")
        return status.component.found.values or {}

    async def owned(self, cluster: ClusterId, name: str) -> tuple[ObjectRef, ...]:
        """See ``Lifecycle``."""
        status = (await self.status(cluster)).get(await self.resolve(name))
        if status is None or status.component is None:
            raise ComponentNotFound(name, f"Component {name!r} is not installed.")
        live = await self._world.connections.get(cluster)
        return await live.owned(status.component.found.placement)

    async def install(self, cluster: ClusterId, requests: Sequence[InstallRequest], *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await changing.install(self._world, cluster, requests, by=by)

    async def upgrade(self, cluster: ClusterId, requests: Sequence[UpgradeRequest], *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await changing.upgrade(self._world, cluster, requests, by=by)

    async def configure(self, cluster: ClusterId, requests: Sequence[ConfigureRequest], *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await changing.configure(self._world, cluster, requests, by=by)

    async def uninstall(self, cluster: ClusterId, names: Sequence[str], *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await changing.uninstall(self._world, cluster, names, by=by)

    async def plan(
        self, cluster: ClusterId, requests: Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]
    ) -> tuple[PlannedChange, ...]:
        """See ``Lifecycle``."""
        return await planning.plan(self._world, cluster, requests)

    async def plan_cluster_upgrade(self, cluster: ClusterId, version: str) -> tuple[Leg, ...]:
        """See ``Lifecycle``."""
        return await cluster_upgrade.plan_upgrade(self._world, cluster, version)

    async def ways(self, cluster: ClusterId, wanted: Sequence[tuple[str, Version | None]]) -> tuple[UpgradeWay, ...]:
        """See ``Lifecycle``."""
        return await finding.ways(self._world, cluster, wanted)

    # Tasks and events

    async def pause(self, task: TaskId, *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await moves.pause(self._world, task, by=by)

    async def resume(self, task: TaskId, *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await moves.resume(self._world, task, by=by)

    async def cancel(self, task: TaskId, *, by: str) -> Task:
        """See ``Lifecycle``."""
        return await moves.cancel(self._world, task, by=by)

    async def live_task(self, cluster: ClusterId, name: str) -> Task:
        """See ``Lifecycle``."""
        return await moves.live_task(self._world, cluster, name)

    async def task(self, task: TaskId) -> TaskHistory:
        """See ``Lifecycle``."""
        found = await self._world.store.task(task)
        events, _ = await self._world.store.events(task=task, limit=500)
        steps = await self._world.store.steps(task)
        return TaskHistory(
            task=found,
            steps=steps,
            events=tuple(reversed(events)),
            seconds_left=await self._seconds_left(found, steps),
        )

    async def _seconds_left(self, task: Task, steps: Sequence[StepRecord]) -> float | None:
        if task.status is not Status.RUNNING:
            return None
        ahead = [change for change in task.changes if change.status in LIVE]
        begun = [record.started_at for record in steps if record.component == task.change.component]
        in_step = (self._world.now() - begun[-1]).total_seconds() if begun else 0.0
        each = [
            seconds_left(
                change,
                await self._world.store.step_seconds(change.component),
                in_step if change is task.change else 0.0,
            )
            for change in ahead
        ]
        return together(each)

    async def tasks(
        self,
        cluster: ClusterId | None = None,
        *,
        statuses: Sequence[Status] = (),
        kinds: Sequence[str] = (),
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Task, ...], int]:
        """See ``Lifecycle``."""
        if cluster is not None:
            await self._world.store.cluster(cluster)
        return await self._world.store.tasks(cluster, statuses=statuses, kinds=kinds, offset=offset, limit=limit)

    async def events(
        self,
        *,
        clusters: Sequence[ClusterId] | None = None,
        task: TaskId | None = None,
        kind: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Event, ...], int]:
        """See ``Lifecycle``."""
        return await self._world.store.events(clusters=clusters, task=task, kind=kind, offset=offset, limit=limit)

    # Catalog

    async def catalog(self) -> tuple[CatalogItem, ...]:
        """See ``Lifecycle``."""
        return tuple([await self.catalog_item(entry.name) for entry in self._world.catalog.entries()])

    async def catalog_item(self, name: str) -> CatalogItem:
        """See ``Lifecycle``."""
        catalog = self._world.catalog
        entry = catalog.entry(name)
        if entry is None:
            raise ComponentNotFound(name, f"The catalog does not know {name!r}.")
        return CatalogItem(entry, catalog.offers(entry.name), catalog.trouble(entry.name))

    async def chart(self, name: str, version: Version) -> ChartContents:
        """See ``Lifecycle``."""
        item = await self.catalog_item(name)
        offer = next((each for each in item.offers if same_version(each.version, version)), None)
        if offer is None:
            raise VersionNotFound(name, version)
        catalog = self._world.catalog
        return await catalog.read_chart(await catalog.fetch(offer))

    async def add_component_file(self, text: str) -> CatalogItem:
        """See ``Lifecycle``."""
        entry = await self._world.catalog.add(text)
        return await self.catalog_item(entry.name)

    async def chart_hosts(self) -> Mapping[str, ChartCredential]:
        """See ``Lifecycle``."""
        return await self._world.store.chart_credentials()

    async def log_in(self, host: str, credential: ChartCredential) -> str:
        """See ``Lifecycle``."""
        try:
            checked(credential, host)
        except ValueError as error:
            raise InvalidParameter("host", str(error)) from None
        await self._world.store.chart_hosts.save(host_of(host), credential)
        return host_of(host)

    async def log_out(self, host: str) -> None:
        """See ``Lifecycle``."""
        if not await self._world.store.chart_hosts.drop(host_of(host)):
            raise NotThere(f"Nobody has logged in to {host_of(host)}.")

    async def sync_catalog(self) -> tuple[CatalogItem, ...]:
        """See ``Lifecycle``."""
        await self._world.catalog.refresh()
        return await self.catalog()
