"""Deployments: one ReplicaSet for each template, rolled over within maxSurge and maxUnavailable.

Follows what Kubernetes documents and what recordings show: revisions, conditions and their reasons, pausing, progress
deadline, history limit. Rolling back is a client's patch with an old template, which finds its old ReplicaSet again.
See https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from addonry.simulator.clock import timestamp
from addonry.simulator.life.world import (
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    World,
    condition,
    is_kind,
    is_leaving,
    owner_reference,
    scaled,
    template_hash,
)
from addonry.simulator.storage import Change, ChangeType, Object, ObjectKey

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED: Final = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAXIMUM)
_COMPONENT: Final = "deployment-controller"
_DEFAULT_DEADLINE: Final = 600
_DEFAULT_HISTORY: Final = 10


class _Limits(NamedTuple):
    replicas: int
    surge: int
    unavailable: int


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
        if deployment is None or is_leaving(deployment):
            return
        sets = self._world.owned(deployment["metadata"]["uid"], REPLICA_SETS)
        new = _current(deployment, sets)
        old = [s for s in sets if s is not new]
        limits = _limits(deployment)
        if deployment["spec"].get("paused"):
            self._keep_size(deployment, limits, sets)
        else:
            if self._must_wait_for_old(deployment, old):
                self._scale_all(deployment, old, 0, limits)
            else:
                new = self._ensure_new(deployment, new, old, limits)
                if deployment["spec"].get("strategy", {}).get("type") == "Recreate":
                    self._scale(deployment, new, limits.replicas, limits)
                else:
                    self._roll(deployment, new, old, limits)
            self._annotate(deployment, new)
        self._report(key, deployment)

    # ------------------------------------------------------------------ ReplicaSets

    def _ensure_new(self, deployment: Object, new: Object | None, old: list[Object], limits: _Limits) -> Object:
        revision = max((_revision(s) for s in old), default=0) + 1
        if new is not None:
            revision = max(revision, _revision(new))
            self._describe(deployment, new, revision, limits)
            return new
        template, hash_ = _hashed_template(deployment)
        metadata = {
            "name": f"{deployment['metadata']['name']}-{hash_}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": dict(template["metadata"]["labels"]),
            "annotations": _annotations(deployment, revision, limits),
            "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
        }
        selector = dict(deployment["spec"]["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}
        total = sum(s["spec"].get("replicas", 0) for s in old)
        recreate = deployment["spec"].get("strategy", {}).get("type") == "Recreate"
        room = limits.replicas if recreate else max(limits.replicas + limits.surge - total, 0)
        spec: dict[str, Any] = {"replicas": min(room, limits.replicas), "selector": selector, "template": template}
        if deployment["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        made = self._world.create(REPLICA_SETS, {"metadata": metadata, "spec": spec})
        self._moved(deployment)
        self._set_progressing(
            deployment, "True", "NewReplicaSetCreated", f'Created new replica set "{made["metadata"]["name"]}"'
        )
        if spec["replicas"]:
            self._tell_scaled(deployment, made, 0, spec["replicas"])
        return made

    def _describe(self, deployment: Object, replica_set: Object, revision: int, limits: _Limits) -> None:
        """Keep the annotations of the ReplicaSet up to date."""
        wanted = {**(replica_set["metadata"].get("annotations") or {}), **_annotations(deployment, revision, limits)}
        minimum = deployment["spec"].get("minReadySeconds", 0)
        if wanted != replica_set["metadata"].get("annotations") or minimum != replica_set["spec"].get(
            "minReadySeconds", 0
        ):
            replica_set["metadata"]["annotations"] = wanted
            if minimum:
                replica_set["spec"]["minReadySeconds"] = minimum
            else:
                replica_set["spec"].pop("minReadySeconds", None)
            self._put(replica_set)

    def _annotate(self, deployment: Object, new: Object | None) -> None:
        if new is None:
            return
        revision = str(_revision(new))
        annotations = deployment["metadata"].setdefault("annotations", {})
        if annotations.get(REVISION) != revision:
            annotations[REVISION] = revision
            self._world.put(DEPLOYMENTS, deployment)

    def _must_wait_for_old(self, deployment: Object, old: list[Object]) -> bool:
        """Whether this is a Recreate whose old Pods are still there."""
        if deployment["spec"].get("strategy", {}).get("type") != "Recreate":
            return False
        return any(s["spec"].get("replicas") or self._world.owned(s["metadata"]["uid"], PODS) for s in old)

    def _roll(self, deployment: Object, new: Object, old: list[Object], limits: _Limits) -> None:
        total = new["spec"].get("replicas", 0) + sum(s["spec"].get("replicas", 0) for s in old)
        size = new["spec"].get("replicas", 0)
        if size > limits.replicas:
            self._scale(deployment, new, limits.replicas, limits)
        elif size < limits.replicas:
            room = limits.replicas + limits.surge - total
            self._scale(deployment, new, size + max(min(room, limits.replicas - size), 0), limits)
        self._shrink(deployment, new, old, limits)

    def _shrink(self, deployment: Object, new: Object, old: list[Object], limits: _Limits) -> None:
        """Take old replicas away: first those that do not work, then as many as availability allows."""
        filled = [s for s in old if s["spec"].get("replicas")]
        if not filled:
            return
        everything = [new, *filled]
        total = sum(s["spec"].get("replicas", 0) for s in everything)
        minimum = limits.replicas - limits.unavailable
        new_unavailable = new["spec"].get("replicas", 0) - _available(new)
        spare = total - minimum - new_unavailable
        if spare <= 0:
            return  # also while the status of a ReplicaSet still lags behind a size that was just changed
        for replica_set in filled:
            broken = replica_set["spec"]["replicas"] - _available(replica_set)
            taken = max(min(broken, spare), 0)
            if (
                taken
                and replica_set.get("status", {}).get("observedGeneration") == replica_set["metadata"]["generation"]
            ):
                self._scale(deployment, replica_set, replica_set["spec"]["replicas"] - taken, limits)
                spare -= taken
        surplus = min(sum(_available(s) for s in everything) - minimum, spare)
        for replica_set in filled:
            taken = min(surplus, replica_set["spec"]["replicas"])
            if taken > 0:
                self._scale(deployment, replica_set, replica_set["spec"]["replicas"] - taken, limits)
                surplus -= taken

    def _keep_size(self, deployment: Object, limits: _Limits, sets: list[Object]) -> None:
        """A paused rollout still follows a change of size; the ReplicaSet with most Pods takes the difference."""
        filled = [s for s in sets if s["spec"].get("replicas")] or sets[-1:]
        total = sum(s["spec"].get("replicas", 0) for s in sets)
        desired = {(s["metadata"].get("annotations") or {}).get(DESIRED) for s in filled}
        if not filled or desired == {str(limits.replicas)}:
            return
        largest = max(filled, key=lambda s: s["spec"].get("replicas", 0))
        self._scale(deployment, largest, max(largest["spec"].get("replicas", 0) + limits.replicas - total, 0), limits)
        for replica_set in filled:
            self._describe(deployment, replica_set, _revision(replica_set), limits)

    def _scale_all(self, deployment: Object, sets: list[Object], size: int, limits: _Limits) -> None:
        for replica_set in sets:
            self._scale(deployment, replica_set, size, limits)

    def _scale(self, deployment: Object, replica_set: Object, size: int, limits: _Limits) -> None:
        before = replica_set["spec"].get("replicas", 0)
        if before == size:
            return
        replica_set["spec"]["replicas"] = size
        annotations = replica_set["metadata"].setdefault("annotations", {})
        annotations[DESIRED], annotations[MAXIMUM] = str(limits.replicas), str(limits.replicas + limits.surge)
        replica_set["metadata"]["generation"] = replica_set["metadata"].get("generation", 1) + 1
        self._put(replica_set)
        self._tell_scaled(deployment, replica_set, before, size)

    def _put(self, replica_set: Object) -> None:
        self._world.put(REPLICA_SETS, replica_set)

    def _tell_scaled(self, deployment: Object, replica_set: Object, before: int, after: int) -> None:
        word = "up" if after > before else "down"
        message = f"Scaled {word} replica set {replica_set['metadata']['name']} from {before} to {after}"
        self._world.event(DEPLOYMENTS, deployment, "ScalingReplicaSet", message, by=_COMPONENT)

    # ------------------------------------------------------------------ status

    def _report(self, key: ObjectKey, deployment: Object) -> None:
        sets = self._world.owned(deployment["metadata"]["uid"], REPLICA_SETS)
        new = _current(deployment, sets)
        limits = _limits(deployment)
        counts = _counts(sets, new)
        before = deployment.get("status", {})
        status: dict[str, Any] = {"observedGeneration": deployment["metadata"].get("generation", 1)}
        status |= {name: count for name, count in counts.items() if count}
        missing = sum(s["spec"].get("replicas", 0) for s in sets) - counts["availableReplicas"]
        if missing > 0:
            status["unavailableReplicas"] = missing
        status["terminatingReplicas"] = sum(s.get("status", {}).get("terminatingReplicas", 0) for s in sets)
        if "collisionCount" in before:
            status["collisionCount"] = before["collisionCount"]
        status["conditions"] = before.get("conditions", [])
        deployment = {**deployment, "status": status}
        enough = counts["availableReplicas"] >= limits.replicas - limits.unavailable
        self._set_condition(
            deployment,
            "Available",
            "True" if enough else "False",
            "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
            f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        )
        self._pass_on_failure(deployment, sets, new)
        self._judge_progress(key, deployment, before, new, limits)
        stored = self._world.get(key)
        if stored is not None:
            self._world.set_status(DEPLOYMENTS, stored, deployment["status"])
        if new is not None and _is_complete(deployment, limits):
            self._trim(deployment, [s for s in sets if s is not new])

    def _pass_on_failure(self, deployment: Object, sets: list[Object], new: Object | None) -> None:
        """What keeps a ReplicaSet from making Pods is told of the Deployment, too; the new one's comes first."""
        in_order = [*([new] if new is not None else []), *(s for s in sets if s is not new)]
        failure = next((found for s in in_order if (found := condition(s, "ReplicaFailure"))), None)
        if failure is not None:
            self._set_condition(deployment, "ReplicaFailure", "True", failure["reason"], failure["message"])
        else:
            conditions = deployment["status"]["conditions"]
            deployment["status"]["conditions"] = [c for c in conditions if c["type"] != "ReplicaFailure"]

    def _judge_progress(
        self, key: ObjectKey, deployment: Object, before: dict[str, Any], new: Object | None, limits: _Limits
    ) -> None:
        """The Progressing condition: created, updated, complete, paused or out of time."""
        uid, status = deployment["metadata"]["uid"], deployment["status"]
        name = new["metadata"]["name"] if new is not None else deployment["metadata"]["name"]
        what = f'ReplicaSet "{name}"' if new is not None else f'Deployment "{name}"'
        found = condition(deployment, "Progressing")
        reason = found["reason"] if found else ""
        if deployment["spec"].get("paused"):
            if reason != "DeploymentPaused":
                self._set_progressing(deployment, "Unknown", "DeploymentPaused", "Deployment is paused")
            self._moved(deployment)
            return
        if reason == "DeploymentPaused":
            self._set_progressing(deployment, "Unknown", "DeploymentResumed", "Deployment is resumed")
            reason = "DeploymentResumed"
        was_complete = reason == "NewReplicaSetAvailable"
        if was_complete and not _is_rolling(status, new):
            return  # only its size changes; that is no rollout
        if was_complete:
            self._moved(deployment)
            self._set_progressing(deployment, "True", "FoundNewReplicaSet", f"Found new replica set {what[11:]}")
        if _is_complete(deployment, limits):
            if new is not None:
                self._set_progressing(
                    deployment, "True", "NewReplicaSetAvailable", f"{what} has successfully progressed."
                )
                self._moved(deployment)
            return
        if _got_on(before, status):
            self._moved(deployment)
            self._set_progressing(deployment, "True", "ReplicaSetUpdated", f"{what} is progressing.")
            reason = "ReplicaSetUpdated"
        deadline = float(deployment["spec"].get("progressDeadlineSeconds", _DEFAULT_DEADLINE))
        left = self._progress.setdefault(uid, self._world.clock.elapsed()) + deadline - self._world.clock.elapsed()
        if left <= 0 or reason == "ProgressDeadlineExceeded":
            message = f"{what} has timed out progressing."
            self._set_progressing(deployment, "False", "ProgressDeadlineExceeded", message)
        else:
            self._world.wake(self, key, left)

    def _moved(self, deployment: Object) -> None:
        self._progress[deployment["metadata"]["uid"]] = self._world.clock.elapsed()

    def _set_progressing(self, deployment: Object, status: str, reason: str, message: str) -> None:
        self._set_condition(deployment, "Progressing", status, reason, message)

    def _set_condition(self, deployment: Object, kind: str, status: str, reason: str, message: str) -> None:
        conditions: list[dict[str, Any]] = deployment.setdefault("status", {}).get("conditions", [])
        old = next((c for c in conditions if c["type"] == kind), None)
        if old is not None and (old["status"], old["reason"], old["message"]) == (status, reason, message):
            return
        now = timestamp(self._world.clock.now())
        since = old["lastTransitionTime"] if old is not None and old["status"] == status else now
        made = {
            "type": kind,
            "status": status,
            "lastUpdateTime": now,
            "lastTransitionTime": since,
            "reason": reason,
            "message": message,
        }
        deployment["status"]["conditions"] = [*(c for c in conditions if c is not old), made]

    def _trim(self, deployment: Object, old: list[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", _DEFAULT_HISTORY)
        empty = [s for s in old if not s["spec"].get("replicas") and not s.get("status", {}).get("replicas")]
        for replica_set in sorted(empty, key=_revision)[: max(len(empty) - limit, 0)]:
            self._world.remove(REPLICA_SETS, replica_set)


# ---------------------------------------------------------------------- readings


def _hashed_template(deployment: Object) -> tuple[Object, str]:
    template = deployment["spec"]["template"]
    hash_ = template_hash(template)
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: hash_}
    return {**template, "metadata": metadata}, hash_


def _current(deployment: Object, sets: list[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's template."""
    name = f"{deployment['metadata']['name']}-{template_hash(deployment['spec']['template'])}"
    return next((s for s in sets if s["metadata"]["name"] == name), None)


def _limits(deployment: Object) -> _Limits:
    spec = deployment["spec"]
    replicas = spec.get("replicas", 1)
    strategy = spec.get("strategy", {})
    if strategy.get("type") == "Recreate":
        return _Limits(replicas, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1  # or nothing could ever move
    return _Limits(replicas, surge, min(unavailable, replicas))


def _annotations(deployment: Object, revision: int, limits: _Limits) -> dict[str, str]:
    own = deployment["metadata"].get("annotations") or {}
    copied = {name: value for name, value in own.items() if name not in _NOT_COPIED}
    return {
        **copied,
        DESIRED: str(limits.replicas),
        MAXIMUM: str(limits.replicas + limits.surge),
        REVISION: str(revision),
    }


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def _available(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def _counts(sets: list[Object], new: Object | None) -> dict[str, int]:
    def total(member: str) -> int:
        return sum(s.get("status", {}).get(member, 0) for s in sets)

    return {
        "replicas": total("replicas"),
        "updatedReplicas": new.get("status", {}).get("replicas", 0) if new is not None else 0,
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": total("availableReplicas"),
    }


def _is_complete(deployment: Object, limits: _Limits) -> bool:
    status = deployment["status"]
    members = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(member, 0) == limits.replicas for member in members)


def _is_rolling(status: dict[str, Any], new: Object | None) -> bool:
    return new is None or status.get("updatedReplicas", 0) < status.get("replicas", 0)


def _got_on(before: dict[str, Any], now: dict[str, Any]) -> bool:
    def old_replicas(status: dict[str, Any]) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return any(now.get(m, 0) > before.get(m, 0) for m in grown) or old_replicas(now) < old_replicas(before)
