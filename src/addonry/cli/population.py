"""What a simulated cluster starts with: the demo's components at older versions, as people have them.

Three come as Helm releases, installed by the same Helm that installs everything else; CoreDNS comes as the plain
workload that kubeadm leaves. To add one: a row in RELEASES, or objects in ``_plain_objects``.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol

from addonry.cli.errors import Failed
from addonry.cli.plain_api import PlainApi
from addonry.kube import KubeSettings, LiveCluster, Target, open_cluster
from addonry.model.catalog import ChartArchive, Offer
from addonry.model.components import Health, Placement, SourceKind
from addonry.model.ids import ComponentName, TaskId, Version
from addonry.model.tasks import Snapshot

READY_SECONDS: Final = 60.0


class Chart(Protocol):
    """One packed chart (``simulator.charts.PackedChart``)."""

    @property
    def app_version(self) -> str: ...
    @property
    def kubernetes(self) -> str: ...
    @property
    def archive(self) -> bytes: ...
    @property
    def digest(self) -> str: ...
    @property
    def file(self) -> str: ...


class Charts(Protocol):
    """Packed charts by name and version (``simulator.charts.PackedCharts``)."""

    def find(self, name: str, version: str) -> Chart:
        """Raises when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Release:
    """A Helm release to install."""

    name: str
    namespace: str
    version: str

    @property
    def placement(self) -> Placement:
        """Where it lives."""
        return Placement(SourceKind.HELM, self.namespace, self.name)


RELEASES: Final = (
    Release("metrics-server", "kube-system", "3.12.1"),
    Release("ingress-nginx", "ingress-nginx", "4.12.1"),
    Release("node-problem-detector", "kube-system", "2.3.14"),
)

COREDNS: Final = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
COREDNS_IMAGE: Final = "registry.k8s.io/coredns/coredns:v1.12.0"


async def populate(kubeconfig: str, charts: Charts) -> None:
    """Install everything, and return once all of it is ready. Raises the errors of ``kube``, and Failed."""
    await asyncio.to_thread(_create_all, kubeconfig, list(_plain_objects()))
    with TemporaryDirectory(prefix="addonry-") as folder:
        live = open_cluster(kubeconfig, KubeSettings(work_directory=Path(folder)))
        try:
            for release in RELEASES:
                await _install(live, release, charts.find(release.name, release.version), Path(folder))
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(_ready(live, each) for each in (*(one.placement for one in RELEASES), COREDNS)))
        except TimeoutError:
            raise Failed("The simulated components did not become ready in time.", remedy="Try again.") from None
        finally:
            await live.close()


async def _install(live: LiveCluster, release: Release, chart: Chart, folder: Path) -> None:
    path = folder / chart.file
    path.write_bytes(chart.archive)
    offer = Offer(
        component=ComponentName(release.name),
        version=Version(release.version),
        app_version=chart.app_version,
        kubernetes=chart.kubernetes,
        url=path.as_uri(),
        digest=chart.digest,
    )
    target = Target(offer.version, ChartArchive(offer, path, chart.digest), values={})
    await live.apply(release.placement, target, task=TaskId("population"), snapshot=Snapshot())


async def _ready(live: LiveCluster, placement: Placement) -> None:
    async for look in live.follow_rollout(placement):
        if look.health is Health.CURRENT:
            break
        if look.health is Health.FAILED:
            raise Failed(f"{placement.name} did not become ready: {look.note}", remedy="Try again.")
    # An APIService answers a moment after its pods do, and nobody can be told when.
    while (await live.assess_health(placement)).health is not Health.CURRENT:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.1)


# The plain workload


def _plain_objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and object, in the order in which they are created."""
    for namespace in sorted({release.namespace for release in RELEASES} - {"kube-system"}):
        yield "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    core, labels = "/api/v1/namespaces/kube-system", {"k8s-app": "kube-dns"}
    yield (
        f"{core}/serviceaccounts",
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
        },
    )
    yield (
        f"{core}/configmaps",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "coredns", "namespace": "kube-system"},
            "data": {
                "Corefile": ".:53 {\n    errors\n    health\n    ready\n    kubernetes cluster.local\n    cache 30\n}\n"
            },
        },
    )
    yield (
        f"{core}/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                ],
            },
        },
    )
    container = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    yield (
        "/apis/apps/v1/namespaces/kube-system/deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "coredns", "namespace": "kube-system", "labels": labels},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": "coredns",
                        "containers": [container],
                        "volumes": [{"name": "config-volume", "configMap": {"name": "coredns"}}],
                    },
                },
            },
        },
    )


def _create_all(kubeconfig: str, objects: list[tuple[str, dict[str, Any]]]) -> None:
    api = PlainApi(kubeconfig)
    for path, body in objects:
        api.create(path, body)
