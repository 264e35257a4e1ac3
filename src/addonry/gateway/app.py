"""The wire: HTTP in, HTTP out. An ASGI application over a Lifecycle.

The path of a request: limits, route, body, signature, admission, rate, operation, encoding, audit. Whatever goes wrong
on it is answered with an error body of ``errors``; a traceback goes to the log under the request id, never to the caller.

Plain ASGI, because everything a framework would add here (routing by decoded paths, its own error bodies) is settled
otherwise by the protocol.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from addonry.gateway import rpc
from addonry.gateway.admission import admit
from addonry.gateway.codec import (
    JSON_TYPE,
    XML_ERROR_TYPE,
    XML_TYPE,
    Form,
    choose_form,
    write_json,
    write_xml,
)
from addonry.gateway.errors import Fault, Refusal, body_of, describe
from addonry.gateway.kept import Kept
from addonry.gateway.nonces import Nonces, mark_of
from addonry.gateway.openapi import openapi_document
from addonry.gateway.operation import Call, Encoded, Router, read_query
from addonry.gateway.operations import OPERATIONS
from addonry.gateway.origin import Origin, origin_of
from addonry.gateway.request import WireRequest, join_headers
from addonry.gateway.settings import GatewaySettings
from addonry.gateway.signing import VERSION, Claim, SigningRules, judge, read_authorization
from addonry.gateway.signing.bearer import HEADER as BEARER
from addonry.gateway.signing.bearer import is_bearer, judge_bearer
from addonry.gateway.signing.rpc import judge_rpc, key_of
from addonry.gateway.throttle import Throttle
from addonry.lifecycle import Lifecycle
from addonry.model.access import AuditRecord
from addonry.model.errors import AddonryError, InvalidParameter
from addonry.model.keys import Credential

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("addonry.gateway")
access_log = logging.getLogger("addonry.access")

HEALTH_PATH: Final = "/healthz"
UNSIGNED_PATHS: Final[Mapping[str, Callable[[], bytes]]] = {
    HEALTH_PATH: lambda: write_json({"status": "ok"}),
    "/openapi.json": openapi_document,
}
"""What anybody may read; nothing in it depends on what is registered, and it is in no audit log."""
PATH_KEPT: Final = 512
"""How much of a path the audit log keeps."""
DRAINED: Final = 16 * 1024 * 1024
"""How much of a body that is too large is read and thrown away, so that a client still sending it sees the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...] = field(default=())


@dataclass(slots=True)
class _Exchange:
    """What is known of the request so far, for the answer's envelope and the access log."""

    request_id: str
    host: str = ""
    form: Form = Form.JSON
    operation: str = "-"
    key: str = "-"
    user: str = ""
    cluster: str = ""
    origin: Origin = field(default=Origin("", is_encrypted=False))
    verdict: str = ""
    code: str = ""
    is_reading: bool = True


class _Gone(Exception):
    """The client went away before its request was whole; nobody is left to answer."""


class Gateway:
    """The ASGI application."""

    def __init__(self, lifecycle: Lifecycle, settings: GatewaySettings) -> None:
        self._lifecycle = lifecycle
        self._settings = settings
        self._router = Router(OPERATIONS)
        self._throttle = Throttle(settings.rate) if settings.rate else None
        self._nonces = Nonces(settings.nonce_capacity)
        self._signing = SigningRules(settings.legacy_signatures, uncovered_bodies=settings.legacy_uncovered_bodies)
        self._kept = Kept()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; WebSockets are turned away."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case _:
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        exchange = _Exchange(self._settings.new_request_id())
        method: str = scope["method"]
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1") or "/"
        try:
            answer = await self._answer(exchange, method, path, scope, receive)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets a JSON body and the log the rest
            answer = _fault(exchange, error)
        if path not in UNSIGNED_PATHS:
            await self._record(exchange, method, path, answer.status, began)
        await _send(send, answer, exchange.request_id, head=method == "HEAD")
        access_log.log(
            # Every command of ours asks for the health first.
            logging.DEBUG if path == HEALTH_PATH else logging.INFO,
            '"%s %s" %d %.1f ms request=%s key=%s operation=%s',
            method,
            path[:200],
            answer.status,
            (time.perf_counter() - began) * 1000,
            exchange.request_id,
            exchange.key,
            exchange.operation,
        )

    async def _answer(self, exchange: _Exchange, method: str, path: str, scope: Scope, receive: Receive) -> Answer:
        query: bytes = scope.get("query_string", b"")
        headers = join_headers(scope["headers"])
        exchange.host = headers.get("host", "")
        exchange.origin = origin_of(scope, headers, self._settings.trusted_proxies)
        self._check_sizes(path, query, scope["headers"])
        exchange.form = _form_of(headers, query)
        if path in UNSIGNED_PATHS and method in {"GET", "HEAD"}:
            return Answer(200, UNSIGNED_PATHS[path](), JSON_TYPE)
        if method == "OPTIONS":
            allow = ", ".join(self._router.allowed(path))
            return Answer(200, b"{}", JSON_TYPE, (("allow", allow),))
        if path == rpc.PATH and method in {"GET", "POST"}:
            return await self._answer_rpc(exchange, method, query.decode("latin-1"), headers, receive)
        selected = self._router.select(method, path)
        operation = selected.operation
        exchange.operation, exchange.is_reading = operation.name, operation.level.is_reading
        exchange.cluster = selected.parameters.get(operation.cluster, "")
        body = await self._read_body(headers, receive)
        request = WireRequest(method, path, query.decode("latin-1"), headers, body)
        credential = await self._authenticate(request, operation.name, exchange.origin)
        exchange.key, exchange.user = credential.id, credential.user
        call = Call(
            lifecycle=self._lifecycle,
            operation=operation,
            request=request,
            request_id=exchange.request_id,
            path=selected.parameters,
            kept=self._kept,
            wants_json=exchange.form is Form.JSON,
            credential=credential,
        )
        exchange.verdict = await admit(call, exchange.origin, now=self._settings.now())
        if self._throttle is not None:
            self._throttle.take(credential.id, now=time.monotonic())
        value = await operation.run(call)
        return _success(exchange, operation.status, value)

    async def _record(self, exchange: _Exchange, method: str, path: str, status: int, began: float) -> None:
        record = AuditRecord(
            request_id=exchange.request_id,
            at=self._settings.now(),
            operation="" if exchange.operation == "-" else exchange.operation,
            method=method[:16],
            path=path[:PATH_KEPT],
            cluster=exchange.cluster[:PATH_KEPT],
            key="" if exchange.key == "-" else exchange.key,
            user=exchange.user,
            source=exchange.origin.address,
            status=status,
            code=exchange.code,
            verdict=exchange.verdict,
            milliseconds=round((time.perf_counter() - began) * 1000),
        )
        # Whoever sees the answer of a change can find its record.
        await self._lifecycle.access.record(record, at_once=not exchange.is_reading and status < 400)

    async def _answer_rpc(
        self, exchange: _Exchange, method: str, query: str, headers: dict[str, str], receive: Receive
    ) -> Answer:
        body = await self._read_body(headers, receive)
        parameters = rpc.read_parameters(query, body, headers.get("content-type", ""))
        exchange.operation, answer = rpc.select(parameters)
        access = self._lifecycle.access
        credential = judge_rpc(
            method,
            parameters,
            await access.credential(key_of(parameters)),
            nonces=self._nonces,
            now=self._settings.now(),
        )
        await self._note_elsewhere(credential, parameters["SignatureNonce"])
        exchange.key, exchange.user = credential.id, credential.user
        if self._throttle is not None:
            self._throttle.take(credential.id, now=time.monotonic())
        call = rpc.RpcCall(parameters, credential, exchange.request_id, exchange.host)
        return Answer(200, write_json(answer(call)), JSON_TYPE)

    async def _authenticate(self, request: WireRequest, operation: str, origin: Origin) -> Credential:
        if is_bearer(request):
            version = request.header("x-acs-version")
            if version != VERSION:
                raise Refusal("InvalidProduct.NotFound" if version else "MissingVersion")
            holder = await self._lifecycle.access.bearer(request.header(BEARER))
            return judge_bearer(holder, origin, now=self._settings.now())
        authorization = read_authorization(request.header("authorization"))
        credential = await self._lifecycle.access.credential(authorization.key_id) if authorization else None
        now = self._settings.now()
        signer = judge(Claim(request, operation, now, self._nonces, authorization, credential, self._signing))
        await self._note_elsewhere(signer, request.header("x-acs-signature-nonce"))
        return signer

    async def _note_elsewhere(self, signer: Credential, nonce: str) -> None:
        """What this process has not seen another may have."""
        if nonce and not await self._lifecycle.access.note_nonce(mark_of(signer.id, nonce)):
            raise Refusal("SignatureNonceUsed", remedy="Sign each request afresh, retries too.")

    def _check_sizes(self, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        limits = self._settings
        if len(path) > limits.path_limit or len(query) > limits.query_limit:
            raise Refusal(
                "RequestUriTooLarge",
                remedy=f"At most {limits.path_limit} bytes of path and {limits.query_limit} of query.",
            )
        if sum(len(name) + len(value) for name, value in headers) > limits.header_limit:
            raise Refusal("RequestHeaderTooLarge", remedy=f"At most {limits.header_limit} bytes.")

    async def _read_body(self, headers: dict[str, str], receive: Receive) -> bytes:
        announced = headers.get("content-length", "")
        if not headers.get("transfer-encoding") and announced in {"", "0"}:
            return b""
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                return await self._collect(receive)
        except TimeoutError as error:
            raise Refusal("RequestTimeout", headers=(("connection", "close"),)) from error

    async def _collect(self, receive: Receive) -> bytes:
        # The announced length is not asked: it may be absent (Node sends chunks) or wrong; what arrives is counted.
        limit = self._settings.body_limit
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            else:
                chunks.clear()
            more = message.get("more_body", False)
            if size > limit and (not more or size > limit + DRAINED):
                raise Refusal(
                    "RequestEntityTooLarge", remedy=f"At most {limit} bytes.", headers=(("connection", "close"),)
                )
            if not more:
                return b"".join(chunks)


def _form_of(headers: dict[str, str], query: bytes) -> Form:
    wanted = ""
    if b"Format=" in query:
        try:
            wanted = read_query(query.decode("latin-1")).get("Format", ("",))[-1]
        except InvalidParameter:
            wanted = ""
    return choose_form(headers.get("accept", ""), wanted)


def _success(exchange: _Exchange, status: int, value: Any) -> Answer:
    if isinstance(value, Encoded):
        return Answer(status, value.body, JSON_TYPE)
    # Never an empty body: Python's and Node's SDKs fail on one (ack-gateway 5.1).
    value = {} if value is None else value
    if exchange.form is Form.XML:
        document = write_xml(f"{exchange.operation}Response", value, request_id=exchange.request_id)
        return Answer(status, document, XML_TYPE)
    return Answer(status, write_json(value), JSON_TYPE)


def _fault(exchange: _Exchange, error: Exception) -> Answer:
    fault: Fault = describe(error)
    exchange.code = fault.code
    if fault.status >= 500 and isinstance(error, AddonryError):
        log.error("request %s (%s) failed: %s", exchange.request_id, exchange.operation, error.message)
    elif fault.status >= 500:
        log.error("request %s (%s) failed", exchange.request_id, exchange.operation, exc_info=error)
    elif isinstance(error, AddonryError):
        log.debug("request %s (%s) refused: %s", exchange.request_id, exchange.operation, fault.code)
    body = body_of(fault, request_id=exchange.request_id, host=exchange.host)
    if exchange.form is Form.XML:
        told = {name: body[name] for name in ("RequestId", "HostId", "Code", "Message", "Recommend")}
        return Answer(fault.status, write_xml("Error", told), XML_ERROR_TYPE, fault.headers)
    return Answer(fault.status, write_json(body), JSON_TYPE, fault.headers)


async def _send(send: Send, answer: Answer, request_id: str, *, head: bool) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-acs-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


async def _live(receive: Receive, send: Send) -> None:
    # Nothing to start or stop here; answered so that servers do not warn.
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
