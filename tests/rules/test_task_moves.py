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
    Wish,
)
from addonry.rules.planning import (
    BACK,
    CANARY,
    FORWARD,
    HOLDING,
    MOVING,
    NO_RETURN,
    REMOVAL,
    TOUCHING,
    has_touched,
    is_going_back,
)
from addonry.rules.task_moves import (
    ROLLBACK_FAILED,
    TRANSITIONS,
    Move,
    after_crashes,
    after_step,
    begin,
    cancel,
    diagram,
    events_of,
    grant,
    move,
    pause,
    resume,
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

    @pytest.mark.parametrize("step", sorted(TOUCHING - {StepName.HOLD}))
    def test_a_step_broken_from_apply_on_leads_back(self, step: StepName) -> None:
        after = after_step(at(step, plan=CANARY), Broken(TROUBLE), now=LATER)
        assert after.status is Status.RUNNING
        assert after.change.step is StepName.ROLLBACK
        assert after.change.plan[after.change.position :] == BACK
        back = after
        for _ in BACK:
            back = after_step(back, Done(), now=LATER)
        assert (back.status, back.change.status, back.change.trouble) == (Status.FAILED, Status.FAILED, TROUBLE)

    @pytest.mark.parametrize("step", BACK)
    def test_a_way_back_that_breaks_tells_both_reasons(self, step: StepName) -> None:
        second = Trouble("HelmFailed", "Helm said no.", "Look at it.")
        after = after_step(at(step, plan=(*FORWARD, *BACK), trouble=TROUBLE), Broken(second), now=LATER)
        assert not TOUCHING & set(after.change.plan[after.change.position + 1 :]) - set(BACK)
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

    @pytest.mark.parametrize("step", sorted(TOUCHING & set(CANARY)))
    def test_a_poisonous_rollout_is_rolled_back_before_it_is_given_up(self, step: StepName) -> None:
        """Giving up at once would leave the component half changed for ever."""
        task = replace(at(step, plan=CANARY), crashes=6)
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
                assert change.plan[-len(BACK) :] == BACK
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


PLANS = (FORWARD, CANARY, REMOVAL, (*FORWARD[:7], *HOLDING, *FORWARD[7:]))
PLACES = [(plan, place) for plan in PLANS for place in range(len(plan))]


def placed(plan: tuple[StepName, ...], place: int, status: Status, **given: object) -> Task:
    change = a_change(plan=plan, position=place, status=status, started_at=NOW if place else None)
    return a_task(change, status=status, **given)


class TestWishes:
    """What is asked has one outcome at every place of every plan."""

    @pytest.mark.parametrize(("plan", "place"), PLACES)
    def test_a_pause_is_granted_before_the_next_step_and_holds_what_moves(self, plan, place) -> None:
        task = placed(plan, place, Status.RUNNING)
        step = task.change.step
        if step in NO_RETURN:
            with pytest.raises(IllegalMove, match="no return"):
                pause(task, now=LATER)
            return
        asked = pause(task, now=LATER)
        assert (asked.wish, asked.status) == (Wish.PAUSE, Status.RUNNING)
        granted = grant(asked, now=LATER)
        if step in MOVING:
            assert granted.change.plan[place : place + 2] == HOLDING
            assert granted.change.plan[place + 2 :] == plan[place:]
            granted = after_step(granted, Done(), now=LATER)
        elif step is StepName.HOLD:
            assert granted is asked, "it is held before it is paused"
            granted = after_step(granted, Done(), now=LATER)
        assert (granted.status, granted.change.status, granted.wish) == (Status.PAUSED, Status.PAUSED, None)
        again = resume(granted, now=LATER)
        assert (again.status, again.run) == (Status.QUEUED, task.run + 1)
        begun = begin(again, now=LATER)
        assert begun.change.step is granted.change.step
        assert begun.change.started_at == (task.change.started_at or LATER)

    @pytest.mark.parametrize(("plan", "place"), PLACES)
    def test_a_cancel_ends_what_is_untouched_and_takes_back_the_rest(self, plan, place) -> None:
        task = placed(plan, place, Status.RUNNING)
        if task.change.step in NO_RETURN:
            with pytest.raises(IllegalMove, match="no return"):
                cancel(task, now=LATER)
            return
        granted = grant(cancel(task, now=LATER), now=LATER)
        if not has_touched(task.change):
            assert (granted.status, granted.change.status) == (Status.CANCELED, Status.CANCELED)
        else:
            assert granted.change.step is StepName.ROLLBACK
            for _ in BACK:
                assert granted.status is Status.RUNNING
                granted = after_step(granted, Done(), now=LATER)
            assert (granted.status, granted.trouble) == (Status.CANCELED, None)
        assert granted.canceled
        assert granted.wish is None

    @pytest.mark.parametrize(("plan", "place"), PLACES)
    @pytest.mark.parametrize("status", [Status.QUEUED, Status.PAUSED])
    def test_a_cancel_of_a_task_that_waits_needs_a_worker_only_for_what_is_to_take_back(
        self, plan, place, status
    ) -> None:
        task = placed(plan, place, status)
        canceled = cancel(task, now=LATER)
        if not has_touched(task.change):
            assert canceled.status is Status.CANCELED
            assert canceled.run == task.run
        else:
            assert canceled.status is Status.QUEUED
            assert canceled.change.step is StepName.ROLLBACK
            assert canceled.run == task.run + (status is Status.PAUSED)

    @pytest.mark.parametrize("asking", [pause, resume, cancel])
    @pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILED, Status.CANCELED])
    def test_nothing_can_be_asked_of_a_task_that_has_ended(self, asking, status) -> None:
        task = a_task(a_change(status=status), status=status)
        if asking is cancel and status is Status.CANCELED:
            assert cancel(task, now=LATER) is task, "asked twice, done once"
            return
        with pytest.raises(IllegalMove):
            asking(task, now=LATER)

    @pytest.mark.parametrize("status", [Status.RUNNING, Status.QUEUED])
    def test_a_task_that_goes_back_goes_on_going_back(self, status: Status) -> None:
        task = placed((*FORWARD[:8], *BACK), 8, status)
        assert cancel(task, now=LATER) is task
        assert resume(task, now=LATER) is task
        with pytest.raises(IllegalMove, match="going back"):
            pause(task, now=LATER)

    def test_asked_twice_is_asked_once(self) -> None:
        for status in (Status.RUNNING, Status.QUEUED, Status.PAUSED):
            task = placed(FORWARD, 3, status)
            paused = pause(task, now=LATER)
            assert pause(paused, now=LATER) is paused
            resumed = resume(paused, now=LATER)
            assert resume(resumed, now=LATER) is resumed
            canceled = cancel(task, now=LATER)
            assert cancel(canceled, now=LATER) is canceled

    def test_a_cancel_overrides_a_pause_and_nothing_overrides_a_cancel(self) -> None:
        asked = cancel(pause(placed(FORWARD, 7, Status.RUNNING), now=LATER), now=LATER)
        assert asked.wish is Wish.CANCEL
        for asking in (pause, resume):
            with pytest.raises(IllegalMove, match="being canceled"):
                asking(asked, now=LATER)

    def test_a_resume_withdraws_a_pause_that_was_not_granted_yet(self) -> None:
        task = placed(FORWARD, 7, Status.RUNNING)
        assert resume(pause(task, now=LATER), now=LATER) == replace(task, updated_at=LATER)

    def test_a_canary_pauses_its_task(self) -> None:
        task = placed(CANARY, CANARY.index(StepName.CANARY), Status.RUNNING)
        paused = after_step(task, Done(), now=LATER)
        assert (paused.status, paused.change.step) == (Status.PAUSED, StepName.RELEASE)
        canceled = after_step(cancel(task, now=LATER), Done(), now=LATER)
        assert (canceled.status, canceled.change.step) == (Status.RUNNING, StepName.ROLLBACK)

    def test_a_wish_is_granted_in_the_save_that_ends_a_step(self) -> None:
        """Else the worker would begin a step that cannot be taken back although somebody had asked before it."""
        task = pause(placed(REMOVAL, REMOVAL.index(StepName.UNINSTALL) - 1, Status.RUNNING), now=LATER)
        paused = after_step(task, Done(), now=LATER)
        assert (paused.status, paused.change.step) == (Status.PAUSED, StepName.UNINSTALL)
        assert cancel(paused, now=LATER).status is Status.CANCELED

    def test_a_cancel_in_the_second_change_leaves_the_first_as_it_is(self) -> None:
        first = a_change("a", status=Status.SUCCESS, position=len(FORWARD), finished_at=NOW)
        second = a_change("b", status=Status.RUNNING, position=2, started_at=NOW)
        task = a_task(first, second, a_change("c"), status=Status.RUNNING, current=1)
        canceled = grant(cancel(task, now=LATER), now=LATER)
        assert [change.status for change in canceled.changes] == [Status.SUCCESS, Status.CANCELED, Status.CANCELED]
        assert canceled.status is Status.CANCELED

    def test_a_failure_forgets_a_pause_that_was_asked_for(self) -> None:
        """A pause on the way back would leave the component broken for as long as nobody looks."""
        task = pause(placed(FORWARD, 7, Status.RUNNING), now=LATER)
        after = after_step(task, Broken(TROUBLE), now=LATER)
        assert (after.wish, after.status, after.change.step) == (None, Status.RUNNING, StepName.ROLLBACK)

    def test_a_stall_is_told_once(self) -> None:
        before = at(StepName.ROLLOUT)
        stuck = after_step(before, Again(1.0, "no node", stall="Unschedulable"), now=LATER)
        assert [event.reason for event in events_of(before, stuck, now=LATER)] == ["Stalled"]
        still = after_step(stuck, Again(1.0, "no node yet", stall="Unschedulable"), now=LATER)
        assert events_of(stuck, still, now=LATER) == ()


wishes = st.sampled_from([pause, resume, cancel])
lives = st.lists(st.one_of(outcomes, outcomes, crash, wishes), max_size=80)
plans = st.sampled_from([FORWARD, CANARY, REMOVAL])


class TestLives:
    """Whatever happens and whatever people ask, in any order."""

    @settings(deadline=None, max_examples=300)
    @given(st.lists(plans, min_size=1, max_size=3), lives)
    def test_every_life_keeps_its_promises(self, plans, life) -> None:
        task = a_task(*(a_change(f"c{number}", plan=plan) for number, plan in enumerate(plans)))
        seen = [task]
        for turn in life:
            task = seen[-1]
            if turn in (pause, resume, cancel):
                try:
                    seen.append(turn(task, now=LATER))
                except IllegalMove:
                    continue
            elif task.status is Status.QUEUED:
                seen.append(begin(task, now=LATER))
            elif task.status is Status.RUNNING:
                granted = grant(task, now=LATER)
                if granted is not task:
                    seen.append(granted)
                elif turn == "crash":
                    seen.append(after_crashes(task, TROUBLE, now=LATER))
                else:
                    seen.append(after_step(task, turn, now=LATER))
        for before, after in pairwise(seen):
            self.check_move(before, after)
        self.check_history(seen)

    def check_move(self, before: Task, after: Task) -> None:
        for old, new in zip(before.changes, after.changes, strict=True):
            assert 0 <= new.position <= len(new.plan)
            assert 0 <= new.percent <= 100
            if is_going_back(new) and not is_going_back(old):
                assert has_touched(old)
                assert after.canceled or new.trouble
            assert new.plan.count(StepName.ROLLBACK) <= 1, "the way back is walked once"
        assert (after.finished_at is None) is (after.status in LIVE)
        live = [change for change in after.changes if change.status in LIVE]
        assert bool(live) is (after.status in LIVE)
        if after.status is Status.PAUSED:
            assert after.wish is None
            assert after.change.status is Status.PAUSED
            assert not is_going_back(after.change)
            assert after.change.step not in {*MOVING, StepName.HOLD}, "what moves is held before the pause"

    def check_history(self, seen: list[Task]) -> None:
        for change in seen[-1].changes:
            done = change.plan[: change.position]
            if StepName.HOLD in done and change.status not in LIVE and change.trouble is None:
                last = len(done) - 1 - done[::-1].index(StepName.HOLD)
                assert StepName.RELEASE in done[last:], "nothing stays held"
            if change.status is Status.CANCELED:
                assert seen[-1].canceled
            if change.status is Status.SUCCESS:
                assert StepName.ROLLBACK not in change.plan
