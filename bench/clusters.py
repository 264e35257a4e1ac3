"""What simulated clusters cost: memory while idle and after they were asked, time to start, and single requests.

A cluster with 20 components is a copy of the population `platform`: 16 Helm releases, and four components of kubeadm,
Flux and Argo CD, in some 220 objects. A scan of it names the 20.
"""

import gc
import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from addonry.simulator import Simulator
from bench.measure import resident_mib

COPIES = 1_000
POPULATION = ("platform", "1.32")
ASKED = ("/version", "/api", "/apis", "/openapi/v3", "/api/v1/pods", "/apis/apps/v1/deployments", "/api/v1/secrets")
"""What a scan and a first Helm command ask of a cluster, as far as it leaves something behind."""
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


Tell = Callable[[str, str, str], None]


def bench_clusters(tell: Tell) -> None:
    """Memory and start of many clusters, and single requests against a raw answer of the same size."""
    idle, asked, took = memory()
    tell("a simulated cluster, idle", f"{idle:.2f} MiB; once scanned {asked:.2f} MiB", "0.6 MiB")
    tell(f"{COPIES} simulated clusters, started", f"{took:.1f} s", "none")
    for name, (own, size) in requests().items():
        raw = raw_answer(size)
        tell(f"simulated {name}", f"{own / raw:.1f} x raw ASGI ({own:.0f} us, {size} bytes)", "none")


def memory(copies: int = COPIES) -> tuple[float, float, float]:
    """MiB of each cluster while idle, MiB of each once it was asked, and seconds until all were there."""
    with Simulator(clusters=0) as simulator:
        snapshot = simulator.template(*POPULATION)
        for number in range(3):
            ask(simulator.add(f"warm-{number}", snapshot=snapshot).server)
        before, began = settled(), time.perf_counter()
        servers = [simulator.add(f"sim-{number}", snapshot=snapshot).server for number in range(copies)]
        took = time.perf_counter() - began
        idle = settled()
        for server in servers:
            ask(server)
        return (idle - before) / copies, (settled() - before) / copies, took


def settled() -> float:
    """The memory of this process, once what is to happen has happened."""
    time.sleep(3)
    gc.collect()
    return resident_mib(os.getpid())


def ask(server: str) -> None:
    """Look at a cluster once."""
    address = urlsplit(server)
    connection = http.client.HTTPConnection(address.netloc)
    for path in ASKED:
        connection.request("GET", address.path + path, headers={"Accept": f"{AGGREGATED},application/json"})
        connection.getresponse().read()
    connection.close()


def requests(count: int = 500) -> dict[str, tuple[float, int]]:
    """Microseconds of CPU, client included, and bytes of the answer, by what is asked of a cluster."""
    with Simulator(clusters=0, speed=1000) as simulator:
        cluster = simulator.add("sim-1", snapshot=simulator.template(*POPULATION))
        with connected(cluster.server) as call:
            core = "/api/v1/namespaces/default/configmaps"
            applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bench"}}
            asked: dict[str, Callable[[int], int]] = {
                "get": lambda _: call("GET", "/apis/apps/v1/namespaces/kube-system/deployments/coredns"),
                "list": lambda _: call("GET", "/apis/apps/v1/deployments"),
                "apply": lambda turn: call(
                    "PATCH", f"{core}/bench?fieldManager=bench&force=true", {**applied, "data": {"turn": str(turn)}}
                ),
            }
            return {name: timed(work, count) for name, work in asked.items()}


def raw_answer(size: int, count: int = 500) -> float:
    """Microseconds for an answer of that size by the same server, in the same process, to the same client."""
    with Simulator(clusters=0, charts=Raw(size)) as simulator, connected(f"{simulator.url}/charts") as call:
        return timed(lambda _: call("GET", "/raw"), count)[0]


@dataclass(frozen=True)
class Raw:
    """In place of a chart repository, which the simulator's ASGI application hands requests to as they are."""

    size: int

    def respond(self, _path: str, _headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, b"x" * self.size


def timed(work: Callable[[int], int], count: int) -> tuple[float, int]:
    """CPU of this process for each piece of work, in microseconds, and the size of the last answer."""
    for turn in range(count // 10):
        work(-1 - turn)
    began, size = time.process_time(), 0
    for turn in range(count):
        size = work(turn)
    return (time.process_time() - began) / count * 1e6, size


@contextmanager
def connected(server: str):
    """A function that sends one request over one connection and says how long the answer was."""
    address = urlsplit(server)
    connection = http.client.HTTPConnection(address.netloc)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(method: str, path: str, body: object = None) -> int:
        headers = {"Content-Type": "application/apply-patch+yaml"} if body else {}
        connection.request(method, address.path + path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        read = answer.read()
        assert answer.status in (200, 201), read
        return len(read)

    yield call
    connection.close()
