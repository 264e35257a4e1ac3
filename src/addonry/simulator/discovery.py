"""What a cluster can do: groups, versions, resources and the OpenAPI v3 documents.

Both forms of discovery come from the same table (`resources.Served`), and so do the paths of the OpenAPI documents;
their schemas come from `objects`. Clients use the documents to find out whether a server validates fields and how
lists merge. Documents of built-in groups are made once for all clusters and carry their hash as ETag.
See https://kubernetes.io/docs/concepts/overview/kubernetes-api/
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import msgspec

from addonry.simulator.aggregation import Aggregated
from addonry.simulator.customdocs import custom_types
from addonry.simulator.health import health_paths
from addonry.simulator.messages import JSON, TEXT, Request, Response, json_response
from addonry.simulator.objects import Schemas
from addonry.simulator.resources import Resource, Served
from addonry.simulator.swagger import swagger

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_OPENAPI_V2: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_COMPRESSED_BYTES: Final = 128 * 1024
_IMMUTABLE: Final = ("Cache-Control", "public, immutable")


class Discovery:
    """The discovery documents of one cluster."""

    def __init__(
        self,
        served: Served,
        schemas: Schemas,
        aggregated: Callable[[], tuple[Aggregated, ...]],
        *,
        address: str = "",
    ) -> None:
        self._served, self._schemas, self._address = served, schemas, address
        self._aggregated_apis = aggregated
        self._kept: dict[str, tuple[tuple[int, str], bytes]] = {}

    # ------------------------------------------------------------------ answers

    def root(self) -> Response:
        """`/`: the paths there are; what of a real server's is not here is not named either."""
        paths = [
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/metrics",
            "/openapi/v2",
            "/openapi/v3",
            "/openapi/v3/",
            "/version",
        ]
        for group, versions in self._served.groups().items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
        return json_response({"paths": sorted([*paths, *health_paths()])})

    def core(self, request: Request) -> Response:
        """`/api`."""
        if _wants_aggregated(request):
            return self._aggregated(request, core=True)
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}
        return json_response({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]})

    def groups(self, request: Request) -> Response:
        """`/apis`."""
        if _wants_aggregated(request):
            return self._aggregated(request, core=False)
        groups = [_group(group, versions) for group, versions in self._served.groups().items() if group]
        groups += [_group(group, versions) for group, versions in self._elsewhere().items()]
        return json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    def group(self, name: str) -> Response | None:
        """`/apis/GROUP`; None when there is none of that name."""
        here: Mapping[str, Iterable[str]] = self._served.groups()
        versions = (here.get(name) or self._elsewhere().get(name)) if name else None
        if versions is None:
            return None
        return json_response({"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)})

    def version(self, group: str, version: str) -> Response | None:
        """`/api/v1` and `/apis/GROUP/VERSION`; None when there is none of that name."""
        resources = self._served.groups().get(group, {}).get(version)
        if resources is None:
            return None
        listed: list[dict[str, Any]] = []
        for resource in resources:
            listed += _classic(resource)
        api_version = f"{group}/{version}" if group else version
        return json_response(
            # The oldest group is written down by older code, which leaves its own version out.
            {"kind": "APIResourceList", **({"apiVersion": "v1"} if "/" in api_version else {})}
            | {"groupVersion": api_version, "resources": listed}
        )

    def openapi_index(self, request: Request) -> Response:
        """`/openapi/v3`."""
        body = self._keep("index", lambda: _encode({"paths": self._index()}))
        answer = _tagged(request, body)
        return Response(answer.status, answer.body, TEXT, answer.headers)

    def openapi(self, request: Request, path: str) -> Response | None:
        """`/openapi/v3/api/v1` or `/openapi/v3/apis/GROUP/VERSION`; None when there is none."""
        if path not in self._documents():
            return None
        extra = (_IMMUTABLE,) if request.query.get("hash") else ()
        return _tagged(request, self._document(path), *extra)

    def openapi_v2(self, request: Request) -> Response:
        """`/openapi/v2`: the types, and no paths; as protobuf not even the types.

        kubectl asks for the protobuf to check a `kind: List` or an unknown kind on its own side, and skips what the
        document does not know; without an answer it gives up. All there is to know is in the OpenAPI v3 documents.
        """
        if "proto-openapi" in request.accept:
            answer = _tagged(request, b"")
            return replace(answer, content_type=_OPENAPI_V2)
        components: dict[str, Any] = {}
        for path in self._documents():
            components |= _decode(self._document(path))["components"]["schemas"]
        # Made anew each time: it is long, and hardly anybody asks for it.
        return _compressed(request, _tagged(request, swagger(components, title="Kubernetes")))

    # ------------------------------------------------------------------ parts

    def _elsewhere(self) -> dict[str, list[str]]:
        """Group to versions of the APIs that other servers answer for."""
        groups: dict[str, list[str]] = {}
        for api in self._aggregated_apis():
            groups.setdefault(api.group, []).append(api.version)
        return groups

    def _aggregated(self, request: Request, *, core: bool) -> Response:
        def build() -> bytes:
            items = [
                _aggregated_group(group, versions)
                for group, versions in self._served.groups().items()
                if bool(group) is not core
            ]
            # Nothing was ever learnt of them, so they have no resources.
            items += [
                {
                    "metadata": {"name": group},
                    "versions": [{"version": version, "freshness": "Stale"} for version in versions],
                }
                for group, versions in ({} if core else elsewhere).items()
            ]
            head = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}}
            return _encode({**head, "items": items})

        elsewhere = self._elsewhere()
        kept = self._keep("api", build) if core else self._keep("apis", build, f"{elsewhere}")
        answer = _tagged(request, kept, ("Cache-Control", "public"))
        return Response(answer.status, answer.body, _AGGREGATED, answer.headers)

    def _index(self) -> dict[str, dict[str, str]]:
        return {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(self._document(path))}"}
            for path in self._documents()
        }

    def _documents(self) -> dict[str, tuple[str, str]]:
        found = {}
        for group, versions in self._served.groups().items():
            for version in versions:
                found[f"apis/{group}/{version}" if group else f"api/{version}"] = (group, version)
        return found

    def _document(self, path: str) -> bytes:
        group, version = self._documents()[path]
        resources = tuple(r for r in self._served if r.group == group and r.version == version)
        if not any(r.is_custom for r in resources):
            return _built_in_document(self._schemas, resources)
        return self._keep(path, lambda: _encode(_document(resources, self._custom_components(resources))))

    def _custom_components(self, resources: tuple[Resource, ...]) -> dict[str, Any]:
        components: dict[str, Any] = {}
        for resource in resources:
            components |= custom_types(resource, _component(resource))
        # References of the envelope (ObjectMeta and what it needs) are answered by a group that has them all.
        shared = _components(self._schemas, "v1")
        needed, todo = {}, [name for name in shared if name.endswith((".ObjectMeta", ".ListMeta"))]
        while todo:
            name = todo.pop()
            if name not in needed and name in shared:
                needed[name] = shared[name]
                todo += _references(shared[name])
        return {**needed, **components}

    def _keep(self, name: str, build: Callable[[], bytes], more: str = "") -> bytes:
        """A document as built for the resources as they are now, and for whatever *more* it depends on."""
        kept, state = self._kept.get(name), (self._served.revision, more)
        if kept is None or kept[0] != state:
            kept = self._kept[name] = (state, build())
        return kept[1]


def version_info(kubernetes_version: str) -> dict[str, str]:
    """`/version`."""
    major, minor, *_ = kubernetes_version.lstrip("v").split(".")
    # Since 1.34 a server says which older ones it can stand for.
    emulated = {
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
    }
    return {
        "major": major,
        "minor": minor,
        **(emulated if int(minor) >= 34 else {}),
        "gitVersion": kubernetes_version,
        "gitCommit": hashlib.sha1(kubernetes_version.encode(), usedforsecurity=False).hexdigest(),
        "gitTreeState": "clean",
        "buildDate": "2026-08-21T00:00:00Z",
        "goVersion": "go1.27.3",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _compressed(request: Request, answer: Response) -> Response:
    """A long answer in short for a client that takes that."""
    if len(answer.body) < _COMPRESSED_BYTES or "gzip" not in request.headers.get("accept-encoding", ""):
        return answer
    headers = (*answer.headers, ("Content-Encoding", "gzip"))
    return replace(answer, body=gzip.compress(answer.body, compresslevel=1, mtime=0), headers=headers)


def _wants_aggregated(request: Request) -> bool:
    return "as=APIGroupDiscoveryList" in request.accept and "v=v2" in request.accept


def _hash(body: bytes) -> str:
    return hashlib.sha512(body).hexdigest().upper()


def _tagged(request: Request, body: bytes, *headers: tuple[str, str]) -> Response:
    """The body with its ETag, or 304 for a client that has it."""
    tag = f'"{_hash(body)}"'
    headers = (*headers, ("Etag", tag), ("Vary", "Accept"))
    if tag in request.headers.get("if-none-match", ""):
        return Response(304, b"", JSON, headers)
    return Response(200, body, JSON, headers)


def _group(name: str, versions: Iterable[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _classic(resource: Resource) -> list[dict[str, Any]]:
    first: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if "create" in resource.verbs and "get" in resource.verbs:
        first["storageVersionHash"] = _storage_hash(resource)
    if resource.short_names:
        first["shortNames"] = list(resource.short_names)
    if resource.categories:
        first["categories"] = list(resource.categories)
    rows = [first]
    for sub in resource.subresources:
        row: dict[str, Any] = {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": sub.kind or resource.kind,
            "verbs": list(sub.verbs),
        }
        if sub.group_version:
            group, _, version = sub.group_version.rpartition("/")
            row |= {"group": group, "version": version}
        rows.append(row)
    return rows


def _storage_hash(resource: Resource) -> str:
    """What clients compare to find out whether objects are stored in another version than before."""
    stored = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(stored.encode()).digest()[:8]).decode()


def _aggregated_group(group: str, versions: Mapping[str, list[Resource]]) -> dict[str, Any]:
    listed = [
        {"version": version, "resources": [_aggregated_resource(r) for r in resources], "freshness": "Current"}
        for version, resources in versions.items()
    ]
    return {"metadata": {"name": group} if group else {}, "versions": listed}


def _aggregated_resource(resource: Resource) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "resource": resource.plural,
        # An empty group and version mean those of the list, which is how a real server writes built-in kinds.
        "responseKind": {
            "group": resource.group if resource.is_custom else "",
            "version": resource.version if resource.is_custom else "",
            "kind": resource.kind,
        },
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        shown["shortNames"] = list(resource.short_names)
    if resource.categories:
        shown["categories"] = list(resource.categories)
    if resource.subresources:
        shown["subresources"] = [_aggregated_subresource(resource, sub) for sub in resource.subresources]
    return shown


def _aggregated_subresource(resource: Resource, sub: Any) -> dict[str, Any]:
    group, _, version = sub.group_version.rpartition("/")
    if resource.is_custom and not version:
        group, version = resource.group, resource.version
    kind = {"group": group, "version": version, "kind": sub.kind or resource.kind}
    return {"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)}


# ---------------------------------------------------------------------- OpenAPI


@lru_cache(maxsize=256)
def _built_in_document(schemas: Schemas, resources: tuple[Resource, ...]) -> bytes:
    first = resources[0]
    components = _components(schemas, first.types)
    if not first.typed_as:
        return _encode(_document(resources, components))
    # The types of an older version are those of the present one under other names.
    for kind in (kind for each in components.values() for kind in each.get("x-kubernetes-group-version-kind", ())):
        if (kind["group"], kind["version"]) == (first.group, first.typed_as.rpartition("/")[2]):
            kind["version"] = first.version
    names, older = (_type_prefix(first.group, version) for version in (first.typed_as, first.api_version))
    return _encode(_document(resources, components)).replace(names, older)


def _type_prefix(group: str, api_version: str) -> bytes:
    return f"io.k8s.api.{group.partition('.')[0]}.{api_version.rpartition('/')[2]}.".encode()


def _components(schemas: Schemas, api_version: str) -> dict[str, Any]:
    """The types of one group version, with all they refer to."""
    found: dict[str, Any] = {}
    todo = [schema.name for version, _, schema in schemas.kinds() if version == api_version]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = schemas.named(name).to_openapi()
            todo += _references(found[name])
    return dict(sorted(found.items()))


def _document(resources: tuple[Resource, ...], components: Mapping[str, Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for resource in resources:
        paths.update(_paths(resource))
    info = {"title": "Kubernetes", "version": "simulated"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": dict(components)}}


_WRITE_PARAMETERS: Final = ("dryRun", "fieldManager", "fieldValidation")
_PATCH_MEDIA: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def _paths(resource: Resource) -> dict[str, Any]:
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    where = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{base}{where}/{resource.plural}"
    many = {
        verb: _operation(resource, action)
        for verb, action, name in (("get", "list", "list"), ("post", "post", "create"))
        if name in resource.verbs
    }
    one = {
        verb: _operation(resource, action)
        for verb, action, name in (
            ("get", "get", "get"),
            ("put", "put", "update"),
            ("patch", "patch", "patch"),
            ("delete", "delete", "delete"),
        )
        if name in resource.verbs
    }
    return {path: found for path, found in ((collection, many), (f"{collection}/{{name}}", one)) if found}


def _operation(resource: Resource, action: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": resource.group,
            "version": resource.version,
            "kind": resource.kind,
        },
        "responses": {"200": {"description": "OK"}},
    }
    if action in ("post", "put", "patch"):
        names = (*_WRITE_PARAMETERS, "force") if action == "patch" else _WRITE_PARAMETERS
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "boolean" if name == "force" else "string"}}
            for name in names
        ]
        media = _PATCH_MEDIA if action == "patch" else ("application/json",)
        operation["requestBody"] = {"content": {name: {"schema": {"type": "object"}} for name in media}}
    return operation


def _component(resource: Resource) -> str:
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        # A definition of a JSON schema has a property that is itself called "$ref"; that one is no reference.
        reference = value.get("$ref")
        found = [reference.rpartition("/")[2]] if isinstance(reference, str) else []
        return found + [name for part in value.values() for name in _references(part)]
    if isinstance(value, list):
        return [name for part in value for name in _references(part)]
    return []
