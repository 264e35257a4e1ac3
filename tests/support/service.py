"""The service as its users run it: a process of its own, which a test may kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self


@dataclass
class Service:
    """``addonry serve`` on *data*; ``start`` and ``kill`` as often as a test likes."""

    data: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    module: str = "addonry"
    address: str = ""
    _process: "subprocess.Popen[str] | None" = None
    _log: IO[str] | None = None

    def start(self) -> "Service":
        """Start it and wait for the line that says it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        self._log = (self.data.parent / f"{self.data.name}.log").open("a")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADDONRY_")}
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", self.module),
                *("serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**inherited, "NO_PROXY": "127.0.0.1", **self.environment},
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "http" in line, f"not ready: {line!r}\n{self.log()[-3000:]}"
        self.address = "http" + line.strip().split("http", 1)[1].split()[0]
        return self

    @property
    def host(self) -> str:
        """Host and port."""
        return self.address.split("://", 1)[1]

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    @property
    def root_key(self) -> tuple[str, str]:
        """Id and secret of the root key."""
        key = json.loads((self.data / "root.key").read_text())
        return key["access_key_id"], key["access_key_secret"]

    def log(self) -> str:
        """What it wrote to stderr."""
        return (self.data.parent / f"{self.data.name}.log").read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Stop it, and wait until it is gone; its exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(how)
        status = self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._log is not None:
            self._log.close()
        self._process = None
        return status

    def kill(self) -> None:
        """``kill -9``: nothing is said and nothing tidied up."""
        self.end(signal.SIGKILL)

    def wait_or(self, ended: Callable[[], bool], *, seconds: float = 60) -> bool:
        """True when the process has died by itself; False when *ended* came true first."""
        assert self._process is not None
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if ended():
                return False
            assert time.monotonic() < deadline, f"neither died nor ended within {seconds} s\n{self.log()[-3000:]}"
            time.sleep(0.05)
        self.end()
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
