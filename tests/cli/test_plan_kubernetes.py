"""``addonry plan --kubernetes``: what an upgrade of the cluster needs."""

import json

import pytest

CLUSTERS = {
    "clusters": [{"cluster_id": "c1", "name": "prod", "current_version": "1.36.2", "size": 3, "state": "running"}],
    "page_info": {"page_number": 1, "page_size": 100, "total_count": 1},
}
PATH = "/addonry/v1/clusters/c1/upgradeplan"


@pytest.fixture
def prod(api):
    api.answer("GET", "/api/v1/clusters", CLUSTERS)
    return api


def plan(*, blocked=(), before=()):
    leg = {"from_kubernetes": "1.36.2", "to_kubernetes": "1.37", "after": [], "unknown": ["odd"]}
    legs = [{**leg, "before": list(before), "blocked": list(blocked)}]
    return {"legs": legs, "is_possible": not blocked, "requestId": "R"}


MOVE = {"component_name": "coredns", "version": "1.0.0", "path": ["1.1.0", "1.2.0"], "reason": "it must"}
STOP = {"component_name": "ingress-nginx", "version": "4.0.0", "message": "It needs less.", "remedy": "Replace it."}


@pytest.mark.parametrize("option", ["--kubernetes", "--target"])
def test_what_goes_before_is_told_with_its_way(prod, run, option):
    prod.answer("GET", PATH, plan(before=[MOVE]))
    result = run("plan", "prod", option, "1.37")
    assert result.exit_code == 0, result.output
    assert prod.find("GET", PATH).target.endswith("?version=1.37")
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["1.37", "before", "coredns", "1.0.0", "1.1.0", "->", "1.2.0", "it", "must"]
    assert lines[2] == "  Nobody knows which Kubernetes these run on: odd."


def test_what_is_in_the_way_ends_1_and_is_named(prod, run):
    prod.answer("GET", PATH, plan(blocked=[STOP]))
    result = run("plan", "prod", "--kubernetes", "1.37")
    assert result.exit_code == 1
    assert "BLOCKED  ingress-nginx" in result.stdout
    assert "  ingress-nginx: Replace it." in result.stdout
    assert result.stderr == "Error: Kubernetes 1.37 cannot be come to: ingress-nginx.\n"


def test_the_json_is_that_of_the_api(prod, run):
    told = plan(before=[MOVE])
    prod.answer("GET", PATH, told)
    shown = json.loads(run("plan", "prod", "--kubernetes", "1.37", "-o", "json").stdout)
    assert shown == {"legs": told["legs"], "is_possible": True}


def test_components_cannot_be_named_with_it(prod, run):
    assert run("plan", "prod", "coredns", "--kubernetes", "1.37").exit_code == 2
    assert not prod.asked
