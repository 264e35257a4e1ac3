"""The distribution API of OCI registries, as far as charts need it: tags, manifests, blobs, tokens.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md, and for tokens
https://distribution.github.io/distribution/spec/auth/token/.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import msgspec

from addonry.catalogs.credentials import authorization, is_loopback
from addonry.catalogs.download import Downloads, Reply, refused, shown
from addonry.catalogs.places import DIGEST, Place
from addonry.model.errors import CatalogUnavailable, ChartRejected
from addonry.rules.chart_hosts import host_of

MOST_TAGS: Final = 10_000
MOST_PAGES: Final = 50
LARGEST_PAGE: Final = 2 * 2**20
LARGEST_MANIFEST: Final = 2**20
LARGEST_TOKEN: Final = 64 * 2**10

_MANIFESTS: Final = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_GONE: Final = "Refresh the catalog, then choose one of the versions that are left."
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_NEXT: Final = re.compile(r'<([^>]{1,2000})>\s*;\s*rel="?next"?', re.IGNORECASE)

# Registries whose tokens are made by another host of the same owner. Elsewhere a login names the host (`realm`), else
# a registry could send what it is given for itself to anywhere.
_REALMS: Final[Mapping[str, str]] = {
    "registry-1.docker.io": "auth.docker.io",
    "registry.gitlab.com": "gitlab.com",
}
# A bucket of the same cloud's storage may have any name, below a region that begins with oss.
_ALIYUN: Final = re.compile(r"dockerauth(?:-ee)?\.(?!oss-)[a-z0-9-]+\.aliyuncs\.com")


@dataclass(frozen=True, slots=True)
class Blob:
    """What a manifest says of one part."""

    kind: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What holds the parts of a chart together."""

    digest: str
    config: Blob
    layers: tuple[Blob, ...]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a name."""

    names: tuple[str, ...] | None
    """None when nothing has changed."""
    etag: str = ""


class Registry:
    """Speaks to any registry; keeps tokens until they end, in memory alone."""

    def __init__(self, downloads: Downloads, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._downloads = downloads
        self._clock = clock
        self._granted: dict[tuple[str, str], tuple[str, float]] = {}
        """What let us in last, by host and name, and until when it will."""

    async def tags(self, place: Place, *, etag: str = "") -> Tags:
        """All of them, page by page; *etag* asks whether anything has changed, where that can be asked."""
        url = f"{self._base(place)}/tags/list?n=1000"
        found: list[str] = []
        tag = ""
        for page in range(MOST_PAGES):
            reply = await self._ask(place, url, limit=LARGEST_PAGE, headers={"If-None-Match": "" if page else etag})
            if reply.status == 304 and etag:
                return Tags(None, etag)
            if reply.status != 200:
                raise refused(url, reply.status)
            names = _object(reply.body, what=shown(url)).get("tags") or []
            found += [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
            if len(found) > MOST_TAGS:
                raise CatalogUnavailable(f"{shown(url)} lists more than {MOST_TAGS:,} tags.")
            ahead = _NEXT.search(reply.headers.get("Link", ""))
            # Only of a list in one page is it known what its tag stands for.
            tag = reply.headers.get("ETag", "") if page == 0 and not ahead else ""
            if ahead is None:
                return Tags(tuple(dict.fromkeys(found)), tag)
            url = self._next_page(place, url, ahead.group(1))
        raise CatalogUnavailable(f"{shown(url)} lists its tags on more than {MOST_PAGES} pages.")

    async def digest(self, place: Place) -> str:
        """What *place* means now, without reading it; empty where the registry does not tell."""
        reply = await self._ask(
            place,
            self._manifest(place),
            method="HEAD",
            limit=LARGEST_MANIFEST,
            headers={"Accept": _MANIFESTS},
        )
        if reply.status == 404:
            return ""
        if reply.status != 200:
            raise refused(self._manifest(place), reply.status)
        told = reply.headers.get("Docker-Content-Digest", "")
        return told if DIGEST.fullmatch(told) else ""

    async def manifest(self, place: Place) -> Manifest:
        """Raises ChartRejected for one that is not what it says, or says nothing that could be used."""
        url = self._manifest(place)
        reply = await self._ask(place, url, limit=LARGEST_MANIFEST, headers={"Accept": _MANIFESTS})
        if reply.status == 404:
            raise ChartRejected(f"{shown(url)} is not there.", remedy=_GONE)
        if reply.status != 200:
            raise refused(url, reply.status)
        digest = _digest_of(reply.body)
        if place.is_pinned and digest != place.reference:
            raise ChartRejected(f"{shown(url)} has digest {digest}.")
        return read_manifest(reply.body, digest, what=shown(url))

    async def blob(self, place: Place, blob: Blob, *, limit: int) -> bytes:
        """The part itself, of the size and digest that the manifest says. Raises ChartRejected for another."""
        url = f"{self._base(place)}/blobs/{blob.digest}"
        if blob.size > limit:
            raise ChartRejected(f"{shown(url)} is larger than {limit // 2**20} MiB.")
        reply = await self._ask(place, url, limit=min(limit, blob.size))
        if reply.status == 404:
            raise ChartRejected(f"{shown(url)} is not there.", remedy=_GONE)
        if reply.status != 200:
            raise refused(url, reply.status)
        if len(reply.body) != blob.size or _digest_of(reply.body) != blob.digest:
            raise ChartRejected(f"{shown(url)} is not what the manifest announced.")
        return reply.body

    # Where

    def _base(self, place: Place) -> str:
        host = host_of(place.host)
        plain = is_loopback(host) or self._downloads.credentials.of(host).plain_http
        return f"{'http' if plain else 'https'}://{host}/v2/{place.name}"

    def _manifest(self, place: Place) -> str:
        return f"{self._base(place)}/manifests/{place.reference}"

    def _next_page(self, place: Place, url: str, ahead: str) -> str:
        """The next page, which must be one of the same list: else a registry could have us ask anybody, as its guest."""
        following = urljoin(url, ahead)
        if not following.startswith(f"{self._base(place)}/tags/list?"):
            raise CatalogUnavailable(f"{shown(url)} says its tags go on elsewhere.")
        return following

    # Who

    async def _ask(
        self,
        place: Place,
        url: str,
        *,
        limit: int,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask as whoever was let in last; and once more with what the registry asks for, if it does."""
        sent = {**(headers or {}), "Authorization": self._let_in(place)}
        reply = await self._downloads.ask(url, method=method, limit=limit, headers=sent)
        if reply.status != 401:
            return reply
        self._granted.pop((place.host, place.name), None)
        granted = await self._answer(place, url, reply.headers.get("WWW-Authenticate", ""))
        if not granted:
            return reply
        return await self._downloads.ask(
            url, method=method, limit=limit, headers={**(headers or {}), "Authorization": granted}
        )

    def _let_in(self, place: Place) -> str:
        granted, until = self._granted.get((place.host, place.name), ("", 0.0))
        return granted if self._clock() < until else ""

    async def _answer(self, place: Place, url: str, challenge: str) -> str:
        """What to say to *challenge*; empty when there is nothing to say."""
        kind, _, rest = challenge.partition(" ")
        own = self._downloads.credentials.of(place.host)
        if kind.lower() == "basic" or own.token:
            granted, seconds = authorization(own), 300.0
        elif kind.lower() == "bearer":
            granted, seconds = await self._token(place, url, dict(_CHALLENGE.findall(rest[:4000])))
        else:
            return ""
        self._granted[place.host, place.name] = (granted, self._clock() + seconds)
        return granted

    async def _token(self, place: Place, url: str, asked: Mapping[str, str]) -> tuple[str, float]:
        """A token that may pull this name and nothing else, and how long it is good for."""
        realm = asked.get("realm", "")
        parts = urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise CatalogUnavailable(f"{shown(url)} asks for a token and does not say where it is made.")
        if parts.scheme == "http" and urlsplit(url).scheme != "http":
            raise CatalogUnavailable(f"{shown(url)} has its tokens made at an address without TLS.")
        own = self._downloads.credentials.of(place.host)
        query = {"scope": f"repository:{place.name}:pull", "client_id": "addonry"}
        if asked.get("service"):
            query["service"] = asked["service"]
        headers = {"Authorization": authorization(own)} if self._is_its_realm(place.host, realm) else {}
        where = f"{realm}{'&' if parts.query else '?'}{urlencode(query, quote_via=quote)}"
        reply = await self._downloads.ask(where, limit=LARGEST_TOKEN, headers=headers)
        if reply.status != 200:
            raise refused(url if own.is_anonymous else realm, 401 if own.is_anonymous else reply.status)
        told = _object(reply.body, what=shown(realm))
        token = told.get("token") or told.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            raise CatalogUnavailable(f"{shown(realm)} answered without a token.")
        seconds = told.get("expires_in")
        lasts = float(seconds) if isinstance(seconds, int | float) and 0 < seconds < 1e6 else 60.0
        return f"Bearer {token}", lasts * 0.8

    def _is_its_realm(self, host: str, realm: str) -> bool:
        """Whether *realm* may see the password that is for *host*."""
        host, maker = host_of(host), host_of(realm)
        return (
            maker in (host, _REALMS.get(host))
            or (host.endswith(".aliyuncs.com") and bool(_ALIYUN.fullmatch(maker)))
            or realm == self._downloads.credentials.of(host).realm
        )


def read_manifest(body: bytes, digest: str, *, what: str) -> Manifest:
    """A manifest of one config and some layers. Raises ChartRejected."""
    said = _object(body, what=what, error=ChartRejected)
    layers, annotations = said.get("layers"), said.get("annotations")
    if not isinstance(layers, list) or len(layers) > 100:
        raise ChartRejected(f"{what} is no manifest of a chart.")
    return Manifest(
        digest,
        _blob(said.get("config"), what=what),
        tuple(_blob(layer, what=what) for layer in layers),
        {name: value for name, value in annotations.items() if isinstance(value, str)}
        if isinstance(annotations, dict)
        else {},
    )


def _blob(said: Any, *, what: str) -> Blob:
    match said:
        case {"mediaType": str(kind), "digest": str(digest), "size": int(size)} if (
            DIGEST.fullmatch(digest) and size >= 0
        ):
            return Blob(kind, digest, size)
        case _:
            raise ChartRejected(f"{what} is no manifest of a chart.")


def _object(
    body: bytes, *, what: str, error: type[CatalogUnavailable] | type[ChartRejected] = CatalogUnavailable
) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as cause:
        raise error(f"{what} is no JSON.") from cause
    if not isinstance(said, dict):
        raise error(f"{what} is no JSON object.")
    return said


def _digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"
