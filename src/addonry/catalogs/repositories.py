"""The catalog over its sources: what they list kept in memory and on the shelf, their charts in a cache."""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from addonry.catalogs import CatalogSettings, OfferShelf
from addonry.catalogs.archives import MOST_PACKED, read_contents
from addonry.catalogs.credentials import Credentials, read_credentials
from addonry.catalogs.download import Downloads
from addonry.catalogs.entries import read_entries
from addonry.catalogs.index import Index, decode_index, encode_index, offers_of
from addonry.catalogs.mirrors import Mirrors
from addonry.catalogs.sources import Reading, open_sources, source_for
from addonry.model.catalog import CatalogEntry, ChartArchive, ChartContents, Offer, ShelvedIndex
from addonry.model.errors import CatalogUnavailable, ChartRejected, ComponentNotFound
from addonry.rules.versions import same_version

AT_ONCE: Final = 8
"""Sources asked at the same time."""
MOST_READ: Final = 32
"""Charts whose contents stay in memory: every scan of every cluster asks for the same few."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class RepositoryCatalog:
    """Implements ``Catalog``; made by ``open_catalog``."""

    def __init__(self, settings: CatalogSettings, shelf: OfferShelf, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._mirrors = Mirrors.read(settings.mirror, settings.mirrors)
        self._given = read_credentials(settings.credentials) if settings.credentials else Credentials()
        self._shelf = shelf
        self._now = now
        self._downloads = Downloads(self._given, seconds=settings.request_seconds)
        self._sources = open_sources(self._downloads)
        self._offers: dict[str, tuple[Offer, ...]] = {}
        self._problems: dict[str, str] = {}
        self._generation = 0
        self._read: dict[str, ChartContents] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._cache = settings.cache
        self._private: tempfile.TemporaryDirectory[str] | None = None
        self._entries: tuple[CatalogEntry, ...] = ()
        self._by_name: dict[str, CatalogEntry] = {}
        self._read_files()

    def _read_files(self) -> None:
        self._entries = tuple(self._mirrors.of(entry) for entry in read_entries(self._settings.directories))
        self._by_name = {name: entry for entry in self._entries for name in (entry.name, *entry.aliases)}

    @classmethod
    def open(cls, settings: CatalogSettings, shelf: OfferShelf, *, now: Callable[[], datetime]) -> "RepositoryCatalog":
        """See ``open_catalog``."""
        return cls(settings, shelf, now=now)

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
        return self._problems.get(entry.source.address, "") if entry and entry.source else ""

    async def restore(self) -> None:
        """See ``Catalog``."""
        await self._meet_hosts()
        for address in _addresses(self._entries):
            known = await self._known_of(address)
            if known is not None:
                self._offer(address, known.index)

    async def refresh(self, names: Collection[str] | None = None) -> None:
        """See ``Catalog``."""
        entries = self._entries if names is None else [self._known(name) for name in names]
        await self._meet_hosts()
        await asyncio.gather(*(self._ask(address) for address in _addresses(entries)))

    async def fetch(self, offer: Offer) -> ChartArchive:
        """See ``Catalog``."""
        name = f"{offer.component} {offer.version}"
        if offer.digest and not _SHA256.fullmatch(offer.digest):
            raise ChartRejected(f"{name}: the digest in the index is no SHA-256.")
        cache = self._cache_directory()
        path = cache / f"{offer.digest}.tgz"
        body = await asyncio.to_thread(_read_kept, path, offer.digest) if offer.digest else None
        if body is None:
            url = self._mirrors.rewritten(offer.url)
            body = await source_for(self._sources, url).fetch(url, limit=MOST_PACKED)
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

    async def _meet_hosts(self) -> None:
        """Take the credentials that the shelf keeps; those of the file that the settings name come first."""
        self._downloads.credentials = Credentials(await self._shelf.chart_credentials()).but(self._given)

    async def _ask(self, address: str) -> None:
        async with self._asking:
            try:
                problem = await self._update(address)
            except CatalogUnavailable as error:
                problem = error.message
        if self._problems.get(address, "") != problem:
            self._generation += 1
            self._problems[address] = problem

    async def _update(self, address: str) -> str:
        """Ask one source; what it did not say is told. Raises CatalogUnavailable and changes nothing then."""
        charts = {source.chart for entry in self._entries if (source := entry.source) and source.address == address}
        known = await self._known_of(address)
        reading = await source_for(self._sources, address).read(address, charts, known)
        kept = ShelvedIndex(
            address, encode_index(reading.index), reading.etag, reading.last_modified, fetched_at=self._now()
        )
        await self._shelf.shelve_index(kept)
        self._offer(address, reading.index)
        return reading.trouble

    async def _known_of(self, address: str) -> Reading | None:
        """What was read of *address* last, by whichever process."""
        shelved = await self._shelf.shelved_index(address)
        index = decode_index(shelved.body) if shelved else None
        return Reading(index, shelved.etag, shelved.last_modified) if shelved and index is not None else None

    def _offer(self, address: str, index: Index) -> None:
        for entry in self._entries:
            source = entry.source
            if source is not None and source.address == address:
                offers = offers_of(entry, index.get(source.chart, ()))
                if self._offers.get(entry.name) != offers:
                    self._generation += 1
                    self._offers[entry.name] = offers

    def _refuse_another(self, offer: Offer, contents: ChartContents, *, name: str) -> None:
        entry = self.entry(offer.component)
        chart, version = contents.metadata["name"], contents.metadata["version"]
        if (entry and entry.source and chart != entry.source.chart) or not same_version(version, offer.version):
            raise ChartRejected(f"{name}: the archive holds {chart} {version}.")


def _addresses(entries: Iterable[CatalogEntry]) -> list[str]:
    """What is asked for the versions of *entries*, each once."""
    return sorted({entry.source.address for entry in entries if entry.source})


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
