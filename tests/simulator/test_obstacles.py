"""What rollouts stall on: quotas and disruption budgets, in the words of a real cluster."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from addonry.simulator import Simulator, SteppedClock
from tests.simulator.conftest import Client
from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, PODS, config_map, deployment, new_image, workload

QUOTAS = "/api/v1/namespaces/default/resourcequotas"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
EVENTS = "/api/v1/namespaces/default/events"
WEB = f"{DEPLOYMENTS}/web"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
def stepped():
    """A cluster whose time stands still."""
    clock = SteppedClock(datetime(2026, 11, 23, tzinfo=UTC))
    with Simulator(clusters=1, clock=clock) as simulator:
        yield simulator, Client(simulator.cluster("sim-1"))


def quota(**hard):
    named = {name.replace("__", "/").replace("_", "."): value for name, value in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "rq"}, "spec": {"hard": named}}


def budget(**spec):
    selector = {"matchLabels": {"app": "web"}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "pdb"},
        "spec": {"selector": selector, **spec},
    }


def pod(name, **requests):
    resources = {"resources": {"requests": requests}} if requests else {}
    container = {"name": "a", "image": "registry.example/app:1.0", **resources}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def failure(obj):
    return next((c for c in obj["status"].get("conditions", []) if c["type"] == "ReplicaFailure"), None)


def evict(client, name, options=None):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return client("POST", f"{PODS}/{name}/eviction", body | ({"deleteOptions": options} if options else {}))


def test_a_quota_refuses_in_the_recorded_words(client):
    """Addonry names the quota in the reason of a stall, so the words must be those of a real server."""
    client.post(QUOTAS, quota(configmaps="1"))
    client("POST", CONFIG_MAPS, config_map("a"))
    answer = client("POST", CONFIG_MAPS, config_map("b"))
    assert answer.status == 403
    assert answer.body["message"] == (
        'configmaps "b" is forbidden: exceeded quota: rq, requested: configmaps=1, used: configmaps=1, '
        "limited: configmaps=1"
    )
    assert answer.body["details"] == {"name": "b", "kind": "configmaps"}


def test_a_quota_on_cpu_wants_every_container_to_ask_for_some(client):
    """Also recorded: a Pod that does not say what it takes cannot be weighed."""
    client.post(QUOTAS, quota(requests_cpu="1", requests_memory="1Gi"))
    refused = client("POST", PODS, pod("p0", memory="1Mi"))
    assert refused.body["message"] == 'pods "p0" is forbidden: failed quota: rq: must specify requests.cpu for: a'
    client.post(PODS, pod("p1", cpu="700m", memory="512Mi"))
    over = client("POST", PODS, pod("p2", cpu="500m", memory="1Mi"))
    said = "exceeded quota: rq, requested: requests.cpu=500m, used: requests.cpu=700m, limited: requests.cpu=1"
    assert (over.status, over.body["message"]) == (403, f'pods "p2" is forbidden: {said}')
    used = client.wait(f"{QUOTAS}/rq", "the quota is counted", lambda q: q["status"]["used"]["requests.cpu"] == "700m")
    assert used["status"]["used"]["requests.memory"] == "512Mi"


def test_a_deployment_over_quota_says_so_and_goes_on_once_there_is_room(stepped):
    """The stall must be visible where a rollout is watched, and must end when its cause does."""
    simulator, client = stepped
    client.post(QUOTAS, quota(pods="2", count__deployments_apps="5"))
    client.post(DEPLOYMENTS, deployment(replicas=4))
    simulator.advance(30)
    (replica_set,) = client.get("/apis/apps/v1/namespaces/default/replicasets")["items"]
    told = failure(replica_set)
    assert (told["status"], told["reason"]) == ("True", "FailedCreate")
    assert told["message"].endswith(
        "is forbidden: exceeded quota: rq, requested: pods=1, used: pods=2, limited: pods=2"
    )
    above = failure(client.get(WEB))
    assert (above["status"], above["reason"], above["message"]) == ("True", "FailedCreate", told["message"])
    assert client.get(f"{QUOTAS}/rq")["status"]["used"] == {"count/deployments.apps": "1", "pods": "2"}
    refusals = [e for e in client.get(EVENTS)["items"] if e["reason"] == "FailedCreate"]
    assert [e["message"].split(" pods ")[0] for e in refusals] == ["Error creating:"]
    client.merge(f"{QUOTAS}/rq", {"spec": {"hard": {"pods": "4"}}})
    simulator.advance(10)
    assert client.get(WEB)["status"]["availableReplicas"] == 4
    assert failure(client.get(WEB)) is None


@pytest.mark.parametrize(
    ("kind", "plural", "said"),
    [
        ("StatefulSet", "statefulsets", 'create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden:'),
        ("DaemonSet", "daemonsets", "Error creating: pods "),
    ],
)
def test_other_workloads_tell_a_refusal_by_an_event(stepped, kind, plural, said):
    """They have no condition for it, so the event is all there is to find the reason in."""
    simulator, client = stepped
    client.post(QUOTAS, quota(pods="0"))
    extra = {"serviceName": "db", "replicas": 1} if kind == "StatefulSet" else {}
    client.post(f"/apis/apps/v1/namespaces/default/{plural}", workload(kind, "db", **extra))
    simulator.advance(20)
    (event,) = [e for e in client.get(EVENTS)["items"] if e["reason"] == "FailedCreate"]
    assert (event["type"], event["involvedObject"]["kind"]) == ("Warning", kind)
    assert event["message"].startswith(said)
    assert "exceeded quota: rq" in event["message"]
    client.delete(f"{QUOTAS}/rq")
    simulator.advance(20)
    assert client.get(PODS)["items"]


def test_a_budget_forbids_and_allows_evictions_as_recorded(stepped):
    """A drain that a budget blocks is retried by kubectl on exactly this answer."""
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(replicas=3))
    client.post(BUDGETS, budget(minAvailable=3))
    simulator.advance(5)
    status = client.get(f"{BUDGETS}/pdb")["status"]
    assert {k: v for k, v in status.items() if k != "conditions"} == {
        "observedGeneration": 1,
        "disruptionsAllowed": 0,
        "currentHealthy": 3,
        "desiredHealthy": 3,
        "expectedPods": 3,
    }
    assert (status["conditions"][0]["status"], status["conditions"][0]["reason"]) == ("False", "InsufficientPods")
    first, second, _ = [p["metadata"]["name"] for p in client.get(PODS)["items"]]
    refused = evict(client, first)
    assert refused.status == 429
    assert refused.body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget pdb needs 3 healthy pods and has 3 currently",
    }
    assert refused.body["details"] == {"causes": [cause]}
    client.merge(f"{BUDGETS}/pdb", {"spec": {"minAvailable": 2}})
    simulator.advance(0.1)
    assert evict(client, first, {"dryRun": ["All"]}).status == 201
    assert evict(client, first).status == 201
    assert evict(client, second).status == 429
    simulator.advance(10)
    assert evict(client, second).status == 201


@pytest.mark.parametrize(("policy", "status"), [("IfHealthyBudget", 429), ("AlwaysAllow", 201)])
def test_an_unhealthy_pod_goes_if_its_budget_says_so(stepped, policy, status):
    """Otherwise a broken rollout could not be drained away."""
    simulator, client = stepped
    client.post(DEPLOYMENTS, deployment(image="registry.example/notready:1", replicas=1))
    client.post(BUDGETS, budget(maxUnavailable=0, unhealthyPodEvictionPolicy=policy))
    simulator.advance(5)
    (found,) = client.get(PODS)["items"]
    assert evict(client, found["metadata"]["name"]).status == status


def test_the_last_words_of_a_crashing_container_can_be_set_and_read(stepped):
    """The last log line is part of the reason Addonry gives for a crash loop."""
    simulator, client = stepped
    made = deployment(image="registry.example/crash:1", replicas=1)
    made["spec"]["template"]["metadata"]["annotations"] = {"simulated-log": "one\ntwo\nfatal: no such table\n"}
    client.post(DEPLOYMENTS, made)
    simulator.advance(5)
    (found,) = client.get(PODS)["items"]
    log = f"{PODS}/{found['metadata']['name']}/log"
    assert client("GET", f"{log}?previous=true&tailLines=1").raw == b"fatal: no such table\n"
    assert client("GET", f"{log}?container=app&limitBytes=5").raw == b"one\nt"
    assert client("GET", f"{log}?tailLines=1&timestamps=true").raw.split(b" ", 1)[1] == b"fatal: no such table\n"
    other = client("GET", f"{log}?container=other")
    assert (other.status, other.body["message"]) == (
        400,
        f"container other is not valid for pod {found['metadata']['name']}",
    )


def test_a_container_that_never_ran_has_no_log(stepped):
    """A reader of logs must live with these refusals, they are the normal case while a rollout is stuck."""
    simulator, client = stepped
    simulator.cluster("sim-1").say("app:2", "listening\n")
    client.post(DEPLOYMENTS, deployment(image="registry.example/bad:1", replicas=1))
    simulator.advance(5)
    (found,) = client.get(PODS)["items"]
    name = found["metadata"]["name"]
    answer = client("GET", f"{PODS}/{name}/log")
    said = f'container "app" in pod "{name}" is waiting to start: trying and failing to pull image'
    assert (answer.status, answer.body["message"]) == (400, said)
    client("PATCH", WEB, new_image("registry.example/app:2"), STRATEGIC)
    simulator.advance(10)
    (found,) = client.get(PODS)["items"]
    name = found["metadata"]["name"]
    assert client("GET", f"{PODS}/{name}/log").raw == b"listening\n"
    previous = client("GET", f"{PODS}/{name}/log?previous=true")
    assert previous.body["message"] == f'previous terminated container "app" in pod "{name}" not found'
