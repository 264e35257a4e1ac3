"""Objects as Helm, charts and controllers leave them on a cluster, put there through its API."""

import base64
from typing import Any

from addonry.kube.api import Api
from addonry.kube.helm.releases import encode_release

TOKEN = "s3cret-v4lue"


async def put_release(
    api: Api,
    name: str = "dns",
    *,
    revision: int = 1,
    status: str = "deployed",
    version: str = "1.0.0",
    namespace: str = "kube-system",
    data: str | None = None,
    driver: str = "secrets",
    manifest: str = "",
    first_deployed: str = "2026-01-02T03:04:05.678901234Z",
) -> None:
    """One revision of a release, as Helm stores it."""
    document = {
        "name": name,
        "namespace": namespace,
        "version": revision,
        "info": {
            "status": status,
            "description": f"{status} of {version}",
            "first_deployed": first_deployed,
        },
        "chart": {"metadata": {"name": "coredns", "version": version, "appVersion": "1.11"}},
        "config": {"password": TOKEN},
        "manifest": manifest,
    }
    record = encode_release(document) if data is None else base64.b64encode(data.encode()).decode()
    metadata = {
        "name": f"sh.helm.release.v1.{name}.v{revision}",
        "labels": {"owner": "helm", "name": name, "version": str(revision), "status": status},
    }
    # A ConfigMap holds what Helm wrote; a Secret's data is base64 once more.
    stored: dict[str, Any] = (
        {"kind": "Secret", "type": "helm.sh/release.v1", "data": {"release": record}}
        if driver == "secrets"
        else {"kind": "ConfigMap", "data": {"release": base64.b64decode(record).decode()}}
    )
    await api.create(f"/api/v1/namespaces/{namespace}/{driver}", {"apiVersion": "v1", "metadata": metadata, **stored})


def a_workload(
    name: str = "coredns",
    image: str = "registry.example/coredns/coredns:v1.11.1",
    *,
    kind: str = "Deployment",
    labels: dict | None = None,
    annotations: dict | None = None,
    owner_references: list[dict] | None = None,
    **spec: Any,
) -> dict:
    """A Deployment, DaemonSet or StatefulSet."""
    pods = {"app": name}
    template = {"metadata": {"labels": pods}, "spec": {"containers": [{"name": "app", "image": image}]}}
    metadata: dict[str, Any] = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    if owner_references:
        metadata["ownerReferences"] = owner_references
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"selector": {"matchLabels": pods}, "template": template, **spec},
    }


async def put_workload(api: Api, namespace: str = "kube-system", *, manager: str = "", **given: Any) -> dict:
    """Create one; with *manager* by a server-side apply of that field manager."""
    workload = a_workload(**given)
    path = f"/apis/apps/v1/namespaces/{namespace}/{workload['kind'].lower()}s"
    if not manager:
        return await api.create(path, workload)
    name = workload["metadata"]["name"]
    return await api.patch(f"{path}/{name}", workload, kind="apply", params={"fieldManager": manager, "force": "true"})


def of_helm(name: str = "dns", namespace: str = "kube-system") -> dict:
    """The annotations that Helm puts on everything it makes."""
    return {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}


async def put_crd(api: Api, group: str, version: str, kind: str, plural: str, *, scope: str = "Namespaced") -> None:
    """The definition of a custom resource that takes any fields, so that objects of that kind can be put."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    }
    await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)


async def put_custom(
    api: Api,
    api_version: str,
    kind: str,
    name: str,
    *,
    namespace: str = "kube-system",
    metadata: dict | None = None,
    **fields: Any,
) -> dict:
    """An object of a custom resource; its namespace comes into being with it."""
    if namespace != "kube-system" and await api.get_or_none(f"/api/v1/namespaces/{namespace}") is None:
        await api.create(
            "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    resource = await api.resource(api_version, kind)
    custom = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **(metadata or {})}, **fields}
    return await api.create(Api.path_of(resource, namespace), custom)
