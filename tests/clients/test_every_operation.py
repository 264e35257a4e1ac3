"""The official Python SDK calls all 47 operations, and every answer fills its model."""

import base64
import json
import re
from typing import Any

import pytest
from alibabacloud_cs20151215 import models as m

from tests.scenario.test_first_upgrade import finished, ready, status_of
from tests.support.waiting import until
from tests.wire.published import PUBLISHED

pytestmark = pytest.mark.slow

NAME = "metrics-server"
OTHER = "node-problem-detector"

OF_A_CLOUD = ("rrsa_config.", "control_plane_config.", "control_plane_endpoints_config", "auto_mode")
"""Parts of DescribeClusterDetail that a registered cluster does not have."""


def snake(name: str) -> str:
    """The SDK's name of an operation."""
    words = re.sub(r"(?<!^)(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return words.replace("_v2_user", "_v2user")


def unfilled(value: Any, where: str = "") -> list[str]:
    """The members of a model, and of models in it, that the answer left out."""
    if isinstance(value, list):
        return [name for each in value for name in unfilled(each, f"{where}[]")]
    if not hasattr(value, "to_map"):
        return []
    found = []
    for name, member in vars(value).items():
        if name.startswith("_"):
            continue
        if member is None:
            found.append(f"{where}.{name}")
        else:
            found += unfilled(member, f"{where}.{name}")
    return found


class Caller:
    """Calls operations by their published names and remembers which, and what their answers lacked."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.called: set[str] = set()
        self.lacking: set[str] = set()

    def __call__(self, name: str, *arguments: Any) -> Any:
        answer = getattr(self._client, snake(name))(*arguments)
        assert answer.status_code in {200, 202}, name
        assert len(answer.headers["x-acs-request-id"]) == 36
        self.called.add(name)
        body = getattr(answer, "body", None)
        self.lacking |= {f"{name}{path}" for path in unfilled(body)}
        return body


def accepted(answer: Any) -> str:
    assert answer.cluster_id
    assert len(answer.request_id) == 36
    assert answer.task_id.startswith("T-")
    return answer.task_id


@pytest.mark.uninstalls(OTHER)
def test_all_47_operations_answer_and_fill_their_models(client, cluster, install):
    install(NAME, "3.12.1", replicas=2)
    call = Caller(client)

    def ended(task_id: str, state: str = "success") -> Any:
        def look():
            task = call("DescribeTaskInfo", task_id)
            return task if task.state == state else None

        return until(look, seconds=60, what=f"{task_id} to be {state}")

    # Clusters
    created = call(
        "CreateCluster",
        m.CreateClusterRequest(
            name="prod",
            region_id="local",
            cluster_type="ExternalKubernetes",
            user_data=base64.b64encode(cluster.kubeconfig().encode()).decode(),
            tags=[m.Tag(key="env", value="test")],
        ),
    )
    c = created.cluster_id
    ended(accepted(created))
    ready(client, c, NAME)
    detail = call("DescribeClusterDetail", c)
    assert (detail.name, detail.cluster_type, detail.state, detail.tags[0].key) == (
        "prod",
        "ExternalKubernetes",
        "running",
        "env",
    )
    accepted(call("ModifyCluster", c, m.ModifyClusterRequest(cluster_name="production", deletion_protection=True)))
    assert call("DescribeClusterDetail", c).deletion_protection is True
    listed = call("DescribeClustersV1", m.DescribeClustersV1Request(name="production", page_number=1, page_size=10))
    assert ([each.cluster_id for each in listed.clusters], listed.page_info.total_count) == ([c], 1)
    assert [each.name for each in call("DescribeClusters", m.DescribeClustersRequest())] == ["production"]
    there = call("DescribeClustersForRegion", "local", m.DescribeClustersForRegionRequest())
    assert [each.cluster_id for each in there.clusters] == [c]
    regions = call("DescribeRegions", m.DescribeRegionsRequest())
    assert [each.region_id for each in regions.regions] == ["local"]
    versions = call(
        "DescribeKubernetesVersionMetadata",
        m.DescribeKubernetesVersionMetadataRequest(
            region="local",
            cluster_type="ExternalKubernetes",
            kubernetes_version="1.35.0",
            query_upgradable_version=True,
        ),
    )
    assert [(each.version, each.upgradable_versions) for each in versions] == [("1.35.0", ["1.36"])]
    config = call("DescribeClusterUserKubeconfig", c, m.DescribeClusterUserKubeconfigRequest(private_ip_address=False))
    assert config.config == cluster.kubeconfig()
    old = call("DescribeClusterV2UserKubeconfig", c, m.DescribeClusterV2UserKubeconfigRequest())
    assert old.config == cluster.kubeconfig()
    agent = call("DescribeExternalAgent", c, m.DescribeExternalAgentRequest(agent_mode="restricted"))
    assert "kind: ServiceAccount" in agent.config

    # Tags
    call(
        "TagResources",
        m.TagResourcesRequest(
            region_id="local",
            resource_type="CLUSTER",
            resource_ids=[c],
            tags=[m.Tag(key="team", value="a b+c*")],
        ),
    )
    tags = call(
        "ListTagResources",
        m.ListTagResourcesRequest(
            region_id="local",
            resource_type="CLUSTER",
            resource_ids=[c],
            tags=[m.Tag(key="team")],
        ),
    )
    told = {each.tag_key: each.tag_value for each in tags.tag_resources.tag_resource}
    assert told == {"env": "test", "team": "a b+c*"}
    call(
        "UntagResources",
        m.UntagResourcesRequest(
            region_id="local", resource_type="CLUSTER", resource_ids=[c], tag_keys=["env"], all=False
        ),
    )
    call("ModifyClusterTags", c, m.ModifyClusterTagsRequest(body=[m.Tag(key="k", value="v")]))
    assert [(each.key, each.value) for each in call("DescribeClusterDetail", c).tags] == [("k", "v")]

    # The catalog
    addons = call("ListAddons", m.ListAddonsRequest(cluster_id=c))
    assert NAME in {each.name for each in addons.addons}
    addon = call("DescribeAddon", NAME, m.DescribeAddonRequest(cluster_id=c, version="3.12.1"))
    assert addon.newer_versions[0].upgradable is True
    standard = call("DescribeAddons", m.DescribeAddonsRequest(region="local", cluster_type="kubernetes"))
    assert standard.standard_components[OTHER].required == "false"
    metadata = call("DescribeClusterAddonMetadata", c, NAME, m.DescribeClusterAddonMetadataRequest(version=""))
    assert isinstance(json.loads(metadata.config_schema), dict)

    # What runs
    assert NAME in call("DescribeClusterAddonsVersion", c)
    request = m.DescribeClusterAddonsUpgradeStatusRequest(component_ids=[NAME, "unheard-of"])
    assert list(call("DescribeClusterAddonsUpgradeStatus", c, request)) == [NAME]
    assert list(call("DescribeClusterAddonUpgradeStatus", c, NAME)) == [NAME]
    assert NAME in {each.name for each in call("ListClusterAddonInstances", c).addons}
    assert call("GetClusterAddonInstance", c, NAME).state == "active"
    assert json.loads(call("DescribeClusterAddonInstance", c, NAME).config) == {"replicas": 2}
    belongings = call("ListClusterAddonInstanceResources", c, NAME)
    assert belongings.helm_release.chart_version == "3.12.1"
    assert ("apps", "Deployment", NAME) in {(o.group, o.kind, o.name) for o in belongings.kubernetes_objects}
    parts = call("DescribeClusterResources", c, m.DescribeClusterResourcesRequest(with_addon_resources=True))
    assert f"kube-system/{NAME}" in {each.instance_id for each in parts}

    # Checks
    started = call(
        "RunClusterCheck", c, m.RunClusterCheckRequest(type="AddonUpgrade", target=NAME, options={"version": "3.13.0"})
    )
    check = call("GetClusterCheck", c, started.check_id)
    assert (check.status, check.check_items["Addon"][0]["Name"]) == ("Succeeded", NAME)
    assert [each.check_id for each in call("ListClusterChecks", c, m.ListClusterChecksRequest()).checks] == [
        started.check_id
    ]

    # Changes: install, configure, upgrade as a canary, cancel, uninstall
    installing = [m.InstallClusterAddonsRequestBody(name=OTHER, version="2.3.13")]
    ended(accepted(call("InstallClusterAddons", c, m.InstallClusterAddonsRequest(body=installing))))
    config_text = json.dumps({"podAnnotations": {"a": "b"}})
    call("ModifyClusterAddon", c, NAME, m.ModifyClusterAddonRequest(config=config_text))
    assert finished(client, c, NAME)["tasks"]["status"] == "Success"
    ready(client, c, NAME)
    wanted = m.UpgradeClusterAddonsRequestBody(component_name=NAME, next_version="3.13.0", policy="canary")
    upgrading = accepted(call("UpgradeClusterAddons", c, m.UpgradeClusterAddonsRequest(body=[wanted])))
    ended(upgrading, "paused")
    call("PauseTask", upgrading)
    call("PauseComponentUpgrade", c, NAME)
    assert status_of(client, c, NAME)["tasks"]["status"] == "Paused"
    call("ResumeComponentUpgrade", c, NAME)
    call("ResumeTask", upgrading)
    ended(upgrading)
    ready(client, c, OTHER)
    for cancel in (lambda task: call("CancelTask", task), lambda _: call("CancelComponentUpgrade", c, OTHER)):
        wanted = m.UpgradeClusterAddonsRequestBody(component_name=OTHER, next_version="2.3.14", policy="canary")
        task = accepted(call("UpgradeClusterAddons", c, m.UpgradeClusterAddonsRequest(body=[wanted])))
        ended(task, "paused")
        cancel(task)
        ended(task, "canceled")
        ready(client, c, OTHER)
    removing = [m.UnInstallClusterAddonsRequestAddons(name=OTHER, cleanup_cloud_resources=True)]
    ended(accepted(call("UnInstallClusterAddons", c, m.UnInstallClusterAddonsRequest(addons=removing))))
    assert OTHER not in {each.name for each in call("ListClusterAddonInstances", c).addons}

    # What happened
    tasks = call("DescribeClusterTasks", c, m.DescribeClusterTasksRequest(page_number=1, page_size=5))
    assert (len(tasks.tasks), tasks.tasks[0].task_type) == (5, "cluster_addon_uninstall")
    paged = call("DescribeClusterTasks", c, m.DescribeClusterTasksRequest(max_results=2, next_token=""))
    assert (len(paged.tasks), paged.next_token) == (2, "2")
    events = call("DescribeClusterEvents", c, m.DescribeClusterEventsRequest(task_id=upgrading))
    reasons = {each.data.reason for each in events.events}
    assert {"Started", "Paused", "Resumed", "Succeeded"} <= reasons
    everywhere = call("DescribeEvents", m.DescribeEventsRequest(cluster_id=c, type="cluster_addon_install"))
    assert {each.subject for each in everywhere.events} == {OTHER}
    region = call("DescribeEventsForRegion", "local", m.DescribeEventsForRegionRequest(cluster_id=c))
    assert region.page_info.total_count > everywhere.page_info.total_count
    nowhere = call("DescribeEventsForRegion", "cn-beijing", m.DescribeEventsForRegionRequest())
    assert (nowhere.events, nowhere.page_info.total_count) == ([], 0)
    logs = call("DescribeClusterLogs", c)
    assert f"{OTHER}" in logs[0].cluster_log

    # Its end
    call("ModifyCluster", c, m.ModifyClusterRequest(deletion_protection=False))
    gone = call("DeleteCluster", c, m.DeleteClusterRequest(retain_all_resources=True, retain_resources=["x"]))
    assert call("DescribeTaskInfo", accepted(gone)).task_type == "cluster_delete"

    assert call.called == {name for name, _, _ in PUBLISHED}
    of_a_cloud = tuple(f"DescribeClusterDetail.{each}" for each in OF_A_CLOUD)
    assert {each for each in call.lacking if not each.startswith(of_a_cloud)} == set()
