"""A plan, and a way that must not be skipped, as their users see them: processes, a simulated cluster, real Helm."""

import json
from pathlib import Path

import pytest

from tests.support.commands import Command, stop

pytestmark = pytest.mark.slow

STRICT = """\
extends: metrics-server
path: {by: minor, evidence: "https://example.org/upgrade"}
"""


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    process = Command(folder).start(
        "simulate", "--clusters", "1", "--empty", "--speed", "20", "--out", str(folder / "out"), "-o", "json"
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the simulator says what it has made"
    yield json.loads(line)
    assert stop(process) == 0


def test_a_plan_tells_the_way_and_the_fields_and_an_upgrade_goes_it_hop_by_hop(simulated, tmp_path: Path):
    catalog = tmp_path / "components"
    catalog.mkdir()
    (catalog / "metrics-server.yaml").write_text(STRICT)
    addonry = Command(
        tmp_path,
        ADDONRY_DATA=str(tmp_path / "data"),
        ADDONRY_CHART_MIRROR=simulated["charts"],
        ADDONRY_CATALOG=str(catalog),
    )
    service = addonry.start("serve", "--listen", "127.0.0.1:0")
    try:
        assert service.stdout is not None
        assert "http" in service.stdout.readline()
        addonry("clusters", "add", "prod", "--kubeconfig", simulated["clusters"][0]["kubeconfig"])
        addonry("catalog", "sync")
        addonry("install", "prod", "metrics-server@3.11.0", "--wait")

        refused = addonry("upgrade", "prod", "metrics-server@3.13.0", status=1)
        assert "go by 3.12.2" in refused
        assert "addonry upgrade prod metrics-server@3.13.0 --wait" in refused

        [planned] = addonry.json("plan", "prod", "metrics-server@3.13.0")["changes"]
        assert (planned["next_version"], planned["path"]) == ("3.12.2", ["3.12.2", "3.13.0"])
        assert planned["mode"] == "server-side"
        assert [each["after"].rpartition(":")[2] for each in planned["images"]] == ["v0.7.2"]
        [deployment] = [each for each in planned["differences"] if each["kind"] == "Deployment"]
        changed = {each["path"] for each in deployment["fields"] if not each["noise"]}
        assert "spec.template.spec.containers[metrics-server].image" in changed
        told = addonry("plan", "prod", "metrics-server@3.13.0")
        assert "by way of 3.12.2 -> 3.13.0; this is the first of 2 upgrades" in told

        [leg] = addonry.json("plan", "prod", "--kubernetes", "1.37")["legs"]
        assert (leg["to_kubernetes"], leg["blocked"]) == ("1.37", [])
        walked = addonry("upgrade", "prod", "metrics-server@3.13.0", "--wait")
        assert "metrics-server 3.11.0 -> 3.12.2" in walked
        assert "metrics-server 3.12.2 -> 3.13.0" in walked
        status = addonry.json("status", "prod", "metrics-server")
        assert status["metrics-server"]["addon_info"]["version"] == "3.13.0"
    finally:
        assert stop(service) == 0
