"""What lies around components on a cluster, as an inventory and a preflight see it: each of it made and unmade there."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from addonry.kube import KubeSettings, open_cluster
from addonry.kube.api import Api
from addonry.kube.inventory import take_inventory
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.kube.rights import missing_rights
from addonry.kube.surroundings import look_around
from addonry.model.components import ObjectRef, Placement, SourceKind
from addonry.model.surroundings import Surroundings, WorkloadNote
from addonry.rules.removed_apis import Requested
from addonry.simulator import SimulatedCluster, Simulator
from tests.rooms.kube.cluster_objects import a_workload, of_helm, put_crd, put_custom, put_release, put_workload
from tests.support.certificates import an_authority

RELEASE = Placement(SourceKind.HELM, "kube-system", "dns")
PODS = {"app": "coredns"}


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=0, speed=10.0) as running:
        yield running


@pytest.fixture
def cluster(simulator) -> SimulatedCluster:
    return simulator.add(f"c-{len(simulator.clusters)}")


@pytest.fixture
async def api(cluster):
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    yield made
    await made.close()


async def around(api: Api) -> Surroundings:
    seen = (await take_inventory(api)).surroundings
    assert seen is not None
    return seen


async def note(api: Api) -> WorkloadNote:
    """What is known of the one workload that there is; a preflight's look says the same as a scan's."""
    [found] = (await around(api)).workloads
    assert (await look_around(api)).workloads == (found,)
    return found


async def put(api: Api, path: str, kind: str, name: str, version: str = "v1", **members: Any) -> dict[str, Any]:
    """An object, whose status is written as well."""
    made = await api.create(path, {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **members})
    if "status" in members:
        await api.patch(f"{path}/{name}/status", {"status": members["status"]}, kind="merge")
    return made


async def test_a_new_cluster_has_ready_nodes_with_room(api):
    nodes = (await around(api)).nodes
    assert (nodes.count, nodes.not_ready, nodes.cordoned) == (3, (), ())
    assert nodes.kubelets == {"v1.36.2": 3}
    assert nodes.free_pods == 750
    assert nodes.rooms is not None
    assert len(nodes.rooms) == 1, "the others are no roomier"


async def test_what_pods_ask_for_is_taken_off_and_what_is_cordoned_is_not_counted(api):
    before = (await around(api)).nodes
    asked = {"requests": {"cpu": "500m", "memory": "256Mi"}}
    container = {"name": "app", "image": "registry.example/app:1", "resources": asked}
    names = [each["metadata"]["name"] for each in (await api.get("/api/v1/nodes"))["items"]]
    for name in names:
        pod = {"nodeName": name, "containers": [container], "tolerations": [{"operator": "Exists"}]}
        await put(api, "/api/v1/namespaces/default/pods", "Pod", f"on-{name}", spec=pod)
    await api.patch(f"/api/v1/nodes/{names[0]}", {"spec": {"unschedulable": True}}, kind="merge")
    nodes = (await around(api)).nodes
    assert nodes.cordoned == (names[0],)
    assert nodes.free_pods == before.free_pods // 3 * 2 - 2
    assert nodes.rooms[0].cpu == before.rooms[0].cpu - 500
    assert nodes.rooms[0].memory == before.rooms[0].memory - (256 << 20)


async def test_a_node_that_is_away_is_named(api):
    name = (await api.get("/api/v1/nodes"))["items"][0]["metadata"]["name"]
    gone = {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}
    await api.patch(f"/api/v1/nodes/{name}/status", gone, kind="strategic")
    assert name in (await around(api)).nodes.not_ready


async def test_a_workload_is_noted_with_what_a_change_does_to_it(api):
    await put_release(api)
    container = {
        "name": "app",
        "image": "registry.example/coredns/coredns:v1.11.1",
        "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}},
    }
    workload = a_workload(annotations=of_helm(), replicas=2)
    template = workload["spec"]["template"]["spec"]
    template["containers"] = [container]
    template["tolerations"] = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    workload["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    await api.create("/apis/apps/v1/namespaces/kube-system/deployments", workload)
    found = await note(api)
    assert (found.placement, found.title) == (RELEASE, "Deployment kube-system/coredns")
    assert (found.replicas, found.cpu, found.memory) == (2, 100, 70 << 20)
    assert found.tolerates == ("node-role.kubernetes.io/control-plane",)
    assert (found.needs_room, found.goes_down, found.unprobed, found.is_spread) == (True, False, (), False)


@pytest.mark.parametrize(
    ("replicas", "strategy", "goes_down", "needs_room"),
    [
        (1, {}, False, True),
        (1, {"rollingUpdate": {"maxUnavailable": 1}}, True, False),
        (4, {}, False, False),
        (2, {"type": "Recreate"}, True, False),
        (3, {"rollingUpdate": {"maxUnavailable": "100%"}}, True, False),
        (3, {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "50%"}}, False, True),
        (0, {"type": "Recreate"}, False, False),
    ],
)
async def test_a_strategy_says_whether_a_change_interrupts(api, replicas, strategy, goes_down, needs_room):
    await put_workload(api, replicas=replicas, strategy=strategy)
    found = await note(api)
    assert (found.goes_down, found.needs_room) == (goes_down, needs_room)


async def test_a_workload_that_only_says_it_is_helms_is_its_own(api):
    await put_workload(api, annotations=of_helm("gone"))
    [found] = (await around(api)).workloads
    assert found.placement == Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")


async def test_budgets_and_autoscalers_are_laid_at_the_workload_they_are_about(api):
    await put_workload(api, replicas=2)
    policies = "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets"
    for name, labels in (("dns", PODS), ("other", {"app": "other"})):
        spec = {"minAvailable": 2, "selector": {"matchLabels": labels}}
        await put(api, policies, "PodDisruptionBudget", name, "policy/v1", spec=spec)
        status = {"disruptionsAllowed": 0, "expectedPods": 2, "currentHealthy": 2, "desiredHealthy": 2}
        await api.patch(f"{policies}/{name}/status", {"status": status}, kind="merge")
    scaling = "/apis/autoscaling/v2/namespaces/kube-system/horizontalpodautoscalers"
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "coredns"}
    spec = {"scaleTargetRef": target, "maxReplicas": 5}
    await put(api, scaling, "HorizontalPodAutoscaler", "dns", "autoscaling/v2", spec=spec)
    await put_crd(api, "keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
    await put_custom(api, "keda.sh/v1alpha1", "ScaledObject", "queue", spec={"scaleTargetRef": {"name": "coredns"}})
    await put_crd(api, "autoscaling.k8s.io", "v1", "VerticalPodAutoscaler", "verticalpodautoscalers")
    for name, mode in (("advice", "Off"), ("vertical", "Auto")):
        spec = {"targetRef": target, "updatePolicy": {"updateMode": mode}}
        await put_custom(api, "autoscaling.k8s.io/v1", "VerticalPodAutoscaler", name, spec=spec)
    found = await note(api)
    assert [each.name for each in found.budgets] == ["dns"]
    assert found.scalers == (
        "HorizontalPodAutoscaler kube-system/dns",
        "ScaledObject kube-system/queue",
        "VerticalPodAutoscaler kube-system/vertical",
    )


async def test_a_load_balancer_without_an_address_is_told_until_it_has_one(api):
    await put_workload(api)
    services = "/api/v1/namespaces/kube-system/services"
    spec = {"type": "LoadBalancer", "selector": PODS, "ports": [{"port": 53}]}
    await put(api, services, "Service", "dns", spec=spec)
    await api.patch(f"{services}/dns/status", {"status": {"loadBalancer": {"ingress": None}}}, kind="merge")
    assert (await note(api)).pending_balancers == ("dns",)
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    await api.patch(f"{services}/dns/status", address, kind="merge")
    assert (await note(api)).pending_balancers == ()


async def test_who_has_edited_a_release_is_named_with_the_fields(api):
    await put_release(api)
    workload = await put_workload(api, manager="helm", annotations=of_helm())
    assert (await note(api)).editors == ()
    path = f"/apis/apps/v1/namespaces/kube-system/deployments/{workload['metadata']['name']}"
    await api.patch(path, {"spec": {"minReadySeconds": 7}}, kind="merge", params={"fieldManager": "kubectl-edit"})
    await api.patch(path, {"metadata": {"labels": {"a": "b"}}}, kind="merge", params={"fieldManager": "kubectl-label"})
    assert (await note(api)).editors == ("kubectl-edit: spec.minReadySeconds",)


def a_hook(bundle: str = "", **given: Any) -> dict[str, Any]:
    return {
        "name": "guard.example.test",
        "clientConfig": {"service": {"namespace": "guard", "name": "guard"}, "caBundle": bundle},
        "rules": [
            {
                "apiGroups": ["apps"],
                "apiVersions": ["*"],
                "operations": ["*"],
                "resources": ["deployments", "pods/exec"],
            }
        ],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 1,
        **given,
    }


HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


async def put_hook(api: Api, **given: Any) -> None:
    version = "admissionregistration.k8s.io/v1"
    await put(api, HOOKS, "ValidatingWebhookConfiguration", "guard", version, webhooks=[a_hook(**given)])


async def test_a_webhook_that_refuses_without_an_answer_is_dead_until_its_service_has_an_endpoint(api):
    await put_hook(api)
    [dead] = (await around(api)).dead_webhooks
    assert dead.title == "ValidatingWebhookConfiguration guard (guard.example.test)"
    assert (dead.service, dead.resources, dead.is_certain) == ("guard/guard", ("apps/deployments",), True)
    await put(api, "/api/v1/namespaces", "Namespace", "guard")
    metadata = {"name": "guard-1", "labels": {"kubernetes.io/service-name": "guard"}}
    made = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata, "addressType": "IPv4"}
    endpoint = {"addresses": ["192.0.2.2"], "conditions": {"ready": True}}
    slices = "/apis/discovery.k8s.io/v1/namespaces/guard/endpointslices"
    await api.create(slices, {**made, "endpoints": [endpoint]})
    assert (await around(api)).dead_webhooks == ()


@pytest.mark.parametrize(
    ("given", "only", "spared", "is_certain"),
    [
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, ("shop",), (), True),
        (
            {
                "namespaceSelector": {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}
                    ]
                }
            },
            (),
            ("kube-system",),
            True,
        ),
        ({"namespaceSelector": {"matchLabels": {"guarded": "yes"}}}, (), (), False),
        ({"objectSelector": {"matchLabels": {"guarded": "yes"}}}, (), (), False),
    ],
)
async def test_a_webhook_is_told_with_what_decides_whether_it_is_asked(api, given, only, spared, is_certain):
    await put_hook(api, **given)
    [dead] = (await around(api)).dead_webhooks
    assert (dead.only, dead.spared, dead.is_certain) == (only, spared, is_certain)


async def test_a_webhook_that_lets_pass_is_none_of_them(api):
    await put_hook(api, failurePolicy="Ignore")
    assert (await around(api)).dead_webhooks == ()


@pytest.mark.parametrize(("days", "told"), [(3, True), (-3, True), (90, False)])
async def test_a_certificate_that_ends_soon_is_told(api, days, told):
    bundle = base64.b64encode(an_authority(datetime.now(UTC) + timedelta(days=days))).decode()
    await put_hook(api, bundle=bundle)
    assert bool((await around(api)).expiring) is told


async def test_a_bundle_that_is_none_says_nothing(api):
    await put_hook(api, bundle=base64.b64encode(b"no certificate").decode())
    assert (await around(api)).expiring == ()


async def test_a_release_says_of_which_apis_its_objects_are(api):
    manifest = (
        "---\n# Source: x\napiVersion: policy/v1beta1\nkind: PodDisruptionBudget\nmetadata:\n  name: a\n"
        '---\napiVersion: v1\nkind: Service\nmetadata:\n  name: a\n---\nkind: Service\napiVersion: "v1"\n'
    )
    await put_release(api, manifest=manifest)
    [found] = (await take_inventory(api)).found
    assert found.kinds == ("policy/v1beta1 PodDisruptionBudget", "v1 Service")
    assert found.deployed == 1


@pytest.mark.parametrize(
    ("path", "name", "unknown"),
    [
        ("/api/v1/nodes", "nodes", lambda seen: seen.nodes.rooms is None),
        ("/api/v1/pods", "pods", lambda seen: seen.nodes.free_pods is None and seen.nodes.count == 3),
        ("/apis/discovery.k8s.io/v1/endpointslices", "endpointslices", lambda seen: seen.dead_webhooks == ()),
        (HOOKS, "validatingwebhookconfigurations", lambda seen: seen.dead_webhooks == ()),
    ],
)
async def test_a_list_that_is_forbidden_leaves_its_answers_open(
    api, cluster, path: str, name: str, unknown: Callable[[Surroundings], bool]
):
    await put_hook(api)
    cluster.trouble.forbid(path=path)
    seen = await around(api)
    assert seen.denied == (name,)
    assert unknown(seen)


REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
OWNED = (
    ObjectRef("apps/v1", "Deployment", "kube-system", "coredns"),
    ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "", "coredns"),
    ObjectRef("gone.example.test/v1", "Gone", "kube-system", "x"),
)


async def test_who_may_do_everything_is_asked_once(api, cluster):
    cluster.forget_requests()
    assert await missing_rights(api, RELEASE, OWNED) == ()
    assert [each.path for each in cluster.requests] == [REVIEWS]


async def test_each_right_that_is_missing_is_named(api, cluster):
    cluster.trouble.fail(method="POST", path=REVIEWS, status=201, body=b'{"status": {"allowed": false}}', times=None)
    missing = await missing_rights(api, RELEASE, OWNED)
    assert "patch deployments.apps in kube-system" in missing
    assert "create clusterroles.rbac.authorization.k8s.io" in missing
    assert "update secrets in kube-system" in missing
    assert len(missing) == 4 + 4 + 4


async def test_a_plain_workload_needs_no_more_than_a_patch(api, cluster):
    cluster.trouble.fail(method="POST", path=REVIEWS, status=201, body=b'{"status": {"allowed": false}}', times=None)
    plain = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    assert await missing_rights(api, plain, OWNED[:1]) == (
        "get deployments.apps in kube-system",
        "patch deployments.apps in kube-system",
    )


async def test_a_cluster_that_answers_no_such_question_is_taken_at_its_deeds(api, cluster):
    cluster.trouble.forbid(path=REVIEWS)
    assert await missing_rights(api, RELEASE, OWNED) == ()


async def test_the_texts_of_a_config_map_are_read_and_no_others(cluster, tmp_path):
    live = open_cluster(cluster.kubeconfig(), KubeSettings(tmp_path))
    made = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=5)
    maps = "/api/v1/namespaces/kube-system/configmaps"
    for name in ("coredns", "other"):
        await put(made, maps, "ConfigMap", name, data={"Corefile": f"# {name}"})
    assert await live.config_map("kube-system", "coredns") == {"Corefile": "# coredns"}
    assert await live.config_map("kube-system", "gone") == {}
    cluster.trouble.forbid(path=maps)
    assert await live.config_map("kube-system", "coredns") == {}
    await made.close()
    await live.close()


async def test_who_asks_for_apis_that_go_is_told_by_the_api_server(simulator):
    """A client that still comes by an old API keeps no object of it: only the server knows."""
    old = simulator.add("old", kubernetes_version="1.31")
    live = open_cluster(old.kubeconfig(), KubeSettings(work_directory=Path()))
    asker = Api(read_kubeconfig(old.kubeconfig()))
    assert await live.requested_apis() == ()
    await asker.list("/apis/flowcontrol.apiserver.k8s.io/v1beta3/flowschemas", dict)
    await asker.list("/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas", dict)
    assert await live.requested_apis() == (Requested("flowcontrol.apiserver.k8s.io/v1beta3 flowschemas", "1.32"),)
    old.trouble.fail(path_contains="/metrics", status=403, times=1)
    assert await live.requested_apis() is None
    await asker.close()
    await live.close()
