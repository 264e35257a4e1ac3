"""The demo's Helm releases: its charts at older versions, installed by the same Helm that installs everything else.

Everything that is no release of them is data of the simulator (``simulator.populations``). To add one: a row in RELEASES.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Protocol

from addonry.cli.errors import Failed
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


async def populate(kubeconfig: str, charts: Charts) -> None:
    """Install the releases, and return once all of them are ready. Raises the errors of ``kube``, and Failed."""
    with TemporaryDirectory(prefix="addonry-") as folder:
        live = open_cluster(kubeconfig, KubeSettings(work_directory=Path(folder)))
        try:
            for release in RELEASES:
                await _install(live, release, charts.find(release.name, release.version), Path(folder))
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(_ready(live, release.placement) for release in RELEASES))
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
