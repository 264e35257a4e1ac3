"""What else clients see of rollouts: numbers that count, revisions that come back, sizes that are shared out."""

from __future__ import annotations

import pytest

from addonry.simulator.life.deployment_sets import (
    DESIRED,
    HISTORY,
    MAXIMUM,
    REVISION,
    Limits,
    describe,
    made_for,
    proportions,
    size,
)
from tests.simulator.manifests import DEPLOYMENTS, PODS, deployment, new_image, workload

WEB = f"{DEPLOYMENTS}/web"
SETS = "/apis/apps/v1/namespaces/default/replicasets"
DAEMON_SETS = "/apis/apps/v1/namespaces/default/daemonsets"
STRATEGIC = "application/strategic-merge-patch+json"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def replica_set(name: str, replicas: int, *, maximum: int = 0, created: str = "2026-01-01T00:00:00Z"):
    annotations = {MAXIMUM: str(maximum)} if maximum else {}
    return {
        "metadata": {"name": name, "annotations": annotations, "creationTimestamp": created},
        "spec": {"replicas": replicas},
    }


# The example of https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#proportional-scaling: 10 replicas
# with maxSurge 3 and maxUnavailable 2, 8 old Pods and 5 new ones, and then 15 replicas.
def test_a_change_of_size_in_the_middle_of_a_rollout_is_shared_in_proportion():
    old = replica_set("old", 8, maximum=13)
    new = replica_set("new", 5, maximum=13, created="2026-01-01T00:01:00Z")
    assert proportions([old, new], Limits(15, 3, 2), running=13) == {"old": 11, "new": 7}


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (Limits(0, 0, 0), {"old": 0, "new": 0}),
        (Limits(5, 3, 2), {"old": 5, "new": 3}),
        (Limits(10, 3, 2), {"old": 8, "new": 5}),
    ],
)
def test_shares_add_up_to_what_the_new_size_allows(limits, sizes):
    old = replica_set("old", 8, maximum=13)
    new = replica_set("new", 5, maximum=13, created="2026-01-01T00:01:00Z")
    found = proportions([old, new], limits, running=13)
    assert found == sizes
    assert sum(found.values()) == (limits.maximum if limits.replicas else 0)


def test_without_a_note_of_the_old_size_the_running_pods_are_the_measure():
    assert proportions([replica_set("old", 2), replica_set("new", 2)], Limits(8, 0, 1), running=4) == {
        "old": 4,
        "new": 4,
    }


def test_a_new_replica_set_fills_what_the_old_ones_leave():
    web = deployment(replicas=3)
    web["metadata"] |= {"namespace": "default", "uid": "1"}
    made = made_for(web, [replica_set("old", 3)], Limits(3, 1, 0))
    assert size(made) == 1
    assert made["metadata"]["annotations"] == {DESIRED: "3", MAXIMUM: "4", REVISION: "1"}


def test_a_replica_set_that_comes_back_keeps_its_earlier_revisions():
    web, old = deployment(), replica_set("old", 0)
    new = replica_set("new", 1)
    for number, expected in ((2, {REVISION: "3", HISTORY: "1"}), (5, {REVISION: "6", HISTORY: "1,3"})):
        new["metadata"]["annotations"].setdefault(REVISION, "1")
        old["metadata"]["annotations"][REVISION] = str(number)
        assert describe(web, new, [old])
        assert new["metadata"]["annotations"] == expected
    assert not describe(web, new, [old])


def test_the_generation_of_a_deployment_counts_its_annotations(client):
    client.post(DEPLOYMENTS, deployment(replicas=0))
    assert client.merge(WEB, {"metadata": {"annotations": {"note": "1"}}})["metadata"]["generation"] == 2
    assert client.merge(WEB, {"metadata": {"labels": {"note": "1"}}})["metadata"]["generation"] == 2
    assert client.merge(WEB, {"spec": {"replicas": 1}})["metadata"]["generation"] == 3


def test_a_daemon_set_numbers_its_templates_whatever_a_client_writes(client):
    made = client.post(DAEMON_SETS, workload("DaemonSet", "agent"))
    path = f"{DAEMON_SETS}/agent"
    assert made["metadata"]["annotations"] == {TEMPLATE_GENERATION: "1"}
    changed = client("PATCH", path, new_image("registry.example/app:2"), STRATEGIC).body
    assert changed["metadata"]["annotations"] == {TEMPLATE_GENERATION: "2"}
    kept = client.merge(path, {"metadata": {"annotations": {TEMPLATE_GENERATION: "7"}}})
    assert kept["metadata"]["annotations"] == {TEMPLATE_GENERATION: "2"}
    assert kept["metadata"]["generation"] == 2


def test_a_deployment_that_grows_in_the_middle_of_a_stuck_rollout_grows_where_it_works(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=4))
    simulator.advance(5)
    client("PATCH", WEB, new_image("registry.example/bad:1"), STRATEGIC)
    simulator.advance(5)
    sizes = {s["spec"]["template"]["spec"]["containers"][0]["image"]: size(s) for s in client.get(SETS)["items"]}
    assert sizes == {"registry.example/app:1.0": 3, "registry.example/bad:1": 2}
    client.merge(WEB, {"spec": {"replicas": 8}})
    simulator.advance(5)
    grown = {s["spec"]["template"]["spec"]["containers"][0]["image"]: size(s) for s in client.get(SETS)["items"]}
    assert grown == {"registry.example/app:1.0": 6, "registry.example/bad:1": 4}
    assert client.get(WEB)["status"]["availableReplicas"] == 6


@pytest.mark.parametrize(("replicas", "sizes"), [(1, [0, 1]), (2, [1, 2])])
def test_what_is_paused_lets_the_old_go_only_when_the_new_does_the_whole_work(stepped, replicas, sizes):
    """As on a real cluster, whose controller sizes what is paused: a canary of one Pod can hold nothing back."""
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=replicas))
    simulator.advance(5)
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(0.2)
    client.merge(WEB, {"spec": {"paused": True}})
    simulator.advance(10)
    assert sorted(size(each) for each in client.get(SETS)["items"]) == sizes
    assert client.get(WEB)["status"]["updatedReplicas"] == 1


def test_a_deployment_that_goes_says_so_until_it_is_gone(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(5)
    client("DELETE", WEB, {"propagationPolicy": "Foreground"})
    going = client.get(WEB)
    assert going["metadata"]["deletionTimestamp"]
    simulator.advance(0.1)
    assert client.get(WEB)["status"]["observedGeneration"] == going["metadata"]["generation"]


def test_who_wrote_a_part_of_the_status_loses_it_to_the_controller(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(5)
    patched = client.merge(f"{WEB}/status?fieldManager=somebody", {"status": {"readyReplicas": 7, "collisionCount": 1}})
    assert "somebody" in {entry["manager"] for entry in patched["metadata"]["managedFields"]}
    simulator.advance(1)
    after = client.get(WEB)
    assert after["status"]["readyReplicas"] == 1
    [entry] = (e for e in after["metadata"]["managedFields"] if e["manager"] == "somebody")
    assert entry["fieldsV1"] == {"f:status": {"f:collisionCount": {}}}


def test_who_labels_a_pod_is_named_although_its_controller_is_not(client):
    client.post(DEPLOYMENTS, deployment(replicas=1))
    [pod] = client.wait(PODS, "there is a Pod", lambda pods: len(pods["items"]) == 1)["items"]
    path = f"{PODS}/{pod['metadata']['name']}?fieldManager=somebody"
    labelled = client.merge(path, {"metadata": {"labels": {"note": "1"}}})
    [entry] = labelled["metadata"]["managedFields"]
    assert (entry["manager"], entry["fieldsV1"]) == ("somebody", {"f:metadata": {"f:labels": {"f:note": {}}}})
