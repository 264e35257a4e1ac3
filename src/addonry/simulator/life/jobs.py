"""Jobs run Pods until enough of them have succeeded, as Helm's hooks do.

completions, parallelism, backoffLimit, activeDeadlineSeconds, suspend and ttlSecondsAfterFinished.
See https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.life.world import (
    JOBS,
    PODS,
    RETRY_SECONDS,
    World,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    owner_reference,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_COMPONENT: Final = "job-controller"
_DEFAULT_BACKOFF: Final = 6


class Jobs:
    """The Job controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, JOBS):
            if change.type is ChangeType.DELETED:
                self._started.pop(change.record.uid, None)
                self._ended.pop(change.record.uid, None)
                return ()
            return (change.record.key,)
        return self._world.owner_keys(change.record, JOBS) if is_kind(change, PODS) else ()

    def reconcile(self, key: ObjectKey) -> None:
        job = self._world.get(key)
        if job is None or is_leaving(job):
            return
        if _is_finished(job):
            self._expire(key, job)
            return
        pods = self._world.owned(job["metadata"]["uid"], PODS)
        active = [pod for pod in pods if is_active(pod)]
        if job["spec"].get("suspend"):
            self._suspend(job, active)
            return
        status = self._begun(job)
        succeeded = sum(pod["status"].get("phase") == "Succeeded" for pod in pods)
        failed = sum(pod["status"].get("phase") == "Failed" for pod in pods)
        restarts = sum(c.get("restartCount", 0) for pod in active for c in pod["status"].get("containerStatuses", []))
        wanted = job["spec"].get("completions", 1)
        limit = job["spec"].get("backoffLimit", _DEFAULT_BACKOFF)
        if succeeded >= wanted:
            verdict = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        elif failed + restarts > limit:
            verdict = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif self._is_overdue(key, job):
            verdict = ("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
        else:
            verdict = None
            missing = min(job["spec"].get("parallelism", 1), wanted - succeeded) - len(active)
            active += self._start_all(key, job, missing)
        if verdict is not None:
            self._end(status, verdict, active)
            failed += len(active) if verdict[0] == "Failed" else 0
            active = []
        self._count(status, active=active, succeeded=succeeded, failed=failed)
        self._world.set_status(JOBS, job, status)
        if verdict is not None:
            word = "Completed" if verdict[0] == "Complete" else verdict[1]
            said = "Job completed" if verdict[0] == "Complete" else verdict[2]
            self._world.event(JOBS, job, word, said, by=_COMPONENT, warning=verdict[0] == "Failed")
            self._expire(key, job)

    # ------------------------------------------------------------------ parts

    def _begun(self, job: Object) -> dict[str, Any]:
        status: dict[str, Any] = dict(job.get("status") or {})
        self._started.setdefault(job["metadata"]["uid"], self._world.clock.elapsed())
        suspended = next((c for c in status.get("conditions", []) if c["type"] == "Suspended"), None)
        if suspended is not None and suspended["status"] == "True":
            resumed = self._condition("Suspended", "False", "JobResumed", "Job resumed")
            status["conditions"] = [resumed]
            self._started[job["metadata"]["uid"]] = self._world.clock.elapsed()
        status.setdefault("startTime", timestamp(self._world.clock.now()))
        return status

    def _suspend(self, job: Object, active: list[Object]) -> None:
        for pod in active:
            self._world.remove(PODS, pod)
        status = dict(job.get("status") or {})
        known = status.get("conditions", [])
        if not any(c["type"] == "Suspended" and c["status"] == "True" for c in known):
            status["conditions"] = [self._condition("Suspended", "True", "JobSuspended", "Job suspended")]
        status.pop("startTime", None)
        self._count(status, active=[], succeeded=status.get("succeeded", 0), failed=status.get("failed", 0))
        self._world.set_status(JOBS, job, status)

    def _is_overdue(self, key: ObjectKey, job: Object) -> bool:
        deadline = job["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            return False
        left = self._started[job["metadata"]["uid"]] + deadline - self._world.clock.elapsed()
        if left > 0:
            self._world.wake(self, key, left)
        return bool(left <= 0)

    def _start_all(self, key: ObjectKey, job: Object, missing: int) -> list[Object]:
        """As many new Pods as admission lets in."""
        started: list[Object] = []
        while len(started) < missing:
            try:
                started.append(self._start(job))
            except ApiError as error:
                self._world.refused(JOBS, job, error, f"Error creating: {error.message}", by=_COMPONENT)
                self._world.wake(self, key, RETRY_SECONDS)
                break
            self._world.admitted(job)
        return started

    def _start(self, job: Object) -> Object:
        template = job["spec"]["template"]
        metadata: dict[str, Any] = {
            "generateName": f"{job['metadata']['name']}-",
            "namespace": job["metadata"]["namespace"],
            "labels": dict(template.get("metadata", {}).get("labels") or {}),
            "ownerReferences": [owner_reference(JOBS, job)],
        }
        if annotations := template.get("metadata", {}).get("annotations"):
            metadata["annotations"] = dict(annotations)
        pod = self._world.create(PODS, {"metadata": metadata, "spec": dict(template["spec"])})
        message = f"Created pod: {pod['metadata']['name']}"
        self._world.event(JOBS, job, "SuccessfulCreate", message, by=_COMPONENT)
        return pod

    def _end(self, status: dict[str, Any], verdict: tuple[str, str, str], active: list[Object]) -> None:
        kind, reason, message = verdict
        for pod in active:
            self._world.remove(PODS, pod)
        # Each verdict is announced by a condition of its own before the final one, see raw-job of the recordings.
        first = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        status["conditions"] = [
            *status.get("conditions", []),
            self._condition(first, "True", reason, message),
            self._condition(kind, "True", reason, message),
        ]
        if kind == "Complete":
            status["completionTime"] = timestamp(self._world.clock.now())

    def _expire(self, key: ObjectKey, job: Object) -> None:
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return
        now = self._world.clock.elapsed()
        left = self._ended.setdefault(job["metadata"]["uid"], now) + seconds - now
        if left > 0:
            self._world.wake(self, key, left)
        else:
            self._world.remove(JOBS, job)

    @staticmethod
    def _count(status: dict[str, Any], *, active: list[Object], succeeded: int, failed: int) -> None:
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        for name, count in counts.items():
            status.pop(name, None)
            if count:
                status[name] = count
        status["terminating"] = 0
        status["uncountedTerminatedPods"] = {}
        status["ready"] = sum(is_ready(pod) for pod in active)

    def _condition(self, kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
        now = timestamp(self._world.clock.now())
        return {
            "type": kind,
            "status": status,
            "lastProbeTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }


def _is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions", [])
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)
