"""A worker killed anywhere, again and again, and the next one finishes: nothing lost, nothing recorded done again.

One task is carried through a chain of processes, each of which dies a little further on: inside each step before and
after its effect, and before and after each save. What must hold is read from the journal the steps wrote.
"""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from addonry.model.tasks import Status, StepName
from addonry.rules.planning import BACK, FORWARD
from tests.builders import a_task
from tests.rooms.engine.child import KILLED, Story, submit, work

SECONDS = 60.0


@pytest.fixture(scope="module")
def run_in_a_process() -> Callable[..., int]:
    # Forked from a server that has everything imported: a process is there in milliseconds instead of a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["addonry.store.database", "addonry.engine.queue", "alembic.command"])

    def run(what: Callable[[Story], None], story: Story) -> int:
        process = context.Process(target=what, args=(story,))
        process.start()
        process.join(SECONDS)
        assert process.exitcode is not None, "the process hangs"
        return process.exitcode

    return run


def deaths(*steps: StepName) -> list[str]:
    return [f"{moment} {step}" for step in steps for moment in ("opened", "begun", "ended", "saved")]


STORIES = {
    "an upgrade that succeeds": (None, ["claimed", *deaths(*FORWARD)], list(FORWARD), Status.SUCCESS),
    "an upgrade that is rolled back": (
        StepName.ROLLOUT,
        ["claimed", *deaths(StepName.ROLLOUT, *BACK)],
        [*FORWARD[:8], *BACK],
        Status.FAILED,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
async def test_a_worker_killed_anywhere_is_replaced_and_no_recorded_step_begins_again(
    story: str, tmp_path: Path, run_in_a_process: Callable[..., int]
) -> None:
    breaks, points, expected, status = STORIES[story]
    assert run_in_a_process(submit, Story(tmp_path)) == 0
    died = [point for point in points if run_in_a_process(work, Story(tmp_path, point, breaks)) == KILLED]
    assert died == points
    assert run_in_a_process(work, Story(tmp_path, breaks=breaks)) == 0

    store = Story(tmp_path).open_store()
    task = await store.task(a_task().id)
    records = await store.steps(task.id)
    events, _ = await store.events(task=task.id)
    await store.close()
    assert task.status is status
    assert [record.step for record in records] == expected
    assert all(record.finished_at for record in records)
    reasons = [event.reason for event in reversed(events)]
    assert reasons == (["Started", "Succeeded"] if breaks is None else ["Started", "RollingBack", "Failed"])

    journal = (tmp_path / "journal").read_text().splitlines()
    ended = [line.split()[1] for line in journal if line.startswith("ended")]
    assert list(dict.fromkeys(ended)) == expected
    for step in expected:
        mine = [line.split()[0] for line in journal if line.endswith(f" {step}")]
        assert mine[-1] == "saved", f"{step} was begun again after it was recorded"
        assert mine.count("saved") == 1
        # Once for the worker that finished it, and once for each that died in it.
        assert mine.count("begun") == 1 + sum(f"{moment} {step}" in died for moment in ("begun", "ended"))
