"""A small real HTTP server that plays the API, and records what it was asked."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from addonry.cli.root import addonry

KEY = ("ADDONRYTESTKEY", "the-secret-of-the-key")


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeApi:
    """Answers by method and path; a list of answers is given out one by one, its last again and again."""

    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, *bodies: Any, status: int = 200, content_type: str = "application/json"):
        self.answers[method, path] = [(status, body, content_type) for body in bodies]

    def find(self, method: str, path: str) -> Asked:
        return next(each for each in self.asked if (each.method, each.target.partition("?")[0]) == (method, path))

    def next_answer(self, method: str, path: str) -> tuple[int, bytes, str]:
        waiting = self.answers.get((method, path))
        if not waiting:
            return 404, b'{"code":"InvalidApi.NotFound","message":"There is no such thing."}', "application/json"
        status, body, content_type = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        data = (
            body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )
        return status, data, content_type


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi

    def _respond(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.api.asked.append(Asked(self.command, self.path, headers, body))
        status, data, content_type = self.api.next_answer(self.command, self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = _respond  # noqa: N815 - the names that http.server calls
    do_POST = _respond  # noqa: N815
    do_PUT = _respond  # noqa: N815
    do_DELETE = _respond  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[FakeApi]:
    fake = FakeApi()
    handler = type("Handler", (_Handler,), {"api": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def a_clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Nothing of the machine's own set-up reaches a test."""
    import os

    for name in list(os.environ):
        if name.startswith("ADDONRY_") or name == "KUBECONFIG":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


@dataclass
class Cli:
    """Runs commands as a pipe would see them."""

    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(addonry, arguments, env=self.env, input=stdin, prog_name="addonry")


@pytest.fixture
def run(api: FakeApi) -> Cli:
    """Commands against the fake API."""
    return Cli(
        {"ADDONRY_ENDPOINT": api.url, "ADDONRY_ACCESS_KEY_ID": KEY[0], "ADDONRY_ACCESS_KEY_SECRET": KEY[1]},
    )


@pytest.fixture
def alone() -> Cli:
    """Commands with no service named."""
    return Cli()
