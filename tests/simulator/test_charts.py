"""The demo's charts and the repository that serves them."""

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby

import jsonschema
import pytest
import yaml

from addonry.rules.versions import admits, newest
from addonry.simulator.charts import ChartRepository, ChartsMissing, find_charts, pack

DEMO_KUBERNETES = ["1.34.0", "1.36.2", "1.37.4"]


@pytest.fixture(scope="module")
def packed():
    return pack(find_charts())


@pytest.fixture
def repository(packed):
    return ChartRepository(packed)


def file_of(chart, name):
    with tarfile.open(fileobj=io.BytesIO(chart.archive), mode="r:gz") as tar:
        return tar.extractfile(f"{chart.name}/{name}").read()


def by_name(packed):
    return {name: list(charts) for name, charts in groupby(packed.charts, key=lambda chart: chart.name)}


def newest_fitting(charts, kubernetes):
    fitting = {chart.version: chart for chart in charts if admits(chart.kubernetes, kubernetes)}
    return fitting[newest(fitting)]


def test_the_same_sources_give_the_same_bytes(packed):
    """Else a restart of the simulator would look like a repository that swaps archives under its digests."""
    assert pack(find_charts()) == packed


def test_the_index_says_of_every_archive_what_is_in_it(packed):
    index = yaml.safe_load(packed.index)
    assert index["apiVersion"] == "v1"
    assert sorted(index["entries"]) == ["coredns", "ingress-nginx", "metrics-server", "node-problem-detector"]
    for name, entries in index["entries"].items():
        assert len(entries) >= 3
        for entry in entries:
            chart = packed.find(name, entry["version"])
            inside = yaml.safe_load(file_of(chart, "Chart.yaml"))
            assert entry["digest"] == chart.digest
            assert entry["urls"] == [f"{name}-{entry['version']}.tgz"]
            assert {key: entry[key] for key in inside} == inside
            assert {"created", "description", "icon", "keywords", "sources", "appVersion"} <= set(entry)


@pytest.mark.parametrize("kubernetes", DEMO_KUBERNETES)
def test_the_versions_play_the_parts_that_the_demo_gives_them(packed, kubernetes):
    charts = by_name(packed)
    best = {name: newest_fitting(versions, kubernetes) for name, versions in charts.items()}
    assert best["metrics-server"].version == "3.13.0"
    assert best["coredns"].version == "1.45.0"
    assert newest(chart.version for chart in charts["coredns"]) == "1.46.0"
    broken = {name for name, chart in best.items() if "bad" in chart.app_version}
    assert broken == {"node-problem-detector"}
    good = [chart for chart in charts["node-problem-detector"] if "bad" not in chart.app_version]
    assert len(good) >= 2


@pytest.mark.parametrize("name", ["coredns", "ingress-nginx", "metrics-server", "node-problem-detector"])
def test_the_source_tree_is_the_newest_good_version(packed, name):
    """So that ``helm lint`` and ``helm install charts/NAME`` in a checkout work on what the demo installs."""
    source = yaml.safe_load((find_charts() / name / "Chart.yaml").read_text())
    good = [chart for chart in by_name(packed)[name] if "bad" not in chart.app_version]
    expected = newest_fitting(good, "1.36.2")
    assert (source["version"], source["appVersion"], source["kubeVersion"]) == (
        expected.version,
        expected.app_version,
        expected.kubernetes,
    )


def test_values_that_an_older_ingress_nginx_took_can_be_refused_by_a_newer_one(packed):
    values = yaml.safe_load(file_of(packed.find("ingress-nginx", "4.12.1"), "values.yaml"))
    values["controller"]["config"]["use-gzip"] = True
    old, new = (
        json.loads(file_of(packed.find("ingress-nginx", v), "values.schema.json")) for v in ("4.12.1", "4.13.3")
    )
    jsonschema.validate(values, old)
    with pytest.raises(jsonschema.ValidationError) as caught:
        jsonschema.validate(values, new)
    assert list(caught.value.absolute_path) == ["controller", "config", "use-gzip"]


def test_every_version_satisfies_its_own_schema(packed):
    for chart in packed.charts:
        schema = json.loads(file_of(chart, "values.schema.json"))
        jsonschema.Draft7Validator.check_schema(schema)
        jsonschema.Draft7Validator(schema).validate(yaml.safe_load(file_of(chart, "values.yaml")))


def test_archives_hold_nothing_but_plain_files_in_one_folder(packed):
    for chart in packed.charts:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(chart.archive))) as tar:
            members = tar.getmembers()
        assert all(member.isfile() and member.name.startswith(f"{chart.name}/") for member in members)
        assert len({member.mtime for member in members}) == 1


LOOK_WITH_HELM = """
import json, sys
from pathlib import Path
from helm_python import Chart, lint

seen = {}
for path in sorted(Path(sys.argv[1]).glob("*.tgz")):
    messages = lint(str(path))
    with Chart.load(str(path)) as chart:
        turned_on = {"podDisruptionBudget": {"enabled": True}, "controller": {"podDisruptionBudget": {"enabled": True}}}
        turned_on = {key: value for key, value in turned_on.items() if key in chart.values}
        rendered = [chart.render(values, name=chart.metadata["name"], namespace="kube-system") for values in ({}, turned_on)]
    seen[path.name] = {"lint": messages["messages"] + messages["errors"], "rendered": rendered}
json.dump(seen, sys.stdout)
"""

ASK_FOR_ALL = """
import sys
from helm_python import lint, pull

source, repository, destination, *wanted = sys.argv[1:]
for chart in wanted:
    name, version = chart.split("@")
    pull(name, version=version, repo_url=repository, destination=destination)
    messages = lint(f"{source}/{name}")
    assert messages["messages"] + messages["errors"] == [], messages
"""


class Handler(BaseHTTPRequestHandler):
    repository: ChartRepository

    def do_GET(self):
        status, headers, body = self.repository.respond(self.path, self.headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def address(repository):
    handler = type("Bound", (Handler,), {"repository": repository})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_helm_pulls_every_version_from_the_repository_and_finds_no_fault_in_the_sources(packed, address, tmp_path):
    """`helm pull --repo` with nothing special: it reads the index, checks the digest and saves the archive."""
    wanted = [f"{chart.name}@{chart.version}" for chart in packed.charts]
    subprocess.run(
        [sys.executable, "-c", ASK_FOR_ALL, find_charts(), address, tmp_path, *wanted],
        check=True,
        capture_output=True,
        env={**os.environ, "HOME": str(tmp_path / "home")},
    )
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.tgz")} == {
        chart.file: chart.archive for chart in packed.charts
    }


BUILT_IN = {
    *{("v1", kind) for kind in ("ConfigMap", "Service", "ServiceAccount")},
    *{("apps/v1", kind) for kind in ("Deployment", "DaemonSet")},
    *{("rbac.authorization.k8s.io/v1", kind) for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")},
    ("apiregistration.k8s.io/v1", "APIService"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("policy/v1", "PodDisruptionBudget"),
}


@pytest.mark.slow
def test_helm_finds_no_fault_and_renders_built_in_kinds_only(packed, tmp_path):
    """In one child process, as everything that loads Helm."""
    for chart in packed.charts:
        (tmp_path / chart.file).write_bytes(chart.archive)
    asked = subprocess.run([sys.executable, "-c", LOOK_WITH_HELM, tmp_path], capture_output=True, text=True, check=True)
    seen = json.loads(asked.stdout)
    assert sorted(seen) == sorted(chart.file for chart in packed.charts)
    for chart in packed.charts:
        assert seen[chart.file]["lint"] == []
        for rendered in seen[chart.file]["rendered"]:
            objects = [
                one for name, text in rendered.items() if "NOTES" not in name for one in yaml.safe_load_all(text)
            ]
            objects = [one for one in objects if one]
            assert {(one["apiVersion"], one["kind"]) for one in objects} <= BUILT_IN
            assert all(image_of(one).endswith(chart.app_version) for one in objects if image_of(one))
            assert [one for one in objects if image_of(one)] != []


def image_of(thing):
    if thing["kind"] not in ("Deployment", "DaemonSet"):
        return ""
    image = thing["spec"]["template"]["spec"]["containers"][0]["image"]
    # Words that make the simulated cluster break an image on purpose must not come in by accident.
    assert not any(word in image.partition(":")[0] for word in ("bad", "crash", "never", "notready"))
    return image


def test_the_repository_serves_index_and_archives(repository, packed):
    status, headers, body = repository.respond("/index.yaml", {})
    assert (status, body) == (200, packed.index)
    assert headers["Content-Length"] == str(len(body))
    status, _, body = repository.respond("coredns-1.45.0.tgz", {})
    assert (status, body) == (200, packed.find("coredns", "1.45.0").archive)


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
def test_what_is_known_already_is_not_sent_again(repository, header):
    _, known, _ = repository.respond("/index.yaml", {})
    question = {"ETag": "if-none-match", "Last-Modified": "If-Modified-Since"}[header]
    status, headers, body = repository.respond("/index.yaml", {question: known[header]})
    assert (status, body) == (304, b"")
    assert headers["ETag"] == known["ETag"]


@pytest.mark.parametrize(
    "headers",
    [
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"},
        {"If-Modified-Since": "some day"},
        {"If-None-Match": '"other"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
)
def test_what_is_not_known_is_sent(repository, headers):
    assert repository.respond("/index.yaml", headers)[0] == 200


@pytest.mark.parametrize("path", ["/", "", "/nothing.tgz", "/../../etc/passwd", "/coredns/Chart.yaml"])
def test_anything_else_is_not_there(repository, path):
    status, _, body = repository.respond(path, {})
    assert status == 404
    assert b"index.yaml" in body


def test_a_version_or_folder_that_is_missing_is_named(packed, tmp_path):
    with pytest.raises(ChartsMissing, match=r"coredns 9\.9\.9"):
        packed.find("coredns", "9.9.9")
    with pytest.raises(ChartsMissing, match=r"versions\.yaml"):
        pack(tmp_path)
