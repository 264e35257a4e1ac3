"""``python -m bench``: each budget of the design that this release has something to show for."""

import asyncio
import http.client
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from addonry.gateway.signing import sign_request
from addonry.simulator import Simulator
from addonry.simulator.charts import ChartRepository, find_charts, pack
from bench.clusters import bench_clusters
from bench.engine import bench_moves, bench_restart, bench_tasks
from bench.measure import cpu_of_command, cpu_seconds, python, resident_mib, seconds
from bench.scan import bench_scan
from tests.scenario.test_first_upgrade import finished, ready, register, upgrade
from tests.support.helm import helm
from tests.support.sdk import sdk
from tests.support.service import Service

REQUESTS = 6_000
CONNECTIONS = 16

QUIET = {"ADDONRY_SCAN_SECONDS": "600", "ADDONRY_REQUESTS_PER_SECOND": "100000"}
"""No scans in between, and one key may ask as often as the machine can answer."""


def demo_charts() -> ChartRepository:
    """The demo's charts, served beside the clusters."""
    return ChartRepository(pack(find_charts()))


def tell(what: str, figure: str, budget: str) -> None:
    """One row of the report."""
    print(f"{what:<46} {figure:<40} budget: {budget}", flush=True)


def bench_help() -> None:
    """``addonry --help``."""
    own = cpu_of_command(python("-m", "addonry", "--help"))
    bare = cpu_of_command(python("-c", "pass"))
    tell("addonry --help", f"{own * 1000:.0f} ms CPU ({own / bare:.1f} x bare Python)", "60 ms CPU")


def bench_serve() -> None:
    """``addonry serve``: ready, and idle."""
    with tempfile.TemporaryDirectory() as folder:
        first = Service(Path(folder) / "data", {"ADDONRY_CHART_MIRROR": "http://127.0.0.1:9/none"})
        with first:
            pass
        ready = seconds(first.start)
        time.sleep(3)
        before = cpu_seconds(first.pid)
        time.sleep(20)
        share = (cpu_seconds(first.pid) - before) / 20
        memory = resident_mib(first.pid)
        first.end()
    tell("addonry serve, ready", f"{ready:.2f} s", "1.5 s")
    tell("addonry serve, idle", f"{memory:.0f} MiB, {share * 100:.1f} % of a core", "120 MiB, 1.5 %")


def _cpu_per_request(pid: int, host: str, requests: list[tuple[str, dict[str, str]]]) -> float:
    """The server's CPU seconds for each request, with so many connections that it is never idle in between."""
    warming, counted = requests[: len(requests) // 10], requests[len(requests) // 10 :]
    asyncio.run(_send_all(host, warming))
    before = cpu_seconds(pid)
    asyncio.run(_send_all(host, counted))
    return (cpu_seconds(pid) - before) / len(counted)


async def _send_all(host: str, requests: list[tuple[str, dict[str, str]]]) -> None:
    left = iter(requests)
    await asyncio.gather(*(_send_in_turn(host, left) for _ in range(CONNECTIONS)))


async def _send_in_turn(host: str, requests: Iterator[tuple[str, dict[str, str]]]) -> None:
    address, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    for path, headers in requests:
        lines = "".join(f"{name}: {value}\r\n" for name, value in {"host": host, **headers}.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]))
    writer.close()


def bench_status() -> None:
    """A signed status read from the store, against a raw ASGI answer of the same size."""
    with Simulator(clusters=1, charts=demo_charts(), speed=10.0) as simulator, tempfile.TemporaryDirectory() as folder:
        repository = f"{simulator.url}/charts"
        cluster = simulator.cluster("sim-1")
        helm(cluster.kubeconfig(), "install", "coredns", "coredns", chart_repo_url=repository, chart_version="1.43.0")
        environment = {"ADDONRY_CHART_MIRROR": repository, **QUIET}
        with Service(Path(folder) / "data", environment) as service:
            key, secret = service.root_key
            cluster_id = register(sdk(service.host, service.root_key), cluster.kubeconfig())
            path = f"/clusters/{cluster_id}/components/upgradestatus"

            def signed() -> dict[str, str]:
                return sign_request(
                    *("GET", path, {"host": service.host}, b""),
                    key_id=key,
                    secret=secret,
                    now=datetime.now(UTC),
                    nonce=uuid4().hex,
                )

            connection = http.client.HTTPConnection(service.host)
            connection.request("GET", path, headers=signed())
            size = len(connection.getresponse().read())
            connection.close()
            own = _cpu_per_request(service.pid, service.host, [(path, signed()) for _ in range(REQUESTS)])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        floor = subprocess.Popen(python("-m", "bench.raw_asgi", str(size), str(port)))
        try:
            _await_port(port)
            raw = _cpu_per_request(floor.pid, f"127.0.0.1:{port}", [("/", {})] * REQUESTS)
        finally:
            floor.terminate()
            floor.wait()
    figure = f"{own / raw:.1f} x raw ASGI ({own * 1e6:.0f} us, {size} bytes)"
    tell("signed status read", figure, "4 x")


def _await_port(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)


def bench_upgrade() -> None:
    """An upgrade through the service, against Helm itself with wait, in turn on the same cluster."""
    pairs: list[tuple[float, float]] = []
    with Simulator(clusters=8, charts=demo_charts(), speed=1.0) as simulator, tempfile.TemporaryDirectory() as folder:
        repository = f"{simulator.url}/charts"
        environment = {"ADDONRY_CHART_MIRROR": repository, **QUIET}

        def act(cluster, operation: str, version: str) -> None:
            helm(
                *(cluster.kubeconfig(), operation, "metrics-server", "metrics-server"),
                chart_repo_url=repository,
                chart_version=version,
                wait="watcher",
                timeout=60,
            )

        with Service(Path(folder) / "data", environment) as service:
            client = sdk(service.host, service.root_key)
            for turn in range(4):
                ours, bare = simulator.cluster(f"sim-{2 * turn + 1}"), simulator.cluster(f"sim-{2 * turn + 2}")
                for cluster in (ours, bare):
                    act(cluster, "install", "3.12.1")
                cluster_id = register(client, ours.kubeconfig(), ours.name)
                ready(client, cluster_id, "metrics-server")

                def through_service(cluster_id: str = cluster_id) -> None:
                    upgrade(client, cluster_id, "metrics-server", "3.13.0")
                    finished(client, cluster_id, "metrics-server")

                pairs.append((seconds(through_service), seconds(lambda bare=bare: act(bare, "upgrade", "3.13.0"))))
    own, bare = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    tell("an upgrade", f"{ratio:.2f} x Helm with wait ({own:.1f} s against {bare:.1f} s)", "1.15 x")


def bench_throughput() -> None:
    """Upgrades of one component on many clusters at once."""
    count = 12
    with (
        Simulator(clusters=count, charts=demo_charts(), speed=20.0) as simulator,
        tempfile.TemporaryDirectory() as folder,
    ):
        repository = f"{simulator.url}/charts"
        first = simulator.cluster("sim-1")
        helm(
            *(first.kubeconfig(), "install", "metrics-server", "metrics-server"),
            chart_repo_url=repository,
            chart_version="3.12.1",
            wait="watcher",
            timeout=60,
        )
        for number in range(2, count + 1):
            copy = simulator.cluster(f"sim-{number}")
            simulator.call(lambda copy=copy: copy.load(first.export()))
        environment = {"ADDONRY_CHART_MIRROR": repository, **QUIET}
        with Service(Path(folder) / "data", environment) as service:
            client = sdk(service.host, service.root_key)
            ids = [
                register(client, simulator.cluster(f"sim-{number}").kubeconfig(), f"sim-{number}")
                for number in range(1, count + 1)
            ]

            for cluster_id in ids:
                ready(client, cluster_id, "metrics-server")

            def all_at_once() -> None:
                for cluster_id in ids:
                    upgrade(client, cluster_id, "metrics-server", "3.13.0")
                for cluster_id in ids:
                    assert finished(client, cluster_id, "metrics-server")["tasks"]["status"] == "Success"

            took = seconds(all_at_once)
    tell(
        "upgrades at once", f"{count / took:.1f} a second ({count} in {took:.1f} s, simulators included)", "4 a second"
    )


BENCHES: dict[str, Callable[[], None]] = {
    "help": bench_help,
    "serve": bench_serve,
    "status": bench_status,
    "upgrade": bench_upgrade,
    "throughput": bench_throughput,
    "tasks": lambda: bench_tasks(tell),
    "moves": lambda: bench_moves(tell),
    "restart": lambda: bench_restart(tell),
    "scan": lambda: bench_scan(tell),
    "clusters": lambda: bench_clusters(tell),
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in wanted if name not in BENCHES]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are {', '.join(BENCHES)}")
    for name in wanted:
        BENCHES[name]()
