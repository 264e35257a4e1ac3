"""The inventory of a cluster: what is found, who owns it, and how little is asked."""

import asyncio

import pytest

from addonry.kube import KubeSettings, open_cluster
from addonry.kube.api import Api
from addonry.kube.inventory import found_workload, take_inventory
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.model.components import Driver, Found, Health, ReleaseStatus, SourceKind
from addonry.model.errors import ClusterRefused, ClusterUnreachable
from addonry.model.inventory import Inventory
from addonry.model.owners import Owner
from addonry.simulator import SimulatedCluster, Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.rooms.kube.cluster_objects import TOKEN, of_helm, put_release, put_workload
from tests.support.helm import helm


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=1, charts=ChartRepository(pack(find_charts())), speed=10.0) as running:
        yield running


@pytest.fixture
def cluster(simulator) -> SimulatedCluster:
    return simulator.add(f"c-{len(simulator.clusters)}")


@pytest.fixture
async def api(cluster):
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    yield made
    await made.close()


async def settled(api: Api) -> Inventory:
    """The inventory once nothing moves any more."""
    async with asyncio.timeout(20):
        while True:
            inventory = await take_inventory(api)
            if all(each.health is not Health.IN_PROGRESS for each in inventory.found):
                return inventory
            await asyncio.sleep(0.05)


async def only(api: Api) -> Found:
    (found,) = (await settled(api)).found
    return found


async def test_an_empty_cluster_says_its_version_nodes_and_apis(api):
    inventory = await take_inventory(api)
    assert (inventory.kubernetes, inventory.nodes, inventory.found) == ("v1.36.2", 3, ())
    assert {"v1", "apps/v1"} <= inventory.served
    assert inventory.denied == ()


async def test_a_release_is_found_with_the_health_of_its_workloads(api):
    await put_release(api)
    await put_workload(api, annotations=of_helm())
    found = await only(api)
    assert (found.placement.source, found.placement.namespace, found.placement.name) == (
        SourceKind.HELM,
        "kube-system",
        "dns",
    )
    assert (found.chart, found.version, found.app_version) == ("coredns", "1.0.0", "1.11")
    assert (found.owner, found.health, found.status, found.revision) == (
        Owner.HELM,
        Health.CURRENT,
        ReleaseStatus.DEPLOYED,
        1,
    )
    assert found.images == ("registry.example/coredns/coredns:v1.11.1",)


async def test_the_worst_workload_of_a_release_is_its_health(api):
    await put_release(api)
    await put_workload(api, annotations=of_helm())
    await put_workload(api, name="ill", image="registry.example/notready:1", kind="DaemonSet", annotations=of_helm())
    (found,) = (await take_inventory(api)).found
    assert found.health is Health.IN_PROGRESS
    assert found.message


async def test_a_release_without_workloads_is_well(api):
    await put_release(api)
    assert (await only(api)).health is Health.CURRENT


async def test_of_several_revisions_the_deployed_one_says_the_version_and_the_newest_the_status(api):
    await put_release(api, revision=1, status="superseded", version="0.9.0")
    await put_release(api, revision=9, status="deployed", version="1.0.0")
    await put_release(api, revision=10, status="pending-upgrade", version="1.1.0")
    found = await only(api)
    assert (found.version, found.status, found.revision) == ("1.0.0", ReleaseStatus.PENDING_UPGRADE, 10)


async def test_a_first_install_that_hangs_is_told_as_such(api):
    await put_release(api, status="pending-install")
    found = await only(api)
    assert found.status.is_stuck
    assert found.version == "1.0.0"


async def test_an_uninstalled_release_with_its_history_kept_is_gone(api):
    await put_release(api, status="uninstalled")
    assert (await take_inventory(api)).found == ()


async def test_a_damaged_record_is_listed_and_spoils_nothing_else(api):
    await put_release(api, "broken", data="@@@")
    await put_release(api, "dns")
    found = {each.placement.name: each for each in (await take_inventory(api)).found}
    assert found["broken"].version == ""
    assert "record" in found["broken"].message
    assert found["dns"].version == "1.0.0"


async def test_values_are_read_and_never_shown(api):
    await put_release(api)
    inventory = await take_inventory(api)
    assert inventory.found[0].values == {"password": TOKEN}
    assert TOKEN not in repr(inventory)


async def test_a_plain_workload_is_found_by_its_image_tag(api):
    await put_workload(api, image="host:5000/coredns/coredns:v1.11.1@sha256:" + "a" * 64)
    found = await only(api)
    assert (found.placement.source, found.placement.kind) == (SourceKind.WORKLOAD, "Deployment")
    assert (found.version, found.owner, found.status) == ("v1.11.1", Owner.NOBODY, ReleaseStatus.NONE)


async def test_a_workload_read_alone_says_the_same_as_in_a_scan(api):
    await put_workload(api, labels={"app.kubernetes.io/version": "1.11.1"})
    found = await only(api)
    alone = await api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns")
    assert found_workload(alone) == found


OWNERS = [
    ({"annotations": {"argocd.argoproj.io/tracking-id": "dns:apps/Deployment:kube-system/coredns"}}, Owner.ARGO_CD),
    ({"annotations": {"argocd.argoproj.io/tracking-id": "dns:apps/Deployment:elsewhere/coredns"}}, Owner.NOBODY),
    ({"labels": {"argocd.argoproj.io/instance": "platform"}}, Owner.ARGO_CD),
    ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, Owner.FLUX),
    ({"labels": {"helm.toolkit.fluxcd.io/name": "apps"}}, Owner.FLUX),
    ({"labels": {"objectset.rio.cattle.io/hash": "abc"}}, Owner.K3S),
    ({"labels": {"k8s-app": "kube-dns"}}, Owner.KUBEADM),
    ({"labels": {"k8s-app": "kube-dns", "argocd.argoproj.io/instance": "platform"}}, Owner.ARGO_CD),
    ({"labels": {"app.kubernetes.io/instance": "dns"}}, Owner.NOBODY),
]


@pytest.mark.parametrize(("marks", "owner"), OWNERS)
async def test_a_plain_workload_tells_who_put_it_there(api, marks, owner):
    await put_workload(api, **marks)
    assert (await only(api)).owner is owner


async def test_kubeadms_label_outside_kube_system_says_nothing(api):
    await put_workload(api, namespace="default", labels={"k8s-app": "kube-dns"})
    assert (await only(api)).owner is Owner.NOBODY


async def test_a_release_that_flux_made_is_fluxs(api):
    await put_release(api)
    await put_workload(api, annotations=of_helm(), labels={"helm.toolkit.fluxcd.io/name": "dns"})
    assert (await only(api)).owner is Owner.FLUX


async def test_helms_annotations_without_a_release_make_no_release(api):
    """Argo CD applies what Helm renders; no release stands behind it, and Helm could not upgrade it."""
    await put_workload(
        api, annotations={**of_helm(), "argocd.argoproj.io/tracking-id": "dns:apps/Deployment:kube-system/coredns"}
    )
    found = await only(api)
    assert (found.placement.source, found.owner) == (SourceKind.WORKLOAD, Owner.ARGO_CD)


async def test_an_api_service_that_does_not_answer_makes_its_release_unwell(api):
    await put_release(api)
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.example.com", "annotations": of_helm()},
        "spec": {
            "group": "metrics.example.com",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": "missing", "namespace": "default"},
        },
    }
    await api.create("/apis/apiregistration.k8s.io/v1/apiservices", service)
    (found,) = (await take_inventory(api)).found
    assert found.health is Health.IN_PROGRESS
    assert "v1beta1.metrics.example.com" in found.message


async def test_the_number_of_requests_does_not_depend_on_what_runs_there(api, cluster):
    await take_inventory(api)
    cluster.forget_requests()
    await take_inventory(api)
    before = sorted(each.path for each in cluster.requests)
    for number in range(20):
        await put_release(api, f"release-{number}")
        await put_workload(api, name=f"plain-{number}", replicas=0)
    cluster.forget_requests()
    assert len((await take_inventory(api)).found) == 40
    assert sorted(each.path for each in cluster.requests) == before


async def test_a_scan_only_reads(api, cluster):
    await put_release(api)
    cluster.forget_requests()
    await take_inventory(api)
    assert {each.method for each in cluster.requests} == {"GET"}


async def test_superseded_revisions_are_not_even_fetched(api, cluster):
    await take_inventory(api)
    (asked,) = [each for each in cluster.requests if each.path == "/api/v1/secrets"]
    assert "status!%3Dsuperseded" in asked.query or "status%21%3Dsuperseded" in asked.query


DENIED = ["nodes", "secrets", "configmaps", "deployments", "daemonsets", "statefulsets", "apiservices"]


@pytest.mark.parametrize("what", DENIED)
async def test_a_forbidden_list_is_named_and_the_rest_is_there(api, cluster, what):
    await put_release(api)
    await put_workload(api)
    await put_workload(api, name="agent", kind="DaemonSet")
    cluster.trouble.fail(path_contains=f"/{what}", status=403, times=100)
    inventory = await take_inventory(api)
    assert inventory.denied == (what,)
    assert inventory.kubernetes == "v1.36.2"
    assert inventory.found


async def test_everything_forbidden_is_an_inventory_that_says_so(api, cluster):
    cluster.trouble.fail(path_contains="/api", status=403, times=1000)
    inventory = await take_inventory(api)
    assert set(DENIED) <= set(inventory.denied)
    assert inventory.kubernetes == "v1.36.2"


async def test_without_the_records_a_release_does_not_pass_for_a_plain_workload(api, cluster):
    """Else its image would be changed behind Helm's back."""
    await put_workload(api, annotations=of_helm(), labels={"helm.sh/chart": "coredns-1.29.0"})
    cluster.trouble.fail(path_contains="/secrets", status=403, times=100)
    found = await only(api)
    assert (found.placement.source, found.chart, found.version) == (SourceKind.HELM, "coredns", "1.29.0")
    assert found.status is ReleaseStatus.UNKNOWN


async def test_credentials_that_are_not_accepted_end_the_scan(api, cluster):
    cluster.trouble.fail(status=401, times=1000)
    with pytest.raises(ClusterRefused):
        await take_inventory(api)


async def test_a_cluster_that_goes_away_ends_the_scan(api, cluster):
    cluster.trouble.refuse()
    with pytest.raises(ClusterUnreachable):
        await take_inventory(api)


async def test_a_cluster_without_aggregation_is_scanned_all_the_same(api, cluster):
    cluster.trouble.fail(path_contains="/apiservices", status=404, times=1)
    assert (await take_inventory(api)).denied == ()


async def test_the_doors_probe_counts_nodes_where_it_may(cluster, tmp_path):
    live = open_cluster(cluster.kubeconfig(), KubeSettings(tmp_path))
    probe = await live.probe()
    assert (probe.kubernetes, probe.nodes, probe.server) == ("v1.36.2", 3, cluster.server)
    cluster.trouble.fail(path_contains="/nodes", status=403)
    assert (await live.probe()).nodes == 0
    await live.close()


@pytest.mark.slow
async def test_what_helm_installs_is_found_as_helm_stored_it(simulator, cluster, tmp_path):
    """Installed, upgraded and rolled back by Helm itself; the record is the one it wrote."""
    given = {"chart_repo_url": f"{simulator.url}/charts", "timeout": 30}
    kubeconfig = cluster.kubeconfig()

    def work() -> None:
        helm(kubeconfig, "install", "coredns", "dns", {}, chart_version="1.43.0", wait="watcher", **given)
        helm(
            kubeconfig,
            "upgrade",
            "coredns",
            "dns",
            {"replicaCount": 1},
            chart_version="1.45.0",
            wait="watcher",
            **given,
        )

    await asyncio.to_thread(work)
    live = open_cluster(kubeconfig, KubeSettings(tmp_path))
    (found,) = (await live.take_inventory()).found
    assert (found.chart, found.version, found.status, found.revision) == (
        "coredns",
        "1.45.0",
        ReleaseStatus.DEPLOYED,
        2,
    )
    assert (found.health, found.owner, found.values) == (Health.CURRENT, Owner.HELM, {"replicaCount": 1})
    assert found.images
    alone = await live.find(found.placement)
    assert alone is not None
    assert (alone.version, alone.health, alone.status, alone.revision) == (
        found.version,
        found.health,
        found.status,
        found.revision,
    )
    await live.close()


@pytest.mark.slow
async def test_what_helm_keeps_in_config_maps_is_found_as_helm_stored_it(simulator, cluster):
    kubeconfig = cluster.kubeconfig()
    given = {"chart_repo_url": f"{simulator.url}/charts", "chart_version": "1.43.0", "driver": "configmap"}
    await asyncio.to_thread(helm, kubeconfig, "install", "coredns", "dns", {"replicaCount": 1}, **given)
    api = Api(read_kubeconfig(kubeconfig), request_seconds=5)
    (found,) = (await take_inventory(api)).found
    await api.close()
    assert (found.chart, found.version, found.status) == ("coredns", "1.43.0", ReleaseStatus.DEPLOYED)
    assert (found.driver, found.values) == (Driver.CONFIG_MAPS, {"replicaCount": 1})
