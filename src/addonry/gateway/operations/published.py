"""The operations of the published API in the part of it that Addonry is about (CS, 2015-12-15), as data.

Those that ``operations`` does not answer yet are refused by name instead of as unknown paths.
https://api.aliyun.com/document/CS/2015-12-15/overview
"""

from typing import Final

from addonry.gateway.operation import Unserved

PUBLISHED: Final = tuple(
    Unserved(*row)
    for row in (
        ("DescribeClusterAddonsUpgradeStatus", "GET", "/clusters/{ClusterId}/components/upgradestatus"),
        ("DescribeClusterAddonUpgradeStatus", "GET", "/clusters/{ClusterId}/components/{ComponentId}/upgradestatus"),
        ("DescribeClusterAddonsVersion", "GET", "/clusters/{ClusterId}/components/version"),
        ("DescribeAddons", "GET", "/clusters/components/metadata"),
        ("DescribeClusterAddonMetadata", "GET", "/clusters/{ClusterId}/components/{component_id}/metadata"),
        ("DescribeClusterAddonInstance", "GET", "/clusters/{ClusterId}/components/{AddonName}/instance"),
        ("InstallClusterAddons", "POST", "/clusters/{ClusterId}/components/install"),
        ("UpgradeClusterAddons", "POST", "/clusters/{ClusterId}/components/upgrade"),
        ("UnInstallClusterAddons", "POST", "/clusters/{ClusterId}/components/uninstall"),
        ("ModifyClusterAddon", "POST", "/clusters/{ClusterId}/components/{component_id}/config"),
        ("PauseComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentid}/pause"),
        ("ResumeComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentid}/resume"),
        ("CancelComponentUpgrade", "POST", "/clusters/{ClusterId}/components/{componentId}/cancel"),
        ("ListAddons", "GET", "/addons"),
        ("DescribeAddon", "GET", "/addons/{addon_name}"),
        ("ListClusterAddonInstances", "GET", "/clusters/{ClusterId}/addon_instances"),
        ("GetClusterAddonInstance", "GET", "/clusters/{ClusterId}/addon_instances/{instance_name}"),
        ("ListClusterAddonInstanceResources", "GET", "/clusters/{ClusterId}/addon_instances/{instance_name}/resources"),
        ("RunClusterCheck", "POST", "/clusters/{ClusterId}/checks"),
        ("GetClusterCheck", "GET", "/clusters/{ClusterId}/checks/{check_id}"),
        ("ListClusterChecks", "GET", "/clusters/{ClusterId}/checks"),
        ("DescribeTaskInfo", "GET", "/tasks/{task_id}"),
        ("DescribeClusterTasks", "GET", "/clusters/{ClusterId}/tasks"),
        ("CancelTask", "POST", "/tasks/{task_id}/cancel"),
        ("PauseTask", "POST", "/tasks/{task_id}/pause"),
        ("ResumeTask", "POST", "/tasks/{task_id}/resume"),
        ("DescribeEvents", "GET", "/events"),
        ("DescribeClusterEvents", "GET", "/clusters/{ClusterId}/events"),
        ("DescribeEventsForRegion", "GET", "/regions/{region_id}/events"),
        ("DescribeClustersV1", "GET", "/api/v1/clusters"),
        ("DescribeClusters", "GET", "/clusters"),
        ("DescribeClustersForRegion", "GET", "/regions/{region_id}/clusters"),
        ("DescribeClusterDetail", "GET", "/clusters/{ClusterId}"),
        ("CreateCluster", "POST", "/clusters"),
        ("DeleteCluster", "DELETE", "/clusters/{ClusterId}"),
        ("ModifyCluster", "PUT", "/api/v2/clusters/{ClusterId}"),
        ("DescribeClusterUserKubeconfig", "GET", "/k8s/{ClusterId}/user_config"),
        ("DescribeClusterV2UserKubeconfig", "GET", "/api/v2/k8s/{ClusterId}/user_config"),
        ("DescribeExternalAgent", "GET", "/k8s/{ClusterId}/external/agent/deployment"),
        ("DescribeKubernetesVersionMetadata", "GET", "/api/v1/metadata/versions"),
        ("ListTagResources", "GET", "/tags"),
        ("TagResources", "PUT", "/tags"),
        ("UntagResources", "DELETE", "/tags"),
        ("ModifyClusterTags", "POST", "/clusters/{ClusterId}/tags"),
        ("DescribeRegions", "GET", "/regions"),
        ("DescribeClusterLogs", "GET", "/clusters/{ClusterId}/logs"),
        ("DescribeClusterResources", "GET", "/clusters/{ClusterId}/resources"),
    )
)
