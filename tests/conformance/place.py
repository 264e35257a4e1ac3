"""A cluster to run scenarios on, known by nothing but a kubeconfig: kubectl, Helm, and plain requests.

Requests go through `kubectl proxy`, so that any kubeconfig will do that kubectl understands.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import yaml

from tests.conformance.facts import Answer
from tests.support.kubectl import find_kubectl

HERE: Final = Path(__file__).parent
SIMULATED: Final[Mapping[str, Any]] = {
    "app1": "registry.example/app:1",
    "app2": "registry.example/app:2",
    "bad": "registry.example/bad:1",
    "crash": "registry.example/crash:1",
    "notready": "registry.example/notready:1",
    "job": "registry.example/job:1",
    "brief": 2,
}
# On a real cluster the images are pulled and run; what an image's name brings about on a simulated one, the command and
# the probes of the scenarios bring about here.
REAL: Final[Mapping[str, Any]] = {
    "app1": "registry.k8s.io/pause:3.9",
    "app2": "registry.k8s.io/pause:3.10",
    "bad": "registry.k8s.io/no-such-image-bad:1",
    "crash": "docker.io/library/busybox:1.36",
    "notready": "registry.k8s.io/pause:3.10",
    "job": "docker.io/library/busybox:1.36",
    "brief": 15,
}
_PATCHES: Final = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_KINDS: Final = {
    "configmaps": "/api/v1/namespaces/{ns}",
    "secrets": "/api/v1/namespaces/{ns}",
    "pods": "/api/v1/namespaces/{ns}",
    "services": "/api/v1/namespaces/{ns}",
    "endpoints": "/api/v1/namespaces/{ns}",
    "events": "/api/v1/namespaces/{ns}",
    "resourcequotas": "/api/v1/namespaces/{ns}",
    "serviceaccounts": "/api/v1/namespaces/{ns}",
    "persistentvolumeclaims": "/api/v1/namespaces/{ns}",
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "persistentvolumes": "/api/v1",
    "deployments": "/apis/apps/v1/namespaces/{ns}",
    "replicasets": "/apis/apps/v1/namespaces/{ns}",
    "statefulsets": "/apis/apps/v1/namespaces/{ns}",
    "daemonsets": "/apis/apps/v1/namespaces/{ns}",
    "controllerrevisions": "/apis/apps/v1/namespaces/{ns}",
    "jobs": "/apis/batch/v1/namespaces/{ns}",
    "poddisruptionbudgets": "/apis/policy/v1/namespaces/{ns}",
    "horizontalpodautoscalers": "/apis/autoscaling/v2/namespaces/{ns}",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/{ns}",
    "storageclasses": "/apis/storage.k8s.io/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "apiservices": "/apis/apiregistration.k8s.io/v1",
    "selfsubjectaccessreviews": "/apis/authorization.k8s.io/v1",
}
_CALL_SECONDS: Final = 180.0
_decode = msgspec.json.Decoder().decode


class Place:
    """One cluster. `patience` is how long a fact about it may take to become true."""

    def __init__(
        self, kubeconfig: str, home: Path, *, images: Mapping[str, Any] = SIMULATED, patience: float = 20.0
    ) -> None:
        self.images, self.patience = images, patience
        self.run = secrets.token_hex(3)
        self._kubeconfig, self._home = kubeconfig, home
        self._file = home / "kubeconfig"
        self._file.write_text(kubeconfig)
        self._file.chmod(0o600)
        self._proxy: subprocess.Popen[str] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        command = [_kubectl(), "proxy", "--port=0", "--append-server-path"]
        self._proxy = subprocess.Popen(command, env=self._environment(), stdout=subprocess.PIPE, text=True)
        assert self._proxy.stdout is not None
        said = self._proxy.stdout.readline()
        found = re.search(r":(\d+)\s*$", said)
        if found is None:
            self._proxy.kill()
            raise ConnectionError(f"kubectl proxy could not start: {said}")
        self._port = int(found[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self._proxy is not None:
            assert self._proxy.stdout is not None
            self._proxy.terminate()
            self._proxy.wait()
            self._proxy.stdout.close()

    # ------------------------------------------------------------------ clients

    def kubectl(self, namespace: str, command: str | list[str], stdin: Any = None) -> Answer:
        words = shlex.split(command) if isinstance(command, str) else command
        done = subprocess.run(
            [_kubectl(), f"--namespace={namespace}", f"--cache-dir={self._home / 'cache'}", *words],
            input=_documents(stdin),
            capture_output=True,
            text=True,
            timeout=_CALL_SECONDS,
            env=self._environment(),
            check=False,
        )
        body = None
        with contextlib.suppress(msgspec.DecodeError):
            body = _decode(done.stdout)
        return Answer(exit=done.returncode, output=done.stdout + done.stderr, body=body)

    def helm(self, namespace: str, operation: str, told: Mapping[str, Any]) -> Answer:
        chart = told.get("chart")
        call = {
            "operation": operation,
            "namespace": namespace,
            "kubeconfig": str(self._file),
            "release": told.get("release", "web"),
            "chart": str(HERE / "charts" / chart) if chart else "",
            "values": told.get("values", {}),
            "options": told.get("options", {}),
        }
        package = find_spec("helm_python")
        assert package is not None
        assert package.origin is not None
        done = subprocess.run(
            # By this name Helm's field manager is called helm, as with its own command.
            ["helm", str(HERE / "helm_child.py")],
            executable=sys.executable,
            input=json.dumps(call),
            capture_output=True,
            text=True,
            timeout=_CALL_SECONDS,
            env={**self._environment(), "PYTHONPATH": str(Path(package.origin).parent.parent)},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        return Answer(succeeds=told["ok"], output=str(told.get("message", "")), body=told.get("result"))

    def raw(
        self,
        namespace: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; JSON in a body is decoded, lines of JSON as a list."""
        connection = self._connect()
        try:
            response = self._ask(connection, method, path_of(namespace, path), body, kind, headers or {})
            text = response.read().decode(errors="replace")
            return Answer(
                status=response.status,
                output=text,
                body=_read(text, in_lines="watch=" in path),
                headers=dict(response.getheaders()),
            )
        finally:
            connection.close()

    def watch(self, namespace: str, path: str) -> Watch:
        connection = self._connect()
        return Watch(connection, self._ask(connection, "GET", path_of(namespace, path), None, "", {}))

    def until(self, holds: Callable[[], bool]) -> None:
        """Look again and again until it holds, or patience ends."""
        deadline = time.monotonic() + self.patience
        while not holds() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=_CALL_SECONDS)

    @staticmethod
    def _ask(
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        kind: str,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", "User-Agent": "scenario/1"}
        if data is not None:
            sent["Content-Type"] = _PATCHES.get(kind, "application/json")
        connection.request(method, path, data, {**sent, **headers})
        return connection.getresponse()

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "HELM"))}
        return {**kept, "HOME": str(self._home), "KUBECONFIG": str(self._file), "TZ": "UTC"}


class Watch:
    """An open watch; what it has told so far is in `events`."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.events: list[Any] = []
        self._connection, self._response = connection, response
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
            for line in self._response:
                if line.strip():
                    self.events.append(_decode(line))

    def close(self) -> None:
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()


def path_of(namespace: str, short: str) -> str:
    """`pods/web` as the whole path; what begins with a slash is one already."""
    if short.startswith("/"):
        return short
    kind = re.split(r"[/?]", short, maxsplit=1)[0]
    return f"{_KINDS[kind]}/{short}".replace("{ns}", namespace)


def _kubectl() -> str:
    found = find_kubectl()
    if found is None:
        raise FileNotFoundError("There is no kubectl: install the development tools (make test does), or kubectl.")
    return found


def _documents(told: Any) -> str | None:
    if told is None or isinstance(told, str):
        return told
    objects = told if isinstance(told, list) else [told]
    return yaml.safe_dump_all(objects, sort_keys=False)


def _read(text: str, *, in_lines: bool) -> Any:
    try:
        return [_decode(line) for line in text.splitlines()] if in_lines else _decode(text)
    except msgspec.DecodeError:
        return text
