"""Addresses to ask in place of those that files and indexes name."""

import pytest

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.catalogs.mirrors import Mirrors
from addonry.model.errors import InvalidParameter
from tests.rooms.catalogs.registries import SmallRegistry, stock
from tests.rooms.catalogs.sites import NOW, Site, a_component, a_line, an_archive, an_index, serving


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://charts.example.com", "https://mirror.test/one"),
        ("https://charts.example.com/stable", "https://mirror.test/two"),
        ("https://charts.example.com/stable/x-1.tgz", "https://mirror.test/two/x-1.tgz"),
        ("https://charts.example.com/stable2", "https://mirror.test/one/stable2"),
        ("https://charts.example.com.evil.test/x", "https://charts.example.com.evil.test/x"),
        ("oci://ghcr.io/charts/x", "oci://mirror.test/ghcr/charts/x"),
        ("oci://ghcr.io.evil.test/x", "oci://ghcr.io.evil.test/x"),
        ("https://other.example.com", "https://other.example.com"),
    ],
)
def test_the_longest_beginning_decides_and_ends_where_a_name_does(address, asked):
    mirrors = Mirrors.read(
        None,
        "https://charts.example.com=https://mirror.test/one, https://charts.example.com/stable/=https://mirror.test/two/,"
        "oci://ghcr.io=oci://mirror.test/ghcr,",
    )
    assert mirrors.rewritten(address) == asked


@pytest.mark.parametrize(
    "said", ["x", "https://a.test", "https://a.test=", "=https://b.test", "https://a.test=file:///x"]
)
def test_a_pair_that_is_none_is_refused(said):
    with pytest.raises(InvalidParameter, match="ADDONRY_CHART_MIRRORS"):
        Mirrors.read(None, said)


def test_a_password_in_a_mirrors_address_is_refused_and_not_repeated():
    with pytest.raises(InvalidParameter) as refused:
        Mirrors.read(None, "https://a.test=https://robot:hunter2@b.test")
    assert "hunter2" not in str(refused.value)


async def test_charts_whose_address_is_elsewhere_come_from_the_mirror_too(tmp_path):
    """An index often names archives at another host, which an air-gapped site cannot reach either."""
    archive = an_archive(name="mine", version="1.0.0")
    line = a_line("1.0.0", archive, name="mine", urls=["https://files.example.com/dl/mine-1.0.0.tgz"])
    folder = a_component(tmp_path / "mine", chart={"repository": "https://charts.example.com/x", "name": "mine"})
    async with serving(Site()) as site:
        site.pages |= {"/charts/x/index.yaml": an_index(line, chart="mine"), "/files/dl/mine-1.0.0.tgz": archive}
        mirrors = f"https://charts.example.com={site.address}/charts,https://files.example.com={site.address}/files"
        settings = CatalogSettings(directories=(folder,), mirrors=mirrors, cache=tmp_path / "cache")
        catalog = open_catalog(settings, MemoryShelf(), now=lambda: NOW)
        await catalog.refresh(["mine"])
        [offer] = catalog.offers("mine")
        assert (await catalog.fetch(offer)).path.read_bytes() == archive
        await catalog.close()


async def test_a_registry_can_stand_in_for_a_repository(tmp_path):
    """Charts are then looked for below it by name, as in any mirror for everything."""
    async with serving(SmallRegistry()) as registry:
        archive = stock(registry, "coredns", "1.45.0", folder="mirror/charts")
        address = f"oci://{registry.address.removeprefix('http://')}/mirror/charts"
        settings = CatalogSettings(mirror=address, cache=tmp_path / "cache")
        catalog = open_catalog(settings, MemoryShelf(), now=lambda: NOW)
        await catalog.refresh(["coredns", "metrics-server"])
        [offer] = catalog.offers("coredns")
        assert (await catalog.fetch(offer)).path.read_bytes() == archive
        assert catalog.trouble("coredns") == ""
        assert "HTTP 404" in catalog.trouble("metrics-server")
        assert list(catalog.problems()) == [f"{address}/metrics-server"]
        await catalog.close()
