"""The catalogs room: which components there are, in which versions, and their charts. This is its door.

Reads (``entries``, ``entry``, ``offers``, ``problems``) answer from memory and never wait for the network; ``refresh``
and ``fetch`` are the only calls that use it. Raises CatalogUnavailable, ChartRejected, ComponentNotFound,
InvalidParameter (a component file or setting), and nothing else.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from addonry.model.catalog import CatalogEntry, ChartArchive, ChartContents, Credential, Offer, ShelvedIndex


class OfferShelf(Protocol):
    """What the room needs of somebody who remembers: the store, or a MemoryShelf."""

    async def shelved_index(self, repository: str) -> ShelvedIndex | None:
        """What was saved last; None before that."""
        ...

    async def shelve_index(self, index: ShelvedIndex) -> None:
        """Keep it, in place of what was there for the same repository."""
        ...

    async def chart_credentials(self) -> Mapping[str, Credential]:
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

    async def chart_credentials(self) -> Mapping[str, Credential]:
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
    cache: Path | None = None
    """Where fetched charts are kept; None keeps them in a temporary directory until ``close``."""
    request_seconds: float = 20.0
    """The longest time for one download."""


def open_catalog(settings: CatalogSettings, shelf: OfferShelf, *, now: Callable[[], datetime]) -> Catalog:
    """Read the component files; nothing is on offer before ``restore`` or ``refresh``. Raises InvalidParameter."""
    from addonry.catalogs.repositories import RepositoryCatalog

    return RepositoryCatalog.open(settings, shelf, now=now)


__all__ = ["Catalog", "CatalogSettings", "MemoryShelf", "OfferShelf", "open_catalog"]
