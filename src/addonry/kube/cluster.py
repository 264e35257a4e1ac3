"""The door's LiveCluster over HTTP: brings the Api, the sources and the rollout together, and decides nothing.

What depends on how a component lives is the source's; what is the same for all (health, rollout, CRDs, inventory) is
asked here.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from addonry.kube import CrdChange, DryRun, KubeSettings, Preview, Probe, Rollout, Target
from addonry.kube.api import Api, Forbidden, Missing
from addonry.kube.helm.crds import apply_crds, crd_changes, crds_of, templated_crd_changes
from addonry.kube.holding import hold, release
from addonry.kube.inventory import count_nodes, take_inventory
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.kube.objects import ConfigMap
from addonry.kube.rights import missing_rights
from addonry.kube.rollout import Stalls, assess, follow, free_stateful_sets
from addonry.kube.sources import SOURCES, Source
from addonry.kube.surroundings import look_around
from addonry.model.components import Found, Health, ObjectRef, Placement, SourceKind
from addonry.model.ids import TaskId
from addonry.model.inventory import Inventory
from addonry.model.surroundings import Surroundings
from addonry.model.tasks import Snapshot
from addonry.rules.removed_apis import Requested, requested_in


class HttpCluster:
    """One cluster. See ``LiveCluster`` for what each method promises."""

    def __init__(self, api: Api, settings: KubeSettings) -> None:
        self._api = api
        self._settings = settings
        self._stalls = Stalls(settings.stall_seconds)
        self._rendered: dict[Placement, tuple[Target, str]] = {}

    @classmethod
    def open(
        cls,
        kubeconfig: str | bytes,
        settings: KubeSettings,
        *,
        context: str | None = None,
        base: Path | None = None,
    ) -> "HttpCluster":
        """See ``open_cluster``."""
        access = read_kubeconfig(kubeconfig, context=context, may_run_plugins=settings.may_run_plugins, base=base)
        return cls(Api(access, request_seconds=settings.request_seconds, before_write=settings.before_write), settings)

    async def probe(self) -> Probe:
        """See ``LiveCluster``. Nodes that may not be listed are counted as none."""
        version = await self._api.server_version()
        try:
            nodes = await count_nodes(self._api)
        except Forbidden:
            nodes = 0
        return Probe(version, nodes, self._api.server)

    async def requested_apis(self) -> tuple[Requested, ...] | None:
        """See ``LiveCluster``."""
        try:
            return requested_in(await self._api.text("/metrics"))
        except (Forbidden, Missing):
            return None

    async def take_inventory(self) -> Inventory:
        """See ``LiveCluster``."""
        return await take_inventory(self._api)

    async def look_around(self) -> Surroundings:
        """See ``LiveCluster``."""
        return await look_around(self._api)

    async def config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        """See ``LiveCluster``."""
        # By a list: whoever may scan may make it, and needs no further right.
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps"
        try:
            found, _ = await self._api.list(path, ConfigMap, params={"fieldSelector": f"metadata.name={name}"})
        except Forbidden:
            return {}
        return next((each.data or {} for each in found), {})

    async def missing_rights(self, placement: Placement) -> tuple[str, ...]:
        """See ``LiveCluster``."""
        return await missing_rights(self._api, placement, await (await self._source(placement)).owned(placement))

    async def find(self, placement: Placement) -> Found | None:
        """See ``LiveCluster``."""
        source = await self._source(placement)
        found = await source.find(placement)
        if found is None:
            return None
        look = await assess(self._api, await source.owned(placement), stalls=self._stalls)
        message = found.message or (look.note if look.health is not Health.CURRENT else "")
        return replace(found, health=look.health, message=message)

    async def render(self, placement: Placement, target: Target) -> str:
        """See ``LiveCluster``."""
        manifest = await (await self._source(placement)).render(placement, target)
        self._rendered[placement] = (target, manifest)
        return manifest

    async def dry_run(self, placement: Placement, target: Target) -> DryRun:
        """See ``LiveCluster``."""
        # A task renders and then asks the server: the same manifests, and Helm's child is not started twice for them.
        rendered, manifest = self._rendered.pop(placement, (None, ""))
        known = manifest if rendered == target else ""
        return await (await self._source(placement)).dry_run(placement, target, manifest=known)

    async def snapshot(self, placement: Placement) -> Snapshot:
        """See ``LiveCluster``."""
        return await (await self._source(placement)).snapshot(placement)

    async def preview(self, placement: Placement, target: Target) -> Preview:
        """See ``LiveCluster``."""
        rendered, manifest = self._rendered.get(placement, (None, ""))
        if rendered != target:
            manifest = await self.render(placement, target)
        return await (await self._source(placement)).preview(placement, target, manifest=manifest)

    async def crd_changes(self, placement: Placement, target: Target, *, of_templates: bool) -> tuple[CrdChange, ...]:
        """See ``LiveCluster``. A dry run tells, so that defaults of the server make no difference."""
        found = await crd_changes(self._api, await self._crds(placement, target))
        if not of_templates or placement.source is not SourceKind.HELM:
            return found
        preview = await self.preview(placement, target)
        return (*found, *await templated_crd_changes(self._api, preview.before, preview.after))

    async def apply_crds(self, placement: Placement, target: Target) -> int:
        """See ``LiveCluster``. Takes the fields of other managers, as Helm took them when it made the CRDs."""
        return await apply_crds(self._api, await self._crds(placement, target), force=True)

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """See ``LiveCluster``."""
        await (await self._source(placement)).apply(placement, target, task=task, snapshot=snapshot)

    async def hold(self, placement: Placement) -> str:
        """See ``LiveCluster``."""
        held = await hold(self._api, await (await self._source(placement)).owned(placement))
        return f"held {_told(held)}" if held else "nothing to hold"

    async def release(self, placement: Placement) -> str:
        """See ``LiveCluster``."""
        released = await release(self._api, await (await self._source(placement)).owned(placement))
        return f"let go of {_told(released)}" if released else "nothing was held"

    async def uninstall(self, placement: Placement, *, task: TaskId) -> None:
        """See ``LiveCluster``."""
        await (await self._source(placement)).uninstall(placement, task=task)

    async def owned(self, placement: Placement) -> tuple[ObjectRef, ...]:
        """See ``LiveCluster``."""
        return await (await self._source(placement)).owned(placement)

    async def follow_rollout(self, placement: Placement) -> AsyncIterator[Rollout]:
        """See ``LiveCluster``."""
        owned = await (await self._source(placement)).owned(placement)
        async for look in follow(self._api, owned, stalls=self._stalls):
            yield look

    async def assess_health(self, placement: Placement) -> Rollout:
        """See ``LiveCluster``."""
        owned = await (await self._source(placement)).owned(placement)
        return await assess(self._api, owned, stalls=self._stalls)

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """See ``LiveCluster``. Broken pods that a StatefulSet would keep for ever are deleted; nothing else ever is."""
        source = await self._source(placement)
        await source.rollback(placement, snapshot, task=task)
        await free_stateful_sets(self._api, await source.owned(placement))

    async def close(self) -> None:
        """See ``LiveCluster``."""
        await self._api.close()

    async def _crds(self, placement: Placement, target: Target) -> tuple[dict[str, Any], ...]:
        if placement.source is not SourceKind.HELM:
            return ()  # a plain workload changes its image and nothing else
        values = target.values
        if values is None:
            found = await (await self._source(placement)).find(placement)
            values = (found.values if found else None) or {}
        return crds_of(target.archive.path, values)

    async def _source(self, placement: Placement) -> Source:
        # Made anew each time, so that a child process gets the credential of the moment.
        return SOURCES[placement.source](self._api, self._settings, await self._api.kubeconfig())


def _told(refs: tuple[ObjectRef, ...]) -> str:
    return ", ".join(f"{ref.kind} {ref.name}" for ref in refs)
