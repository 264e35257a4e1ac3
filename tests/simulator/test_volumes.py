"""Claims find volumes, wait for them, and let them go."""

from __future__ import annotations

import pytest

from tests.simulator.manifests import DEPLOYMENTS, PODS, deployment, new_image, workload

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"


def claim(name: str = "data", **spec: object):
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


def storage_class(name: str, **members: str):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "disks.example.com",
        **members,
    }


def using(name: str = "data"):
    made = deployment(replicas=1)
    made["spec"]["template"]["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": name}}]
    return made


def test_a_claim_without_a_class_gets_the_default_one_and_a_volume(stepped):
    simulator, client = stepped
    client.post(CLAIMS, claim())
    simulator.advance(2)
    bound = client.get(f"{CLAIMS}/data")
    assert (bound["spec"]["storageClassName"], bound["status"]["phase"]) == ("standard", "Bound")
    volume = client.get(f"{VOLUMES}/{bound['spec']['volumeName']}")
    assert (volume["spec"]["claimRef"]["uid"], volume["status"]["phase"]) == (bound["metadata"]["uid"], "Bound")
    assert volume["spec"]["capacity"]["storage"] == bound["status"]["capacity"]["storage"] == "2Gi"
    client.delete(f"{CLAIMS}/data")
    simulator.advance(2)
    assert client.get(VOLUMES)["items"] == []


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("", "FailedBinding", "no persistent volumes available for this claim and no storage class is set"),
        ("gone", "ProvisioningFailed", 'storageclass.storage.k8s.io "gone" not found'),
    ],
)
def test_a_claim_that_nothing_can_bind_keeps_its_pod_pending(stepped, name, reason, message):
    simulator, client = stepped
    client.post(CLAIMS, claim(storageClassName=name))
    client.post(DEPLOYMENTS, using())
    simulator.advance(60)
    assert client.get(f"{CLAIMS}/data")["status"]["phase"] == "Pending"
    events = client.get("/api/v1/namespaces/default/events")["items"]
    assert message in [e["message"] for e in events if e["reason"] == reason]
    (pod,) = client.get(PODS)["items"]
    assert pod["status"]["conditions"][0]["message"].startswith(
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
    )


def test_a_pod_waits_for_a_claim_that_is_not_there_yet(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, using())
    simulator.advance(5)
    (pod,) = client.get(PODS)["items"]
    assert 'persistentvolumeclaim "data" not found' in pod["status"]["conditions"][0]["message"]
    client.post(CLAIMS, claim())
    simulator.advance(5)
    assert client.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 1


def test_a_class_that_waits_for_the_first_consumer_binds_where_it_is_placed(stepped):
    simulator, client = stepped
    client.post(CLASSES, storage_class("late", volumeBindingMode="WaitForFirstConsumer"))
    client.post(CLAIMS, claim(storageClassName="late"))
    simulator.advance(60)
    assert client.get(f"{CLAIMS}/data")["status"]["phase"] == "Pending"
    events = client.get("/api/v1/namespaces/default/events")["items"]
    assert "waiting for first consumer to be created before binding" in [e["message"] for e in events]
    client.post(DEPLOYMENTS, using())
    simulator.advance(5)
    bound, (pod,) = client.get(f"{CLAIMS}/data"), client.get(PODS)["items"]
    assert bound["status"]["phase"] == "Bound"
    assert bound["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] in ("node-0", "node-1", "node-2")
    assert pod["status"]["phase"] == "Running"


def test_a_volume_made_by_hand_is_bound_and_kept(stepped):
    simulator, client = stepped
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "5Gi"}, "hostPath": {"path": "/x"}}
    client.post(VOLUMES, {"metadata": {"name": "mine"}, "spec": spec})
    client.post(CLAIMS, claim(storageClassName=""))
    simulator.advance(2)
    bound = client.get(f"{CLAIMS}/data")
    assert (bound["spec"]["volumeName"], bound["status"]["capacity"]["storage"]) == ("mine", "5Gi")
    client.delete(f"{CLAIMS}/data")
    simulator.advance(2)
    assert client.get(f"{VOLUMES}/mine")["status"]["phase"] == "Released"


def test_a_claim_in_use_goes_only_after_its_pod(stepped):
    simulator, client = stepped
    client.post(CLAIMS, claim())
    client.post(DEPLOYMENTS, using())
    simulator.advance(5)
    client.delete(f"{CLAIMS}/data")
    simulator.advance(60)
    assert client.get(f"{CLAIMS}/data")["metadata"]["deletionTimestamp"]
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 0}})
    simulator.advance(5)
    assert client("GET", f"{CLAIMS}/data").status == 404


@pytest.mark.parametrize(
    ("policy", "after_scaling", "after_deletion"),
    [
        ({}, ["data-db-0", "data-db-1"], ["data-db-0", "data-db-1"]),
        ({"whenScaled": "Delete"}, ["data-db-0"], ["data-db-0"]),
        ({"whenDeleted": "Delete"}, ["data-db-0", "data-db-1"], []),
    ],
)
def test_claims_of_a_stateful_set_stay_or_go_as_it_says(stepped, policy, after_scaling, after_deletion):
    simulator, client = stepped
    template = {"metadata": {"name": "data"}, "spec": claim()["spec"]}
    options = {"serviceName": "db", "replicas": 2, "volumeClaimTemplates": [template]}
    client.post(SETS, workload("StatefulSet", "db", **options, persistentVolumeClaimRetentionPolicy=policy))
    simulator.advance(15)

    def names():
        return [c["metadata"]["name"] for c in client.get(CLAIMS)["items"]]

    assert names() == ["data-db-0", "data-db-1"]
    client.merge(f"{SETS}/db", {"spec": {"replicas": 1}})
    simulator.advance(15)
    assert names() == after_scaling
    client.delete(f"{SETS}/db", {"propagationPolicy": "Background"})
    simulator.advance(15)
    assert names() == after_deletion


def test_a_parallel_stateful_set_starts_all_at_once_and_still_updates_in_order(stepped):
    simulator, client = stepped
    options = {"serviceName": "db", "replicas": 3, "podManagementPolicy": "Parallel"}
    client.post(SETS, workload("StatefulSet", "db", **options))
    simulator.advance(0.2)
    assert len(client.get(PODS)["items"]) == 3
    simulator.advance(5)
    client("PATCH", f"{SETS}/db", new_image("registry.example/app:2"), "application/strategic-merge-patch+json")
    while client.get(f"{SETS}/db")["status"].get("updatedReplicas", 0) < 3:
        simulator.advance(0.25)
        assert client.get(f"{SETS}/db")["status"].get("readyReplicas", 0) >= 2
