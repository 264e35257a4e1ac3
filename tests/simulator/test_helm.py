"""Helm 4 itself works on simulated clusters, and they do to it what a real one does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from addonry.simulator import Simulator, SteppedClock
from tests.simulator.conftest import Client, Helm, wait_until
from tests.simulator.manifests import write_big_chart, write_chart

pytestmark = pytest.mark.slow

DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
WAIT = {"wait": "watcher", "timeout": 30}


def image_of(client):
    return client.get(DEPLOYMENT)["spec"]["template"]["spec"]["containers"][0]["image"]


def test_a_release_lives_from_install_to_uninstall(helm, client, tmp_path):
    """The whole life of an add-on, waiting for each rollout the way Helm 4 does by default."""
    chart = write_chart(tmp_path)
    installed = helm("install", chart=chart, name="web", **WAIT)
    assert installed["status"] == "deployed"
    assert client.get(DEPLOYMENT)["status"]["availableReplicas"] == 2

    helm("upgrade", chart=chart, name="web", values={"image": "registry.example/app:2.0", "account": False}, **WAIT)
    assert image_of(client) == "registry.example/app:2.0"
    assert client("GET", "/api/v1/namespaces/default/serviceaccounts/web").status == 404

    helm("rollback", name="web", version=1, **WAIT)
    assert image_of(client) == "registry.example/app:1.0"
    assert [entry["revision"] for entry in helm("history", name="web")] == [1, 2, 3]
    listed = helm("list")
    assert [(release["name"], release["revision"]) for release in listed] == [("web", 3)]

    helm("uninstall", name="web", **WAIT)
    assert client("GET", DEPLOYMENT).status == 404
    assert client.get("/api/v1/namespaces/default/secrets")["items"] == []


def test_helm_owns_the_fields_it_applies_under_its_own_name(helm, client, tmp_path):
    helm("install", chart=write_chart(tmp_path), name="web")
    managers = client.get(DEPLOYMENT)["metadata"]["managedFields"]
    assert [(m["manager"], m["operation"]) for m in managers] == [("helm", "Apply")]


def test_an_upgrade_to_an_image_that_cannot_be_pulled_fails_and_is_rolled_back(helm, client, cluster, tmp_path):
    """Nothing that was there before is ever deleted on the way, which is Addonry's promise as well."""
    chart = write_chart(tmp_path)
    helm("install", chart=chart, name="web", **WAIT)
    cluster.forget_requests()
    outcome = helm.try_(
        "upgrade",
        chart=chart,
        name="web",
        values={"image": "registry.example/bad:2"},
        wait="watcher",
        timeout=2,
        rollback_on_failure=True,
    )
    assert not outcome["ok"]
    assert image_of(client) == "registry.example/app:1.0"
    assert [entry["status"] for entry in helm("history", name="web")] == ["superseded", "failed", "deployed"]
    assert [r.path for r in cluster.requests if r.method == "DELETE"] == []


def test_a_foreign_change_makes_the_next_upgrade_conflict_by_manager_and_field(helm, client, tmp_path):
    chart = write_chart(tmp_path)
    helm("install", chart=chart, name="web", **WAIT)
    scaled = client(
        "PATCH",
        f"{DEPLOYMENT}/scale",
        {"spec": {"replicas": 5}},
        "application/merge-patch+json",
        User_Agent="kubectl/1",
    )
    assert scaled.status == 200
    outcome = helm.try_("upgrade", chart=chart, name="web", values={"replicas": 3})
    assert not outcome["ok"]
    assert 'conflict with "kubectl" with subresource "scale"' in outcome["message"]
    assert ".spec.replicas" in outcome["message"]


def test_a_chart_with_everything_installs_upgrades_and_leaves_its_definitions(helm, client, tmp_path):
    """crds/, a hook Job, a custom resource, cluster-wide objects, DaemonSet and StatefulSet."""
    chart = write_big_chart(tmp_path)
    helm("install", chart=chart, name="web", **WAIT)
    assert client.get("/apis/example.com/v1/namespaces/default/widgets/web")["spec"] == {"size": 3}
    assert client.get("/apis/apps/v1/namespaces/default/daemonsets/web-agent")["status"]["numberReady"] == 3
    assert client.get("/apis/apps/v1/namespaces/default/statefulsets/web-db")["status"]["readyReplicas"] == 2
    assert client.get("/apis/batch/v1/namespaces/default/jobs/web-hook")["status"]["succeeded"] == 1

    helm("upgrade", chart=chart, name="web", values={"image": "registry.example/app:2.0"}, **WAIT)
    status = client.get("/apis/apps/v1/namespaces/default/statefulsets/web-db")["status"]
    assert status["currentRevision"] == status["updateRevision"]

    helm("uninstall", name="web", **WAIT)
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"
    assert client.get(definition)["spec"]["group"] == "example.com"
    assert client.get("/apis/example.com/v1/namespaces/default/widgets")["items"] == []


def test_a_failing_hook_stops_the_upgrade_before_anything_changes(helm, client, tmp_path):
    chart = write_big_chart(tmp_path)
    helm("install", chart=chart, name="web", **WAIT)
    values = {"hook": "registry.example/crash:1", "image": "registry.example/app:2.0"}
    outcome = helm.try_("upgrade", chart=chart, name="web", values=values, **WAIT)
    assert not outcome["ok"]
    assert image_of(client) == "registry.example/app:1.0"


def test_helm_creates_a_namespace_and_refuses_a_missing_one(helm, client, tmp_path):
    chart = write_chart(tmp_path)
    refused = helm.try_("install", chart=chart, name="web", namespace="tools")
    assert "not found" in refused["message"]
    helm("install", chart=chart, name="web", namespace="tools", create_namespace=True)
    assert client.get("/api/v1/namespaces/tools")["status"]["phase"] == "Active"


def test_a_server_side_dry_run_changes_nothing(helm, client, tmp_path):
    helm("install", chart=write_chart(tmp_path), name="web", dry_run="server")
    assert client("GET", DEPLOYMENT).status == 404
    assert helm("list") == []


def test_the_older_way_of_waiting_works_as_well(helm, client, tmp_path):
    chart = write_chart(tmp_path)
    helm("install", chart=chart, name="web", wait="legacy", timeout=30)
    helm("upgrade", chart=chart, name="web", values={"image": "registry.example/app:2.0"}, wait="legacy", timeout=30)
    assert client.get(DEPLOYMENT)["status"]["availableReplicas"] == 2
    assert image_of(client) == "registry.example/app:2.0"


def test_an_install_waits_out_an_outage_of_the_server(tmp_path):
    """As on a real server: connections cut during the wait are no failure by themselves."""
    chart = write_chart(tmp_path)
    with Simulator(clusters=1, clock=SteppedClock()) as simulator:
        cluster = simulator.cluster("sim-1")
        client, helm = Client(cluster), Helm(cluster, tmp_path)
        with ThreadPoolExecutor(1) as pool:
            installing = pool.submit(helm, "install", chart=chart, name="web", **WAIT)
            client.wait(DEPLOYMENT, "the Deployment is there", lambda _: True)
            cluster.trouble.refuse()
            wait_until("Helm ran into the outage", lambda: any(r.status == 0 for r in cluster.requests))
            cluster.trouble.recover()
            simulator.advance(5)  # time stood still till now, so nothing was ready before the outage
            assert installing.result()["status"] == "deployed"
