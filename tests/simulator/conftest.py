"""Simulated clusters and the clients the tests drive them with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest

from addonry.simulator import SimulatedCluster, Simulator, SteppedClock
from tests.support.kubectl import find_kubectl, why_not_kubectl

SPEED = 20.0
T = TypeVar("T")


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"Waited {seconds:g} s in vain until {what}."
        time.sleep(0.01)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def _titled(headers: Message) -> dict[str, str]:
    return {name.title(): value for name, value in headers.items()}


@dataclass(frozen=True)
class Client:
    """A plain HTTP client for one cluster."""

    cluster: SimulatedCluster

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        timeout: float = 20.0,
        **headers: str,
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.cluster.server + path, data=data, method=method, headers=names)
        if data is not None:
            request.add_header("Content-Type", content_type)
        if "Authorization" not in names:
            request.add_header("Authorization", f"Bearer {self.cluster.token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Answer(response.status, _titled(response.headers), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _titled(error.headers), error.read())

    def get(self, path: str, **headers: str) -> Any:
        answer = self("GET", path, **headers)
        assert answer.status == 200, answer.raw
        return answer.body

    def post(self, path: str, body: Any) -> Any:
        answer = self("POST", path, body)
        assert answer.status == 201, answer.raw
        return answer.body

    def merge(self, path: str, patch: Any) -> Any:
        answer = self("PATCH", path, patch, "application/merge-patch+json")
        assert answer.status == 200, answer.raw
        return answer.body

    def delete(self, path: str, options: Any = None) -> Any:
        answer = self("DELETE", path, options)
        assert answer.status == 200, answer.raw
        return answer.body

    def wait(self, path: str, what: str, holds: Callable[[Any], bool], seconds: float = 20.0) -> Any:
        """The object at *path* once it is as wanted."""
        deadline = time.monotonic() + seconds
        answer = self("GET", path)
        while not (answer.status == 200 and holds(answer.body)):
            assert time.monotonic() < deadline, f"Waited {seconds:g} s in vain until {what}: {answer.raw.decode()}"
            time.sleep(0.01)
            answer = self("GET", path)
        return answer.body

    def wait_gone(self, path: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while self("GET", path).status != 404:
            assert time.monotonic() < deadline, f"Waited {seconds:g} s in vain until {path} was gone."
            time.sleep(0.01)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """One simulator for all tests; each takes a cluster of its own."""
    with Simulator(clusters=0, speed=SPEED) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_goes_wrong_inside(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A controller or handler that fails only logs it; no test may pass on one that does."""
    yield
    logged = [r.getMessage() for r in caplog.get_records("call") if r.name.startswith("addonry.simulator")]
    assert not logged, f"The simulator failed inside: {logged}"


@pytest.fixture
def cluster(simulator: Simulator, request: pytest.FixtureRequest) -> SimulatedCluster:
    """A new, empty cluster."""
    return simulator.add(f"c{len(simulator.clusters) + 1}")


@pytest.fixture
def client(cluster: SimulatedCluster) -> Client:
    return Client(cluster)


@pytest.fixture
def stepped() -> Iterator[tuple[Simulator, Client]]:
    """A cluster whose time stands still."""
    clock = SteppedClock(datetime(2026, 11, 23, tzinfo=UTC))
    with Simulator(clusters=1, clock=clock) as simulator:
        yield simulator, Client(simulator.cluster("sim-1"))


@dataclass(frozen=True)
class Helm:
    """Helm 4 itself, one child process for each call."""

    cluster: SimulatedCluster
    home: Path
    config: str = ""  # somebody else's than the administrator's

    def __call__(self, method: str, *, chart: Path | None = None, namespace: str = "default", **arguments: Any) -> Any:
        outcome = self.try_(method, chart=chart, namespace=namespace, **arguments)
        assert outcome["ok"], outcome
        return outcome["result"]

    def try_(
        self, method: str, *, chart: Path | None = None, namespace: str = "default", **arguments: Any
    ) -> dict[str, Any]:
        call = {
            "method": method,
            "arguments": arguments,
            "namespace": namespace,
            "kubeconfig": self.config or self.cluster.kubeconfig(),
            "chart": str(chart) if chart else None,
        }
        package = find_spec("helm_python")
        assert package is not None
        assert package.origin is not None
        environment = {
            "HOME": str(self.home),
            "PYTHONPATH": str(Path(package.origin).parent.parent),
            "PATH": os.defpath,
        }
        done = subprocess.run(
            ["helm", str(Path(__file__).with_name("helm_child.py"))],
            executable=sys.executable,
            input=json.dumps(call),
            capture_output=True,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def helm(cluster: SimulatedCluster, tmp_path: Path) -> Helm:
    return Helm(cluster, tmp_path)


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a home and caches of its own."""

    cluster: SimulatedCluster
    home: Path
    path: str
    text: str = ""  # a kubeconfig of somebody else than the administrator

    def __call__(self, *arguments: str, stdin: str | None = None, fails: bool = False) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        config = self.home / "kubeconfig"
        config.write_text(self.text or self.cluster.kubeconfig())
        return subprocess.run(
            [self.path, f"--cache-dir={self.home / 'cache'}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={"HOME": str(self.home), "KUBECONFIG": str(config), "PATH": os.defpath, "TZ": "UTC"},
            check=False,
        )


@pytest.fixture
def kubectl(cluster: SimulatedCluster, tmp_path: Path) -> Kubectl:
    reason = why_not_kubectl()
    if reason:
        pytest.skip(reason)
    path = find_kubectl()
    assert path is not None
    return Kubectl(cluster, tmp_path, path)
