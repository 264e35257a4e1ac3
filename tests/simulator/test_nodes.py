"""Nodes fill up, are closed, fall silent, come and go, and Pods fare as they would."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import Client
from tests.simulator.manifests import DEPLOYMENTS, PODS, deployment, new_image, workload

NODES = "/api/v1/nodes"
EVENTS = "/api/v1/namespaces/default/events"
DAEMONS = "/apis/apps/v1/namespaces/default/daemonsets"
NO_HELP = (
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)


def asking(name: str = "web", *, replicas: int = 1, **requests: str):
    """A Deployment whose Pods ask for so much of a node."""
    made = deployment(name, replicas=replicas)
    made["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": requests}
    return made


def nodes_of(client: Client) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in client.get(PODS)["items"])


def why_pending(client: Client) -> set[str]:
    """What the scheduler says of the Pods that have no node."""
    pods = [pod for pod in client.get(PODS)["items"] if not pod["spec"].get("nodeName")]
    return {pod["status"]["conditions"][0]["message"] for pod in pods}


def taints(client: Client, node: str) -> set[tuple[str, str]]:
    return {(t["key"], t["effect"]) for t in client.get(f"{NODES}/{node}")["spec"].get("taints", [])}


def test_nodes_fill_up_and_a_pod_that_goes_makes_room(stepped):
    simulator, client = stepped
    client.post(DEPLOYMENTS, asking(replicas=4, cpu="5"))
    simulator.advance(5)
    assert nodes_of(client) == ["", "node-0", "node-1", "node-2"]
    assert why_pending(client) == {
        (
            "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are "
            "available: 3 No preemption victims found for incoming pod."
        )
    }
    warnings = [e for e in client.get(EVENTS)["items"] if e["reason"] == "FailedScheduling"]
    assert [(e["type"], e["reportingComponent"]) for e in warnings] == [("Warning", "default-scheduler")]
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 3}})
    simulator.advance(5)
    client.post(DEPLOYMENTS, asking("late", replicas=1, cpu="5"))
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 2}})
    simulator.advance(5)
    assert nodes_of(client) == ["node-0", "node-1", "node-2"]


@pytest.mark.parametrize(
    ("requests", "reasons"),
    [
        ({"cpu": "9"}, "3 Insufficient cpu"),
        ({"memory": "1Ti"}, "3 Insufficient memory"),
        ({"cpu": "9", "memory": "1Ti"}, "3 Insufficient cpu, 3 Insufficient memory"),
        ({"nvidia.com/gpu": "1"}, "3 Insufficient nvidia.com/gpu"),
    ],
)
def test_a_pod_that_fits_no_node_at_all_is_told_so(stepped, requests, reasons):
    simulator, client = stepped
    client.post(DEPLOYMENTS, asking(**requests))
    simulator.advance(5)
    assert why_pending(client) == {f"0/3 nodes are available: {reasons}. {NO_HELP}"}


def test_each_node_is_counted_with_its_own_reason(stepped):
    """The first filter that refuses has the say, and reasons are told in alphabetical order."""
    simulator, client = stepped
    client.merge(f"{NODES}/node-0", {"spec": {"unschedulable": True}})
    client.merge(f"{NODES}/node-1", {"spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}})
    client.post(DEPLOYMENTS, asking(cpu="9"))
    simulator.advance(5)
    assert why_pending(client) == {
        (
            "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
            f"1 node(s) were unschedulable. {NO_HELP}"
        )
    }


def test_required_anti_affinity_and_ports_of_the_node_keep_pods_apart(stepped):
    """Charts that run one Pod for each node stall here when they surge."""
    simulator, client = stepped
    apart = deployment("apart", replicas=4)
    term = {"labelSelector": {"matchLabels": {"app": "apart"}}, "topologyKey": "kubernetes.io/hostname"}
    apart["spec"]["template"]["spec"]["affinity"] = {
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    }
    client.post(DEPLOYMENTS, apart)
    ported = deployment("ported", replicas=4)
    ported["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    client.post(DEPLOYMENTS, ported)
    simulator.advance(5)
    assert nodes_of(client) == ["", "", *sorted(["node-0", "node-1", "node-2"] * 2)]
    assert {message.partition(". ")[0] for message in why_pending(client)} == {
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules",
        "0/3 nodes are available: 3 node(s) didn't have free ports for the requested pod ports",
    }


def test_a_cordoned_node_takes_no_more_pods_until_it_is_opened_again(stepped):
    simulator, client = stepped
    client.merge(f"{NODES}/node-0", {"spec": {"unschedulable": True}})
    client.post(DEPLOYMENTS, deployment(replicas=4))
    simulator.advance(5)
    assert taints(client, "node-0") == {("node.kubernetes.io/unschedulable", "NoSchedule")}
    assert set(nodes_of(client)) == {"node-1", "node-2"}
    client.merge(f"{NODES}/node-0", {"spec": {"unschedulable": None}})
    client.merge(f"{DEPLOYMENTS}/web", {"spec": {"replicas": 9}})
    simulator.advance(5)
    assert taints(client, "node-0") == set()
    assert "node-0" in nodes_of(client)


def test_pods_of_a_node_that_falls_silent_are_replaced_and_end_when_it_is_back(stepped):
    """Not ready at once, driven out after five minutes, and terminating for as long as nobody can stop them."""
    simulator, client = stepped
    cluster = simulator.cluster("sim-1")
    client.post(DEPLOYMENTS, deployment(replicas=3))
    simulator.advance(5)
    simulator.call(lambda: cluster.lose_node("node-0"))
    simulator.advance(1)
    assert taints(client, "node-0") == {
        ("node.kubernetes.io/unreachable", "NoSchedule"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
    }
    assert client.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 2
    simulator.advance(290)
    assert len(client.get(PODS)["items"]) == 3
    simulator.advance(20)
    leaving = [p for p in client.get(PODS)["items"] if p["metadata"].get("deletionTimestamp")]
    assert [pod["spec"]["nodeName"] for pod in leaving] == ["node-0"]
    assert client.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 3
    simulator.call(lambda: cluster.recover_node("node-0"))
    simulator.advance(5)
    assert len(client.get(PODS)["items"]) == 3
    assert taints(client, "node-0") == set()


def test_a_node_that_is_back_in_time_keeps_its_pods(stepped):
    simulator, client = stepped
    cluster = simulator.cluster("sim-1")
    client.post(DEPLOYMENTS, deployment(replicas=3))
    simulator.advance(5)
    before = {pod["metadata"]["uid"] for pod in client.get(PODS)["items"]}
    simulator.call(lambda: cluster.lose_node("node-0"))
    simulator.advance(60)
    simulator.call(lambda: cluster.recover_node("node-0"))
    simulator.advance(5)
    assert client.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 3
    assert {pod["metadata"]["uid"] for pod in client.get(PODS)["items"]} == before


def test_pods_of_a_removed_node_are_collected_and_a_new_node_takes_what_waits(stepped):
    simulator, client = stepped
    cluster = simulator.cluster("sim-1")
    client.post(DEPLOYMENTS, asking(replicas=3, cpu="5"))
    simulator.advance(5)
    client.delete(f"{NODES}/node-0")
    simulator.advance(30)
    assert "node-0" in nodes_of(client)
    simulator.advance(20)
    assert nodes_of(client) == ["", "node-1", "node-2"]
    simulator.call(lambda: cluster.add_node("node-9", cpu="6"))
    simulator.advance(5)
    assert nodes_of(client) == ["node-1", "node-2", "node-9"]
    assert client.get(f"{NODES}/node-9")["status"]["allocatable"]["cpu"] == "6"


def test_a_taint_drives_pods_out_at_once_or_when_their_patience_ends(stepped):
    simulator, client = stepped
    for number, seconds in enumerate((None, 30)):
        pod = workload("Deployment", f"w{number}", replicas=1)
        toleration = {"key": "sick", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        pod["spec"]["template"]["spec"] |= {"nodeSelector": {"kubernetes.io/hostname": "node-1"}}
        if seconds:
            pod["spec"]["template"]["spec"]["tolerations"] = [toleration]
        client.post(DEPLOYMENTS, pod)
    simulator.advance(5)
    client.merge(f"{NODES}/node-1", {"spec": {"taints": [{"key": "sick", "effect": "NoExecute"}]}})
    simulator.advance(5)
    placed = {p["metadata"]["labels"]["app"] for p in client.get(PODS)["items"] if p["spec"].get("nodeName")}
    assert placed == {"w1"}
    simulator.advance(30)
    events = [e for e in client.get(EVENTS)["items"] if e["reason"] == "TaintManagerEviction"]
    assert len({e["involvedObject"]["name"] for e in events}) == 2


def test_a_daemon_set_follows_nodes_and_their_taints(stepped):
    simulator, client = stepped
    cluster = simulator.cluster("sim-1")
    client.merge(f"{NODES}/node-0", {"spec": {"taints": [{"key": "own", "effect": "NoSchedule"}]}})
    client.merge(f"{NODES}/node-1", {"spec": {"unschedulable": True}})
    client.post(DAEMONS, workload("DaemonSet", "agent"))
    simulator.advance(5)
    assert nodes_of(client) == ["node-1", "node-2"], "daemon Pods put up with a cordon, not with any other taint"
    simulator.call(lambda: cluster.add_node("node-9"))
    simulator.advance(5)
    assert nodes_of(client) == ["node-1", "node-2", "node-9"]
    tolerations = [{"key": "own", "operator": "Exists"}]
    client.merge(f"{DAEMONS}/agent", {"spec": {"template": {"spec": {"tolerations": tolerations}}}})
    simulator.advance(30)
    assert nodes_of(client) == ["node-0", "node-1", "node-2", "node-9"]
    client.merge(f"{NODES}/node-2", {"metadata": {"labels": {"agents": "no"}}})
    spec = {"nodeSelector": {"kubernetes.io/hostname": "node-9"}}
    client.merge(f"{DAEMONS}/agent", {"spec": {"template": {"spec": spec}}})
    simulator.advance(30)
    assert nodes_of(client) == ["node-9"]


def test_a_daemon_pod_without_room_waits_on_its_node(stepped):
    """Its node is chosen already, so the others are told apart by affinity."""
    simulator, client = stepped
    client.post(DEPLOYMENTS, asking(replicas=3, cpu="6"))
    simulator.advance(5)
    agent = workload("DaemonSet", "agent")
    agent["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3"}}
    client.post(DAEMONS, agent)
    simulator.advance(5)
    status = client.get(f"{DAEMONS}/agent")["status"]
    assert (status["desiredNumberScheduled"], status["numberReady"]) == (3, 0)
    (message,) = why_pending(client)
    assert message.startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector. "
    )


def test_a_cluster_without_nodes_says_so(stepped):
    simulator, client = stepped
    client.delete(NODES)
    client.post(DEPLOYMENTS, deployment(replicas=1))
    simulator.advance(5)
    assert why_pending(client) == {"no nodes available to schedule pods"}


def test_a_node_registers_with_its_status(client):
    """As a kubelet does it; every other kind loses the status it is created with."""
    allocatable = {"cpu": "1", "pods": "1"}
    made = client.post(NODES, {"metadata": {"name": "mine"}, "status": {"allocatable": allocatable}})
    assert made["status"]["allocatable"] == allocatable


def test_a_daemon_set_that_no_longer_surges_keeps_one_pod_on_each_node(stepped):
    """What a surge has left half done is tidied up, also when nothing may roll any more."""
    simulator, client = stepped
    surging = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    client.post(DAEMONS, workload("DaemonSet", "agent", updateStrategy=surging))
    simulator.advance(5)
    strategic = "application/strategic-merge-patch+json"
    client("PATCH", f"{DAEMONS}/agent", new_image("registry.example/notready:1"), strategic)
    simulator.advance(5)
    assert len(client.get(PODS)["items"]) == 4
    client.merge(f"{DAEMONS}/agent", {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    simulator.advance(5)
    images = [pod["spec"]["containers"][0]["image"] for pod in client.get(PODS)["items"]]
    assert images == ["registry.example/app:1.0"] * 3
