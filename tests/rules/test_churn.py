"""What changes so often that no person can be behind it."""

from datetime import UTC, datetime, timedelta

import pytest

from addonry.model.owners import Turnover
from addonry.rules.churn import WINDOW, is_churn, is_restless, often, turnover_of, watched
from addonry.rules.owners import Marks
from tests.builders import a_component

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def some_marks(**given) -> Marks:
    return Marks(**{"kind": "Deployment", "namespace": "kube-system", "name": "coredns", **given})


def test_only_many_changes_are_kept():
    assert often("x", 100, NOW) is None
    assert often("x", 101, None) is None
    assert often("x", 101, NOW) == Turnover("x", 101, NOW)


def test_a_deployments_rollouts_count_and_not_what_autoscalers_do_to_it():
    scaled = some_marks(annotations={"deployment.kubernetes.io/revision": "3"})
    assert turnover_of(scaled, 5_000, NOW) is None
    rolled = some_marks(annotations={"deployment.kubernetes.io/revision": "500"})
    assert turnover_of(rolled, 5_000, NOW) == Turnover("rollouts of Deployment kube-system/coredns", 500, NOW)
    assert turnover_of(some_marks(kind="DaemonSet"), 5_000, NOW).count == 5_000


CHURN = [
    # Azure/AKS#5822: about every three minutes.
    (352_140, timedelta(days=730), True),
    (480, timedelta(days=1), True),
    (101, timedelta(hours=2), True),
    # Deployed from a pipeline, a few times a day for years.
    (2_000, timedelta(days=730), False),
    (101, timedelta(days=30), False),
    (60, timedelta(hours=1), False),
]


@pytest.mark.parametrize(("count", "age", "expected"), CHURN)
def test_churn_is_what_no_person_does(count, age, expected):
    assert is_churn(Turnover("revisions", count, NOW - age), NOW) is expected


def scans(*counts: int, every: timedelta) -> list[bool]:
    """Whether each of several scans finds a component restless that had so many changes."""
    seen, found = (), []
    for number, count in enumerate(counts):
        seen = watched(
            [a_component(changes={"release dns": count, "Deployment kube-system/dns": 7})], seen, NOW + number * every
        )
        found.append(is_restless(seen[0].found.watch))
    return found


def test_a_dozen_changes_within_some_hours_are_restless_and_the_first_look_tells_nothing():
    """An add-on that is redeployed every three minutes is told within the hour, however old it is."""
    assert scans(*range(352_140, 352_160), every=timedelta(minutes=3)) == [False] * 12 + [True] * 8


def test_who_comes_to_rest_is_told_as_such_in_the_end():
    hours = timedelta(hours=1)
    told = scans(0, 20, *[20] * 30, every=hours)
    assert told[1]
    assert not told[-1]
    assert told.index(False, 1) <= 2 * WINDOW / hours + 1


def test_a_busy_window_is_not_forgotten_as_the_next_one_begins():
    assert all(scans(*range(0, 200, 4), every=timedelta(hours=1))[3:])


def test_now_and_then_is_no_churn():
    assert not any(scans(*range(60), every=timedelta(hours=1)))


def test_what_was_made_anew_begins_anew():
    assert not any(scans(500, 1, 2, every=timedelta(minutes=1)))


def test_after_a_silence_of_ours_nobody_knows_when_the_changes_came():
    assert scans(0, 1_000, every=timedelta(days=9)) == [False, False]


def test_one_upgrade_of_many_workloads_is_one_change():
    """A release of twenty workloads is not restless because all of them were rolled out at once."""
    parts = [f"Deployment web/{number}" for number in range(20)]
    seen = ()
    for count in (1, 2):
        seen = watched([a_component(changes=dict.fromkeys(parts, count))], seen, NOW)
    assert seen[0].found.watch.changes == 1
