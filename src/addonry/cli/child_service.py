"""``addonry serve`` as a child process, which the demo may kill."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from addonry.cli.client import Address, Client
from addonry.cli.errors import Failed, one_line
from addonry.cli.session import Session, read_root_key

READY_SECONDS: Final = 60.0


class ChildService:
    """A service on a data directory of its own; ``start`` and ``kill`` as often as the story wants."""

    def __init__(self, data: Path, *, chart_mirror: str, environment: Mapping[str, str]) -> None:
        self.data = data
        self._arguments = ("--data", str(data), "--listen", "127.0.0.1:0", "--chart-mirror", chart_mirror)
        # What somebody has set up for their own service must not reach this one.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADDONRY_")}
        self._environment = {**inherited, **environment}
        self._process: subprocess.Popen[str] | None = None
        self.log = data.with_suffix(".log")

    def start(self) -> Session:
        """Start it; the session to speak to it, once it is ready. Raises Failed."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "addonry", "serve", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        assert self._process.stdout is not None
        # A service that hangs is killed, and then the line it owes is empty.
        too_late = threading.Timer(READY_SECONDS, self._process.kill)
        too_late.start()
        line = self._process.stdout.readline()
        too_late.cancel()
        _, found, address = line.partition("http")
        key = read_root_key(self.data)
        if not found or key is None:
            last = one_line(self.log.read_text()[-300:])
            raise Failed(f"The service did not start: {last or 'it said nothing'}")
        return Session(Client(Address.parse(found + address.split()[0]), key))

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """``kill -9``."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop; kill it if it does not."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
