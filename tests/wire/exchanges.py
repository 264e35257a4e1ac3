"""One recorded exchange for each operation about clusters, tags, checks, events of more than one cluster, and accounts.

Method, target, body, status and the answer; None where the answer is compared elsewhere.
"""

from typing import Any, Final

from tests.wire.driver import REQUEST_ID
from tests.wire.fakes import CLUSTER, KEY, TASK

NOW: Final = "2026-11-23T08:00:00Z"
CHECK: Final = f"1-{CLUSTER}-clustercheck-abcde"
ACCEPTED: Final = {"cluster_id": CLUSTER, "request_id": REQUEST_ID, "task_id": TASK}
DONE: Final = {"RequestId": REQUEST_ID}
ALL: Final = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

WAIVER: Final = {
    "waiver_id": "w-1",
    "check": "WorkloadUnhealthy",
    "component": "coredns",
    "reason": "one flaky node",
    "owner": "ann",
    "until": "2027-02-01T00:00:00Z",
    "made_at": NOW,
    "expired": False,
}

MORE: Final[dict[str, tuple[str, str, Any, int, Any]]] = {
    "DescribeAddons": (
        "GET",
        "/clusters/components/metadata?region=local&cluster_type=kubernetes&cluster_version=1.31.1",
        None,
        200,
        None,
    ),
    "DescribeClusterAddonMetadata": (
        "GET",
        f"/clusters/{CLUSTER}/components/metrics-server/metadata?version=3.12.1",
        None,
        200,
        {
            "name": "metrics-server",
            "version": "3.12.1",
            "config_schema": '{"type":"object","properties":{"replicas":{"type":"integer"}}}',
        },
    ),
    "DescribeClusterAddonInstance": (
        "GET",
        f"/clusters/{CLUSTER}/components/coredns/instance",
        None,
        200,
        {"name": "coredns", "version": "1.40.0", "state": "active", "config": '{"replicas":2}'},
    ),
    "ListClusterAddonInstanceResources": (
        "GET",
        f"/clusters/{CLUSTER}/addon_instances/coredns/resources",
        None,
        200,
        {
            "helm_release": {
                "release_name": "coredns",
                "namespace": "kube-system",
                "chart_name": "coredns",
                "chart_version": "1.40.0",
            },
            "kubernetes_objects": [
                {
                    "group": "apps",
                    "version": "v1",
                    "kind": "Deployment",
                    "namespace": "kube-system",
                    "name": "coredns",
                },
                {"group": "", "version": "v1", "kind": "Service", "namespace": "kube-system", "name": "kube-dns"},
                {
                    "group": "rbac.authorization.k8s.io",
                    "version": "v1",
                    "kind": "ClusterRole",
                    "namespace": "",
                    "name": "coredns",
                },
            ],
        },
    ),
    "RunClusterCheck": (
        "POST",
        f"/clusters/{CLUSTER}/checks",
        {"type": "AddonUpgrade", "target": "coredns", "options": {"version": "1.41.0"}},
        200,
        {"check_id": CHECK, "request_id": REQUEST_ID},
    ),
    "GetClusterCheck": (
        "GET",
        f"/clusters/{CLUSTER}/checks/{CHECK}",
        None,
        200,
        {
            "check_id": CHECK,
            "type": "ClusterUpgrade",
            "target": "",
            "status": "Failed",
            "message": "blocked by metrics-server",
            "created_at": "2026-11-23T08:00:00.000000000Z",
            "finished_at": "2026-11-23T08:00:00.000000000Z",
            "check_items": {
                "Addon": [
                    {
                        "Name": "coredns",
                        "Group": "Addon",
                        "Version": "1.40.0",
                        "Level": {"normal": {"Message": "passed", "Targets": [{"Target": "coredns"}]}},
                    },
                    {
                        "Name": "metrics-server",
                        "Group": "Addon",
                        "Version": "3.12.1",
                        "Level": {
                            "error": {
                                "Message": "TaskRunning: Task T-1 is running on it. Wait until it has ended.",
                                "Targets": [{"Target": "metrics-server"}],
                            },
                            "warning": {
                                "Message": "TaskRunning: Look out. Wait until it has ended.",
                                "Targets": [{"Target": "metrics-server"}],
                            },
                        },
                    },
                ]
            },
        },
    ),
    "ListClusterChecks": (
        "GET",
        f"/clusters/{CLUSTER}/checks?type=ClusterUpgrade",
        None,
        200,
        {
            "checks": [
                {
                    "check_id": CHECK,
                    "type": "ClusterUpgrade",
                    "target": "",
                    "status": "Failed",
                    "message": "blocked by metrics-server",
                    "created_at": "2026-11-23T08:00:00.000000000Z",
                    "finished_at": "2026-11-23T08:00:00.000000000Z",
                }
            ]
        },
    ),
    "DescribeEvents": ("GET", f"/events?cluster_id={CLUSTER}&type=cluster_addon_upgrade", None, 200, None),
    "DescribeEventsForRegion": ("GET", "/regions/local/events", None, 200, None),
    "DescribeClusterLogs": ("GET", f"/clusters/{CLUSTER}/logs", None, 200, None),
    "DescribeClusterResources": (
        "GET",
        f"/clusters/{CLUSTER}/resources?with_addon_resources=True",
        None,
        200,
        None,
    ),
    "DescribeClusters": ("GET", "/clusters?clusterType=ExternalKubernetes", None, 200, None),
    "DescribeClustersForRegion": ("GET", "/regions/local/clusters", None, 200, None),
    "ModifyCluster": (
        "PUT",
        f"/api/v2/clusters/{CLUSTER}",
        {"cluster_name": "other", "deletion_protection": True, "enable_rrsa": True},
        200,
        ACCEPTED,
    ),
    "DescribeClusterUserKubeconfig": (
        "GET",
        f"/k8s/{CLUSTER}/user_config?PrivateIpAddress=False",
        None,
        200,
        {"config": "apiVersion: v1\nkind: Config\n", "expiration": NOW},
    ),
    "DescribeClusterV2UserKubeconfig": (
        "GET",
        f"/api/v2/k8s/{CLUSTER}/user_config",
        None,
        200,
        {"config": "apiVersion: v1\nkind: Config\n"},
    ),
    "DescribeExternalAgent": ("GET", f"/k8s/{CLUSTER}/external/agent/deployment", None, 200, None),
    "DescribeKubernetesVersionMetadata": (
        "GET",
        "/api/v1/metadata/versions?Region=local&ClusterType=X&KubernetesVersion=1.31.1&QueryUpgradableVersion=true",
        None,
        200,
        [
            {
                "version": "1.31.1",
                "creatable": False,
                "release_date": "2024-08-13T00:00:00Z",
                "expiration_date": "2025-11-11T00:00:00Z",
                "upgradable_versions": ["1.32"],
                "images": [],
                "runtimes": [],
                "capabilities": {},
                "meta_data": {"KubernetesVersion": "1.31.1", "SubClass": "default", "ServiceCIDR": ""},
                "multi_az": "",
            }
        ],
    ),
    "DescribeRegions": (
        "GET",
        "/regions",
        None,
        200,
        {"requestId": REQUEST_ID, "regions": [{"regionId": "local", "localName": "local"}]},
    ),
    "ListTagResources": (
        "GET",
        f"/tags?region_id=local&resource_type=CLUSTER&resource_ids=%5B%22{CLUSTER}%22%5D",
        None,
        200,
        {
            "next_token": "",
            "request_id": REQUEST_ID,
            "tag_resources": {
                "tag_resource": [
                    {"resource_id": CLUSTER, "resource_type": "CLUSTER", "tag_key": "env", "tag_value": "test"}
                ]
            },
        },
    ),
    "TagResources": (
        "PUT",
        "/tags",
        {
            "region_id": "local",
            "resource_type": "CLUSTER",
            "resource_ids": [CLUSTER],
            "tags": [{"key": "env", "value": "test"}],
        },
        200,
        DONE,
    ),
    "UntagResources": (
        "DELETE",
        f"/tags?resource_type=CLUSTER&resource_ids=%5B%22{CLUSTER}%22%5D&tag_keys=%5B%22env%22%5D&all=False",
        None,
        200,
        DONE,
    ),
    "ModifyClusterTags": ("POST", f"/clusters/{CLUSTER}/tags", [{"key": "env", "value": "test"}], 200, {}),
    "CreateAccessKey": (
        "POST",
        "/addonry/v1/keys",
        {"name": "ci", "user": "ann"},
        200,
        {
            "access_key_id": "LTAInew",
            "access_key_secret": "only-once",
            "name": "ci",
            "user": "ann",
            "requestId": REQUEST_ID,
        },
    ),
    "ListAccessKeys": (
        "GET",
        "/addonry/v1/keys",
        None,
        200,
        {
            "keys": [
                {
                    "access_key_id": KEY,
                    "name": "root",
                    "user": "",
                    "created_at": NOW,
                    "expires_at": "",
                    "is_root": True,
                    "enabled": True,
                },
                {
                    "access_key_id": "STS.x",
                    "name": "ci",
                    "user": "ann",
                    "created_at": NOW,
                    "expires_at": NOW,
                    "is_root": False,
                    "enabled": True,
                },
            ],
            "requestId": REQUEST_ID,
        },
    ),
    "UpdateAccessKey": ("PUT", "/addonry/v1/keys/LTAIold", {"enabled": False}, 200, {}),
    "DeleteAccessKey": ("DELETE", "/addonry/v1/keys/LTAIold", None, 200, {}),
    "CreateSession": (
        "POST",
        "/addonry/v1/sessions",
        {"name": "night", "duration_seconds": 900, "policy": ALL},
        200,
        {
            "access_key_id": "STS.new",
            "access_key_secret": "only-once",
            "security_token": "token",
            "expiration": "2026-11-23T08:15:00Z",
            "requestId": REQUEST_ID,
        },
    ),
    "GetCaller": (
        "GET",
        "/addonry/v1/caller",
        None,
        200,
        {"account_id": "1000000000000000", "access_key_id": KEY, "user": "", "requestId": REQUEST_ID},
    ),
    "AddWaiver": (
        "POST",
        f"/addonry/v1/clusters/{CLUSTER}/waivers",
        {"check": "WorkloadUnhealthy", "component": "coredns", "reason": "one flaky node", "until": "2027-01-31"},
        200,
        {**WAIVER, "owner": KEY, "requestId": REQUEST_ID},
    ),
    "ListWaivers": (
        "GET",
        f"/addonry/v1/clusters/{CLUSTER}/waivers",
        None,
        200,
        {"waivers": [WAIVER], "requestId": REQUEST_ID},
    ),
    "RemoveWaiver": ("DELETE", f"/addonry/v1/clusters/{CLUSTER}/waivers/w-1", None, 200, {}),
    "CreateUser": ("POST", "/addonry/v1/users", {"name": "ann"}, 200, {}),
    "ListUsers": (
        "GET",
        "/addonry/v1/users",
        None,
        200,
        {
            "users": [{"name": "ann", "created_at": NOW, "policies": ["AliyunCSReadOnlyAccess"]}],
            "requestId": REQUEST_ID,
        },
    ),
    "DeleteUser": ("DELETE", "/addonry/v1/users/ann", None, 200, {}),
    "AttachPolicyToUser": ("PUT", "/addonry/v1/users/ann/policies/AliyunCSFullAccess", None, 200, {}),
    "DetachPolicyFromUser": ("DELETE", "/addonry/v1/users/ann/policies/AliyunCSFullAccess", None, 200, {}),
    "ListPolicies": (
        "GET",
        "/addonry/v1/policies",
        None,
        200,
        {
            "policies": [
                {
                    "name": "AliyunCSFullAccess",
                    "description": "Everything about clusters and their components.",
                    "type": "System",
                    "updated_at": "",
                }
            ],
            "requestId": REQUEST_ID,
        },
    ),
    "GetPolicy": (
        "GET",
        "/addonry/v1/policies/AliyunCSFullAccess",
        None,
        200,
        {
            "name": "AliyunCSFullAccess",
            "description": "Everything about clusters and their components.",
            "type": "System",
            "updated_at": "",
            "document": {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cs:*", "Resource": "*"}]},
        },
    ),
    "PutPolicy": ("PUT", "/addonry/v1/policies/all", {"document": ALL, "description": "All."}, 200, {}),
    "DeletePolicy": ("DELETE", "/addonry/v1/policies/all", None, 200, {}),
    "ListAuditRecords": ("GET", "/addonry/v1/audit?operation=DescribeClusterDetail", None, 200, None),
}
