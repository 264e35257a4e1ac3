"""Fixtures of the catalogs room."""

import pytest

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from tests.rooms.catalogs.sites import NOW, Site, serving


@pytest.fixture
async def site():
    async with serving(Site()) as one:
        yield one


@pytest.fixture
async def open_mirror(site, tmp_path):
    """Opens catalogs on the site, and closes them."""
    opened = []

    def open_one(*, shelf=None, cache=tmp_path / "cache", seconds=20.0, mirror=None, directories=()):
        settings = CatalogSettings(
            mirror=mirror or site.address, cache=cache, request_seconds=seconds, directories=directories
        )
        opened.append(open_catalog(settings, shelf or MemoryShelf(), now=lambda: NOW))
        return opened[-1]

    yield open_one
    for catalog in opened:
        await catalog.close()
