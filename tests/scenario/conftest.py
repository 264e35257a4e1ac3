"""A simulated cluster on which somebody has already installed things with Helm, and the service as a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from addonry.simulator import SimulatedCluster, Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.support.helm import helm
from tests.support.recorder import deletions
from tests.support.sdk import sdk
from tests.support.service import Service


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Two clusters and the demo's chart repository, with time running fast."""
    with Simulator(clusters=2, charts=ChartRepository(pack(find_charts())), speed=10.0) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_deleted(request: pytest.FixtureRequest, simulator: Simulator) -> Iterator[None]:
    """No workload, CRD or namespace is ever deleted, but of components that a test has marked ``uninstalls``."""
    yield
    marker = request.node.get_closest_marker("uninstalls")
    assert deletions(simulator.clusters, asked=marker.args if marker else ()) == []


@pytest.fixture
def cluster(simulator: Simulator) -> SimulatedCluster:
    """The first of the clusters, still empty."""
    return simulator.cluster("sim-1")


@pytest.fixture
def chart_repository(simulator: Simulator) -> str:
    """Where the demo's charts are served."""
    return f"{simulator.url}/charts"


@pytest.fixture
def service(tmp_path: Path, chart_repository: str) -> Iterator[Service]:
    """A running service that takes its charts from the demo's repository."""
    environment = {
        "ADDONRY_CHART_MIRROR": chart_repository,
        "ADDONRY_SCAN_SECONDS": "2",
        "ADDONRY_STALL_SECONDS": "2",
        "ADDONRY_REQUEST_SECONDS": "3",
    }
    with Service(tmp_path / "data", environment) as running:
        yield running


@pytest.fixture
def client(service: Service):
    """The official SDK with the root key."""
    return sdk(service.host, service.root_key)


@pytest.fixture
def install(cluster: SimulatedCluster, chart_repository: str):
    """Install a chart the way somebody without Addonry does, and wait for its pods."""

    def run(name: str, version: str, namespace: str = "kube-system", **values: object) -> None:
        helm(
            cluster.kubeconfig(),
            "install",
            name,
            name,
            values,
            namespace=namespace,
            chart_repo_url=chart_repository,
            chart_version=version,
            wait="watcher",
            timeout=30,
            create_namespace=True,
        )

    return run
