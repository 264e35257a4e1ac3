"""Pause, resume and cancel as use cases: what is written, what is handed to the engine, what is told."""

from dataclasses import replace

import pytest

from addonry.lifecycle import ConfigureRequest, InstallRequest, UpgradeRequest
from addonry.lifecycle import changes as changing
from addonry.lifecycle.moves import cancel, live_task, pause, resume
from addonry.model.errors import ComponentNotFound, IllegalMove, TaskNotFound, UpgradeNotPossible, VersionNotFound
from addonry.model.ids import ComponentName, Version
from addonry.model.tasks import Edits, Pace, Status, StepName, TaskKind, Wish
from addonry.rules.planning import CANARY, FORWARD, REMOVAL
from addonry.rules.task_moves import begin
from tests.builders import NOW, a_component, an_entry, an_offer
from tests.lifecycle.conftest import CLUSTER


@pytest.fixture
async def task(world):
    """An upgrade that waits."""
    return await changing.upgrade(world, CLUSTER, [UpgradeRequest("coredns", "1.2.0")], by="alice")


async def running(world, task):
    """The same in the hands of a worker, in the middle of its rollout."""
    claimed = await world.store.claim(task.id, run=task.run, claim="w")
    begun = begin(claimed, now=NOW)
    change = replace(begun.change, position=FORWARD.index(StepName.ROLLOUT))
    return await world.store.save(replace(begun, changes=(change,)), claim="w")


async def reasons(world, task):
    events, _ = await world.store.events(task=task.id)
    return [event.reason for event in reversed(events)]


async def test_a_task_that_waits_is_paused_and_handed_out_again_under_its_next_run(world, engine, task):
    assert (await pause(world, task.id, by="bob")).status is Status.PAUSED
    assert await world.store.unfinished() == []
    resumed = await resume(world, task.id, by="bob")
    assert (resumed.status, resumed.run) == (Status.QUEUED, 2)
    assert engine.taken == [(task.id, 1, CLUSTER), (task.id, 2, CLUSTER)]
    assert await reasons(world, task) == ["Queued", "Paused", "Resumed"]


async def test_who_asked_is_told(world, task):
    await cancel(world, task.id, by="bob")
    events, _ = await world.store.events(task=task.id)
    assert events[0].reason == "Canceled"
    assert "bob" in events[0].message


async def test_asking_twice_writes_once(world, engine, task):
    for _ in range(2):
        await pause(world, task.id, by="bob")
    for _ in range(2):
        await resume(world, task.id, by="bob")
    assert len(engine.taken) == 2
    for _ in range(2):
        await cancel(world, task.id, by="bob")
    assert await reasons(world, task) == ["Queued", "Paused", "Resumed", "Canceled"]


async def test_a_running_task_gets_a_wish_and_nothing_else(world, engine, task):
    await running(world, task)
    assert (await pause(world, task.id, by="bob")).wish is Wish.PAUSE
    assert (await resume(world, task.id, by="bob")).wish is None, "withdrawn before it was granted"
    assert (await cancel(world, task.id, by="bob")).wish is Wish.CANCEL
    assert len(engine.taken) == 1
    with pytest.raises(IllegalMove):
        await pause(world, task.id, by="bob")


async def test_a_wish_that_meets_a_save_is_asked_again_of_the_task_as_it_is_then(world, task, monkeypatch):
    """The worker saves between our read and our write."""
    saved = await running(world, task)
    move, races = world.store.move, []

    async def raced(asked, events, enqueue=None):
        if not races:
            races.append(await world.store.save(saved, claim="w"))
        return await move(asked, events, enqueue)

    monkeypatch.setattr(world.store, "move", raced)
    asked = await cancel(world, task.id, by="bob")
    assert asked.wish is Wish.CANCEL
    assert asked.revision == races[0].revision + 1


async def test_the_live_task_of_a_component_is_found_by_name_and_alias(world, task):
    assert (await live_task(world, CLUSTER, "coredns")).id == task.id
    assert (await live_task(world, CLUSTER, "kube-dns")).id == task.id
    with pytest.raises(TaskNotFound, match="metrics-server"):
        await live_task(world, CLUSTER, "metrics-server")
    with pytest.raises(ComponentNotFound):
        await live_task(world, CLUSTER, "nobody")
    await cancel(world, task.id, by="bob")
    with pytest.raises(TaskNotFound):
        await live_task(world, CLUSTER, "coredns")


async def test_each_kind_of_change_has_its_plan(world):
    asked = UpgradeRequest("coredns", "1.2.0", pace=Pace.CANARY, edits=Edits.PRESERVE)
    canary = await changing.upgrade(world, CLUSTER, [asked], by="alice")
    assert (canary.change.plan, canary.change.edits) == (CANARY, Edits.PRESERVE)
    await cancel(world, canary.id, by="alice")
    other = await changing.configure(world, CLUSTER, [ConfigureRequest("coredns", {"a": 1})], by="alice")
    assert (other.kind, other.change.plan) == (TaskKind.CONFIGURE, FORWARD)
    assert other.change.from_version == other.change.to_version == "1.0.0"
    await cancel(world, other.id, by="alice")
    gone = await changing.uninstall(world, CLUSTER, ["coredns"], by="alice")
    assert (gone.kind, gone.change.plan, gone.change.to_version) == (TaskKind.UNINSTALL, REMOVAL, "")


async def test_a_version_that_is_no_longer_on_offer_cannot_be_configured(world, store):
    """Its chart is needed to render the new values."""
    await store.save_component(CLUSTER, a_component("0.9.0"))
    with pytest.raises(VersionNotFound):
        await changing.configure(world, CLUSTER, [ConfigureRequest("coredns", {})], by="alice")


@pytest.fixture
def requiring(catalog):
    """metrics-server requires an issuer, which requires coredns."""
    name = ComponentName
    catalog.known["issuer"] = (an_entry("issuer", requires=(name("coredns"),)), (an_offer("1.0.0", "issuer"),))
    entry, offers = catalog.known["metrics-server"]
    catalog.known["metrics-server"] = (replace(entry, requires=(name("issuer"),)), offers)


@pytest.mark.usefixtures("requiring")
async def test_several_changes_come_in_the_order_of_what_they_require(world):
    requests = [InstallRequest("metrics-server", Version("3.13.0")), InstallRequest("issuer")]
    with pytest.raises(UpgradeNotPossible, match="requires issuer"):
        await changing.install(world, CLUSTER, requests[:1], by="alice")
    task = await changing.install(world, CLUSTER, requests, by="alice")
    assert [change.component for change in task.changes] == ["issuer", "metrics-server"]


@pytest.mark.usefixtures("requiring")
async def test_what_is_required_goes_last_and_not_alone(world, store):
    await store.save_component(CLUSTER, a_component("1.0.0", name="issuer"))
    with pytest.raises(UpgradeNotPossible, match="required by issuer"):
        await changing.uninstall(world, CLUSTER, ["coredns"], by="alice")
    task = await changing.uninstall(world, CLUSTER, ["coredns", "issuer"], by="alice")
    assert [change.component for change in task.changes] == ["issuer", "coredns"]
