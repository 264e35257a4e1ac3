"""Whose everything is, on clusters with the objects that each owner leaves there."""

import asyncio

import pytest

from addonry.kube import api as api_module
from addonry.kube.api import Api
from addonry.kube.controllers import RESOURCES
from addonry.kube.inventory import take_inventory
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.model.components import Driver, Found, SourceKind
from addonry.model.owners import Owner, Upkeep
from addonry.rules.denied import HIDDEN
from addonry.simulator import SimulatedCluster, Simulator
from tests.rooms.kube.cluster_objects import of_helm, put_crd, put_custom, put_release, put_workload

RELEASE_MANIFEST = """\
---
# Source: dns/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    name: not-this
  name: coredns
"""


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=1, speed=10.0) as running:
        yield running


@pytest.fixture
def cluster(simulator) -> SimulatedCluster:
    return simulator.add(f"c-{len(simulator.clusters)}")


@pytest.fixture
async def api(cluster):
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    yield made
    await made.close()


async def found_as(api: Api, name: str) -> Found:
    inventory = await take_inventory(api)
    (found,) = [each for each in inventory.found if each.placement.name == name]
    return found


async def serve(api: Api, *kinds: str) -> None:
    """Make the cluster serve custom resources by which controllers speak."""
    wanted = [each for each in RESOURCES if each.kind in kinds]
    assert len(wanted) == len(kinds)
    for each in wanted:
        scope = "Namespaced" if each.is_namespaced else "Cluster"
        await put_crd(api, each.group, each.versions[0], each.kind, each.plural, scope=scope)


SYNCING = [
    ({}, Upkeep.PAUSED),
    ({"syncPolicy": {"automated": {}}}, Upkeep.APPLIES),
    ({"syncPolicy": {"automated": {"selfHeal": True}}}, Upkeep.CORRECTS),
    ({"syncPolicy": {"automated": {"selfHeal": True, "enabled": False}}}, Upkeep.PAUSED),
]


async def put_application(api: Api, name: str, *, resources: list[dict] | None = None, **spec) -> None:
    await put_custom(
        api,
        "argoproj.io/v1alpha1",
        "Application",
        name,
        namespace="argocd",
        spec={"destination": {"server": "https://kubernetes.default.svc"}, **spec},
        status={"resources": resources or []},
    )


async def test_an_application_says_whether_it_puts_back_what_is_changed(api):
    await serve(api, "Application")
    for number, (spec, _) in enumerate(SYNCING):
        await put_application(api, f"app-{number}", **spec)
        tracking = f"app-{number}:apps/Deployment:kube-system/web-{number}"
        await put_workload(api, name=f"web-{number}", annotations={"argocd.argoproj.io/tracking-id": tracking})
    inventory = await take_inventory(api)
    told = {each.placement.name: each.owner_ref for each in inventory.found}
    for number, (_, upkeep) in enumerate(SYNCING):
        ref = told[f"web-{number}"]
        assert (ref.owner, ref.kind, ref.namespace, ref.name) == (
            Owner.ARGO_CD,
            "Application",
            "argocd",
            f"app-{number}",
        )
        assert ref.upkeep is upkeep
        assert ref.note


async def test_an_application_for_another_cluster_says_nothing_of_this_one(api):
    await serve(api, "Application")
    listed = [{"group": "apps", "kind": "Deployment", "namespace": "kube-system", "name": "coredns"}]
    await put_application(api, "there", resources=listed, destination={"server": "https://10.9.9.9:6443"})
    await put_workload(api)
    assert (await found_as(api, "coredns")).owner is Owner.NOBODY


async def test_two_applications_that_list_one_deployment_are_a_conflict(api):
    await serve(api, "Application")
    listed = [{"group": "apps", "kind": "Deployment", "namespace": "kube-system", "name": "coredns"}]
    for name in ("dns", "platform"):
        await put_application(api, name, resources=listed)
    await put_workload(api, labels={"app.kubernetes.io/instance": "dns"})
    found = await found_as(api, "coredns")
    (conflict,) = found.conflicts
    assert found.owner is Owner.ARGO_CD
    assert {claim.by.name for claim in conflict.claims} == {"dns", "platform"}


async def test_a_release_of_a_helm_release_is_fluxs_without_any_workload(api):
    await serve(api, "HelmRelease")
    await put_custom(
        api,
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        "dns",
        namespace="flux-system",
        spec={"suspend": True, "targetNamespace": "kube-system", "releaseName": "dns"},
    )
    await put_custom(
        api,
        "helm.toolkit.fluxcd.io/v2",
        "HelmRelease",
        "web",
        namespace="flux-system",
        spec={"targetNamespace": "kube-system"},
    )
    await put_release(api)
    await put_release(api, "kube-system-web")
    dns, web = await found_as(api, "dns"), await found_as(api, "kube-system-web")
    assert (dns.placement.source, dns.owner) == (SourceKind.HELM, Owner.FLUX)
    assert (dns.owner_ref.kind, dns.owner_ref.name, dns.owner_ref.upkeep) == ("HelmRelease", "dns", Upkeep.PAUSED)
    assert (web.owner_ref.name, web.owner_ref.upkeep) == ("web", Upkeep.CORRECTS)


async def test_a_kustomization_and_a_helm_release_that_hold_one_deployment_are_a_conflict(api):
    await serve(api, "Kustomization")
    await put_custom(
        api,
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        "apps",
        namespace="flux-system",
        status={"inventory": {"entries": [{"id": "kube-system_coredns_apps_Deployment", "v": "v1"}]}},
    )
    await put_release(api, manifest=RELEASE_MANIFEST)
    await put_workload(api, annotations=of_helm())
    found = await found_as(api, "dns")
    (conflict,) = found.conflicts
    assert conflict.subject == "Deployment kube-system/coredns"
    assert [claim.by.title for claim in conflict.claims] == [
        "Flux Kustomization flux-system/apps",
        "Helm Release kube-system/dns",
    ]
    assert found.owner is Owner.FLUX


async def test_two_releases_that_claim_one_deployment_are_a_conflict_of_both(api):
    await put_release(api, "dns", manifest=RELEASE_MANIFEST)
    await put_release(api, "bundle", manifest=RELEASE_MANIFEST)
    await put_workload(api, annotations=of_helm("dns"))
    for name in ("dns", "bundle"):
        (conflict,) = (await found_as(api, name)).conflicts
        assert {claim.by.name for claim in conflict.claims} == {"dns", "bundle"}


async def test_what_eks_manages_and_helm_holds_as_well_is_a_conflict(api):
    await put_release(api, "metrics-server")
    marks = {"name": "metrics-server", "annotations": of_helm("metrics-server")}
    await put_workload(api, manager="eks", **marks)
    found = await found_as(api, "metrics-server")
    (conflict,) = found.conflicts
    assert {claim.sign for claim in conflict.claims} == {"field manager eks", "annotation meta.helm.sh/release-name"}


async def test_a_self_managed_addon_of_eks_has_no_manager_to_fear(api):
    await put_workload(api, labels={"eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns"})
    found = await found_as(api, "coredns")
    assert (found.owner, found.owner_ref.upkeep) == (Owner.EKS, Upkeep.NONE)


async def test_k3s_packages_manifests_and_charts(api):
    await serve(api, "HelmChart", "HelmChartConfig", "Addon")
    await put_custom(api, "helm.cattle.io/v1", "HelmChart", "traefik", spec={"chart": "traefik.tgz"})
    await put_custom(api, "helm.cattle.io/v1", "HelmChartConfig", "traefik", spec={"valuesContent": "a: 1"})
    await put_custom(
        api,
        "k3s.cattle.io/v1",
        "Addon",
        "coredns",
        spec={"source": "/var/lib/rancher/k3s/server/manifests/coredns.yaml"},
    )
    await put_release(api, "traefik")
    packaged = {
        "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
        "objectset.rio.cattle.io/owner-name": "coredns",
        "objectset.rio.cattle.io/owner-namespace": "kube-system",
    }
    await put_workload(api, annotations=packaged, labels={"k8s-app": "kube-dns"})
    chart, manifest = await found_as(api, "traefik"), await found_as(api, "coredns")
    assert (chart.owner, chart.owner_ref.kind, chart.owner_ref.note) == (
        Owner.K3S,
        "HelmChart",
        "with the values of its HelmChartConfig",
    )
    assert (manifest.owner_ref.title, manifest.owner_ref.upkeep) == ("k3s Addon kube-system/coredns", Upkeep.APPLIES)
    assert manifest.owner_ref.note == "manifest coredns.yaml"


async def test_an_operator_of_olm_is_one_thing_with_its_channel_and_approval(api):
    await serve(api, "ClusterServiceVersion", "Subscription")
    operators = "operators.coreos.com/v1alpha1"
    install = {"spec": {"deployments": [{"name": "cert-manager"}, {"name": "cert-manager-webhook"}]}}
    csv = {"version": "1.16.1", "install": install}
    await put_custom(api, operators, "ClusterServiceVersion", "cert-manager.v1.16.1", namespace="ops", spec=csv)
    await put_custom(
        api,
        operators,
        "ClusterServiceVersion",
        "cert-manager.v1.16.1",
        namespace="copied",
        metadata={"labels": {"olm.copiedFrom": "ops"}},
        spec=csv,
    )
    await put_custom(
        api,
        operators,
        "Subscription",
        "my-cert-manager",
        namespace="ops",
        spec={"name": "cert-manager", "channel": "stable", "installPlanApproval": "Manual"},
        status={"installedCSV": "cert-manager.v1.16.1"},
    )
    labels = {
        "olm.owner": "cert-manager.v1.16.1",
        "olm.owner.kind": "ClusterServiceVersion",
        "olm.owner.namespace": "ops",
    }
    for name in ("cert-manager", "cert-manager-webhook"):
        image = f"quay.io/jetstack/{name}@sha256:" + "a" * 64
        await put_workload(api, namespace="ops", name=name, image=image, labels=labels)
    inventory = await take_inventory(api)
    (found,) = inventory.found
    assert (found.placement.name, found.version, found.owner) == ("cert-manager", "1.16.1", Owner.OLM)
    assert found.owner_ref.title == "OLM Subscription ops/my-cert-manager"
    assert found.owner_ref.note == "cert-manager.v1.16.1, channel stable, approval manual"
    assert len(found.images) == 2


async def test_an_extension_of_olm_is_one_thing_with_its_version(api):
    await serve(api, "ClusterExtension")
    await put_custom(
        api,
        "olm.operatorframework.io/v1",
        "ClusterExtension",
        "argo",
        spec={"source": {"sourceType": "Catalog", "catalog": {"packageName": "argocd", "channels": ["stable"]}}},
        status={"install": {"bundle": {"name": "argocd.v0.12.0", "version": "0.12.0"}}},
    )
    labels = {"olm.operatorframework.io/owner-kind": "ClusterExtension", "olm.operatorframework.io/owner-name": "argo"}
    for name in ("controller", "webhook"):
        await put_workload(api, name=name, labels=labels, image="quay.io/argo/" + name + "@sha256:" + "b" * 64)
    (found,) = (await take_inventory(api)).found
    assert (found.version, found.owner_ref.title, found.owner_ref.note) == (
        "0.12.0",
        "OLM ClusterExtension argo",
        "channel stable",
    )


async def test_what_an_operator_controls_is_the_operators(api):
    await put_crd(api, "operator.tigera.io", "v1", "Installation", "installations")
    made = await put_custom(api, "operator.tigera.io/v1", "Installation", "default")
    reference = {
        "apiVersion": "operator.tigera.io/v1",
        "kind": "Installation",
        "name": "default",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    await put_workload(api, kind="DaemonSet", name="calico-node", owner_references=[reference])
    found = await found_as(api, "calico-node")
    assert (found.owner, found.owner_ref.kind, found.owner_ref.name) == (Owner.OPERATOR, "Installation", "default")


async def test_releases_that_helm_keeps_in_config_maps_are_found_as_well(api):
    await put_release(api, "inmaps", driver="configmaps", version="2.0.0")
    await put_release(api, "insecrets")
    inmaps, insecrets = await found_as(api, "inmaps"), await found_as(api, "insecrets")
    assert (inmaps.version, inmaps.driver) == ("2.0.0", Driver.CONFIG_MAPS)
    assert insecrets.driver is Driver.SECRETS


async def test_a_release_that_was_changed_thousands_of_times_says_so(api):
    await put_release(api, revision=9792)
    (turnover,) = (await found_as(api, "dns")).turnovers
    assert (turnover.what, turnover.count) == ("revisions of Helm release kube-system/dns", 9792)
    assert turnover.since.year == 2026


ALL_KINDS = tuple(each.kind for each in RESOURCES)


async def test_there_are_nineteen_requests_and_one_for_each_kind_of_controller_whatever_runs_there(api, cluster):
    async def asked() -> list[str]:
        cluster.forget_requests()
        await take_inventory(api)
        return sorted(each.path for each in cluster.requests)

    await take_inventory(api)
    assert len(await asked()) == 19
    await serve(api, *ALL_KINDS)
    for number in range(3):
        await put_release(api, f"release-{number}")
    few = await asked()
    assert len(few) == 19 + len(RESOURCES) == 28
    lists = {path.rpartition("/")[2] for path in few} - {"api", "apis"}
    assert lists <= HIDDEN.keys(), "rules/denied.py says what each list hides from who may not make it"
    await asyncio.gather(*(put_release(api, f"release-{number}") for number in range(3, 150)))
    await asyncio.gather(*(put_workload(api, name=f"plain-{number}", replicas=0) for number in range(150)))
    assert await asked() == few
    assert len((await take_inventory(api)).found) == 300


async def test_records_that_are_too_much_at_once_come_in_smaller_pages(api, cluster, monkeypatch):
    """A release's record may have a megabyte; hundreds of those are more than one answer may bring."""
    filler = "".join(f"# {number * 7919}\n" for number in range(2_000))
    for number in range(60):
        await put_release(api, f"release-{number}", manifest=filler)
    monkeypatch.setattr(api_module, "MAX_ANSWER", 700_000)
    cluster.forget_requests()
    assert len((await take_inventory(api)).found) == 60
    assert len([each for each in cluster.requests if each.path == "/api/v1/secrets"]) == 3


async def test_a_controller_that_may_not_be_asked_is_named_and_its_marks_still_tell(api, cluster):
    await serve(api, "Kustomization")
    await put_workload(api, labels={"kustomize.toolkit.fluxcd.io/name": "apps"})
    cluster.trouble.fail(path_contains="/kustomizations", status=403, times=100)
    inventory = await take_inventory(api)
    (found,) = inventory.found
    assert inventory.denied == ("kustomizations",)
    assert (found.owner, found.owner_ref.name, found.owner_ref.upkeep) == (Owner.FLUX, "apps", Upkeep.UNKNOWN)


async def test_an_object_that_its_controller_could_not_read_spoils_nothing(api):
    """Only its own word is missing: the marks that name it still count."""
    await serve(api, "Kustomization")
    for name, fields in (("odd", {"spec": {"suspend": "perhaps"}}), ("apps", {"spec": {"suspend": True}})):
        await put_custom(
            api, "kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, namespace="flux-system", **fields
        )
        await put_workload(api, name=name, labels={"kustomize.toolkit.fluxcd.io/name": name})
    assert (await found_as(api, "odd")).owner_ref.upkeep is Upkeep.UNKNOWN
    assert (await found_as(api, "apps")).owner_ref.upkeep is Upkeep.PAUSED


async def test_with_rights_in_one_namespace_that_namespace_is_seen(cluster):
    """The one that the kubeconfig names: asking for others would take a request each."""
    whole = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    await put_workload(whole)
    await put_release(whole, "dns")
    await put_workload(whole, namespace="default", name="elsewhere")
    await whole.close()
    text = cluster.kubeconfig().replace("namespace: default", "namespace: kube-system")
    confined = Api(read_kubeconfig(text), request_seconds=5)
    for path in ("/apis/apps/v1/deployments", "/api/v1/secrets"):
        cluster.trouble.fail(path_contains=path, status=403, times=100)
    inventory = await take_inventory(confined)
    await confined.close()
    assert {each.placement.name for each in inventory.found} == {"coredns", "dns"}
    assert (inventory.denied, inventory.namespace) == (("deployments", "secrets"), "kube-system")
