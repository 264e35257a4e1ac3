"""How a cluster is reached, and where clusters can be: kubeconfigs, versions, regions (ack-api 06, sections 6, 7, 10)."""

from datetime import datetime
from typing import Any, Final, TypedDict

from addonry.gateway import vocabulary
from addonry.gateway.operation import Call, Kind, Level, Parameter, Registry
from addonry.gateway.operations.envelope import Free
from addonry.model.errors import InvalidParameter
from addonry.rules.kubernetes import RELEASES, Release, upgradable_from
from addonry.rules.versions import minor_of

operations = Registry()


class Kubeconfig(TypedDict):
    """A kubeconfig; ``expiration`` is empty when nobody knows."""

    config: str
    expiration: str


class OldKubeconfig(TypedDict):
    """A kubeconfig, as the deprecated operation answers it."""

    config: str


class KubernetesVersion(TypedDict):
    """One version of Kubernetes."""

    version: str
    creatable: bool
    release_date: str
    expiration_date: str
    upgradable_versions: list[str]
    images: list[Free]
    runtimes: list[Free]
    capabilities: Free
    meta_data: Free
    multi_az: str


class Region(TypedDict):
    """One region."""

    regionId: str
    localName: str


class Regions(TypedDict):
    """All regions."""

    requestId: str
    regions: list[Region]


_ADDRESS = Parameter("PrivateIpAddress", Kind.FLAG, "A registered cluster has one address; ignored.")
_MINUTES = Parameter(
    "TemporaryDurationMinutes", Kind.NUMBER, "Not to be had: Addonry hands out what it was given, and makes nothing."
)


@operations.add(
    "DescribeClusterUserKubeconfig",
    "GET",
    "/k8s/{ClusterId}/user_config",
    Level.GET,
    Kubeconfig,
    also=("cs:GetUserConfig",),
    query=(_ADDRESS, _MINUTES),
)
async def describe_cluster_user_kubeconfig(call: Call) -> Kubeconfig:
    """The kubeconfig that the cluster was registered with."""
    config, expires = await _kubeconfig(call)
    return {"config": config, "expiration": vocabulary.moment(expires)}


@operations.add(
    "DescribeClusterV2UserKubeconfig",
    "GET",
    "/api/v2/k8s/{ClusterId}/user_config",
    Level.GET,
    OldKubeconfig,
    also=("cs:DescribeClusterUserKubeconfig", "cs:GetUserConfig"),
    query=(_ADDRESS, _MINUTES),
)
async def describe_cluster_v2_user_kubeconfig(call: Call) -> OldKubeconfig:
    """The same, as older clients ask for it."""
    config, _ = await _kubeconfig(call)
    return {"config": config}


async def _kubeconfig(call: Call) -> tuple[str, datetime | None]:
    if call.text(_MINUTES.name):
        raise InvalidParameter(
            _MINUTES.name,
            "cannot be served: Addonry hands out the kubeconfig it was given, and cannot make one that ends sooner",
            remedy="Leave it out, or make a short-lived one on the cluster: kubectl create token.",
        )
    return await call.lifecycle.kubeconfig(call.cluster())


_NAMESPACE: Final = "addonry-system"

_AGENT: Final = """\
# An account for Addonry on this cluster. Addonry connects to the cluster by itself, so no agent runs here.
# Apply this, then register the cluster with a kubeconfig of the account:
#   kubectl apply -f agent.yaml
#   kubectl -n addonry-system create token addonry --duration 8760h
apiVersion: v1
kind: Namespace
metadata:
  name: {namespace}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: addonry
  namespace: {namespace}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: addonry
{rules}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: addonry
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: addonry
subjects:
- kind: ServiceAccount
  name: addonry
  namespace: {namespace}
"""

_RULES: Final = {
    "admin": """\
rules:
- apiGroups: ["*"]
  resources: ["*"]
  verbs: ["*"]
- nonResourceURLs: ["*"]
  verbs: ["*"]""",
    "restricted": """\
rules:
- apiGroups: ["*"]
  resources: ["*"]
  verbs: ["get", "list", "watch"]
- nonResourceURLs: ["*"]
  verbs: ["get"]""",
}


@operations.add(
    "DescribeExternalAgent",
    "GET",
    "/k8s/{ClusterId}/external/agent/deployment",
    Level.GET,
    OldKubeconfig,
    also=("cs:DescribeExternalClusterAgentDeployment",),
    query=(_ADDRESS, Parameter("AgentMode", about="admin (default), or restricted: an account that may only read.")),
)
async def describe_external_agent(call: Call) -> OldKubeconfig:
    """A manifest with an account for Addonry; there is no agent, because Addonry connects to the cluster by itself."""
    await call.lifecycle.cluster(call.cluster())
    call.flag(_ADDRESS.name)
    mode = call.text("AgentMode", "admin")
    if mode not in _RULES:
        raise InvalidParameter("AgentMode", f"must be {' or '.join(_RULES)}")
    return {"config": _AGENT.format(namespace=_NAMESPACE, rules=_RULES[mode])}


@operations.add(
    "DescribeKubernetesVersionMetadata",
    "GET",
    "/api/v1/metadata/versions",
    Level.LIST,
    list[KubernetesVersion],
    query=(
        Parameter("Region", about="Versions are the same in all."),
        Parameter("ClusterType", about="Likewise."),
        Parameter("KubernetesVersion", about="This version only."),
        Parameter("Profile", about="Versions are the same in all."),
        Parameter("Mode", about="supported, or creatable (default): of those Addonry creates none, so all are told."),
        Parameter("QueryUpgradableVersion", Kind.FLAG, "Tell what a cluster of KubernetesVersion can be upgraded to."),
        Parameter("runtime", about="Images are not known."),
    ),
)
async def describe_kubernetes_version_metadata(call: Call) -> list[KubernetesVersion]:
    """The minors of Kubernetes that Addonry knows, newest first; none can be created here."""
    wanted = call.text("KubernetesVersion")
    tells = call.flag("QueryUpgradableVersion")
    minor = minor_of(wanted)
    known = [each for each in RELEASES if not wanted or each.minor == minor]
    return [_version(each, wanted or each.minor, tells=tells) for each in known]


def _version(release: Release, version: str, *, tells: bool) -> KubernetesVersion:
    meta: dict[str, Any] = {"KubernetesVersion": version, "SubClass": "default", "ServiceCIDR": ""}
    return {
        "version": version,
        "creatable": False,
        "release_date": f"{release.released}T00:00:00Z" if release.released else "",
        "expiration_date": f"{release.ends}T00:00:00Z" if release.ends else "",
        "upgradable_versions": list(upgradable_from(release.minor)) if tells else [],
        "images": [],
        "runtimes": [],
        "capabilities": {},
        "meta_data": meta,
        "multi_az": "",
    }


@operations.add(
    "DescribeRegions",
    "GET",
    "/regions",
    Level.LIST,
    Regions,
    query=(
        Parameter("acceptLanguage", about="Regions have one name."),
        Parameter("clusterType", about="All are in all regions."),
        Parameter("profile", about="Likewise."),
    ),
)
async def describe_regions(call: Call) -> Regions:
    """The regions of the registered clusters, and that of new ones."""
    regions = {each.region for each in await call.lifecycle.clusters()} | {call.lifecycle.region}
    return {
        "requestId": call.request_id,
        "regions": [{"regionId": each, "localName": each} for each in sorted(regions)],
    }
