"""Helm repositories: a folder on a web server with an ``index.yaml``."""

import asyncio
from collections.abc import Collection
from typing import Final

from addonry.catalogs.documents import Unreadable
from addonry.catalogs.download import Downloads, shown
from addonry.catalogs.index import read_index
from addonry.catalogs.sources import Reading
from addonry.model.errors import CatalogUnavailable

LARGEST_INDEX: Final = 32 * 2**20


class HelmRepositories:
    """Implements ``Source``: one conditional request for each repository, whatever it holds."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def read(self, address: str, charts: Collection[str], known: Reading | None) -> Reading:
        """See ``Source``."""
        if known is not None and not set(charts) <= known.index.keys():
            # Nothing to fall back on if it answered "not modified": this chart was not asked for at that time.
            known = None
        url = f"{address}/index.yaml"
        answer = await self._downloads.get(
            url,
            limit=LARGEST_INDEX,
            packed=True,
            etag=known.etag if known else "",
            last_modified=known.last_modified if known else "",
        )
        if answer.changed:
            try:
                index = await asyncio.to_thread(read_index, answer.body, charts)
            except Unreadable as error:
                raise CatalogUnavailable(f"{shown(url)} is {error}.") from error
        elif known is not None:
            index = known.index
        else:
            raise CatalogUnavailable(f"{shown(url)} says that nothing has changed, though nothing was known.")
        return Reading(index, answer.etag, answer.last_modified)

    async def fetch(self, url: str, *, limit: int) -> bytes:
        """See ``Source``."""
        return (await self._downloads.get(url, limit=limit)).body
