"""How the texts are made: each population at Kubernetes 1.32, with the versions of `index.yaml` on offer, at a fixed moment."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from addonry.app import catalog_settings
from addonry.catalogs import MemoryShelf, open_catalog
from addonry.cli.commands.scan import _told, table_of
from addonry.cli.output import aligned, plain
from addonry.kube import KubeSettings, open_cluster
from addonry.lifecycle.discover import scan_once
from addonry.settings import load_settings
from addonry.simulator import Simulator

HERE = Path(__file__).parent
KUBERNETES = "1.32"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Index:
    """A repository that lists its versions and has no archive of any."""

    body: bytes

    def respond(self, path: str, _headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        if path == "index.yaml":
            return 200, {"Content-Type": "application/yaml"}, self.body
        return 404, {}, b""


@contextmanager
def populations() -> Iterator[Simulator]:
    """A simulator that can make clusters of every population."""
    with Simulator(clusters=0, charts=Index((HERE / "index.yaml").read_bytes())) as running:
        yield running


def scan(simulator: Simulator, population: str, folder: Path) -> str:
    """The text of one population."""
    cluster = simulator.add(population, snapshot=simulator.template(population, KUBERNETES))
    settings = load_settings({}, chart_mirror=f"{simulator.url}/charts")

    async def look() -> str:
        live = open_cluster(cluster.kubeconfig(), KubeSettings(work_directory=folder))
        catalog = open_catalog(catalog_settings(settings, None), MemoryShelf(), now=lambda: NOW)
        try:
            seen = await scan_once(live, catalog, name=population, now=NOW)
            table = table_of(_told(seen, dict(catalog.problems()), ""), wide=True)
        finally:
            await live.close()
            await catalog.close()
        lines = [*(aligned(table.columns, table.rows) if table.rows else [table.empty]), *map(plain, table.notes)]
        return "\n".join(lines) + "\n"

    return asyncio.run(look())
