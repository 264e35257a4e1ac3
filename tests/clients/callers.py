"""One way to call an operation, whichever client does it: the official Python SDK's neighbours, older and in Node.

A caller takes an operation's published name with its path's parameters, query and body, and returns the decoded answer or
raises ``Refused``.
"""

import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

from tests.wire.published import PUBLISHED

HERE = Path(__file__).parent
WHERE = {name: (method, path) for name, method, path in PUBLISHED}


class Refused(Exception):
    """What a client makes of an error."""

    def __init__(self, code: str, status: int, message: str, request_id: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.code = code
        self.status = status
        self.message = message
        self.request_id = request_id


class Caller(Protocol):
    """Calls operations with one client."""

    def call(self, operation: str, *segments: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """The decoded answer. Raises Refused."""
        ...


def filled(path: str, segments: Sequence[str]) -> str:
    """The path with its parameters, percent-encoded."""
    rest = iter(segments)
    return "/".join(quote(next(rest), safe="") if part.startswith("{") else part for part in path.split("/"))


class LegacyPython:
    """``aliyun-python-sdk-core`` with the request classes of ``aliyun-python-sdk-cs``, where those have one."""

    def __init__(self, host: str, key: tuple[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from aliyunsdkcore.client import AcsClient

        self._host, _, port = host.partition(":")
        self._client = AcsClient(key[0], key[1], "local", port=int(port), auto_retry=False, timeout=10)

    def close(self) -> None:
        """Give up the connections that the core keeps and never closes."""
        self._client.session.close()

    def call(self, operation: str, *segments: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """See ``Caller``."""
        from aliyunsdkcore.acs_exception.exceptions import ServerException

        request = self._request(operation, segments)
        request.set_endpoint(self._host)
        request.set_protocol_type("http")
        request.set_accept_format("JSON")
        for name, value in (query or {}).items():
            request.add_query_param(name, value)
        if body is not None:
            request.set_content_type("application/json")
            request.set_content(json.dumps(body).encode())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return json.loads(self._client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(
                error.get_error_code(), error.get_http_status(), error.get_error_msg(), error.get_request_id()
            ) from error

    def _request(self, operation: str, segments: Sequence[str]) -> Any:
        from importlib import import_module

        from aliyunsdkcore.request import CommonRequest

        method, path = WHERE[operation]
        try:
            module = import_module(f"aliyunsdkcs.request.v20151215.{operation}Request")
        except ModuleNotFoundError:
            request = CommonRequest(version="2015-12-15", product="CS", uri_pattern=filled(path, segments))
            request.set_method(method)
            return request
        request = getattr(module, f"{operation}Request")()
        names = [part[1:-1] for part in request.get_uri_pattern().split("/") if part.startswith("[")]
        for name, value in zip(names, segments, strict=True):
            request.add_path_param(name, value)
        return request


@dataclass
class Node:
    """A Node client in a process of its own; see ``node/drive.cjs``."""

    kind: str
    """``current`` (@alicloud/cs20151215) or ``older`` (@alicloud/pop-core)."""
    packages: Path
    """Where they are installed."""
    host: str
    key: tuple[str, str]
    _process: "subprocess.Popen[str] | None" = None

    def __enter__(self) -> Self:
        node = shutil.which("node")
        assert node is not None
        # Node looks for packages beside the script.
        script = self.packages / "drive.cjs"
        shutil.copy(HERE / "node" / "drive.cjs", script)
        self._process = subprocess.Popen(
            [node, str(script), self.kind, self.host, *self.key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def call(self, operation: str, *segments: str, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        """See ``Caller``."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        method, path = WHERE[operation]
        asked = {
            "operation": operation,
            "method": method,
            "path": filled(path, segments),
            "segments": segments,
            "query": dict(query or {}),
            "body": body,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client ended"
        outcome = json.loads(line)
        if "error" in outcome:
            error = outcome["error"]
            raise Refused(str(error["code"]), error["status"], error["message"], error["requestId"])
        return outcome.get("body")
