"""What a running task does about a wish: the runner, told by an ear, on a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from addonry.engine import Step
from addonry.engine.runner import Clockwork, Limits, drive
from addonry.engine.wishes import Ear, Watch
from addonry.model.errors import HelmFailed, StoreUnavailable
from addonry.model.ids import TaskId
from addonry.model.tasks import Again, Broken, Done, Outcome, Status, StepName, Task, TaskKind, Trouble, Wish
from addonry.rules.planning import BACK, FORWARD, REMOVAL
from addonry.rules.task_moves import cancel, pause, resume
from addonry.store import Store, StoreSettings, open_store
from tests.builders import NOW, a_change, a_cluster, a_task

TASK = a_task().id


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(StoreSettings(f"sqlite:///{tmp_path / 'addonry.sqlite'}", None, "k" * 43))
    await opened.add_cluster(a_cluster(), "kubeconfig")
    await opened.submit(a_task(), (), lambda _connection: None)
    yield opened
    await opened.close()


def clockwork() -> Clockwork:
    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    return Clockwork(now=lambda: datetime.now(UTC), elapsed=lambda: 0.0, sleep=sleep, dice=lambda: 0.5)


class Steps:
    """Each step is done at once, but those that a test gives."""

    def __init__(self, **given: Step) -> None:
        self.begun: list[str] = []
        self._given = given

    def table(self) -> dict[str, Step]:
        return dict.fromkeys(StepName, self._run)

    async def _run(self, task: Task) -> Outcome:
        step = str(task.change.step)
        self.begun.append(step)
        given = self._given.get(step)
        return await given(task) if given else Done()


async def run(store: Store, steps: Steps, ear: Ear, *, number: int = 1) -> Task:
    await drive(
        TASK,
        run=number,
        claim=f"w{number}",
        log=store,
        steps=steps.table(),
        limits=Limits(),
        clock=clockwork(),
        ear=ear,
    )
    return await store.task(TASK)


async def forever(_task: Task) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError("only a wish ends this")


async def ask(store: Store, asking, ear: Ear) -> None:
    """As the API does, and as the watch tells of it."""
    assert await store.move(asking(await store.task(TASK), now=NOW), ())
    ear.tell((await store.task(TASK)).wish)


def asked_within(store: Store, asking, ear: Ear, outcome: Outcome):
    """A step in the middle of which somebody asks for something."""

    async def step(_task: Task) -> Outcome:
        await ask(store, asking, ear)
        await asyncio.sleep(0)
        return outcome

    return step


async def test_a_pause_stops_a_rollout_in_the_middle_and_holds_it(store):
    ear = Ear()
    steps = Steps(rollout=forever)
    running = asyncio.create_task(run(store, steps, ear))
    while StepName.ROLLOUT not in steps.begun:  # noqa: ASYNC110 - a turn of the loop, not a time
        await asyncio.sleep(0)
    await ask(store, pause, ear)
    task = await running
    assert (task.status, task.change.step) == (Status.PAUSED, StepName.RELEASE)
    assert steps.begun[-2:] == [StepName.ROLLOUT, StepName.HOLD]
    record = next(each for each in await store.steps(TASK) if each.step == StepName.ROLLOUT)
    assert (record.ok, record.message) == (None, "stopped to pause"), "its time begins anew after the pause"


async def test_a_paused_task_goes_on_where_it_was_under_its_next_run(store):
    ear = Ear()
    first = Steps(fetch=asked_within(store, pause, ear, Done()))
    assert (await run(store, first, ear)).status is Status.PAUSED
    assert first.begun == [StepName.PREFLIGHT, StepName.FETCH], "the step was carried out, and is not repeated"
    assert await store.move(resume(await store.task(TASK), now=NOW), ())
    second = Steps()
    assert (await run(store, second, Ear(), number=2)).status is Status.SUCCESS
    assert second.begun == list(FORWARD[2:])
    assert (await run(store, Steps(), Ear(), number=1)).status is Status.SUCCESS, "the old run is worth nothing"


async def test_a_step_that_writes_is_not_stopped_by_a_pause(store):
    """Helm under way is worth its end: stopped, it would have to be repaired."""
    ear = Ear()
    steps = Steps(apply=asked_within(store, pause, ear, Done("applied")))
    task = await run(store, steps, ear)
    assert steps.begun.count(StepName.APPLY) == 1
    assert task.status is Status.PAUSED
    assert next(each.ok for each in await store.steps(TASK) if each.step == StepName.APPLY) is True


async def test_a_cancel_stops_an_apply_and_takes_it_back(store):
    ear = Ear()
    steps = Steps(apply=forever)
    running = asyncio.create_task(run(store, steps, ear))
    while StepName.APPLY not in steps.begun:  # noqa: ASYNC110 - a turn of the loop, not a time
        await asyncio.sleep(0)
    await ask(store, cancel, ear)
    task = await running
    assert (task.status, task.canceled, task.trouble) == (Status.CANCELED, True, None)
    assert steps.begun[-3:] == list(BACK)


async def test_a_wish_that_nobody_heard_is_found_at_the_next_save(store):
    """The watch looks twice a second; a task may be done with a step sooner."""
    ear = Ear()

    async def unheard(_task: Task) -> Outcome:
        assert await store.move(cancel(await store.task(TASK), now=NOW), ())
        return Done()

    steps = Steps(snapshot=unheard)
    task = await run(store, steps, ear)
    assert task.status is Status.CANCELED
    assert steps.begun[-1] == StepName.SNAPSHOT


async def test_a_cluster_that_never_answers_is_no_reason_to_wait_with_a_cancel(store):
    ear = Ear()
    steps = Steps(fetch=lambda task: asked_within(store, cancel, ear, Again(3600.0, "no answer"))(task))
    assert (await run(store, steps, ear)).status is Status.CANCELED


async def test_the_way_back_is_tried_again_before_it_is_given_up(store):
    """One hiccup of the API server would leave the component on the version that does not work."""
    failures = [HelmFailed("etcd leader changed")] * 3

    async def rollback(_task: Task) -> Outcome:
        if failures:
            raise failures.pop()
        return Done()

    async def broken(_task: Task) -> Outcome:
        return Broken(Trouble("ImagePullBackOff", "no image"))

    steps = Steps(rollback=rollback, rollout=broken)
    task = await run(store, steps, Ear())
    assert (task.status, task.trouble) == (Status.FAILED, Trouble("ImagePullBackOff", "no image"))
    assert steps.begun.count(StepName.ROLLBACK) == 4


async def test_the_way_back_begins_in_the_save_that_ends_what_failed(store):
    """Nothing is waited for once it is known: the two moments are one."""

    async def broken(_task: Task) -> Outcome:
        return Broken(Trouble("ImagePullBackOff", "no image"))

    await run(store, Steps(rollout=broken), Ear())
    records = {record.step: record for record in await store.steps(TASK)}
    assert records[StepName.ROLLBACK].started_at == records[StepName.ROLLOUT].finished_at


async def test_a_way_back_that_fails_for_good_is_given_up_at_last(store):
    async def never(_task: Task) -> Outcome:
        raise HelmFailed("no")

    async def broken(_task: Task) -> Outcome:
        return Broken(Trouble("ImagePullBackOff", "no image"))

    steps = Steps(rollback=never, rollout=broken)
    task = await run(store, steps, Ear())
    assert task.trouble is not None
    assert task.trouble.code == "RollbackFailed"
    assert steps.begun.count(StepName.ROLLBACK) == Limits().last_way_limit


async def test_an_uninstall_that_meets_a_hiccup_goes_on(tmp_path):
    """Half removed is the worst place to stop."""
    store = open_store(StoreSettings(f"sqlite:///{tmp_path / 'other.sqlite'}", None, "k" * 43))
    await store.add_cluster(a_cluster(), "kubeconfig")
    await store.submit(a_task(a_change(kind=TaskKind.UNINSTALL, plan=REMOVAL)), (), lambda _connection: None)
    failures = [HelmFailed("etcd leader changed")] * 3

    async def uninstall(_task: Task) -> Outcome:
        if failures:
            raise failures.pop()
        return Done()

    task = await run(store, Steps(uninstall=uninstall), Ear())
    await store.close()
    assert task.status is Status.SUCCESS


class Wishes:
    """The one question of the watch, answered by a test."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.found: dict[TaskId, Wish] = {}
        self.away = False

    async def wishes(self, tasks):
        self.asked.append(tuple(tasks))
        if self.away:
            raise StoreUnavailable("away")
        return self.found


async def test_one_question_is_asked_for_all_tasks_and_none_for_no_task():
    log = Wishes()
    watch = Watch(log, asyncio.sleep)  # type: ignore[arg-type]
    await watch.look()
    assert log.asked == []
    with watch.ear(TaskId("T-1")) as first, watch.ear(TaskId("T-2")) as second:
        log.found = {TaskId("T-2"): Wish.PAUSE}
        await watch.look()
        assert log.asked == [("T-1", "T-2")]
        await asyncio.wait_for(second.hear(lambda wish: wish is Wish.PAUSE), 5)
        listening = asyncio.create_task(first.hear(lambda _wish: True))
        await asyncio.sleep(0)
        assert not listening.done()
        listening.cancel()
    await watch.look()
    assert len(log.asked) == 1, "nobody is listening any more"


async def test_a_wish_that_was_withdrawn_is_not_heard():
    ear = Ear()
    ear.tell(Wish.PAUSE)
    ear.tell(None)
    listening = asyncio.create_task(ear.hear(lambda _wish: True))
    await asyncio.sleep(0)
    assert not listening.done()
    ear.tell(Wish.CANCEL)
    await asyncio.wait_for(listening, 5)
