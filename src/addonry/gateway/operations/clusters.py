"""Clusters: register, look at, change what is set of them, forget (ack-api 06)."""

import base64
import binascii
import re
from dataclasses import replace
from typing import Any, Final, TypedDict

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.operation import PAGING, Call, Kind, Level, PageInfo, Parameter, Registry
from addonry.gateway.operations.envelope import Accepted, Free, Tag
from addonry.gateway.operations.tags import read_tags
from addonry.model.clusters import Cluster, Profile
from addonry.model.errors import InvalidParameter

operations = Registry()


class ClusterSummary(TypedDict):
    """What every list tells of a cluster. ``reach``, ``trouble`` and ``scanned_at`` are Addonry's own members."""

    cluster_id: str
    name: str
    cluster_type: str
    profile: str
    cluster_spec: str
    region_id: str
    zone_id: str
    state: str
    init_version: str
    current_version: str
    next_version: str
    created: str
    updated: str
    size: int
    deletion_protection: bool
    resource_group_id: str
    tags: list[dict[str, str]]
    vpc_id: str
    security_group_id: str
    vswitch_ids: list[str]
    container_cidr: str
    service_cidr: str
    ip_stack: str
    proxy_mode: str
    cluster_domain: str
    timezone: str
    reach: str
    trouble: str
    scanned_at: str


class ClusterListed(ClusterSummary):
    """Also what DescribeClustersV1 tells."""

    vswitch_id: str
    subnet_cidr: str
    network_mode: str
    docker_version: str
    external_loadbalancer_id: str
    worker_ram_role_name: str
    private_zone: bool
    master_url: str
    meta_data: str
    maintenance_window: Free
    operation_policy: Free


class ClusterOld(ClusterListed):
    """What the deprecated list tells."""

    data_disk_category: str
    data_disk_size: int
    vswitch_cidr: str


class ClusterDetail(ClusterListed):
    """Also what DescribeClusterDetail tells."""

    parameters: dict[str, str]
    node_cidr_mask: str
    extra_sans: list[str]
    rrsa_config: Free
    control_plane_config: Free


class ClusterPage(TypedDict):
    """A page of clusters."""

    clusters: list[ClusterListed]
    page_info: PageInfo


class ShortPage(TypedDict):
    """A page of clusters, of one region."""

    clusters: list[ClusterSummary]
    page_info: PageInfo


class ClusterChange(msgspec.Struct):
    """The body of ModifyCluster: what is absent stays. Members about machines and load balancers are ignored."""

    cluster_name: str | None = None
    deletion_protection: bool | None = None
    resource_group_id: str | None = None
    timezone: str | None = None
    maintenance_window: Free | None = None
    operation_policy: Free | None = None


REGISTERED: Final = "ExternalKubernetes"
"""The type of a cluster attached from outside; Addonry has no other."""

PROFILE: Final = "Default"

NO_WINDOW: Final[Free] = {
    "enable": False,
    "maintenance_time": "",
    "duration": "",
    "weekly_period": "",
    "recurrence": "",
    "exclusions": [],
}
"""The members of a maintenance window (ack-api 06, section 8)."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")


class NewCluster(msgspec.Struct):
    """The body of CreateCluster; of its hundred members those that mean something here, and *kubeconfig*, our own."""

    name: str = ""
    cluster_type: str = ""
    region_id: str | None = None
    kubeconfig: str | None = None
    user_data: str | None = None
    """Published as the user data of nodes, which a registered cluster has none of; the official SDKs can send it."""
    tags: list[Tag] | None = None
    deletion_protection: bool | None = None
    resource_group_id: str | None = None
    timezone: str | None = None
    maintenance_window: Free | None = None
    operation_policy: Free | None = None

    def __repr__(self) -> str:
        return f"NewCluster(name={self.name!r})"


@operations.add(
    "CreateCluster",
    "POST",
    "/clusters",
    Level.CREATE,
    Accepted,
    body=NewCluster,
    tags=lambda call: read_tags(call.object(NewCluster).tags or []),
    status=202,
)
async def create_cluster(call: Call) -> Accepted:
    """Register a cluster (``cluster_type`` ExternalKubernetes) by the kubeconfig in the body."""
    asked = call.object(NewCluster)
    if not asked.name.strip():
        raise InvalidParameter("name", "is missing")
    if asked.cluster_type != REGISTERED:
        raise InvalidParameter(
            "cluster_type",
            f"must be {REGISTERED}: Addonry registers clusters, it does not create machines",
            remedy=f"Send cluster_type {REGISTERED} and the member kubeconfig.",
        )
    kubeconfig = next((text for text in (asked.kubeconfig, asked.user_data) if text and text.strip()), "")
    if not kubeconfig:
        raise InvalidParameter(
            "kubeconfig",
            "is missing",
            remedy="Send it, as text or base64, in the body's member kubeconfig (user_data in the SDKs).",
        )
    profile = Profile(
        tags=read_tags(asked.tags or []),
        deletion_protection=bool(asked.deletion_protection),
        resource_group=asked.resource_group_id or "",
        timezone=asked.timezone or "",
        maintenance_window=asked.maintenance_window or {},
        operation_policy=asked.operation_policy or {},
    )
    cluster, task = await call.lifecycle.register_cluster(
        asked.name.strip(), _read_kubeconfig(kubeconfig), region=asked.region_id or "", by=call.key, profile=profile
    )
    return Accepted(cluster.id, call.request_id, task)


def _read_kubeconfig(text: str) -> str:
    # A kubeconfig has colons, and base64 none: the two cannot be confused.
    if not _BASE64.fullmatch(text):
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidParameter("kubeconfig", "is neither a kubeconfig nor the base64 of one") from None


_FILTERS = (
    Parameter("name", about="A part of the name, in any case."),
    Parameter("cluster_id", about="This cluster only."),
    Parameter("cluster_type", about="ExternalKubernetes, which all are."),
    Parameter("profile", about="Default, which all have."),
    Parameter("cluster_spec", about="Registered clusters have none."),
)


@operations.add(
    "DeleteCluster",
    "DELETE",
    "/clusters/{ClusterId}",
    Level.DELETE,
    Accepted,
    query=(
        Parameter("retain_all_resources", Kind.FLAG, "Everything that runs on the cluster stays in any case."),
        Parameter("retain_resources", Kind.NAMES, "Likewise."),
        Parameter("keep_slb", Kind.FLAG, "Likewise."),
        Parameter("delete_options", Kind.OBJECTS, "Likewise."),
    ),
    status=202,
)
async def delete_cluster(call: Call) -> Accepted:
    """Forget a registered cluster; everything that runs there stays."""
    cluster = call.cluster()
    task = await call.lifecycle.remove_cluster(cluster, by=call.key)
    return Accepted(cluster, call.request_id, task)


@operations.add("ModifyCluster", "PUT", "/api/v2/clusters/{ClusterId}", Level.UPDATE, Accepted, body=ClusterChange)
async def modify_cluster(call: Call) -> Accepted:
    """Change a cluster's name, protection, resource group, time zone or maintenance window; the rest stays."""
    cluster, asked = call.cluster(), call.object(ClusterChange)
    given = {
        "deletion_protection": asked.deletion_protection,
        "resource_group": asked.resource_group_id,
        "timezone": asked.timezone,
        "maintenance_window": asked.maintenance_window,
        "operation_policy": asked.operation_policy,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}

    def change(profile: Profile) -> Profile:
        return replace(profile, **changes)

    task = await call.lifecycle.modify_cluster(cluster, change, name=asked.cluster_name, by=call.key)
    return Accepted(cluster, call.request_id, task)


@operations.add(
    "DescribeClusterDetail",
    "GET",
    "/clusters/{ClusterId}",
    Level.GET,
    ClusterDetail,
    also=("cs:GetClusterById",),
)
async def describe_cluster_detail(call: Call) -> ClusterDetail:
    """One cluster."""
    cluster = await call.lifecycle.cluster(call.cluster())
    profile = (await call.lifecycle.profiles()).get(cluster.id, Profile())
    return {
        **_listed(cluster, profile),
        "parameters": {},
        "node_cidr_mask": "",
        "extra_sans": [],
        "rrsa_config": {"enabled": False},
        "control_plane_config": {},
    }


@operations.add(
    "DescribeClustersV1",
    "GET",
    "/api/v1/clusters",
    Level.LIST,
    ClusterPage,
    also=("cs:DescribeClusters", "cs:ListClusters", "cs:GetClusters"),
    query=(*_FILTERS, Parameter("region_id", about="Of this region only."), *PAGING),
)
async def describe_clusters_v1(call: Call) -> ClusterPage:
    """The registered clusters; ``name`` matches a part, the other filters the whole."""
    shown, info = await _page(call, call.text("region_id"))
    return {"clusters": [_listed(*each) for each in shown], "page_info": info}


@operations.add(
    "DescribeClustersForRegion",
    "GET",
    "/regions/{region_id}/clusters",
    Level.LIST,
    ShortPage,
    query=(*_FILTERS, *PAGING),
)
async def describe_clusters_for_region(call: Call) -> ShortPage:
    """The registered clusters of a region."""
    shown, info = await _page(call, call.path["region_id"])
    return {"clusters": [_summary(*each) for each in shown], "page_info": info}


@operations.add(
    "DescribeClusters",
    "GET",
    "/clusters",
    Level.LIST,
    list[ClusterOld],
    also=("cs:GetClusters", "cs:GetClustersByUid"),
    query=(
        Parameter("name", about="A part of the name, in any case."),
        Parameter("clusterType", about="ExternalKubernetes, which all are."),
        Parameter("resource_group_id", about="Of this resource group only."),
    ),
)
async def describe_clusters(call: Call) -> list[ClusterOld]:
    """The registered clusters, as a bare array; DescribeClustersV1 has pages."""
    name, kind, group = call.text("name").lower(), call.text("clusterType"), call.text("resource_group_id")
    profiles = await call.lifecycle.profiles()
    known = [(each, profiles.get(each.id, Profile())) for each in await call.lifecycle.clusters()]
    return [
        {**_listed(cluster, profile), "data_disk_category": "", "data_disk_size": 0, "vswitch_cidr": ""}
        for cluster, profile in known
        if name in cluster.name.lower() and kind in {"", REGISTERED} and group in {"", profile.resource_group}
    ]


async def _page(call: Call, region: str) -> tuple[list[tuple[Cluster, Profile]], PageInfo]:
    page = call.page()
    found = [cluster for cluster in await call.lifecycle.clusters() if _matches(call, cluster, region)]
    profiles = await call.lifecycle.profiles()
    shown = found[page.offset : page.offset + page.size]
    return [(each, profiles.get(each.id, Profile())) for each in shown], page.info(len(found))


def _matches(call: Call, cluster: Cluster, region: str) -> bool:
    exact = {"cluster_id": cluster.id, "cluster_type": REGISTERED, "profile": PROFILE, "cluster_spec": ""}
    wanted = {name: call.text(name) for name in exact}
    if any(text and text != exact[name] for name, text in wanted.items()):
        return False
    return region in {"", cluster.region} and call.text("name").lower() in cluster.name.lower()


def _summary(cluster: Cluster, profile: Profile) -> ClusterSummary:
    """All members that the published list documents: empty rather than missing, for some clients dereference them."""
    version = cluster.kubernetes.removeprefix("v")
    return {
        "cluster_id": cluster.id,
        "name": cluster.name,
        "cluster_type": REGISTERED,
        "profile": PROFILE,
        "cluster_spec": "",
        "region_id": cluster.region,
        "zone_id": "",
        "state": vocabulary.CLUSTER_STATE[cluster.reach],
        "init_version": profile.init_version.removeprefix("v") or version,
        "current_version": version,
        "next_version": "",
        "created": vocabulary.moment(cluster.created_at),
        "updated": vocabulary.moment(cluster.updated_at),
        "size": cluster.nodes,
        "deletion_protection": profile.deletion_protection,
        "resource_group_id": profile.resource_group,
        "tags": [{"key": key, "value": value} for key, value in sorted(profile.tags.items())],
        "vpc_id": "",
        "security_group_id": "",
        "vswitch_ids": [],
        "container_cidr": "",
        "service_cidr": "",
        "ip_stack": "",
        "proxy_mode": "",
        "cluster_domain": "",
        "timezone": profile.timezone,
        # Beyond the published members: why it is unavailable, and when it was last looked at.
        "reach": cluster.reach,
        "trouble": cluster.trouble,
        "scanned_at": vocabulary.moment(cluster.scanned_at),
    }


def _listed(cluster: Cluster, profile: Profile) -> ClusterListed:
    endpoints = {"api_server_endpoint": "", "intranet_api_server_endpoint": cluster.server}
    return {
        **_summary(cluster, profile),
        "vswitch_id": "",
        "subnet_cidr": "",
        "network_mode": "",
        "docker_version": "",
        "external_loadbalancer_id": "",
        "worker_ram_role_name": "",
        "private_zone": False,
        "master_url": write_json(endpoints).decode(),
        "meta_data": "{}",
        "maintenance_window": {**NO_WINDOW, **profile.maintenance_window},
        "operation_policy": profile.operation_policy or {"cluster_auto_upgrade": {"enabled": False, "channel": ""}},
    }
