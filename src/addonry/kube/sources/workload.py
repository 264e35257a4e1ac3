"""The source of components that are plain workloads: a Deployment, DaemonSet or StatefulSet that no Helm release owns.

Nothing but the image of one container is changed, by a strategic merge patch: it names the container and leaves
everything else, whoever wrote it, alone. The patch says which task did it, in an annotation of the workload and not of
its pod template, which would start a rollout of its own.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from addonry.kube import DryRun, KubeSettings, Mode, Preview, Target
from addonry.kube.api import Api
from addonry.kube.inventory import found_workload
from addonry.model.components import Found, ObjectRef, Placement
from addonry.model.errors import ClusterRejected
from addonry.model.ids import TaskId
from addonry.model.tasks import Snapshot

FIELD_MANAGER: Final = "addonry"
TASK: Final = "addonry.io/task"

_API: Final = "apps/v1"
_PLURALS: Final = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}


class WorkloadSource:
    """See the module. Implements ``Source``."""

    def __init__(self, api: Api, settings: KubeSettings, kubeconfig: str) -> None:
        # Asked for by every source's constructor; this one starts no processes.
        del settings, kubeconfig
        self._api = api

    async def find(self, placement: Placement) -> Found | None:
        """See ``Source``."""
        workload = await self._get(placement)
        return None if workload is None else found_workload(workload)

    async def owned(self, placement: Placement) -> tuple[ObjectRef, ...]:
        """See ``Source``: the workload itself."""
        workload = await self._get(placement)
        return () if workload is None else (ObjectRef(_API, placement.kind, placement.namespace, placement.name),)

    async def render(self, placement: Placement, target: Target) -> str:
        """See ``Source``: what would be sent."""
        workload = await self._there(placement)
        return json.dumps(_patch(_wanted(workload, target)), indent=2)

    async def dry_run(self, placement: Placement, target: Target, *, manifest: str = "") -> DryRun:
        """See ``Source``. A conflict is an image that another manager has set since we last did."""
        del manifest  # the patch is made of the workload as it is now
        workload = await self._there(placement)
        wanted = _wanted(workload, target)
        await self._send(placement, _patch(wanted), dry_run=True)
        return DryRun(1, _owners(workload, wanted))

    async def preview(self, placement: Placement, target: Target, *, manifest: str = "") -> Preview:
        """See ``Source``; nothing is said of what is not changed."""
        del manifest  # the patch is made of the workload as it is now
        workload = await self._there(placement)
        wanted = _wanted(workload, target)
        present = {name: image for name, image in _images(workload).items() if name in wanted}
        before, after = ({**_head(placement), **_patch(images)} for images in (present, wanted))
        return Preview((before,), (after,), Mode.PATCH)

    async def snapshot(self, placement: Placement) -> Snapshot:
        """See ``Source``: the image of every container."""
        workload = await self._get(placement)
        if workload is None:
            return Snapshot()
        return Snapshot(images=_images(workload), version=found_workload(workload).version)

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """See ``Source``."""
        del snapshot  # the present image says all that a repeated run needs to know
        workload = await self._there(placement)
        await self._change(placement, workload, _wanted(workload, target), task)

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """See ``Source``. Containers that have gone since are left alone, and so are new ones."""
        if not snapshot.images:
            return  # there was nothing, and this source creates nothing
        workload = await self._there(placement)
        present = _images(workload)
        wanted = {name: image for name, image in snapshot.images.items() if name in present}
        await self._change(placement, workload, wanted, task)

    async def uninstall(self, placement: Placement, *, task: TaskId) -> None:
        """See ``Source``. Refused: what belongs to it beside the workload (roles, services, settings) is not known."""
        del task
        raise ClusterRejected(
            f"{placement.kind} {placement.name} was not installed by Helm, so nobody has recorded what belongs to it.",
            remedy=f"Remove it the way it was installed, or with kubectl -n {placement.namespace} delete.",
        )

    async def _change(
        self, placement: Placement, workload: Mapping[str, Any], wanted: Mapping[str, str], task: TaskId
    ) -> None:
        present = _images(workload)
        if all(present[name] == image for name, image in wanted.items()):
            return
        await self._send(placement, _patch(wanted, task=task))

    async def _send(self, placement: Placement, patch: Mapping[str, Any], *, dry_run: bool = False) -> None:
        params = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        await self._api.patch(_path(placement), dict(patch), kind="strategic", params=params)

    async def _get(self, placement: Placement) -> dict[str, Any] | None:
        found: dict[str, Any] | None = await self._api.get_or_none(_path(placement))
        return found

    async def _there(self, placement: Placement) -> dict[str, Any]:
        workload = await self._get(placement)
        if workload is None:
            raise ClusterRejected(
                f"{placement.kind} {placement.name} is no longer in namespace {placement.namespace}.",
                remedy="Find out who removed it; a scan shows what is there.",
            )
        return workload


def with_tag(image: str, tag: str) -> str:
    """*image* with another tag. A digest is dropped: it would keep the old image whatever the tag says."""
    name, _, _ = image.partition("@")
    registry, slash, rest = name.rpartition("/")
    return f"{registry}{slash}{rest.partition(':')[0]}:{tag}"


def _path(placement: Placement) -> str:
    plural = _PLURALS.get(placement.kind)
    if plural is None:
        raise ClusterRejected(f"A {placement.kind or 'thing'} cannot be upgraded as a plain workload.")
    return f"/apis/apps/v1/namespaces/{placement.namespace}/{plural}/{placement.name}"


def _containers(workload: Mapping[str, Any]) -> list[dict[str, Any]]:
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return list(spec.get("containers") or ())


def _images(workload: Mapping[str, Any]) -> dict[str, str]:
    return {str(each["name"]): str(each.get("image", "")) for each in _containers(workload)}


def _wanted(workload: Mapping[str, Any], target: Target) -> dict[str, str]:
    """The target's image by container."""
    images = _images(workload)
    name = target.container or next(iter(images), "")
    if name not in images:
        raise ClusterRejected(
            f"{workload['kind']} {workload['metadata']['name']} has no container {name!r}.",
            remedy=f"It has {', '.join(images) or 'none'}; correct the component's catalog entry.",
        )
    if not target.tag:
        raise ClusterRejected(f"Version {target.version} makes no image tag.", remedy="Correct the catalog entry.")
    return {name: with_tag(images[name], target.tag)}


def _patch(wanted: Mapping[str, str], *, task: TaskId | None = None) -> dict[str, Any]:
    containers = [{"name": name, "image": image} for name, image in wanted.items()]
    patch: dict[str, Any] = {"spec": {"template": {"spec": {"containers": containers}}}}
    return patch if task is None else {"metadata": {"annotations": {TASK: task}}, **patch}


def _head(placement: Placement) -> dict[str, Any]:
    metadata = {"name": placement.name, "namespace": placement.namespace}
    return {"apiVersion": _API, "kind": placement.kind, "metadata": metadata}


def _owners(workload: Mapping[str, Any], wanted: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Who else owns the images that will change, by managedFields."""
    found = []
    for entry in (workload.get("metadata") or {}).get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for step in ("f:spec", "f:template", "f:spec", "f:containers"):
            fields = fields.get(step) or {}
        for name in wanted:
            key = f"k:{json.dumps({'name': name}, separators=(',', ':'))}"
            if "f:image" in (fields.get(key) or {}) and entry.get("manager") != FIELD_MANAGER:
                found.append((f"image of container {name}", str(entry.get("manager", ""))))
    return tuple(found)


__all__ = ["FIELD_MANAGER", "TASK", "WorkloadSource", "with_tag"]
