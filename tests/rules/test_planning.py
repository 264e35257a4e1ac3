"""Plans and percentages."""

from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.model.tasks import StepName
from addonry.rules.planning import BACK, FORWARD, TOUCHING, WEIGHT, percent_done


def test_every_step_has_its_place_and_its_weight() -> None:
    assert {*FORWARD, *BACK} == set(StepName) == set(WEIGHT)
    assert len({*FORWARD, *BACK}) == len(FORWARD) + len(BACK)


def test_everything_is_recorded_before_the_first_write() -> None:
    """A rollback needs the snapshot, whichever step breaks."""
    first_touch = min(FORWARD.index(step) for step in TOUCHING)
    assert FORWARD.index(StepName.SNAPSHOT) < first_touch
    assert set(FORWARD[first_touch:]) == TOUCHING


def test_the_way_back_is_not_itself_a_reason_to_go_back() -> None:
    assert not TOUCHING & set(BACK)


@settings(deadline=None)
@given(st.sampled_from([FORWARD, (*FORWARD[:7], *BACK), BACK]), st.data())
def test_percent_grows_with_position_and_progress(plan: tuple[StepName, ...], data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(plan)))
    within = sorted(data.draw(st.tuples(st.integers(-50, 200), st.integers(-50, 200))))
    low, high = (percent_done(plan, position, each) for each in within)
    assert 0 <= low <= high <= 100
    if position < len(plan):
        assert high <= percent_done(plan, position + 1)


def test_a_plan_begins_at_nothing_and_ends_at_all() -> None:
    for plan in (FORWARD, BACK):
        assert percent_done(plan, 0) == 0
        assert percent_done(plan, len(plan)) == 100
    assert percent_done((), 0) == 100
