"""Clusters: register, look at, forget (ack-api 06)."""

import base64
import binascii
import re
from typing import Any, Final

import msgspec

from addonry.gateway import vocabulary
from addonry.gateway.codec import write_json
from addonry.gateway.operation import Call, Registry
from addonry.gateway.operations.envelope import Accepted
from addonry.model.clusters import Cluster
from addonry.model.errors import InvalidParameter

operations = Registry()

REGISTERED: Final = "ExternalKubernetes"
"""The type of a cluster attached from outside; Addonry has no other."""

PROFILE: Final = "Default"

_BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]+=*\s*")


class NewCluster(msgspec.Struct):
    """The body of CreateCluster; of its hundred members those that mean something here, and *kubeconfig*, our own."""

    name: str = ""
    cluster_type: str = ""
    region_id: str = ""
    kubeconfig: str = ""
    user_data: str = ""
    """Published as the user data of nodes, which a registered cluster has none of; the official SDKs can send it."""

    def __repr__(self) -> str:
        return f"NewCluster(name={self.name!r})"


@operations.add("CreateCluster", "POST", "/clusters", may="cluster:create", status=202)
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
    kubeconfig = asked.kubeconfig if asked.kubeconfig.strip() else asked.user_data
    if not kubeconfig.strip():
        raise InvalidParameter(
            "kubeconfig",
            "is missing",
            remedy="Send it, as text or base64, in the body's member kubeconfig (user_data in the SDKs).",
        )
    cluster, task = await call.lifecycle.register_cluster(
        asked.name.strip(), _read_kubeconfig(kubeconfig), region=asked.region_id, by=call.key
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


@operations.add("DeleteCluster", "DELETE", "/clusters/{ClusterId}", may="cluster:delete", status=202)
async def delete_cluster(call: Call) -> Accepted:
    """Forget a registered cluster; everything that runs there stays."""
    cluster = call.cluster()
    task = await call.lifecycle.remove_cluster(cluster, by=call.key)
    return Accepted(cluster, call.request_id, task)


@operations.add("DescribeClusterDetail", "GET", "/clusters/{ClusterId}", may="cluster:read")
async def describe_cluster_detail(call: Call) -> Any:
    """One cluster."""
    return _detail(await call.lifecycle.cluster(call.cluster()))


@operations.add("DescribeClustersV1", "GET", "/api/v1/clusters", may="cluster:read")
async def describe_clusters_v1(call: Call) -> Any:
    """The registered clusters; ``name`` matches a part, the other filters the whole."""
    page = call.page()
    found = [cluster for cluster in await call.lifecycle.clusters() if _matches(call, cluster)]
    shown = found[page.offset : page.offset + page.size]
    return {"clusters": [_listed(cluster) for cluster in shown], "page_info": page.info(len(found))}


def _matches(call: Call, cluster: Cluster) -> bool:
    exact = {
        "cluster_id": cluster.id,
        "cluster_type": REGISTERED,
        "profile": PROFILE,
        "cluster_spec": "",
        "region_id": cluster.region,
    }
    wanted = {name: call.text(name) for name in exact}
    if any(text and text != exact[name] for name, text in wanted.items()):
        return False
    return call.text("name").lower() in cluster.name.lower()


def _listed(cluster: Cluster) -> dict[str, Any]:
    """All members that the published list documents: empty rather than missing, for some clients dereference them."""
    version = cluster.kubernetes.removeprefix("v")
    endpoints = {"api_server_endpoint": "", "intranet_api_server_endpoint": cluster.server}
    return {
        "cluster_id": cluster.id,
        "name": cluster.name,
        "cluster_type": REGISTERED,
        "profile": PROFILE,
        "cluster_spec": "",
        "region_id": cluster.region,
        "zone_id": "",
        "state": vocabulary.CLUSTER_STATE[cluster.reach],
        "init_version": version,
        "current_version": version,
        "next_version": "",
        "created": vocabulary.moment(cluster.created_at),
        "updated": vocabulary.moment(cluster.updated_at),
        "size": cluster.nodes,
        "deletion_protection": False,
        "resource_group_id": "",
        "tags": [],
        "vpc_id": "",
        "security_group_id": "",
        "vswitch_ids": [],
        "vswitch_id": "",
        "container_cidr": "",
        "service_cidr": "",
        "subnet_cidr": "",
        "ip_stack": "",
        "proxy_mode": "",
        "network_mode": "",
        "cluster_domain": "",
        "timezone": "",
        "docker_version": "",
        "external_loadbalancer_id": "",
        "worker_ram_role_name": "",
        "private_zone": False,
        "master_url": write_json(endpoints).decode(),
        "meta_data": "{}",
        "maintenance_window": {"enable": False},
        "operation_policy": {"cluster_auto_upgrade": {"enabled": False, "channel": ""}},
        # Beyond the published members: why it is unavailable, and when it was last looked at.
        "reach": cluster.reach,
        "trouble": cluster.trouble,
        "scanned_at": vocabulary.moment(cluster.scanned_at),
    }


def _detail(cluster: Cluster) -> dict[str, Any]:
    return {**_listed(cluster), "parameters": {}, "node_cidr_mask": "", "extra_sans": []}
