"""The commands as their users run them: processes, simulated clusters, real Helm."""

import json
import re
import signal
import stat
from pathlib import Path

import pytest

from tests.support.commands import Command, stop
from tests.support.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Three populated clusters, the last for one test alone; what `addonry simulate` says of them."""
    folder = tmp_path_factory.mktemp("simulated")
    process = Command(folder).start("simulate", "--clusters", "3", "--out", str(folder / "out"), "-o", "json")
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(process.communicate(timeout=5)[1])
    yield json.loads(line)
    assert stop(process) == 0, "told to end, it ends well"


@pytest.fixture
def addonry(simulated, tmp_path):
    return Command(
        tmp_path,
        ADDONRY_DATA=str(tmp_path / "data"),
        ADDONRY_CHART_MIRROR=simulated["charts"],
        ADDONRY_STALL_SECONDS="3",
    )


def kubeconfig(simulated, number):
    return simulated["clusters"][number - 1]["kubeconfig"]


def test_kubeconfigs_are_written_for_their_owner_only(simulated):
    for each in simulated["clusters"]:
        assert stat.S_IMODE(Path(each["kubeconfig"]).stat().st_mode) == 0o600
    assert [each["name"] for each in simulated["clusters"]] == ["sim-1", "sim-2", "sim-3"]


def test_a_scan_finds_releases_and_plain_workloads_and_writes_nothing(simulated, addonry, tmp_path):
    found = addonry.json("scan", "--kubeconfig", kubeconfig(simulated, 2))
    told = {each["name"]: (each["source"], each["version"], each["target"]) for each in found["components"]}
    assert told == {
        "coredns": ("workload", "v1.12.0", "v1.13.1"),
        "ingress-nginx": ("helm", "4.12.1", "4.13.3"),
        "metrics-server": ("helm", "3.12.1", "3.13.0"),
        "node-problem-detector": ("helm", "2.3.14", "2.3.15"),
    }
    assert list(tmp_path.iterdir()) == []


def test_a_scan_for_another_kubernetes_chooses_what_fits_it(simulated, addonry):
    found = addonry.json("scan", "--kubeconfig", kubeconfig(simulated, 2), "--target", "1.38")
    assert {each["name"]: each["target"] for each in found["components"]}["coredns"] == "v1.14.0"


def test_a_scan_of_a_cluster_that_is_not_there_ends_1_in_one_line(addonry, tmp_path):
    file = tmp_path / "k"
    file.write_text(
        "current-context: x\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n"
        "clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: x, user: {token: hidden}}]\n"
    )
    complaint = addonry("scan", "--kubeconfig", str(file), status=1)
    assert complaint.count("\n") == 1
    assert "127.0.0.1:1" in complaint
    assert "hidden" not in complaint


def test_a_scan_that_is_refused_says_whose_credentials_to_check(simulated, addonry, tmp_path):
    wrong = tmp_path / "wrong.kubeconfig"
    text = Path(kubeconfig(simulated, 1)).read_text()
    wrong.write_text(re.sub(r"token: .*", "token: wrong", text))
    complaint = addonry("scan", "--kubeconfig", str(wrong), status=1)
    assert "does not accept the credentials" in complaint
    assert "Check the user of context sim-1" in complaint
    assert "Register" not in complaint, "nothing is registered here"


def test_without_a_service_commands_do_the_work_themselves(simulated, addonry):
    """Register, look, upgrade and wait, with nothing but commands: each opens the service within itself."""
    addonry("clusters", "add", "one", "--kubeconfig", kubeconfig(simulated, 1))
    ready = addonry.json("status", "one", "metrics-server")["metrics-server"]
    assert (ready["addon_info"]["version"], ready["can_upgrade"]) == ("3.12.1", True)
    assert "metrics-server 3.12.1 -> 3.13.0" in addonry("upgrade", "one", "metrics-server", "--wait")
    done = addonry.json("status", "one", "metrics-server")["metrics-server"]
    assert (done["addon_info"]["version"], done["tasks"]["status"]) == ("3.13.0", "Success")


def test_a_failed_upgrade_ends_1_and_names_what_runs_now(simulated, addonry):
    addonry("clusters", "add", "one", "--kubeconfig", kubeconfig(simulated, 1))
    complaint = addonry("upgrade", "one", "node-problem-detector", "--wait", status=1)
    assert "ImagePullBackOff" in complaint
    assert "node-problem-detector 2.3.14" in complaint
    assert complaint.count("\n") == 1


def test_a_task_that_nobody_waited_for_is_finished_by_the_service(simulated, addonry, tmp_path):
    addonry("clusters", "add", "one", "--kubeconfig", kubeconfig(simulated, 1))
    task = addonry.json("upgrade", "one", "coredns")["task_id"]
    service = addonry.start("serve", "--listen", "127.0.0.1:0")
    try:
        assert service.stdout is not None
        assert "http://127.0.0.1:" in service.stdout.readline()
        addonry("tasks", "show", task, "--wait")
        assert addonry.json("clusters", "list")["page_info"]["total_count"] == 1
        second = addonry("serve", "--listen", "127.0.0.1:0", status=1)
        assert "Another Addonry works on" in second
    finally:
        assert stop(service) == 0
    assert not (tmp_path / "data" / "service.json").exists()


def test_a_change_can_be_read_before_tried_on_the_first_pods_taken_back_and_made(simulated, addonry):
    """Plan, canary, cancel, canary again, resume, configure, uninstall: the commands of somebody who is careful."""
    service = addonry.start("serve", "--listen", "127.0.0.1:0")
    try:
        assert service.stdout is not None
        assert "http" in service.stdout.readline()
        addonry("clusters", "add", "three", "--kubeconfig", kubeconfig(simulated, 3))

        def running() -> str:
            return addonry.json("status", "three", "metrics-server")["metrics-server"]["addon_info"]["version"]

        def canary() -> str:
            told = addonry("upgrade", "three", "metrics-server@3.13.0", "--canary", "--wait")
            [task] = re.findall(r"addonry resume (T-\w+)", told)
            assert "is paused after the first pods" in told
            return task

        addonry("catalog", "sync")
        [planned] = addonry.json("plan", "three", "metrics-server@3.13.0", "--canary")["changes"]
        assert (planned["version"], planned["next_version"], planned["canary"]) == ("3.12.1", "3.13.0", True)
        assert "metrics-server: preflight, " in addonry("plan", "three", "metrics-server")
        assert running() == "3.12.1"

        assert "is canceled. Running now: metrics-server 3.12.1." in addonry("cancel", canary(), "--wait")
        task = canary()
        assert "paused" in addonry("tasks", "list", "--state", "paused")
        assert "metrics-server 3.12.1 -> 3.13.0" in addonry("resume", task, "--wait")
        assert running() == "3.13.0"

        before = addonry.json("tasks", "list", "--cluster", "three")["tasks"]
        assert "it cannot cancel" in addonry("cancel", task, status=1)
        assert addonry.json("tasks", "list", "--cluster", "three")["tasks"] == before
        told = addonry("configure", "three", "metrics-server", "--set", "replicas=2", "--wait")
        assert "metrics-server 3.13.0 configured" in told
        assert "--yes" in addonry("uninstall", "three", "node-problem-detector", status=2)
        told = addonry("uninstall", "three", "node-problem-detector", "--yes", "--wait")
        assert "node-problem-detector 2.3.14 uninstalled" in told
    finally:
        assert stop(service) == 0


def test_everything_can_be_asked_of_a_running_service(simulated, addonry):
    service = addonry.start("serve", "--listen", "127.0.0.1:0", "-o", "json")
    try:
        assert service.stdout is not None
        address = json.loads(service.stdout.readline())["address"]
        cluster = addonry.json("clusters", "add", "two", "--kubeconfig", kubeconfig(simulated, 2))["cluster_id"]
        assert "ClusterNameAlreadyExist" in addonry(
            "clusters", "add", "two", "--kubeconfig", kubeconfig(simulated, 2), status=1
        )
        assert addonry.json("clusters", "show", cluster)["name"] == "two"
        assert "1.36.2" in addonry("clusters", "show", "two")
        assert {each["name"] for each in addonry.json("catalog", "sync")["components"]} >= {"coredns", "ingress-nginx"}
        assert "1.46.0" in addonry("catalog", "show", "kube-dns")
        key = addonry.json("keys", "create", "ci")
        assert set(key) == {"access_key_id", "access_key_secret"}
        assert key["access_key_secret"] not in addonry("keys", "list")
        addonry._environment |= {  # from here on as a stranger with a key would call
            "ADDONRY_ENDPOINT": address,
            "ADDONRY_ACCESS_KEY_ID": key["access_key_id"],
            "ADDONRY_ACCESS_KEY_SECRET": key["access_key_secret"],
            "ADDONRY_DATA": "/nonexistent",
        }
        told = addonry.json("status", "two")
        assert told["metrics-server"]["addon_info"]["version"] == "3.12.1"
        assert "<metrics-server>" in addonry("status", "two", "-o", "xml")
        assert "3.11.0" in addonry("upgrade", "two", "metrics-server@3.11.0", status=1)
        [registered] = addonry.json("tasks", "list", "--cluster", "two")["tasks"]
        assert registered["task_type"] == "cluster_create"
        assert "success" in addonry("tasks", "show", registered["task_id"])
        addonry("clusters", "remove", "two")
        assert addonry.json("clusters", "list")["clusters"] == []
        addonry._environment["ADDONRY_ACCESS_KEY_SECRET"] = "wrong"
        assert "SignatureDoesNotMatch" in addonry("keys", "list", status=1)
    finally:
        assert stop(service) == 0


def test_the_commands_find_a_service_after_it_was_killed(simulated, addonry, tmp_path):
    """A killed service leaves its file behind; commands must not believe it."""
    service = addonry.start("serve", "--listen", "127.0.0.1:0")
    assert service.stdout is not None
    assert "http" in service.stdout.readline()
    stop(service, signal.SIGKILL)
    assert (tmp_path / "data" / "service.json").exists()
    assert len(addonry.json("keys", "list")["keys"]) == 1


def test_an_empty_simulated_cluster_has_no_component(simulated, addonry, tmp_path):
    process = addonry.start("simulate", "--clusters", "1", "--empty", "--out", str(tmp_path / "empty"))
    assert process.stdout is not None
    assert "sim-1" in process.stdout.readline()
    try:
        found = addonry.json("scan", "--kubeconfig", str(tmp_path / "empty" / "sim-1.kubeconfig"))
        assert found["components"] == []
    finally:
        assert stop(process, signal.SIGINT) == 0


def children_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


def is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_demo_comes_true_and_leaves_nothing_behind(tmp_path):
    (tmp_path / "tmp").mkdir()
    told = Command(tmp_path, TMPDIR=str(tmp_path / "tmp"))("demo")
    assert "Everything came true" in told
    assert "kill -9" in told
    assert "<DescribeClusterAddonsUpgradeStatusResponse>" in told
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc to see the demo's children")
def test_a_demo_that_is_told_to_end_takes_its_children_along(tmp_path):
    (tmp_path / "tmp").mkdir()
    process = Command(tmp_path, TMPDIR=str(tmp_path / "tmp")).start("demo")
    assert process.stdout is not None
    for line in process.stdout:
        if "registered sim-1" in line:
            break
    children = children_of(process.pid)
    assert children
    assert stop(process) == 130
    until(lambda: not any(is_alive(child) for child in children), seconds=10, what="the children ended")
    assert list((tmp_path / "tmp").iterdir()) == []
