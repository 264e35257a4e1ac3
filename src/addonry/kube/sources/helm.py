"""The source of components that are Helm releases.

Every decision starts from the release's stored history, read afresh: whatever Helm said, or did not live to say, the
history is what happened. Hence each change bears repeating, and a child killed at any moment is followed by a run that
sees how far it came. One operation at a time holds the release's lock, from reading the history to Helm's end.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from addonry.kube import DryRun, KubeSettings, Mode, Preview, Target
from addonry.kube.api import Api, Missing
from addonry.kube.helm.adapters import Capabilities, Chart, Helm, Site, choose_helm
from addonry.kube.helm.crds import crds_of
from addonry.kube.helm.locks import hold_release
from addonry.kube.helm.manifests import objects_of, without_hooks
from addonry.kube.helm.releases import (
    Release,
    ReleaseUnreadable,
    document_from_secret,
    encode_release,
    newest,
    newest_deployed,
    release_from_secret,
)
from addonry.kube.inventory import found_release
from addonry.model.components import Found, ObjectRef, Placement, ReleaseStatus
from addonry.model.errors import ClusterRejected, ClusterUnreachable, FieldConflict, HelmFailed
from addonry.model.ids import TaskId, Version
from addonry.model.owners import OwnerRef
from addonry.model.tasks import Edits, Snapshot
from addonry.rules.owners import Marks, Registry, claims_on, claims_on_release
from addonry.rules.versions import same_version

FIELD_MANAGER: Final = "helm"

_AT_ONCE: Final = 8
_TOLD: Final = 5
_GONE: Final = frozenset({ReleaseStatus.UNINSTALLED})
_LIVED: Final = frozenset({ReleaseStatus.DEPLOYED, ReleaseStatus.SUPERSEDED})


class HelmSource:
    """See the module. Implements ``Source``."""

    def __init__(self, api: Api, settings: KubeSettings, kubeconfig: str) -> None:
        self._api = api
        self._settings = settings
        self._kubeconfig = kubeconfig
        self._helm: Helm = choose_helm(settings)

    async def find(self, placement: Placement) -> Found | None:
        """See ``Source``. The version is that of the deployed revision, the status that of the newest."""
        history = await self._history(placement)
        last = newest(history)
        if last is None or last.status in _GONE:
            return None
        running = newest_deployed(history) or last
        objects = await asyncio.to_thread(objects_of, running.manifest)
        found = found_release(last, newest_deployed(history))
        owner = _owner(objects, placement)
        return replace(
            found,
            placement=placement,
            owner=owner.owner if owner else found.owner,
            owner_ref=owner,
            images=tuple(_images(objects)),
        )

    async def owned(self, placement: Placement) -> tuple[ObjectRef, ...]:
        """See ``Source``; from the stored manifest, so without hooks."""
        history = await self._history(placement)
        running = newest_deployed(history) or newest(history)
        if running is None or running.status in _GONE:
            return ()
        objects = await asyncio.to_thread(objects_of, running.manifest)
        return tuple([await self._reference(each, placement.namespace) for each in objects])

    async def render(self, placement: Placement, target: Target) -> str:
        """See ``Source``."""
        return await self._render(placement, target, await self._history(placement))

    async def dry_run(self, placement: Placement, target: Target, *, manifest: str = "") -> DryRun:
        """See ``Source``. Objects whose namespace or kind comes into being with the chart itself are not judged."""
        history = await self._history(placement)
        count, conflicts = await self._judge(placement, target, history, manifest=manifest)
        return DryRun(count, tuple(dict.fromkeys((f"{each.title} {each.field}", each.manager) for each in conflicts)))

    async def _judge(
        self, placement: Placement, target: Target, history: Sequence[Release], *, manifest: str = ""
    ) -> "tuple[int, list[_Conflict]]":
        """How many objects the server accepts, and whose fields they would take. Raises ClusterRejected."""
        manifest = manifest or await self._render(placement, target, history)
        objects = await asyncio.to_thread(objects_of, manifest)
        running = newest(history)
        if running is not None and not running.is_server_side and target.edits is not Edits.OVERWRITE:
            raise HelmFailed(
                f"Release {placement.name} is applied the way Helm 3 does it, which cannot tell the fields of others.",
                remedy="Ask with edits `overwrite`.",
            )
        judge = _Judge(
            api=self._api,
            namespace=placement.namespace,
            # Helm goes on applying a release of Helm 3 client-side, and that never conflicts: what others have set is
            # overwritten all the same, so it is asked for in the way that tells. Helm itself is then one of the others.
            silent=frozenset() if running is None or running.is_server_side else frozenset({FIELD_MANAGER}),
            coming=frozenset(_kinds_of(await asyncio.to_thread(_crds, target, history)) | _kinds_of(objects)),
        )
        return await judge.judge(without_hooks(objects))

    async def preview(self, placement: Placement, target: Target, *, manifest: str = "") -> Preview:
        """See ``Source``; what is there is what Helm has stored of it."""
        history = await self._history(placement)
        last, running = newest(history), newest_deployed(history)
        manifest = manifest or await self._render(placement, target, history)
        return Preview(
            before=without_hooks(await asyncio.to_thread(objects_of, running.manifest)) if running else (),
            after=without_hooks(await asyncio.to_thread(objects_of, manifest)),
            mode=Mode.SERVER_SIDE if last is None or last.is_server_side else Mode.CLIENT_SIDE,
        )

    async def snapshot(self, placement: Placement) -> Snapshot:
        """See ``Source``; revision 0 when nothing is deployed."""
        running = newest_deployed(await self._history(placement))
        if running is None:
            return Snapshot()
        return Snapshot(revision=running.revision, version=Version(running.chart_version))

    async def apply(self, placement: Placement, target: Target, *, task: TaskId, snapshot: Snapshot) -> None:
        """See ``Source``. Reads the history before, and again after a failure: Helm may have finished all the same."""
        async with self._alone(placement) as site:
            history = await self._history(placement)
            if _is_applied(history, target, task, snapshot):
                return
            await self._carry_out(
                placement,
                lambda found: self._change(site, placement, target, found, task),
                is_done=lambda found: _is_applied(found, target, task, snapshot),
                history=history,
            )

    async def rollback(self, placement: Placement, snapshot: Snapshot, *, task: TaskId) -> None:
        """See ``Source``. Always to the recorded revision: Helm's own choice would be the one before, even a failed."""
        async with self._alone(placement) as site:
            history = await self._history(placement, superseded=True)
            if not snapshot.revision:
                await self._take_back(site, history, task)
                return
            if _is_back(history, snapshot):
                return
            recorded = next((each for each in history if each.revision == snapshot.revision), None)
            if recorded is None:
                raise HelmFailed(
                    f"Revision {snapshot.revision} of release {placement.name} is no longer stored, "
                    "so it cannot be brought back.",
                    remedy=f"Look at what is there: helm history {placement.name} -n {placement.namespace}",
                )
            await self._carry_out(
                placement,
                lambda _found: self._helm.rollback(
                    site, revision=recorded.revision, server_side=recorded.is_server_side
                ),
                is_done=lambda found: _is_back(found, snapshot),
                history=history,
            )

    async def uninstall(self, placement: Placement, *, task: TaskId) -> None:
        """See ``Source``. Its history goes with it, so this cannot be taken back."""
        del task  # whoever removed it, it is gone
        async with self._alone(placement) as site:
            history = await self._history(placement, superseded=True)
            if _is_gone(history):
                return
            await self._carry_out(
                placement, lambda _found: self._helm.uninstall(site), is_done=_is_gone, history=history
            )

    async def _carry_out(
        self,
        placement: Placement,
        work: Callable[[Sequence[Release]], Awaitable[None]],
        *,
        is_done: Callable[[Sequence[Release]], bool],
        history: Sequence[Release],
    ) -> None:
        """Free the release and let Helm do *work*. A failure is none when the history then says that it is done.

        A Helm that was killed may have had a write under way, which arrives after the history was read: then the
        release is found locked in spite of all, is freed and tried once more.
        """
        for tries_left in (1, 0):
            await self._unlock(placement, newest(history))
            try:
                await work(history)
            except (HelmFailed, ClusterUnreachable, ClusterRejected) as error:
                history = await self._history(placement)
                if is_done(history):
                    return
                last = newest(history)
                if not (tries_left and isinstance(error, HelmFailed) and last is not None and _is_locked(last)):
                    raise
            else:
                return

    @asynccontextmanager
    async def _alone(self, placement: Placement) -> AsyncIterator[Site]:
        async with hold_release(
            self._settings.work_directory / "locks",
            server=self._api.server,
            namespace=placement.namespace,
            release=placement.name,
            seconds=self._settings.helm_seconds,
        ) as lock:
            yield Site(self._kubeconfig, placement.namespace, placement.name, lock)

    async def _history(self, placement: Placement, *, superseded: bool = False) -> tuple[Release, ...]:
        """The stored revisions; without the superseded ones, most of them and the larger part of the answer."""
        path = f"/api/v1/namespaces/{placement.namespace}/secrets"
        wanted = "" if superseded else ",status!=superseded"
        params = {"labelSelector": f"name={placement.name},owner=helm{wanted}"}
        secrets, _ = await self._api.list(path, dict, params=params)
        return await asyncio.to_thread(_readable, secrets)

    async def _change(
        self, site: Site, placement: Placement, target: Target, history: Sequence[Release], task: TaskId
    ) -> None:
        chart = Chart(target.archive.path, _values(target, history), edits=target.edits)
        if target.edits is not Edits.OVERWRITE:
            _, conflicts = await self._judge(placement, target, history)
            if conflicts and target.edits is Edits.NONE:
                raise FieldConflict(tuple((f"{each.title} {each.field}", each.manager) for each in conflicts))
            chart = replace(chart, keep=_kept(conflicts))
        last = newest(history)
        if last is None or last.status in _GONE:
            namespace = await self._api.get_or_none(f"/api/v1/namespaces/{site.namespace}")
            await self._helm.install(
                site,
                chart,
                description=_description(task),
                replace=last is not None,
                create_namespace=namespace is None,
            )
        else:
            await self._helm.upgrade(site, chart, description=_description(task), server_side=last.is_server_side)

    async def _take_back(self, site: Site, history: Sequence[Release], task: TaskId) -> None:
        """Uninstall a first install that failed, and nothing else."""
        if not history:
            return
        if any(each.status in _LIVED and each.description != _description(task) for each in history):
            raise HelmFailed(
                f"Release {site.release} has worked before and there is no record of how, so it is left as it is.",
                remedy=f"Look at its history: helm history {site.release} -n {site.namespace}",
            )
        await self._helm.uninstall(site)

    async def _unlock(self, placement: Placement, last: Release | None) -> None:
        """Mark a revision that a dead Helm left half-way as failed, so that Helm works on the release again.

        Helm refuses everything on a pending release (helm/helm#8987) and offers a rollback, or for a first revision
        only an uninstall. Flux marks it failed as well (fluxcd/helm-controller, internal/reconcile/unlock.go). The lock is ours,
        so it is nobody of this machine's who still works on it.
        """
        if last is None or not _is_locked(last):
            return
        path = f"/api/v1/namespaces/{placement.namespace}/secrets/{last.secret_name}"
        secret: dict[str, Any] = await self._api.get(path)
        document = document_from_secret(secret)
        info = document.setdefault("info", {})
        if info.get("status") != last.status:
            return  # whoever it was has finished this moment
        info["status"] = ReleaseStatus.FAILED.value
        info["description"] = f"Left {last.status} by a Helm that died; marked failed by Addonry"
        patch = {
            "metadata": {
                "resourceVersion": secret["metadata"]["resourceVersion"],
                "labels": {"status": ReleaseStatus.FAILED.value},
            },
            "data": {"release": encode_release(document)},
        }
        await self._api.patch(path, patch, kind="merge", params={"fieldManager": FIELD_MANAGER})

    async def _render(self, placement: Placement, target: Target, history: Sequence[Release]) -> str:
        """What the change would apply; rendered without the cluster where Helm does not preview it yet."""
        last = newest(history)
        is_upgrade = last is not None and last.status not in _GONE
        chart = Chart(target.archive.path, _values(target, history))
        site = Site(self._kubeconfig, placement.namespace, placement.name)
        if last is None or not _is_locked(last):
            # A kind that only the chart's own CRDs define is rejected here, and judged by the dry run.
            server_side = last is None or last.is_server_side
            try:
                return await self._helm.preview(site, chart, is_upgrade=is_upgrade, server_side=server_side)
            except ClusterRejected:
                pass
            except ClusterUnreachable:
                # Past its deadline either the cluster was silent, which this asks, or a template has no end.
                await self._api.server_version()
        capabilities = Capabilities(await self._api.server_version(), tuple(sorted(await self._api.served())))
        return await self._helm.render(site, chart, is_upgrade=is_upgrade, capabilities=capabilities)

    async def _reference(self, found: Mapping[str, Any], namespace: str) -> ObjectRef:
        metadata = found["metadata"]
        try:
            is_namespaced = (await self._api.resource(found["apiVersion"], found["kind"])).namespaced
        except ClusterRejected:
            is_namespaced = True  # its definition is gone; whoever looks for it will say so
        own = str(metadata.get("namespace") or namespace) if is_namespaced else ""
        return ObjectRef(str(found["apiVersion"]), str(found["kind"]), own, str(metadata["name"]))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Sends objects with ``dryRun=All`` and gathers what the server says."""

    api: Api
    namespace: str
    silent: frozenset[str]
    """Managers whose fields are taken without a word."""
    coming: frozenset[tuple[str, str]]

    async def judge(self, objects: Sequence[dict[str, Any]]) -> "tuple[int, list[_Conflict]]":
        """Raises one ClusterRejected for everything that the server refuses."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(each: dict[str, Any]) -> "tuple[tuple[_Conflict, ...], str]":
            async with gate:
                return await self._one(each)

        verdicts = await asyncio.gather(*(one(each) for each in objects))
        if refused := [words for _, words in verdicts if words]:
            told = "; ".join(each.rstrip(".") for each in refused[:_TOLD])
            more = f"; and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
            raise ClusterRejected(
                f"The API server refuses what the chart would send: {told}{more}.",
                remedy="Correct the values, or choose another version of the chart.",
            )
        return len(objects), [conflict for found, _ in verdicts for conflict in found]

    async def _one(self, each: dict[str, Any]) -> "tuple[tuple[_Conflict, ...], str]":
        """The conflicts, and the refusal in words, of one object."""
        name = f"{each['kind']} {each['metadata']['name']}"
        group, _, _ = str(each["apiVersion"]).rpartition("/")
        try:
            resource = await self.api.resource(each["apiVersion"], each["kind"])
        except ClusterRejected as error:
            return (), "" if (group, each["kind"]) in self.coming else f"{name}: {error.message}"
        namespace = str(each["metadata"].get("namespace") or self.namespace) if resource.namespaced else ""
        path = self.api.path_of(resource, namespace, each["metadata"]["name"])
        conflicts: tuple[_Conflict, ...] = ()
        try:
            try:
                await self._send(path, each, force=False)
            except FieldConflict as conflict:
                # A conflict is answered before the object is validated, so ask again as apply will.
                found = each["metadata"]
                conflicts = tuple(
                    _Conflict(each["kind"], str(found.get("namespace") or ""), found["name"], field, manager)
                    for field, manager in conflict.conflicts
                    if manager not in self.silent
                )
                await self._send(path, each, force=True)
        except Missing:
            return (), ""  # its namespace is not there yet
        except ClusterRejected as error:
            if "does not support dry run" in error.message:
                return conflicts, ""  # a webhook with side effects says nothing about the object
            return conflicts, f"{name}: {error.message}"
        return conflicts, ""

    async def _send(self, path: str, each: dict[str, Any], *, force: bool) -> None:
        params = {"dryRun": "All", "fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        await self.api.patch(path, each, kind="apply", params=params)


@dataclass(frozen=True, slots=True)
class _Conflict:
    """A field of an object that somebody else has set to something else."""

    kind: str
    namespace: str
    name: str
    field: str
    manager: str

    @property
    def title(self) -> str:
        return f"{self.kind} {self.name}"


def _kept(conflicts: Iterable[_Conflict]) -> tuple[dict[str, Any], ...]:
    """The fields to leave out, by object."""
    fields: dict[tuple[str, str, str], list[str]] = {}
    for each in conflicts:
        fields.setdefault((each.kind, each.namespace, each.name), []).append(f".{each.field}")
    return tuple(
        {"kind": kind, "namespace": namespace, "name": name, "fields": sorted(set(found))}
        for (kind, namespace, name), found in fields.items()
    )


def _is_locked(last: Release) -> bool:
    """Whether Helm refuses to change a release whose newest revision is *last*."""
    return last.status.is_stuck or last.status is ReleaseStatus.UNINSTALLING


def _description(task: TaskId) -> str:
    return f"Addonry task {task}"


def _is_applied(history: Sequence[Release], target: Target, task: TaskId, snapshot: Snapshot) -> bool:
    last = newest(history)
    return (
        last is not None
        and last.revision > snapshot.revision
        and last.status is ReleaseStatus.DEPLOYED
        and last.description == _description(task)
        and same_version(last.chart_version, target.archive.offer.version)
    )


def _is_back(history: Sequence[Release], snapshot: Snapshot) -> bool:
    """Whether the recorded revision, or a rollback to it, is what runs."""
    last = newest(history)
    if last is None or last.status is not ReleaseStatus.DEPLOYED:
        return False
    # The sentence is Helm's own: pkg/action/rollback.go.
    return last.revision == snapshot.revision or (
        last.revision > snapshot.revision and last.description == f"Rollback to {snapshot.revision}"
    )


def _is_gone(history: Sequence[Release]) -> bool:
    last = newest(history)
    return last is None or last.status in _GONE


def _values(target: Target, history: Sequence[Release]) -> Mapping[str, Any]:
    if target.values is not None:
        return target.values
    running = newest_deployed(history) or newest(history)
    return running.values if running else {}


def _crds(target: Target, history: Sequence[Release]) -> tuple[dict[str, Any], ...]:
    return crds_of(target.archive.path, _values(target, history))


def _kinds_of(objects: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """Group and kind of everything that the CRDs among *objects* define."""
    kinds = set()
    for each in objects:
        spec = each.get("spec") or {}
        if each.get("kind") == "CustomResourceDefinition" and isinstance(spec.get("names"), Mapping):
            kinds.add((str(spec.get("group", "")), str(spec["names"].get("kind", ""))))
    return kinds


def _owner(objects: Iterable[Mapping[str, Any]], placement: Placement) -> OwnerRef | None:
    """Who stands behind the release: Flux, for one, puts its labels on everything that it has Helm render."""
    claims = [
        claims_on(
            Marks(
                kind=each.get("kind", ""),
                namespace=each["metadata"].get("namespace") or placement.namespace,
                name=each["metadata"].get("name", ""),
                labels=each["metadata"].get("labels") or {},
                annotations=each["metadata"].get("annotations") or {},
            ),
            Registry(),
        )
        for each in objects
    ]
    told = claims_on_release((placement.namespace, placement.name), claims, Registry())
    return told[0].by if told else None


def _images(objects: Iterable[Mapping[str, Any]]) -> list[str]:
    found: dict[str, None] = {}
    for each in objects:
        template = (each.get("spec") or {}).get("template")
        if each.get("kind") in {"Deployment", "DaemonSet", "StatefulSet"} and isinstance(template, Mapping):
            for container in (template.get("spec") or {}).get("containers") or ():
                found[str(container.get("image", ""))] = None
    return [image for image in found if image]


def _readable(secrets: Sequence[Mapping[str, Any]]) -> tuple[Release, ...]:
    """The records that can be read; as Helm does, damaged ones are passed over unless there are no others."""
    releases, damage = [], None
    for secret in secrets:
        try:
            releases.append(release_from_secret(secret))
        except ReleaseUnreadable as error:
            damage = error
    if damage is not None and not releases:
        raise damage
    return tuple(releases)


__all__ = ["FIELD_MANAGER", "HelmSource"]
