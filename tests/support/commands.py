"""``addonry`` as its users run it: a process of its own, with nothing of this machine's own set-up."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path


class Command:
    """``addonry`` in a process of its own, with nothing of this machine's own set-up."""

    def __init__(self, home: Path, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ADDONRY_")}
        self._environment = {**inherited, "HOME": str(home), "NO_PROXY": "127.0.0.1", **environment}

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "addonry", *arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, status: int = 0, stdin: str = "") -> str:
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=110)
        assert process.returncode == status, (out[-2000:], err[-2000:])
        return out if status == 0 else err

    def json(self, *arguments: str):
        return json.loads(self(*arguments, "-o", "json"))


def stop(process: "subprocess.Popen[str]", how: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(how)
    _, err = process.communicate(timeout=20)
    if process.returncode:
        sys.stderr.write(err[-4000:])  # shown by pytest beside the status that was not expected
    return process.returncode
