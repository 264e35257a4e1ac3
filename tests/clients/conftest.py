"""The clients that people have, against a running service: one service for each module, a fresh cluster for each test."""

import itertools
from collections.abc import Iterator

import pytest

from addonry.simulator import SimulatedCluster, Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.scenario.conftest import install
from tests.support.recorder import deletions
from tests.support.sdk import sdk
from tests.support.service import Service

__all__ = ["install"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One cluster, and more as tests want them; time runs fast."""
    with Simulator(clusters=1, charts=ChartRepository(pack(find_charts())), speed=10.0) as running:
        yield running


@pytest.fixture(scope="module")
def asked() -> set[str]:
    """The components that tests of the module have asked to go."""
    return set()


@pytest.fixture(autouse=True)
def nothing_is_deleted(request: pytest.FixtureRequest, simulator: Simulator, asked: set[str]) -> Iterator[None]:
    """No workload, CRD or namespace is ever deleted, but of components that a test has marked ``uninstalls``."""
    marker = request.node.get_closest_marker("uninstalls")
    asked.update(marker.args if marker else ())
    yield
    assert deletions(simulator.clusters, asked=tuple(asked)) == []


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Of the clusters."""
    return itertools.count(2)


@pytest.fixture
def cluster(simulator: Simulator, numbers: Iterator[int]) -> SimulatedCluster:
    """A cluster of the test's own, still empty."""
    return simulator.add(f"client-{next(numbers)}")


@pytest.fixture(scope="module")
def chart_repository(simulator: Simulator) -> str:
    """Where the demo's charts are served."""
    return f"{simulator.url}/charts"


@pytest.fixture(scope="module")
def environment(chart_repository: str) -> dict[str, str]:
    """How services are started."""
    return {
        "ADDONRY_CHART_MIRROR": chart_repository,
        "ADDONRY_SCAN_SECONDS": "2",
        "ADDONRY_STALL_SECONDS": "2",
        "ADDONRY_REQUEST_SECONDS": "3",
        "ADDONRY_REQUESTS_PER_SECOND": "100000",
    }


@pytest.fixture(scope="module")
def service(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service that takes its charts from the demo's repository."""
    with Service(tmp_path_factory.mktemp("service") / "data", environment) as running:
        yield running
        assert "Traceback" not in running.log()


@pytest.fixture(scope="module")
def client(service: Service):
    """The official SDK with the root key."""
    return sdk(service.host, service.root_key)
