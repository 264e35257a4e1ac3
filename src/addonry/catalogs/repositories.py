"""The catalog over Helm repositories: their indexes kept in memory and on the shelf, their charts in a cache."""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from addonry.catalogs import CatalogSettings, OfferShelf
from addonry.catalogs.archives import MOST_PACKED, read_contents
from addonry.catalogs.documents import Unreadable
from addonry.catalogs.download import Downloads, shown
from addonry.catalogs.entries import read_entries
from addonry.catalogs.index import Index, decode_index, encode_index, offers_of, read_index
from addonry.model.catalog import CatalogEntry, ChartArchive, ChartContents, ChartSource, Offer, ShelvedIndex
from addonry.model.errors import CatalogUnavailable, ChartRejected, ComponentNotFound, InvalidParameter
from addonry.rules.versions import same_version

LARGEST_INDEX: Final = 32 * 2**20
AT_ONCE: Final = 8
"""Repositories asked at the same time."""
MOST_READ: Final = 32
"""Charts whose contents stay in memory: every scan of every cluster asks for the same few."""

_MIRROR: Final = re.compile(r"https?://[^@?#\s/]+(/[^@?#\s]*)?")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class RepositoryCatalog:
    """Implements ``Catalog``; made by ``open_catalog``."""

    def __init__(
        self,
        entries: Iterable[CatalogEntry],
        shelf: OfferShelf,
        *,
        cache: Path | None,
        seconds: float,
        now: Callable[[], datetime],
    ) -> None:
        self._entries = tuple(entries)
        self._by_name = {name: entry for entry in self._entries for name in (entry.name, *entry.aliases)}
        self._shelf = shelf
        self._now = now
        self._downloads = Downloads(seconds=seconds)
        self._offers: dict[str, tuple[Offer, ...]] = {}
        self._problems: dict[str, str] = {}
        self._generation = 0
        self._read: dict[str, ChartContents] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._cache = cache
        self._private: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def open(cls, settings: CatalogSettings, shelf: OfferShelf, *, now: Callable[[], datetime]) -> "RepositoryCatalog":
        """See ``open_catalog``."""
        entries = read_entries(settings.directories)
        if settings.mirror is not None:
            if not _MIRROR.fullmatch(settings.mirror):
                raise InvalidParameter(
                    "mirror",
                    "must be an http or https address without credentials, query or fragment",
                    remedy="Give the address of the folder that holds index.yaml.",
                )
            mirror = settings.mirror.rstrip("/")
            entries = tuple(
                replace(entry, source=ChartSource(mirror, entry.source.chart)) if entry.source else entry
                for entry in entries
            )
        return cls(entries, shelf, cache=settings.cache, seconds=settings.request_seconds, now=now)

    def entries(self) -> tuple[CatalogEntry, ...]:
        """See ``Catalog``."""
        return self._entries

    def entry(self, name: str) -> CatalogEntry | None:
        """See ``Catalog``."""
        return self._by_name.get(name)

    def offers(self, name: str) -> tuple[Offer, ...]:
        """See ``Catalog``."""
        entry = self.entry(name)
        return self._offers.get(entry.name, ()) if entry else ()

    @property
    def generation(self) -> int:
        """See ``Catalog``."""
        return self._generation

    def problems(self) -> Mapping[str, str]:
        """See ``Catalog``."""
        return {repository: problem for repository, problem in self._problems.items() if problem}

    def trouble(self, name: str) -> str:
        """See ``Catalog``."""
        entry = self.entry(name)
        return self._problems.get(entry.source.repository, "") if entry and entry.source else ""

    async def restore(self) -> None:
        """See ``Catalog``."""
        for repository in _repositories(self._entries):
            shelved = await self._shelf.shelved_index(repository)
            index = decode_index(shelved.body) if shelved else None
            if index is not None:
                self._offer(repository, index)

    async def refresh(self, names: Collection[str] | None = None) -> None:
        """See ``Catalog``."""
        entries = self._entries if names is None else [self._known(name) for name in names]
        await asyncio.gather(*(self._ask(repository) for repository in _repositories(entries)))

    async def fetch(self, offer: Offer) -> ChartArchive:
        """See ``Catalog``."""
        name = f"{offer.component} {offer.version}"
        if offer.digest and not _SHA256.fullmatch(offer.digest):
            raise ChartRejected(f"{name}: the digest in the index is no SHA-256.")
        cache = self._cache_directory()
        path = cache / f"{offer.digest}.tgz"
        body = await asyncio.to_thread(_read_kept, path, offer.digest) if offer.digest else None
        if body is None:
            answer = await self._downloads.get(offer.url, limit=MOST_PACKED)
            body = answer.body
            digest = hashlib.sha256(body).hexdigest()
            if offer.digest and digest != offer.digest:
                raise ChartRejected(
                    f"{name}: the archive has digest {digest}, the index announced {offer.digest}.",
                    remedy="Refresh the catalog and try again; if it stays so, tell the repository's owner.",
                )
            contents = await asyncio.to_thread(read_contents, body, name=name)
            self._refuse_another(offer, contents, name=name)
            path = cache / f"{digest}.tgz"
            try:
                await asyncio.to_thread(_keep, path, body)
            except OSError as error:
                raise CatalogUnavailable(
                    f"{name} cannot be kept in {cache}: {error.strerror}.",
                    remedy="Make room on that disk, or correct its permissions, and try again.",
                ) from error
        return ChartArchive(offer=offer, path=path, digest=path.stem)

    async def read_chart(self, archive: ChartArchive) -> ChartContents:
        """See ``Catalog``."""
        contents = self._read.pop(archive.digest, None)
        if contents is None:
            contents = await asyncio.to_thread(_read_archive, archive)
        self._read[archive.digest] = contents  # last, so that the first is the one unused for longest
        while len(self._read) > MOST_READ:
            del self._read[next(iter(self._read))]
        return contents

    async def close(self) -> None:
        """See ``Catalog``."""
        await self._downloads.close()
        if self._private is not None:
            await asyncio.to_thread(self._private.cleanup)

    def _cache_directory(self) -> Path:
        """The private one is made with the first chart, because a scan fetches none and writes nothing."""
        if self._cache is None:
            self._private = tempfile.TemporaryDirectory(prefix="addonry-charts-")
            self._cache = Path(self._private.name)
        return self._cache

    def _known(self, name: str) -> CatalogEntry:
        entry = self.entry(name)
        if entry is None:
            raise ComponentNotFound(name, f"Component {name!r} is not in the catalog.")
        return entry

    async def _ask(self, repository: str) -> None:
        async with self._asking:
            try:
                await self._update(repository)
            except CatalogUnavailable as error:
                problem = error.message
            else:
                problem = ""
        if self._problems.get(repository, "") != problem:
            self._generation += 1
            self._problems[repository] = problem

    async def _update(self, repository: str) -> None:
        """Ask one repository. Raises CatalogUnavailable and changes nothing then."""
        wanted = {
            source.chart for entry in self._entries if (source := entry.source) and source.repository == repository
        }
        shelved = await self._shelf.shelved_index(repository)
        index = decode_index(shelved.body) if shelved else None
        if shelved is None or index is None or not wanted <= index.keys():
            # Nothing to fall back on if it answered "not modified": this chart was not asked for at that time.
            shelved = index = None
        url = f"{repository}/index.yaml"
        answer = await self._downloads.get(
            url,
            limit=LARGEST_INDEX,
            packed=True,
            etag=shelved.etag if shelved else "",
            last_modified=shelved.last_modified if shelved else "",
        )
        if not answer.changed and index is None:
            raise CatalogUnavailable(f"{shown(url)} says that nothing has changed, though nothing was known.")
        if answer.changed or index is None:
            try:
                index = await asyncio.to_thread(read_index, answer.body, wanted)
            except Unreadable as error:
                raise CatalogUnavailable(f"{shown(url)} is {error}.") from error
        kept = ShelvedIndex(repository, encode_index(index), answer.etag, answer.last_modified, self._now())
        await self._shelf.shelve_index(kept)
        self._offer(repository, index)

    def _offer(self, repository: str, index: Index) -> None:
        for entry in self._entries:
            source = entry.source
            if source is not None and source.repository == repository:
                offers = offers_of(entry, index.get(source.chart, ()))
                if self._offers.get(entry.name) != offers:
                    self._generation += 1
                    self._offers[entry.name] = offers

    def _refuse_another(self, offer: Offer, contents: ChartContents, *, name: str) -> None:
        entry = self.entry(offer.component)
        chart, version = contents.metadata["name"], contents.metadata["version"]
        if (entry and entry.source and chart != entry.source.chart) or not same_version(version, offer.version):
            raise ChartRejected(f"{name}: the archive holds {chart} {version}.")


def _repositories(entries: Iterable[CatalogEntry]) -> list[str]:
    """Those that the charts of *entries* come from, each once."""
    return sorted({entry.source.repository for entry in entries if entry.source})


def _read_kept(path: Path, digest: str) -> bytes | None:
    """The chart in the cache; None if there is none, or if it is not what it was."""
    try:
        body = path.read_bytes()
    except OSError:
        return None
    return body if hashlib.sha256(body).hexdigest() == digest else None


def _keep(path: Path, body: bytes) -> None:
    """Write all or nothing: a reader, or a process that dies, never meets half an archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".chart-", delete=False) as file:
        try:
            file.write(body)
            file.flush()
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
    os.replace(file.name, path)  # noqa: PTH105 - the name is a string here


def _read_archive(archive: ChartArchive) -> ChartContents:
    name = f"{archive.offer.component} {archive.offer.version}"
    body = _read_kept(archive.path, archive.digest)
    if body is None:
        raise ChartRejected(f"{name}: the fetched archive is gone or was changed.", remedy="Fetch it again.")
    return read_contents(body, name=name)
