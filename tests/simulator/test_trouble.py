"""A cluster can be made to misbehave, and to recover."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
import yaml

from addonry.simulator import Chaos, Kind, Simulator
from tests.simulator.manifests import CONFIG_MAPS, DEPLOYMENTS, OWN, config_map, deployment
from tests.simulator.test_watching import watching


def test_a_refusing_cluster_hangs_up_and_cuts_its_watches(client, cluster):
    client.post(CONFIG_MAPS, config_map("a"))
    with watching(client, "") as events:
        next(events)
        cluster.trouble.refuse()
        with pytest.raises((http.client.HTTPException, OSError)):
            client("GET", "/version")
        with pytest.raises((http.client.HTTPException, OSError, StopIteration)):
            next(events)
    cluster.trouble.recover()
    assert client("GET", "/version").status == 200


def test_a_hanging_cluster_answers_when_it_recovers(client, cluster):
    cluster.trouble.hang()
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        client("GET", "/version", timeout=0.3)
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(client("GET", "/version").status))
    waiting.start()
    cluster.trouble.recover()
    waiting.join(20)
    assert answers == [200]


def test_failures_come_as_often_as_asked_and_where_asked(client, cluster):
    cluster.trouble.fail(method="GET", path_contains="configmaps", status=429, times=2)
    assert client("GET", "/version").status == 200
    answers = [client("GET", CONFIG_MAPS) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "1"


def test_requests_are_logged_without_bodies_or_credentials(client, cluster):
    client("POST", f"{CONFIG_MAPS}?fieldManager=me", config_map("a"), User_Agent="tester/1")
    logged = cluster.requests[-1]
    assert (logged.method, logged.path, logged.query, logged.user_agent, logged.status) == (
        "POST",
        CONFIG_MAPS,
        "fieldManager=me",
        "tester/1",
        201,
    )
    assert cluster.token not in repr(cluster.requests)


def test_a_pattern_and_a_fraction_choose_who_is_hit_and_a_seed_repeats_it(client, cluster):
    """A chaos run that fails must fail again with its seed."""

    def statuses():
        cluster.trouble.fail(path=r"/configmaps$", status=503, times=None, fraction=0.5, seed=7)
        answers = [client("GET", CONFIG_MAPS).status for _ in range(20)]
        assert client("GET", "/version").status == 200
        cluster.trouble.recover()
        return answers

    first = statuses()
    assert set(first) == {200, 503}
    assert statuses() == first


def test_chaos_is_the_same_for_the_same_seed_and_order(client, cluster):
    """The printed seed of a chaos run is worth nothing otherwise."""
    client.post(CONFIG_MAPS, config_map("a"))

    def run(seed):
        rates = {Kind.CONFLICT: 0.3, Kind.TOO_MANY: 0.2, Kind.UNAVAILABLE: 0.2}
        cluster.trouble.unleash(Chaos(seed, rates, spared="/version"))
        answers = []
        for number in range(15):
            answers.append(client("GET", CONFIG_MAPS).status)
            patch = {"data": {"n": str(number)}}
            answers.append(client("PATCH", f"{CONFIG_MAPS}/a", patch, "application/merge-patch+json").status)
            assert client("GET", "/version").status == 200
        befallen = dict(cluster.trouble.befallen)
        cluster.trouble.recover()
        return answers, befallen

    first = run(11)
    assert run(11) == first
    assert run(12) != first
    assert first[0].count(409) == first[1][Kind.CONFLICT] > 0
    assert 409 not in first[0][::2], "a read cannot conflict"


def test_a_stale_answer_is_as_of_an_older_version(client, cluster):
    """A lagging API server shows what was; a client must not take it for what is."""
    client.post(CONFIG_MAPS, config_map("a", text="old"))
    before = cluster.version
    client.merge(f"{CONFIG_MAPS}/a", {"data": {"text": "new"}})
    client.post(CONFIG_MAPS, config_map("b"))
    cluster.trouble.stale(path="configmaps", times=3, version=before)
    listed = client.get(f"{CONFIG_MAPS}?{OWN}")
    assert [(item["metadata"]["name"], item["data"]["text"]) for item in listed["items"]] == [("a", "old")]
    assert listed["metadata"]["resourceVersion"] == str(before)
    assert client.get(f"{CONFIG_MAPS}/a")["data"]["text"] == "old"
    assert client("GET", f"{CONFIG_MAPS}/b").status == 404
    assert len(client.get(f"{CONFIG_MAPS}?{OWN}")["items"]) == 2


def test_a_stale_watch_begins_in_the_past_and_catches_up(client, cluster):
    """The events between are told, so that a client that trusts its watch ends up right."""
    client.post(CONFIG_MAPS, config_map("a"))
    before = cluster.version
    client.post(CONFIG_MAPS, config_map("b"))
    client.delete(f"{CONFIG_MAPS}/a")
    cluster.trouble.stale(version=before)
    with watching(client, "") as events:
        seen = [next(events) for _ in range(3)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in seen] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("DELETED", "a"),
    ]


def test_watches_are_cut_and_new_ones_let_in(client, cluster):
    """As when an API server restarts behind its load balancer."""
    client.post(CONFIG_MAPS, config_map("a"))
    with watching(client, "") as events:
        next(events)
        cluster.trouble.cut_watches()
        assert list(events) == []
    cluster.trouble.cut(path="configmaps")
    with watching(client, "") as events:
        assert len(list(events)) == 1
    with watching(client, "") as events:
        assert next(events)["type"] == "ADDED"


def test_chosen_requests_are_hung_up_on_at_once_or_after_a_stall(client, cluster):
    """Both look to a client as if its write might have been carried out."""
    cluster.trouble.hang_up(method="POST", path="configmaps")
    cluster.trouble.stall(method="POST", path="configmaps", seconds=0.1)
    for _ in range(2):
        with pytest.raises((http.client.HTTPException, OSError)):
            client("POST", CONFIG_MAPS, config_map("a"))
    assert client("POST", CONFIG_MAPS, config_map("a")).status == 201


def test_a_lost_right_and_an_expired_token_read_as_on_a_real_cluster(client, cluster):
    """Addonry tells the two apart, and says what right is missing."""
    cluster.trouble.forbid(method="PATCH", path="/deployments/web/scale$")
    answer = client("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale", {}, "application/json")
    assert answer.status == 403
    assert answer.body["message"] == (
        'deployments.apps "web" is forbidden: User "admin" cannot patch resource "deployments/scale" in API group '
        '"apps" in the namespace "default"'
    )
    cluster.trouble.expire_token()
    assert client("GET", CONFIG_MAPS).body["reason"] == "Unauthorized"


def test_a_deletion_is_recorded_with_what_it_was_about(client, cluster):
    """That nothing older than a task was deleted can only be said with uid and age of each target."""
    heard = []
    cluster.record(heard.append)
    made = client.post(CONFIG_MAPS, config_map("a"))
    client.delete(f"{CONFIG_MAPS}/a")
    client("DELETE", f"{CONFIG_MAPS}/a")
    posted, deleted, missed = cluster.requests
    (target,) = deleted.targets
    about = made["metadata"]
    assert (target.kind, target.namespace, target.name) == ("ConfigMap", "default", "a")
    assert (target.uid, target.created) == (about["uid"], about["creationTimestamp"])
    assert (posted.body_kind, posted.targets) == ("ConfigMap", ())
    assert (missed.status, missed.targets) == (404, ())
    assert posted.at <= deleted.at <= missed.at
    assert (heard, cluster.forgotten) == (cluster.requests, 0)


def test_a_collection_that_is_deleted_is_recorded_object_by_object(client, cluster):
    """A selector must not hide what it selects."""
    for name in ("a", "b"):
        client.post(CONFIG_MAPS, config_map(name) | {"metadata": {"name": name, "labels": {"app": name}}})
    client.delete(f"{CONFIG_MAPS}?labelSelector=app%3Db")
    assert [target.name for target in cluster.requests[-1].targets] == ["b"]


def test_a_throttled_client_is_told_how_long_to_wait(client, cluster):
    """A client that ignores the header makes an overload worse."""
    cluster.trouble.fail(path="configmaps", status=429, retry_after=7)
    cluster.trouble.fail(path="configmaps", status=503, retry_after=3)
    answers = [client("GET", CONFIG_MAPS) for _ in range(3)]
    assert [(a.status, a.headers.get("Retry-After")) for a in answers] == [(429, "7"), (503, "3"), (200, None)]
    assert answers[0].body["reason"] == "TooManyRequests"


def test_an_expired_certificate_is_refused_by_the_client():
    """Its clients trust the authority, so what they complain of is the date alone."""
    with Simulator(clusters=1, tls=True, certificate_life=timedelta(days=-1)) as simulator:
        cluster = simulator.cluster("sim-1")
        authority = yaml.safe_load(cluster.kubeconfig())["clusters"][0]["cluster"]["certificate-authority-data"]
        trusting = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        with pytest.raises(urllib.error.URLError, match="certificate has expired"):
            urllib.request.urlopen(f"{cluster.server}/version", context=trusting, timeout=20)


@pytest.mark.parametrize(
    ("image", "annotations", "seconds"),
    [
        ("registry.example/slow:1", {}, 10),
        ("registry.example/app:1", {"simulated-start-seconds": "25"}, 25),
        ("registry.example/slow:1", {"simulated-start-seconds": "0.5"}, 0.5),
    ],
)
def test_a_pod_takes_as_long_to_start_as_its_image_or_annotation_says(stepped, image, annotations, seconds):
    """By image for a version that starts slowly, by annotation for one Pod template."""
    simulator, client = stepped
    slow = deployment(image=image, replicas=1)
    slow["spec"]["template"]["metadata"]["annotations"] = annotations
    client.post(DEPLOYMENTS, slow)
    simulator.advance(seconds - 0.4)
    assert "availableReplicas" not in client.get(f"{DEPLOYMENTS}/web")["status"]
    simulator.advance(1)
    assert client.get(f"{DEPLOYMENTS}/web")["status"]["availableReplicas"] == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (409, "Conflict"),
        (429, "TooManyRequests"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ],
)
def test_a_failure_reads_as_the_real_server_would_say_it(client, cluster, status, reason):
    """Clients decide by code and reason whether to try again; one pattern of requests is hit, the others are not."""
    cluster.trouble.fail(method="PUT", path="/configmaps/a$", status=status, times=1)
    assert client("GET", "/api/v1/namespaces/default").status == 200
    told = client("PUT", f"{CONFIG_MAPS}/a", config_map("a"))
    assert (told.status, told.body["kind"], told.body["reason"], told.body["code"]) == (
        status,
        "Status",
        reason,
        status,
    )


@pytest.mark.slow
@pytest.mark.kubectl
def test_kubectl_meets_what_was_asked_for(kubectl, client, cluster):
    """The words a person would see, from a client that is not ours."""
    client.post(CONFIG_MAPS, config_map("a"))
    assert "configmap/a" in kubectl("get", "cm", "a", "-o", "name")
    cluster.trouble.forbid(method="DELETE", path="/configmaps/a$", times=1)
    assert 'User "admin" cannot delete resource "configmaps"' in kubectl("delete", "cm", "a", fails=True)
    cluster.trouble.fail(path="/configmaps/a$", status=500, times=1)
    assert "Internal error occurred" in kubectl("get", "cm", "a", fails=True)
    cluster.trouble.fail(method="GET", path="/configmaps/a$", status=429, times=1, retry_after=1)
    assert "configmap/a" in kubectl("get", "cm", "a", "-o", "name"), "it waits and tries again"
    cluster.trouble.expire_token()
    assert "Unauthorized" in kubectl("get", "cm", "a", fails=True)
    cluster.trouble.recover()
    cluster.trouble.hang()
    # Which of two clocks of Go's client rings first decides on the rest of its words.
    assert "exceeded" in kubectl("get", "cm", "a", "--request-timeout=1s", fails=True)
    cluster.trouble.recover()
    cluster.trouble.refuse()
    assert "EOF" in kubectl("get", "cm", "a", fails=True)
    cluster.trouble.recover()
    assert "configmap/a" in kubectl("get", "cm", "a", "-o", "name")
