"""A maintenance window says when a cluster may be changed; what cannot be read of one holds nothing back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.windows import DAYS, read_window

THURSDAY = datetime(2026, 11, 26, tzinfo=UTC)
PLAIN = {"enable": True, "maintenance_time": "03:00:00Z", "duration": "3h", "weekly_period": "Thursday"}


@pytest.mark.parametrize(
    ("given_", "at", "holds"),
    [
        ({}, "02:59", False),
        ({}, "03:00", True),
        ({}, "05:59", True),
        ({}, "06:00", False),
        ({"weekly_period": "Monday,Friday"}, "04:00", False),
        ({"weekly_period": ""}, "04:00", True),
        ({"maintenance_time": "2026-01-01T11:00:00.000+08:00"}, "03:00", True),
        ({"maintenance_time": "03:00:00"}, "03:00", True),
        ({"maintenance_time": "23:00:00Z", "weekly_period": "Wednesday"}, "01:59", True),
        ({"maintenance_time": "23:00:00Z", "weekly_period": "Wednesday"}, "02:00", False),
        ({"recurrence": "FREQ=WEEKLY;INTERVAL=1;BYDAY=MO,TH"}, "04:00", True),
        ({"recurrence": "FREQ=WEEKLY;BYDAY=MO"}, "04:00", False),
        ({"recurrence": "FREQ=DAILY", "weekly_period": "Monday"}, "04:00", True),
        ({"recurrence": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH", "maintenance_time": "2026-11-12T03:00:00Z"}, "04:00", True),
        ({"recurrence": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH", "maintenance_time": "2026-11-19T03:00:00Z"}, "04:00", False),
    ],
)
def test_a_moment_is_within_a_window_or_not(given_, at, holds):
    window = read_window({**PLAIN, **given_})
    hours, minutes = (int(part) for part in at.split(":"))
    assert window.holds(THURSDAY + timedelta(hours=hours, minutes=minutes)) is holds


@pytest.mark.parametrize(
    ("scope", "holds"), [("NoOperations", False), ("NoUpgrades", False), ("NoMinorUpgrades", True), ("", True)]
)
def test_an_exclusion_closes_a_window_that_is_open(scope, holds):
    excluded = {
        "name": "holidays",
        "scope": scope,
        "start_time": "2026-11-20T00:00:00Z",
        "end_time": "2026-12-01T00:00:00Z",
    }
    window = read_window({**PLAIN, "exclusions": [excluded]})
    now = THURSDAY + timedelta(hours=4)
    assert window.holds(now) is holds
    assert (window.exclusion(now) == "holidays") is not holds
    assert window.next_after(now) == THURSDAY + timedelta(days=7, hours=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"enable": False},
        {"enable": "true"},
        {"maintenance_time": "early"},
        {"maintenance_time": None},
        {"duration": "25h"},
        {"duration": "0h"},
        {"duration": "3"},
        {"weekly_period": "Someday"},
        {"recurrence": "FREQ=WEEKLY;BYDAY=XX"},
    ],
)
def test_what_cannot_be_read_is_no_window(wrong):
    assert read_window({**PLAIN, **wrong}) is None


@given(
    st.integers(0, 10**9).map(lambda seconds: THURSDAY + timedelta(seconds=seconds / 8)),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(1, 24),
)
def test_it_opens_when_it_says_that_it_will(now, days, hours):
    window = read_window({**PLAIN, "weekly_period": ",".join(days), "duration": f"{hours}h"})
    opens = window.next_after(now)
    assert now < opens <= now + timedelta(days=7)
    assert window.holds(opens)
    if hours < 24 or len(days) == 1:
        assert window.holds(opens - timedelta(microseconds=1)) is (hours == 24 and len(days) > 1)


@given(
    st.dictionaries(
        st.sampled_from([*PLAIN, "recurrence", "exclusions", "enforce"]), st.text() | st.none() | st.integers()
    )
)
def test_whatever_was_set_is_read_without_complaint(given_):
    window = read_window({**PLAIN, **given_})
    assert window is None or isinstance(window.holds(THURSDAY), bool)
