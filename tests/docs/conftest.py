"""A place in which a reader's commands run as they are printed: ``.venv/bin/addonry``, a home, a cluster called prod."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml


@dataclass
class Reader:
    """Somebody who has cloned the project and types what the pages say."""

    place: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The only thing that differs from a clone: the command starts this interpreter.
        for folder in (self.place / ".venv" / "bin", self.place / "bin"):
            folder.mkdir(parents=True)
            command = folder / "addonry"
            command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m addonry "$@"\n')
            command.chmod(0o755)
        (self.place / "home").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ADDONRY_", "KUBE"))}
        self.environment = {
            **kept,
            "HOME": str(self.place / "home"),
            "XDG_DATA_HOME": "",
            "PATH": f"{self.place / 'bin'}:{kept['PATH']}",
            "NO_PROXY": "127.0.0.1",
            "ADDONRY_LISTEN": "127.0.0.1:0",
            **self.environment,
        }

    @property
    def data(self) -> Path:
        """Where the service keeps its data, unless told otherwise."""
        return self.place / "home" / ".local" / "share" / "addonry"

    def types(self, line: str, *, status: int = 0) -> str:
        """What a command prints; it must end with *status*."""
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=self.place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == status, (line, ended.stdout[-1500:], ended.stderr[-1500:])
        return ended.stdout

    @contextmanager
    def leaves_running(self, line: str) -> Iterator[str]:
        """The first line that a command prints which then stays up; it must end well when it is told to."""
        log = (self.place / "stderr").open("w")
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        # So that a command that never says anything ends the test with its log, not with the suite's time-out.
        impatient = threading.Timer(60, process.kill)
        impatient.start()
        try:
            with log, process.stdout as out:
                first = out.readline()
                impatient.cancel()
                assert first, f"{line!r} said nothing: {(self.place / 'stderr').read_text()[-1500:]}"
                yield first
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=20) == 0, line
        finally:
            impatient.cancel()
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Iterator[dict]:
    """Two simulated clusters of the demo's make, as ``addonry simulate -o json`` tells of them."""
    reader = Reader(tmp_path_factory.mktemp("simulated"))
    with reader.leaves_running(".venv/bin/addonry simulate --clusters 2 --out clusters --speed 10 -o json") as line:
        told = json.loads(line)
        for each in told["clusters"]:
            each["kubeconfig"] = str(reader.place / each["kubeconfig"])
        yield told


@pytest.fixture
def reader(tmp_path: Path, simulated: dict) -> Reader:
    """A reader whose kubeconfig has a context ``prod`` that is the first of the simulated clusters."""
    reader = Reader(tmp_path, {"ADDONRY_CHART_MIRROR": simulated["charts"]})
    kubeconfig = yaml.safe_load(Path(simulated["clusters"][0]["kubeconfig"]).read_text())
    kubeconfig["contexts"][0]["name"] = kubeconfig["current-context"] = "prod"
    (tmp_path / "home" / ".kube").mkdir()
    (tmp_path / "home" / ".kube" / "config").write_text(yaml.safe_dump(kubeconfig))
    return reader


@pytest.fixture
def reader_of_nothing(tmp_path: Path) -> Reader:
    """A reader without any cluster."""
    return Reader(tmp_path)
