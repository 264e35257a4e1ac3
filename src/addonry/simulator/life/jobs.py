"""Jobs run Pods until enough of them have succeeded, as Helm's hooks do.

completions, parallelism, completionMode, backoffLimit, activeDeadlineSeconds, suspend and ttlSecondsAfterFinished. Pods
are counted once each: they carry a finalizer until they are, so none is lost that somebody deletes meanwhile.
See https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.life.tally import INDEX, TRACKING, Tally, is_finished
from addonry.simulator.life.world import (
    JOBS,
    PODS,
    RETRY_SECONDS,
    World,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    key_of,
    owner_reference,
)
from addonry.simulator.removal import is_due
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_COMPONENT: Final = "job-controller"
_DEFAULT_BACKOFF: Final = 6
_ANNOUNCEMENTS: Final = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


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
                pods = self._world.store.dependents(change.record.uid)
                return tuple(pod.key for pod in pods if pod.key.resource == PODS.key)
            return (change.record.key,)
        if not is_kind(change, PODS):
            return ()
        owners = self._world.owner_keys(change.record, JOBS)
        if not owners and change.type is not ChangeType.DELETED and TRACKING.encode() in change.record.body:
            return (change.record.key,)  # its Job is gone, and nobody will count it any more
        return owners

    def reconcile(self, key: ObjectKey) -> None:
        found = self._world.get(key)
        if key.resource == PODS.key:
            if found is not None and not self._world.owner_keys_of(found, JOBS):
                self._untrack([found])
        elif found is not None:
            self._sync(key, found)

    def _sync(self, key: ObjectKey, job: Object) -> None:
        pods = self._world.owned(job["metadata"]["uid"], PODS)
        if is_leaving(job):
            self._untrack(pods)
            return
        if _is_finished(job):
            self._untrack(pods)
            self._expire(key, job)
            return
        active = [pod for pod in pods if is_active(pod)]
        if job["spec"].get("suspend"):
            self._suspend(job, pods, active)
            return
        status = self._begun(job)
        tally = Tally.of(job, pods)
        verdict = _announced(status) or self._verdict(key, job, tally, active)
        if verdict is None:
            active += self._start_all(key, job, tally, active)
        else:
            self._announce(status, verdict)
            for pod in active:
                self._world.remove(PODS, pod)
                tally.lose(pod, counts=verdict[0] == "Failed")
            active = []
        leaving = sum(not is_finished(pod) for pod in pods if is_leaving(pod) or pod["metadata"]["uid"] in tally.lost)
        shared = {"terminating": leaving, "ready": sum(is_ready(pod) for pod in active), "active": len(active)}
        if not tally.is_settled:
            # Counted in two steps, as recorded, so that a Pod is never counted twice.
            self._world.set_status(JOBS, job, tally.noted(status) | _filled(shared))
            self._untrack(self._world.owned(job["metadata"]["uid"], PODS), tally.fresh)
        status = tally.counted(status) | _filled(shared)
        if verdict is not None and not leaving:
            # The last word waits for the last Pod.
            self._world.set_status(JOBS, job, status)
            self._conclude(key, job, status, verdict)
        else:
            self._world.set_status(JOBS, job, status)

    def _verdict(self, key: ObjectKey, job: Object, tally: Tally, active: list[Object]) -> tuple[str, str, str] | None:
        """How the Job ends, if it does now."""
        restarts = sum(c.get("restartCount", 0) for pod in active for c in pod["status"].get("containerStatuses", []))
        if tally.succeeded >= job["spec"].get("completions", 1):
            return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
        if tally.failed + restarts > job["spec"].get("backoffLimit", _DEFAULT_BACKOFF):
            return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if self._is_overdue(key, job):
            return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
        return None

    def _conclude(self, key: ObjectKey, job: Object, status: dict[str, Any], verdict: tuple[str, str, str]) -> None:
        kind, reason, message = verdict
        status = {**status, "conditions": [*status["conditions"], self._condition(kind, "True", reason, message)]}
        if kind == "Complete":
            status["completionTime"] = timestamp(self._world.clock.now())
        self._world.set_status(JOBS, job, status)
        word, said = ("Completed", "Job completed") if kind == "Complete" else (reason, message)
        self._world.event(JOBS, job, word, said, by=_COMPONENT, warning=kind == "Failed")
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

    def _suspend(self, job: Object, pods: list[Object], active: list[Object]) -> None:
        for pod in active:
            self._world.remove(PODS, pod)
        self._untrack(pods)
        status = dict(job.get("status") or {})
        known = status.get("conditions", [])
        if not any(c["type"] == "Suspended" and c["status"] == "True" for c in known):
            status["conditions"] = [self._condition("Suspended", "True", "JobSuspended", "Job suspended")]
        for member in ("startTime", "active"):
            status.pop(member, None)
        self._world.set_status(JOBS, job, {**status, "terminating": 0, "ready": 0, "uncountedTerminatedPods": {}})

    def _is_overdue(self, key: ObjectKey, job: Object) -> bool:
        deadline = job["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            return False
        left = self._started[job["metadata"]["uid"]] + deadline - self._world.clock.elapsed()
        if left > 0:
            self._world.wake(self, key, left)
        return bool(left <= 0)

    def _start_all(self, key: ObjectKey, job: Object, tally: Tally, active: list[Object]) -> list[Object]:
        """As many new Pods as admission lets in."""
        started: list[Object] = []
        spec = job["spec"]
        missing = min(spec.get("parallelism", 1), spec.get("completions", 1) - tally.succeeded) - len(active)
        indexes = tally.open_indexes(spec.get("completions", 1), active)
        while len(started) < missing:
            try:
                started.append(self._start(job, next(indexes) if tally.is_indexed else None))
            except ApiError as error:
                self._world.refused(JOBS, job, error, f"Error creating: {error.message}", by=_COMPONENT)
                self._world.wake(self, key, RETRY_SECONDS)
                break
            except StopIteration:
                break
            self._world.admitted(job)
        return started

    def _start(self, job: Object, index: int | None) -> Object:
        template, name = job["spec"]["template"], job["metadata"]["name"]
        about = template.get("metadata") or {}
        labels, annotations = dict(about.get("labels") or {}), dict(about.get("annotations") or {})
        spec = dict(template["spec"])
        if index is not None:
            labels[INDEX] = annotations[INDEX] = str(index)
            spec = _told_its_index(spec) | {"hostname": f"{name}-{index}"}
        metadata: dict[str, Any] = {
            "generateName": f"{name}-" if index is None else f"{name}-{index}-",
            "namespace": job["metadata"]["namespace"],
            "labels": labels,
            **({"annotations": annotations} if annotations else {}),
            "ownerReferences": [owner_reference(JOBS, job)],
            "finalizers": [TRACKING],
        }
        pod = self._world.create(PODS, {"metadata": metadata, "spec": spec})
        message = f"Created pod: {pod['metadata']['name']}"
        self._world.event(JOBS, job, "SuccessfulCreate", message, by=_COMPONENT)
        return pod

    def _untrack(self, pods: Iterable[Object], only: Container[str] | None = None) -> None:
        """Let go of Pods that are counted, or never will be."""
        for pod in pods:
            finalizers = pod["metadata"].get("finalizers") or ()
            if TRACKING not in finalizers or (only is not None and pod["metadata"]["uid"] not in only):
                continue
            rest = [finalizer for finalizer in finalizers if finalizer != TRACKING]
            pod["metadata"].pop("finalizers")
            if rest:
                pod["metadata"]["finalizers"] = rest
            if is_due(PODS, pod):
                self._world.store.remove(key_of(PODS, pod))
            else:
                self._world.put(PODS, pod)

    def _announce(self, status: dict[str, Any], verdict: tuple[str, str, str]) -> None:
        """Each verdict is told by a condition of its own before the last one."""
        if _announced(status) is None:
            kind, reason, message = verdict
            first = self._condition(_ANNOUNCEMENTS[kind], "True", reason, message)
            status["conditions"] = [*status.get("conditions", []), first]

    def _expire(self, key: ObjectKey, job: Object) -> None:
        seconds = job["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return
        now = self._world.clock.elapsed()
        left = self._ended.setdefault(job["metadata"]["uid"], now) + seconds - now
        if left > 0:
            self._world.wake(self, key, left)
        else:
            self._world.remove(JOBS, job, policy="Foreground")

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


def _told_its_index(spec: dict[str, Any]) -> dict[str, Any]:
    reference = {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}
    told = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": reference}}
    return spec | {
        member: [
            container
            if any(env["name"] == told["name"] for env in container.get("env") or ())
            else {**container, "env": [*(container.get("env") or ()), told]}
            for container in spec[member]
        ]
        for member in ("containers", "initContainers")
        if spec.get(member)
    }


def _announced(status: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The verdict that the status tells already, while Pods still end."""
    for kind, announcement in _ANNOUNCEMENTS.items():
        for found in status.get("conditions") or ():
            if found["type"] == announcement and found["status"] == "True":
                return kind, found["reason"], found["message"]
    return None


def _filled(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts as the status holds them: the older ones are left out when zero."""
    return {name: count for name, count in counts.items() if count or name != "active"}


def _is_finished(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions", [])
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)
