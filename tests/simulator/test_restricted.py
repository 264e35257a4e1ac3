"""kubectl and Helm as somebody who may do everything in one namespace and nothing elsewhere, or only read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addonry.simulator import SimulatedCluster, Simulator
from tests.simulator.conftest import Helm, Kubectl
from tests.simulator.manifests import write_chart
from tests.support.kubectl import find_kubectl, why_not_kubectl

pytestmark = pytest.mark.slow

GROUP = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def team() -> Iterator[tuple[SimulatedCluster, dict[str, str]]]:
    """A cluster with a namespace `team`, and the kubeconfigs of who may `edit` there or `view`."""
    with Simulator(clusters=1, tls=True, speed=20.0) as simulator:
        cluster = simulator.cluster("sim-1")

        def write(kind: str, api_version: str, name: str, namespace: str = "", **parts: Any) -> None:
            metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
            obj = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}
            simulator.call(lambda: cluster.write(obj, manager="test", applied=False))

        write("Namespace", "v1", "team")
        for who, role in (("ed", "edit"), ("vi", "view")):
            subject = {"kind": "User", "name": who, "apiGroup": GROUP}
            reference = {"kind": "ClusterRole", "name": role, "apiGroup": GROUP}
            write("RoleBinding", f"{GROUP}/v1", who, "team", subjects=[subject], roleRef=reference)
        yield cluster, {who: cluster.user(who).kubeconfig for who in ("ed", "vi")}


def kubectl_of(team: tuple[SimulatedCluster, dict[str, str]], who: str, home: Path) -> Kubectl:
    if reason := why_not_kubectl():
        pytest.skip(reason)
    path = find_kubectl()
    assert path is not None
    cluster, configs = team
    return Kubectl(cluster, home, path, configs[who])


def test_helm_works_where_its_user_may_and_is_refused_elsewhere(team, tmp_path):
    cluster, configs = team
    chart, helm = write_chart(tmp_path), Helm(cluster, tmp_path, configs["ed"])
    assert helm("install", chart=chart, name="web", namespace="team")["status"] == "deployed"
    values = {"image": "registry.example/app:2.0"}
    assert helm("upgrade", chart=chart, name="web", namespace="team", values=values)["revision"] == 2
    assert [release["name"] for release in helm("list", namespace="team")] == ["web"]
    for method, arguments in (("install", {"chart": chart, "name": "web"}), ("list", {})):
        refused = helm.try_(method, namespace="default", **arguments)
        assert not refused["ok"]
        assert 'User "ed" cannot' in refused["message"]
        assert 'in the namespace "default"' in refused["message"]


def test_who_may_only_read_installs_nothing(team, tmp_path):
    cluster, configs = team
    helm = Helm(cluster, tmp_path, configs["vi"])
    refused = helm.try_("install", chart=write_chart(tmp_path), name="other", namespace="team")
    assert not refused["ok"]
    assert 'User "vi" cannot' in refused["message"]


def test_kubectl_says_what_its_user_may(team, tmp_path):
    kubectl = kubectl_of(team, "ed", tmp_path)
    assert kubectl("auth", "can-i", "create", "deployments", "-n", "team").strip() == "yes"
    assert "no" in kubectl("auth", "can-i", "create", "deployments", "-n", "default", fails=True)
    listed = kubectl("auth", "can-i", "--list", "-n", "team")
    assert "deployments.apps" in listed
    who = json.loads(kubectl("auth", "whoami", "-o", "json"))
    assert who["status"]["userInfo"]["username"] == "ed"


def test_kubectl_is_refused_in_the_words_of_a_cluster(team, tmp_path):
    kubectl = kubectl_of(team, "vi", tmp_path)
    assert "No resources found" in kubectl("get", "configmaps", "-n", "team", "-l", "none=there")
    said = kubectl("create", "configmap", "x", "-n", "team", fails=True)
    assert 'configmaps is forbidden: User "vi" cannot create resource "configmaps"' in said
    assert 'cannot get resource "secrets"' in kubectl("get", "secret", "x", "-n", "team", fails=True)
    assert 'cannot list resource "nodes" in API group "" at the cluster scope' in kubectl("get", "nodes", fails=True)
