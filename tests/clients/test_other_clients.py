"""The main story with the official Node SDK and with the older cores of Python and Node: register, list, install, upgrade,
poll, pause, resume, cancel, configure, uninstall, and errors as each client makes them out.
"""

import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.callers import HERE, Caller, LegacyPython, Node, Refused
from tests.scenario.test_first_upgrade import get
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

NAME, OTHER = "metrics-server", "node-problem-detector"
Opening = Callable[[str, tuple[str, str]], AbstractContextManager[Caller]]


@pytest.fixture(scope="session")
def node_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node clients, installed once; skipped where Node, npm or a package registry is missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT TESTED: the Node clients; there is no node or npm on this machine")
    place = tmp_path_factory.mktemp("node")
    shutil.copy(HERE / "node" / "package.json", place)
    flags = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    ended = subprocess.run(
        [npm, "install", *flags], cwd=place, capture_output=True, text=True, timeout=150, check=False
    )
    if ended.returncode:
        pytest.skip(f"NOT TESTED: the Node clients; npm cannot install them here: {ended.stderr.strip()[-300:]}")
    return place


@pytest.fixture(params=["aliyun-python-sdk-core", "@alicloud/cs20151215", "@alicloud/pop-core"])
def opening(request: pytest.FixtureRequest) -> Opening:
    """A client for a host and a key."""
    if request.param == "aliyun-python-sdk-core":
        return lambda host, key: contextlib.closing(LegacyPython(host, key))
    packages = request.getfixturevalue("node_packages")
    kind = "current" if request.param == "@alicloud/cs20151215" else "older"
    return lambda host, key: Node(kind, packages, host, key)


@pytest.fixture
def caller(opening, service) -> Iterator[Caller]:
    with opening(service.host, service.root_key) as opened:
        yield opened


def refusal(caller: Caller, operation: str, *segments: str, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        caller.call(operation, *segments, **more)
    return refused.value


@pytest.mark.uninstalls(OTHER)
def test_the_main_story(caller, cluster, install):
    install(NAME, "3.12.1", replicas=2)

    # Register and list.
    created = caller.call(
        "CreateCluster",
        body={
            "name": cluster.name,
            "region_id": "local",
            "cluster_type": "ExternalKubernetes",
            "user_data": base64.b64encode(cluster.kubeconfig().encode()).decode(),
        },
    )
    c = created["cluster_id"]

    def task(task_id: str, state: str) -> dict[str, Any]:
        def look():
            told = caller.call("DescribeTaskInfo", task_id)
            return told if told["state"] == state else None

        return until(look, seconds=60, what=f"{task_id} to be {state}")

    def status(name: str) -> dict[str, Any]:
        query = {"componentIds": json.dumps([name])}
        if isinstance(caller, Node) and caller.kind == "current":
            query = {"componentIds": [name]}
        return caller.call("DescribeClusterAddonsUpgradeStatus", c, query=query)[name]

    def ready(name: str) -> None:
        until(lambda: status(name)["addon_info"]["ready_to_upgrade"] == "true", seconds=30, what=f"{name} to be ready")

    task(created["task_id"], "success")
    ready(NAME)
    listed = caller.call("DescribeClustersV1", query={"name": cluster.name})
    assert [(each["cluster_id"], each["state"]) for each in listed["clusters"]] == [(c, "running")]
    before = status(NAME)
    assert (before["addon_info"]["version"], before["can_upgrade"]) == ("3.12.1", True)
    assert caller.call("DescribeClusterAddonsVersion", c)[NAME]["next_version"] == "3.13.0"

    # Install, configure, upgrade.
    installing = caller.call("InstallClusterAddons", c, body=[{"name": OTHER, "version": "2.3.13"}])
    task(installing["task_id"], "success")
    assert status(OTHER)["addon_info"]["version"] == "2.3.13"
    caller.call("ModifyClusterAddon", c, NAME, body={"config": json.dumps({"podAnnotations": {"told": "b é*+ ~"}})})
    until(lambda: status(NAME)["tasks"]["status"] == "Success", seconds=60, what="the new values")
    deployment = get(cluster, f"/apis/apps/v1/namespaces/kube-system/deployments/{NAME}")
    assert deployment["spec"]["template"]["metadata"]["annotations"] == {"told": "b é*+ ~"}
    ready(NAME)
    wanted = {"component_name": NAME, "next_version": "3.13.0", "policy": "canary"}
    upgrading = caller.call("UpgradeClusterAddons", c, body=[wanted])["task_id"]
    task(upgrading, "paused")
    assert status(NAME)["tasks"]["status"] == "Paused"

    # Pause what is paused, resume it, cancel another.
    caller.call("PauseTask", upgrading)
    caller.call("ResumeComponentUpgrade", c, NAME)
    done = task(upgrading, "success")
    assert [(each["data"], each["status"]) for each in done["task_result"]] == [(NAME, "success")]
    assert status(NAME)["addon_info"]["version"] == "3.13.0"
    ready(OTHER)
    wanted = {"component_name": OTHER, "next_version": "2.3.14", "policy": "canary"}
    canceled = caller.call("UpgradeClusterAddons", c, body=[wanted])["task_id"]
    task(canceled, "paused")
    caller.call("CancelTask", canceled)
    task(canceled, "canceled")
    assert (status(OTHER)["addon_info"]["version"], status(OTHER)["tasks"]["is_canceled"]) == ("2.3.13", True)

    # Uninstall.
    ready(OTHER)
    removing = caller.call("UnInstallClusterAddons", c, body=[{"name": OTHER}])
    task(removing["task_id"], "success")
    assert status(OTHER)["addon_info"]["version"] == ""

    # Errors.
    for operation, segments, code, http in [
        ("DescribeClusterDetail", ("c" + "0" * 32,), "ErrorClusterNotFound", 404),
        ("DescribeClusterAddonUpgradeStatus", (c, "unheard-of"), "AddonNotFound", 404),
        ("PauseComponentUpgrade", (c, NAME), "BadRequest", 400),
    ]:
        error = refusal(caller, operation, *segments)
        assert (error.code, error.status) == (code, http), str(error)
        assert len(error.request_id) == 36, str(error)
    busy = refusal(caller, "InstallClusterAddons", c, body=[{"name": NAME}])
    assert (busy.code, busy.status, "already installed" in busy.message) == ("BadRequest", 400, True)


def test_wrong_keys_and_missing_rights_are_made_out(opening, service, caller):
    key = service.root_key
    with opening(service.host, (key[0], "wrong")) as wrong:
        error = refusal(wrong, "DescribeRegions")
        assert (error.code, error.status) == ("SignatureDoesNotMatch", 400), str(error)
    with opening(service.host, ("ADDONRYNOBODY", "wrong")) as nobody:
        assert refusal(nobody, "DescribeRegions").code == "InvalidAccessKeyId.NotFound"
    anns = a_key_of(f"ann-{id(caller)}", service)
    with opening(service.host, anns) as ann:
        error = refusal(ann, "DescribeRegions")
        assert (error.code, error.status) == ("StatusForbidden", 403), str(error)
        assert "RAM policy Forbidden for action cs:DescribeRegions" in error.message
    assert caller.call("DescribeRegions")["regions"] == [{"regionId": "local", "localName": "local"}]


def a_key_of(user: str, service: Any) -> tuple[str, str]:
    """A key of a new user without any policy, made with our own command."""
    import subprocess
    import sys

    def addonry(*arguments: str) -> str:
        command = [sys.executable, "-m", "addonry", "--data", str(service.data), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout

    addonry("users", "create", user)
    made = json.loads(addonry("keys", "create", "laptop", "--user", user, "-o", "json"))
    return made["access_key_id"], made["access_key_secret"]
