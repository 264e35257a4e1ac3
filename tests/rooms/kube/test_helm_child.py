"""Helm in child processes: what it answers, and that nothing a chart or a cluster does reaches the service.

The contract suite runs on the packaged library, and on a ``helm`` command where there is one.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from typing import Any

import pytest
import uvloop

from addonry.kube import KubeSettings
from addonry.kube.helm.adapters import Capabilities, Chart, Helm, HelmCommand, HelmLibrary, Site, choose_helm
from addonry.kube.helm.failures import failure, failure_of_command
from addonry.kube.helm.locks import hold_release
from addonry.kube.helm.manifests import objects_of, without_hooks
from addonry.kube.helm.runner import ChildDied, ChildLate, ChildRefused, HelmRunner, scrub
from addonry.model.errors import (
    ClusterRefused,
    ClusterRejected,
    ClusterUnreachable,
    FieldConflict,
    HelmFailed,
    RenderFailed,
    ValuesInvalid,
)
from tests.rooms.kube.helm_charts import ASKS, ENDLESS, HOOK, RECURSING, pack_chart, web_files
from tests.support.waiting import until

pytestmark = pytest.mark.slow

TOKEN = "t0ken-that-must-not-leak"
NOWHERE = f"""\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:1"}}}}]
users:
- name: u
  user:
    token: {TOKEN}
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


def helm_command() -> str | None:
    return os.environ.get("ADDONRY_HELM") or shutil.which("helm")


@pytest.fixture(params=["library", "command"])
def make_helm(request, tmp_path) -> Callable[..., Helm]:
    """Each way to run Helm, with a deadline of the test's choice."""
    if request.param == "command" and not helm_command():
        pytest.skip("NOT TESTED: the helm command; there is none on this machine (PATH or ADDONRY_HELM)")

    def make(*, seconds: float = 30.0) -> Helm:
        binary = helm_command() if request.param == "command" else None
        return choose_helm(KubeSettings(tmp_path / "work", helm_binary=binary, helm_seconds=seconds))

    return make


@pytest.fixture
def runner(tmp_path) -> HelmRunner:
    return HelmRunner(tmp_path / "work")


def a_site(**given: Any) -> Site:
    return Site(**{"kubeconfig": "", "namespace": "tools", "release": "web", **given})


async def rendered(helm: Helm, chart: Path, values: dict[str, Any] | None = None, **given: Any) -> str:
    told = {"is_upgrade": False, "capabilities": Capabilities("v1.33.1", ("example.com/v1",)), **given}
    return await helm.render(a_site(), Chart(chart, values or {}), **told)


async def test_a_chart_is_rendered_without_a_cluster(make_helm, tmp_path):
    """The render step must work, and say the same, whatever the cluster does at this moment."""
    chart = pack_chart(tmp_path, "web", "1.2.0")
    objects = objects_of(await rendered(make_helm(), chart, {"replicas": 5}))
    by_kind = {each["kind"]: each for each in objects}
    assert set(by_kind) == {"Deployment", "ConfigMap"}
    assert by_kind["Deployment"]["spec"]["replicas"] == 5
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/web:1.2.0"


async def test_a_chart_sees_the_cluster_it_is_rendered_for(make_helm, tmp_path):
    """Charts choose API versions by these; Helm's own defaults would be those of its build."""
    chart = pack_chart(tmp_path, "asks", "1.0.0", files={"templates/a.yaml": ASKS})
    first = await rendered(make_helm(), chart)
    second = await rendered(make_helm(), chart, is_upgrade=True)
    assert 'version: "v1.33.1"' in first
    assert 'ours: "true"' in first
    assert 'theirs: "false"' in first
    assert "namespace: tools" in first
    assert ('upgrade: "false"' in first, 'upgrade: "true"' in second) == (True, True)


async def test_hooks_are_rendered_with_the_rest(make_helm, tmp_path):
    chart = pack_chart(tmp_path, "web", "1.0.0", files={**web_files(), "templates/hook.yaml": HOOK})
    objects = objects_of(await rendered(make_helm(), chart))
    assert [each["metadata"]["name"] for each in objects if each not in without_hooks(objects)] == ["web-hook"]


async def test_values_that_do_not_fit_the_schema_are_named_one_by_one(make_helm, tmp_path):
    chart = pack_chart(tmp_path, "web", "1.0.0")
    with pytest.raises(ValuesInvalid) as caught:
        await rendered(make_helm(), chart, {"replicas": "many", "mode": 7})
    assert sorted(each.partition(":")[0] for each in caught.value.problems) == ["mode", "replicas"]


async def test_a_value_that_does_not_fit_is_not_repeated(make_helm, tmp_path):
    """It may be a password with one wrong character."""
    chart = pack_chart(tmp_path, "web", "1.0.0")
    with pytest.raises(ValuesInvalid) as caught:
        await rendered(make_helm(), chart, {"password": "hunter2"})
    assert "password" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_template_that_fails_says_why_without_secrets(make_helm, tmp_path):
    complains = '{{ fail (printf "password %s is too short for %s" .Values.password .Values.user) }}'
    chart = pack_chart(tmp_path, "fails", "1.0.0", files={"templates/a.yaml": complains})
    values = {"password": "hunter2", "user": "somebody"}
    with pytest.raises(RenderFailed) as caught:
        await rendered(make_helm(), chart, values)
    assert "too short for somebody" in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_an_archive_that_is_none_does_not_render(make_helm, tmp_path):
    junk = tmp_path / "junk.tgz"
    junk.write_bytes(b"no archive")
    with pytest.raises((RenderFailed, HelmFailed)) as caught:
        await rendered(make_helm(), junk)
    assert caught.value.message


async def test_a_template_that_recurses_without_end_costs_one_child(make_helm, tmp_path):
    """In Helm's process this is fatal; the service must survive, name the cause, and go on."""
    helm = make_helm(seconds=60.0)
    hostile = pack_chart(tmp_path, "hostile", "1.0.0", files=RECURSING)
    with pytest.raises(RenderFailed, match="calls itself without end"):
        await rendered(helm, hostile)
    assert await rendered(helm, pack_chart(tmp_path, "web", "1.0.0"))


async def test_a_cluster_that_refuses_connections_is_unreachable(make_helm):
    with pytest.raises(ClusterUnreachable) as caught:
        await make_helm().rollback(a_site(kubeconfig=NOWHERE), revision=1, server_side=True)
    assert TOKEN not in str(caught.value)


async def test_a_cluster_that_never_answers_is_left_at_the_deadline(make_helm, tmp_path):
    """Helm's own timeout does not end a call on a silent server; only the kill does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kubeconfig = NOWHERE.replace(':1"', f':{silent.getsockname()[1]}"')
        with pytest.raises(ClusterUnreachable, match="did not answer"):
            await make_helm(seconds=2.0).uninstall(a_site(kubeconfig=kubeconfig))
    assert list((tmp_path / "work" / "homes").iterdir()) == []


async def test_the_version_is_helms_own(make_helm):
    assert (await make_helm().version()).startswith("v")


def test_it_runs_on_the_services_loop_in_any_thread(make_helm):
    """The service runs on uvloop; children are watched differently there."""
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(lambda: uvloop.run(make_helm().version())).result().startswith("v")


# What the processes do.


def children_of(pid: int) -> set[int]:
    """The live children of a process of ours, from /proc; zombies have ended and do not count."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue
        if words and int(words[1]) == pid and words[0] not in "ZX":
            found.add(int(entry.name))
    return found


def arguments_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def environment_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


def home_of(pid: int) -> Path:
    return Path(f"/proc/{pid}/cwd").resolve()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def endless(tmp_path) -> dict[str, Any]:
    """A request that a child works on for long."""
    chart = pack_chart(tmp_path, "endless", "1.0.0", files={"templates/a.yaml": ENDLESS})
    options = {"name": "web", "namespace": "tools"}
    return {"operation": "render", "kubeconfig": "", "chart": str(chart), "values": {}, "options": options}


async def test_a_cancelled_call_leaves_no_child(runner, endless):
    before = children_of(os.getpid())
    working = asyncio.create_task(runner.run(endless, seconds=60))
    child = await started_child(before)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert not is_alive(child)


async def test_a_late_child_is_killed_and_its_home_deleted(runner, endless, tmp_path):
    before = children_of(os.getpid())
    with pytest.raises(ChildLate):
        await runner.run(endless, seconds=0.5)
    assert children_of(os.getpid()) <= before
    assert list((tmp_path / "work" / "homes").iterdir()) == []


async def test_a_killed_child_is_told_as_such(runner, endless):
    before = children_of(os.getpid())
    working = asyncio.create_task(runner.run(endless, seconds=60))
    os.kill(await started_child(before), signal.SIGKILL)
    with pytest.raises(ChildDied) as caught:
        await working
    assert caught.value.status == -signal.SIGKILL
    assert not caught.value.out_of_memory


async def test_a_child_is_called_helm(runner, endless):
    """Helm's field manager is the base name of argv[0]; ours must be that of the helm command."""
    before = children_of(os.getpid())
    working = asyncio.create_task(runner.run(endless, seconds=60))
    child = await started_child(before)
    name = arguments_of(child)[0]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert PurePath(name).name == "helm"


async def test_kubeconfig_and_values_are_neither_in_arguments_nor_in_the_environment(runner, endless):
    """Both are readable by every process of the same user, and often logged."""
    before = children_of(os.getpid())
    request = {**endless, "kubeconfig": NOWHERE, "values": {"password": "hunter2"}}
    working = asyncio.create_task(runner.run(request, seconds=60))
    child = await started_child(before)
    seen = arguments_of(child) + environment_of(child)
    kept = [path.read_bytes() for path in home_of(child).rglob("*") if not path.is_symlink() and path.is_file()]
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert seen
    assert not any(TOKEN in each or "hunter2" in each for each in seen)
    assert not any(TOKEN.encode() in each for each in kept)


PARENT = """
import asyncio, json, sys
from pathlib import Path, PurePath
from addonry.kube.helm.locks import hold_release
from addonry.kube.helm.manifests import objects_of, without_hooks
from addonry.kube.helm.runner import HelmRunner

async def main():
    work, request = Path(sys.argv[1]), json.loads(sys.argv[2])
    async with hold_release(work / "locks", server="s", namespace="n", release="r", seconds=5) as lock:
        await HelmRunner(work).run(request, seconds=60, inherit=(lock,))

asyncio.run(main())
"""


async def test_a_child_dies_with_its_parent_and_frees_the_lock_only_then(endless, tmp_path):
    """Else an orphan and the successor of a killed worker would work on one release at the same time."""
    work = tmp_path / "work"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(work), json.dumps(endless))
    child = await started_child(set(), of=parent.pid)
    parent.kill()
    await parent.wait()
    async with hold_release(work / "locks", server="s", namespace="n", release="r", seconds=20):
        assert not is_alive(child)


async def test_a_child_that_grows_too_large_ends_itself_and_says_so(endless, tmp_path):
    """The limit is below what Helm needs at all, so what it was doing does not matter."""
    with pytest.raises(ChildDied) as caught:
        await HelmRunner(tmp_path / "work", memory=32 << 20).run(endless, seconds=60)
    assert caught.value.out_of_memory


async def test_a_child_ends_when_its_stdin_does(tmp_path):
    """What takes the place of the death signal where there is none."""
    script = Path(sys.modules[HelmRunner.__module__].__file__ or "").with_name("child.py")
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(script)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, noise = await child.communicate(b'{"operation": "ver')
    assert (child.returncode, noise) == (3, b"")


async def test_one_operation_at_a_time_holds_a_release(tmp_path):
    address = {"server": "https://one", "namespace": "n", "release": "r"}
    async with hold_release(tmp_path, **address, seconds=1):
        with pytest.raises(HelmFailed, match="has not ended"):
            async with hold_release(tmp_path, **address, seconds=0.1):
                pytest.fail("two hold one release")
        async with hold_release(tmp_path, **{**address, "server": "https://two"}, seconds=0.1):
            pass
    async with hold_release(tmp_path, **address, seconds=1):
        pass


async def test_an_abandoned_home_is_swept_away_and_one_in_use_is_not(runner, endless, tmp_path):
    homes = tmp_path / "work" / "homes"
    (homes / "abandoned").mkdir(parents=True)
    before = children_of(os.getpid())
    working = asyncio.create_task(runner.run(endless, seconds=60))
    child = await started_child(before)
    in_use = home_of(child)
    for each in (homes / "abandoned", in_use):
        os.utime(each, (0, 0))
    await runner.run({"operation": "version"}, seconds=20)
    left = set(homes.iterdir())
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert left == {in_use}


async def started_child(before: set[int], *, of: int | None = None) -> int:
    """The pid of the Helm child that has just been started, once it has loaded Helm."""

    def look() -> int | None:
        for pid in children_of(of or os.getpid()) - before:
            with contextlib.suppress(OSError):
                if "libhelm" in Path(f"/proc/{pid}/maps").read_text():
                    return pid
        return None

    return await asyncio.to_thread(until, look) or 0


# A helm command, stood in for by a script: what it is given, and that it ends with us.

RECORDER = """\
#!/bin/sh
if [ "$1" = version ]; then echo v4.2.3; exit; fi
folder=$(dirname "$0")
printf '%s\\n' "$@" > "$folder/arguments"
cat > "$folder/input"
while [ $# -gt 1 ]; do if [ "$1" = --kubeconfig ]; then cat "$2" > "$folder/kubeconfig"; fi; shift; done
env > "$folder/environment"
"""

SLEEPER = """\
#!/bin/sh
echo $$ > "$(dirname "$0")/pid.new" && mv "$(dirname "$0")/pid.new" "$(dirname "$0")/pid"
exec sleep 600
"""


def a_command(folder: Path, text: str) -> str:
    folder.mkdir()
    script = folder / "helm"
    script.write_text(text)
    script.chmod(0o755)
    return str(script)


async def test_a_command_gets_values_and_kubeconfig_where_nobody_else_reads_them(runner, tmp_path):
    command = HelmCommand(runner, binary=a_command(tmp_path / "bin", RECORDER), seconds=20)
    chart = Chart(tmp_path / "web.tgz", {"password": "hunter2"})
    await command.upgrade(a_site(kubeconfig=NOWHERE), chart, description="Addonry task T-1", server_side=True)
    seen = {name: (tmp_path / "bin" / name).read_text() for name in ("arguments", "input", "kubeconfig", "environment")}
    assert json.loads(seen["input"]) == {"password": "hunter2"}
    assert seen["kubeconfig"] == NOWHERE
    assert not any(secret in seen["arguments"] + seen["environment"] for secret in (TOKEN, "hunter2"))
    arguments = seen["arguments"].splitlines()
    assert arguments[:3] == ["upgrade", "web", str(tmp_path / "web.tgz")]
    assert {"--force-conflicts", "--server-side=true", "--reset-values", "--skip-crds"} <= set(arguments)


async def test_a_late_command_is_killed_too(runner, tmp_path):
    command = HelmCommand(runner, binary=a_command(tmp_path / "bin", SLEEPER), seconds=1.0)
    with pytest.raises(ClusterUnreachable):
        await command.uninstall(a_site(kubeconfig=NOWHERE))
    assert not is_alive(int((tmp_path / "bin" / "pid").read_text()))


async def test_a_command_dies_with_our_process(tmp_path):
    request = {"operation": "command", "kubeconfig": "", "input": "", "values": {}}
    request["arguments"] = [a_command(tmp_path / "bin", SLEEPER)]
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path / "work"), json.dumps(request))
    )
    pid = await asyncio.to_thread(until, lambda: (tmp_path / "bin" / "pid").exists() and pid_in(tmp_path / "bin"))
    parent.kill()
    await parent.wait()
    async with hold_release(tmp_path / "work" / "locks", server="s", namespace="n", release="r", seconds=20):
        assert not is_alive(pid)


def pid_in(folder: Path) -> int:
    return int((folder / "pid").read_text())


async def test_a_command_that_is_not_there_is_named(runner, tmp_path):
    command = HelmCommand(runner, binary=str(tmp_path / "nowhere" / "helm"), seconds=20)
    with pytest.raises(HelmFailed, match="nowhere/helm"):
        await command.version()


async def test_a_work_directory_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "work").write_text("a file")
    with pytest.raises(HelmFailed, match="could not be started"):
        await choose_helm(KubeSettings(tmp_path / "work")).version()
    with pytest.raises(HelmFailed, match="cannot be opened"):
        async with hold_release(tmp_path / "work", server="s", namespace="n", release="r", seconds=1):
            pytest.fail("nothing is held")


# What failures are called.


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (-60, "Kubernetes cluster unreachable: dial tcp: connect: connection refused", ClusterUnreachable),
        (-62, 'Get "https://x/version": net/http: TLS handshake timeout', ClusterUnreachable),
        (-62, 'secrets is forbidden: User "u" cannot list resource "secrets"', ClusterRefused),
        (-62, "Unauthorized", ClusterRefused),
        (-62, 'Deployment.apps "x" is invalid: spec.selector: field is immutable', ClusterRejected),
        (-62, 'admission webhook "w" denied the request: no', ClusterRejected),
        (-62, 'failed calling webhook "w": Post "https://w": connection refused', ClusterRejected),
        (-62, "chart requires kubeVersion: >=1.38.0-0 which is incompatible with Kubernetes v1.36.2", RenderFailed),
        (-23, "execution error at (a.yaml:1:3): needed", RenderFailed),
        (-20, "Chart.yaml file is missing", RenderFailed),
        (-22, "web:\n- at '/replicas': got string, want integer", ValuesInvalid),
        (-62, '"web" has no deployed releases', HelmFailed),
    ],
)
def test_a_failure_of_helm_becomes_the_error_it_stands_for(code, message, kind):
    error = failure(ChildRefused(code, message), request={"operation": "upgrade", "release": "web"}, seconds=5)
    assert type(error) is kind


def test_conflicts_name_field_and_manager():
    """The sentence was recorded from Helm 4.2.3 after ``kubectl scale``."""
    message = (
        "conflict occurred while applying object tools/web apps/v1, Kind=Deployment: "
        'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas'
    )
    error = failure(ChildRefused(-62, message), request={"operation": "upgrade", "release": "web"}, seconds=5)
    assert isinstance(error, FieldConflict)
    assert error.conflicts == ((".spec.replicas", "kubectl"),)


def test_the_warnings_of_a_helm_command_are_not_its_error():
    printed = "WARNING: Kubernetes configuration file is group-readable\nError: release: not found\n"
    error = failure_of_command(printed, request={"operation": "rollback", "release": "web"})
    assert str(error) == "Helm failed during rollback of release web: release: not found"


def test_nothing_secret_of_a_kubeconfig_survives_in_a_message():
    assert TOKEN not in scrub(f"Get https://x: bearer {TOKEN} refused", {"kubeconfig": NOWHERE})


def test_the_adapter_follows_the_settings(tmp_path):
    assert isinstance(choose_helm(KubeSettings(tmp_path)), HelmLibrary)
    assert isinstance(choose_helm(KubeSettings(tmp_path, helm_binary="/usr/bin/helm")), HelmCommand)
