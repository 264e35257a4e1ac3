"""The demo's story: parts that do something and prove that it came true.

A proof asks the cluster itself, or Helm's history on it, never the service whose claim it checks. To add a part: a
method of ``Story`` and its row in ``PARTS``.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from addonry.cli.child_service import ChildService
from addonry.cli.client import segment
from addonry.cli.commands.scan import table_of
from addonry.cli.commands.simulate import Clusters
from addonry.cli.commands.status import OPERATION, read_status, status_table
from addonry.cli.errors import Failed
from addonry.cli.output import print_table
from addonry.cli.plain_api import PlainApi
from addonry.cli.progress import SUCCESSES, follow, is_paused_canary
from addonry.cli.session import Session
from addonry.cli.values import present_values

CLUSTER: Final = "sim-1"
UPGRADED: Final = {"metrics-server": "3.13.0", "coredns": "v1.13.1", "ingress-nginx": "4.13.3"}
RELEASES: Final = {"metrics-server": "kube-system", "ingress-nginx": "ingress-nginx"}
"""Of those, the ones that Helm installed, and where."""
BROKEN: Final = ("node-problem-detector", "2.3.15", "2.3.14")
"""Component, the version that is broken on purpose, and the one that runs."""
TRIED: Final = ("metrics-server", "150m", 2)
"""Component, the CPU that its pods are made to ask for, and how many there are to be: of one, nothing could be held."""
WORKLOADS: Final = ("/deployments/", "/daemonsets/", "/statefulsets/")


class NotTrue(Failed):
    """A part of the story did not come true."""

    def __init__(self, part: str, claim: str, seen: object = "") -> None:
        super().__init__(
            f"The demo's part {part!r} did not come true: {claim}.", remedy=f"Seen: {seen}" if seen else ""
        )


@dataclass(slots=True)
class Story:
    """The setting, and what has happened so far."""

    clusters: Clusters
    service: ChildService
    began: float = field(default_factory=time.monotonic)
    part: str = ""
    cluster_id: str = ""
    task: str = ""
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The service that runs now."""
        assert self._session is not None, "the parts before have started it"
        return self._session

    @property
    def api(self) -> PlainApi:
        """The cluster of the story, asked directly."""
        return PlainApi(self.clusters.kubeconfigs[CLUSTER].read_text())

    def tell(self) -> None:
        """All parts, in order. Raises NotTrue, and what the service and the clusters raise."""
        for number, (title, part) in enumerate(PARTS, 1):
            self.part = title
            click.secho(f"\n{number}. {title}  ({time.monotonic() - self.began:.0f} s)", bold=True)
            part(self)

    def claim(self, what: str, holds: bool, seen: object = "") -> None:
        """Say what is true now; raises NotTrue when it is not."""
        if not holds:
            raise NotTrue(self.part, what, seen)
        click.echo(f"   ok: {what}")

    # The parts

    def scan(self) -> None:
        """Look at a cluster without any service."""
        kubeconfig = self.clusters.kubeconfigs[CLUSTER]
        command = ["scan", "--kubeconfig", str(kubeconfig), "--chart-mirror", self.clusters.charts]
        click.echo(f"   $ addonry {' '.join(command)}")
        ended = subprocess.run(
            [sys.executable, "-m", "addonry", *command, "-o", "json"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if ended.returncode:
            raise Failed(ended.stderr.removeprefix("Error: "))
        told = json.loads(ended.stdout)
        print_table(table_of(told))
        targets = {each["name"]: each["target"] for each in told["components"]}
        expected = {**UPGRADED, BROKEN[0]: BROKEN[1]}
        self.claim("the scan found four components and a newer version for each", targets == expected, targets)
        owners = {each["name"]: each["source"] for each in told["components"]}
        self.claim("CoreDNS was found as a plain workload, the others as Helm releases", _sources(owners), owners)

    def register(self) -> None:
        """Start the service and register the clusters."""
        self._session = self.service.start()
        click.echo(f"   addonry serve: {self.session.client.address}")
        for name, kubeconfig in self.clusters.kubeconfigs.items():
            body = {"name": name, "cluster_type": "ExternalKubernetes", "kubeconfig": kubeconfig.read_text()}
            accepted = self.session.client.post("/clusters", body, action="CreateCluster")
            click.echo(f"   registered {name} as {accepted['cluster_id']}")
        # The charts' repository is read in the background; the story needs it now.
        self.session.client.post("/addonry/v1/catalog/sync")
        self.cluster_id = self.session.cluster_id(CLUSTER)
        known = {each["name"] for each in self.session.clusters()}
        self.claim("every cluster is registered", known == set(self.clusters.kubeconfigs), known)

    def status(self) -> None:
        """The call that Addonry exists for."""
        self._rescan()
        told = read_status(self.session, self.cluster_id, ())
        print_table(status_table(self.session, self.cluster_id, (), told))
        ready = {name: told[name]["addon_info"]["ready_to_upgrade"] for name in UPGRADED}
        self.claim("three components are ready to upgrade", set(ready.values()) == {"true"}, ready)

    def upgrade_and_kill(self) -> None:
        """Upgrade three components as one task, and kill the service while it rolls out."""
        self.clusters.simulator.cluster(CLUSTER).forget_requests()
        self.task = self._upgrade(dict.fromkeys(UPGRADED, ""))
        click.echo(f"   task {self.task}")
        told = follow(self.session, self.task, until=_is_rolling_out)
        self.claim("the task is in the middle of a rollout", told["state"] == "running", told["state"])
        pid = self.service.pid
        self.service.kill()
        click.echo(f"   kill -9 {pid}")

    def recover(self) -> None:
        """Start the service again, and watch it finish what it began."""
        self._session = self.service.start()
        click.echo(f"   addonry serve: {self.session.client.address}")
        told = follow(self.session, self.task)
        self.claim("the task was taken up and ended well", told["state"] in SUCCESSES, told.get("error"))
        for name, namespace in RELEASES.items():
            history = self.api.history(namespace, name)
            deployed = [each.chart_version for each in history if each.status == "deployed"]
            what = f"Helm has one deployed revision of {name}, {UPGRADED[name]}"
            self.claim(what, deployed == [UPGRADED[name]], history)
            numbers = [each.number for each in history]
            self.claim(f"nothing was applied twice: {name} has two revisions", numbers == [1, 2], history)
        image = _first_image(self.api.get("/apis/apps/v1/namespaces/kube-system/deployments/coredns"))
        what = f"the Deployment coredns runs the image tag {UPGRADED['coredns']}"
        self.claim(what, image.endswith(f":{UPGRADED['coredns']}"), image)
        self.claim("no workload was deleted on the way", not self._deleted(), self._deleted())

    def try_on_first_pods(self) -> None:
        """Give a component other values, on its first pods only; look at the cluster, and let it go on."""
        name, cpu, replicas = TRIED
        present = present_values(self.session, self.cluster_id, name)
        wanted = {**present, "resources": {"requests": {"cpu": cpu}}, "replicas": replicas}
        body = [{"name": name, "config": json.dumps(wanted), "canary": True}]
        path = f"/addonry/v1/clusters/{segment(self.cluster_id)}/configure"
        self.task = str(self.session.client.post(path, body)["task_id"])
        click.echo(f"   task {self.task}: {name} is to run {replicas} pods, each with {cpu} CPU")
        told = follow(self.session, self.task, until=is_paused_canary)
        self.claim("the task is paused after the first pods", is_paused_canary(told), told["state"])
        deployment = f"/apis/apps/v1/namespaces/{RELEASES[name]}/deployments/{name}"
        status = self.api.get(deployment)["status"]
        both = 0 < status.get("updatedReplicas", 0) < status["replicas"]
        self.claim("a pod with the old values is still there beside the new one", both, status)
        self.session.client.post(f"/tasks/{segment(self.task)}/resume", action="ResumeTask")
        click.echo(f"   addonry resume {self.task}")
        told = follow(self.session, self.task)
        self.claim("the task went on and ended well", told["state"] in SUCCESSES, told.get("error"))
        now = self.api.get(deployment)
        asked = now["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        status = now["status"]
        done = asked == cpu and status.get("updatedReplicas") == status["replicas"]
        self.claim(f"every pod of {name} asks for {cpu} CPU, and none is left of before", done, status)

    def break_and_roll_back(self) -> None:
        """Upgrade to a version whose image cannot be pulled."""
        name, version, before = BROKEN
        self.task = self._upgrade({name: version})
        click.echo(f"   task {self.task}: {name} {before} -> {version}, which is broken on purpose")
        told = follow(self.session, self.task)
        error = told.get("error") or {}
        click.echo(f"   {error.get('code')}: {error.get('message')}")
        self.claim("the task failed and names the reason", told["state"] == "fail" and bool(error.get("code")), error)
        history = self.api.history("kube-system", name)
        last = history[-1]
        rolled_back = (last.status, last.chart_version) == ("deployed", before) and last.number > 2
        self.claim(f"Helm's newest revision of {name} is deployed, and is {before} again", rolled_back, history)
        status = self.api.get(f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}")["status"]
        healthy = (
            status.get("numberReady") == status.get("desiredNumberScheduled") == status.get("updatedNumberScheduled")
        )
        self.claim("every pod of it runs the old version and is ready", healthy, status)
        self.claim("no workload was deleted on the way", not self._deleted(), self._deleted())

    def answer(self) -> None:
        """DescribeClusterAddonsUpgradeStatus, in JSON and in XML."""
        self._rescan()
        names = (*UPGRADED, BROKEN[0])
        path = f"/clusters/{segment(self.cluster_id)}/components/upgradestatus"
        query = {"componentIds": json.dumps(list(names))}
        click.echo(f"   GET {path}?componentIds={query['componentIds']}")
        told = read_status(self.session, self.cluster_id, names)
        click.echo(json.dumps(told, indent=2))
        text = self.session.client.get_xml(path, query, action=OPERATION)
        click.echo(text)
        statuses = {name: each["tasks"]["status"] for name, each in told.items()}
        expected = {**dict.fromkeys(UPGRADED, "Success"), BROKEN[0]: "Failed"}
        self.claim("three upgrades are told as Success, the broken one as Failed", statuses == expected, statuses)
        versions = {name: each["addon_info"]["version"] for name, each in told.items()}
        now = {**UPGRADED, BROKEN[0]: BROKEN[2]}
        self.claim("the versions told are those that run", versions == now, versions)
        self.claim("the XML says the same", f"<{OPERATION}Response>" in text and all(each in text for each in names))

    # What they need

    def _rescan(self) -> None:
        self.session.client.post(f"/addonry/v1/clusters/{segment(self.cluster_id)}/scan")

    def _upgrade(self, versions: dict[str, str]) -> str:
        body = [{"component_name": name, "next_version": version} for name, version in versions.items()]
        path = f"/clusters/{segment(self.cluster_id)}/components/upgrade"
        return str(self.session.client.post(path, body, action="UpgradeClusterAddons")["task_id"])

    def _deleted(self) -> list[str]:
        seen = self.clusters.simulator.cluster(CLUSTER).requests
        return [each.path for each in seen if each.method == "DELETE" and any(part in each.path for part in WORKLOADS)]


PARTS: Final[tuple[tuple[str, Callable[[Story], None]], ...]] = (
    ("Scan a cluster, with no service and nothing written", Story.scan),
    ("Start the service and register the clusters", Story.register),
    ("Ask for the status", Story.status),
    ("Upgrade three components, and kill the service half-way", Story.upgrade_and_kill),
    ("Start it again, and watch it finish", Story.recover),
    ("Try other values on the first pods only, look, and go on", Story.try_on_first_pods),
    ("Upgrade to a broken version, which rolls itself back", Story.break_and_roll_back),
    ("DescribeClusterAddonsUpgradeStatus in JSON and XML", Story.answer),
)


@contextlib.contextmanager
def setting(folder: Path, *, clusters: int) -> Iterator[Story]:
    """Simulated clusters and a service that is not started yet; both are gone afterwards."""
    from addonry.cli.commands.simulate import run_clusters

    with run_clusters(clusters, out=folder / "clusters") as running:
        # A stalled rollout is given up after five seconds instead of twenty, so that nobody has to wait for it.
        environment = {"ADDONRY_STALL_SECONDS": "5", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        service = ChildService(folder / "data", chart_mirror=running.charts, environment=environment)
        try:
            yield Story(running, service)
        finally:
            service.stop()


def _is_rolling_out(told: dict[str, Any]) -> bool:
    return told.get("current_stage") == "rollout"


def _sources(owners: dict[str, str]) -> bool:
    return owners.get("coredns") == "workload" and all(owners.get(name) == "helm" for name in (*RELEASES, BROKEN[0]))


def _first_image(workload: dict[str, Any]) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])
