"""Lanes and ids of a worker."""

from addonry.engine.worker import LOCAL, Lanes, executor_id


def test_a_task_takes_the_least_used_lane_of_its_cluster() -> None:
    lanes = Lanes(2)
    assert [lanes.take("c1") for _ in range(3)] == ["c1/0", "c1/1", "c1/0"]
    assert lanes.take("c2") == "c2/0"
    lanes.give_back("c1/0")
    lanes.give_back("c1/0")
    assert [lanes.take("c1") for _ in range(2)] == ["c1/0", "c1/0"]


def test_counts_are_corrected_from_the_queue_and_never_fall_below_nothing() -> None:
    lanes = Lanes(2)
    lanes.give_back("c1/1")
    lanes.reset(["c1/0"])
    assert lanes.take("c1") == "c1/1"


def test_on_sqlite_a_worker_is_known_again_and_on_postgresql_it_is_unique() -> None:
    """Two workers of one id would run each other's tasks twice; one of a new id would not find what it left."""
    assert executor_id("sqlite:///x") == executor_id("sqlite:///x") == LOCAL
    assert executor_id("postgresql://h/d") != executor_id("postgresql://h/d")
