"""A cluster can be made to misbehave, and to recover."""

from __future__ import annotations

import http.client
import threading
import urllib.error

import pytest

from tests.simulator.manifests import CONFIG_MAPS, config_map
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
