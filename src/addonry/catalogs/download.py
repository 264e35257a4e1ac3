"""One request with limits: size, time, redirects, schemes. All that goes out of this room goes through here.

Credentials go to the host they are for and nowhere else: not to where it redirects, and not over plain http, unless
the host is this machine or was said to speak nothing else.
"""

import asyncio
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from addonry.catalogs.credentials import Credentials, authorization, is_loopback
from addonry.model.errors import CatalogUnavailable

SECONDS: Final = 20.0
"""For the whole of one download."""
CONNECT_SECONDS: Final = 5.0
"""For a host to answer at all."""
MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a body, or the news that nothing has changed."""

    body: bytes
    changed: bool
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status; the body only of a 200."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names are found in whatever case."""
    body: bytes = field(repr=False)


class Downloads:
    """Holds the HTTP session, which is made with the first request and belongs to that event loop."""

    def __init__(self, credentials: Credentials | None = None, *, seconds: float = SECONDS) -> None:
        self.credentials = credentials or Credentials()
        """May be replaced at any time; the next request uses the new ones."""
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._contexts: dict[str, ssl.SSLContext] = {}

    async def get(
        self, url: str, *, limit: int, packed: bool = False, etag: str = "", last_modified: str = ""
    ) -> Answer:
        """The body of *url*, at most *limit* bytes; *packed* lets the server compress it on the way.

        Raises CatalogUnavailable, naming host and path and never the query.
        """
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        if credential := authorization(self.credentials.of(url)):
            headers["Authorization"] = credential
        reply = await self.ask(url, limit=limit, packed=packed, headers=headers)
        if reply.status == 304:
            return Answer(b"", changed=False, etag=etag, last_modified=last_modified)
        if reply.status != 200:
            raise refused(url, reply.status)
        return Answer(
            reply.body,
            changed=True,
            etag=reply.headers.get("ETag", ""),
            last_modified=reply.headers.get("Last-Modified", ""),
        )

    async def ask(
        self,
        url: str,
        *,
        limit: int,
        method: str = "GET",
        packed: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """What *url* answers, after redirects. ``Authorization`` in *headers* is for the host of *url* alone.

        Raises CatalogUnavailable when there is no answer that could be read, which a refusal is not.
        """
        where = shown(url)
        try:
            async with asyncio.timeout(self._seconds):
                return await self._follow(url, method, limit, packed=packed, headers=headers or {})
        except aiohttp.ConnectionTimeoutError as error:
            raise CatalogUnavailable(f"{where} cannot be reached: nothing answers.") from error
        except TimeoutError as error:
            raise CatalogUnavailable(f"{where} was not done after {self._seconds:g} seconds.") from error
        except aiohttp.ClientSSLError as error:
            raise CatalogUnavailable(
                f"{where} has a certificate that is not trusted here.",
                remedy="Check the address; for a certificate authority of your own name its file in SSL_CERT_FILE, "
                "or log in to the host with --ca-file.",
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise CatalogUnavailable(
                f"{where} cannot be reached: {error.os_error.strerror or error.os_error}."
            ) from error
        except (aiohttp.ClientError, aiohttp.InvalidURL, OSError, ValueError) as error:
            # The message of the cause may hold a redirect's address with a signed query, its type says enough.
            raise CatalogUnavailable(f"{where} cannot be read: {type(error).__name__}.") from error

    async def _follow(self, url: str, method: str, limit: int, *, packed: bool, headers: Mapping[str, str]) -> Reply:
        where, origin = shown(url), urlsplit(url).netloc
        sent = {name: value for name, value in headers.items() if value}
        sent["Accept-Encoding"] = "gzip" if packed else "identity"
        if not self._may_know(url):
            sent.pop("Authorization", None)
        for _ in range(MOST_REDIRECTS + 1):
            async with self._open().request(
                method, url, headers=sent, allow_redirects=False, proxy=_proxy_for(url), ssl=self._context(url)
            ) as response:
                if response.status not in _REDIRECTS or "Location" not in response.headers:
                    body = await _read(response, limit=limit, where=where) if response.status == 200 else b""
                    if packed and response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
                        body = _unpack(body, limit=limit, where=where)
                    return Reply(response.status, response.headers, body)
                ahead = urljoin(url, response.headers["Location"])
            _refuse_step(url, ahead, where=where)
            url = ahead
            if urlsplit(url).netloc != origin:
                # Wherever this leads, it is not whom the secret was for; nor may a repository send us, with the
                # credentials of another host, to fetch something there.
                sent.pop("Authorization", None)
        raise CatalogUnavailable(f"{where} redirects more than {MOST_REDIRECTS} times.")

    async def close(self) -> None:
        """Give up connections."""
        if self._session is not None:
            await self._session.close()

    def _may_know(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme == "https" or is_loopback(parts.netloc) or self.credentials.of(url).plain_http

    def _context(self, url: str) -> ssl.SSLContext | bool:
        """What a certificate is judged by: the authority given for the host, else what the machine trusts."""
        authority = self.credentials.of(url).authority
        if not authority:
            return True
        if authority not in self._contexts:
            self._contexts[authority] = ssl.create_default_context(cadata=authority)
        return self._contexts[authority]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
                # A .tgz served with Content-Encoding: gzip must stay as it is; an index is unpacked below, with a limit.
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "addonry"},
            )
        return self._session


def shown(url: str) -> str:
    """*url* for people and logs: without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "The repository's address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def refused(url: str, status: int) -> CatalogUnavailable:
    """The error for an answer that is a refusal."""
    if status in (401, 403):
        host = urlsplit(url).netloc.rpartition("@")[2]
        return CatalogUnavailable(
            f"{shown(url)} answered HTTP {status}.",
            remedy=f"Give credentials with `addonry catalog login {host}` or ADDONRY_CHART_CREDENTIALS, or correct them.",
        )
    if status == 429:
        return CatalogUnavailable(
            f"{shown(url)} answered HTTP 429: it was asked too often.",
            remedy="Wait; a login is often allowed more. What was known before is kept.",
        )
    return CatalogUnavailable(f"{shown(url)} answered HTTP {status}.")


def _refuse_step(url: str, ahead: str, *, where: str) -> None:
    parts = urlsplit(ahead)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CatalogUnavailable(f"{where} redirects to an address that is neither http nor https.")
    if url.startswith("https:") and parts.scheme != "https":
        raise CatalogUnavailable(f"{where} redirects to an address without TLS.")


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for *url*. The demo's own repository is on loopback, where no proxy is ever meant."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


async def _read(response: aiohttp.ClientResponse, *, limit: int, where: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise CatalogUnavailable(f"{where} is larger than {told_size(limit)}.")
    return bytes(body)


def told_size(limit: int) -> str:
    """A limit for people."""
    return f"{limit // 2**20} MiB" if limit >= 2**20 else f"{limit // 2**10} KiB"


def _unpack(body: bytes, *, limit: int, where: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise CatalogUnavailable(f"{where} is damaged: it says it is gzip and is not.") from error
    if len(unpacked) > limit:
        raise CatalogUnavailable(f"{where} is larger than {told_size(limit)}.")
    if not unpacker.eof:
        raise CatalogUnavailable(f"{where} is damaged: it ends too early.")
    return unpacked
