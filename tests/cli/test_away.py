"""Catalogs for places without a way out, and hosts that want a password: as processes, on simulated clusters."""

import json

import pytest
from click.testing import CliRunner

from addonry.cli.root import addonry as root
from tests.support.commands import Command, stop

pytestmark = pytest.mark.slow

NO_WAY_OUT = {
    "ADDONRY_OFFLINE": "true",
    # Whoever tries all the same is told so.
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    process = Command(folder).start("simulate", "--clusters", "1", "--out", str(folder / "out"), "-o", "json")
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=5)[1])
    yield json.loads(line)
    assert stop(process) == 0


def without_moments(scan):
    return scan | {"components": [each | {"observed_at": ""} for each in scan["components"]]}


def test_without_a_way_out_everything_is_as_it_was_with_one(simulated, tmp_path):
    [cluster] = simulated["clusters"]
    data, file = str(tmp_path / "data"), str(tmp_path / "catalog.tar.gz")
    connected = Command(tmp_path, ADDONRY_DATA=data, ADDONRY_CHART_MIRROR=simulated["charts"])
    before = connected.json("scan", "--kubeconfig", cluster["kubeconfig"])
    names = [each["name"] for each in before["components"]]
    made = connected.json("catalog", "export", file, *names, "--charts", "--kubernetes", before["kubernetes"])
    assert (made["components"], made["troubles"]) == (len(names), [])
    assert made["charts"] >= len(names)

    away = Command(tmp_path, ADDONRY_DATA=data, **NO_WAY_OUT)
    assert away.json("catalog", "import", file)["charts"] == made["charts"]
    after = away.json("scan", "--kubeconfig", cluster["kubeconfig"])
    assert without_moments(after) == without_moments(before)
    assert before["catalog_problems"] == {}

    away("clusters", "add", "sim", "--kubeconfig", cluster["kubeconfig"])
    assert "3.12.1 -> 3.13.0" in away("upgrade", "sim", "metrics-server", "--wait")
    assert "before the one in use" not in away("catalog", "import", file), "the same one may be taken in again"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A service that asks nobody, and its data directory."""
    data = tmp_path_factory.mktemp("served") / "data"
    addonry = Command(data.parent, ADDONRY_DATA=str(data), ADDONRY_OFFLINE="true")
    process = addonry.start("serve", "--listen", "127.0.0.1:0")
    if not process.stdout.readline():
        raise AssertionError(process.communicate(timeout=5)[1])
    yield addonry, data
    assert stop(process) == 0


def test_a_login_is_kept_encrypted_and_told_without_its_secret(served):
    addonry, data = served
    told = addonry("catalog", "login", "GHCR.io", "--username", "robot", "--password-stdin", stdin="hunter2\n")
    assert "ghcr.io" in told
    assert "robot" in told
    addonry("catalog", "login", "charts.test:8443", "--token-stdin", "--plain-http", stdin="t0ken-t0ken")
    told += addonry("catalog", "hosts") + addonry("audit", "-o", "json")
    for secret in ("hunter2", "t0ken-t0ken"):
        assert secret not in told
        assert not [file for file in data.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()]
    addonry("catalog", "logout", "ghcr.io")
    assert [each["host"] for each in addonry.json("catalog", "hosts")["hosts"]] == ["charts.test:8443"]
    assert "Nobody has logged in to ghcr.io" in addonry("catalog", "logout", "ghcr.io", status=1)
    assert "a host is a name" in addonry("catalog", "login", "no host", "--token-stdin", status=1, stdin="x")


def test_a_component_file_is_added_and_counts_at_once(served, tmp_path):
    addonry, data = served
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\ntitle: Mine\naliases: [my-own]\n")
    assert "mine" in addonry("catalog", "add", str(file))
    assert addonry.json("catalog", "show", "my-own")["title"] == "Mine"
    file.write_text("name: other\ntitle: Other\naliases: [mine]\n")
    assert "'mine' is a name of both" in addonry("catalog", "add", str(file), status=1)
    assert addonry.json("catalog", "show", "mine")["title"] == "Mine"
    assert [each.name for each in (data / "components").iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    "arguments", [("--username", "robot"), ("--password-stdin",), ("--password-stdin", "--token-stdin")]
)
def test_a_login_that_is_said_half_is_wrong_usage(tmp_path, arguments):
    told = CliRunner().invoke(root, ["catalog", "login", "ghcr.io", *arguments])
    assert told.exit_code == 2
    assert "login --help" in told.stderr
