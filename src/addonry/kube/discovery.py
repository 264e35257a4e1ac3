"""Which resources a cluster serves, asked once and then only for changes.

Two requests (``/api`` and ``/apis``) name every resource in the aggregated form that servers since 1.27 speak
(https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery); with the ETag of the last answer
they cost nothing when nothing changed. Older servers are asked for the one group that is looked for. A cache belongs to
one cluster: two clusters never share one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from addonry.model.errors import ClusterRejected

ACCEPT: Final = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


@dataclass(frozen=True, slots=True)
class ApiResource:
    """How objects of one kind are addressed."""

    plural: str
    namespaced: bool
    group_version: str
    """``apps/v1``; for the core group ``v1``."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A discovery document, or that the known one still holds (*body* is None)."""

    body: bytes | None
    etag: str = ""


Fetch = Callable[[str, str, str], Awaitable[Fetched]]
"""Gets a path with an Accept header, unless it still has the given ETag. Raises ClusterTrouble."""


class Discovery:
    """The resources of one cluster."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[str, _Document] = {}
        self._classic: dict[str, Mapping[str, ApiResource]] = {}
        self._asking = asyncio.Lock()

    async def served(self) -> frozenset[str]:
        """Every API version served, ``apps/v1`` style, as of now. Raises ClusterTrouble."""
        await self._refresh()
        return frozenset(version for document in self._known.values() for version in document.versions)

    async def resource(self, api_version: str, kind: str) -> ApiResource:
        """How objects of *kind* are addressed. Asks the cluster again before it says that there is no such kind.

        Raises ClusterRejected then.
        """
        if not self._known:
            await self._refresh()
        found = await self._look_up(api_version, kind)
        if found is None:
            self._classic.pop(api_version, None)
            await self._refresh()
            found = await self._look_up(api_version, kind)
        if found is None:
            raise ClusterRejected(
                f"The cluster knows no kind {kind} in {api_version}.",
                remedy="Install the CRDs that define it first, or choose a version that this Kubernetes serves.",
            )
        return found

    async def _look_up(self, api_version: str, kind: str) -> ApiResource | None:
        for document in self._known.values():
            resources = document.versions.get(api_version)
            if resources is None:
                continue
            if document.is_aggregated:
                return resources.get(kind)
            if api_version not in self._classic:
                path = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
                answer = await self._fetch(path, "application/json", "")
                self._classic[api_version] = _classic_resources(answer.body or b"{}", api_version)
            return self._classic[api_version].get(kind)
        return None

    async def _refresh(self) -> None:
        async with self._asking:
            await asyncio.gather(*(self._refresh_one(path) for path in ("/api", "/apis")))

    async def _refresh_one(self, path: str) -> None:
        known = self._known.get(path)
        answer = await self._fetch(path, ACCEPT, known.etag if known else "")
        if answer.body is not None:
            self._known[path] = _read(answer.body, answer.etag)


@dataclass(frozen=True, slots=True)
class _Document:
    etag: str
    is_aggregated: bool
    versions: Mapping[str, Mapping[str, ApiResource]]


# What is read of the documents; everything else in them is skipped.


class _Kind(msgspec.Struct, gc=False):
    kind: str = ""


class _Resource(msgspec.Struct, rename="camel", gc=False):
    resource: str
    scope: str = ""
    response_kind: _Kind | None = None


class _Version(msgspec.Struct, gc=False):
    version: str
    resources: list[_Resource] = []


class _Meta(msgspec.Struct, gc=False):
    name: str = ""


class _Group(msgspec.Struct, gc=False):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    versions: list[_Version] = []


class _GroupVersion(msgspec.Struct, rename="camel", gc=False):
    group_version: str


class _ClassicGroup(msgspec.Struct, gc=False):
    versions: list[_GroupVersion] = []


class _Root(msgspec.Struct, gc=False):
    """Either form: a server that cannot aggregate answers the classic one to the same request."""

    kind: str = ""
    items: list[_Group] = []
    groups: list[_ClassicGroup] = []
    versions: list[Any] = []


class _ClassicResource(msgspec.Struct, gc=False):
    name: str
    kind: str
    namespaced: bool = False


class _ClassicResources(msgspec.Struct, gc=False):
    resources: list[_ClassicResource] = []


_ROOT: Final = msgspec.json.Decoder(_Root)
_CLASSIC: Final = msgspec.json.Decoder(_ClassicResources)


def _read(body: bytes, etag: str) -> _Document:
    try:
        root = _ROOT.decode(body)
    except msgspec.DecodeError as error:
        raise ClusterRejected("The cluster's discovery document cannot be read.") from error
    if root.kind == "APIGroupDiscoveryList":
        return _Document(etag, is_aggregated=True, versions=_aggregated(root))
    names = [version for version in root.versions if isinstance(version, str)]
    names += [version.group_version for group in root.groups for version in group.versions]
    return _Document(etag, is_aggregated=False, versions={name: {} for name in names})


def _aggregated(root: _Root) -> dict[str, dict[str, ApiResource]]:
    found: dict[str, dict[str, ApiResource]] = {}
    for group in root.items:
        for version in group.versions:
            name = f"{group.metadata.name}/{version.version}" if group.metadata.name else version.version
            found[name] = {
                each.response_kind.kind: ApiResource(each.resource, each.scope == "Namespaced", name)
                for each in version.resources
                if each.response_kind
            }
    return found


def _classic_resources(body: bytes, api_version: str) -> dict[str, ApiResource]:
    try:
        listed = _CLASSIC.decode(body).resources
    except msgspec.DecodeError as error:
        raise ClusterRejected(f"The cluster's discovery document of {api_version} cannot be read.") from error
    # Names with a slash are subresources, which may have the same kind as the resource.
    return {each.kind: ApiResource(each.name, each.namespaced, api_version) for each in listed if "/" not in each.name}
