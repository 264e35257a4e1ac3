"""What a scan costs against fetching the same lists and no more: 2,000 pods and 300 workloads.

The scan and the fetch run in a process of their own (``python -m bench.scan KUBECONFIG < PATHS``), so that neither the
cluster nor the other is counted. Fetching means to read every page over one connection pool and to decode it as JSON.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import yaml

from addonry.simulator import Simulator
from addonry.simulator.populations import Population
from bench.measure import python

NODES, BIG, SMALL = 10, 200, 100
"""200 Deployments of seven replicas and 100 of six: 2,000 pods of 300 workloads."""

TURNS = 7

Tell = Callable[[str, str, str], None]


def bench_scan(tell: Tell) -> None:
    """The inventory and all it is weighed by, against the lists alone."""
    with Simulator(clusters=0) as simulator, tempfile.TemporaryDirectory() as folder:
        cluster = simulator.add("sim-1", snapshot=simulator.template(population(), "1.32"))
        kubeconfig = Path(folder) / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig())
        run(kubeconfig, [])
        asked = [f"{each.path}?{each.query}" for each in cluster.requests if each.method == "GET"]
        # Turns repeat the same questions; the first of them is enough.
        figures = run(kubeconfig, list(dict.fromkeys(asked)))
    ratio = figures["scan"] / figures["fetch"]
    shown = f"{ratio:.2f} x ({figures['scan'] * 1e3:.0f} ms against {figures['fetch'] * 1e3:.0f} ms CPU)"
    tell("a scan, 2,000 pods and 300 workloads", shown, "1.5 x fetching the same lists")
    tell("a scan, memory above idle", f"{figures['memory']:.0f} MiB", "60 MiB")


def run(kubeconfig: Path, paths: list[str]) -> dict[str, float]:
    """The figures of one child."""
    done = subprocess.run(
        python("-m", "bench.scan", str(kubeconfig)),
        input=json.dumps(paths),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout)


def population() -> Population:
    """The cluster that is scanned."""
    items = [deployment(number, 7 if number < BIG else 6) for number in range(BIG + SMALL)]
    return Population(
        "bench",
        {
            "description": "2,000 pods",
            "sources": [],
            "nodes": [{"name": f"node-{number}"} for number in range(NODES)],
            "objects": [{"by": "bench", "namespace": "work", "items": items}],
        },
    )


def deployment(number: int, replicas: int) -> dict[str, object]:
    """One of the workloads."""
    name = f"app-{number:03}"
    container = {"name": name, "image": f"registry.example.com/team/{name}:1.4.{number}"}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name, "team": f"team-{number % 12}"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"spec": {"containers": [container]}},
        },
    }


# In the child.


async def measure(kubeconfig: str, paths: list[str]) -> dict[str, float]:
    """CPU of a scan and of fetching *paths*, in turn, and the memory that the scans took."""
    from addonry.kube import KubeSettings, open_cluster

    with tempfile.TemporaryDirectory() as folder:
        live = open_cluster(kubeconfig, KubeSettings(work_directory=Path(folder)))
        await live.probe()
        idle = peak_mib()
        scans = [await cpu(live.take_inventory) for _ in range(TURNS)]
        memory = peak_mib() - idle
        await live.close()
    read = yaml.safe_load(kubeconfig)
    server, token = read["clusters"][0]["cluster"]["server"], read["users"][0]["user"]["token"]
    fetches = [0.0]
    if paths:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:

            async def fetch() -> None:
                for path in paths:
                    async with session.get(server + path) as answer:
                        body = await answer.read()
                        if answer.status == 200:  # an API that is not served has no list
                            json.loads(body)

            fetches = [await cpu(fetch) for _ in range(TURNS)]
    return {"scan": statistics.median(scans), "fetch": statistics.median(fetches), "memory": memory}


async def cpu(work: Callable[[], Awaitable[object]]) -> float:
    """The CPU seconds of this process for one piece of work."""
    began = time.process_time()
    await work()
    return time.process_time() - began


def peak_mib() -> float:
    """The most that this process ever held in memory."""
    # Not getrusage: there a child begins with what its parent held.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]).read_text(), json.load(sys.stdin)))))
