"""Bad input at every door of the running service: a 4xx or a failed task, with code, sentence and remedy, and no harm."""

import base64
import functools
import gzip
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alibabacloud_cs20151215 import models
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.rooms.catalogs.sites import a_line, an_archive, an_index
from tests.scenario.test_first_upgrade import finished, images, ready, register, status_of
from tests.support.helm import helm
from tests.support.sdk import sdk
from tests.support.service import Service
from tests.support.waiting import until

pytestmark = pytest.mark.slow

HOSTILE = """
apiVersion: v1
kind: Config
current-context: x
contexts: [{name: x, context: {cluster: x, user: x}}]
clusters: [{name: x, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: x, user: {%s}}]
"""


@pytest.mark.parametrize(
    ("kubeconfig", "word"),
    [
        ("not a kubeconfig", "kubeconfig"),
        ("{" * 10_000, "kubeconfig"),
        ("a: &a [1]\nb: [*a, *a]", "kubeconfig"),
        (
            HOSTILE % "exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/touch, args: [/tmp/owned]}",
            "exec",
        ),
        (HOSTILE % "auth-provider: {name: gcp}", "auth-provider"),
        (HOSTILE % "tokenFile: /etc/passwd", "tokenFile"),
        (HOSTILE % "client-certificate: /etc/passwd, client-key: /etc/passwd", "client-certificate"),
    ],
)
def test_a_kubeconfig_that_is_none_or_reaches_for_this_machine_is_refused(client, kubeconfig, word):
    with pytest.raises(ClientException) as refused:
        register(client, kubeconfig)
    assert refused.value.status_code == 400
    assert refused.value.code
    assert word in refused.value.message
    assert client.describe_clusters_v1(models.DescribeClustersV1Request()).body.clusters == []


def test_names_that_nobody_knows_are_told_apart(client, cluster, install):
    install("metrics-server", "3.12.1")
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, "metrics-server")

    def code_of(cluster: str, name: str, version: str) -> tuple[int, str]:
        wanted = models.UpgradeClusterAddonsRequestBody(component_name=name, next_version=version)
        with pytest.raises(ClientException) as refused:
            client.upgrade_cluster_addons(cluster, models.UpgradeClusterAddonsRequest(body=[wanted]))
        return refused.value.status_code, refused.value.code

    assert code_of("c" + "0" * 32, "metrics-server", "3.13.0") == (404, "ErrorClusterNotFound")
    assert code_of(cluster_id, "nonsense", "1") == (404, "AddonNotFound")
    assert code_of(cluster_id, "coredns", "1.45.0") == (404, "AddonNotFound")
    assert code_of(cluster_id, "metrics-server", "99.0.0") == (404, "AddonNotFound")
    assert code_of(cluster_id, "metrics-server", "3.11.0") == (400, "BadRequest")
    tasks = client.describe_cluster_tasks(cluster_id, models.DescribeClusterTasksRequest()).body.tasks
    assert [task.task_type for task in tasks] == ["cluster_create"], "nothing was begun"


def bomb() -> bytes:
    """A chart whose archive unpacks to four gigabytes, and is refused long before that."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        chart = b"apiVersion: v2\nname: coredns\nversion: 1.45.0\n"
        first = tarfile.TarInfo("coredns/Chart.yaml")
        first.size = len(chart)
        tar.addfile(first, io.BytesIO(chart))
    huge = tarfile.TarInfo("coredns/huge")
    huge.size = 4 * 2**30
    packer = io.BytesIO()
    with gzip.GzipFile(fileobj=packer, mode="wb", compresslevel=1) as packed:
        packed.write(plain.getvalue().rstrip(b"\0") + b"\0" * (-len(plain.getvalue().rstrip(b"\0")) % 512))
        packed.write(huge.tobuf())
        for _ in range(128):
            packed.write(bytes(2**20))
    return packer.getvalue()


ESCAPE = an_archive(files={}, members=[(tarfile.TarInfo("../../escaped"), b"owned")])
LINK = tarfile.TarInfo("coredns/link")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/etc/passwd"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder served as a chart repository."""
    folder = tmp_path / "repository"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def writes(cluster) -> list[str]:
    """What the cluster was asked to change; an access review is a question, though it is posted."""
    asked = (each for each in cluster.requests if each.method not in {"GET", "HEAD"})
    return [f"{each.method} {each.path}" for each in asked if not each.path.endswith("accessreviews")]


@pytest.mark.parametrize("archive", [bomb(), ESCAPE, an_archive(members=[(LINK, b"")]), b"no archive"])
def test_a_hostile_archive_fails_its_task_and_touches_nothing(tmp_path, cluster, install, repository, archive):
    install("coredns", "1.43.0")
    folder, url = repository
    (folder / "coredns-1.45.0.tgz").write_bytes(archive)
    (folder / "index.yaml").write_bytes(an_index(a_line("1.45.0", archive)))
    cluster.forget_requests()
    with Service(tmp_path / "data", {"ADDONRY_CHART_MIRROR": url}) as service:
        client = sdk(service.host, service.root_key)
        cluster_id = register(client, cluster.kubeconfig())
        ready(client, cluster_id, "coredns")
        wanted = models.UpgradeClusterAddonsRequestBody(component_name="coredns", next_version="1.45.0")
        client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted]))
        after = finished(client, cluster_id, "coredns")

        assert after["tasks"]["status"] == "Failed"
        assert after["tasks"]["error"]["code"]
        assert after["addon_info"]["version"] == "1.43.0"
        assert not list(tmp_path.rglob("escaped"))
    assert writes(cluster) == [], "the cluster was only read"
    assert [each["revision"] for each in helm(cluster.kubeconfig(), "history", "coredns")] == [1]


@pytest.mark.parametrize("index", [b"<html>moved</html>", b"\0\1\2", b"entries: [", None])
def test_a_repository_that_serves_rubbish_or_nothing_blocks_no_read(tmp_path, cluster, install, repository, index):
    """What runs is told all the same; what could run is told to be unknown, and why."""
    install("coredns", "1.43.0")
    folder, url = repository
    if index is not None:
        (folder / "index.yaml").write_bytes(index)
    with Service(tmp_path / "data", {"ADDONRY_CHART_MIRROR": url}) as service:
        client = sdk(service.host, service.root_key)
        cluster_id = register(client, cluster.kubeconfig())
        told = status_of(client, cluster_id, "coredns")
        assert told["addon_info"]["version"] == "1.43.0"
        assert told["can_upgrade"] is False
        wanted = models.UpgradeClusterAddonsRequestBody(component_name="coredns", next_version="1.45.0")
        with pytest.raises(ClientException) as refused:
            client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted]))
        assert (refused.value.status_code, refused.value.code) == (404, "AddonNotFound")


def test_a_repository_that_dies_leaves_what_was_known(tmp_path, cluster, install, repository):
    """Known versions stay on offer, across a restart as well; a chart that cannot be fetched fails its task."""
    install("coredns", "1.43.0")
    folder, url = repository
    (folder / "index.yaml").write_bytes(an_index(a_line("1.45.0", b"x")))
    with Service(tmp_path / "data", {"ADDONRY_CHART_MIRROR": url}) as service:
        client = sdk(service.host, service.root_key)
        cluster_id = register(client, cluster.kubeconfig())
        ready(client, cluster_id, "coredns")
        (folder / "index.yaml").unlink()
        service.kill()
        service.start()
        client = sdk(service.host, service.root_key)
        until(lambda: status_of(client, cluster_id, "coredns")["can_upgrade"], what="the offer to be known again")
        wanted = models.UpgradeClusterAddonsRequestBody(component_name="coredns", next_version="1.45.0")
        client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted]))
        after = finished(client, cluster_id, "coredns")
    assert (after["tasks"]["status"], after["addon_info"]["version"]) == ("Failed", "1.43.0")
    assert images(cluster, "/apis/apps/v1/namespaces/kube-system/deployments/coredns")


def test_values_that_the_chart_refuses_fail_before_anything_is_written(client, cluster, install):
    """The reason names the place and the wanted type, and never the value: it may be a secret."""
    install("metrics-server", "3.12.1")
    cluster_id = register(client, cluster.kubeconfig())
    ready(client, cluster_id, "metrics-server")
    cluster.forget_requests()
    wanted = models.UpgradeClusterAddonsRequestBody(
        component_name="metrics-server", next_version="3.13.0", config='{"replicas": "hunter2"}'
    )
    client.upgrade_cluster_addons(cluster_id, models.UpgradeClusterAddonsRequest(body=[wanted]))
    after = finished(client, cluster_id, "metrics-server")
    assert after["tasks"]["status"] == "Failed"
    assert "replicas must be of type integer" in after["tasks"]["message"]
    assert "hunter2" not in str(after)
    assert writes(cluster) == []


def test_a_kubeconfig_may_come_as_base64_or_text_and_is_never_given_back(service: Service, client, cluster):
    """The stored secret stays where it is."""
    cluster_id = register(client, cluster.kubeconfig())
    answers = [
        str(client.describe_cluster_detail(cluster_id).body.to_map()),
        str(client.describe_clusters_v1(models.DescribeClustersV1Request()).body.to_map()),
    ]
    secret = base64.b64encode(cluster.token.encode()).decode()
    for text in (*answers, service.log(), (service.data / "addonry.sqlite").read_bytes().decode("latin-1")):
        assert cluster.token not in text
        assert secret not in text
