"""Watches: nothing is lost, nothing comes twice, and old versions are refused."""

from __future__ import annotations

import json
import urllib.request
from contextlib import contextmanager

import pytest

from tests.simulator.manifests import CONFIG_MAPS, OWN, config_map

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@contextmanager
def watching(client, query, accept="application/json"):
    """The events of a watch, as an iterator; the watch is open when the block begins."""
    request = urllib.request.Request(f"{client.cluster.server}{CONFIG_MAPS}?watch=1&{OWN}&{query}")
    request.add_header("Accept", accept)
    with urllib.request.urlopen(request, timeout=20) as response:
        yield (json.loads(line) for line in response)


def seen(event):
    return event["type"], event["object"]["metadata"].get("name")


def test_a_watch_goes_on_from_the_version_of_a_list(client):
    client.post(CONFIG_MAPS, config_map("before"))
    version = client.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    client.post(CONFIG_MAPS, config_map("a"))
    with watching(client, f"resourceVersion={version}") as events:
        client.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
        client.delete(f"{CONFIG_MAPS}/a")
        assert [seen(next(events)) for _ in range(3)] == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_initial_events_end_with_a_bookmark_that_says_so(client):
    """Helm's waiter relies on it."""
    client.post(CONFIG_MAPS, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    with watching(client, query) as events:
        assert seen(next(events)) == ("ADDED", "a")
        bookmark = next(events)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        client.post(CONFIG_MAPS, config_map("b"))
        assert seen(next(events)) == ("ADDED", "b")


def test_an_object_that_leaves_the_selection_is_deleted_as_it_was(client):
    made = config_map("a")
    made["metadata"]["labels"] = {"odd": "1"}
    version = client.post(CONFIG_MAPS, made)["metadata"]["resourceVersion"]
    with watching(client, f"resourceVersion={version}&labelSelector=odd%3D1") as events:
        changed = client.merge(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"odd": "0"}}})
        event = next(events)
        assert seen(event) == ("DELETED", "a")
        assert event["object"]["metadata"]["labels"] == {"odd": "1"}
        assert event["object"]["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
        client.merge(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"odd": "1"}}})
        assert seen(next(events)) == ("ADDED", "a")


def test_a_version_the_server_has_forgotten_is_an_error_event(simulator, client, cluster):
    client.post(CONFIG_MAPS, config_map("a"))
    simulator.call(cluster.compact)
    with watching(client, "resourceVersion=1") as events:
        event = next(events)
        assert event["type"] == "ERROR"
        assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
        assert next(events, None) is None


def test_a_watch_ends_after_its_time_with_a_bookmark_before(client):
    client.post(CONFIG_MAPS, config_map("a"))
    version = client.get(CONFIG_MAPS)["metadata"]["resourceVersion"]
    with watching(client, f"resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=2") as events:
        assert [event["type"] for event in events] == ["BOOKMARK"]


def test_a_table_watch_names_its_columns_once(client):
    client.post(CONFIG_MAPS, config_map("a"))
    with watching(client, "", TABLE) as events:
        first = next(events)["object"]
        client.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
        second = next(events)["object"]
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert second["rows"][0]["cells"][:2] == ["a", 1]


@pytest.mark.parametrize(
    ("query", "status"), [("sendInitialEvents=true", 422), ("resourceVersion=abc", 500), ("timeoutSeconds=x", 400)]
)
def test_a_watch_that_cannot_be_is_refused_at_once(client, query, status):
    assert client("GET", f"{CONFIG_MAPS}?watch=1&{query}").status == status
