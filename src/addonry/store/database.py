"""The one implementation of ``Store``: SQLAlchemy Core on SQLite or PostgreSQL."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select
from sqlalchemy.exc import IntegrityError

from addonry.model.catalog import ChartCredential, ShelvedIndex
from addonry.model.clusters import Cluster
from addonry.model.components import Component
from addonry.model.errors import ClusterNameTaken, ClusterNotFound, ComponentBusy, TaskNotFound
from addonry.model.ids import ClusterId, ComponentName, TaskId
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import LIVE, Change, Event, Status, StepRecord, Task, Wish
from addonry.store import StoreSettings, codec, queries, tables
from addonry.store.accounts import Accounts
from addonry.store.audit import AuditLog
from addonry.store.connections import Database
from addonry.store.hosts import ChartHosts
from addonry.store.migrations import bring_up_to_date
from addonry.store.profiles import Profiles
from addonry.store.secrets import Cipher, SecretKeyWrong, given_key, key_in
from addonry.store.waivers import Waivers
from addonry.store.workers import WorkerRoll

_KEY_CHECK: Final = "key-check"
"""A sealed nothing, to tell a wrong key at the start instead of at the first secret."""


class SqlStore:
    """Everything Addonry remembers, in tables. See ``Store`` for the promises."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher
        self._generations: dict[ClusterId, tuple[int, int]] = {}
        self.accounts = Accounts(database, cipher)
        self.audit = AuditLog(database)
        self.profiles = Profiles(database)
        self.chart_hosts = ChartHosts(database, cipher)
        self.waivers = Waivers(database)

    @classmethod
    def open(cls, settings: StoreSettings) -> "SqlStore":
        """The store, its schema brought up to date.

        Raises StoreUnavailable, SchemaTooNew, SecretKeyWrong, InvalidParameter; then nothing was changed.
        """
        database = Database.at(settings.database_url)
        try:
            database.prepare()
            database.write_now(bring_up_to_date)
            return cls(database, _unlock(database, settings))
        except BaseException:
            database.close()
            raise

    # Clusters

    async def add_cluster(
        self, cluster: Cluster, kubeconfig: str, events: Sequence[Event] = (), *, record: Task | None = None
    ) -> None:
        """See ``Store``."""
        parameters = {
            **codec.cluster_parameters(cluster),
            "generation": 1,
            "surroundings": codec.to_json(Surroundings()),
            "kubeconfig_sealed": self._cipher.seal(kubeconfig.encode(), owner=f"kubeconfig/{cluster.id}"),
        }

        def work(connection: Connection) -> None:
            connection.execute(queries.ADD_CLUSTER, parameters)
            if record is not None:
                self._add_task(connection, record)
            _add_events(connection, events)

        try:
            await self._database.write(work)
        except IntegrityError as error:
            raise _name_taken(cluster.name) from error

    async def cluster(self, cluster: ClusterId) -> Cluster:
        """See ``Store``."""
        return codec.read_cluster(await self._one_of_cluster(queries.CLUSTER, cluster))

    async def clusters(self) -> tuple[Cluster, ...]:
        """See ``Store``."""
        rows = await self._all(queries.CLUSTERS)
        return tuple(codec.read_cluster(row) for row in rows)

    async def save_cluster(self, cluster: Cluster) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if _raise_generation(connection, cluster.id):
                _save_cluster(connection, cluster)

        await self._database.write(work)

    async def rename_cluster(self, cluster: ClusterId, name: str, at: datetime) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if not _raise_generation(connection, cluster):
                raise ClusterNotFound(cluster)
            connection.execute(queries.RENAME_CLUSTER, {"which": cluster, "new_name": name, "moment": at})

        try:
            await self._database.write(work)
        except IntegrityError as error:
            raise _name_taken(name) from error

    async def remove_cluster(
        self, cluster: ClusterId, events: Sequence[Event] = (), *, record: Task | None = None
    ) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if not _raise_generation(connection, cluster):
                raise ClusterNotFound(cluster)
            live = connection.execute(queries.LIVE_ON_CLUSTER, {"which": cluster}).first()
            if live is not None:
                raise ComponentBusy(live.component, live.id)
            connection.execute(queries.REMOVE_CLUSTER, {"which": cluster})
            if record is not None:
                self._add_task(connection, record)
            _add_events(connection, events)

        await self._database.write(work)

    async def kubeconfig(self, cluster: ClusterId) -> str:
        """See ``Store``."""
        row = await self._one_of_cluster(queries.KUBECONFIG, cluster)
        return self._cipher.open(row.kubeconfig_sealed, owner=f"kubeconfig/{cluster}").decode()

    async def save_inventory(
        self, cluster: Cluster, components: Sequence[Component], surroundings: Surroundings
    ) -> None:
        """See ``Store``."""
        rows = [codec.component_parameters(cluster.id, each, self._cipher) for each in components]
        told = codec.to_json(surroundings)

        def work(connection: Connection) -> None:
            if not _raise_generation(connection, cluster.id):
                return
            _save_cluster(connection, cluster)
            connection.execute(queries.SAVE_SURROUNDINGS, {"which": cluster.id, "surroundings": told})
            later = {"which": cluster.id, "scan": cluster.scanned_at}
            kept: set[str] = set()
            if cluster.scanned_at:
                for statement in (queries.SEEN_LATER, queries.GOING):
                    kept |= set(connection.execute(statement, later).scalars())
            connection.execute(queries.DROP_COMPONENTS, {"which": cluster.id, "kept": sorted(kept)})
            new = [row for row in rows if row["name"] not in kept]
            if new:
                connection.execute(queries.ADD_COMPONENT, new)

        await self._database.write(work)

    async def save_component(self, cluster: ClusterId, component: Component) -> None:
        """See ``Store``."""
        row = codec.component_parameters(cluster, component, self._cipher)

        def work(connection: Connection) -> None:
            if _raise_generation(connection, cluster):
                connection.execute(queries.DROP_COMPONENT, {"which": cluster, "component": component.name})
                connection.execute(queries.ADD_COMPONENT, row)

        await self._database.write(work)

    async def drop_component(self, cluster: ClusterId, name: ComponentName) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if _raise_generation(connection, cluster):
                connection.execute(queries.DROP_COMPONENT, {"which": cluster, "component": name})

        await self._database.write(work)

    async def components(self, cluster: ClusterId) -> tuple[Component, ...]:
        """See ``Store``."""
        rows = await self._all(queries.COMPONENTS, {"which": cluster})
        return tuple(codec.read_component(row, self._cipher) for row in rows)

    async def surroundings(self, cluster: ClusterId) -> Surroundings:
        """See ``Store``."""
        rows = await self._all(queries.SURROUNDINGS, {"which": cluster})
        return codec.read_surroundings(rows[0].surroundings) if rows else Surroundings()

    async def generation(self, cluster: ClusterId) -> int:
        """See ``Store``."""
        # Asked with every status read. One process has a SQLite file to itself, so between two of its own writes
        # nothing changes there.
        writes = self._database.writes
        kept = self._generations.get(cluster)
        if kept is not None and kept[0] == writes and self._database.is_sqlite:
            return kept[1]
        number: int = (await self._one_of_cluster(queries.GENERATION, cluster)).generation
        self._generations[cluster] = (writes, number)
        return number

    # Tasks

    async def submit(self, task: Task, events: Sequence[Event], enqueue: Callable[[Connection], None]) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if not _raise_generation(connection, task.cluster):
                raise ClusterNotFound(task.cluster)
            _refuse_busy(connection, task)
            self._add_task(connection, task)
            _add_events(connection, events)
            enqueue(connection)

        await self._database.write(work)

    async def record(self, task: Task, events: Sequence[Event]) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            if not _raise_generation(connection, task.cluster):
                raise ClusterNotFound(task.cluster)
            self._add_task(connection, task)
            _add_events(connection, events)

        await self._database.write(work)

    async def task(self, task: TaskId) -> Task:
        """See ``Store``."""
        found = await self._database.read(lambda connection: self._tasks(connection, queries.TASK, {"which": task}))
        if not found:
            raise TaskNotFound(task)
        return next(iter(found.values()))

    async def claim(self, task: TaskId, *, run: int, claim: str) -> Task | None:
        """See ``engine.TaskLog``."""

        def work(connection: Connection) -> Task | None:
            won = connection.execute(queries.CLAIM, {"which": task, "of_run": run, "new_claim": claim})
            if not won.rowcount:
                return None
            return next(iter(self._tasks(connection, queries.TASK, {"which": task}).values()))

        return await self._database.write(work)

    async def claimed(self, task: TaskId, *, claim: str) -> Task | None:
        """See ``engine.TaskLog``."""
        which = {"which": task, "of_claim": claim}
        found = await self._database.read(lambda connection: self._tasks(connection, queries.CLAIMED_TASK, which))
        return next(iter(found.values()), None)

    async def release(self, task: TaskId, *, claim: str) -> None:
        """See ``engine.TaskLog``."""
        await self._database.write(
            lambda connection: connection.execute(queries.RELEASE, {"which": task, "of_claim": claim})
        )

    async def save(
        self, task: Task, *, claim: str, events: Sequence[Event] = (), steps: Sequence[StepRecord] = ()
    ) -> Task | None:
        """See ``engine.TaskLog``."""

        def work(connection: Connection) -> Task | None:
            which = {"which": task.id, "of_claim": claim, "read": task.revision}
            if not connection.execute(queries.SAVE_TASK, {**which, **codec.task_parameters(task)}).rowcount:
                return None
            _save_changes(connection, task)
            for step in steps:
                _save_step(connection, task.id, step)
            _add_events(connection, events)
            _raise_generation(connection, task.cluster)
            return replace(task, revision=task.revision + 1)

        return await self._database.write(work)

    async def move(
        self, task: Task, events: Sequence[Event], enqueue: Callable[[Connection], None] | None = None
    ) -> bool:
        """See ``Store``."""

        def work(connection: Connection) -> bool:
            which = {"which": task.id, "read": task.revision, "new_run": task.run}
            if not connection.execute(queries.MOVE_TASK, {**which, **codec.task_parameters(task)}).rowcount:
                return False
            _save_changes(connection, task)
            _add_events(connection, events)
            _raise_generation(connection, task.cluster)
            if enqueue is not None:
                enqueue(connection)
            return True

        return await self._database.write(work)

    async def wishes(self, tasks: Sequence[TaskId]) -> Mapping[TaskId, Wish]:
        """See ``engine.TaskLog``."""
        if not tasks:
            return {}
        rows = await self._all(queries.WISHES, {"tasks": list(tasks)})
        return {TaskId(row.id): Wish(row.wish) for row in rows}

    async def step_seconds(self, component: ComponentName) -> Mapping[str, float]:
        """See ``Store``."""
        times: defaultdict[str, list[float]] = defaultdict(list)
        for row in await self._all(queries.STEP_TIMES, {"of_component": component}):
            times[row.step].append((row.finished_at - row.started_at).total_seconds())
        return {step: median(seconds) for step, seconds in times.items()}

    async def unfinished(self) -> Sequence[tuple[TaskId, int, str]]:
        """See ``engine.TaskLog``."""
        return [(TaskId(row.id), row.run, row.cluster) for row in await self._all(queries.UNFINISHED)]

    async def requeue(
        self, runs: Sequence[tuple[TaskId, int, str]], *, enqueue: Callable[[Connection, TaskId, int, str], None]
    ) -> int:
        """See ``engine.TaskLog``."""

        def work(connection: Connection) -> int:
            count = 0
            for task, run, cluster in runs:
                if connection.execute(queries.REQUEUE, {"which": task, "of_run": run}).rowcount:
                    enqueue(connection, task, run + 1, cluster)
                    count += 1
            return count

        return await self._database.write(work)

    async def tasks(
        self,
        cluster: ClusterId | None = None,
        *,
        statuses: Sequence[Status] = (),
        kinds: Sequence[str] = (),
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Task, ...], int]:
        """See ``Store``."""
        column = tables.task.c
        wanted = [column.cluster == cluster] if cluster is not None else []
        wanted += [column.status.in_(statuses)] if statuses else []
        wanted += [column.kind.in_(kinds)] if kinds else []

        def work(connection: Connection) -> tuple[tuple[Task, ...], int]:
            count = connection.execute(queries.COUNT_TASKS.where(*wanted)).scalar_one()
            page = queries.TASKS.where(*wanted).offset(offset).limit(limit)
            return tuple(self._tasks(connection, page, {}).values()), count

        return await self._database.read(work)

    async def last_changes(self, cluster: ClusterId) -> Mapping[ComponentName, tuple[Task, Change]]:
        """See ``Store``."""

        def work(connection: Connection) -> dict[ComponentName, tuple[Task, Change]]:
            last = connection.execute(queries.LAST_CHANGES, {"which": cluster}).all()
            tasks = self._tasks(connection, queries.TASKS_BY_NUMBER, {"tasks": sorted({row.task for row in last})})
            return {
                change.component: (tasks[row.task], change)
                for row in last
                for change in tasks[row.task].changes
                if change.component == row.component
            }

        return await self._database.read(work)

    async def steps(self, task: TaskId) -> tuple[StepRecord, ...]:
        """See ``Store``."""
        return tuple(codec.read_step(row) for row in await self._all(queries.STEPS, {"which": task}))

    async def events(
        self,
        *,
        clusters: Sequence[ClusterId] | None = None,
        task: TaskId | None = None,
        kind: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[Event, ...], int]:
        """See ``Store``."""
        column = tables.event.c
        wanted: list[ColumnElement[bool]] = [column.cluster.in_(clusters)] if clusters is not None else []
        wanted += [column.task == task] if task is not None else []
        wanted += [column.kind == kind] if kind else []

        def work(connection: Connection) -> tuple[tuple[Event, ...], int]:
            count = connection.execute(queries.COUNT_EVENTS.where(*wanted)).scalar_one()
            rows = connection.execute(queries.EVENTS.where(*wanted).offset(offset).limit(limit)).all()
            return tuple(codec.read_event(row) for row in rows), count

        return await self._database.read(work)

    async def add_events(self, events: Sequence[Event]) -> None:
        """See ``Store``."""

        def work(connection: Connection) -> None:
            _add_events(connection, events)
            for cluster in sorted({event.cluster for event in events}):
                _raise_generation(connection, cluster)

        await self._database.write(work)

    # Chart repositories

    async def shelved_index(self, repository: str) -> ShelvedIndex | None:
        """See ``Store``."""
        rows = await self._all(queries.CHART_INDEX, {"which": repository})
        return codec.read_index(rows[0]) if rows else None

    async def shelve_index(self, index: ShelvedIndex) -> None:
        """See ``Store``."""
        row = {
            "repository": index.repository,
            "body": index.body,
            "etag": index.etag,
            "last_modified": index.last_modified,
            "fetched_at": index.fetched_at,
        }

        def work(connection: Connection) -> None:
            connection.execute(queries.DROP_CHART_INDEX, {"which": index.repository})
            connection.execute(queries.ADD_CHART_INDEX, row)

        await self._database.write(work)

    async def chart_credentials(self) -> Mapping[str, ChartCredential]:
        """See ``Store``."""
        return await self.chart_hosts.all()

    @property
    def roll(self) -> WorkerRoll | None:
        """See ``Store``."""
        return None if self._database.is_sqlite else WorkerRoll(self._database)

    async def close(self) -> None:
        """See ``Store``."""
        self._database.close()

    # Within

    async def _all(self, query: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        return await self._database.read(lambda connection: connection.execute(query, dict(parameters or {})).all())

    async def _one_of_cluster(self, query: Select[Any], cluster: ClusterId) -> Row[Any]:
        rows = await self._all(query, {"which": cluster})
        if not rows:
            raise ClusterNotFound(cluster)
        return rows[0]

    def _add_task(self, connection: Connection, task: Task) -> None:
        result = connection.execute(queries.ADD_TASK, codec.new_task_parameters(task))
        assert result.inserted_primary_key is not None, "an insert of one row gives its key"
        number = result.inserted_primary_key[0]
        rows = [
            codec.new_change_parameters(task, place, number=number, cipher=self._cipher)
            for place in range(len(task.changes))
        ]
        if rows:
            connection.execute(queries.ADD_CHANGE, rows)

    def _tasks(self, connection: Connection, query: Select[Any], parameters: Mapping[str, Any]) -> dict[int, Task]:
        """The tasks a query finds, in its order, by their number."""
        rows = connection.execute(query, dict(parameters)).all()
        changes: defaultdict[int, list[Row[Any]]] = defaultdict(list)
        if rows:
            for change in connection.execute(queries.CHANGES, {"tasks": [row.number for row in rows]}):
                changes[change.task].append(change)
        return {row.number: codec.read_task(row, changes[row.number], self._cipher) for row in rows}


def _unlock(database: Database, settings: StoreSettings) -> Cipher:
    check = database.read_now(lambda connection: connection.execute(queries.META, {"which": _KEY_CHECK}).scalar())
    if settings.secret_key is not None:
        cipher, setting = given_key(settings.secret_key), "ADDONRY_SECRET_KEY"
    elif settings.secret_key_file is not None:
        cipher, setting = key_in(settings.secret_key_file, may_make=check is None), str(settings.secret_key_file)
    else:
        raise SecretKeyWrong("No key to encrypt secrets with.", remedy="Give one in ADDONRY_SECRET_KEY.")
    if check is None:
        try:
            row = {"name": _KEY_CHECK, "sealed": cipher.seal(b"", owner=_KEY_CHECK)}
            database.write_now(lambda connection: connection.execute(queries.ADD_META, row))
        except IntegrityError:
            # Another process was first; it must have done so with the same key.
            return _unlock(database, settings)
    else:
        try:
            cipher.open(check, owner=_KEY_CHECK)
        except SecretKeyWrong as error:
            raise SecretKeyWrong(
                f"{setting} is not the key that the stored secrets were sealed with. Nothing was changed.",
                remedy="Start with the key that was used before; without it, register the clusters again in a new directory.",
            ) from error
    return cipher


def _raise_generation(connection: Connection, cluster: str) -> bool:
    """Every write about a cluster passes here. False when there is no such cluster."""
    return bool(connection.execute(queries.RAISE_GENERATION, {"which": cluster}).rowcount)


def _save_cluster(connection: Connection, cluster: Cluster) -> None:
    parameters = codec.cluster_parameters(cluster)
    for fixed in ("id", "name", "region", "created_at"):
        del parameters[fixed]
    connection.execute(queries.SAVE_CLUSTER, {"which": cluster.id, **parameters})


def _refuse_busy(connection: Connection, task: Task) -> None:
    # The row of the cluster is locked by now, so nobody comes in between; the unique index stands behind this.
    live = {row.component: row.id for row in connection.execute(queries.LIVE_ON_CLUSTER, {"which": task.cluster})}
    for change in task.changes:
        if change.component in live:
            raise ComponentBusy(change.component, live[change.component])


def _save_changes(connection: Connection, task: Task) -> None:
    """A move touches the present change and the one that just ended; the end of a task all that wait."""
    for place, change in enumerate(task.changes):
        if place in {task.current - 1, task.current} or (place > task.current and task.status not in LIVE):
            row = {"which": task.id, "at_place": place, **codec.change_parameters(change)}
            connection.execute(queries.SAVE_CHANGE, row)


def _save_step(connection: Connection, task: str, step: StepRecord) -> None:
    ended = {"finished_at": step.finished_at, "ok": step.ok, "message": step.message}
    which = {"which": task, "of_component": step.component, "of_step": step.step}
    # An open record keeps the moment its step began first, across crashes.
    if not connection.execute(queries.SAVE_STEP, {**which, **ended}).rowcount:
        new = {"component": step.component, "step": step.step, "started_at": step.started_at}
        connection.execute(queries.ADD_STEP, {"which": task, **new, **ended})


def _add_events(connection: Connection, events: Sequence[Event]) -> None:
    rows = [codec.event_parameters(event, id=event.id or f"e-{uuid.uuid4()}") for event in events]
    if rows:
        connection.execute(queries.ADD_EVENT, rows)


def _name_taken(name: str) -> ClusterNameTaken:
    return ClusterNameTaken(f"There is a cluster named {name!r} already.")
