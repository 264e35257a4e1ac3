"""The kinds of source that charts come from, by the scheme of their addresses.

To add a kind, write a module with a ``Source`` in it and name its scheme in ``open_sources``; the contract suite
(tests/rooms/catalogs/test_sources.py) runs on it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from addonry.catalogs.download import Downloads
from addonry.catalogs.index import Index


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source had to say."""

    index: Index
    etag: str = ""
    last_modified: str = ""
    trouble: str = ""
    """Why it did not say all it could, if it did not."""


class Source(Protocol):
    """One kind of place that charts come from. Raises CatalogUnavailable and ChartRejected, nothing else."""

    async def read(self, address: str, charts: Collection[str], known: Reading | None) -> Reading:
        """The versions of *charts* at *address* (``ChartSource.address``); *known* is what was read last.

        Asks only for what is not known already, as far as the source allows.
        """
        ...

    async def fetch(self, url: str, *, limit: int) -> bytes:
        """The archive at the *url* of an offer, at most *limit* bytes."""
        ...


def open_sources(downloads: Downloads) -> Mapping[str, Source]:
    """A source for each scheme."""
    from addonry.catalogs.sources.helm import HelmRepositories
    from addonry.catalogs.sources.oci import Registries

    helm = HelmRepositories(downloads)
    return {"http": helm, "https": helm, "oci": Registries(downloads)}


def source_for(sources: Mapping[str, Source], address: str) -> Source:
    """The one that reads *address*; addresses are checked before, by the schema of component files and by the settings."""
    return sources[address.partition("://")[0]]
