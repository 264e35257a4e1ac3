"""A Lifecycle in memory: answers from plain values, and remembers what it was asked to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from addonry.lifecycle import (
    CatalogItem,
    ComponentStatus,
    ConfigureRequest,
    InstallRequest,
    PlannedChange,
    TaskHistory,
    UpgradeRequest,
    UpgradeWay,
)
from addonry.lifecycle.access import SESSION_POLICY
from addonry.model.access import AuditRecord, Grants, Policy, User
from addonry.model.catalog import CatalogEntry, ChartContents, ChartCredential, ChartSource, Fingerprints, Offer
from addonry.model.checks import CheckItem, CheckOutcome, ClusterCheck
from addonry.model.clusters import Cluster, Profile, Reach
from addonry.model.components import Component, Found, Health, ObjectRef, Placement, SourceKind
from addonry.model.errors import (
    AlreadyInstalled,
    ClusterNotFound,
    ComponentNotFound,
    InvalidParameter,
    NotThere,
    TaskNotFound,
    VersionNotFound,
)
from addonry.model.ids import ClusterId, ComponentName, TaskId, Version
from addonry.model.keys import AccessKey, Credential
from addonry.model.owners import Owner
from addonry.model.readiness import Blocker, Readiness, Severity, Waiver
from addonry.model.tasks import (
    LIVE,
    Change,
    Event,
    Status,
    StepName,
    StepRecord,
    Task,
    TaskKind,
    Trouble,
)
from addonry.rules import task_moves
from addonry.rules.access import SYSTEM_POLICIES
from addonry.rules.cluster_upgrades import Leg, Move, Stop
from addonry.rules.crd_changes import CrdVerdict, Unsafe, UnsafeChange
from addonry.rules.differences import Difference, FieldDifference, ObjectDifference
from addonry.rules.planning import plan_for
from addonry.rules.readiness.waiving import NEVER
from addonry.rules.redaction import HIDDEN

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
CLUSTER = ClusterId("c23421cfa74454bc8b37163fd19afbeef")
TASK = TaskId("T-5fd211e924e1d00787000293")
LIVE_TASK = TaskId("T-5fd211e924e1d00787000295")
KEY = "LTAI5tFakeKeyIdExample"
SECRET = "FakeSecretExample0123456789abcd"
PLAN = (StepName.PREFLIGHT, StepName.APPLY, StepName.ROLLOUT)


def an_entry(name: str, **more: Any) -> CatalogEntry:
    return CatalogEntry(
        name=ComponentName(name),
        title=more.pop("title", name.title()),
        source=ChartSource("https://charts.example.com", name),
        fingerprints=Fingerprints(),
        release=name,
        namespace="kube-system",
        **more,
    )


def an_offer(name: str, version: str, kubernetes: str = ">=1.25.0-0", **more: Any) -> Offer:
    return Offer(ComponentName(name), Version(version), version, kubernetes, "", "", **more)


def a_component(name: str, version: str, *, health: Health = Health.CURRENT, message: str = "") -> Component:
    found = Found(
        placement=Placement(SourceKind.HELM, "kube-system", name),
        version=Version(version),
        app_version=version,
        chart=name,
        owner=Owner.HELM,
        health=health,
        message=message,
        values={"replicas": 2},
    )
    return Component(ComponentName(name), found, in_catalog=True, observed_at=NOW)


def a_change(
    name: str,
    *,
    kind: TaskKind = TaskKind.UPGRADE,
    status: Status = Status.SUCCESS,
    from_version: str = "1.0.0",
    to_version: str = "1.1.0",
    **more: Any,
) -> Change:
    ended = status not in LIVE
    return Change(
        component=ComponentName(name),
        kind=kind,
        placement=Placement(SourceKind.HELM, "kube-system", name),
        from_version=Version(from_version),
        to_version=Version(to_version),
        plan=more.pop("plan", PLAN),
        status=status,
        started_at=None if status is Status.QUEUED else NOW,
        finished_at=datetime(2026, 11, 23, 8, 0, 41, tzinfo=UTC) if ended else None,
        **more,
    )


def a_task(*changes: Change, task: str = TASK, status: Status | None = None, kind: TaskKind | None = None) -> Task:
    return Task(
        id=TaskId(task),
        cluster=CLUSTER,
        kind=kind or changes[0].kind,
        changes=changes,
        created_at=NOW,
        updated_at=datetime(2026, 11, 23, 8, 0, 41, 250_000, tzinfo=UTC),
        status=status or changes[0].status,
        requested_by=KEY,
    )


def a_status(
    name: str,
    *,
    version: str | None = "1.0.0",
    target: str | None = "1.1.0",
    change: Change | None = None,
    findings: tuple[Blocker, ...] = (),
    known: bool = True,
    health: Health = Health.CURRENT,
    message: str = "",
) -> ComponentStatus:
    return ComponentStatus(
        name=ComponentName(name),
        component=None if version is None else a_component(name, version, health=health, message=message),
        entry=an_entry(name) if known else None,
        readiness=Readiness(findings, an_offer(name, target) if target else None),
        task=a_task(change) if change else None,
        change=change,
    )


def a_waiver(*, by: str = "ann") -> Waiver:
    until = datetime(2027, 2, 1, tzinfo=UTC)
    return Waiver("WorkloadUnhealthy", ComponentName("coredns"), "one flaky node", by, until, NOW, "w-1")


def a_blocker(message: str = "Task T-1 is running on it.", severity: Severity = Severity.BLOCKS) -> Blocker:
    return Blocker("TaskRunning", message, "Wait until it has ended.", severity)


def a_cluster(name: str = "sim-1", cluster: str = CLUSTER, **more: Any) -> Cluster:
    values: dict[str, Any] = {
        "region": "local",
        "server": "https://10.0.0.1:6443",
        "created_at": NOW,
        "updated_at": NOW,
        "kubernetes": "v1.31.1",
        "nodes": 3,
        "reach": Reach.ANSWERS,
        "scanned_at": NOW,
    }
    return Cluster(id=ClusterId(cluster), name=name, **{**values, **more})


def a_check(kind: str = "ClusterUpgrade", target: str = "") -> ClusterCheck:
    items = (
        CheckItem("coredns", "1.40.0", ()),
        CheckItem("metrics-server", "3.12.1", (a_blocker(), a_blocker("Look out.", Severity.WARNS))),
    )
    outcome = CheckOutcome(NOW, NOW, passed=False, message="blocked by metrics-server", items=items)
    return ClusterCheck(f"1-{CLUSTER}-clustercheck-abcde", CLUSTER, kind, target, outcome)


def _planned(request: InstallRequest | UpgradeRequest | ConfigureRequest) -> PlannedChange:
    kinds = {InstallRequest: TaskKind.INSTALL, UpgradeRequest: TaskKind.UPGRADE, ConfigureRequest: TaskKind.CONFIGURE}
    kind = kinds[type(request)]
    change = a_change(
        request.name,
        kind=kind,
        status=Status.QUEUED,
        plan=plan_for(kind, request.pace),
        pace=request.pace,
        remarks=("spec.replicas is kept; kubectl has set it.",),
    )
    fields = (
        FieldDifference("spec.replicas", Difference.CHANGED, 1, 2),
        FieldDifference("data.key", Difference.REMOVED, HIDDEN, None, is_hidden=True),
        FieldDifference("spec.template.spec.containers[dns].image", Difference.CHANGED, "dns:1", "dns:2"),
    )
    unsafe = UnsafeChange(Unsafe.FIELD_REMOVED, "v1", "spec.size", "is removed")
    return PlannedChange(
        change,
        StepName.CRDS,
        41.6,
        way=(change.to_version, Version("1.2.0")),
        mode="server-side",
        differences=(
            ObjectDifference("Deployment", "kube-system", "dns", Difference.CHANGED, fields),
            ObjectDifference("ConfigMap", "kube-system", "old", Difference.REMOVED, is_kept=True),
        ),
        edits=(("Deployment dns spec.replicas", "kubectl"),),
        crds=(CrdVerdict("widgets.example.com", Difference.CHANGED, (unsafe,)),),
    )


TROUBLE = Trouble("ImagePullBackOff", "coredns cannot pull its image.", "Correct the image.")


@dataclass
class FakeAccess:
    """See ``addonry.lifecycle.access.Access``."""

    credentials: dict[str, Credential] = field(default_factory=lambda: {KEY: Credential(KEY, SECRET)})
    bearers: dict[str, Credential] = field(default_factory=dict)
    attached: dict[str, tuple[Policy, ...]] = field(default_factory=dict)
    """Policies by user."""
    elsewhere: set[bytes] = field(default_factory=set)
    """Marks of nonces that another process has seen."""
    recorded: list[AuditRecord] = field(default_factory=list)
    at_once: list[bool] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def credential(self, key: str) -> Credential | None:
        return self.credentials.get(key)

    async def bearer(self, token: str) -> Credential | None:
        return self.bearers.get(token)

    async def note_nonce(self, mark: bytes) -> bool:
        return mark not in self.elsewhere

    async def grants(self, credential: Credential) -> Grants | None:
        layers = [self.attached.get(credential.user, ())] if credential.user else []
        if credential.session_policy is not None:
            layers.append((Policy(SESSION_POLICY, credential.session_policy),))
        return Grants(tuple(layers)) if layers else None

    async def record(self, record: AuditRecord, *, at_once: bool) -> None:
        self.recorded.append(record)
        self.at_once.append(at_once)

    async def audit(
        self,
        *,
        operation: str = "",
        key: str = "",
        user: str = "",
        cluster: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[AuditRecord, ...], int]:
        self.asked.append(("audit", {"operation": operation, "key": key, "user": user, "cluster": cluster}))
        found = self.recorded[::-1]
        return tuple(found[offset : offset + limit]), len(found)

    async def create_key(self, name: str, *, user: str = "") -> Credential:
        self.asked.append(("create_key", name, user))
        return Credential("LTAInew", "only-once", user=user)

    async def create_session(
        self, name: str, *, of: Credential, lasting: timedelta, policy: Mapping[str, Any] | None = None
    ) -> Credential:
        self.asked.append(("create_session", name, of.id, lasting, policy))
        return Credential("STS.new", "only-once", security_token="token", expires_at=NOW + lasting)

    async def keys(self) -> tuple[AccessKey, ...]:
        return (AccessKey(KEY, "root", NOW, is_root=True), AccessKey("STS.x", "ci", NOW, user="ann", expires_at=NOW))

    async def enable_key(self, key: str, *, enabled: bool) -> None:
        self.asked.append(("enable_key", key, enabled))

    async def delete_key(self, key: str) -> None:
        self.asked.append(("delete_key", key))

    async def create_user(self, name: str) -> None:
        self.asked.append(("create_user", name))

    async def users(self) -> tuple[User, ...]:
        return (User("ann", NOW, ("AliyunCSReadOnlyAccess",)),)

    async def delete_user(self, name: str) -> None:
        self.asked.append(("delete_user", name))

    async def attach(self, user: str, policy: str) -> None:
        self.asked.append(("attach", user, policy))

    async def detach(self, user: str, policy: str) -> None:
        self.asked.append(("detach", user, policy))

    async def save_policy(self, name: str, document: Mapping[str, Any], description: str = "") -> None:
        self.asked.append(("save_policy", name, document, description))

    async def policies(self) -> tuple[Policy, ...]:
        return (SYSTEM_POLICIES["AliyunCSFullAccess"],)

    async def policy(self, name: str) -> Policy:
        if name not in SYSTEM_POLICIES:
            raise NotThere(f"There is no policy {name!r}.")
        return SYSTEM_POLICIES[name]

    async def delete_policy(self, name: str) -> None:
        self.asked.append(("delete_policy", name))


@dataclass
class FakeLifecycle:
    """See ``addonry.lifecycle.Lifecycle``. Tests change its members at will."""

    known: dict[str, Cluster] = field(default_factory=lambda: {CLUSTER: a_cluster()})
    statuses: dict[str, Mapping[str, ComponentStatus]] = field(default_factory=dict)
    items: dict[str, CatalogItem] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    histories: dict[str, TaskHistory] = field(default_factory=dict)
    told: list[Event] = field(default_factory=list)
    access: FakeAccess = field(default_factory=FakeAccess)
    set: dict[str, Profile] = field(default_factory=dict)
    ran: list[ClusterCheck] = field(default_factory=list)
    belongings: tuple[ObjectRef, ...] = (
        ObjectRef("apps/v1", "Deployment", "kube-system", "coredns"),
        ObjectRef("v1", "Service", "kube-system", "kube-dns"),
        ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "", "coredns"),
    )
    region: str = "local"
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    error: Exception | None = None
    """Raised by whatever is asked next, if set."""

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error

    async def register_cluster(
        self, name: str, kubeconfig: str, *, region: str, by: str, profile: Profile | None = None
    ) -> tuple[Cluster, TaskId]:
        self._note("register_cluster", name, kubeconfig, region, by)
        self.set["cb95aa626a47740afbf6aa099b6500000"] = profile or Profile()
        cluster = a_cluster(name, "cb95aa626a47740afbf6aa099b6500000", region=region)
        self.known[cluster.id] = cluster
        return cluster, TASK

    async def clusters(self) -> tuple[Cluster, ...]:
        self._note("clusters")
        return tuple(sorted(self.known.values(), key=lambda cluster: cluster.name))

    async def cluster(self, cluster: ClusterId) -> Cluster:
        self._note("cluster", cluster)
        if cluster not in self.known:
            raise ClusterNotFound(cluster)
        return self.known[cluster]

    async def profiles(self) -> Mapping[ClusterId, Profile]:
        return {ClusterId(cluster): profile for cluster, profile in self.set.items()}

    async def modify_cluster(
        self, cluster: ClusterId, change: Callable[[Profile], Profile], *, name: str | None = None, by: str
    ) -> TaskId:
        known = await self.cluster(cluster)
        self._note("modify_cluster", cluster, name, by)
        self.set[cluster] = change(self.set.get(cluster, Profile()))
        self.known[cluster] = replace(known, name=name or known.name)
        return TASK

    async def kubeconfig(self, cluster: ClusterId) -> tuple[str, datetime | None]:
        await self.cluster(cluster)
        return "apiVersion: v1\nkind: Config\n", NOW

    async def run_check(self, cluster: ClusterId, kind: str, target: str, options: Mapping[str, str]) -> ClusterCheck:
        self._note("run_check", cluster, kind, target, dict(options))
        await self.cluster(cluster)
        self.ran.insert(0, a_check(kind, target))
        return self.ran[0]

    async def check(self, cluster: ClusterId, check: str) -> ClusterCheck:
        await self.cluster(cluster)
        for each in self.ran:
            if each.id == check:
                return each
        raise NotThere(f"There is no check {check!r}.")

    async def checks(self, cluster: ClusterId) -> tuple[ClusterCheck, ...]:
        await self.cluster(cluster)
        return tuple(self.ran)

    async def add_waiver(
        self, cluster: ClusterId, check: str, component: str, *, reason: str, until: str, owner: str
    ) -> Waiver:
        self._note("add_waiver", cluster, check, component, reason, until, owner)
        await self.cluster(cluster)
        if check in NEVER:
            raise InvalidParameter("check", f"{check} cannot be waived")
        return a_waiver(by=owner)

    async def waivers(self, cluster: ClusterId) -> tuple[tuple[Waiver, bool], ...]:
        await self.cluster(cluster)
        return ((a_waiver(), False),)

    async def remove_waiver(self, cluster: ClusterId, waiver: str, *, by: str) -> None:
        self._note("remove_waiver", cluster, waiver, by)
        await self.cluster(cluster)
        if waiver != a_waiver().id:
            raise NotThere(f"There is no waiver {waiver!r} of that cluster.")

    async def owned(self, cluster: ClusterId, name: str) -> tuple[ObjectRef, ...]:
        self._note("owned", cluster, name)
        return self.belongings

    async def remove_cluster(self, cluster: ClusterId, *, by: str) -> TaskId:
        await self.cluster(cluster)
        del self.known[cluster]
        return TASK

    async def scan(self, cluster: ClusterId) -> tuple[ComponentStatus, ...]:
        self._note("scan", cluster)
        return tuple((await self.status(cluster)).values())

    async def status(self, cluster: ClusterId) -> Mapping[str, ComponentStatus]:
        await self.cluster(cluster)
        return self.statuses.setdefault(cluster, {})

    async def resolve(self, name: str) -> str:
        return self.aliases.get(name, name)

    async def values(self, cluster: ClusterId, name: str) -> Mapping[str, Any]:
        status = (await self.status(cluster)).get(name)
        if status is None or status.component is None:
            raise ComponentNotFound(name)
        return status.component.found.values or {}

    async def install(self, cluster: ClusterId, requests: Sequence[InstallRequest], *, by: str) -> Task:
        self._note("install", cluster, tuple(requests), by)
        statuses = await self.status(cluster)
        for request in requests:
            status = statuses.get(request.name)
            if status is None:
                raise ComponentNotFound(request.name)
            if status.component is not None:
                raise AlreadyInstalled(request.name, status.component.version)
        return a_task(a_change(requests[0].name, kind=TaskKind.INSTALL, status=Status.QUEUED))

    async def upgrade(self, cluster: ClusterId, requests: Sequence[UpgradeRequest], *, by: str) -> Task:
        self._note("upgrade", cluster, tuple(requests), by)
        statuses = await self.status(cluster)
        for request in requests:
            status = statuses.get(request.name)
            if status is None or status.component is None:
                raise ComponentNotFound(request.name)
            if request.version == "9.9.9":
                raise VersionNotFound(request.name, request.version)
        return a_task(a_change(requests[0].name, status=Status.QUEUED))

    async def configure(self, cluster: ClusterId, requests: Sequence[ConfigureRequest], *, by: str) -> Task:
        self._note("configure", cluster, tuple(requests), by)
        for request in requests:
            await self.values(cluster, request.name)
        return a_task(a_change(requests[0].name, kind=TaskKind.CONFIGURE, status=Status.QUEUED))

    async def uninstall(self, cluster: ClusterId, names: Sequence[str], *, by: str) -> Task:
        self._note("uninstall", cluster, tuple(names), by)
        for name in names:
            await self.values(cluster, name)
        return a_task(a_change(names[0], kind=TaskKind.UNINSTALL, status=Status.QUEUED))

    async def plan(
        self, cluster: ClusterId, requests: Sequence[InstallRequest | UpgradeRequest | ConfigureRequest]
    ) -> tuple[PlannedChange, ...]:
        self._note("plan", cluster, tuple(requests))
        await self.cluster(cluster)
        return tuple(_planned(request) for request in requests)

    async def plan_cluster_upgrade(self, cluster: ClusterId, version: str) -> tuple[Leg, ...]:
        await self.cluster(cluster)
        move = Move(ComponentName("coredns"), Version("1.0.0"), (Version("1.1.0"),), "goes before Kubernetes")
        stop = Stop(ComponentName("ingress-nginx"), Version("4.11.0"), "It needs less.", "Stay.")
        return (Leg("v1.31.1", version or "1.32", (move,), (), (stop,), (ComponentName("odd"),)),)

    async def ways(self, cluster: ClusterId, wanted: Sequence[tuple[str, Version | None]]) -> tuple[UpgradeWay, ...]:
        self._note("ways", cluster, tuple(wanted))
        await self.cluster(cluster)
        hops = (Version("1.1.0"), Version("1.2.0"))
        return tuple(UpgradeWay(ComponentName(name), Version("1.0.0"), hops) for name, _ in wanted)

    async def pause(self, task: TaskId, *, by: str) -> Task:
        return await self._move("pause", task_moves.pause, task, by)

    async def resume(self, task: TaskId, *, by: str) -> Task:
        return await self._move("resume", task_moves.resume, task, by)

    async def cancel(self, task: TaskId, *, by: str) -> Task:
        return await self._move("cancel", task_moves.cancel, task, by)

    async def _move(self, name: str, move: Callable[..., Task], task: TaskId, by: str) -> Task:
        self._note(name, task, by)
        history = await self.task(task)
        moved = move(history.task, now=NOW)
        self.histories[task] = replace(history, task=moved)
        return moved

    async def live_task(self, cluster: ClusterId, name: str) -> Task:
        if name not in await self.status(cluster):
            raise ComponentNotFound(name)
        for history in self.histories.values():
            if history.task.status in LIVE and name in {change.component for change in history.task.changes}:
                return history.task
        raise TaskNotFound(name)

    async def task(self, task: TaskId) -> TaskHistory:
        self._note("task", task)
        if task not in self.histories:
            raise TaskNotFound(task)
        return self.histories[task]

    async def tasks(
        self,
        cluster: ClusterId | None = None,
        *,
        statuses: Sequence[Status] = (),
        kinds: Sequence[str] = (),
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Task, ...], int]:
        if cluster is not None:
            await self.cluster(cluster)
        found = [
            history.task
            for history in self.histories.values()
            if (cluster is None or history.task.cluster == cluster)
            and (not statuses or history.task.status in statuses)
            and (not kinds or history.task.kind in kinds)
        ]
        return tuple(found[offset : offset + limit]), len(found)

    async def events(
        self,
        *,
        clusters: Sequence[ClusterId] | None = None,
        task: TaskId | None = None,
        kind: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Event, ...], int]:
        found = [
            event
            for event in self.told
            if (clusters is None or event.cluster in clusters)
            and (task is None or event.task == task)
            and (not kind or event.kind == kind)
        ]
        return tuple(found[offset : offset + limit]), len(found)

    async def catalog(self) -> tuple[CatalogItem, ...]:
        self._note("catalog")
        return tuple(self.items[name] for name in sorted(self.items))

    async def catalog_item(self, name: str) -> CatalogItem:
        item = self.items.get(self.aliases.get(name, name))
        if item is None:
            raise ComponentNotFound(name)
        return item

    async def chart(self, name: str, version: Version) -> ChartContents:
        self._note("chart", name, version)
        return ChartContents({"name": name}, {}, {"type": "object", "properties": {"replicas": {"type": "integer"}}})

    async def add_component_file(self, text: str) -> CatalogItem:
        self._note("add_component_file", text)
        return await self.catalog_item("coredns")

    async def chart_hosts(self) -> Mapping[str, ChartCredential]:
        return {"charts.test:8443": ChartCredential("robot", "hunter2")}

    async def log_in(self, host: str, credential: ChartCredential) -> str:
        self._note("log_in", host, credential)
        return host

    async def log_out(self, host: str) -> None:
        self._note("log_out", host)

    async def sync_catalog(self) -> tuple[CatalogItem, ...]:
        self._note("sync_catalog")
        return await self.catalog()


def a_lifecycle() -> FakeLifecycle:
    """One cluster with a component upgraded, one whose upgrade failed, one that is being upgraded, one not installed."""
    upgraded = a_change("coredns", from_version="1.39.0", to_version="1.40.0", percent=100)
    failed = a_change("metrics-server", status=Status.FAILED, trouble=TROUBLE, percent=60)
    running = a_change("ingress-nginx", status=Status.RUNNING, position=1, percent=40)
    lifecycle = FakeLifecycle()
    lifecycle.statuses[CLUSTER] = {
        "cert-manager": a_status("cert-manager", version=None, target="1.16.0"),
        "coredns": a_status("coredns", version="1.40.0", target=None, change=upgraded),
        "ingress-nginx": a_status(
            "ingress-nginx", version="4.11.0", target="4.12.0", change=running, findings=(a_blocker(),)
        ),
        "metrics-server": a_status("metrics-server", version="3.12.1", target="3.13.0", change=failed),
    }
    lifecycle.aliases["metric-server"] = "metrics-server"
    lifecycle.set[CLUSTER] = Profile(tags={"env": "test"})
    lifecycle.ran.append(a_check())
    for name, offers in {
        "coredns": (an_offer("coredns", "1.40.0"), an_offer("coredns", "1.39.0")),
        "metrics-server": (
            an_offer("metrics-server", "4.0.0", ">=1.40.0-0"),
            an_offer("metrics-server", "3.13.0"),
            an_offer("metrics-server", "3.12.1"),
        ),
    }.items():
        lifecycle.items[name] = CatalogItem(an_entry(name, category="core"), offers)
    steps = (
        StepRecord(ComponentName("coredns"), StepName.PREFLIGHT, NOW, NOW, ok=True, message="ready"),
        StepRecord(ComponentName("coredns"), StepName.ROLLOUT, NOW),
    )
    events = (
        Event(CLUSTER, TASK, ComponentName("coredns"), "upgrade", "Started", "Start to upgrade", NOW, id="e-1"),
        Event(CLUSTER, TASK, ComponentName("coredns"), "upgrade", "Succeeded", "Succeeded", NOW, id="e-2"),
    )
    lifecycle.histories[TASK] = TaskHistory(a_task(upgraded), steps, events)
    other = a_task(failed, task="T-5fd211e924e1d00787000294")
    lifecycle.histories[other.id] = TaskHistory(other, (), ())
    lifecycle.histories[LIVE_TASK] = TaskHistory(a_task(running, task=LIVE_TASK), (), ())
    lifecycle.told.extend(reversed(events))
    return lifecycle
