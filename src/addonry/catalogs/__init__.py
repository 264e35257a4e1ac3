"""The catalogs room: which components there are, in which versions, and their charts. This is its door.

Reads (``entries``, ``entry``, ``offers``, ``problems``) answer from memory and never wait for the network; ``refresh``
and ``fetch`` are the only calls that use it. Raises CatalogUnavailable, ChartRejected, ComponentNotFound,
InvalidParameter (a component file or setting), and nothing else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from addonry.model.catalog import (
    CatalogEntry,
    ChartArchive,
    ChartContents,
    ChartCredential,
    Offer,
    Remark,
    ShelvedIndex,
)
from addonry.model.errors import InvalidParameter


class OfferShelf(Protocol):
    """What the room needs of somebody who remembers: the store, or a MemoryShelf."""

    async def shelved_index(self, repository: str) -> ShelvedIndex | None:
        """What was saved last; None before that."""
        ...

    async def shelve_index(self, index: ShelvedIndex) -> None:
        """Keep it, in place of what was there for the same repository."""
        ...

    async def chart_credentials(self) -> Mapping[str, ChartCredential]:
        """How to get into hosts of charts, by host."""
        ...


class MemoryShelf:
    """Remembers until the process ends; for ``addonry scan``, which writes nothing."""

    def __init__(self) -> None:
        self._shelved: dict[str, ShelvedIndex] = {}

    async def shelved_index(self, repository: str) -> ShelvedIndex | None:
        """What was saved last; None before that."""
        return self._shelved.get(repository)

    async def shelve_index(self, index: ShelvedIndex) -> None:
        """Keep it, in place of what was there for the same repository."""
        self._shelved[index.repository] = index

    async def chart_credentials(self) -> Mapping[str, ChartCredential]:
        """None: a scan takes them from a file."""
        return {}


class Catalog(Protocol):
    """What can be had. Safe for concurrent use within one event loop."""

    def entries(self) -> tuple[CatalogEntry, ...]:
        """Every component, by name."""
        ...

    def entry(self, name: str) -> CatalogEntry | None:
        """The component of this name or alias."""
        ...

    def offers(self, name: str) -> tuple[Offer, ...]:
        """The versions of a component (name or alias), newest first; empty for what is unknown or not read yet."""
        ...

    @property
    def generation(self) -> int:
        """A number that changes whenever the answer of any of the reads does."""
        ...

    def problems(self) -> Mapping[str, str]:
        """What was wrong with a repository when it was last asked, by its address; it is gone when it answers."""
        ...

    def trouble(self, name: str) -> str:
        """What was wrong with the repository of a component (name or alias); empty if nothing."""
        ...

    async def restore(self) -> None:
        """Take from the shelf what an earlier process, or another one, has read. No network."""
        ...

    async def refresh(self, names: Collection[str] | None = None) -> None:
        """Ask the repositories of these components, or all, what there is now.

        Raises ComponentNotFound for an unknown name. A repository that fails is told by ``problems`` and loses
        nothing: the versions last read stay on offer.
        """
        ...

    async def add(self, text: str) -> CatalogEntry:
        """Keep a component file of the site's own, in place of the one before, and read them all again.

        Raises InvalidParameter, and keeps nothing, for one that is wrong or does not go with the others.
        """
        ...

    async def fetch(self, offer: Offer) -> ChartArchive:
        """The chart of *offer*: downloaded once, its digest verified each time, and looked through.

        Raises CatalogUnavailable, or ChartRejected for an archive that is damaged, unsafe or not what was announced.
        """
        ...

    async def read_chart(self, archive: ChartArchive) -> ChartContents:
        """Metadata, values, schema and CRDs of a fetched chart, without unpacking it. Raises ChartRejected.

        All of it is plain JSON values, read as Helm reads them. Shared between callers, so nobody changes it.
        """
        ...

    async def close(self) -> None:
        """Give up connections and the private cache. The object is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """Where the catalog comes from."""

    directories: tuple[Path, ...] = ()
    """The user's own component files; they replace packaged ones of the same name."""
    mirror: str | None = None
    """One chart repository to use in place of every component's own: the demo's, or an air-gapped site's."""
    mirrors: str | None = None
    """Pairs ``PREFIX=ADDRESS``, with commas between: what to ask in place of addresses that begin so."""
    credentials: Path | None = None
    """A file that says how to get into hosts of charts, ours or Docker's."""
    own: Path | None = None
    """Where ``add`` keeps component files; they count more than a snapshot's and less than those of ``directories``."""
    snapshot: Path | None = None
    """Where the snapshot in use lies."""
    offline: bool = False
    """Nothing is ever asked: what was imported or read before is all there is."""
    cache: Path | None = None
    """Where fetched charts are kept; None keeps them in a temporary directory until ``close``."""
    request_seconds: float = 20.0
    """The longest time for one download."""


def open_catalog(settings: CatalogSettings, shelf: OfferShelf, *, now: Callable[[], datetime]) -> Catalog:
    """Read the component files; nothing is on offer before ``restore`` or ``refresh``. Raises InvalidParameter."""
    from addonry.catalogs.repositories import RepositoryCatalog

    return RepositoryCatalog(settings, shelf, now=now)


def lint_files(files: Sequence[Path]) -> tuple[int, tuple[Remark, ...]]:
    """How many component files there are, and all that is wrong with them; the packaged ones where none are given.

    Folders stand for the files in them. Raises InvalidParameter for what is no file and no folder.
    """
    from addonry.catalogs.lint import lint

    return lint(files)


def component_schema() -> str:
    """The JSON Schema of component files."""
    from addonry.catalogs.checks import schema_text

    return schema_text()


@dataclass(frozen=True, slots=True)
class Exported:
    """What went into a snapshot, and what did not."""

    taken_at: datetime
    components: int
    charts: int
    troubles: tuple[str, ...]


async def export_snapshot(
    settings: CatalogSettings,
    file: Path,
    *,
    now: Callable[[], datetime],
    made_by: str,
    names: Collection[str] | None = None,
    kubernetes: tuple[str, ...] = (),
    newest: int = 5,
) -> Exported:
    """Read the sources and write what they say of *names*, or of everything, to *file*: all of it or nothing.

    With *kubernetes*, the archives of the *newest* versions that fit each of these go in as well. A source that fails is
    told in the answer. Raises ComponentNotFound for an unknown name, CatalogUnavailable when nothing could be read or
    written, InvalidParameter as ``open_catalog`` does.
    """
    from addonry.catalogs.repositories import RepositoryCatalog
    from addonry.catalogs.snapshots.making import Wanted, make

    catalog = RepositoryCatalog(settings, MemoryShelf(), now=now)
    try:
        made = await make(catalog, file, Wanted(names, kubernetes, newest), now=now(), made_by=made_by)
    finally:
        await catalog.close()
    charts = sum(name.startswith("charts/") for name in made.manifest.files)
    return Exported(made.manifest.taken_at, made.components, charts, made.troubles)


def import_snapshot(settings: CatalogSettings, file: Path, *, now: datetime, force: bool = False) -> Exported:
    """Take a snapshot into use at ``settings.snapshot``: all of it or nothing. What was read later stays.

    Raises InvalidParameter for a file that is no snapshot, is damaged, or is older than the one in use unless *force* is
    given; CatalogUnavailable when it cannot be kept.
    """
    from addonry.catalogs.entries import read_entries
    from addonry.catalogs.snapshots.packing import OFFERS
    from addonry.catalogs.snapshots.place import take
    from addonry.catalogs.snapshots.unpacking import read_known

    assert settings.snapshot is not None, "there is a place for it"
    components = 0

    def check(folder: Path) -> None:
        nonlocal components
        own = (settings.own,) if settings.own else ()
        read_entries((*filter(Path.is_dir, (folder / "components", *own)), *settings.directories))
        components = len(read_known((folder / OFFERS).read_bytes()))

    manifest = take(file, settings.snapshot, check=check, now=now, force=force)
    charts = sum(name.startswith("charts/") for name in manifest.files)
    return Exported(manifest.taken_at, components, charts, ())


@dataclass(frozen=True, slots=True)
class ImportedRanges:
    """Which component files an import has written, with how many ranges each; and what it passed over."""

    files: Mapping[Path, int]
    notes: tuple[str, ...]


RANGE_FORMS: Final = ("eks", "gonogo", "plural")
"""What ``import_ranges`` reads."""


def import_ranges(settings: CatalogSettings, form: str, file: Path, out: Path, *, evidence: str = "") -> ImportedRanges:
    """Write what *file*, of one of RANGE_FORMS, says of compatibility to component files in *out*.

    Components that the catalog knows are extended, others described as far as the file does. *evidence* is the page to
    name in place of the form's own. Raises InvalidParameter, and writes nothing, for a file that cannot be read.
    """
    from addonry.catalogs.documents import Unreadable
    from addonry.catalogs.importers import forms
    from addonry.catalogs.importers.writing import write

    try:
        with file.open("rb") as opened:
            text = opened.read(_LARGEST_RANGES + 1)
        if len(text) > _LARGEST_RANGES:
            raise Unreadable(f"larger than {_LARGEST_RANGES // 2**20} MiB")
        findings = forms()[form](text, file.name)
    except OSError as error:
        raise InvalidParameter(str(file), f"cannot be read: {error.strerror}", remedy="Name another file.") from error
    except Unreadable as error:
        raise InvalidParameter(str(file), f"is {error}", remedy="Check the file, and --from.") from error
    written, notes = write(findings, form, out, directories=settings.directories, evidence=evidence)
    return ImportedRanges({each.file: each.ranges for each in written}, notes)


_LARGEST_RANGES: Final = 32 * 2**20

__all__ = [
    "RANGE_FORMS",
    "Catalog",
    "CatalogSettings",
    "Exported",
    "ImportedRanges",
    "MemoryShelf",
    "OfferShelf",
    "component_schema",
    "export_snapshot",
    "import_ranges",
    "import_snapshot",
    "lint_files",
    "open_catalog",
]
