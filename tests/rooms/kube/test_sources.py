"""The contract of component sources, on simulated clusters; and what is Helm's alone.

The contract runs for every entry of SOURCES. Somebody installs a component without us, then we look after it.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import pytest

from addonry.kube import KubeSettings, Mode, Target
from addonry.kube.api import Api
from addonry.kube.helm.crds import apply_crds, crd_changes, crds_of, templated_crd_changes
from addonry.kube.helm.manifests import objects_of
from addonry.kube.helm.releases import (
    Release,
    document_from_secret,
    encode_release,
    newest,
    newest_deployed,
    release_from_secret,
)
from addonry.kube.kubeconfig import read_kubeconfig
from addonry.kube.sources import SOURCES, Source
from addonry.kube.sources.workload import with_tag
from addonry.model.components import ObjectRef, Placement, ReleaseStatus, SourceKind
from addonry.model.errors import (
    AddonryError,
    ClusterRejected,
    ClusterUnreachable,
    FieldConflict,
    HelmFailed,
    RenderFailed,
    ValuesInvalid,
)
from addonry.model.ids import TaskId
from addonry.model.owners import Owner
from addonry.model.tasks import Snapshot
from addonry.rules.differences import differences, images_between
from addonry.simulator.server import Simulator
from tests.rooms.kube.helm_charts import ASKS, ENDLESS, RECURSING, a_target, pack_chart, web_files
from tests.rooms.kube.test_helm_child import arguments_of, children_of, started_child
from tests.support.helm import helm
from tests.support.troubles import at_first_write, heal
from tests.support.waiting import until

pytestmark = pytest.mark.slow

TASK = TaskId("T-" + "1" * 24)
NEXT_TASK = TaskId("T-" + "2" * 24)
NAMESPACE = "kube-system"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def simulator():
    with Simulator(clusters=0, speed=50.0) as running:
        yield running


@pytest.fixture
def cluster(simulator):
    """A cluster of its own for each test."""
    return simulator.add(f"c-{next(NUMBERS)}")


@pytest.fixture
async def api(cluster):
    opened = Api(read_kubeconfig(cluster.kubeconfig()), request_seconds=3.0)
    yield opened
    await opened.close()


@pytest.fixture
def settings(tmp_path) -> KubeSettings:
    return KubeSettings(tmp_path / "work", helm_seconds=30.0, request_seconds=3.0)


@dataclass
class Installed:
    """A component that somebody has installed in version 1.0.0, and what it can become."""

    kind: SourceKind
    api: Api
    settings: KubeSettings
    folder: Path
    cluster: Any
    placement: Placement

    async def source(self) -> Source:
        """A new one each time, as after a restart."""
        return SOURCES[self.kind](self.api, self.settings, await self.api.kubeconfig())

    def target(self, version: str, values: dict[str, Any] | None = None, **files: Any) -> Target:
        archive = pack_chart(self.folder, "web", version, **files)
        return a_target(archive, version, values, container="web", tag=version)

    async def upgrade(self, version: str, *, task: TaskId = TASK) -> Snapshot:
        """As the steps do it; what was recorded before."""
        source = await self.source()
        snapshot = await source.snapshot(self.placement)
        await source.apply(self.placement, self.target(version), task=task, snapshot=snapshot)
        return snapshot

    async def version(self) -> str:
        found = await (await self.source()).find(self.placement)
        return "" if found is None else found.version

    async def image(self) -> str:
        deployment = await self.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web")
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    async def history(self) -> list[Release]:
        return [release_from_secret(each) for each in await self.secrets()]

    async def secrets(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
        return (await self.api.list(path, dict, params={"labelSelector": "owner=helm,name=web"}))[0]

    def writes(self) -> list[str]:
        """Requests that were meant to change something, since the log was forgotten."""
        return [
            f"{each.method} {each.path}"
            for each in self.cluster.requests
            if each.method != "GET" and "dryRun=All" not in each.query
        ]

    def deletions(self) -> list[str]:
        return [each for each in self.writes() if each.startswith("DELETE")]


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": NAMESPACE},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "registry.example:5000/web:1.0.0@sha256:" + "a" * 64},
                    {"name": "side", "image": "registry.example/side:3"},
                ]
            },
        },
    },
}


@pytest.fixture
async def installed_release(api, settings, tmp_path, cluster) -> Installed:
    archive = pack_chart(tmp_path, "web", "1.0.0")
    await asyncio.to_thread(helm, cluster.kubeconfig(), "install", str(archive), "web", {"mode": "kept"})
    placement = Placement(SourceKind.HELM, NAMESPACE, "web")
    return Installed(SourceKind.HELM, api, settings, tmp_path, cluster, placement)


@pytest.fixture
async def installed_workload(api, settings, tmp_path, cluster) -> Installed:
    await api.create(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments", DEPLOYMENT)
    placement = Placement(SourceKind.WORKLOAD, NAMESPACE, "web", "Deployment")
    return Installed(SourceKind.WORKLOAD, api, settings, tmp_path, cluster, placement)


@pytest.fixture(params=sorted(SOURCES))
def installed(request) -> Installed:
    """The component, in each way a component can live."""
    names = {SourceKind.HELM: "installed_release", SourceKind.WORKLOAD: "installed_workload"}
    found: Installed = request.getfixturevalue(names[request.param])
    found.cluster.forget_requests()
    return found


class TestContract:
    """What every source promises."""

    async def test_what_is_not_there_is_not_found(self, installed):
        nobody = replace(installed.placement, name="nobody")
        source = await installed.source()
        assert await source.find(nobody) is None
        assert await source.owned(nobody) == ()
        assert await source.snapshot(nobody) == Snapshot()

    async def test_a_component_is_found_in_its_version(self, installed):
        found = await (await installed.source()).find(installed.placement)
        assert found is not None
        assert (found.placement, found.version) == (installed.placement, "1.0.0")
        assert any("web:1.0.0" in image for image in found.images)

    async def test_applying_makes_the_target_run(self, installed):
        await installed.upgrade("1.1.0")
        assert await installed.version() == "1.1.0"
        assert (await installed.image()).endswith("/web:1.1.0")

    async def test_applying_twice_changes_nothing(self, installed):
        """A step is repeated after a crash, so a second apply by the same task writes nothing."""
        snapshot = await installed.upgrade("1.1.0")
        installed.cluster.forget_requests()
        source = await installed.source()
        await source.apply(installed.placement, installed.target("1.1.0"), task=TASK, snapshot=snapshot)
        assert installed.writes() == []

    async def test_a_rollback_brings_back_what_was_recorded(self, installed):
        before = await installed.image()
        snapshot = await installed.upgrade("1.1.0")
        await (await installed.source()).rollback(installed.placement, snapshot, task=TASK)
        assert await installed.version() == "1.0.0"
        assert await installed.image() == before
        assert [each for each in installed.deletions() if "secrets" not in each] == []

    async def test_a_second_rollback_changes_nothing(self, installed):
        snapshot = await installed.upgrade("1.1.0")
        await (await installed.source()).rollback(installed.placement, snapshot, task=TASK)
        installed.cluster.forget_requests()
        await (await installed.source()).rollback(installed.placement, snapshot, task=TASK)
        assert installed.writes() == []

    async def test_a_rollback_of_what_was_never_applied_changes_nothing(self, installed):
        source = await installed.source()
        snapshot = await source.snapshot(installed.placement)
        installed.cluster.forget_requests()
        await source.rollback(installed.placement, snapshot, task=TASK)
        assert installed.writes() == []

    async def test_rendering_and_the_dry_run_store_nothing(self, installed):
        source = await installed.source()
        text = await source.render(installed.placement, installed.target("1.1.0"))
        judged = await source.dry_run(installed.placement, installed.target("1.1.0"))
        assert "web:1.1.0" in text
        assert judged.objects >= 1
        assert installed.writes() == []
        assert await installed.version() == "1.0.0"

    async def test_a_preview_shows_both_sides_and_stores_nothing(self, installed):
        source = await installed.source()
        preview = await source.preview(installed.placement, installed.target("1.1.0"))
        found = differences(preview.before, preview.after, NAMESPACE)
        [(before, after)] = images_between(found)
        assert before == await installed.image()
        assert after.endswith("/web:1.1.0")
        assert {each.name for each in found} <= {"web", "web-config"}
        assert installed.writes() == []

    async def test_the_workload_is_owned(self, installed):
        owned = await (await installed.source()).owned(installed.placement)
        assert ObjectRef("apps/v1", "Deployment", NAMESPACE, "web") in owned

    async def test_somebody_elses_image_is_named_and_taken_over(self, installed):
        """The policy is overwrite; the plan names each field and its manager beforehand."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
        image = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "registry.example/web:0.9"}]}}}}
        await installed.api.patch(path, image, kind="strategic", params={"fieldManager": "kubectl-set"})
        judged = await (await installed.source()).dry_run(installed.placement, installed.target("1.1.0"))
        assert [manager for field, manager in judged.conflicts if "image" in field] == ["kubectl-set"]
        await installed.upgrade("1.1.0")
        assert (await installed.image()).endswith("/web:1.1.0")

    async def test_a_cluster_that_is_gone_is_unreachable(self, installed):
        source = await installed.source()
        installed.cluster.trouble.refuse()
        for call in (
            source.find(installed.placement),
            source.snapshot(installed.placement),
            source.apply(installed.placement, installed.target("1.1.0"), task=TASK, snapshot=Snapshot()),
            source.rollback(installed.placement, Snapshot(revision=1, images={"web": "a:1"}), task=TASK),
        ):
            with pytest.raises(ClusterUnreachable):
                await call


class TestWorkloads:
    """What is particular to plain workloads."""

    async def test_nothing_but_the_image_is_touched(self, installed_workload):
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
        before = await installed_workload.api.get(path)
        await installed_workload.upgrade("1.1.0")
        after = await installed_workload.api.get(path)
        containers = after["spec"]["template"]["spec"]["containers"]
        assert [each["image"] for each in containers] == ["registry.example:5000/web:1.1.0", "registry.example/side:3"]
        assert after["metadata"]["annotations"]["addonry.io/task"] == TASK
        before["spec"]["template"]["spec"]["containers"][0]["image"] = containers[0]["image"]
        assert after["spec"] == before["spec"]

    async def test_a_container_that_is_not_there_is_named(self, installed_workload):
        target = replace(installed_workload.target("1.1.0"), container="main")
        with pytest.raises(ClusterRejected, match="main") as caught:
            await (await installed_workload.source()).dry_run(installed_workload.placement, target)
        assert "web, side" in caught.value.remedy

    async def test_a_workload_that_somebody_removed_is_not_made_again(self, installed_workload):
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
        snapshot = await (await installed_workload.source()).snapshot(installed_workload.placement)
        await installed_workload.api.delete(path)
        with pytest.raises(ClusterRejected, match="no longer"):
            await installed_workload.upgrade("1.1.0")
        with pytest.raises(ClusterRejected, match="no longer"):
            await (await installed_workload.source()).rollback(installed_workload.placement, snapshot, task=TASK)

    @pytest.mark.parametrize(
        ("image", "expected"),
        [
            ("web", "web:2"),
            ("web:1", "web:2"),
            ("host:5000/web", "host:5000/web:2"),
            ("host:5000/team/web:1", "host:5000/team/web:2"),
            ("host/web:1@sha256:abc", "host/web:2"),
            ("host:5000/web@sha256:abc", "host:5000/web:2"),
        ],
    )
    def test_only_the_tag_of_an_image_changes(self, image, expected):
        assert with_tag(image, "2") == expected


# Helm: crashes. A child dies as its n-th write reaches the cluster, which carries that write out.


def kill_at_write(cluster: Any, number: int) -> list[int]:
    """Kill -9 the Helm child when its *number*-th write arrives. The processes killed are in the list, once they are."""
    killed: list[int] = []
    meet = cluster.trouble.meet
    count = itertools.count(1)

    async def meet_and_kill(request: Any) -> Any:
        agent = request.headers.get("user-agent", "")
        if request.method != "GET" and not agent.startswith("addonry") and next(count) == number:
            for pid in children_of(os.getpid()):
                if PurePath(arguments_of(pid)[0]).name == "helm":
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
        return await meet(request)

    cluster.trouble.meet = meet_and_kill
    return killed


def is_settled(history: list[Release], version: str) -> bool:
    """One revision is deployed, it is the newest, and nothing is left half-way."""
    deployed = [each for each in history if each.status is ReleaseStatus.DEPLOYED]
    last = newest(history)
    return deployed == [last] and deployed[0].chart_version == version and not any(x.status.is_stuck for x in history)


@pytest.mark.parametrize("write", range(1, 6))
async def test_an_upgrade_survives_the_death_of_helm_at_any_write(installed_release, write):
    """The whole point of reading the history first: no revision stays locked, and nothing is taken away to heal it."""
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    killed = kill_at_write(component.cluster, write)
    with contextlib.suppress(HelmFailed, ClusterUnreachable):
        await source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    heal(component.cluster)
    assert len(killed) == 1
    await (await component.source()).apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    assert is_settled(await component.history(), "1.1.0")
    assert (await component.image()).endswith("/web:1.1.0")
    assert component.deletions() == []


@pytest.mark.parametrize("write", range(1, 5))
async def test_an_install_survives_the_death_of_helm_at_any_write(api, settings, tmp_path, cluster, write):
    """Facts 2.7 knows only uninstall for a locked first revision; marked as failed, it is simply upgraded."""
    placement = Placement(SourceKind.HELM, NAMESPACE, "web")
    component = Installed(SourceKind.HELM, api, settings, tmp_path, cluster, placement)
    killed = kill_at_write(cluster, write)
    with contextlib.suppress(HelmFailed, ClusterUnreachable):
        await component.upgrade("1.0.0")
    heal(cluster)
    assert len(killed) == 1
    source = await component.source()
    await source.apply(placement, component.target("1.0.0"), task=TASK, snapshot=Snapshot())
    assert is_settled(await component.history(), "1.0.0")
    assert component.deletions() == []


HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: web-migrate
  annotations: {"helm.sh/hook": WHEN}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "registry.example/crash:1"}]
"""


@pytest.mark.parametrize("when", ["pre-upgrade", "post-upgrade"])
async def test_an_upgrade_whose_hook_fails_is_brought_back(installed_release, when):
    """A migration that fails is the usual reason for a rollback in the middle of the night."""
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    files = {**web_files(), "templates/migrate.yaml": HOOK.replace("WHEN", when)}
    with pytest.raises(HelmFailed, match="hook"):
        await source.apply(component.placement, component.target("1.1.0", files=files), task=TASK, snapshot=snapshot)
    await (await component.source()).rollback(component.placement, snapshot, task=TASK)
    assert is_settled(await component.history(), "1.0.0")
    assert (await component.image()).endswith("/web:1.0.0")
    assert not [each for each in component.deletions() if "deployments" in each]


@pytest.mark.parametrize("write", range(1, 4))
async def test_an_uninstall_survives_the_death_of_helm_at_any_write(installed_release, write):
    """Half removed is the worst place to stop, and there is no way back from it."""
    component = installed_release
    killed = kill_at_write(component.cluster, write)
    with contextlib.suppress(HelmFailed, ClusterUnreachable):
        await (await component.source()).uninstall(component.placement, task=TASK)
    heal(component.cluster)
    assert len(killed) == 1
    await (await component.source()).uninstall(component.placement, task=TASK)
    assert await component.history() == []
    assert await (await component.source()).find(component.placement) is None
    assert not [each for each in component.deletions() if each.endswith(f"/namespaces/{NAMESPACE}")]
    await (await component.source()).uninstall(component.placement, task=TASK)


async def test_an_apply_that_is_stopped_leaves_nothing_locked_behind(installed_release):
    """A cancel comes while Helm is at work: its child ends with the call, and the way back finds the release free."""
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    before = children_of(os.getpid())
    component.cluster.trouble.stall(method="POST", times=1)
    applying = asyncio.create_task(
        source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    )
    await started_child(before)
    applying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await applying
    assert children_of(os.getpid()) <= before
    component.cluster.trouble.recover()
    await (await component.source()).rollback(component.placement, snapshot, task=TASK)
    assert is_settled(await component.history(), "1.0.0")
    assert component.deletions() == []


@pytest.mark.parametrize("write", range(1, 6))
async def test_a_rollback_survives_the_death_of_helm_at_any_write(installed_release, write):
    component = installed_release
    snapshot = await component.upgrade("1.1.0")
    killed = kill_at_write(component.cluster, write)
    with contextlib.suppress(HelmFailed, ClusterUnreachable):
        await (await component.source()).rollback(component.placement, snapshot, task=TASK)
    heal(component.cluster)
    assert len(killed) == 1
    await (await component.source()).rollback(component.placement, snapshot, task=TASK)
    assert is_settled(await component.history(), "1.0.0")
    assert (await component.image()).endswith("/web:1.0.0")
    assert component.deletions() == []


async def leave(component: Installed, status: ReleaseStatus) -> None:
    """Make the newest revision look as somebody's killed Helm leaves it."""
    secret = max(await component.secrets(), key=lambda each: int(each["metadata"]["labels"]["version"]))
    document = document_from_secret(secret)
    document["info"]["status"] = status.value
    patch = {"metadata": {"labels": {"status": status.value}}, "data": {"release": encode_release(document)}}
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret['metadata']['name']}"
    await component.api.patch(path, patch, kind="merge")


STUCK = sorted((each for each in ReleaseStatus if each.is_stuck or each is ReleaseStatus.UNINSTALLING), key=str)
"""What Helm refuses to upgrade."""


@pytest.mark.parametrize("status", STUCK)
async def test_a_release_that_somebodys_helm_left_locked_is_upgraded(installed_release, status):
    component = installed_release
    await asyncio.to_thread(
        helm, component.cluster.kubeconfig(), "upgrade", str(component.target("1.0.1").archive.path), "web"
    )
    await leave(component, status)
    await component.upgrade("1.1.0")
    history = await component.history()
    last = newest(history)
    assert last is not None
    assert (last.status, last.chart_version) == (ReleaseStatus.DEPLOYED, "1.1.0")
    assert not {each.status for each in history} & set(STUCK)
    assert component.deletions() == []


@pytest.mark.parametrize("status", [each for each in STUCK if each.is_stuck])
async def test_the_last_write_of_a_dead_helm_may_arrive_after_the_history_was_read(
    installed_release, status, monkeypatch
):
    """The release is found locked only when Helm is asked; it is freed and Helm asked once more."""
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    read = source._history
    before_it_arrived = iter([await read(component.placement)])
    await leave(component, status)

    async def read_too_early(placement, **named):
        for history in before_it_arrived:
            return history
        return await read(placement, **named)

    monkeypatch.setattr(source, "_history", read_too_early)
    await source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    last = newest(await component.history())
    assert last is not None
    assert (last.status, last.chart_version) == (ReleaseStatus.DEPLOYED, "1.1.0")
    assert component.deletions() == []


async def test_a_release_uninstalled_with_its_history_kept_is_not_there_and_can_be_installed(installed_release):
    component = installed_release
    kubeconfig = component.cluster.kubeconfig()
    await asyncio.to_thread(helm, kubeconfig, "uninstall", "web", keep_history=True)
    source = await component.source()
    assert await source.find(component.placement) is None
    assert await source.owned(component.placement) == ()
    await component.upgrade("1.1.0")
    assert await component.version() == "1.1.0"


async def test_a_first_revision_left_locked_is_upgraded_and_not_uninstalled(installed_release):
    await leave(installed_release, ReleaseStatus.PENDING_INSTALL)
    await installed_release.upgrade("1.1.0")
    assert await installed_release.version() == "1.1.0"
    assert installed_release.deletions() == []


@pytest.mark.parametrize("status", STUCK)
async def test_a_locked_release_can_be_rolled_back(installed_release, status):
    component = installed_release
    snapshot = await component.upgrade("1.1.0")
    await leave(component, status)
    await (await component.source()).rollback(component.placement, snapshot, task=TASK)
    assert await component.version() == "1.0.0"
    assert (await component.image()).endswith("/web:1.0.0")


async def test_a_locked_release_can_be_planned_for(installed_release):
    """Helm itself would refuse even a dry run on it."""
    await leave(installed_release, ReleaseStatus.PENDING_UPGRADE)
    source = await installed_release.source()
    judged = await source.dry_run(installed_release.placement, installed_release.target("1.1.0"))
    assert judged.objects == 2
    found = await source.find(installed_release.placement)
    assert found is not None
    assert found.status is ReleaseStatus.PENDING_UPGRADE


# Helm: values, ownership, what is recorded.


async def test_values_are_kept_unless_new_ones_are_given(installed_release):
    component = installed_release
    await component.upgrade("1.1.0")
    running = newest_deployed(await component.history())
    assert running is not None
    assert running.values == {"mode": "kept"}
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    target = component.target("1.2.0", {"replicas": 4})
    await source.apply(component.placement, target, task=NEXT_TASK, snapshot=snapshot)
    running = newest_deployed(await component.history())
    assert running is not None
    assert running.values == {"replicas": 4}


async def test_the_values_of_a_failed_revision_are_not_kept(installed_release):
    """What runs is the deployed revision; a failed one's values may be why it failed."""
    component = installed_release
    broken = component.target("1.1.0", {"mode": "broken"})
    source = await component.source()
    component.cluster.trouble.fail(method="PATCH", path_contains="/configmaps/", status=422)
    with pytest.raises(AddonryError):
        await source.apply(component.placement, broken, task=TASK, snapshot=await source.snapshot(component.placement))
    await component.upgrade("1.2.0", task=NEXT_TASK)
    running = newest_deployed(await component.history())
    assert running is not None
    assert running.values == {"mode": "kept"}


async def test_helm_writes_under_its_own_name(installed_release):
    """Otherwise we and the user's helm command would conflict on every field for ever."""
    await installed_release.upgrade("1.1.0")
    deployment = await installed_release.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web")
    managers = {each["manager"] for each in deployment["metadata"]["managedFields"] if not each.get("subresource")}
    assert "helm" in managers
    assert not any("python" in each or "addonry" in each for each in managers)


async def test_a_scaled_deployment_is_a_conflict_that_is_named_and_taken(installed_release):
    component = installed_release
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
    await component.api.patch(path, {"spec": {"replicas": 7}}, kind="merge", params={"fieldManager": "kubectl"})
    judged = await (await component.source()).dry_run(component.placement, component.target("1.1.0"))
    assert judged.conflicts == (("Deployment web spec.replicas", "kubectl"),)
    await component.upgrade("1.1.0")
    assert (await component.api.get(path))["spec"]["replicas"] == 2


async def test_a_release_of_helm_3_stays_client_side_and_its_edits_are_told_all_the_same(installed_release):
    """Helm overwrites them without a word; that its own fields change is no conflict."""
    component = installed_release
    (secret,) = await component.secrets()
    document = document_from_secret(secret)
    del document["apply_method"]
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{secret['metadata']['name']}"
    await component.api.patch(path, {"data": {"release": encode_release(document)}}, kind="merge")
    deployment = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/web"
    await component.api.patch(deployment, {"spec": {"replicas": 7}}, kind="merge", params={"fieldManager": "kubectl"})
    source = await component.source()
    judged = await source.dry_run(component.placement, component.target("1.1.0"))
    assert judged.conflicts == (("Deployment web spec.replicas", "kubectl"),)
    assert (await source.preview(component.placement, component.target("1.1.0"))).mode is Mode.CLIENT_SIDE
    await component.upgrade("1.1.0")
    assert (await component.api.get(deployment))["spec"]["replicas"] == 2
    last = newest(await component.history())
    assert last is not None
    assert (last.status, last.is_server_side) == (ReleaseStatus.DEPLOYED, False)


async def test_an_object_of_somebody_else_stops_the_plan(installed_release):
    """Helm would refuse it in the middle of the upgrade; better to know before."""
    component = installed_release
    files = {**web_files(), "templates/more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: foreign}\n"}
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}}
    await component.api.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", foreign)
    with pytest.raises(HelmFailed, match="foreign"):
        await (await component.source()).dry_run(component.placement, component.target("1.1.0", files=files))


async def test_what_the_server_refuses_is_named_before_anything_is_written(installed_release):
    component = installed_release
    bad = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: Nonsense, ports: [{port: 70000}]}\n"
    target = component.target("1.1.0", files={**web_files(), "templates/service.yaml": bad})
    component.cluster.forget_requests()
    component.cluster.trouble.fail(method="PATCH", path_contains="/services/", status=422)
    with pytest.raises(ClusterRejected, match="Service web"):
        await (await component.source()).dry_run(component.placement, target)
    assert component.writes() == []


async def test_a_webhook_that_cannot_judge_without_storing_does_not_stop_the_plan(installed_release):
    """It says nothing about the object, and the real apply will pass it."""
    component = installed_release
    words = 'admission webhook "sidecar.example.com" does not support dry run'
    status = {"kind": "Status", "status": "Failure", "reason": "BadRequest", "code": 400, "message": words}
    component.cluster.trouble.fail(
        method="PATCH", path_contains="/configmaps/", status=400, body=json.dumps(status).encode()
    )
    judged = await (await component.source()).dry_run(component.placement, component.target("1.1.0"))
    assert judged.objects == 2


async def test_a_chart_is_rendered_for_the_cluster_it_goes_to(installed_release):
    """Helm's offline rendering believes in every API version that its client library knows."""
    component = installed_release
    target = component.target("1.1.0", files={"templates/a.yaml": ASKS})
    (asks,) = objects_of(await (await component.source()).render(component.placement, target))
    assert asks["data"] | {"found": ""} == {
        "version": "v1.36.2",
        "ours": "false",
        "theirs": "false",
        "deployments": "true",
        "old": "false",
        "found": "",
        "upgrade": "true",
    }
    assert '"name":"default"' in asks["data"]["found"]


async def test_a_template_without_end_is_not_the_clusters_fault(installed_release):
    """An unreachable cluster is asked again for ever; a chart that never renders must not be."""
    component = installed_release
    component.settings = replace(component.settings, helm_seconds=1.0)
    target = component.target("1.1.0", files={"templates/a.yaml": ENDLESS})
    with pytest.raises(RenderFailed, match="took longer"):
        await (await component.source()).render(component.placement, target)


async def test_the_one_behind_a_release_is_told_by_its_labels(installed_release):
    """Flux would undo an upgrade at its next turn, so the plan must know of it."""
    component = installed_release
    flux = "metadata: {name: c, labels: {helm.toolkit.fluxcd.io/name: web}}"
    files = {**web_files(), "templates/more.yaml": f"apiVersion: v1\nkind: ConfigMap\n{flux}\n"}
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    before = await source.find(component.placement)
    await source.apply(component.placement, component.target("1.1.0", files=files), task=TASK, snapshot=snapshot)
    after = await source.find(component.placement)
    assert before is not None
    assert after is not None
    assert (before.owner, after.owner) == (Owner.HELM, Owner.FLUX)


async def test_invalid_values_and_broken_templates_are_told_apart(installed_release):
    component = installed_release
    source = await component.source()
    with pytest.raises(ValuesInvalid, match="replicas"):
        await source.render(component.placement, component.target("1.1.0", {"replicas": "many"}))
    broken = component.target("1.1.0", files={"templates/a.yaml": '{{ required "a thing is needed" .Values.thing }}'})
    with pytest.raises(RenderFailed, match="a thing is needed"):
        await source.render(component.placement, broken)


async def test_a_recursing_chart_is_refused_and_nothing_happens(installed_release):
    component = installed_release
    source = await component.source()
    target = component.target("1.1.0", files=RECURSING)
    with pytest.raises(RenderFailed, match="without end"):
        await source.render(component.placement, target)
    assert await component.version() == "1.0.0"


# Helm: going back.


async def test_a_failed_upgrade_goes_back_to_the_recorded_revision(installed_release):
    """Not to the revision before the last: that one has failed."""
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    for task in (TASK, NEXT_TASK):
        component.cluster.trouble.fail(method="PATCH", path_contains="/deployments/", status=422)
        with pytest.raises(AddonryError):
            await source.apply(component.placement, component.target("1.1.0"), task=task, snapshot=snapshot)
    await source.rollback(component.placement, snapshot, task=NEXT_TASK)
    assert await component.version() == "1.0.0"
    last = newest(await component.history())
    assert last is not None
    assert last.description == f"Rollback to {snapshot.revision}"
    assert component.deletions() == []


async def test_a_first_install_that_failed_is_taken_back(api, settings, tmp_path, cluster):
    placement = Placement(SourceKind.HELM, "tools", "web")
    component = Installed(SourceKind.HELM, api, settings, tmp_path, cluster, placement)
    source = await component.source()
    cluster.trouble.fail(method="PATCH", path_contains="/deployments/", status=422)
    with pytest.raises(AddonryError):
        await source.apply(placement, component.target("1.0.0"), task=TASK, snapshot=Snapshot())
    await source.rollback(placement, Snapshot(), task=TASK)
    await source.rollback(placement, Snapshot(), task=TASK)
    assert await source.find(placement) is None
    assert await api.get_or_none("/api/v1/namespaces/tools/configmaps/web-config") is None
    assert await api.get("/api/v1/namespaces/tools")


async def test_what_worked_before_is_never_uninstalled(installed_release):
    """Even when the record of it is missing: no failure path takes away what was there before the task."""
    with pytest.raises(HelmFailed, match="left as it is"):
        await (await installed_release.source()).rollback(installed_release.placement, Snapshot(), task=TASK)
    assert await installed_release.version() == "1.0.0"
    assert installed_release.deletions() == []


async def test_a_revision_that_is_no_longer_stored_cannot_be_brought_back(installed_release):
    with pytest.raises(HelmFailed, match="no longer stored"):
        await (await installed_release.source()).rollback(installed_release.placement, Snapshot(revision=9), task=TASK)


# Helm: clusters that misbehave while Helm works.


@pytest.mark.parametrize("trouble", ["hang", "refuse"])
async def test_a_cluster_that_goes_away_under_helm_ends_in_bounded_time_and_can_be_tried_again(
    installed_release, trouble
):
    component = installed_release
    component.settings = replace(component.settings, helm_seconds=3.0)
    component.api = Api(read_kubeconfig(component.cluster.kubeconfig()), request_seconds=0.5)
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    at_first_write(component.cluster, getattr(component.cluster.trouble, trouble))
    try:
        async with asyncio.timeout(15):
            with pytest.raises(ClusterUnreachable):
                await source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    finally:
        await component.api.close()
    heal(component.cluster)
    component.cluster.trouble.recover()
    component.settings = replace(component.settings, helm_seconds=30.0)
    component.api = Api(read_kubeconfig(component.cluster.kubeconfig()), request_seconds=3.0)
    try:
        source = await component.source()
        await source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
        assert is_settled(await component.history(), "1.1.0")
    finally:
        await component.api.close()


async def test_a_cancelled_upgrade_leaves_no_child_and_can_be_tried_again(installed_release):
    component = installed_release
    source = await component.source()
    snapshot = await source.snapshot(component.placement)
    before = children_of(os.getpid())
    at_first_write(component.cluster, component.cluster.trouble.hang)
    working = asyncio.create_task(
        source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    )
    await asyncio.to_thread(until, lambda: component.cluster.trouble.state == "hanging")
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert children_of(os.getpid()) <= before
    heal(component.cluster)
    component.cluster.trouble.recover()
    await (await component.source()).apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot)
    assert is_settled(await component.history(), "1.1.0")


async def test_two_workers_never_run_helm_on_one_release_at_once(installed_release):
    """Of two Helms at once one would overwrite the other's records."""
    component = installed_release
    snapshot = await (await component.source()).snapshot(component.placement)
    sources = [await component.source() for _ in range(3)]
    calls: list[Awaitable[None]] = [
        source.apply(component.placement, component.target("1.1.0"), task=TASK, snapshot=snapshot) for source in sources
    ]
    await asyncio.gather(*calls)
    history = await component.history()
    assert is_settled(history, "1.1.0")
    assert len(history) == 2


async def test_no_error_of_a_source_holds_a_secret(installed_release):
    component = installed_release
    token = component.cluster.token
    source = await component.source()
    complains = '{{ fail (printf "bad password %s" .Values.password) }}'
    target = component.target("1.1.0", {"password": "hunter2"}, files={"templates/a.yaml": complains})
    with pytest.raises(RenderFailed) as caught:
        await source.render(component.placement, target)
    told = [str(caught.value), repr(caught.value), repr(target), repr(source)]
    assert not any("hunter2" in each or token in each for each in told)


# CRDs.

WIDGETS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""

WIDGET = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\n"
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"


async def test_crds_are_created_updated_and_counted(api, cluster, tmp_path):
    files = {
        **web_files(),
        "crds/widgets.yaml": WIDGETS + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
    }
    crds = crds_of(pack_chart(tmp_path, "web", "1.0.0", files=files), {})
    assert await apply_crds(api, crds, force=True) == 1
    changed = crds_of(
        pack_chart(tmp_path, "web", "1.1.0", files={**files, "crds/widgets.yaml": WIDGETS.replace("widget,", "wid,")}),
        {},
    )
    assert await apply_crds(api, changed, force=True) == 1
    assert (await api.get(CRD_PATH))["spec"]["names"]["singular"] == "wid"
    assert not [each for each in cluster.requests if each.method == "DELETE"]


async def test_a_crd_that_somebody_else_changed_is_taken_over_only_by_force(api, tmp_path):
    crds = crds_of(pack_chart(tmp_path, "web", "1.0.0", files={"crds/widgets.yaml": WIDGETS}), {})
    await apply_crds(api, crds, force=False)
    theirs = {**crds[0], "spec": {**crds[0]["spec"], "scope": "Namespaced", "names": {**crds[0]["spec"]["names"]}}}
    theirs["spec"]["names"]["singular"] = "theirs"
    await api.patch(CRD_PATH, theirs, kind="apply", params={"fieldManager": "kubectl", "force": "true"})
    with pytest.raises(FieldConflict):
        await apply_crds(api, crds, force=False)
    assert await apply_crds(api, crds, force=True) == 1


def widgets(**version):
    """The definition with another first version."""
    (found,) = objects_of(WIDGETS)
    [first] = found["spec"]["versions"]
    return {**found, "spec": {**found["spec"], "versions": [{**first, **version}]}}


async def test_what_would_become_of_crds_is_told_as_the_server_would_have_them(api, cluster):
    [new] = await crd_changes(api, [widgets()])
    assert (new.name, new.before) == ("widgets.example.com", None)
    await apply_crds(api, [widgets()], force=True)
    cluster.forget_requests()
    assert await crd_changes(api, [widgets()]) == (), "defaults of the server are no change"
    [changed] = await crd_changes(api, [widgets(deprecated=True)])
    assert changed.before["status"]["storedVersions"] == ["v1"]
    assert changed.after["spec"]["versions"][0]["deprecated"] is True
    assert all("dryRun=All" in each.query for each in cluster.requests if each.method == "PATCH")


async def test_a_crd_that_a_chart_no_longer_renders_would_be_deleted_by_helm(api):
    """And every object of its kind with it: nothing is worth more being said beforehand."""
    await api.patch(CRD_PATH, widgets(), kind="apply", params={"fieldManager": "helm"})
    [going] = await templated_crd_changes(api, [widgets()], [])
    assert (going.name, going.after) == ("widgets.example.com", None)
    kept = widgets()
    kept["metadata"] = {**kept["metadata"], "annotations": {"helm.sh/resource-policy": "keep"}}
    assert await templated_crd_changes(api, [kept], []) == ()
    [changed] = await templated_crd_changes(api, [widgets()], [widgets(deprecated=True)])
    assert changed.after["spec"]["versions"][0]["deprecated"] is True
    assert await templated_crd_changes(api, [widgets()], [widgets()]) == ()


async def test_objects_of_a_kind_that_comes_with_the_chart_do_not_stop_the_plan(installed_release):
    component = installed_release
    with_crd = {**web_files(), "crds/widgets.yaml": WIDGETS, "templates/widget.yaml": WIDGET}
    judged = await (await component.source()).dry_run(component.placement, component.target("1.1.0", files=with_crd))
    assert judged.objects == 3
    without = {**web_files(), "templates/widget.yaml": WIDGET}
    with pytest.raises(ClusterRejected, match="Widget one"):
        await (await component.source()).dry_run(component.placement, component.target("1.1.1", files=without))


@pytest.mark.parametrize(
    ("dependency", "values", "is_on"),
    [
        ({}, {}, True),
        ({"condition": "sub.enabled"}, {}, False),
        ({"condition": "sub.enabled"}, {"sub": {"enabled": True}}, True),
        ({"condition": "other.enabled,sub.enabled"}, {"other": {"enabled": True}}, True),
        ({"condition": "sub.enabled", "tags": ["extra"]}, {"tags": {"extra": True}}, False),
        ({"tags": ["extra"]}, {"tags": {"extra": False}}, False),
        ({"tags": ["extra", "more"]}, {"tags": {"extra": False, "more": True}}, True),
        ({"alias": "renamed", "condition": "renamed.enabled"}, {"renamed": {"enabled": False}}, False),
    ],
)
def test_the_crds_of_a_subchart_come_only_when_it_is_on(tmp_path, dependency, values, is_on):
    """Nothing removes a CRD again, so one that nobody wants must not be made."""
    parent = {"name": "web", "dependencies": [{"name": "sub", "version": "1.0.0", **dependency}]}
    files = {
        "Chart.yaml": json.dumps(parent),
        "values.yaml": "sub: {enabled: false}\n",
        "crds/a.yaml": WIDGETS,
        "charts/sub/Chart.yaml": '{"name": "sub"}',
        "charts/sub/crds/b.yaml": WIDGETS.replace("widgets.", "others."),
    }
    archive = pack_chart(tmp_path, "web", "1.0.0", files=files)
    names = [each["metadata"]["name"] for each in crds_of(archive, values)]
    assert names == (["others.example.com"] if is_on else []) + ["widgets.example.com"]


def test_an_archive_that_cannot_be_read_has_no_crds(tmp_path):
    junk = tmp_path / "junk.tgz"
    junk.write_bytes(b"no archive")
    with pytest.raises(RenderFailed, match="cannot be read"):
        crds_of(junk, {})


# Manifests.


def test_manifests_are_read_as_kubernetes_reads_them():
    """Dates and ports like 53:53 are numbers and dates in YAML 1.1, and text for Go's readers."""
    (found,) = objects_of(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {day: 2026-11-23, map: 53:53, n: 7, half: 0.5}\n"
    )
    assert found["data"] == {"day": "2026-11-23", "map": "53:53", "n": 7, "half": 0.5}


def test_an_object_whose_name_the_server_makes_up_is_passed_over():
    assert objects_of("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-}\n") == ()


def test_the_members_of_a_list_are_objects_of_their_own():
    text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n---\n# nothing\n"
    assert [each["metadata"]["name"] for each in objects_of(text)] == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "just words",
        "kind: Secret",
        "{apiVersion: v1, kind: Secret, metadata: {}}",
        "!!python/object:os.system {}",
    ],
)
def test_what_is_no_object_does_not_render(text):
    with pytest.raises(RenderFailed):
        objects_of(text)


def test_aliases_that_unfold_without_bound_are_refused():
    rows = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: bomb}", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(RenderFailed, match="unfolds"):
        objects_of("\n".join(rows))
