"""The populations that clusters start with: whole, at rest, and known to Helm."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from addonry.simulator import Simulator, populations
from addonry.simulator.populations.documents import Population
from addonry.simulator.storage import Object
from addonry.simulator.versions import NEWEST, OLDEST, minor_of
from tests.simulator.conftest import Client, Helm

NAMES = populations.names()
SUFFIX = {"eks": "-eks-", "k3s": "+k3s", "rke2": "+rke2r", "ack": "-aliyun."}


@pytest.fixture(scope="module")
def templates() -> Iterator[Simulator]:
    with Simulator(clusters=0) as running:
        yield running


def objects(snapshot: Mapping[str, Any], *plurals: str) -> list[Object]:
    records = [r for bucket in snapshot["buckets"].values() for r in bucket.values()]
    return [record.decode() for record in records if record.key.resource.plural in plurals]


def test_there_are_those_that_the_documentation_names() -> None:
    assert set(NAMES) >= {"ack", "bare", "eks", "k3s", "kubeadm", "platform", "rke2"}
    with pytest.raises(KeyError, match="there are ack"):
        populations.read("gke")


@pytest.mark.parametrize("minor", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", NAMES)
def test_a_population_is_at_rest_at_every_version(templates: Simulator, name: str, minor: int) -> None:
    """A copy of a cluster with a rollout under way would be busy with it a thousand times over."""
    snapshot = templates.template(name, f"1.{minor}")
    assert snapshot["settled"]
    assert minor_of(snapshot["kubernetes_version"]) == minor
    assert SUFFIX.get(name, "") in snapshot["kubernetes_version"]
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in objects(snapshot, "nodes")} == {
        snapshot["kubernetes_version"]
    }
    for workload in objects(snapshot, "deployments", "statefulsets"):
        assert workload["status"]["readyReplicas"] == workload["spec"]["replicas"], workload["metadata"]["name"]
    for workload in objects(snapshot, "daemonsets"):
        status = workload["status"]
        assert 0 < status["numberReady"] == status["desiredNumberScheduled"], workload["metadata"]["name"]
    for service in objects(snapshot, "apiservices"):
        assert service["status"]["conditions"][0]["status"] == "True"
    assert not [pod for pod in objects(snapshot, "pods") if pod["status"]["phase"] != "Running"]
    assert not objects(snapshot, "events")


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"bare"}))
def test_no_word_is_left_standing_in_an_image(templates: Simulator, name: str) -> None:
    for workload in objects(templates.template(name, "1.32"), "deployments", "daemonsets", "statefulsets"):
        for container in workload["spec"]["template"]["spec"]["containers"]:
            assert "${" not in container["image"]
            assert container["image"].rpartition(":")[2]


def test_the_dns_that_a_distribution_brings_follows_its_version(templates: Simulator) -> None:
    def image(minor: str) -> str:
        found = objects(templates.template("kubeadm", minor), "deployments")
        [dns] = [each for each in found if each["metadata"]["name"] == "coredns"]
        return str(dns["spec"]["template"]["spec"]["containers"][0]["image"])

    assert image("1.28").endswith(":v1.10.1")
    assert image("1.32").endswith(":v1.11.3")


def test_copies_share_the_bytes_and_are_clusters_of_their_own(templates: Simulator) -> None:
    snapshot = templates.template("k3s", "1.33")
    one, two = (Client(templates.add(name, snapshot=snapshot)) for name in ("copy-1", "copy-2"))
    path = "/apis/apps/v1/namespaces/kube-system/deployments/traefik"
    uids = [client.get("/api/v1/namespaces/kube-system")["metadata"]["uid"] for client in (one, two)]
    assert uids[0] != uids[1]
    one.merge(path, {"metadata": {"labels": {"touched": "yes"}}})
    assert "touched" not in two.get(path)["metadata"]["labels"]
    assert one.get("/version")["gitVersion"].endswith("+k3s1")
    assert [each["metadata"]["name"] for each in one.get("/apis/helm.cattle.io/v1/helmcharts")["items"]] == [
        "traefik",
        "traefik-crd",
    ]


def test_two_owners_of_one_object_have_both_left_their_marks(templates: Simulator) -> None:
    found = objects(templates.template("platform", "1.32"), "deployments")
    [contested] = [each["metadata"] for each in found if each["metadata"]["name"] == "external-dns"]
    assert {"argocd.argoproj.io/tracking-id", "meta.helm.sh/release-name"} <= contested["annotations"].keys()
    assert {"argocd-controller", "helm"} <= {entry["manager"] for entry in contested["managedFields"]}


def test_a_record_is_packed_as_helm_packs_it(templates: Simulator) -> None:
    secrets = objects(templates.template("platform", "1.32"), "secrets")
    [secret] = [each for each in secrets if each["metadata"]["name"] == "sh.helm.release.v1.ingress-nginx.v4"]
    assert secret["type"] == "helm.sh/release.v1"
    assert secret["metadata"]["labels"]["status"] == "deployed"
    record = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    assert (record["name"], record["version"], record["info"]["status"]) == ("ingress-nginx", 4, "deployed")
    assert record["chart"]["metadata"]["version"] == "4.11.3"
    assert "# Source: ingress-nginx/templates/" in record["manifest"]
    assert "meta.helm.sh" not in record["manifest"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"sources": []}, "description"),
        ({"description": "", "sources": [], "node": []}, "node"),
        ({"description": "", "sources": [], "releases": [{"name": "x", "namespace": "y"}]}, "chart"),
    ],
)
def test_a_file_that_is_wrong_says_where(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Population("own", document)


def test_a_word_that_nobody_explains_is_refused() -> None:
    nodes = [{"name": "node-0", "system": "${flavour}"}]
    with pytest.raises(ValueError, match="flavour"):
        Population("own", {"description": "", "sources": [], "nodes": nodes}).at("v1.32.10")


@pytest.mark.slow
def test_helm_lists_the_releases_and_goes_on_from_them(templates: Simulator, tmp_path: Path) -> None:
    """The records are ours, not Helm's; only Helm can say whether it knows them for its own."""
    cluster = templates.add("platform", snapshot=templates.template("platform", "1.32"))
    helm = Helm(cluster, tmp_path)
    found = helm("list", all_namespaces=True, all_states=True)
    listed = {each["name"]: (each["chart_version"], each["status"]) for each in found}
    assert listed["cert-manager"] == ("v1.15.3", "deployed")
    assert listed["ingress-nginx"] == ("4.11.3", "deployed")
    assert listed["kyverno"] == ("3.2.7", "pending-upgrade")
    assert len(listed) == 16
    helm("rollback", namespace="kyverno", name="kyverno", version=1)
    helm("rollback", namespace="ingress-nginx", name="ingress-nginx", version=3)
    records = Client(cluster).get("/api/v1/secrets?labelSelector=owner=helm,status=deployed")["items"]
    newest = {each["metadata"]["labels"]["name"]: each["metadata"]["labels"]["version"] for each in records}
    assert (newest["kyverno"], newest["ingress-nginx"]) == ("3", "5")
