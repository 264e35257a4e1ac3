"""Plans and percentages."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.model.ids import ComponentName
from addonry.model.tasks import Change, StepName, TaskKind, Wish
from addonry.rules.planning import (
    BACK,
    CANARY,
    FORWARD,
    HOLDING,
    NO_RETURN,
    REMOVAL,
    TOUCHING,
    WEIGHT,
    in_order,
    percent_done,
    stops,
)
from tests.builders import a_change


def test_every_step_has_its_place_and_its_weight() -> None:
    assert {*FORWARD, *CANARY, *HOLDING, *REMOVAL, *BACK} == set(StepName) == set(WEIGHT)
    for plan in (FORWARD, CANARY, REMOVAL, BACK):
        assert len(set(plan)) == len(plan)


@pytest.mark.parametrize("plan", [FORWARD, CANARY])
def test_everything_is_recorded_before_the_first_write(plan: tuple[StepName, ...]) -> None:
    """A rollback needs the snapshot, whichever step breaks."""
    first_touch = min(plan.index(step) for step in TOUCHING & set(plan))
    assert plan.index(StepName.SNAPSHOT) < first_touch
    assert set(plan[first_touch:]) <= TOUCHING


def test_what_is_held_is_let_go_on_every_way() -> None:
    """A workload that stays held would never take another version, and nobody would know why."""
    for plan in (CANARY, HOLDING, BACK):
        assert StepName.RELEASE in plan
    assert CANARY.index(StepName.CANARY) + 1 == CANARY.index(StepName.RELEASE)
    assert BACK.index(StepName.ROLLBACK) < BACK.index(StepName.RELEASE), "not while the version to leave is in force"


@pytest.mark.parametrize(("step", "wish"), list(product(StepName, Wish)))
def test_only_a_cancel_stops_a_step_that_writes(step: StepName, wish: Wish) -> None:
    if step in {*NO_RETURN, StepName.ROLLBACK, StepName.VERIFY_ROLLBACK}:
        assert not stops(step, wish)
    if stops(step, Wish.PAUSE):
        assert step not in {StepName.CRDS, StepName.APPLY, StepName.HOLD, StepName.RELEASE}
        assert stops(step, Wish.CANCEL)


def a_kind(kind: TaskKind) -> list[Change]:
    return [a_change(name, kind=kind) for name in ("a", "b", "c", "d")]


REQUIRES = {ComponentName("a"): [ComponentName("c")], ComponentName("c"): [ComponentName("d")]}


def test_what_is_required_comes_first_and_goes_last() -> None:
    there = [change.component for change in in_order(a_kind(TaskKind.INSTALL), REQUIRES)]
    gone = [change.component for change in in_order(a_kind(TaskKind.UNINSTALL), REQUIRES)]
    assert there == ["d", "c", "a", "b"]
    assert gone == ["a", "b", "c", "d"]


names = st.lists(st.sampled_from("abcdef"), unique=True, min_size=1)
needs = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefz"), max_size=3))


@settings(deadline=None)
@given(names, needs)
def test_every_order_keeps_all_changes_even_when_requirements_go_round_in_a_circle(asked, requires) -> None:
    changes = [a_change(name) for name in asked]
    known = {ComponentName(name): [ComponentName(other) for other in others] for name, others in requires.items()}
    assert sorted(change.component for change in in_order(changes, known)) == sorted(asked)
    assert in_order(changes, {}) == tuple(changes)


@settings(deadline=None)
@given(st.sampled_from([FORWARD, CANARY, REMOVAL, (*FORWARD[:7], *BACK), BACK]), st.data())
def test_percent_grows_with_position_and_progress(plan: tuple[StepName, ...], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(plan)))
    within = sorted(data.draw(st.tuples(st.integers(-50, 200), st.integers(-50, 200))))
    low, high = (percent_done(plan, position, each) for each in within)
    assert 0 <= low <= high <= 100
    if position < len(plan):
        assert high <= percent_done(plan, position + 1)


def test_a_plan_begins_at_nothing_and_ends_at_all() -> None:
    for plan in (FORWARD, CANARY, REMOVAL, BACK):
        assert percent_done(plan, 0) == 0
        assert percent_done(plan, len(plan)) == 100
    assert percent_done((), 0) == 100
