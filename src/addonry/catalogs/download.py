"""One GET with limits: size, time, redirects, schemes. All that goes out of this room goes through here."""

import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from addonry.model.errors import CatalogUnavailable

SECONDS: Final = 20.0
"""For the whole of one download."""
MOST_REDIRECTS: Final = 5

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a body, or the news that nothing has changed."""

    body: bytes
    changed: bool
    etag: str = ""
    last_modified: str = ""


class Downloads:
    """Holds the HTTP session, which is made with the first request and belongs to that event loop."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def get(
        self, url: str, *, limit: int, packed: bool = False, etag: str = "", last_modified: str = ""
    ) -> Answer:
        """The body of *url*, at most *limit* bytes; *packed* lets the server compress it on the way.

        Raises CatalogUnavailable, naming host and path and never the query.
        """
        where = shown(url)
        headers = {"Accept-Encoding": "gzip" if packed else "identity"}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        try:
            async with self._open().get(
                url, headers=headers, max_redirects=MOST_REDIRECTS, proxy=_proxy_for(url)
            ) as response:
                if url.startswith("https:") and response.url.scheme != "https":
                    raise CatalogUnavailable(f"{where} redirects to an address without TLS.")
                if response.status == 304:
                    return Answer(b"", changed=False, etag=etag, last_modified=last_modified)
                if response.status != 200:
                    raise CatalogUnavailable(f"{where} answered HTTP {response.status}.")
                body = await _read(response, limit=limit, where=where)
                if packed and response.headers.get("Content-Encoding", "").lower() in ("gzip", "x-gzip"):
                    body = _unpack(body, limit=limit, where=where)
                return Answer(
                    body,
                    changed=True,
                    etag=response.headers.get("ETag", ""),
                    last_modified=response.headers.get("Last-Modified", ""),
                )
        except TimeoutError as error:
            raise CatalogUnavailable(f"{where} was not done after {self._seconds:g} seconds.") from error
        except aiohttp.TooManyRedirects as error:
            raise CatalogUnavailable(f"{where} redirects more than {MOST_REDIRECTS} times.") from error
        except aiohttp.ClientSSLError as error:
            raise CatalogUnavailable(
                f"{where} has a certificate that is not trusted here.",
                remedy="Check the address; for a certificate authority of your own name its file in SSL_CERT_FILE.",
            ) from error
        except aiohttp.ClientConnectorError as error:
            raise CatalogUnavailable(
                f"{where} cannot be reached: {error.os_error.strerror or error.os_error}."
            ) from error
        except (aiohttp.ClientError, aiohttp.InvalidURL, OSError, ValueError) as error:
            # The message of the cause may hold a redirect's address with a signed query, its type says enough.
            raise CatalogUnavailable(f"{where} cannot be read: {type(error).__name__}.") from error

    async def close(self) -> None:
        """Give up connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._seconds),
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


def _proxy_for(url: str) -> str | None:
    """The environment's proxy for *url*. The demo's own repository is on loopback, where no proxy is ever meant."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


async def _read(response: aiohttp.ClientResponse, *, limit: int, where: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > limit:
            raise CatalogUnavailable(f"{where} is larger than {limit // 2**20} MiB.")
    return bytes(body)


def _unpack(body: bytes, *, limit: int, where: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise CatalogUnavailable(f"{where} is damaged: it says it is gzip and is not.") from error
    if len(unpacked) > limit:
        raise CatalogUnavailable(f"{where} is larger than {limit // 2**20} MiB.")
    if not unpacker.eof:
        raise CatalogUnavailable(f"{where} is damaged: it ends too early.")
    return unpacked
