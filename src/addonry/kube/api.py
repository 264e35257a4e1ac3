"""The Kubernetes API of one cluster: get, list, watch, create, patch, delete, discovery.

A thin client on aiohttp and msgspec: callers name the few fields they read as a msgspec Struct, and everything else is
skipped while decoding, which makes lists some fifty times cheaper than whole objects. Everything that goes wrong is
one of ClusterTrouble's children, with the server's own words and never a credential. Every request ends within its
deadline.

To speak to one more resource no change is needed here; one more way to refuse belongs into ``_refusal``.
"""

import asyncio
import builtins
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Generic, Literal, TypeVar, cast, overload
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from addonry.kube.discovery import ApiResource, Discovery, Fetched
from addonry.kube.kubeconfig import Access, Credential, Credentials, ssl_context
from addonry.model.errors import (
    ClusterRefused,
    ClusterRejected,
    ClusterTrouble,
    ClusterUnreachable,
    FieldConflict,
    KubeconfigRejected,
)

T = TypeVar("T")

Params = Mapping[str, str]
PatchKind = Literal["apply", "merge", "strategic", "json"]

PAGE: Final = 500
MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_EVENT: Final = 16 * 1024 * 1024
WATCH_SECONDS: Final = 300
CONNECTIONS: Final = 16
WATCHES: Final = 256
_RETRIES: Final = 3
_LONGEST_MESSAGE: Final = 600

_CONTENT_TYPES: Final[Mapping[PatchKind, str]] = MappingProxyType(
    {
        "apply": "application/apply-patch+yaml",
        "merge": "application/merge-patch+json",
        "strategic": "application/strategic-merge-patch+json",
        "json": "application/json-patch+json",
    }
)


class Missing(ClusterRejected):
    """404: the object, or the whole resource, is not there."""


class Outdated(ClusterRejected):
    """409: the object has been changed since it was read; read it again."""


class Expired(ClusterRejected):
    """410: the resourceVersion or continue token is too old; list again."""


class TooLarge(ClusterRejected):
    """One answer is more than is taken at once; ask for less."""


class Forbidden(ClusterRefused):
    """403: the credentials are good, and not allowed to do this."""


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One event of a watch. Bookmarks come too: their object holds nothing but a resourceVersion."""

    type: str
    object: T


class Api:
    """One cluster. Safe for concurrent use within one event loop; connections are made when first needed."""

    def __init__(
        self, access: Access, *, request_seconds: float = 10.0, before_write: Callable[[], None] = lambda: None
    ) -> None:
        self._access = access
        self._seconds = request_seconds
        self._before_write = before_write
        self._credentials = Credentials(access)
        self._proxy = _proxy_of(access)
        self._sessions: _Sessions | None = None
        self._running: set[asyncio.Task[_Answer]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._discovery = Discovery(self._discover)

    @property
    def server(self) -> str:
        """The address, as the kubeconfig has it."""
        return self._access.server

    @property
    def namespace(self) -> str:
        """The namespace that the kubeconfig's context names; empty when it names none."""
        return self._access.namespace

    @property
    def credentials_end(self) -> datetime | None:
        """When the client certificate expires; None when there is none. A token may expire too, and does not say so."""
        return self._access.certificate_end

    async def kubeconfig(self) -> str:
        """A self-contained kubeconfig with the credential of the moment, for a child process."""
        return self._access.for_helm(await self._credentials.current())

    async def close(self) -> None:
        """Give up requests and connections."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, *self._closing, return_exceptions=True)
        if self._sessions is not None:
            await self._sessions.close()
            self._sessions = None

    # Reading.

    @overload
    async def get(self, path: str, *, params: Params | None = None) -> dict[str, Any]: ...
    @overload
    async def get(self, path: str, *, params: Params | None = None, into: type[T]) -> T: ...
    async def get(self, path: str, *, params: Params | None = None, into: Any = dict) -> Any:
        """The object at *path*. Raises Missing when there is none."""
        answer = await self._send("GET", path, params=params)
        return self._decode(answer, into)

    @overload
    async def get_or_none(self, path: str, *, params: Params | None = None) -> dict[str, Any] | None: ...
    @overload
    async def get_or_none(self, path: str, *, params: Params | None = None, into: type[T]) -> T | None: ...
    async def get_or_none(self, path: str, *, params: Params | None = None, into: Any = dict) -> Any:
        """The object at *path*, or None."""
        try:
            return await self.get(path, params=params, into=into)
        except Missing:
            return None

    async def list(
        self, path: str, item: type[T], *, params: Params | None = None, accept: str = "application/json"
    ) -> tuple[builtins.list[T], str]:
        """Every object of a list, in pages, and the resourceVersion to watch from.

        A list that expires half-way is begun again, once.
        """
        try:
            return await self._list(path, item, params, accept)
        except Expired:
            return await self._list(path, item, params, accept)

    async def _list(self, path: str, item: type[T], params: Params | None, accept: str) -> tuple[builtins.list[T], str]:
        found: list[T] = []
        asked = {"limit": str(PAGE), **(params or {})}
        while True:
            answer = await self._send("GET", path, params=asked, headers={"Accept": accept})
            page = cast("_Page[T]", self._decode(answer, _page_of(cast("Any", item))))
            found += page.items or []
            if not page.metadata.continue_:
                return found, page.metadata.resource_version
            asked["continue"] = page.metadata.continue_

    @overload
    def watch(
        self, path: str, *, params: Params | None = None, resource_version: str
    ) -> AsyncIterator[WatchEvent[dict[str, Any]]]: ...
    @overload
    def watch(
        self, path: str, *, params: Params | None = None, resource_version: str, into: type[T]
    ) -> AsyncIterator[WatchEvent[T]]: ...
    def watch(
        self, path: str, *, params: Params | None = None, resource_version: str, into: Any = dict
    ) -> AsyncIterator[WatchEvent[Any]]:
        """What happens from *resource_version* on, bookmarks included, until the server ends the watch.

        One connection's worth: going on from the last resourceVersion, and listing again after Expired, is the
        caller's. Raises ClusterUnreachable when the connection is cut.
        """
        return self._watch(path, params, resource_version, into)

    async def resource(self, api_version: str, kind: str) -> ApiResource:
        """How objects of a kind are addressed. Raises ClusterRejected for one the cluster does not know."""
        return await self._discovery.resource(api_version, kind)

    async def served(self) -> frozenset[str]:
        """Every API version served, ``apps/v1`` style, as of now."""
        return await self._discovery.served()

    @staticmethod
    def path_of(resource: ApiResource, namespace: str, name: str = "") -> str:
        """The path of an object, or without *name* of the list."""
        root = "/apis" if "/" in resource.group_version else "/api"
        within = f"/namespaces/{quote(namespace, safe='')}" if resource.namespaced and namespace else ""
        tail = f"/{quote(name, safe='')}" if name else ""
        return f"{root}/{resource.group_version}{within}/{resource.plural}{tail}"

    async def server_version(self) -> str:
        """The Kubernetes version, as the server spells it: ``v1.36.2``."""
        return (await self.get("/version", into=_ServerVersion)).git_version

    async def text(self, path: str, *, params: Params | None = None) -> str:
        """An answer that is no JSON: a log."""
        return (await self._send("GET", path, params=params)).body.decode("utf-8", "replace")

    # Writing.

    async def create(self, path: str, body: Mapping[str, Any], *, params: Params | None = None) -> dict[str, Any]:
        """Create an object; it as stored."""
        stored: dict[str, Any] = self._decode(await self._send("POST", path, params=params, body=body), dict)
        return stored

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any] | builtins.list[Any],
        *,
        kind: PatchKind,
        params: Params | None = None,
    ) -> dict[str, Any]:
        """Change an object; it as stored. Raises FieldConflict when an apply meets other managers' fields."""
        headers = {"Content-Type": _CONTENT_TYPES[kind]}
        answer = await self._send("PATCH", path, params=params, body=body, headers=headers)
        stored: dict[str, Any] = self._decode(answer, dict)
        return stored

    async def delete(self, path: str, *, body: Mapping[str, Any] | None = None) -> None:
        """Delete an object; *body* are DeleteOptions. Raises Missing when there is none."""
        await self._send("DELETE", path, body=body)

    # The wire.

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> "_Answer":
        """The answer to a request that the server has granted.

        The request runs in a task of its own: a caller that is cancelled leaves it to its deadline, because
        connections torn down in mid-request have been seen to be lost to the pool. A write may thus still happen.
        """
        task = asyncio.create_task(self._persist(method, path, params, body, headers))
        self._running.add(task)
        task.add_done_callback(self._forget)
        answer = await asyncio.shield(task)
        if answer.status >= 300 and answer.status != 304:
            raise self._refusal(answer, method, path)
        return answer

    def _forget(self, task: "asyncio.Task[_Answer]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be left to ask

    async def _persist(
        self, method: str, path: str, params: Params | None, body: Any, headers: Mapping[str, str] | None
    ) -> "_Answer":
        """Ask again with a fresh credential after a 401, and as long as the server asks to come back later."""
        credential = await self._credentials.current()
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._seconds
        data = None if body is None else msgspec.json.encode(body)
        renewed, retries = False, 0
        while True:
            if method != "GET":
                self._before_write()
            answer = await self._exchange(credential, deadline, method, path, params, data, headers)
            if answer.status == 401 and self._credentials.can_change and not renewed:
                credential, renewed = await self._credentials.current(not_this=credential), True
                continue
            if answer.status not in {429, 503} or answer.retry_after is None or retries == _RETRIES:
                return answer
            pause = max(answer.retry_after, 0.05)
            if clock() + pause >= deadline:
                return answer
            retries += 1
            await asyncio.sleep(pause)

    async def _exchange(
        self,
        credential: Credential,
        deadline: float,
        method: str,
        path: str,
        params: Params | None,
        data: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> "_Answer":
        session = self._open(credential).requests
        try:
            async with asyncio.timeout_at(deadline):
                request = session.request(
                    method,
                    self._url(path),
                    params=params,
                    data=data,
                    headers=self._headers(credential, data, headers),
                    **self._options(),
                )
                async with request as response:
                    return await self._read(response)
        except TimeoutError:
            raise ClusterUnreachable(
                f"The cluster at {self._access.host} has not answered within {self._seconds:g} s."
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._trouble(error) from error

    async def _watch(
        self, path: str, params: Params | None, resource_version: str, into: Any
    ) -> AsyncIterator[WatchEvent[Any]]:
        credential = await self._credentials.current()
        asked = {"timeoutSeconds": str(WATCH_SECONDS), "allowWatchBookmarks": "true", **(params or {})}
        asked |= {"watch": "true", "resourceVersion": resource_version}
        # A peer that is gone without a word is noticed soon after the server should have ended the watch.
        silence = int(asked["timeoutSeconds"]) + self._seconds
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._open(credential).watches.get(
                    self._url(path),
                    params=asked,
                    headers=self._headers(credential, None, None),
                    timeout=aiohttp.ClientTimeout(total=None, sock_read=silence),
                    **self._options(),
                )
                if response.status != 200:
                    raise self._refusal(await self._read(response), "GET", path)
            async for line in _lines(response.content):
                event = _EVENT.decode(line)
                if event.type == "ERROR":
                    status = _STATUS.decode(event.object)
                    raise self._refusal(_Answer(status.code or 500, {}, bytes(event.object)), "GET", path)
                yield WatchEvent(event.type, _decoder_of(into).decode(event.object))
        except TimeoutError:
            raise ClusterUnreachable(f"The cluster at {self._access.host} has gone silent.") from None
        except msgspec.DecodeError as error:
            raise self._unreadable() from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._trouble(error) from error
        finally:
            if response is not None:
                response.close()

    async def _discover(self, path: str, accept: str, etag: str) -> Fetched:
        headers = {"Accept": accept} | ({"If-None-Match": etag} if etag else {})
        answer = await self._send("GET", path, headers=headers)
        if answer.status == 304:
            return Fetched(None, etag)
        return Fetched(answer.body, answer.headers.get("ETag", ""))

    def _open(self, credential: Credential) -> "_Sessions":
        # A plugin may give a new certificate, and a connection keeps the one it was made with.
        if self._sessions is not None and self._sessions.certificate != credential.certificate:
            task = asyncio.create_task(self._sessions.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._sessions = None
        if self._sessions is None:
            try:
                context = ssl_context(self._access, credential)
            except KubeconfigRejected as error:
                # The kubeconfig's own was checked when it was read, so this one came from a plugin.
                raise ClusterRefused(f"The credential plugin's certificate cannot be used: {error.message}") from error
            self._sessions = _Sessions(context, credential.certificate)
        return self._sessions

    def _url(self, path: str) -> URL:
        return URL(self._access.server + path, encoded=True)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"allow_redirects": False}  # a redirect would take the token elsewhere
        if self._proxy:
            options["proxy"] = self._proxy
        if self._access.tls_server_name and self._access.is_encrypted:
            options["server_hostname"] = self._access.tls_server_name
        return options

    def _headers(self, credential: Credential, data: bytes | None, more: Mapping[str, str] | None) -> Any:
        headers: list[tuple[str, str]] = []
        if self._may_show_credentials:
            if credential.token:
                headers.append(("Authorization", f"Bearer {credential.token}"))
            elif self._access.username:
                basic = aiohttp.encode_basic_auth(self._access.username, self._access.password)
                headers.append(("Authorization", basic))
        given = {"Accept": "application/json", **({"Content-Type": "application/json"} if data else {}), **(more or {})}
        return [*headers, *given.items(), *_impersonation(self._access)]

    @property
    def _may_show_credentials(self) -> bool:
        # Like client-go, which sends none in the clear; on the machine itself nobody listens in.
        return self._access.is_encrypted or urlsplit(self._access.server).hostname in _LOOPBACK

    async def _read(self, response: aiohttp.ClientResponse) -> "_Answer":
        parts: list[bytes] = []
        size = 0
        while not response.content.at_eof():
            part = await response.content.readany()
            size += len(part)
            if size > MAX_ANSWER:
                response.close()
                raise TooLarge(
                    f"The cluster at {self._access.host} answered more than {MAX_ANSWER >> 20} MiB at once.",
                    remedy="Check that the address is a Kubernetes API server.",
                )
            parts.append(part)
        return _Answer(response.status, response.headers, b"".join(parts))

    def _decode(self, answer: "_Answer", into: Any) -> Any:
        try:
            return _decoder_of(into).decode(answer.body)
        except msgspec.DecodeError as error:
            raise self._unreadable() from error

    # Errors.

    def _unreadable(self) -> ClusterRejected:
        return ClusterRejected(
            f"The cluster at {self._access.host} answered something that is not Kubernetes JSON.",
            remedy="Check that the kubeconfig's server is a Kubernetes API server, and not a login page before it.",
        )

    def _trouble(self, error: Exception) -> ClusterTrouble:
        """What happened on the way to the server, without the request: its headers and query may be secret."""
        host = self._access.host
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return _certificate_trouble(host, error.certificate_error)
        root = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        if isinstance(root, ssl.SSLCertVerificationError):
            return _certificate_trouble(host, root)
        if isinstance(root, ssl.SSLError) and "ALERT" in (root.reason or ""):
            return ClusterRefused(
                f"The cluster at {host} refused the client certificate ({_words(root.reason)}).",
                remedy="Check that the kubeconfig's client certificate has not expired and is the cluster's own.",
            )
        if isinstance(root, ssl.SSLError):
            return ClusterUnreachable(
                f"The cluster at {host} does not speak TLS ({_words(root.reason)}).",
                remedy="Check whether its address begins with http:// or https://, and the port.",
            )
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return ClusterUnreachable(
                f"The proxy before the cluster at {host} cannot be reached.", remedy="Check proxy-url or HTTPS_PROXY."
            )
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return ClusterUnreachable(
                f"The proxy before the cluster at {host} refused ({error.status}).",
                remedy="Check proxy-url or HTTPS_PROXY.",
            )
        if isinstance(root, ConnectionResetError) and isinstance(error, aiohttp.ClientConnectorError):
            # uvloop tells a TLS alert, by which a server refuses our certificate, as a mere reset.
            return ClusterUnreachable(
                f"The cluster at {host} does not answer: it closed the connection at once.",
                remedy="Check the address, and that the kubeconfig's client certificate has not expired.",
            )
        return ClusterUnreachable(f"The cluster at {host} does not answer: {_happened(error)}.")

    def _refusal(self, answer: "_Answer", method: str, path: str) -> ClusterTrouble:
        """The error for an answer that is none; the API's own words where they are fit to be seen."""
        status = answer.status_object()
        words = _fit_to_be_seen(status, path, is_write=method != "GET") or f"HTTP {answer.status}"
        at = f"The cluster at {self._access.host}"
        match answer.status:
            case 401:
                return ClusterRefused(f"{at} does not accept the credentials: {words}.")
            case 403:
                return Forbidden(
                    f"{at} does not allow this: {words}",
                    remedy="Give the kubeconfig's user this permission (a ClusterRole and a binding), and try again.",
                )
            case 404:
                return Missing(f"{at} has no such object: {words}.")
            case 409 if conflicts := _conflicts(status):
                return FieldConflict(conflicts)
            case 409 if status.reason == "Conflict":
                return Outdated(f"{at}: {words}")
            case 410:
                return Expired(f"{at}: {words}")
            case 429:
                return ClusterUnreachable(f"{at} is overloaded: {words}", remedy="Try again later.")
            case code if code >= 500 and not _is_verdict(status, is_write=method != "GET"):
                return ClusterUnreachable(f"{at} failed ({code}): {words}")
            case code if 300 <= code < 400:
                return ClusterRejected(
                    f"{at} redirects elsewhere, which is not followed.",
                    remedy="Put the API server's own address into the kubeconfig.",
                )
            case _:
                return ClusterRejected(f"{at} rejected it: {words}")


async def all_of(*questions: Coroutine[Any, Any, T] | asyncio.Task[T]) -> builtins.list[T]:
    """The answers to several questions asked at once. The first error ends the others and is raised alone, without the
    group that a TaskGroup would make of it.
    """
    tasks = [asyncio.ensure_future(question) for question in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class _Sessions:
    """Two pools, so that long watches never take a connection from short requests."""

    def __init__(self, context: ssl.SSLContext | None, certificate: bytes) -> None:
        self.certificate = certificate
        self.requests = _session(context, CONNECTIONS)
        self.watches = _session(context, WATCHES)

    async def close(self) -> None:
        await asyncio.gather(self.requests.close(), self.watches.close())


def _session(context: ssl.SSLContext | None, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, ssl=context or True, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "addonry"},
        timeout=aiohttp.ClientTimeout(total=None),  # _exchange sets the deadline
    )


# Answers.


class _Cause(msgspec.Struct, gc=False):
    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, gc=False):
    causes: list[_Cause] | None = None


class _Status(msgspec.Struct, gc=False):
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: _Details | None = None


class _ServerVersion(msgspec.Struct, rename="camel", gc=False):
    git_version: str


class _ListMeta(msgspec.Struct, gc=False):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct, Generic[T]):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[T] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


_STATUS: Final = msgspec.json.Decoder(_Status)
_EVENT: Final = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds, which is what Kubernetes writes; a date is not waited for."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() else None

    def status_object(self) -> _Status:
        try:
            status = _STATUS.decode(self.body)
        except msgspec.DecodeError:
            return _Status()  # plain text, as of an unknown group or an unavailable APIService
        return status if status.kind == "Status" else _Status()


@lru_cache(maxsize=128)
def _decoder_of(into: Any) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(into)


@lru_cache(maxsize=128)
def _page_of(item: Any) -> Any:
    return _Page[item]


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """The lines of a watch. Not the stream's own, which refuse lines as long as some objects are."""
    rest = b""
    async for part in stream.iter_any():
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
        if len(rest) > MAX_EVENT:
            raise ClusterRejected(f"The cluster sent an event of more than {MAX_EVENT >> 20} MiB.")


def _conflicts(status: _Status) -> tuple[tuple[str, str], ...]:
    """Field and manager of each conflict of a server-side apply; ``conflict with "kubectl" with subresource "scale"``
    is the sentence's longest form.
    """
    causes = (status.details.causes if status.details else None) or []
    found = []
    for cause in causes:
        if cause.reason == "FieldManagerConflict":
            manager = _MANAGER.search(cause.message)
            found.append((cause.field.removeprefix("."), manager[1] if manager else cause.message))
    return tuple(dict.fromkeys(found))


_MANAGER: Final = re.compile(r'conflict with "([^"]*)"')
_WHOLE_OBJECT: Final = re.compile(r'Invalid value: (?:"\{.*\}"|\{.*\})', re.DOTALL)


def _fit_to_be_seen(status: _Status, path: str, *, is_write: bool) -> str:
    """The server's sentence, unless it may quote what was sent: strict validation repeats whole objects."""
    if is_write and "/secrets" in path and status.reason in {"Invalid", "BadRequest", ""} and status.message:
        fields = [cause.field for cause in (status.details.causes if status.details else None) or [] if cause.field]
        return f"a Secret is not valid ({', '.join(fields) or status.reason or 'no reason given'})"
    words = " ".join(_WHOLE_OBJECT.sub("Invalid value: (the object)", status.message).split())
    return words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}..."


def _is_verdict(status: _Status, *, is_write: bool) -> bool:
    """Whether a 5xx speaks of what was sent, so that asking again cannot help.

    A server answers 500 without a reason to an apply with fields it does not know, and InternalError when an admission
    webhook cannot be called (recorded from kube-apiserver 1.36).
    """
    if not is_write or status.kind != "Status":
        return False
    return not status.reason or "failed calling webhook" in status.message


def _certificate_trouble(host: str, error: object) -> ClusterUnreachable:
    words = getattr(error, "verify_message", "") or "it cannot be verified"
    match getattr(error, "verify_code", 0):
        case 10:
            remedy = "Renew the API server's certificate."
        case 18 | 19 | 20 | 21:
            remedy = "Take certificate-authority-data from the cluster's own kubeconfig: another authority signed it."
        case _:
            remedy = "Check server, tls-server-name and certificate-authority-data of the kubeconfig."
    return ClusterUnreachable(
        f"The certificate of the cluster at {host} is not accepted: {words.rstrip('.')}.", remedy=remedy
    )


def _happened(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return error.os_error.strerror.lower()
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it closed the connection without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "its answer was cut short"
    if isinstance(error, aiohttp.ClientResponseError):
        return "it does not speak HTTP as it should"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the connection failed"


def _words(reason: str | None) -> str:
    return (reason or "no reason given").replace("_", " ").lower()


def _impersonation(access: Access) -> builtins.list[tuple[str, str]]:
    """https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/."""
    whom = access.impersonation
    if whom is None:
        return []
    extra = [(f"Impersonate-Extra-{quote(name, safe='')}", value) for name, values in whom.extra for value in values]
    uid = [("Impersonate-Uid", whom.uid)] if whom.uid else []
    return [("Impersonate-User", whom.user), *uid, *(("Impersonate-Group", group) for group in whom.groups), *extra]


def _proxy_of(access: Access) -> str:
    """The kubeconfig's proxy, else the environment's. Asked here because aiohttp's own way also reads ``~/.netrc``."""
    if access.proxy:
        return access.proxy
    scheme, _, host = access.server.partition("://")
    name = host.partition("/")[0]
    return "" if urllib.request.proxy_bypass(name) else urllib.request.getproxies().get(scheme, "")
