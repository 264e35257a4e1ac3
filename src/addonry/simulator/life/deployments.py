"""Deployments: one ReplicaSet for each template, rolled over within maxSurge and maxUnavailable.

Follows the Deployment controller step by step, because clients see its steps: each pass does one thing (sizes the new
ReplicaSet, or the old ones, or all of them after a change of size) and then writes the status; what it has written
brings about the next pass. Rolling back is a client's patch with an old template, which finds its old ReplicaSet again.
See https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.life.deployment_sets import (
    REVISION,
    Limits,
    active,
    available,
    current,
    describe,
    desired,
    grown,
    is_recreate,
    is_saturated,
    limits_of,
    made_for,
    note_size,
    proportions,
    revision,
    size,
)
from addonry.simulator.life.world import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    World,
    condition,
    is_kind,
    is_leaving,
    since,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

_COMPONENT: Final = "deployment-controller"
_NO_DEADLINE: Final = 2**31 - 1
_DEFAULT_HISTORY: Final = 10


class Deployments:
    """The Deployment controller."""

    def __init__(self, world: World) -> None:
        self._world = world
        # When a rollout last got on, in simulated seconds; timestamps in the status are too coarse and real.
        self._progress: dict[str, float] = {}

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, DEPLOYMENTS):
            if change.type is ChangeType.DELETED:
                self._progress.pop(change.record.uid, None)
                return ()
            return (change.record.key,)
        if is_kind(change, REPLICA_SETS):
            return self._world.owner_keys(change.record, DEPLOYMENTS)
        if is_kind(change, PODS) and change.type is ChangeType.DELETED:
            # Recreate waits until the last old Pod has gone.
            found = []
            for key in self._world.owner_keys(change.record, REPLICA_SETS):
                if record := self._world.store.get(key):
                    found += self._world.owner_keys(record, DEPLOYMENTS)
            return found
        return ()

    def reconcile(self, key: ObjectKey) -> None:
        deployment = self._world.get(key)
        if deployment is None:
            return
        rollout = _Rollout(self._world, deployment)
        if is_leaving(deployment):
            self._report(rollout)
            return
        self._note_pause(rollout)
        if deployment["spec"].get("paused") or _is_resized(rollout):
            self._resize(rollout)
        elif is_recreate(deployment):
            self._recreate(rollout)
            self._report_rollout(key, rollout)
        else:
            self._roll(rollout)
            self._report_rollout(key, rollout)

    # ------------------------------------------------------------------ one step of a rollout

    def _resize(self, rollout: _Rollout) -> None:
        """A change of size, also of a paused Deployment or in the middle of a rollout."""
        if rollout.new is not None:
            self._keep_described(rollout)
        filled = active(rollout.sets)
        newest = rollout.new or max(rollout.old, key=_age, default=None)
        limits = rollout.limits
        if len(filled) < 2:
            target = filled[0] if filled else newest
            if target is not None and size(target) != limits.replicas:
                self._size(rollout, target, limits.replicas)
        elif is_saturated(rollout.new, limits):
            for replica_set in active(rollout.old):
                self._size(rollout, replica_set, 0)
        elif not is_recreate(rollout.deployment):
            running = int(rollout.deployment.get("status", {}).get("replicas", 0))
            sizes = proportions(filled, limits, running=running)
            for replica_set in filled:
                self._size(rollout, replica_set, sizes[replica_set["metadata"]["name"]], always_note=True)
        if rollout.deployment["spec"].get("paused"):
            self._trim(rollout)
        self._report(rollout)

    def _recreate(self, rollout: _Rollout) -> None:
        if rollout.new is not None:
            self._keep_described(rollout)
        filled = active(rollout.old)
        for replica_set in filled:
            self._size(rollout, replica_set, 0)
        if filled or any(rollout.pods_of(replica_set) for replica_set in rollout.old):
            return
        self._ensure_new(rollout)
        assert rollout.new is not None
        if not self._size(rollout, rollout.new, rollout.limits.replicas):
            self._trim_when_complete(rollout)

    def _roll(self, rollout: _Rollout) -> None:
        self._ensure_new(rollout)
        assert rollout.new is not None
        limits, new = rollout.limits, rollout.new
        wanted = limits.replicas if size(new) > limits.replicas else grown(new, rollout.sets, limits)
        if self._size(rollout, new, wanted) or self._shrink(rollout, new):
            return
        self._trim_when_complete(rollout)

    def _shrink(self, rollout: _Rollout, new: Object) -> bool:
        """Take old replicas away, first those that do not work, then as many as availability allows; whether it did."""
        limits = rollout.limits
        filled = sorted(active(rollout.old), key=_age)
        total = sum(size(s) for s in (new, *filled))
        spare = total - limits.minimum - (size(new) - available(new))
        if not filled or spare <= 0:
            return False
        taken = 0
        for replica_set in filled:
            broken = min(spare - taken, size(replica_set) - available(replica_set))
            if broken < 0:
                return False  # its status still tells of Pods that are going; it comes again
            self._size(rollout, replica_set, size(replica_set) - broken)
            taken += broken
        surplus = sum(available(s) for s in (new, *filled)) - limits.minimum
        for replica_set in filled:
            part = min(surplus, size(replica_set))
            if part > 0:
                self._size(rollout, replica_set, size(replica_set) - part)
                surplus -= part
                taken += part
        return taken > 0

    # ------------------------------------------------------------------ ReplicaSets

    def _ensure_new(self, rollout: _Rollout) -> None:
        """Make the ReplicaSet of the present template, or keep up what it says; and the Deployment's revision."""
        if rollout.new is not None:
            self._keep_described(rollout)
            return
        made = self._world.create(REPLICA_SETS, made_for(rollout.deployment, rollout.old, rollout.limits))
        name = made["metadata"]["name"]
        if size(made):
            self._tell_sized(rollout, name, 0, size(made))
        rollout.new = made
        if _deadline(rollout.deployment) is not None:
            self._set_progressing(
                rollout.deployment, "True", "NewReplicaSetCreated", f'Created new replica set "{name}"'
            )
        self._write_revision(rollout, is_news=True)

    def _keep_described(self, rollout: _Rollout) -> None:
        deployment, new = rollout.deployment, rollout.new
        assert new is not None
        if describe(deployment, new, rollout.old):
            self._world.put(REPLICA_SETS, new)
        is_news = _deadline(deployment) is not None and condition(deployment, "Progressing") is None
        if is_news:
            found = f'Found new replica set "{new["metadata"]["name"]}"'
            self._set_progressing(deployment, "True", "FoundNewReplicaSet", found)
        self._write_revision(rollout, is_news=is_news)

    def _write_revision(self, rollout: _Rollout, *, is_news: bool) -> None:
        """Number the Deployment like its new ReplicaSet, and write what its conditions have become."""
        assert rollout.new is not None
        metadata, number = rollout.deployment["metadata"], str(revision(rollout.new))
        if not is_news and (metadata.get("annotations") or {}).get(REVISION) == number:
            return
        metadata["annotations"] = {**(metadata.get("annotations") or {}), REVISION: number}
        self._world.put(DEPLOYMENTS, rollout.deployment)

    def _size(self, rollout: _Rollout, replica_set: Object, wanted: int, *, always_note: bool = False) -> bool:
        """Write the size of a ReplicaSet; whether it is another one."""
        before = size(replica_set)
        if before == wanted and not always_note:
            return False
        if not note_size(replica_set, rollout.limits) and before == wanted:
            return False
        if before != wanted:
            replica_set["spec"]["replicas"] = wanted
            replica_set["metadata"]["generation"] = replica_set["metadata"].get("generation", 1) + 1
        self._world.put(REPLICA_SETS, replica_set)
        if before != wanted:
            self._tell_sized(rollout, replica_set["metadata"]["name"], before, wanted)
        return before != wanted

    def _tell_sized(self, rollout: _Rollout, name: str, before: int, after: int) -> None:
        word = "up" if after > before else "down"
        message = f"Scaled {word} replica set {name} from {before} to {after}"
        self._world.event(DEPLOYMENTS, rollout.deployment, "ScalingReplicaSet", message, by=_COMPONENT)

    def _trim_when_complete(self, rollout: _Rollout) -> None:
        if _is_complete(rollout.deployment, rollout.deployment.get("status", {}), rollout.limits):
            self._trim(rollout)

    def _trim(self, rollout: _Rollout) -> None:
        """Forget the oldest ReplicaSets beyond the history limit, unless they still have Pods."""
        limit = rollout.deployment["spec"].get("revisionHistoryLimit", _DEFAULT_HISTORY)
        alive = sorted((s for s in rollout.old if not is_leaving(s)), key=revision)
        for replica_set in alive[: max(len(alive) - limit, 0)]:
            status = replica_set.get("status", {})
            is_seen = status.get("observedGeneration", 0) >= replica_set["metadata"].get("generation", 1)
            if not size(replica_set) and not status.get("replicas") and is_seen:
                self._world.remove(REPLICA_SETS, replica_set)

    # ------------------------------------------------------------------ status

    def _note_pause(self, rollout: _Rollout) -> None:
        """The Progressing condition says when a rollout is paused, and when it goes on."""
        deployment = rollout.deployment
        found = condition(deployment, "Progressing")
        if _deadline(deployment) is None or (found is not None and found["reason"] == "ProgressDeadlineExceeded"):
            return
        was_paused = found is not None and found["reason"] == "DeploymentPaused"
        if deployment["spec"].get("paused") and not was_paused:
            self._set_progressing(deployment, "Unknown", "DeploymentPaused", "Deployment is paused")
        elif was_paused and not deployment["spec"].get("paused"):
            self._set_progressing(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed")
        else:
            return
        self._world.put(DEPLOYMENTS, deployment)

    def _report(self, rollout: _Rollout) -> None:
        """Write the counts, without a judgement of progress."""
        self._world.set_status(DEPLOYMENTS, rollout.deployment, self._status(rollout))

    def _report_rollout(self, key: ObjectKey, rollout: _Rollout) -> None:
        """Write the counts, and how the rollout gets on."""
        shown = {**rollout.deployment, "status": self._status(rollout)}
        before = rollout.deployment.get("status", {})
        left = self._judge_progress(shown, before, rollout)
        self._pass_on_failure(shown, rollout)
        if not self._world.set_status(DEPLOYMENTS, rollout.deployment, shown["status"]) and left is not None:
            self._world.wake(self, key, max(left, 0.0))

    def _status(self, rollout: _Rollout) -> dict[str, Any]:
        deployment, sets, limits = rollout.deployment, rollout.sets, rollout.limits
        before = deployment.get("status", {})

        def total(member: str) -> int:
            return sum(s.get("status", {}).get(member, 0) for s in sets)

        ready = total("availableReplicas")
        counts = {
            "replicas": total("replicas"),
            "updatedReplicas": (rollout.new or {}).get("status", {}).get("replicas", 0),
            "readyReplicas": total("readyReplicas"),
            "availableReplicas": ready,
            "unavailableReplicas": max(sum(size(s) for s in sets) - ready, 0),
        }
        status: dict[str, Any] = {"observedGeneration": deployment["metadata"].get("generation", 1)}
        status |= {name: count for name, count in counts.items() if count}
        status["terminatingReplicas"] = total("terminatingReplicas")
        if "collisionCount" in before:
            status["collisionCount"] = before["collisionCount"]
        status["conditions"] = list(before.get("conditions", []))
        enough = ready >= limits.minimum
        self._set_condition(
            {"status": status},
            "Available",
            "True" if enough else "False",
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        )
        return status

    def _judge_progress(self, shown: Object, before: dict[str, Any], rollout: _Rollout) -> float | None:
        """Set the Progressing condition; how many seconds are left until the rollout runs out of time, if it may."""
        deadline, status = _deadline(shown), shown["status"]
        if deadline is None:
            status["conditions"] = [c for c in status["conditions"] if c["type"] != "Progressing"]
            return None
        found = condition(rollout.deployment, "Progressing")
        reason = found["reason"] if found else ""
        is_at_rest = status.get("replicas", 0) == status.get("updatedReplicas", 0)
        if is_at_rest and reason == "NewReplicaSetAvailable":
            return None  # only its size changes; that is no rollout
        new = rollout.new
        what = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{shown["metadata"]["name"]}"'
        uid, now = shown["metadata"]["uid"], self._world.clock.elapsed()
        if _is_complete(shown, status, rollout.limits):
            self._set_progressing(shown, "True", "NewReplicaSetAvailable", f"{what} has successfully progressed.")
            return None
        if _got_on(before, status):
            self._set_progressing(shown, "True", "ReplicaSetUpdated", f"{what} is progressing.", again=True)
            return deadline
        if reason == "NewReplicaSetAvailable":
            return None
        left = self._progress.setdefault(uid, now) + deadline - now
        if left <= 0 or reason == "ProgressDeadlineExceeded":
            self._set_progressing(shown, "False", "ProgressDeadlineExceeded", f"{what} has timed out progressing.")
            return None
        return left

    def _pass_on_failure(self, shown: Object, rollout: _Rollout) -> None:
        """What keeps a ReplicaSet from making Pods is told of the Deployment, too; the new one's comes first."""
        in_order = [*([rollout.new] if rollout.new is not None else []), *rollout.old]
        failure = next((found for s in in_order if (found := condition(s, "ReplicaFailure"))), None)
        if failure is not None:
            self._set_condition(shown, "ReplicaFailure", "True", failure["reason"], failure["message"])
        else:
            kept = [c for c in shown["status"]["conditions"] if c["type"] != "ReplicaFailure"]
            shown["status"]["conditions"] = kept

    def _set_progressing(
        self, deployment: Object, status: str, reason: str, message: str, *, again: bool = False
    ) -> None:
        if uid := deployment["metadata"].get("uid"):
            self._progress[uid] = self._world.clock.elapsed()
        self._set_condition(deployment, "Progressing", status, reason, message, again=again)

    def _set_condition(
        self, deployment: Object, kind: str, status: str, reason: str, message: str, *, again: bool = False
    ) -> None:
        """Add or replace a condition; one of the same reason stays as it is, but for progress made *again*."""
        conditions: list[dict[str, Any]] = deployment.setdefault("status", {}).get("conditions", [])
        old = next((c for c in conditions if c["type"] == kind), None)
        if old is not None and (old["status"], old["reason"]) == (status, reason) and not again:
            return
        now = timestamp(self._world.clock.now())
        made = {
            "type": kind,
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": since(old, status, now),
            "reason": reason,
            "message": message,
        }
        deployment["status"]["conditions"] = [*(c for c in conditions if c is not old), made]


class _Rollout:
    """A Deployment with its ReplicaSets, as one pass of the controller sees them."""

    def __init__(self, world: World, deployment: Object) -> None:
        self._world = world
        self.deployment = deployment
        found = world.owned(deployment["metadata"]["uid"], REPLICA_SETS)
        self.new = current(deployment, found)
        self.old = [s for s in found if s is not self.new]
        self.limits: Limits = limits_of(deployment)

    @property
    def sets(self) -> list[Object]:
        return [*self.old, *([self.new] if self.new is not None else [])]

    def pods_of(self, replica_set: Object) -> list[Object]:
        """Its Pods that have not come to their end, those on their way out included."""
        pods = self._world.owned(replica_set["metadata"]["uid"], PODS)
        return [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]


def _is_resized(rollout: _Rollout) -> bool:
    """Whether ReplicaSets with Pods were sized for another number of replicas."""
    noted = (desired(replica_set) for replica_set in active(rollout.sets))
    return any(number is not None and number != rollout.limits.replicas for number in noted)


def _deadline(deployment: Object) -> float | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == _NO_DEADLINE else float(seconds)


def _age(replica_set: Object) -> tuple[str, int]:
    # Timestamps have one second of resolution; of two in one second the later has the higher revision.
    return replica_set["metadata"]["creationTimestamp"], revision(replica_set)


def _is_complete(deployment: Object, status: dict[str, Any], limits: Limits) -> bool:
    members = ("updatedReplicas", "replicas", "availableReplicas")
    is_seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    return is_seen and all(status.get(member, 0) == limits.replicas for member in members)


def _got_on(before: dict[str, Any], now: dict[str, Any]) -> bool:
    def old_replicas(status: dict[str, Any]) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(now.get(m, 0) > before.get(m, 0) for m in more) or old_replicas(now) < old_replicas(before)
