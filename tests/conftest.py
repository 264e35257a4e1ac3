"""What tests of several rooms share: a PostgreSQL server, started when the first test asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.postgres import Postgres, postgres_server

# Whole services with leases, time-outs and kills, which want the machine for themselves, and whoever prints a figure.
_ALONE: Final = ("chaos", "cli", "docs", "rooms/engine", "scenario", "simulator/replays")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must not run beside other tests; `make test` runs the rest of the slow ones on all cores."""
    here = Path(__file__).parent
    for item in items:
        if any(item.path.is_relative_to(here / folder) for folder in _ALONE):
            item.add_marker("alone")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server; skips where it cannot be started, as for a user without a name."""
    try:
        starting = postgres_server()
        server = starting.__enter__()
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting is the reason that is told
        pytest.skip(f"PostgreSQL cannot be started here, so SQLite alone is tested: {error}")
    yield server
    starting.__exit__(None, None, None)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of a fresh database on it."""
    with postgres.fresh_database() as url:
        yield url
