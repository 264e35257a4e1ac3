"""CronJobs make a Job whenever their schedule is due, and forget old ones.

The moments are computed from the calendar, the waits between them pass as fast as the clock of the simulator makes
them. See https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from addonry.simulator.clock import timestamp
from addonry.simulator.life.cron import next_time
from addonry.simulator.life.world import CRON_JOBS, JOBS, World, is_kind, is_leaving, key_of, owner_reference
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_COMPONENT: Final = "cronjob-controller"
_KEPT: Final = (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1))


class _Due(NamedTuple):
    schedule: tuple[str, str]
    moment: datetime
    elapsed: float


class CronJobs:
    """The CronJob controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._due: dict[str, _Due] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, CRON_JOBS):
            if change.type is ChangeType.DELETED:
                self._due.pop(change.record.uid, None)
                return ()
            return (change.record.key,)
        return self._world.owner_keys(change.record, CRON_JOBS) if is_kind(change, JOBS) else ()

    def reconcile(self, key: ObjectKey) -> None:
        cron = self._world.get(key)
        if cron is None or is_leaving(cron):
            return
        status: dict[str, Any] = dict(cron.get("status") or {})
        if cron["spec"].get("suspend"):
            self._due.pop(cron["metadata"]["uid"], None)
        else:
            self._keep_time(key, cron, status)
        self._count(cron, status)
        self._world.set_status(CRON_JOBS, cron, status)

    def _keep_time(self, key: ObjectKey, cron: Object, status: dict[str, Any]) -> None:
        uid, now = cron["metadata"]["uid"], self._world.clock.elapsed()
        schedule = (cron["spec"]["schedule"], cron["spec"].get("timeZone", "UTC"))
        due = self._due.get(uid)
        if due is None or due.schedule != schedule:
            due = self._next(schedule, self._world.clock.now(), now)
        if due is not None and due.elapsed <= now:
            self._fire(cron, due.moment, status)
            due = self._next(schedule, due.moment, due.elapsed)
        if due is None:
            self._due.pop(uid, None)  # it cannot be read, or is never due
            return
        self._due[uid] = due
        self._world.wake(self, key, max(due.elapsed - now, 0.0))

    @staticmethod
    def _next(schedule: tuple[str, str], after: datetime, elapsed: float) -> _Due | None:
        try:
            local = after.astimezone(ZoneInfo(schedule[1]))
        except (ZoneInfoNotFoundError, ValueError):
            return None
        moment = next_time(schedule[0], local)
        return None if moment is None else _Due(schedule, moment, elapsed + (moment - local).total_seconds())

    def _fire(self, cron: Object, moment: datetime, status: dict[str, Any]) -> None:
        active = [job for job in self._jobs(cron) if not _verdict(job)]
        policy = cron["spec"].get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            why = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._tell(cron, "JobAlreadyActive", why)
            return
        for job in active if policy == "Replace" else ():
            self._world.remove(JOBS, job)
            self._tell(cron, "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")
        name = f"{cron['metadata']['name']}-{int(moment.timestamp()) // 60}"
        if self._world.store.get(ObjectKey(JOBS.key, cron["metadata"]["namespace"], name)) is None:
            self._world.create(JOBS, _job(cron, name))
            self._tell(cron, "SuccessfulCreate", f"Created job {name}")
        status["lastScheduleTime"] = timestamp(moment)

    def _count(self, cron: Object, status: dict[str, Any]) -> None:
        jobs = self._jobs(cron)
        active = [_reference(job) for job in jobs if not _verdict(job)]
        for name in status.get("active") or ():
            ended = next((job for job in jobs if job["metadata"]["uid"] == name["uid"]), None)
            if ended is not None and (verdict := _verdict(ended)):
                said = f"Saw completed job: {ended['metadata']['name']}, condition: {verdict}"
                self._tell(cron, "SawCompletedJob", said)
        status.pop("active", None)
        if active:
            status["active"] = active
        times = [time for job in jobs if (time := (job.get("status") or {}).get("completionTime"))]
        if times:
            status["lastSuccessfulTime"] = max(times)
        for verdict, limit, usual in _KEPT:
            ended_jobs = [job for job in jobs if _verdict(job) == verdict]
            for job in ended_jobs[: max(len(ended_jobs) - cron["spec"].get(limit, usual), 0)]:
                self._world.remove(JOBS, job)

    def _jobs(self, cron: Object) -> list[Object]:
        return self._world.owned(cron["metadata"]["uid"], JOBS)

    def _tell(self, cron: Object, reason: str, message: str) -> None:
        self._world.event(CRON_JOBS, cron, reason, message, by=_COMPONENT)


def _job(cron: Object, name: str) -> Object:
    template = cron["spec"]["jobTemplate"]
    metadata = template.get("metadata") or {}
    about: dict[str, Any] = {
        "name": name,
        "namespace": cron["metadata"]["namespace"],
        "ownerReferences": [owner_reference(CRON_JOBS, cron)],
    }
    for member in ("labels", "annotations"):
        if metadata.get(member):
            about[member] = dict(metadata[member])
    return {"metadata": about, "spec": dict(template["spec"])}


def _reference(job: Object) -> dict[str, Any]:
    key = key_of(JOBS, job)
    return {
        "kind": "Job",
        "apiVersion": JOBS.api_version,
        "namespace": key.namespace,
        "name": key.name,
        "uid": job["metadata"]["uid"],
    }


def _verdict(job: Object) -> str:
    """Complete or Failed, once the Job has ended."""
    conditions = (job.get("status") or {}).get("conditions", [])
    return next(
        (str(c["type"]) for c in conditions if c["type"] in ("Complete", "Failed") and c["status"] == "True"), ""
    )
