"""The catalog over its sources: what they list kept in memory and on the shelf, their charts in a cache."""

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from addonry.catalogs import CatalogSettings, OfferShelf
from addonry.catalogs.archives import MOST_PACKED, read_contents
from addonry.catalogs.credentials import Credentials, read_credentials
from addonry.catalogs.download import Downloads
from addonry.catalogs.entries import name_in, read_entries
from addonry.catalogs.index import Index, Line, decode_index, encode_index, offers_of
from addonry.catalogs.mirrors import Mirrors
from addonry.catalogs.snapshots.place import named_in, snapshot_in
from addonry.catalogs.sources import Reading, open_sources, source_for
from addonry.model.catalog import CatalogEntry, ChartArchive, ChartContents, Offer, ShelvedIndex
from addonry.model.errors import CatalogUnavailable, ChartRejected, ComponentNotFound
from addonry.rules.versions import same_version

AT_ONCE: Final = 24
"""Sources asked at the same time: on a network that swallows everything, all are given up within seconds."""
MOST_READ: Final = 32
"""Charts whose contents stay in memory: every scan of every cluster asks for the same few."""

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_UNKNOWN: Final = "its versions are in no snapshot and were never read, and nothing is asked (ADDONRY_OFFLINE)."
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
        self._addresses: dict[str, str] = {}
        self._snapshot = snapshot_in(settings.snapshot)
        self._has_remembered = False
        self._read_files()

    def _read_files(self) -> None:
        entries = read_entries(self._directories())
        self._entries = tuple(self._mirrors.of(entry) for entry in entries)
        self._by_name = {name: entry for entry in self._entries for name in (entry.name, *entry.aliases)}
        self._addresses = {entry.name: entry.source.address for entry in entries if entry.source}

    def _directories(self, *more: Path) -> tuple[Path, ...]:
        """Those of component files beyond the packaged ones; what a site says itself counts most."""
        own = self._settings.own
        kept = (own,) if own is not None and own.is_dir() else ()
        return (*self._snapshot.components, *kept, *more, *self._settings.directories)

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
        self._meet_snapshot()
        await self._remember()

    async def refresh(self, names: Collection[str] | None = None) -> None:
        """See ``Catalog``."""
        await self._meet_hosts()
        if self._meet_snapshot() or not self._has_remembered:
            await self._remember()
        entries = self._entries if names is None else [self._known(name) for name in names]
        if self._settings.offline:
            self._tell_unknown(entries)
            return
        await asyncio.gather(*(self._ask(address) for address in _addresses(entries)))

    async def add(self, text: str) -> CatalogEntry:
        """See ``Catalog``."""
        own = self._settings.own
        assert own is not None, "the service has a directory for them"
        name, file_name = await asyncio.to_thread(self._checked, text)
        try:
            await asyncio.to_thread(_keep, own / file_name, text.encode())
        except OSError as error:
            raise CatalogUnavailable(
                f"The component file cannot be kept in {own}: {error.strerror}.",
                remedy="Make room on that disk, or correct its permissions, and try again.",
            ) from error
        self._read_files()
        self._generation += 1
        await self._remember()
        return self._known(name)

    def _checked(self, text: str) -> tuple[str, str]:
        """The name of the component that a file is about, and what to call the file. Raises InvalidParameter."""
        name, is_addition = name_in(text.encode())
        file_name = f"{name}.more.yaml" if is_addition else f"{name}.yaml"
        with tempfile.TemporaryDirectory(prefix="addonry-") as folder:
            (Path(folder) / file_name).write_text(text)
            read_entries(self._directories(Path(folder)))
        return name, file_name

    # What goes into a snapshot

    def address_of(self, name: str) -> str:
        """Where the versions of a component come from by its file, whatever mirror is asked."""
        return self._addresses[name]

    def own_files(self) -> list[Path]:
        """The component files beyond the packaged ones, in the order in which they replace each other."""
        return [
            file
            for folder in self._directories()
            for file in sorted(folder.iterdir())
            if file.suffix in (".yaml", ".yml") and file.is_file()
        ]

    # Charts

    async def fetch(self, offer: Offer) -> ChartArchive:
        """See ``Catalog``."""
        name = f"{offer.component} {offer.version}"
        if offer.digest and not _SHA256.fullmatch(offer.digest):
            raise ChartRejected(f"{name}: the digest in the index is no SHA-256.")
        if offer.digest:
            inside = self._snapshot.chart(offer.digest)
            if await asyncio.to_thread(_read_kept, inside, offer.digest):
                return ChartArchive(offer=offer, path=inside, digest=offer.digest)
        cache = self._cache_directory()
        path = cache / f"{offer.digest}.tgz"
        body = await asyncio.to_thread(_read_kept, path, offer.digest) if offer.digest else None
        if body is None:
            if self._settings.offline:
                raise CatalogUnavailable(
                    f"{name} is not in the snapshot, and nothing is fetched (ADDONRY_OFFLINE).",
                    remedy="Export a snapshot with --charts and the Kubernetes version of this cluster, and import it.",
                )
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
                # What to do about it, where that is more than to look at the address.
                said = "" if error.remedy == error.default_remedy else error.remedy
                problem = f"{error.message} {said}".rstrip()
        if self._problems.get(address, "") != problem:
            self._generation += 1
            self._problems[address] = problem

    async def _update(self, address: str) -> str:
        """Ask one source; what it did not say is told. Raises CatalogUnavailable and changes nothing then."""
        charts = {source.chart for entry in self._entries if (source := entry.source) and source.address == address}
        known = await self._known_of(address)
        reading = await source_for(self._sources, address).read(address, charts, known[0] if known else None)
        kept = ShelvedIndex(
            address, encode_index(reading.index), reading.etag, reading.last_modified, fetched_at=self._now()
        )
        await self._shelf.shelve_index(kept)
        self._offer(address, reading.index, kept.fetched_at)
        return reading.trouble

    async def _known_of(self, address: str) -> tuple[Reading, datetime] | None:
        """What was read of *address* last, by whichever process, and when."""
        shelved = await self._shelf.shelved_index(address)
        index = decode_index(shelved.body) if shelved else None
        if shelved is None or index is None:
            return None
        return Reading(index, shelved.etag, shelved.last_modified), shelved.fetched_at

    def _meet_snapshot(self) -> bool:
        """Whether another snapshot has come into use since; its component files count then."""
        if named_in(self._settings.snapshot) == self._snapshot.named:
            return False
        self._snapshot = snapshot_in(self._settings.snapshot)
        self._read_files()
        self._generation += 1
        return True

    async def _remember(self) -> None:
        """Put on offer what was read before, here or where the snapshot was taken."""
        for address in _addresses(self._entries):
            known = await self._known_of(address)
            if known is not None:
                self._offer(address, known[0].index, known[1])
            else:
                self._offer(address, {}, _LONG_AGO)
        self._has_remembered = True

    def _offer(self, address: str, index: Index, read_at: datetime) -> None:
        for entry in self._entries:
            source = entry.source
            if source is not None and source.address == address:
                offers = offers_of(entry, self._newer_lines(entry, index.get(source.chart, ()), read_at))
                if self._offers.get(entry.name, ()) != offers:
                    self._generation += 1
                    self._offers[entry.name] = offers

    def _newer_lines(self, entry: CatalogEntry, lines: Collection[Line], read_at: datetime) -> Collection[Line]:
        """*lines*, or what the snapshot says of the same chart if that was read later."""
        known = self._snapshot.known(entry.name)
        if known is None or known.address != self._addresses.get(entry.name):
            return lines
        return known.lines if self._snapshot.as_of(known) > read_at else lines

    def _tell_unknown(self, entries: Iterable[CatalogEntry]) -> None:
        """Without a way out, what nobody has read before is the only problem."""
        for entry in entries:
            if entry.source is not None:
                problem = "" if self._offers.get(entry.name) else f"{entry.name}: {_UNKNOWN}"
                if self._problems.get(entry.source.address, "") != problem:
                    self._generation += 1
                    self._problems[entry.source.address] = problem

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
