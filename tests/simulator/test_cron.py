"""CronJobs fire when they are due, and keep to their policies."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from addonry.simulator.life.cron import next_time
from tests.simulator.manifests import pod_template

CRON_JOBS = "/apis/batch/v1/namespaces/default/cronjobs"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
MONDAY = datetime(2026, 11, 23, 10, 30, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * *", "2026-11-23 10:31"),
        ("*/15 * * * *", "2026-11-23 10:45"),
        ("5/20 * * * *", "2026-11-23 10:45"),
        ("30 10 * * *", "2026-11-24 10:30"),
        ("0 0,12 * * *", "2026-11-23 12:00"),
        ("0 9-11 * * *", "2026-11-23 11:00"),
        ("0 0 1 * *", "2026-12-01 00:00"),
        ("0 0 * * SUN", "2026-11-29 00:00"),
        ("0 0 13 * FRI", "2026-11-27 00:00"),
        ("0 0 * JAN MON-WED", "2027-01-04 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("@hourly", "2026-11-23 11:00"),
        ("@weekly", "2026-11-29 00:00"),
    ],
)
def test_a_schedule_is_due_next(schedule, due):
    assert next_time(schedule, MONDAY) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize("schedule", ["", "bogus", "* * * *", "60 * * * *", "0 0 31 2 *", "a b c d e"])
def test_a_schedule_that_is_never_due_or_cannot_be_read_is_never_due(schedule):
    assert next_time(schedule, MONDAY) is None


def cron_job(*, image: str = "registry.example/job:1", **spec: object):
    job = {"template": pod_template("task", image, restartPolicy="Never"), "backoffLimit": 0}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tidy"},
        "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": job}, **spec},
    }


def names(client):
    return [job["metadata"]["name"] for job in client.get(JOBS)["items"]]


def test_a_cron_job_fires_on_time_and_keeps_the_last_three(stepped):
    simulator, client = stepped
    client.post(CRON_JOBS, cron_job())
    simulator.advance(4 * 60)
    assert names(client) == []
    simulator.advance(90)
    # Minutes since 1970, as the real controller names them.
    minutes = int(datetime(2026, 11, 23, 0, 5, tzinfo=UTC).timestamp()) // 60
    assert names(client) == [f"tidy-{minutes}"]
    status = client.get(f"{CRON_JOBS}/tidy")["status"]
    assert status["lastScheduleTime"] == "2026-11-23T00:05:00Z"
    assert "active" not in status
    simulator.advance(30 * 60)
    assert names(client) == [f"tidy-{minutes + at}" for at in (20, 25, 30)]
    client.delete(f"{CRON_JOBS}/tidy", {"propagationPolicy": "Background"})
    simulator.advance(1)
    assert names(client) == []


def test_a_suspended_cron_job_rests(stepped):
    simulator, client = stepped
    client.post(CRON_JOBS, cron_job(suspend=True))
    simulator.advance(3600)
    assert names(client) == []
    client.merge(f"{CRON_JOBS}/tidy", {"spec": {"suspend": False, "schedule": "@hourly"}})
    simulator.advance(3600)
    assert len(names(client)) == 1


@pytest.mark.parametrize(("policy", "running"), [("Allow", 3), ("Forbid", 1), ("Replace", 1)])
def test_a_job_that_is_still_running_meets_the_policy(stepped, policy, running):
    simulator, client = stepped
    client.post(CRON_JOBS, cron_job(image="registry.example/never:1", concurrencyPolicy=policy))
    simulator.advance(16 * 60)
    assert len(client.get(f"{CRON_JOBS}/tidy")["status"]["active"]) == running
    first = int(datetime(2026, 11, 23, 0, 5, tzinfo=UTC).timestamp()) // 60
    assert (f"tidy-{first}" in names(client)) is (policy != "Replace")


def test_a_copy_of_a_cluster_keeps_to_its_schedules(stepped):
    """A snapshot of a cluster at rest looks after little; what has a schedule is part of that."""
    simulator, client = stepped
    client.post(CRON_JOBS, cron_job())
    simulator.advance(1)
    snapshot = simulator.snapshot("sim-1")
    assert snapshot["settled"]
    copy = type(client)(simulator.add("copy", snapshot=snapshot))
    simulator.advance(6 * 60)
    assert len(names(copy)) == 1
