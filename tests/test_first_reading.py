"""The first scans wait for the chart repositories, and not for ever."""

import asyncio
import contextlib

import pytest

from addonry.app import read_catalog_forever
from addonry.model.errors import CatalogUnavailable


class Scans:
    """What the loop asks of a scanner."""

    def __init__(self) -> None:
        self.started = asyncio.Event()

    def start(self) -> None:
        """Once, or a test has gone wrong."""
        assert not self.started.is_set()
        self.started.set()


class Repositories:
    """A catalog whose reading takes until it is let go."""

    def __init__(self, *, trouble: Exception | None = None) -> None:
        self.asked = asyncio.Event()
        self.answered = asyncio.Event()
        self.was_given_up = False
        self._trouble = trouble

    async def refresh(self) -> None:
        """Wait for the answer."""
        self.asked.set()
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.was_given_up = True
            raise
        if self._trouble is not None:
            raise self._trouble


@pytest.fixture
async def begin():
    """Starts the loop, and ends it."""
    begun = []

    def one(catalog, scans, patience):
        loop = read_catalog_forever(catalog, 3600, scans, patience=patience)
        begun.append(asyncio.create_task(loop))
        return begun[-1]

    yield one
    for each in begun:
        each.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await each


async def test_scans_begin_with_the_first_reading(begin):
    catalog, scans = Repositories(), Scans()
    begin(catalog, scans, 3600)
    await catalog.asked.wait()
    assert not scans.started.is_set()
    catalog.answered.set()
    await scans.started.wait()


async def test_a_repository_that_does_not_answer_holds_no_scan_up(begin):
    catalog, scans = Repositories(), Scans()
    loop = begin(catalog, scans, 0.01)
    await scans.started.wait()
    assert not loop.done()
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert catalog.was_given_up, "nothing is left behind"


@pytest.mark.parametrize("trouble", [CatalogUnavailable("It is away."), RuntimeError("A bug.")])
async def test_scans_begin_though_reading_failed(begin, trouble):
    catalog, scans = Repositories(trouble=trouble), Scans()
    loop = begin(catalog, scans, 3600)
    catalog.answered.set()
    await scans.started.wait()
    assert not loop.done()
