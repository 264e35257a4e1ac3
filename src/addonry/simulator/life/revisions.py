"""ControllerRevisions: the templates a StatefulSet or DaemonSet has had, by which clients show and undo rollouts."""

from __future__ import annotations

from typing import Any, Final

from addonry.simulator.life.world import DAEMON_SETS, REVISIONS, World, owner_reference, template_hash
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Object

HASH_LABEL: Final = "controller-revision-hash"  # of Pods, and of the revisions of a DaemonSet
_OTHER_HASH_LABEL: Final = "controller.kubernetes.io/hash"
_DEFAULT_HISTORY: Final = 10


def name_of(workload: Object) -> str:
    """The name of the revision of the workload's present template."""
    return f"{workload['metadata']['name']}-{template_hash(workload['spec']['template'])}"


def record(world: World, resource: Resource, workload: Object) -> str:
    """Make sure the present template has a revision, and that it is the newest; its name."""
    name = name_of(workload)
    known = world.owned(workload["metadata"]["uid"], REVISIONS)
    newest = max((revision["revision"] for revision in known), default=0)
    found = next((revision for revision in known if revision["metadata"]["name"] == name), None)
    if found is None:
        world.create(REVISIONS, _revision(resource, workload, name, newest + 1))
        _trim(world, workload, known, keep=name)
    elif found["revision"] != newest:
        found["revision"] = newest + 1
        world.put(REVISIONS, found)
    return name


def template(world: World, workload: Object, name: str) -> Object:
    """The template of a revision; the present one when that revision is not known any more."""
    for revision in world.owned(workload["metadata"]["uid"], REVISIONS):
        if revision["metadata"]["name"] == name:
            return {key: value for key, value in revision["data"]["spec"]["template"].items() if key != "$patch"}
    present: Object = workload["spec"]["template"]
    return present


def _revision(resource: Resource, workload: Object, name: str, number: int) -> Object:
    labels: dict[str, Any] = dict(workload["spec"]["template"].get("metadata", {}).get("labels") or {})
    labels[HASH_LABEL if resource == DAEMON_SETS else _OTHER_HASH_LABEL] = name.rpartition("-")[2]
    metadata = {
        "name": name,
        "namespace": workload["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [owner_reference(resource, workload)],
    }
    if annotations := workload["metadata"].get("annotations"):
        metadata["annotations"] = dict(annotations)
    return {
        "metadata": metadata,
        "data": {"spec": {"template": {**workload["spec"]["template"], "$patch": "replace"}}},
        "revision": number,
    }


def _trim(world: World, workload: Object, known: list[Object], *, keep: str) -> None:
    limit = workload["spec"].get("revisionHistoryLimit", _DEFAULT_HISTORY)
    in_use = {keep, workload.get("status", {}).get("currentRevision")}
    spare = sorted((r for r in known if r["metadata"]["name"] not in in_use), key=lambda r: r["revision"])
    for revision in spare[: max(len(spare) - limit, 0)]:
        world.remove(REVISIONS, revision)
