"""A real store in a temporary directory, a catalog of two components in memory, and an engine that notes what it gets."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from addonry.lifecycle.world import Connections, Ids, World
from addonry.model.catalog import CatalogEntry, ChartContents, Offer
from addonry.model.ids import ClusterId, TaskId
from addonry.model.surroundings import Surroundings
from addonry.store import Store, StoreSettings, open_store
from tests.builders import NOW, a_cluster, a_component, an_entry, an_offer

CLUSTER = a_cluster().id


@dataclass
class ListedCatalog:
    """The reads of a Catalog, over a list."""

    generation: int = 1
    known: dict[str, tuple[CatalogEntry, tuple[Offer, ...]]] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)

    def entries(self) -> tuple[CatalogEntry, ...]:
        return tuple(entry for entry, _ in self.known.values())

    def entry(self, name: str) -> CatalogEntry | None:
        return next((entry for entry in self.entries() if name in (entry.name, *entry.aliases)), None)

    def offers(self, name: str) -> tuple[Offer, ...]:
        return self.known[name][1] if name in self.known else ()

    async def fetch(self, offer: Offer) -> Offer:
        return offer

    async def read_chart(self, _archive: Offer) -> ChartContents:
        return ChartContents(metadata={}, values={}, schema=None)

    def trouble(self, name: str) -> str:
        return self.troubles.get(name, "")


@dataclass
class NotingEngine:
    """Takes tasks and does nothing with them."""

    taken: list[tuple[TaskId, int, str]] = field(default_factory=list)

    def enqueue(self, _connection, task, *, run, cluster):
        self.taken.append((task, run, cluster))


@pytest.fixture
def catalog() -> ListedCatalog:
    return ListedCatalog(
        known={
            "coredns": (
                an_entry("coredns", aliases=("kube-dns",)),
                (an_offer("1.3.0", kubernetes=">=1.38.0-0"), an_offer("1.2.0"), an_offer("1.1.0"), an_offer("1.0.0")),
            ),
            "metrics-server": (an_entry("metrics-server"), (an_offer("3.13.0", "metrics-server"),)),
        }
    )


@pytest.fixture
def engine() -> NotingEngine:
    return NotingEngine()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind: what is decided must not depend on where it is kept."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rows.sqlite'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def store(database_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(StoreSettings(database_url, tmp_path / "secret.key"))
    yield opened
    await opened.close()


@pytest.fixture
async def world(store, catalog, engine) -> World:
    """A cluster ``prod`` on which coredns 1.0.0 runs as a Helm release."""
    await store.add_cluster(a_cluster(), "kubeconfig")
    await store.save_inventory(a_cluster(), [a_component("1.0.0")], Surroundings())
    numbers = itertools.count()
    ids = Ids(
        cluster=lambda: ClusterId(f"c{next(numbers):032x}"),
        task=lambda: TaskId(f"T-{next(numbers):024x}"),
        key=lambda: (f"KEY{next(numbers)}", "secret"),
        waiver=lambda: f"w-{next(numbers)}",
        check=lambda cluster: f"{next(numbers)}-{cluster}-clustercheck-abcde",
    )
    return World(
        store=store,
        engine=engine,
        catalog=catalog,
        connections=Connections(store, lambda _text: None),
        now=lambda: NOW,
        ids=ids,
    )
