"""Calls the ASGI application as a server would, in this process; signs with the client's side of ``signing``."""

import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.etree import ElementTree as ET

from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.signing import sign_request
from tests.wire.fakes import KEY, NOW, SECRET, FakeLifecycle

HOST = "cs.example.internal"
REQUEST_ID = "4902260A-516D-5B6A-A455-45B653CF6150"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)


async def exchange(
    app: Any,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    chunks: Iterable[bytes] | None = None,
) -> Reply:
    """One request, its headers as given; *chunks* in place of *body* arrive one by one."""
    path, _, query = target.partition("?")
    parts = list(chunks) if chunks is not None else [body]
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if (body or chunks is not None) and not any(name in {b"content-length", b"transfer-encoding"} for name, _ in raw):
        raw.append((b"transfer-encoding", b"chunked"))
    incoming = iter(
        [
            *({"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]),
            {"type": "http.request", "body": parts[-1], "more_body": False},
        ]
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(incoming, {"type": "http.disconnect"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": raw,
    }
    await app(scope, receive, send)
    start, *rest = sent
    return Reply(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        b"".join(message["body"] for message in rest),
    )


@dataclass
class Client:
    """A caller with a key, in front of a gateway over *lifecycle*."""

    lifecycle: FakeLifecycle
    key: str = KEY
    secret: str = SECRET
    now: datetime = NOW

    def __post_init__(self) -> None:
        self._numbers = itertools.count()
        self.app = build_gateway(
            self.lifecycle, GatewaySettings(now=lambda: self.now, new_request_id=lambda: REQUEST_ID)
        )

    async def call(
        self, method: str, target: str, body: Any = None, *, accept: str = "application/json", **headers: str
    ) -> Reply:
        """A signed request; *body* is encoded as JSON unless it is bytes."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"host": HOST, "accept": accept}
        if content:
            given["content-type"] = "application/json; charset=utf-8"
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        signed = sign_request(
            method,
            target,
            {name: value for name, value in given.items() if value},
            content,
            key_id=self.key,
            secret=self.secret,
            now=self.now,
            nonce=f"nonce-{next(self._numbers)}",
        )
        return await exchange(self.app, method, target, signed.items(), content)

    async def get(self, target: str, **more: Any) -> Reply:
        return await self.call("GET", target, **more)

    async def post(self, target: str, body: Any = None, **more: Any) -> Reply:
        return await self.call("POST", target, body, **more)
