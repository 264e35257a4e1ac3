"""The machine's kubectl works on simulated clusters unchanged."""

from __future__ import annotations

import json

import pytest

from tests.simulator.manifests import WIDGETS, deployment, workload

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def manifests(*objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def test_a_deployment_is_applied_changed_scaled_undone_and_deleted(kubectl):
    apply = ("apply", "-f", "-")
    objects = manifests(deployment(replicas=2), SERVICE)
    assert "deployment.apps/web created" in kubectl(*apply, stdin=objects)
    assert "successfully rolled out" in kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    assert kubectl(*apply, stdin=objects).splitlines() == ["deployment.apps/web unchanged", "service/web unchanged"]

    changed = manifests(deployment(replicas=2, image="registry.example/app:2"), SERVICE)
    assert "+      - image: registry.example/app:2" in kubectl("diff", "-f", "-", stdin=changed, fails=True)
    assert "deployment.apps/web configured" in kubectl(*apply, stdin=changed)
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    kubectl("rollout", "undo", "deploy/web")
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    assert kubectl("get", "deploy", "web", "-o", images) == "registry.example/app:1.0"
    assert kubectl("rollout", "history", "deploy/web").split()[-4:] == ["2", "<none>", "3", "<none>"]

    kubectl("set", "image", "deploy/web", "app=registry.example/app:3")
    kubectl("scale", "deploy/web", "--replicas=3")
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    kubectl("rollout", "restart", "deploy/web")
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    table = kubectl("get", "deploy").splitlines()
    assert table[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert table[1].split()[:4] == ["web", "3/3", "3", "3"]

    assert "simulated log" in kubectl("logs", "deploy/web")
    assert "Scaled up replica set" in kubectl("describe", "deploy", "web")
    assert 'deployment.apps "web" deleted' in kubectl("delete", "-f", "-", stdin=objects)
    kubectl("wait", "--for=delete", "pod", "-l", "app=web", "--timeout=20s")


def test_server_side_apply_names_the_other_manager(kubectl):
    kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(deployment(replicas=1)))
    kubectl("scale", "deploy/web", "--replicas=2")
    refused = kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(deployment(replicas=1)), fails=True)
    assert 'conflict with "kubectl" with subresource "scale"' in refused
    forced = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    assert "serverside-applied" in kubectl(*forced, stdin=json.dumps(deployment(replicas=1)))


def test_moving_from_client_side_to_server_side_apply_is_no_conflict(kubectl):
    kubectl("apply", "-f", "-", stdin=json.dumps(deployment(replicas=1)))
    applied = kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(deployment(replicas=1, image="x/app:2")))
    assert "serverside-applied" in applied


@pytest.mark.parametrize(
    ("kind", "options"), [("StatefulSet", {"serviceName": "db", "replicas": 2}), ("DaemonSet", {})]
)
def test_other_workloads_roll_out_and_back(kubectl, kind, options):
    name = f"{kind.lower()}/w"
    kubectl("apply", "-f", "-", stdin=json.dumps(workload(kind, "w", **options)))
    kubectl("rollout", "status", name, "--timeout=20s")
    kubectl("set", "image", name, "app=registry.example/app:2")
    kubectl("rollout", "status", name, "--timeout=20s")
    assert kubectl("rollout", "history", name).split()[-4:] == ["1", "<none>", "2", "<none>"]
    kubectl("rollout", "undo", name)
    kubectl("rollout", "status", name, "--timeout=20s")
    images = "jsonpath={.spec.template.spec.containers[*].image}"
    assert kubectl("get", name, "-o", images) == "registry.example/app:1.0"


def test_reading_in_all_forms(kubectl):
    assert kubectl("get", "nodes").split()[5:7] == ["node-0", "Ready"]
    everywhere = json.loads(kubectl("get", "svc", "-A", "-o", "json"))
    assert [item["metadata"]["name"] for item in everywhere["items"]] == ["kubernetes"]
    assert kubectl("get", "ns", "-o", "name").splitlines()[0] == "namespace/default"
    assert "Server Version: v1.36.2" in kubectl("version")
    assert "deployments" in kubectl("api-resources", "--api-group=apps")
    assert kubectl("auth", "can-i", "create", "deployments").strip() == "yes"
    assert "not found" in kubectl("get", "pod", "none", fails=True)


def test_a_watch_shows_changes(kubectl):
    kubectl("create", "configmap", "a", "--from-literal=k=v")
    shown = kubectl("get", "cm", "a", "-w", "--request-timeout=2s", "-o", "name")
    assert "configmap/a" in shown


def test_a_namespace_is_made_and_goes_with_what_is_in_it(kubectl):
    kubectl("create", "ns", "tools")
    kubectl("create", "deploy", "web", "--image=x/app:1", "-n", "tools")
    assert 'namespace "tools" deleted' in kubectl("delete", "ns", "tools", "--timeout=20s")
    assert "No resources found" in kubectl("get", "all", "-n", "tools")


def test_a_custom_resource_follows_its_definition(kubectl):
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    assert "no matches for kind" in kubectl("apply", "-f", "-", stdin=json.dumps(widget), fails=True)
    kubectl("apply", "-f", "-", stdin=json.dumps(WIDGETS))
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=20s")
    kubectl("apply", "-f", "-", stdin=json.dumps(widget))
    assert kubectl("get", "wd").split() == ["NAME", "SIZE", "w", "1"]
    kubectl("patch", "wd", "w", "--type=merge", "-p", '{"spec":{"size":5}}')
    assert kubectl("get", "wd", "w", "-o", "jsonpath={.spec.size}") == "5"
    kubectl("delete", "crd", "widgets.example.com", "--timeout=20s")


def test_a_node_is_drained_and_takes_pods_again(kubectl):
    kubectl("apply", "-f", "-", stdin=json.dumps(deployment(replicas=3)))
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    assert "drained" in kubectl("drain", "node-0", "--timeout=20s")
    kubectl("rollout", "status", "deploy/web", "--timeout=20s")
    nodes = kubectl("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split()
    assert "node-0" not in nodes
    assert "uncordoned" in kubectl("uncordon", "node-0")


def test_labels_and_annotations_are_set(kubectl):
    kubectl("create", "configmap", "a")
    kubectl("label", "cm", "a", "x=y")
    kubectl("annotate", "cm", "a", "note=hello")
    assert kubectl("get", "cm", "-l", "x=y", "-o", "jsonpath={.items[0].metadata.annotations.note}") == "hello"


def test_a_mistake_in_a_manifest_is_found(kubectl):
    wrong = deployment(replicas=1)
    wrong["spec"]["replicaz"] = 2
    assert 'unknown field "spec.replicaz"' in kubectl("apply", "-f", "-", stdin=json.dumps(wrong), fails=True)
