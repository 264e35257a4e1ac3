"""Waivers and maintenance windows as commands."""

import json

import pytest

CLUSTERS = {"clusters": [{"name": "prod", "cluster_id": "c1"}], "page_info": {"total_count": 1}}
WAIVER = {
    "waiver_id": "w-1",
    "check": "NoPodSlots",
    "component": "",
    "reason": "the autoscaler adds nodes",
    "owner": "ann",
    "until": "2027-02-01T00:00:00Z",
    "made_at": "2026-11-23T08:00:00Z",
    "expired": False,
}
PATH = "/addonry/v1/clusters/c1/waivers"


@pytest.fixture
def prod(api):
    api.answer("GET", "/api/v1/clusters", CLUSTERS)
    return api


def test_a_waiver_is_asked_for_and_told(prod, run):
    prod.answer("POST", PATH, WAIVER)
    line = ("waivers", "add", "prod", "NoPodSlots", "--until", "2027-01-31", "--reason", WAIVER["reason"])
    result = run(*line)
    assert result.exit_code == 0, result.stderr
    assert "w-1" in result.stdout
    assert "all" in result.stdout
    assert prod.find("POST", PATH).json == {
        "check": "NoPodSlots",
        "component": "",
        "reason": WAIVER["reason"],
        "until": "2027-01-31",
        "owner": "",
    }


def test_waivers_are_listed_with_those_that_have_expired(prod, run):
    prod.answer("GET", PATH, {"waivers": [WAIVER, {**WAIVER, "waiver_id": "w-2", "expired": True}]})
    lines = run("waivers", "list", "prod").stdout.splitlines()
    assert ["(expired)" in line for line in lines[1:]] == [False, True]
    assert json.loads(run("waivers", "list", "prod", "-o", "json").stdout)["waivers"][0] == WAIVER


def test_a_waiver_is_removed_by_its_id(prod, run):
    prod.answer("DELETE", f"{PATH}/w-1", {})
    assert "w-1" in run("waivers", "remove", "prod", "w-1").stdout


def test_a_reason_and_an_end_are_asked_for(run):
    assert run("waivers", "add", "prod", "NoPodSlots", "--reason", "x").exit_code == 2
    assert run("waivers", "add", "prod", "NoPodSlots", "--until", "2027-01-31").exit_code == 2


@pytest.mark.parametrize(
    ("line", "window"),
    [
        (
            "--days Monday,Thursday --at 22:30 --hours 5 --enforce",
            {
                "enable": True,
                "maintenance_time": "22:30:00Z",
                "duration": "5h",
                "weekly_period": "Monday,Thursday",
                "enforce": True,
            },
        ),
        ("--off", {"enable": False}),
    ],
)
def test_a_window_is_set_as_ack_writes_it(prod, run, line, window):
    prod.answer("PUT", "/api/v2/clusters/c1", {})
    result = run("clusters", "window", "prod", *line.split())
    assert result.exit_code == 0, result.stderr
    assert prod.find("PUT", "/api/v2/clusters/c1").json == {"maintenance_window": window}


@pytest.mark.parametrize("line", ["--days Noday", "--at noon"])
def test_a_window_that_cannot_be_read_is_refused(run, line):
    assert run("clusters", "window", "prod", *line.split()).exit_code == 2


@pytest.mark.parametrize(("text", "status"), [("waivers: [", 1), ("waivers: 7", 2), ("- check: NoPodSlots", 2)])
def test_a_scan_refuses_a_file_that_holds_no_waivers(run, tmp_path, text, status):
    (tmp_path / "waivers.yaml").write_text(text)
    (tmp_path / "kubeconfig").write_text(
        '{"apiVersion": "v1", "kind": "Config", "current-context": "a", "contexts": [{"name": "a", "context": '
        '{"cluster": "a", "user": "a"}}], "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}], '
        '"users": [{"name": "a", "user": {}}]}'
    )
    result = run("scan", "--kubeconfig", str(tmp_path / "kubeconfig"), "--waivers", str(tmp_path / "waivers.yaml"))
    assert result.exit_code == status
    assert len(result.stderr.strip().splitlines()) <= 2
