"""The calls of the Terraform provider and of ecctl in their order, request by request, judged as those judge them.

Neither runs here (they are Go programs); what they send and what they make of the answers is read from their sources
(ack-api 07). Requests are signed as Terraform signs: its ``x-acs-source-ip`` and ``x-acs-secure-transport`` are there, empty.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from addonry.gateway.signing import sign_request
from tests.scenario.test_first_upgrade import register
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NAME, OTHER = "metrics-server", "node-problem-detector"
OLD, NEW = "3.12.1", "3.13.0"
THIRD, THIRD_NEWEST = "ingress-nginx", "4.13.3"


class Gone(Exception):
    """What the provider takes for "is not there"."""


class ServerError(Exception):
    """Any other error, which ends an apply."""


@dataclass
class Go:
    """The Go SDK as the provider uses it."""

    host: str
    key: tuple[str, str]

    def call(self, method: str, path: str, *, query: dict[str, str] | None = None, body: Any = None) -> Any:
        """The decoded answer. Raises Gone, ServerError."""
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        target = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {
            "host": self.host,
            "accept": "application/json",
            "user-agent": "AlibabaCloud (linux; amd64) Golang/1.24 Core/0.01 TeaDSL/1 Terraform/1.9 Provider/1.289",
            "x-acs-source-ip": "",
            "x-acs-secure-transport": "",
            "x-acs-credentials-provider": "static_ak",
            **({"content-type": "application/json; charset=utf-8"} if content else {}),
        }
        signed = sign_request(
            method,
            target,
            headers,
            content,
            key_id=self.key[0],
            secret=self.key[1],
            now=datetime.now(UTC),
            nonce=uuid4().hex,
        )
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, target, body=content or None, headers=signed)
            response = connection.getresponse()
            told = json.loads(response.read())
        finally:
            connection.close()
        if response.status >= 400:
            assert isinstance(told, dict)
            # An empty code would match every code that is expected.
            assert told["code"]
            assert told["Code"] == told["code"]
            assert response.status < 500, "repeated for five minutes"
            raised = Gone if response.status == 404 or "NotFound" in told["message"] else ServerError
            raise raised(told["code"], told["message"])
        return told

    def tasks_end(self, task_id: str, *, bad: tuple[str, ...] = ("fail", "failed")) -> dict[str, Any]:
        """DescribeTaskInfo until success; a 404 means "not yet"."""

        def look() -> dict[str, Any] | None:
            try:
                task = self.call("GET", f"/tasks/{task_id}")
            except Gone:
                return None
            assert task["state"] not in bad, task["error"]
            return task if task["state"] == "success" else None

        return until(look, seconds=60, what=f"{task_id} to end")


@pytest.fixture
def go(service) -> Go:
    return Go(service.host, service.root_key)


@pytest.fixture
def cluster_id(client, cluster, install) -> str:
    """A registered cluster on which somebody installed an old version."""
    install(NAME, OLD)
    return register(client, cluster.kubeconfig(), cluster.name)


def is_subset(local: Any, remote: Any) -> bool:
    """The provider's comparison of configurations: only what is in the local one counts."""
    if isinstance(local, dict):
        return isinstance(remote, dict) and all(key in remote and is_subset(local[key], remote[key]) for key in local)
    return bool(local == remote)


class Terraform:
    """The resource alicloud_cs_kubernetes_addon of 1.289."""

    def __init__(self, go: Go, cluster: str, name: str) -> None:
        self.go, self.cluster, self.name = go, cluster, name

    def read(self) -> dict[str, Any] | None:
        """The instance with what is known of its version; None removes the resource from the state."""
        try:
            instance = self.go.call("GET", f"/clusters/{self.cluster}/addon_instances/{self.name}")
        except Gone:
            return None
        query = {"cluster_id": self.cluster, "version": instance["version"]}
        try:
            addon = self.go.call("GET", f"/addons/{self.name}", query=query)
        except Gone:
            addon = self.go.call("GET", f"/addons/{self.name}", query={**query, "version": ""})
        # None of these may be null: the provider dereferences them.
        assert all(isinstance(addon[each], str) for each in ("name", "version", "config_schema"))
        assert isinstance(addon["supported_actions"], list)
        upgradable = [each["version"] for each in addon["newer_versions"] if each["upgradable"]]
        return {
            "version": instance["version"],
            "state": instance["state"],
            "config": json.loads(instance["config"]),
            "required": addon["install_by_default"],
            "next_version": upgradable[0] if upgradable else "",
        }

    def create(self, version: str = "", config: dict[str, Any] | None = None) -> dict[str, Any]:
        """Found: updated. Else installed, with the version sent even when it is empty."""
        if self.read() is not None:
            return self.update(version, config)
        body = [{"name": self.name, "version": version, **({"config": json.dumps(config)} if config else {})}]
        answer = self.go.call("POST", f"/clusters/{self.cluster}/components/install", body=body)
        assert answer["task_id"], "the apply fails without one"
        self.go.tasks_end(answer["task_id"])
        found = self.read()
        assert found is not None
        return found

    def update(self, version: str = "", config: dict[str, Any] | None = None) -> dict[str, Any]:
        """Another version is upgraded to, other values alone are modified."""
        instance = self.go.call("GET", f"/clusters/{self.cluster}/addon_instances/{self.name}")
        changed = config is not None and not is_subset(config, json.loads(instance["config"]))
        if version and version != instance["version"]:
            item = {"component_name": self.name, "next_version": version, "policy": "overwrite"}
            if changed:
                item["config"] = json.dumps(config)
            answer = self.go.call("POST", f"/clusters/{self.cluster}/components/upgrade", body=[item])
            assert answer["task_id"]
            self.go.tasks_end(answer["task_id"])
        elif changed:
            body = {"config": json.dumps(config)}
            self.go.call("POST", f"/clusters/{self.cluster}/components/{self.name}/config", body=body)
            # A first poll that still saw the Success of before would end the wait at once.
            assert self.status()["tasks"]["status"] in {"Running", "Upgrading"}
            until(lambda: self._waited(), seconds=60, what="Success")
        found = self.read()
        assert found is not None
        return found

    def _waited(self) -> bool:
        status = self.status()["tasks"]["status"]
        assert status != "Failed"
        return bool(status == "Success")

    def status(self) -> dict[str, Any]:
        """DescribeClusterAddonsUpgradeStatus; a missing member or another type crashes the provider."""
        query = {"componentIds": json.dumps([self.name], separators=(",", ":"))}
        told = self.go.call("GET", f"/clusters/{self.cluster}/components/upgradestatus", query=query)[self.name]
        assert isinstance(told["can_upgrade"], bool)
        assert isinstance(told["addon_info"]["version"], str)
        assert isinstance(told["tasks"]["status"], str)
        return told


def settled(resource: Terraform) -> None:
    until(lambda: resource.status()["addon_info"]["ready_to_upgrade"] == "true", seconds=30, what="it to settle")


@pytest.mark.uninstalls(THIRD)
def test_a_terraform_resource_is_created_changed_and_destroyed(go, cluster_id):
    resource = Terraform(go, cluster_id, THIRD)
    assert resource.read() is None
    ours, theirs = ({"controller": {"podAnnotations": {"by": each}}} for each in ("terraform", "somebody"))
    created = resource.create(config=ours)
    assert (created["state"], created["config"]) == ("active", ours)
    # Without a version the newest that fits came.
    assert (created["version"], created["next_version"]) == (THIRD_NEWEST, "")
    again = resource.create(created["version"], ours)
    assert again == created, "an apply without changes changes nothing"
    settled(resource)
    assert resource.update(config=theirs)["config"] == theirs
    # Destroy: the provider of today forgets; older ones uninstall and wait for the instance to be gone.
    settled(resource)
    body = [{"name": THIRD, "cleanup_cloud_resources": False}]
    answer = go.call("POST", f"/clusters/{cluster_id}/components/uninstall", body=body)
    go.tasks_end(answer["task_id"])
    assert resource.read() is None
    with pytest.raises(Gone):
        go.call("POST", f"/clusters/{cluster_id}/components/uninstall", body=body)


def test_a_terraform_resource_is_imported_and_upgraded_with_its_values(go, cluster_id):
    resource = Terraform(go, cluster_id, NAME)
    settled(resource)
    imported = resource.read()
    assert imported is not None
    assert (imported["version"], imported["next_version"], imported["required"]) == (OLD, NEW, True)
    upgraded = resource.update(NEW, {"podAnnotations": {"told": "once"}})
    assert (upgraded["version"], upgraded["next_version"]) == (NEW, "")
    assert upgraded["config"] == {"podAnnotations": {"told": "once"}}
    settled(resource)
    with pytest.raises(ServerError) as refused:
        resource.update(OLD)
    assert refused.value.args[0] == "BadRequest"
    assert (resource.read() or {})["version"] == NEW


def test_the_data_sources_of_terraform(go, cluster_id):
    listed = go.call("GET", "/addons", query={"cluster_id": cluster_id})["addons"]
    assert isinstance(listed, list)
    installed = set()
    for addon in listed:
        found = Terraform(go, cluster_id, addon["name"]).read()
        if found is not None:
            installed.add(addon["name"])
    assert installed == {NAME}
    for version in ("", OLD, NEW):
        described = go.call("GET", f"/addons/{NAME}", query={"cluster_id": cluster_id, "version": version})
        assert isinstance(json.loads(described["config_schema"] or "{}"), dict)
    with pytest.raises(Gone):
        go.call("GET", f"/addons/{NAME}", query={"cluster_id": cluster_id, "version": "9.9.9"})


def test_older_releases_of_the_provider(go, cluster_id):
    """1.150 to 1.219 read the two maps; 1.220 to 1.272 the instance of the classic family, and the maps."""
    versions = go.call("GET", f"/clusters/{cluster_id}/components/version")
    statuses = go.call(
        "GET",
        f"/clusters/{cluster_id}/components/upgradestatus",
        query={"componentIds": json.dumps(list(versions))},
    )
    assert statuses.keys() == versions.keys()
    for name, version in versions.items():
        status = statuses[name]
        assert status["addon_info"]["version"] == version["version"]
        assert isinstance(version["required"], bool)
        assert isinstance(version["can_upgrade"], bool)
        assert isinstance(version["supported_actions"], list)
        assert status["tasks"]["status"] in {"Success", "NoUpgrade"}
    assert (versions[NAME]["version"], versions[NAME]["next_version"]) == (OLD, NEW)
    assert versions[OTHER]["version"] == ""
    instance = go.call("GET", f"/clusters/{cluster_id}/components/{NAME}/instance")
    assert (instance["state"], json.loads(instance["config"])) == ("active", {})
    with pytest.raises(Gone) as gone:
        go.call("GET", f"/clusters/{cluster_id}/components/{OTHER}/instance")
    assert gone.value.args[0] == "AddonNotFound"
    metadata = go.call("GET", f"/clusters/{cluster_id}/components/{NAME}/metadata", query={"version": NEW})
    assert metadata["version"] == NEW


def test_what_terraform_asks_of_clusters(go, cluster_id):
    detail = go.call("GET", f"/clusters/{cluster_id}")
    assert (detail["state"], detail["cluster_type"]) == ("running", "ExternalKubernetes")
    assert isinstance(json.loads(detail["master_url"]), dict)
    assert isinstance(json.loads(detail["meta_data"]), dict)
    config = go.call("GET", f"/k8s/{cluster_id}/user_config", query={"PrivateIpAddress": "false"})
    assert "apiVersion: v1" in config["config"]
    with pytest.raises(Gone) as gone:
        go.call("GET", f"/clusters/c{'0' * 32}")
    assert gone.value.args[0] == "ErrorClusterNotFound"
    with pytest.raises(ServerError) as refused:
        go.call("POST", "/clusters", body={"name": "x", "cluster_type": "ManagedKubernetes", "region_id": "cn-beijing"})
    assert refused.value.args[0] == "InvalidParameter"


# ecctl


class Ecctl:
    """``ecctl ack addon|task|check|event``."""

    def __init__(self, go: Go, cluster: str) -> None:
        self.go, self.cluster = go, cluster

    def ends_well(self, task_id: str) -> None:
        """The task succeeds, and the cluster is running again."""
        self.go.tasks_end(task_id)
        until(
            lambda: self.go.call("GET", f"/clusters/{self.cluster}")["state"] == "running",
            seconds=10,
            what="the cluster to run",
        )

    def becomes(self, task_id: str, state: str) -> None:
        path = f"/tasks/{task_id}"
        query = {"cluster_id": self.cluster}
        until(lambda: self.go.call("GET", path, query=query)["state"] == state, seconds=60, what=state)

    @contextmanager
    def new_task(self) -> Iterator[list[str]]:
        """ModifyClusterAddon names no task: the one that is new on the first page of 20 is it."""
        path = f"/clusters/{self.cluster}/tasks"
        query = {"task_type": "cluster_addon_modify", "page_size": "20", "page_number": "1"}

        def ids() -> set[str]:
            return {each["task_id"] for each in self.go.call("GET", path, query=query)["tasks"]}

        known, found = ids(), []
        yield found
        found += sorted(until(lambda: ids() - known, seconds=10, what="a new task"))


@pytest.mark.uninstalls(OTHER)
def test_ecctl(go, cluster_id):
    ecctl = Ecctl(go, cluster_id)
    components = f"/clusters/{cluster_id}/components"
    instances = f"/clusters/{cluster_id}/addon_instances"
    # addon create
    created = go.call("POST", f"{components}/install", body=[{"name": OTHER, "version": "2.3.13"}])
    ecctl.ends_well(created["task_id"])
    assert go.call("GET", f"{instances}/{OTHER}")["state"] == "active"
    # addon update: the parameters are the whole body
    with ecctl.new_task() as found:
        assert go.call("POST", f"{components}/{OTHER}/config", body={"podAnnotations": {"by": "ecctl"}}) == {}
    assert len(found) == 1
    ecctl.ends_well(found[0])
    assert json.loads(go.call("GET", f"{instances}/{OTHER}")["config"]) == {"podAnnotations": {"by": "ecctl"}}
    # check create, addon upgrade with the canary policy, task pause, resume
    settled(Terraform(go, cluster_id, OTHER))
    body = {"type": "AddonUpgrade", "target": OTHER, "options": {"version": "2.3.14"}}
    check = go.call("POST", f"/clusters/{cluster_id}/checks", body=body)["check_id"]
    told = go.call("GET", f"/clusters/{cluster_id}/checks/{check}")
    assert told["status"] == "Succeeded"
    query = {"PageSize": "10", "PageNumber": "1", "type": "AddonUpgrade"}
    assert go.call("GET", f"/clusters/{cluster_id}/checks", query=query)["checks"][0]["check_id"] == check
    item = {"component_name": OTHER, "next_version": "2.3.14", "policy": "canary"}
    upgrading = go.call("POST", f"{components}/upgrade", body=[item])["task_id"]
    ecctl.becomes(upgrading, "paused")
    go.call("POST", f"/tasks/{upgrading}/resume")
    ecctl.ends_well(upgrading)
    settled(Terraform(go, cluster_id, NAME))
    item = {"component_name": NAME, "next_version": NEW, "policy": "canary"}
    canceled = go.call("POST", f"{components}/upgrade", body=[item])["task_id"]
    ecctl.becomes(canceled, "paused")
    go.call("POST", f"/tasks/{canceled}/cancel")
    ecctl.becomes(canceled, "canceled")
    with pytest.raises(ServerError):
        go.call("POST", f"/tasks/{upgrading}/cancel")
    # task list, event list, addon get --with-resources
    query = {"state": "canceled", "page_size": "100", "page_number": "1"}
    tasks = go.call("GET", f"/clusters/{cluster_id}/tasks", query=query)["tasks"]
    assert [each["task_id"] for each in tasks] == [canceled]
    events = go.call("GET", "/events", query={"cluster_id": cluster_id, "source": "cluster"})["events"]
    assert {each["cluster_id"] for each in events} == {cluster_id}
    assert go.call("GET", "/events", query={"source": "elsewhere"})["events"] == []
    assert go.call("GET", "/regions/local/events")["events"][0]["event_id"] == events[0]["event_id"]
    assert go.call("GET", f"{instances}/{OTHER}/resources")["helm_release"]["release_name"] == OTHER
    # addon delete
    settled(Terraform(go, cluster_id, OTHER))
    body = [{"name": OTHER, "cleanup_cloud_resources": True}]
    ecctl.ends_well(go.call("POST", f"{components}/uninstall", body=body)["task_id"])
    assert OTHER not in {each["name"] for each in go.call("GET", instances)["addons"]}
