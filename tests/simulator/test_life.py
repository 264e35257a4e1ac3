"""Workloads live: they roll out, get stuck, are scaled, and take what is theirs with them."""

from __future__ import annotations

import json

import pytest

from tests.simulator.conftest import Client
from tests.simulator.manifests import DEPLOYMENTS, PODS, config_map, deployment, new_image, pod_template, workload

WEB = f"{DEPLOYMENTS}/web"
STRATEGIC = "application/strategic-merge-patch+json"


def progressing(obj):
    return next((c["reason"] for c in obj["status"].get("conditions", []) if c["type"] == "Progressing"), None)


def rolled_out(obj):
    status = obj["status"]
    return (
        status.get("observedGeneration") == obj["metadata"]["generation"]
        and progressing(obj) == "NewReplicaSetAvailable"
        and status.get("availableReplicas") == status.get("updatedReplicas") == obj["spec"]["replicas"]
        and status.get("replicas") == obj["spec"]["replicas"]
    )


def test_a_deployment_rolls_out_and_over(client):
    client.post(DEPLOYMENTS, deployment(replicas=3))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    done = client.wait(WEB, "the new image is rolled out", rolled_out)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    sets = client.get("/apis/apps/v1/namespaces/default/replicasets")["items"]
    assert sorted(s["spec"]["replicas"] for s in sets) == [0, 3]


def test_a_rollout_never_has_fewer_or_more_pods_than_allowed(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=4))
    simulator.advance(5)
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    while not rolled_out(client.get(WEB)):
        simulator.advance(0.25)
        status = client.get(WEB)["status"]
        assert status["availableReplicas"] >= 3
        assert status["replicas"] <= 5


def test_going_back_to_an_old_template_finds_its_replica_set_again(client):
    client.post(DEPLOYMENTS, deployment(replicas=1))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    for image in ("registry.example/app:2", "registry.example/app:1.0"):
        client("PATCH", WEB, new_image(image), STRATEGIC)
        done = client.wait(WEB, f"{image} is rolled out", rolled_out)
    assert done["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(client.get("/apis/apps/v1/namespaces/default/replicasets")["items"]) == 2


@pytest.mark.parametrize(
    ("image", "phase", "reason"),
    [
        ("registry.example/bad:1", "Pending", "ImagePullBackOff"),
        ("registry.example/crash:1", "Running", "CrashLoopBackOff"),
        ("registry.example/never:1", "Pending", "ContainerCreating"),
    ],
)
def test_an_image_that_cannot_work_stops_the_rollout_and_leaves_the_old_pods(client, image, phase, reason):
    client.post(DEPLOYMENTS, deployment(replicas=2))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    client("PATCH", WEB, new_image(image), STRATEGIC)

    def stuck(pods):
        new = [p for p in pods["items"] if p["spec"]["containers"][0]["image"] == image]
        states = [p["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {}) for p in new]
        return [p["status"]["phase"] for p in new] == [phase] and states[0].get("reason") == reason

    client.wait(PODS, f"the new Pod is {reason}", stuck)
    assert client.get(WEB)["status"]["availableReplicas"] == 2


def test_a_rollout_that_gets_nowhere_runs_out_of_time(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(image="registry.example/notready:1", replicas=1, progressDeadlineSeconds=30))
    simulator.advance(20)
    assert progressing(client.get(WEB)) == "ReplicaSetUpdated"
    simulator.advance(20)
    assert progressing(client.get(WEB)) == "ProgressDeadlineExceeded"
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(5)
    assert progressing(client.get(WEB)) == "NewReplicaSetAvailable"


def test_a_paused_deployment_waits_and_a_resumed_one_goes_on(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(5)
    client.merge(WEB, {"spec": {"paused": True}})
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(60)
    paused = client.get(WEB)
    assert (progressing(paused), paused["status"].get("updatedReplicas", 0)) == ("DeploymentPaused", 0)
    client.merge(WEB, {"spec": {"paused": False}})
    simulator.advance(10)
    assert rolled_out(client.get(WEB))


def test_recreate_removes_all_old_pods_before_it_makes_new_ones(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=2, strategy={"type": "Recreate"}))
    simulator.advance(5)
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    for _ in range(40):
        simulator.advance(0.1)
        images = {p["spec"]["containers"][0]["image"] for p in client.get(PODS)["items"]}
        assert len(images) <= 1
    assert rolled_out(client.get(WEB))


def test_minimum_ready_seconds_hold_availability_back(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=1, minReadySeconds=10))
    simulator.advance(5)
    status = client.get(WEB)["status"]
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (1, 0)
    simulator.advance(10)
    assert client.get(WEB)["status"]["availableReplicas"] == 1


def test_a_stateful_set_starts_and_updates_one_after_the_other(stepped):
    simulator, client = stepped
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    template = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    client.post(path, workload("StatefulSet", "db", serviceName="db", replicas=2, volumeClaimTemplates=[template]))
    simulator.advance(0.5)
    assert [p["metadata"]["name"] for p in client.get(PODS)["items"]] == ["db-0"]
    simulator.advance(5)
    assert [p["metadata"]["name"] for p in client.get(PODS)["items"]] == ["db-0", "db-1"]
    claims = client.get("/api/v1/namespaces/default/persistentvolumeclaims")["items"]
    assert [(c["metadata"]["name"], c["status"]["phase"]) for c in claims] == [
        ("data-db-0", "Bound"),
        ("data-db-1", "Bound"),
    ]

    client.merge(f"{path}/db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}})
    client("PATCH", f"{path}/db", new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(10)
    images = [p["spec"]["containers"][0]["image"] for p in client.get(PODS)["items"]]
    assert images == ["registry.example/app:1.0", "registry.example/app:2"]
    client.merge(f"{path}/db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}})
    simulator.advance(10)
    status = client.get(f"{path}/db")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["updatedReplicas"] == status["availableReplicas"] == 2


def test_a_stateful_set_on_a_broken_image_stays_stuck_until_its_pod_is_deleted(stepped):
    simulator, client = stepped
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    client.post(path, workload("StatefulSet", "db", serviceName="db", replicas=1))
    simulator.advance(5)
    for image in ("registry.example/bad:1", "registry.example/app:3"):
        client("PATCH", f"{path}/db", new_image(image), STRATEGIC)
        simulator.advance(10)
    assert client.get(f"{path}/db")["status"].get("readyReplicas", 0) == 0
    client.delete(f"{PODS}/db-0")
    simulator.advance(10)
    assert client.get(f"{path}/db")["status"]["readyReplicas"] == 1


def test_a_daemon_set_has_one_pod_on_each_node_and_replaces_them_in_turn(stepped):
    simulator, client = stepped
    path = "/apis/apps/v1/namespaces/default/daemonsets"
    client.post(path, workload("DaemonSet", "agent"))
    simulator.advance(5)
    assert sorted(p["spec"]["nodeName"] for p in client.get(PODS)["items"]) == ["node-0", "node-1", "node-2"]
    client("PATCH", f"{path}/agent", new_image("registry.example/app:2"), STRATEGIC)
    while client.get(f"{path}/agent")["status"].get("updatedNumberScheduled", 0) < 3:
        simulator.advance(0.25)
        assert client.get(f"{path}/agent")["status"]["numberReady"] >= 2
    simulator.advance(5)
    assert client.get(f"{path}/agent")["status"]["numberAvailable"] == 3


@pytest.mark.parametrize(
    ("image", "verdict", "reason"),
    [
        ("registry.example/task:1", "Complete", "CompletionsReached"),
        ("registry.example/crash:1", "Failed", "BackoffLimitExceeded"),
    ],
)
def test_a_job_ends_well_or_badly(client, image, verdict, reason):
    template = pod_template("task", image, restartPolicy="Never")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "task"},
        "spec": {"template": template, "backoffLimit": 1},
    }
    client.post("/apis/batch/v1/namespaces/default/jobs", job)
    done = client.wait(
        "/apis/batch/v1/namespaces/default/jobs/task",
        "the Job has ended",
        lambda obj: any(c["type"] in ("Complete", "Failed") for c in obj["status"].get("conditions", [])),
    )
    last = done["status"]["conditions"][-1]
    assert (last["type"], last["reason"]) == (verdict, reason)


def test_deleting_a_deployment_takes_its_pods_along(client):
    client.post(DEPLOYMENTS, deployment(replicas=2))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    client.delete(WEB)
    client.wait(PODS, "no Pod is left", lambda pods: not pods["items"])
    assert client.get("/apis/apps/v1/namespaces/default/replicasets")["items"] == []


def test_foreground_deletion_waits_for_dependents_and_orphans_are_left(client):
    client.post(DEPLOYMENTS, deployment(replicas=1))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    waiting = client.delete(WEB, {"propagationPolicy": "Foreground"})
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    client.wait_gone(WEB)
    assert client.get(PODS)["items"] == []

    client.post(DEPLOYMENTS, deployment("left", replicas=1))
    client.wait(f"{DEPLOYMENTS}/left", "the Deployment is rolled out", rolled_out)
    version = client.delete(f"{DEPLOYMENTS}/left", {"propagationPolicy": "Orphan"})["metadata"]["resourceVersion"]
    client.wait_gone(f"{DEPLOYMENTS}/left")
    events = client("GET", f"{DEPLOYMENTS}?watch=1&timeoutSeconds=1&resourceVersion={version}").raw.splitlines()
    last = json.loads(events[-1])
    assert (last["type"], "replicas" in last["object"]["status"]) == ("DELETED", False)
    sets = client.get("/apis/apps/v1/namespaces/default/replicasets")["items"]
    assert [s["metadata"].get("ownerReferences") for s in sets] == [None]


def test_a_namespace_that_waits_says_what_holds_it(stepped):
    simulator, client = stepped
    client.post("/api/v1/namespaces", {"metadata": {"name": "tools"}})
    held = config_map("held") | {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    client.post("/api/v1/namespaces/tools/configmaps", held)
    client.delete("/api/v1/namespaces/tools")
    simulator.advance(1)
    assert "deletionTimestamp" not in client.get("/api/v1/namespaces/tools/configmaps/held")["metadata"]
    simulator.advance(5)
    conditions = {c["type"]: c for c in client.get("/api/v1/namespaces/tools")["status"]["conditions"]}
    assert len(conditions) == 5
    assert conditions["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    assert conditions["NamespaceFinalizersRemaining"]["message"].endswith("example.com/hold in 1 resource instances")
    client.merge("/api/v1/namespaces/tools/configmaps/held", {"metadata": {"finalizers": None}})
    simulator.advance(1)
    assert client("GET", "/api/v1/namespaces/tools").status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_a_namespace_that_a_cluster_needs_stays(client, name):
    refused = client("DELETE", f"/api/v1/namespaces/{name}")
    assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
    assert refused.body["message"] == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_a_namespace_takes_everything_in_it_along(client):
    client.post("/api/v1/namespaces", {"metadata": {"name": "tools"}})
    client.post("/api/v1/namespaces/tools/configmaps", config_map("a"))
    client.post("/apis/apps/v1/namespaces/tools/deployments", deployment())
    going = client.delete("/api/v1/namespaces/tools")
    assert going["status"]["phase"] == "Terminating"
    late = client("POST", "/api/v1/namespaces/tools/configmaps", config_map("b"))
    assert late.status == 403
    client.wait_gone("/api/v1/namespaces/tools")
    assert client.get("/api/v1/namespaces/tools/pods")["items"] == []


def test_an_api_service_becomes_available_after_its_pods(client):
    path = "/apis/apiregistration.k8s.io/v1/apiservices"
    spec = {
        "group": "metrics.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "web", "namespace": "default"},
    }
    name = "v1.metrics.example.com"
    client.post(
        path,
        {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}, "spec": spec},
    )

    def available(obj):
        return {c["type"]: c["status"] for c in obj.get("status", {}).get("conditions", [])}.get("Available")

    client.wait(f"{path}/{name}", "it is known to be unavailable", lambda obj: available(obj) == "False")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 443}]},
    }
    client.post("/api/v1/namespaces/default/services", service)
    client.post(DEPLOYMENTS, deployment(replicas=1))
    client.wait(f"{path}/{name}", "it is available", lambda obj: available(obj) == "True")


def test_an_idle_cluster_does_nothing(stepped):
    """Nothing polls: with time passing and nothing happening no version is used up."""
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(10)
    version = client.get(PODS)["metadata"]["resourceVersion"]
    assert simulator.call(lambda: simulator.cluster("sim-1")._life.is_idle)
    simulator.advance(600)
    assert client.get(PODS)["metadata"]["resourceVersion"] == version


def test_a_copy_of_a_cluster_goes_on_living(simulator, client, cluster):
    client.post(DEPLOYMENTS, deployment(replicas=2))
    client.wait(WEB, "the Deployment is rolled out", rolled_out)
    copy = Client(simulator.add(f"c{len(simulator.clusters) + 1}", snapshot=simulator.snapshot(cluster.name)))
    assert copy.get(WEB)["status"]["availableReplicas"] == 2
    copy("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    copy.wait(WEB, "the copy has rolled out", rolled_out)
    assert client.get(WEB)["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/app:1.0"


def test_a_partition_holds_old_pods_back_even_when_they_are_deleted(stepped):
    """A canary of a StatefulSet is held by its partition; a lost Pod must not slip to the new version."""
    simulator, client = stepped
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    client.post(path, workload("StatefulSet", "db", serviceName="db", replicas=3))
    simulator.advance(15)
    client.merge(f"{path}/db", {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}})
    client("PATCH", f"{path}/db", new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(15)
    client.delete(f"{PODS}/db-0")
    simulator.advance(15)
    images = [p["spec"]["containers"][0]["image"].rpartition(":")[2] for p in client.get(PODS)["items"]]
    assert images == ["1.0", "1.0", "2"]
    held = client.get(f"{path}/db")
    status = held["status"]
    assert status["currentRevision"] != status["updateRevision"]
    assert (status["updatedReplicas"], status["currentReplicas"], status["readyReplicas"]) == (1, 2, 3)
    assert status["observedGeneration"] == held["metadata"]["generation"]


def test_a_daemon_set_on_delete_waits_until_it_is_told_to_roll(stepped):
    """A canary of a DaemonSet replaces chosen Pods by hand, and lets the rest follow afterwards."""
    simulator, client = stepped
    path = "/apis/apps/v1/namespaces/default/daemonsets"
    client.post(path, workload("DaemonSet", "agent", updateStrategy={"type": "OnDelete"}))
    simulator.advance(5)
    client("PATCH", f"{path}/agent", new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(30)
    held = client.get(f"{path}/agent")
    assert held["status"].get("updatedNumberScheduled", 0) == 0
    assert held["status"]["observedGeneration"] == held["metadata"]["generation"]
    client.delete(f"{PODS}/{client.get(PODS)['items'][0]['metadata']['name']}")
    simulator.advance(10)
    assert client.get(f"{path}/agent")["status"]["updatedNumberScheduled"] == 1
    client.merge(f"{path}/agent", {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
    simulator.advance(30)
    status = client.get(f"{path}/agent")["status"]
    assert (status["updatedNumberScheduled"], status["numberAvailable"]) == (3, 3)
