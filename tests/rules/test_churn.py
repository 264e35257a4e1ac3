"""What changes so often that no person can be behind it."""

from datetime import UTC, datetime, timedelta

import pytest

from addonry.model.owners import Turnover
from addonry.rules.churn import is_churn, often, turnover_of
from addonry.rules.owners import Marks

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
