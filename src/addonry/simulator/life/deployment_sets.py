"""The ReplicaSets of a Deployment: which is the new one, what each carries along, and how large each should be.

Plain functions over objects, without a cluster. The rules are those of the Deployment controller, see
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling and #revision-history-limit
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from addonry.simulator.life.world import DEPLOYMENTS, owner_reference, scaled, template_hash
from addonry.simulator.storage import Object

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
HISTORY: Final = "deployment.kubernetes.io/revision-history"
DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"
_NOT_COPIED: Final = frozenset(
    ("kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED, MAXIMUM)
)
_HISTORY_LENGTH: Final = 2000


class Limits(NamedTuple):
    """How many replicas there should be, and how far a rollout may go beyond and below."""

    replicas: int
    surge: int
    unavailable: int

    @property
    def maximum(self) -> int:
        return self.replicas + self.surge

    @property
    def minimum(self) -> int:
        return self.replicas - self.unavailable


def limits_of(deployment: Object) -> Limits:
    """The limits that the strategy of the Deployment sets."""
    replicas = deployment["spec"].get("replicas", 1)
    if is_recreate(deployment):
        return Limits(replicas, 0, 0)
    rolling = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    if not surge and not unavailable:
        unavailable = 1  # or nothing could ever move
    return Limits(replicas, surge, min(unavailable, replicas))


def is_recreate(deployment: Object) -> bool:
    return bool(deployment["spec"].get("strategy", {}).get("type") == "Recreate")


# ---------------------------------------------------------------------- readings


def size(replica_set: Object) -> int:
    """How many Pods it should have."""
    return int(replica_set["spec"].get("replicas", 0))


def available(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("availableReplicas", 0))


def revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def desired(replica_set: Object) -> int | None:
    """How many replicas the Deployment had when this one was last sized; None when nobody noted it."""
    noted = (replica_set["metadata"].get("annotations") or {}).get(DESIRED, "")
    return int(noted) if noted.isdigit() else None


def active(sets: Iterable[Object]) -> list[Object]:
    return [s for s in sets if size(s)]


def current(deployment: Object, sets: Iterable[Object]) -> Object | None:
    """The ReplicaSet of the Deployment's template."""
    name = f"{deployment['metadata']['name']}-{template_hash(deployment['spec']['template'])}"
    return next((s for s in sets if s["metadata"]["name"] == name), None)


def is_saturated(new: Object | None, limits: Limits) -> bool:
    """Whether the new ReplicaSet does the whole work."""
    return new is not None and {size(new), desired(new), available(new)} == {limits.replicas}


# ---------------------------------------------------------------------- making and describing


def made_for(deployment: Object, old: Sequence[Object], limits: Limits) -> Object:
    """A new ReplicaSet for the Deployment's template."""
    template = deployment["spec"]["template"]
    hash_ = template_hash(template)
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: hash_}
    selector = dict(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: hash_}
    total = sum(size(s) for s in old)
    room = limits.replicas if is_recreate(deployment) else max(limits.maximum - total, 0)
    spec: dict[str, Any] = {
        "replicas": min(room, limits.replicas),
        "selector": selector,
        "template": {**template, "metadata": metadata},
    }
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    made: Object = {
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{hash_}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": dict(metadata["labels"]),
            "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
        },
        "spec": spec,
    }
    describe(deployment, made, old)
    note_size(made, limits)
    return made


def describe(deployment: Object, new: Object, old: Iterable[Object]) -> bool:
    """Give the new ReplicaSet the Deployment's annotations and the highest revision; whether that changed it.

    A ReplicaSet that was the new one before keeps its earlier revisions as history.
    """
    annotations = dict(new["metadata"].get("annotations") or {})
    own = deployment["metadata"].get("annotations") or {}
    annotations |= {name: value for name, value in own.items() if name not in _NOT_COPIED}
    number = max((revision(s) for s in old), default=0) + 1
    before = revision(new)
    if before < number:
        if before:
            annotations[HISTORY] = _appended(annotations.get(HISTORY, ""), str(before))
        annotations[REVISION] = str(number)
    changed = annotations != (new["metadata"].get("annotations") or {})
    new["metadata"]["annotations"] = annotations
    wait = deployment["spec"].get("minReadySeconds", 0)
    if new["spec"].get("minReadySeconds", 0) != wait:
        new["spec"]["minReadySeconds"] = wait
        changed = True
    if not wait:
        new["spec"].pop("minReadySeconds", None)
    return changed


def _appended(history: str, number: str) -> str:
    known = [part for part in history.split(",") if part]
    while known and len(",".join((*known, number))) > _HISTORY_LENGTH:
        known.pop(0)
    return ",".join((*known, number))


def note_size(replica_set: Object, limits: Limits) -> bool:
    """Note what the Deployment's size is, for proportions later on; whether that is news."""
    annotations = dict(replica_set["metadata"].get("annotations") or {})
    noted = {**annotations, DESIRED: str(limits.replicas), MAXIMUM: str(limits.maximum)}
    replica_set["metadata"]["annotations"] = noted
    return noted != annotations


# ---------------------------------------------------------------------- sizes


def grown(new: Object, everything: Iterable[Object], limits: Limits) -> int:
    """How large the new ReplicaSet of a rolling update may be by now."""
    total = sum(size(s) for s in everything)
    return size(new) + max(min(limits.maximum - total, limits.replicas - size(new)), 0)


def proportions(sets: list[Object], limits: Limits, *, running: int) -> dict[str, int]:
    """The sizes, by name, after a change of the Deployment's size in the middle of a rollout."""
    allowed = limits.maximum if limits.replicas else 0
    difference = allowed - sum(size(s) for s in sets)
    grows = difference > 0
    ages = sorted(sets, key=lambda s: (s["metadata"].get("creationTimestamp", ""), revision(s)), reverse=grows)
    ordered = sorted(ages, key=size, reverse=True)
    sizes: dict[str, int] = {}
    left = difference
    for replica_set in ordered:
        share = _share(replica_set, limits, running) if left else 0
        share = min(share, left) if grows else max(share, left)
        sizes[replica_set["metadata"]["name"]] = size(replica_set) + share
        left -= share
    if ordered:
        largest = ordered[0]["metadata"]["name"]
        sizes[largest] = max(sizes[largest] + left, 0)
    return sizes


def _share(replica_set: Object, limits: Limits, running: int) -> int:
    if not limits.replicas:
        return -size(replica_set)
    noted = (replica_set["metadata"].get("annotations") or {}).get(MAXIMUM, "")
    before = int(noted) if noted.isdigit() and int(noted) else running
    if not before:
        return 0
    return int(size(replica_set) * limits.maximum / before + 0.5) - size(replica_set)
