"""APIServices: of the APIs that are served here, of custom resources, and of servers that do not answer."""

from __future__ import annotations

API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ABSENT = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.agg.example.com"},
    "spec": {
        "group": "agg.example.com",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 10,
        "service": {"namespace": "default", "name": "missing"},
    },
}

DEFINITION = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def test_every_api_that_is_served_here_has_its_apiservice(client):
    apps = client.get(f"{API_SERVICES}/v1.apps")
    assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
    assert apps["status"]["conditions"][0]["reason"] == "Local"
    assert client.get(f"{API_SERVICES}/v1.")["spec"] == {
        "version": "v1",
        "groupPriorityMinimum": 18000,
        "versionPriority": 1,
    }


def test_an_api_nobody_answers_for_is_503_but_still_announced(client):
    made = client.post(API_SERVICES, ABSENT)
    assert made["status"] == {}
    for path in ("/apis/agg.example.com/v1", "/apis/agg.example.com/v1/things"):
        answer = client("GET", path)
        assert (answer.status, answer.raw) == (503, b"service unavailable\n")
    assert client.get("/apis/agg.example.com")["preferredVersion"]["groupVersion"] == "agg.example.com/v1"
    assert "agg.example.com" in [group["name"] for group in client.get("/apis")["groups"]]
    found = client.get("/apis", Accept=AGGREGATED)["items"][-1]
    assert found == {
        "metadata": {"name": "agg.example.com"},
        "versions": [{"version": "v1", "freshness": "Stale"}],
    }
    client.delete(f"{API_SERVICES}/v1.agg.example.com")
    assert client("GET", "/apis/agg.example.com/v1").status == 404
    assert client.get("/apis", Accept=AGGREGATED)["items"][-1] != found


def test_the_api_of_a_definition_comes_and_goes_with_it(stepped):
    simulator, client = stepped
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    client.post(definitions, DEFINITION)
    name = "v1.example.com"
    simulator.advance(1)
    assert client.get(f"{API_SERVICES}/{name}")["spec"]["groupPriorityMinimum"] == 1000
    client.delete(f"{API_SERVICES}/{name}")
    simulator.advance(1)
    assert client("GET", f"{API_SERVICES}/{name}").status == 200  # it is registered anew
    client.delete(f"{definitions}/widgets.example.com")
    simulator.advance(1)
    assert client("GET", f"{API_SERVICES}/{name}").status == 404
