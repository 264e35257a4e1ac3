"""ReplicaSets keep as many Pods as they should. Pods that are not ready, and the youngest, go first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from addonry.simulator.clock import timestamp
from addonry.simulator.errors import ApiError
from addonry.simulator.life.world import (
    PODS,
    REPLICA_SETS,
    RETRY_SECONDS,
    World,
    condition,
    is_active,
    is_kind,
    is_leaving,
    is_ready,
    owner_reference,
)
from addonry.simulator.storage import Change, Object, ObjectKey

_COMPONENT: Final = "replicaset-controller"


class ReplicaSets:
    """The ReplicaSet controller."""

    def __init__(self, world: World) -> None:
        self._world = world

    def keys(self, change: Change) -> Iterable[ObjectKey]:
        if is_kind(change, REPLICA_SETS):
            return (change.record.key,)
        return self._world.owner_keys(change.record, REPLICA_SETS) if is_kind(change, PODS) else ()

    def reconcile(self, key: ObjectKey) -> None:
        replica_set = self._world.get(key)
        if replica_set is None:
            return
        pods = self._world.owned(replica_set["metadata"]["uid"], PODS)
        active = [pod for pod in pods if is_active(pod)]
        failure: ApiError | None = None
        if not is_leaving(replica_set):
            failure = self._scale(replica_set, active)
            if failure is not None:
                self._world.wake(self, key, RETRY_SECONDS)
        # The counts are those from before: what was made or removed just now comes to be seen in the next pass.
        leaving = sum(is_leaving(pod) for pod in pods)
        self._report(key, replica_set, active, leaving=leaving, failure=failure)

    def _scale(self, replica_set: Object, active: list[Object]) -> ApiError | None:
        """Make or remove what is missing or too much; what comes back is why a Pod could not be made."""
        wanted = replica_set["spec"].get("replicas", 1)
        for _ in range(wanted - len(active)):
            try:
                pod = self._world.create(PODS, new_pod(replica_set))
            except ApiError as error:
                said = f"Error creating: {error.message}"
                self._world.refused(REPLICA_SETS, replica_set, error, said, by=_COMPONENT)
                return error
            self._world.admitted(replica_set)
            self._tell(replica_set, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        surplus = len(active) - wanted
        if surplus > 0:
            # Not ready before ready, younger before older, as documented for scaling down.
            youngest_first = list(reversed(active))
            order = sorted(youngest_first, key=is_ready)
            for pod in order[:surplus]:
                self._world.remove(PODS, pod)
                self._tell(replica_set, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
        return None

    def _tell(self, replica_set: Object, reason: str, message: str) -> None:
        self._world.event(REPLICA_SETS, replica_set, reason, message, by=_COMPONENT)

    def _report(
        self, key: ObjectKey, replica_set: Object, active: list[Object], *, leaving: int, failure: ApiError | None
    ) -> None:
        labels = replica_set["spec"].get("template", {}).get("metadata", {}).get("labels") or {}
        ready = [pod for pod in active if is_ready(pod)]
        available, wait = available_of(self._world, ready, replica_set["spec"].get("minReadySeconds", 0))
        if wait:
            self._world.wake(self, key, wait)
        status: dict[str, Any] = {"replicas": len(active)}
        full = sum(labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in active)
        counts = {"fullyLabeledReplicas": full, "readyReplicas": len(ready), "availableReplicas": available}
        status |= {name: count for name, count in counts.items() if count}
        status["terminatingReplicas"] = leaving
        status["observedGeneration"] = replica_set["metadata"].get("generation", 1)
        if failure is not None:
            # The first refusal stays; its message names a Pod, and would change with every attempt.
            told = condition(replica_set, "ReplicaFailure") or {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": timestamp(self._world.clock.now()),
                "reason": "FailedCreate",
                "message": failure.message,
            }
            status["conditions"] = [told]
        self._world.set_status(REPLICA_SETS, replica_set, status)


def new_pod(owner: Object) -> Object:
    """A Pod of the ReplicaSet's template."""
    template = owner["spec"]["template"]
    metadata: dict[str, Any] = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [owner_reference(REPLICA_SETS, owner)],
    }
    for member in ("labels", "annotations"):
        if template.get("metadata", {}).get(member):
            metadata[member] = dict(template["metadata"][member])
    return {"metadata": metadata, "spec": dict(template["spec"])}


def available_of(world: World, ready: list[Object], minimum: float) -> tuple[int, float]:
    """How many have been ready for *minimum* seconds, and after how many seconds the next one will have been."""
    now, available, wait = world.clock.elapsed(), 0, 0.0
    for pod in ready:
        since = world.ready_at.get(pod["metadata"]["uid"])
        left = 0.0 if since is None else since + minimum - now
        if left <= 0:
            available += 1
        else:
            wait = min(wait, left) if wait else left
    return available, wait
