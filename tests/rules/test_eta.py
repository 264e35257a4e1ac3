"""Estimates: known where the past tells, silent where it does not, and never less than nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.tasks import StepName
from addonry.rules.eta import ALMOST, seconds_for, seconds_left, together
from addonry.rules.planning import BACK, CANARY, FORWARD, REMOVAL
from tests.builders import a_change

TYPICAL = {StepName.APPLY: 2.0, StepName.ROLLOUT: 30.0, StepName.VERIFY: 1.0}


def at(step: StepName):
    return a_change(position=FORWARD.index(step))


@pytest.mark.parametrize(
    ("step", "typical", "in_step", "expected"),
    [
        (StepName.APPLY, TYPICAL, 0.0, 33.0),
        (StepName.ROLLOUT, TYPICAL, 10.0, 21.0),
        (StepName.ROLLOUT, TYPICAL, 300.0, ALMOST + 1.0),
        (StepName.ROLLOUT, {StepName.APPLY: 2.0}, 0.0, None),
        (StepName.VERIFY, {}, 0.0, ALMOST),
    ],
)
def test_what_is_left_is_what_the_past_took_less_what_has_passed(step, typical, in_step, expected):
    assert seconds_left(at(step), typical, in_step) == expected


def test_nothing_is_left_of_a_plan_at_its_end_and_nothing_known_without_a_past():
    assert seconds_left(a_change(position=len(FORWARD)), {}, 5.0) == 0.0
    assert seconds_for(FORWARD, {}) is None
    assert seconds_for(FORWARD, TYPICAL) == 33.0
    assert together([1.0, 2.0]) == 3.0
    assert together([1.0, None]) is None


@given(
    st.sampled_from([FORWARD, CANARY, REMOVAL, BACK]),
    st.dictionaries(st.sampled_from(list(StepName)), st.floats(0, 1e4)),
    st.floats(0, 1e5),
    st.data(),
)
def test_an_estimate_is_never_negative_and_never_grows_with_waiting(plan, typical, in_step, data):
    position = data.draw(st.integers(0, len(plan)))
    change = a_change(plan=plan, position=position)
    now, later = seconds_left(change, typical, in_step), seconds_left(change, typical, in_step + 1)
    assert (now is None) == (later is None)
    if now is not None and later is not None:
        assert 0 <= later <= now
