"""The contract of the store's door, on a real SQLite file and a real PostgreSQL."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import insert, literal, select, text
from sqlalchemy.exc import IntegrityError

from addonry.model.catalog import ChartCredential, ShelvedIndex
from addonry.model.checks import CheckItem, CheckOutcome, ClusterCheck
from addonry.model.clusters import Profile, Reach
from addonry.model.components import Driver
from addonry.model.errors import (
    ClusterNameTaken,
    ClusterNotFound,
    ComponentBusy,
    NotNow,
    NotThere,
    StoreUnavailable,
    TaskNotFound,
)
from addonry.model.ids import ClusterId, ComponentName, TaskId
from addonry.model.keys import AccessKey
from addonry.model.owners import Claim, Conflict, Owner, OwnerRef, Turnover, Upkeep, Watch
from addonry.model.readiness import Blocker
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import (
    Done,
    Event,
    EventLevel,
    Snapshot,
    Status,
    StepName,
    StepRecord,
    Task,
    TaskKind,
    Trouble,
    Wish,
)
from addonry.rules.planning import FORWARD
from addonry.rules.task_moves import after_step, begin, cancel, pause, resume
from addonry.store import Store, StoreSettings, open_store, tables
from addonry.store.profiles import CHECKS_KEPT
from tests.builders import NOW, a_change, a_cluster, a_component, a_task

KUBECONFIG = "apiVersion: v1\nusers: [{name: admin, user: {token: very-secret-token}}]\n"


def nothing(*_: object) -> None:
    """Enqueues nowhere."""


def settings_in(directory: Path) -> StoreSettings:
    return StoreSettings(f"sqlite:///{directory / 'addonry.sqlite'}", directory / "secret.key")


def everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.glob("addonry.sqlite*"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        return settings_in(tmp_path).database_url
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(replace(settings_in(tmp_path), database_url=database_url))
    yield opened
    await opened.close()


@pytest.fixture
async def registered(store: Store) -> Store:
    await store.add_cluster(a_cluster(), KUBECONFIG)
    return store


def an_event(**given: object) -> Event:
    defaults = {
        "cluster": a_cluster().id,
        "task": None,
        "component": None,
        "kind": "upgrade",
        "reason": "Started",
        "message": "Start to upgrade",
        "at": NOW,
    }
    return Event(**{**defaults, **given})  # type: ignore[arg-type]


class TestClusters:
    async def test_a_cluster_comes_back_as_it_was_added(self, registered: Store) -> None:
        assert await registered.cluster(a_cluster().id) == a_cluster()
        assert await registered.kubeconfig(a_cluster().id) == KUBECONFIG

    async def test_clusters_are_listed_by_name(self, registered: Store) -> None:
        await registered.add_cluster(a_cluster(id=ClusterId("c2"), name="alpha"), KUBECONFIG)
        assert [each.name for each in await registered.clusters()] == ["alpha", "prod"]

    async def test_a_name_is_given_once(self, registered: Store) -> None:
        with pytest.raises(ClusterNameTaken, match="prod"):
            await registered.add_cluster(a_cluster(id=ClusterId("c2")), KUBECONFIG)

    async def test_an_unknown_cluster_is_not_found(self, store: Store) -> None:
        for ask in (store.cluster, store.kubeconfig, store.generation, store.remove_cluster):
            with pytest.raises(ClusterNotFound):
                await ask(ClusterId("c9"))

    async def test_what_is_learnt_of_a_cluster_is_kept(self, registered: Store) -> None:
        seen = a_cluster(reach=Reach.UNREACHABLE, trouble="no route", nodes=7, updated_at=NOW + timedelta(seconds=5))
        await registered.save_cluster(seen)
        assert await registered.cluster(seen.id) == seen

    async def test_a_removed_cluster_stays_removed(self, registered: Store) -> None:
        await registered.save_inventory(a_cluster(), [a_component()], Surroundings())
        await registered.remove_cluster(a_cluster().id)
        await registered.save_cluster(a_cluster())
        await registered.save_inventory(a_cluster(), [a_component()], Surroundings())
        await registered.save_component(a_cluster().id, a_component())
        assert await registered.clusters() == ()
        assert await registered.components(a_cluster().id) == ()

    async def test_tasks_and_events_outlive_their_cluster(self, registered: Store) -> None:
        ended = a_task(status=Status.SUCCESS, finished_at=NOW)
        ended = replace(ended, changes=(replace(ended.change, status=Status.SUCCESS),))
        await registered.submit(ended, [an_event(task=ended.id)], nothing)
        await registered.remove_cluster(a_cluster().id, [an_event(reason="Forgotten")])
        assert (await registered.task(ended.id)).status is Status.SUCCESS
        assert [event.reason for event in (await registered.events())[0]] == ["Forgotten", "Started"]

    async def test_a_cluster_with_a_live_task_is_not_forgotten(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        with pytest.raises(ComponentBusy, match=a_task().id):
            await registered.remove_cluster(a_cluster().id)
        assert await registered.kubeconfig(a_cluster().id) == KUBECONFIG


class TestComponents:
    async def test_a_component_comes_back_with_its_values(self, registered: Store) -> None:
        component = a_component(values={"image": {"tag": "1"}, "replicas": 2, "big": 10**30})
        await registered.save_inventory(a_cluster(), [component], Surroundings())
        assert await registered.components(a_cluster().id) == (component,)

    async def test_values_that_json_lacks_do_not_break_anything(self, registered: Store) -> None:
        values = {"cpu": Decimal("0.10"), "nan": float("nan"), True: "yes", 2: "two", None: "nobody", "at": NOW}
        await registered.save_component(a_cluster().id, a_component(values=values))
        (component,) = await registered.components(a_cluster().id)
        assert component.found.values == {
            "cpu": "0.10",
            "nan": None,
            "true": "yes",
            "2": "two",
            "null": "nobody",
            "at": "2026-11-23T08:00:00Z",
        }

    async def test_whose_a_component_is_comes_back_whole(self, registered: Store) -> None:
        flux = OwnerRef(Owner.FLUX, "Kustomization", "flux-system", "apps", Upkeep.PAUSED, "suspended")
        helm = OwnerRef(Owner.HELM, "Release", "kube-system", "coredns", Upkeep.NONE)
        component = a_component(
            owner=Owner.FLUX,
            owner_ref=flux,
            conflicts=(Conflict("Deployment kube-system/coredns", (Claim(flux, "label"), Claim(helm, "annotation"))),),
            turnovers=(Turnover("revisions", 9_792, NOW),),
            driver=Driver.CONFIG_MAPS,
            no_version="no tag",
            changes={"release coredns": 9_792},
            watch=Watch(NOW, {"release coredns": 9_000}, {"release coredns": 9_792}, before=12),
        )
        await registered.save_component(a_cluster().id, component)
        assert await registered.components(a_cluster().id) == (component,)

    async def test_a_scan_replaces_what_was_known(self, registered: Store) -> None:
        old = [a_component(name="coredns"), a_component(name="gone")]
        await registered.save_inventory(a_cluster(), old, Surroundings())
        told = Surroundings(
            served=frozenset({"apps/v1", "v1"}),
            denied=("secrets",),
            values_errors={"coredns": {"1.1.0": ("replicas must be of type integer",)}},
        )
        later = a_cluster(scanned_at=NOW + timedelta(minutes=1))
        new = [replace(a_component("1.1.0"), observed_at=later.scanned_at)]
        await registered.save_inventory(later, new, told)
        assert await registered.components(later.id) == tuple(new)
        assert await registered.surroundings(later.id) == told
        assert (await registered.cluster(later.id)).scanned_at == later.scanned_at

    async def test_a_scan_that_began_before_a_task_looked_does_not_undo_its_look(self, registered: Store) -> None:
        """The scan takes seconds; without this, a finished upgrade would show its old version until the next one."""
        looked = replace(a_component("1.1.0"), observed_at=NOW + timedelta(seconds=1))
        added = replace(a_component("3.0.0", name="new"), observed_at=NOW + timedelta(seconds=1))
        await registered.save_component(a_cluster().id, looked)
        await registered.save_component(a_cluster().id, added)
        await registered.save_inventory(a_cluster(scanned_at=NOW), [a_component("1.0.0")], Surroundings())
        assert await registered.components(a_cluster().id) == (looked, added)

    async def test_a_scan_that_began_before_an_uninstall_ended_does_not_bring_it_back(self, registered: Store) -> None:
        """What the scan saw is gone since; without this, it would be listed until the next one."""
        going = a_task(a_change(kind=TaskKind.UNINSTALL), kind=TaskKind.UNINSTALL)
        await registered.submit(going, [], nothing)
        await registered.save_inventory(a_cluster(scanned_at=NOW), [a_component()], Surroundings())
        assert await registered.components(a_cluster().id) == ()
        mine = await registered.claim(going.id, run=1, claim="a")
        assert mine
        ended = replace(mine.change, status=Status.SUCCESS, finished_at=NOW + timedelta(seconds=5))
        assert await registered.save(replace(mine, changes=(ended,), status=Status.SUCCESS), claim="a")
        for seconds, seen in ((4, ()), (6, (a_component(),))):
            scan = a_cluster(scanned_at=NOW + timedelta(seconds=seconds))
            await registered.save_inventory(scan, [a_component()], Surroundings())
            assert await registered.components(a_cluster().id) == seen, "installed again since, it is there again"

    async def test_a_component_that_went_away_is_dropped(self, registered: Store) -> None:
        await registered.save_component(a_cluster().id, a_component())
        await registered.drop_component(a_cluster().id, a_component().name)
        await registered.drop_component(a_cluster().id, a_component().name)
        assert await registered.components(a_cluster().id) == ()

    async def test_every_write_about_a_cluster_raises_its_generation(self, registered: Store) -> None:
        """The status of a cluster is kept encoded until this number changes; one forgotten write would freeze it."""
        of = a_cluster().id
        task = a_task()

        async def submit() -> None:
            await registered.submit(task, [], nothing)

        async def save() -> None:
            claimed = await registered.claim(task.id, run=1, claim="a")
            assert claimed
            assert await registered.save(begin(claimed, now=NOW), claim="a")

        writes = [
            lambda: registered.save_cluster(a_cluster()),
            lambda: registered.save_inventory(a_cluster(), [a_component()], Surroundings()),
            lambda: registered.save_component(of, a_component()),
            lambda: registered.drop_component(of, a_component().name),
            lambda: registered.add_events([an_event()]),
            submit,
            save,
        ]
        for write in writes:
            before = await registered.generation(of)
            await write()
            assert await registered.generation(of) > before


class TestTasks:
    async def test_a_task_comes_back_as_it_was_submitted(self, registered: Store) -> None:
        change = a_change(
            values={"token": "s3cret"},
            snapshot=Snapshot(3, {"c": "img:1"}),
            trouble=Trouble("X", "it broke", "mend it"),
        )
        task = a_task(change, a_change("metrics-server"), requested_by="key-1")
        await registered.submit(task, [], nothing)
        assert await registered.task(task.id) == task

    async def test_an_unknown_task_is_not_found(self, store: Store) -> None:
        with pytest.raises(TaskNotFound):
            await store.task(TaskId("T-0"))
        assert await store.claim(TaskId("T-0"), run=1, claim="a") is None
        assert await store.steps(TaskId("T-0")) == ()

    async def test_a_component_has_one_live_task(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        called = []
        second = a_task(a_change("metrics-server"), a_change(), id=TaskId("T-2"))
        with pytest.raises(ComponentBusy) as raised:
            await registered.submit(second, [an_event()], called.append)
        assert (raised.value.component, raised.value.task) == ("coredns", a_task().id)
        assert called == []
        assert (await registered.events())[1] == 0
        with pytest.raises(TaskNotFound):
            await registered.task(second.id)

    async def test_of_many_submits_at_once_one_wins(self, registered: Store) -> None:
        tasks = [a_task(id=TaskId(f"T-{number}")) for number in range(8)]
        told = await asyncio.gather(*(registered.submit(task, [], nothing) for task in tasks), return_exceptions=True)
        assert sum(each is None for each in told) == 1
        assert sum(isinstance(each, ComponentBusy) for each in told) == 7

    async def test_the_unique_index_stands_behind_the_check(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        columns = [column.name for column in tables.change.c if column.name != "place"]
        again = select(literal(1), *(tables.change.c[name] for name in columns))
        doubled = insert(tables.change).from_select(["place", *columns], again)
        with pytest.raises(IntegrityError):
            registered._database.write_now(lambda connection: connection.execute(doubled))  # type: ignore[attr-defined]

    async def test_a_failed_enqueue_takes_the_task_back(self, registered: Store) -> None:
        def fail(_connection: object) -> None:
            raise RuntimeError("no queue")

        with pytest.raises(RuntimeError, match="no queue"):
            await registered.submit(a_task(), [an_event()], fail)
        assert (await registered.tasks())[1] == 0
        assert (await registered.events())[1] == 0
        await registered.submit(a_task(), [], nothing)

    async def test_the_enqueue_writes_in_the_same_transaction(self, registered: Store) -> None:
        await registered.submit(
            a_task(), [], lambda connection: connection.execute(text("CREATE TABLE queued (id TEXT)")) and None
        )
        assert (await registered.tasks())[1] == 1

    async def test_no_task_is_made_for_a_cluster_that_was_removed_meanwhile(self, store: Store) -> None:
        with pytest.raises(ClusterNotFound):
            await store.submit(a_task(), [], nothing)

    async def test_the_records_of_a_clusters_coming_and_going_are_written_with_it(self, store: Store) -> None:
        ended = {"changes": (), "status": Status.SUCCESS, "finished_at": NOW}
        came = replace(a_task(id=TaskId("T-came")), kind=TaskKind.REGISTER, **ended)
        went = replace(a_task(id=TaskId("T-went")), kind=TaskKind.REMOVE, **ended)
        await store.add_cluster(a_cluster(), "kubeconfig", record=came)
        with pytest.raises(ClusterNameTaken):
            await store.add_cluster(a_cluster(id=ClusterId("c2")), "kubeconfig", record=replace(came, id=TaskId("T-2")))
        await store.remove_cluster(a_cluster().id, record=went)
        with pytest.raises(ClusterNotFound):
            await store.remove_cluster(a_cluster().id, record=replace(went, id=TaskId("T-3")))
        tasks, count = await store.tasks()
        assert (tasks, count) == ((went, came), 2)

    async def test_a_claim_is_for_one_run_of_a_live_task(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        assert await registered.claim(a_task().id, run=2, claim="a") is None
        claimed = await registered.claim(a_task().id, run=1, claim="a")
        assert claimed
        ended = replace(begin(claimed, now=NOW), status=Status.FAILED)
        ended = replace(ended, changes=(replace(ended.change, status=Status.FAILED),))
        assert await registered.save(ended, claim="a")
        assert await registered.claim(a_task().id, run=1, claim="a") is None

    async def test_a_crash_is_counted_when_another_claims_a_running_task(self, registered: Store) -> None:
        task = a_task()
        await registered.submit(task, [], nothing)
        first = await registered.claim(task.id, run=1, claim="a")
        assert first
        assert first.crashes == 0
        assert await registered.save(begin(first, now=NOW), claim="a")
        again = await registered.claim(task.id, run=1, claim="a")
        assert again
        assert again.crashes == 0
        second = await registered.claim(task.id, run=1, claim="b")
        assert second
        assert second.crashes == 1
        await registered.release(task.id, claim="b")
        third = await registered.claim(task.id, run=1, claim="c")
        assert third
        assert third.crashes == 1

    async def test_a_save_needs_the_claim_and_the_revision_it_read(self, registered: Store) -> None:
        task = a_task()
        await registered.submit(task, [], nothing)
        mine = await registered.claim(task.id, run=1, claim="a")
        assert mine
        saved = await registered.save(begin(mine, now=NOW), claim="a", events=[an_event()])
        assert saved
        assert await registered.save(mine, claim="a", events=[an_event()]) is None
        assert await registered.claimed(task.id, claim="a") == saved
        await registered.claim(task.id, run=1, claim="b")
        assert await registered.claimed(task.id, claim="a") is None
        assert await registered.save(saved, claim="a", events=[an_event()]) is None
        assert (await registered.events())[1] == 1
        assert (await registered.task(task.id)).status is Status.RUNNING

    async def test_a_save_writes_every_change_that_moved(self, registered: Store) -> None:
        task = a_task(a_change("a"), a_change("b"), a_change("c"))
        await registered.submit(task, [], nothing)
        mine = await registered.claim(task.id, run=1, claim="x")
        assert mine
        first, second, third = mine.changes
        second_begun = replace(
            mine,
            status=Status.RUNNING,
            current=1,
            changes=(replace(first, status=Status.SUCCESS), replace(second, status=Status.RUNNING), third),
        )
        saved = await registered.save(second_begun, claim="x")
        assert saved == await registered.task(task.id)
        assert saved
        failed = [replace(each, status=Status.FAILED, finished_at=NOW) for each in saved.changes[1:]]
        ended = replace(saved, status=Status.FAILED, changes=(saved.changes[0], *failed), finished_at=NOW)
        assert await registered.save(ended, claim="x") == await registered.task(task.id)

    async def test_an_ended_change_frees_its_component_for_another_task(self, registered: Store) -> None:
        task = a_task(a_change("a"), a_change("b"))
        await registered.submit(task, [], nothing)
        mine = await registered.claim(task.id, run=1, claim="x")
        assert mine
        first, second = mine.changes
        moved = (replace(first, status=Status.SUCCESS), replace(second, status=Status.RUNNING))
        assert await registered.save(replace(mine, status=Status.RUNNING, current=1, changes=moved), claim="x")
        await registered.submit(a_task(a_change("a"), id=TaskId("T-2")), [], nothing)

    async def test_a_step_is_recorded_once_however_often_it_runs(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        mine = await registered.claim(a_task().id, run=1, claim="a")
        assert mine
        opened = StepRecord(mine.change.component, StepName.FETCH, NOW)
        again = replace(opened, started_at=NOW + timedelta(seconds=9))
        ended = replace(again, finished_at=NOW + timedelta(seconds=10), ok=True, message="fetched")
        following = StepRecord(mine.change.component, StepName.RENDER, NOW + timedelta(seconds=10))
        for steps in ([opened], [again], [ended, following]):
            saved = await registered.save(mine, claim="a", steps=steps)
            assert saved
            mine = saved
        assert await registered.steps(a_task().id) == (replace(ended, started_at=NOW), following)

    async def test_requeue_hands_out_a_live_task_once(self, registered: Store) -> None:
        await registered.submit(a_task(), [], nothing)
        runs = []
        assert await registered.unfinished() == [(a_task().id, 1, a_task().cluster)]
        known = [(a_task().id, 1, a_task().cluster), (TaskId("T-never"), 1, a_task().cluster)]
        assert await registered.requeue(known, enqueue=lambda _connection, *run: runs.append(run)) == 1
        assert await registered.requeue(known, enqueue=lambda _connection, *run: runs.append(run)) == 0
        assert runs == [(a_task().id, 2, a_task().cluster)]
        assert await registered.unfinished() == [(a_task().id, 2, a_task().cluster)]
        assert await registered.claim(a_task().id, run=1, claim="old") is None

    async def test_tasks_are_listed_newest_first_in_pages(self, registered: Store) -> None:
        for number in range(5):
            kind = TaskKind.INSTALL if number == 3 else TaskKind.UPGRADE
            task = a_task(a_change(f"c{number}"), id=TaskId(f"T-{number}"), kind=kind)
            await registered.submit(task, [], nothing)
        page, count = await registered.tasks(a_cluster().id, offset=1, limit=2)
        assert ([task.id for task in page], count) == (["T-3", "T-2"], 5)
        assert [task.id for task in (await registered.tasks(kinds=["install"]))[0]] == ["T-3"]
        assert (await registered.tasks(statuses=[Status.FAILED]))[1] == 0
        assert (await registered.tasks(ClusterId("c9")))[1] == 0

    async def test_the_last_change_of_each_component_is_that_of_its_newest_task(self, registered: Store) -> None:
        first = a_task(
            a_change("a", status=Status.SUCCESS), a_change("b", status=Status.SUCCESS), status=Status.SUCCESS
        )
        await registered.submit(first, [], nothing)
        second = a_task(a_change("b"), id=TaskId("T-2"))
        await registered.submit(second, [], nothing)
        last = await registered.last_changes(a_cluster().id)
        assert {name: task.id for name, (task, _) in last.items()} == {"a": first.id, "b": second.id}
        assert last["b"][1] == second.change  # type: ignore[index]
        assert await registered.last_changes(ClusterId("c9")) == {}


class TestEvents:
    async def test_events_come_newest_first_with_an_id_of_their_own(self, registered: Store) -> None:
        await registered.add_events([an_event(reason="A"), an_event(reason="B", level=EventLevel.ERROR)])
        events, count = await registered.events()
        assert [event.reason for event in events] == ["B", "A"]
        assert count == 2
        assert all(event.id.startswith("e-") and len(event.id) == 38 for event in events)
        assert events[0] == an_event(reason="B", level=EventLevel.ERROR, id=events[0].id)

    async def test_events_are_chosen_by_cluster_task_and_kind(self, registered: Store) -> None:
        await registered.add_events(
            [an_event(), an_event(task=TaskId("T-1")), an_event(cluster=ClusterId("c2"), kind="cluster")]
        )
        assert (await registered.events(task=TaskId("T-1")))[1] == 1
        assert (await registered.events(clusters=[ClusterId("c2")]))[1] == 1
        assert (await registered.events(kind="upgrade"))[1] == 2
        assert (await registered.events(limit=1, offset=5))[0] == ()


class TestKeys:
    async def test_a_keys_secret_leaves_only_as_a_credential(self, store: Store) -> None:
        key = AccessKey("AK1", "root", NOW, is_root=True)
        await store.accounts.add_key(key, "hush")
        await store.accounts.add_key(replace(key, id="AK2", is_root=False, enabled=False), "hush2")
        assert await store.accounts.keys() == (key, replace(key, id="AK2", is_root=False, enabled=False))
        credential = await store.accounts.credential("AK2")
        assert credential
        assert (credential.secret, credential.enabled) == ("hush2", False)
        assert await store.accounts.credential("AK3") is None


class TestProfiles:
    """What people set of clusters, beside what scans write of them."""

    async def test_a_change_is_kept_whatever_a_scan_saves(self, registered: Store) -> None:
        cluster = a_cluster().id
        assert await registered.profiles.profile(cluster) == Profile()
        await registered.profiles.change(cluster, lambda now: replace(now, tags={"env": "test"}))
        await registered.save_inventory(a_cluster(nodes=9), [], Surroundings())
        await registered.profiles.change(cluster, lambda now: replace(now, deletion_protection=True))
        changed = Profile(tags={"env": "test"}, deletion_protection=True)
        assert await registered.profiles.profile(cluster) == changed
        assert await registered.profiles.profiles() == {cluster: changed}

    async def test_a_name_given_while_a_scan_is_under_way_stays(self, registered: Store) -> None:
        known = a_cluster()
        await registered.rename_cluster(known.id, "other", NOW + timedelta(seconds=1))
        await registered.save_inventory(known, [], Surroundings())
        await registered.save_cluster(known)
        assert (await registered.cluster(known.id)).name == "other"
        await registered.add_cluster(a_cluster(id=ClusterId("c2"), name="taken"), KUBECONFIG)
        with pytest.raises(ClusterNameTaken, match="taken"):
            await registered.rename_cluster(known.id, "taken", NOW)

    async def test_what_a_change_raises_leaves_everything_as_it_was(self, registered: Store) -> None:
        def refuse(_profile: Profile) -> Profile:
            raise NotNow("Not now.")

        with pytest.raises(NotNow):
            await registered.profiles.change(a_cluster().id, refuse)
        assert await registered.profiles.profiles() == {}

    async def test_an_unknown_cluster_has_neither_profile_nor_checks(self, store: Store) -> None:
        unknown = ClusterId("c9")
        for ask in (
            store.profiles.change(unknown, lambda now: now),
            store.profiles.add_check(a_check(1, unknown)),
            store.rename_cluster(unknown, "x", NOW),
            store.record(a_task(cluster=unknown), []),
        ):
            with pytest.raises(ClusterNotFound):
                await ask

    async def test_the_newest_checks_of_a_cluster_are_kept(self, registered: Store) -> None:
        for number in range(CHECKS_KEPT + 3):
            await registered.profiles.add_check(a_check(number))
        found = await registered.profiles.checks(a_cluster().id)
        assert found[0] == a_check(CHECKS_KEPT + 2)
        assert len(found) == CHECKS_KEPT
        assert await registered.profiles.check(a_cluster().id, found[-1].id) == a_check(3)
        for cluster, check in [(a_cluster().id, a_check(2).id), (ClusterId("c9"), found[0].id)]:
            with pytest.raises(NotThere):
                await registered.profiles.check(cluster, check)

    async def test_a_removed_cluster_takes_them_along(self, registered: Store) -> None:
        await registered.profiles.change(a_cluster().id, lambda now: replace(now, timezone="UTC"))
        await registered.profiles.add_check(a_check(1))
        await registered.remove_cluster(a_cluster().id)
        assert await registered.profiles.profiles() == {}
        assert await registered.profiles.checks(a_cluster().id) == ()


def a_check(number: int, cluster: ClusterId | None = None) -> ClusterCheck:
    cluster = cluster or a_cluster().id
    items = (CheckItem("coredns", "1.0.0", (Blocker("Id", "Why.", "What to do."),)),)
    outcome = CheckOutcome(NOW, NOW, passed=False, message="blocked by coredns", items=items)
    return ClusterCheck(f"{number}-{cluster}-clustercheck-abcde", cluster, "ClusterUpgrade", "1.37", outcome)


class TestChartIndex:
    async def test_the_last_index_of_a_repository_is_kept(self, store: Store) -> None:
        assert await store.shelved_index("https://a") is None
        await store.shelve_index(ShelvedIndex("https://a", b"old", "", "", NOW))
        new = ShelvedIndex("https://a", b"\x00new", etag='"1"', last_modified="Mon", fetched_at=NOW)
        await store.shelve_index(new)
        assert await store.shelved_index("https://a") == new


class TestChartHosts:
    async def test_the_last_credential_of_a_host_is_kept_until_it_is_dropped(self, store: Store) -> None:
        assert await store.chart_credentials() == {}
        await store.chart_hosts.save("b.test", ChartCredential("robot", "old"))
        await store.chart_hosts.save("b.test", ChartCredential("robot", "hunter2", authority="PEM", plain_http=True))
        await store.chart_hosts.save("a.test:5000", ChartCredential(token="t0ken"))
        kept = {
            "a.test:5000": ChartCredential(token="t0ken"),
            "b.test": ChartCredential("robot", "hunter2", authority="PEM", plain_http=True),
        }
        assert await store.chart_credentials() == kept
        assert await store.chart_hosts.drop("b.test")
        assert not await store.chart_hosts.drop("b.test")
        assert list(await store.chart_credentials()) == ["a.test:5000"]

    async def test_nothing_of_it_lies_open_on_the_disk(self, tmp_path: Path) -> None:
        store = open_store(StoreSettings(f"sqlite:///{tmp_path / 'a.sqlite'}", tmp_path / "secret.key"))
        await store.chart_hosts.save("a.test", ChartCredential("robot", "hunter2"))
        await store.close()
        assert not [file for file in tmp_path.iterdir() if b"hunter2" in file.read_bytes()]  # noqa: ASYNC240


class TestTrouble:
    """What only a file can suffer."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        opened = open_store(settings_in(tmp_path))
        yield opened
        await opened.close()

    async def test_everything_is_there_after_a_restart(self, tmp_path: Path) -> None:
        first = open_store(settings_in(tmp_path))
        await first.add_cluster(a_cluster(), KUBECONFIG)
        await first.submit(a_task(a_change(values={"a": 1})), [], nothing)
        await first.close()
        second = open_store(settings_in(tmp_path))
        assert await second.kubeconfig(a_cluster().id) == KUBECONFIG
        assert (await second.task(a_task().id)).change.values == {"a": 1}
        await second.close()

    async def test_a_full_disk_is_told_and_harms_nothing(self, registered: Store) -> None:
        """SQLite is told that the file may not grow: the same error as a full disk, from the same place."""
        database = registered._database  # type: ignore[attr-defined]

        def cap(connection: object) -> None:
            pages = connection.execute(text("PRAGMA page_count")).scalar()  # type: ignore[attr-defined]
            connection.execute(text(f"PRAGMA max_page_count={pages}"))  # type: ignore[attr-defined]

        database.write_now(cap)
        index = ShelvedIndex("https://a", b"x" * 4_000_000, "", "", NOW)
        with pytest.raises(StoreUnavailable, match=r"full") as raised:
            await registered.shelve_index(index)
        assert "free space" in raised.value.remedy
        assert await registered.cluster(a_cluster().id) == a_cluster()
        database.write_now(lambda connection: connection.execute(text("PRAGMA max_page_count=1000000")))
        await registered.shelve_index(index)

    async def test_a_database_that_cannot_be_written_is_told(self, registered: Store) -> None:
        database = registered._database  # type: ignore[attr-defined]
        database.write_now(lambda connection: connection.execute(text("PRAGMA query_only=ON")))
        with pytest.raises(StoreUnavailable, match="readonly"):
            await registered.save_component(a_cluster().id, a_component(values={"password": "hunter2"}))
        assert await registered.components(a_cluster().id) == ()

    async def test_a_locked_database_is_waited_for(self, registered: Store, tmp_path: Path) -> None:
        other = sqlite3.connect(tmp_path / "addonry.sqlite", isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(registered.save_cluster(a_cluster(nodes=9)))
        await asyncio.sleep(0)
        assert (await registered.cluster(a_cluster().id)).nodes == 3
        other.execute("COMMIT")
        other.close()
        await writing
        assert (await registered.cluster(a_cluster().id)).nodes == 9

    async def test_a_directory_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable, match="unable to open") as raised:
            open_store(settings_in(tmp_path / "missing"))
        assert "data directory" in raised.value.remedy

    async def test_a_file_that_is_no_database_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "addonry.sqlite").write_bytes(b"this is not a database, " * 100)
        with pytest.raises(StoreUnavailable, match="not a database"):
            open_store(settings_in(tmp_path))
        assert not (tmp_path / "secret.key").exists()

    async def test_no_secret_stands_in_the_file_or_in_an_error(self, registered: Store, tmp_path: Path) -> None:
        await registered.save_component(a_cluster().id, a_component(values={"password": "hunter2"}))
        await registered.submit(a_task(a_change(values={"password": "hunter3"})), [], nothing)
        await registered.accounts.add_key(AccessKey("AK1", "root", NOW), "hunter4", token="hunter5")
        with pytest.raises(ClusterNameTaken) as raised:
            await registered.add_cluster(a_cluster(id=ClusterId("c2")), KUBECONFIG)
        assert "very-secret" not in repr(raised.value.__cause__)
        stored = everything_in(tmp_path)
        assert len(stored) > 10_000
        for secret in (b"hunter", b"very-secret-token", (tmp_path / "secret.key").read_bytes().strip()):
            assert secret not in stored


class TestWishes:
    """What people ask of a task that a worker may be saving at the same moment."""

    async def test_a_wish_is_found_by_one_question_for_many_tasks(self, store: Store) -> None:
        task = await submitted(store, "a")
        other = await submitted(store, "b", number=2)
        running = await begun(store, task)
        assert await store.move(pause(running, now=NOW), ())
        assert await store.wishes([task.id, other.id]) == {task.id: Wish.PAUSE}
        assert await store.wishes([]) == {}

    async def test_a_wish_makes_the_save_of_a_worker_lose_once_and_is_not_lost_itself(self, store: Store) -> None:
        task = await submitted(store, "a")
        running = await begun(store, task)
        assert await store.move(cancel(running, now=NOW), ())
        assert await store.save(after_step(running, Done(), now=NOW), claim="w") is None
        found = await store.claimed(task.id, claim="w")
        assert found is not None
        assert found.wish is Wish.CANCEL
        saved = await store.save(after_step(found, Done(), now=NOW), claim="w")
        assert saved is not None
        assert (await store.task(task.id)).status is Status.CANCELED

    async def test_of_two_that_ask_at_once_one_reads_again(self, store: Store) -> None:
        task = await submitted(store, "a")
        paused = pause(await store.task(task.id), now=NOW)
        assert await store.move(paused, ())
        paused = await store.task(task.id)
        runs: list[int] = []
        resumed = resume(paused, now=NOW)
        canceled = cancel(paused, now=NOW)
        won = [await store.move(each, (), lambda _, run=each.run: runs.append(run)) for each in (resumed, canceled)]
        assert won == [True, False]
        assert runs == [2], "what lost hands nothing out"
        assert (await store.task(task.id)).status is Status.QUEUED

    async def test_a_paused_task_is_nobodys_work_and_keeps_its_component(self, store: Store) -> None:
        task = await submitted(store, "a")
        assert await store.move(pause(await store.task(task.id), now=NOW), ())
        assert await store.unfinished() == []
        assert await store.claim(task.id, run=1, claim="w") is None
        with pytest.raises(ComponentBusy):
            await submitted(store, "a", number=2)
        with pytest.raises(ComponentBusy):
            await store.remove_cluster(task.cluster)

    async def test_a_worker_whose_task_was_paused_meanwhile_finds_it_so(self, store: Store) -> None:
        """It had claimed the task and not begun it yet."""
        task = await submitted(store, "a")
        claimed = await store.claim(task.id, run=1, claim="w")
        assert claimed is not None
        assert await store.move(pause(await store.task(task.id), now=NOW), ())
        assert await store.save(begin(claimed, now=NOW), claim="w") is None
        found = await store.claimed(task.id, claim="w")
        assert found is not None
        assert found.status is Status.PAUSED

    async def test_how_long_steps_took_is_learnt_from_what_went_well(self, store: Store) -> None:
        for number, seconds in enumerate((2, 4, 30), start=1):
            task = await submitted(store, "a", number=number)
            running = await begun(store, task)
            ended = after_step(replace(running, changes=(replace(running.change, position=8),)), Done(), now=NOW)
            late = NOW + timedelta(seconds=seconds)
            records = [
                StepRecord(running.change.component, StepName.ROLLOUT, NOW),
                StepRecord(running.change.component, StepName.ROLLOUT, NOW, late, ok=True),
                StepRecord(running.change.component, StepName.APPLY, NOW, late, ok=False),
            ]
            assert await store.save(ended, claim="w", steps=records)
        assert await store.step_seconds(ComponentName("a")) == {StepName.ROLLOUT: 4.0}
        assert await store.step_seconds(ComponentName("b")) == {}

    async def test_a_step_of_a_newer_release_is_kept_as_it_is(self, store: Store) -> None:
        """Old processes list such tasks while a release is rolled out."""
        change = a_change("a", plan=(*FORWARD[:3], "levitate", *FORWARD[3:]))
        task = a_task(change)
        await store.add_cluster(a_cluster(id=task.cluster), KUBECONFIG)
        await store.submit(task, (), nothing)
        found = (await store.task(task.id)).change
        assert found.plan == change.plan
        assert isinstance(found.plan[0], StepName)


async def submitted(store: Store, component: str, *, number: int = 1) -> Task:
    """A queued task of one change."""
    task = a_task(a_change(component), id=TaskId(f"T-{number}"))
    if not await store.clusters():
        await store.add_cluster(a_cluster(id=task.cluster), KUBECONFIG)
    await store.submit(task, (), nothing)
    return task


async def begun(store: Store, task: Task) -> Task:
    """The task in the hands of worker ``w``."""
    claimed = await store.claim(task.id, run=1, claim="w")
    assert claimed is not None
    saved = await store.save(begin(claimed, now=NOW), claim="w")
    assert saved is not None
    return saved
