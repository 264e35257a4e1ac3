"""How a task moves: the table, and what follows a step, for every story a task can have."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.model.errors import IllegalMove
from addonry.model.tasks import (
    LIVE,
    Again,
    Broken,
    Done,
    Event,
    EventLevel,
    Outcome,
    Snapshot,
    Status,
    StepName,
    Task,
    TaskKind,
    Trouble,
)
from addonry.rules.planning import BACK, FORWARD, TOUCHING
from addonry.rules.task_moves import (
    ROLLBACK_FAILED,
    TRANSITIONS,
    Move,
    after_crashes,
    after_step,
    begin,
    diagram,
    events_of,
    move,
)
from tests.builders import NOW, a_change, a_task

LATER = NOW + timedelta(seconds=7)
TROUBLE = Trouble("ImagePullBackOff", "The image cannot be pulled.", "Correct the image.")

outcomes = st.one_of(
    st.builds(Done, note=st.sampled_from(["", "done"]), snapshot=st.sampled_from([None, Snapshot(3)])),
    st.builds(Done),
    st.builds(Again, seconds=st.just(0.0), note=st.just("moving"), percent=st.one_of(st.none(), st.integers(-5, 120))),
    st.just(Broken(TROUBLE)),
)
crash = st.just("crash")
stories = st.lists(st.one_of(outcomes, outcomes, outcomes, crash), max_size=60)
tasks = st.integers(1, 3).map(lambda count: a_task(*(a_change(f"c{number}") for number in range(count))))


def tell(task: Task, story: list[Outcome | str]) -> list[Task]:
    """The task after each turn of a story, which ends where the task does."""
    told = [begin(task, now=NOW)]
    for turn in story:
        if told[-1].status not in LIVE:
            break
        before = told[-1]
        told.append(
            after_crashes(before, TROUBLE, now=LATER) if isinstance(turn, str) else after_step(before, turn, now=LATER)
        )
    return told


def at(step: StepName, *, plan: tuple[StepName, ...] = FORWARD, trouble: Trouble | None = None) -> Task:
    change = a_change(plan=plan, position=plan.index(step), status=Status.RUNNING, trouble=trouble)
    return a_task(change, status=Status.RUNNING)


class TestTable:
    @pytest.mark.parametrize(("status", "how"), list(product(Status, Move)))
    def test_the_table_is_the_whole_truth(self, status: Status, how: Move) -> None:
        """A pair either follows an edge of the table or raises and leaves the task alone."""
        task = a_task(status=status)
        if how in TRANSITIONS[status]:
            moved = move(task, how, now=LATER)
            assert moved.status is TRANSITIONS[status][how]
            assert (moved.finished_at is None) is (moved.status in LIVE)
            assert moved.updated_at == LATER
        else:
            with pytest.raises(IllegalMove):
                move(task, how, now=LATER)
        assert task == a_task(status=status)

    def test_every_status_has_a_row_and_can_be_reached(self) -> None:
        assert set(TRANSITIONS) == set(Status)
        reached = {Status.QUEUED} | {to for row in TRANSITIONS.values() for to in row.values()}
        assert reached == set(Status)

    def test_the_picture_in_the_docs_is_drawn_from_the_table(self) -> None:
        page = Path(__file__).parents[2] / "docs" / "internals" / "tasks.md"
        assert f"```mermaid\n{diagram()}\n```" in page.read_text(), f"put this there:\n{diagram()}"

    def test_only_ended_tasks_have_no_way_on(self) -> None:
        assert {status for status, row in TRANSITIONS.items() if row} == LIVE


class TestBegin:
    def test_the_first_change_begins_with_its_task(self) -> None:
        begun = begin(a_task(a_change("a"), a_change("b")), now=LATER)
        assert [change.status for change in begun.changes] == [Status.RUNNING, Status.QUEUED]
        assert begun.changes[0].started_at == LATER

    def test_a_task_taken_over_goes_on_where_it_was(self) -> None:
        task = at(StepName.ROLLOUT)
        assert begin(task, now=LATER) == replace(task, updated_at=LATER)


class TestAfterStep:
    def test_done_goes_on_to_the_next_step(self) -> None:
        after = after_step(at(StepName.SNAPSHOT), Done("revision 4", Snapshot(4)), now=LATER)
        assert after.change.step is StepName.CRDS
        assert after.change.snapshot == Snapshot(4)
        assert after_step(after, Done("none"), now=LATER).change.snapshot == Snapshot(4)

    def test_the_last_step_ends_the_change_and_begins_the_next(self) -> None:
        task = at(StepName.VERIFY)
        two = replace(task, changes=(task.change, a_change("b")))
        after = after_step(two, Done(), now=LATER)
        assert [change.status for change in after.changes] == [Status.SUCCESS, Status.RUNNING]
        assert (after.current, after.status, after.changes[0].percent) == (1, Status.RUNNING, 100)
        assert after_step(task, Done(), now=LATER).status is Status.SUCCESS

    def test_again_shows_progress_and_stays(self) -> None:
        after = after_step(at(StepName.ROLLOUT), Again(1.0, "1 of 2 updated", percent=50), now=LATER)
        assert after.change.step is StepName.ROLLOUT
        assert after.change.note == "1 of 2 updated"
        assert 35 < after.change.percent < 90
        unknown = after_step(after, Again(1.0, "no answer"), now=LATER)
        assert unknown.change.percent == after.change.percent

    @pytest.mark.parametrize("step", [step for step in FORWARD if step not in TOUCHING])
    def test_a_step_broken_before_anything_was_touched_just_ends_the_task(self, step: StepName) -> None:
        after = after_step(at(step), Broken(TROUBLE), now=LATER)
        assert after.status is Status.FAILED
        assert after.change.trouble == TROUBLE
        assert not set(BACK) & set(after.change.plan)

    @pytest.mark.parametrize("step", sorted(TOUCHING))
    def test_a_step_broken_from_apply_on_leads_back(self, step: StepName) -> None:
        after = after_step(at(step), Broken(TROUBLE), now=LATER)
        assert after.status is Status.RUNNING
        assert after.change.step is StepName.ROLLBACK
        assert after.change.plan[after.change.position :] == BACK
        back = after_step(after_step(after, Done(), now=LATER), Done(), now=LATER)
        assert (back.status, back.change.status, back.change.trouble) == (Status.FAILED, Status.FAILED, TROUBLE)

    @pytest.mark.parametrize("step", BACK)
    def test_a_way_back_that_breaks_tells_both_reasons(self, step: StepName) -> None:
        second = Trouble("HelmFailed", "Helm said no.", "Look at it.")
        after = after_step(at(step, plan=(*FORWARD, *BACK), trouble=TROUBLE), Broken(second), now=LATER)
        assert after.status is Status.FAILED
        assert after.change.trouble
        assert after.change.trouble.code == ROLLBACK_FAILED
        assert TROUBLE.message in after.change.trouble.message
        assert second.message in after.change.trouble.message
        assert after.change.trouble.remedy == "Look at it."

    def test_the_changes_behind_a_failed_one_are_not_begun(self) -> None:
        task = at(StepName.FETCH)
        three = replace(task, changes=(task.change, a_change("b"), a_change("c")))
        after = after_step(three, Broken(TROUBLE), now=LATER)
        assert [change.trouble.code for change in after.changes if change.trouble] == [
            "ImagePullBackOff",
            "NotBegun",
            "NotBegun",
        ]
        assert all(change.started_at is None for change in after.changes[1:])


class TestCrashes:
    @pytest.mark.parametrize("step", [step for step in FORWARD if step not in TOUCHING] + list(BACK))
    def test_a_step_that_keeps_killing_its_worker_ends_the_task(self, step: StepName) -> None:
        plan = (*FORWARD, *BACK) if step in BACK else FORWARD
        trouble = TROUBLE if step in BACK else None
        assert after_crashes(at(step, plan=plan, trouble=trouble), TROUBLE, now=LATER).status is Status.FAILED

    @pytest.mark.parametrize("step", sorted(TOUCHING))
    def test_a_poisonous_rollout_is_rolled_back_before_it_is_given_up(self, step: StepName) -> None:
        """Giving up at once would leave the component half changed for ever."""
        task = replace(at(step), crashes=6)
        after = after_crashes(task, TROUBLE, now=LATER)
        assert after.status is Status.RUNNING
        assert after.change.step is StepName.ROLLBACK
        assert after.crashes == 0
        assert after_crashes(after, TROUBLE, now=LATER).status is Status.FAILED

    def test_crashes_count_in_a_row_only(self) -> None:
        task = replace(at(StepName.ROLLOUT), crashes=3)
        assert after_step(task, Again(1.0), now=LATER).crashes == 3
        assert after_step(task, Done(), now=LATER).crashes == 0


class TestStories:
    @settings(deadline=None)
    @given(tasks, stories)
    def test_a_break_before_apply_never_leads_to_a_rollback(self, task: Task, story: list[Outcome | str]) -> None:
        for before, after in pairwise(tell(task, story)):
            turned = [
                (old, new)
                for old, new in zip(before.changes, after.changes, strict=True)
                if StepName.ROLLBACK in new.plan and StepName.ROLLBACK not in old.plan
            ]
            assert all(old.step in TOUCHING for old, _ in turned)

    @settings(deadline=None)
    @given(tasks, stories)
    def test_a_change_that_turned_back_ends_failed_and_succeeds_in_walking_back_or_says_so(
        self, task: Task, story: list[Outcome | str]
    ) -> None:
        for change in tell(task, story)[-1].changes:
            if StepName.ROLLBACK in change.plan:
                assert change.trouble
                assert change.status in {Status.RUNNING, Status.FAILED}
                assert change.plan[-2:] == BACK
                if change.status is Status.FAILED and change.trouble.code != ROLLBACK_FAILED:
                    assert change.position == len(change.plan)

    @settings(deadline=None)
    @given(tasks, stories)
    def test_percent_never_falls_within_a_plan(self, task: Task, story: list[Outcome | str]) -> None:
        for before, after in pairwise(tell(task, story)):
            for old, new in zip(before.changes, after.changes, strict=True):
                assert 0 <= new.percent <= 100
                assert (new.percent == 100) <= (new.position == len(new.plan) or StepName.VERIFY is new.step)
                if old.plan == new.plan:
                    assert new.percent >= old.percent

    @settings(deadline=None)
    @given(tasks, stories)
    def test_a_task_ends_exactly_when_its_changes_do(self, task: Task, story: list[Outcome | str]) -> None:
        for each in tell(task, story):
            live = [change for change in each.changes if change.status in LIVE]
            assert bool(live) is (each.status in LIVE)
            assert sum(change.status is Status.RUNNING for change in each.changes) == (1 if live else 0)
            assert (each.finished_at is None) is bool(live)
            if each.status is Status.SUCCESS:
                assert {change.status for change in each.changes} == {Status.SUCCESS}
                assert each.trouble is None

    @settings(deadline=None)
    @given(tasks, stories)
    def test_each_change_tells_its_story_once_and_in_order(self, task: Task, story: list[Outcome | str]) -> None:
        told: dict[str, list[str]] = {}
        events: list[Event] = []
        steps = [task, *tell(task, story)]
        for before, after in pairwise(steps):
            events += events_of(before, after, now=LATER)
        for event in events:
            assert event.component
            told.setdefault(event.component, []).append(event.reason)
        for change in steps[-1].changes:
            reasons = told.get(change.component, [])
            begun = ["Started"] if change.started_at else []
            turned = ["RollingBack"] if StepName.ROLLBACK in change.plan else []
            ended = {Status.SUCCESS: ["Succeeded"], Status.FAILED: ["Failed"]}.get(change.status, [])
            assert reasons == begun + turned + ended


class TestEvents:
    def test_a_failure_is_told_loudly_with_its_reason(self) -> None:
        before = at(StepName.DRY_RUN)
        (event,) = events_of(before, after_step(before, Broken(TROUBLE), now=LATER), now=LATER)
        assert (event.level, event.reason, event.kind) == (EventLevel.ERROR, "Failed", TaskKind.UPGRADE)
        assert TROUBLE.message in event.message
        assert event.at == LATER

    def test_progress_within_a_step_tells_nothing(self) -> None:
        before = at(StepName.ROLLOUT)
        assert events_of(before, after_step(before, Again(1.0, "x", percent=10), now=LATER), now=LATER) == ()
