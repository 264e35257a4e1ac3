"""What every source of charts promises, whatever it speaks: a Helm repository, a registry of ours, Debian's registry."""

import hashlib

import pytest
from aiohttp import web

from addonry.catalogs.credentials import Credentials
from addonry.catalogs.download import Downloads
from addonry.catalogs.index import offers_of
from addonry.catalogs.sources import open_sources, source_for
from addonry.model.catalog import CatalogEntry, ChartSource, Fingerprints
from addonry.model.errors import CatalogUnavailable
from addonry.model.ids import ComponentName
from tests.rooms.catalogs.registries import SmallRegistry, docker_registry, push, why_not_docker_registry
from tests.rooms.catalogs.sites import Site, a_line, an_archive, an_index, serving


class Repository:
    """A Helm repository on a web server."""

    def __init__(self, site):
        self.repository, self._site, self._lines = site.address, site, {}

    async def put(self, chart, version, **said):
        archive = an_archive(name=chart, version=version)
        said.setdefault("created", "2026-05-19T13:10:00Z")
        line = a_line(version, archive, name=chart, urls=[f"{chart}-{version}.tgz"]) | {"appVersion": ""} | said
        self._lines.setdefault(chart, []).append(line)
        self._site.pages[f"/{chart}-{version}.tgz"] = archive
        self._site.pages["/index.yaml"] = an_index(*self._lines[chart], chart=chart)
        return archive


class Folder:
    """A folder of a registry."""

    def __init__(self, host, name):
        self.repository = f"oci://{host}/{name}"

    async def put(self, chart, version, **said):
        return await push(self.repository, chart, version, **said)


@pytest.fixture(scope="module")
def debians():
    if why := why_not_docker_registry():
        pytest.skip(f"sources are not tried on Debian's registry: {why}")
    with docker_registry() as host:
        yield host


@pytest.fixture(params=["helm", "small", pytest.param("debian", marks=pytest.mark.slow)])
async def shop(request):
    """A source that charts can be put into."""
    match request.param:
        case "helm":
            async with serving(Site()) as site:
                yield Repository(site)
        case "small":
            async with serving(SmallRegistry(page_size=2)) as site:
                yield Folder(site.address.removeprefix("http://"), "some/charts")
        case "debian":
            name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
            yield Folder(request.getfixturevalue("debians"), name)


@pytest.fixture
async def sources():
    downloads = Downloads(Credentials())
    yield open_sources(downloads)
    await downloads.close()


async def read(sources, shop, chart="coredns", known=None):
    address = ChartSource(shop.repository, chart).address
    return await source_for(sources, address).read(address, {chart}, known)


def offers(reading, shop, chart="coredns"):
    source = ChartSource(shop.repository, chart)
    entry = CatalogEntry(ComponentName(chart), chart, source, Fingerprints(), chart, "kube-system")
    return offers_of(entry, reading.index[chart])


async def test_what_is_put_in_is_on_offer_newest_first(sources, shop):
    security = {"artifacthub.io/changes": "- {kind: security, description: Closes a hole}\n- Faster"}
    await shop.put("coredns", "1.9.0", kubeVersion=">=1.23.0-0", deprecated=True)
    await shop.put("coredns", "1.45.0", appVersion="1.13.1", annotations=security)
    await shop.put("coredns", "1.10.0-rc.1", annotations={"artifacthub.io/prerelease": "true"})
    reading = await read(sources, shop)
    newest, preview, old = offers(reading, shop)
    assert reading.trouble == ""
    assert [each.version for each in (newest, preview, old)] == ["1.45.0", "1.10.0-rc.1", "1.9.0"]
    assert (newest.app_version, newest.kubernetes, newest.deprecated) == ("1.13.1", "", False)
    assert (old.kubernetes, old.deprecated) == (">=1.23.0-0", True)
    assert newest.created_at.isoformat() == "2026-05-19T13:10:00+00:00"
    assert [(note.kind, note.text) for note in newest.notes] == [("security", "Closes a hole"), ("", "Faster")]
    assert (newest.fixes_security, old.fixes_security) == (True, False)
    assert (newest.is_prerelease, preview.is_prerelease) == (False, True)


async def test_an_offer_can_be_fetched_and_is_what_was_put_in(sources, shop):
    archive = await shop.put("coredns", "1.45.0+build.7")
    [offer] = offers(await read(sources, shop), shop)
    assert (offer.version, offer.digest) == ("1.45.0+build.7", hashlib.sha256(archive).hexdigest())
    source = source_for(sources, offer.url)
    assert await source.fetch(offer.url, limit=2**20) == archive


async def test_a_second_reading_finds_what_has_come_and_keeps_what_was(sources, shop):
    await shop.put("coredns", "1.44.0", kubeVersion=">=1.23.0-0")
    first = await read(sources, shop)
    assert offers(await read(sources, shop, known=first), shop) == offers(first, shop)
    await shop.put("coredns", "1.45.0")
    second = offers(await read(sources, shop, known=first), shop)
    assert [offer.version for offer in second] == ["1.45.0", "1.44.0"]
    assert second[1:] == offers(first, shop)


async def test_a_version_that_was_put_in_again_is_read_again(sources, shop):
    await shop.put("coredns", "1.44.0", kubeVersion=">=1.23.0-0")
    first = await read(sources, shop)
    await shop.put("coredns", "1.44.0", kubeVersion=">=1.30.0-0")
    assert offers(await read(sources, shop, known=first), shop)[0].kubernetes == ">=1.30.0-0"


async def test_an_archive_over_the_limit_is_not_fetched(sources, shop):
    await shop.put("coredns", "1.45.0")
    [offer] = offers(await read(sources, shop), shop)
    with pytest.raises(Exception, match="larger than") as refused:
        await source_for(sources, offer.url).fetch(offer.url, limit=1)
    assert type(refused.value).__name__ in ("CatalogUnavailable", "ChartRejected")


async def test_a_source_that_is_not_there_is_told_by_its_address(sources):
    for address in ("http://127.0.0.1:9", "oci://127.0.0.1:9/charts/coredns"):
        with pytest.raises(CatalogUnavailable, match=r"127\.0\.0\.1:9/.* cannot be reached"):
            await source_for(sources, address).read(address, {"coredns"}, None)


async def test_a_source_that_refuses_says_how_to_get_in(sources):
    async with serving(Site()) as site:
        for path in ("/index.yaml", "/v2/charts/coredns/tags/list"):
            site.pages[path] = lambda _request: web.Response(status=403, text="hunter2")
        host = site.address.removeprefix("http://")
        for address in (site.address, f"oci://{host}/charts/coredns"):
            with pytest.raises(CatalogUnavailable, match="HTTP 403") as refused:
                await source_for(sources, address).read(address, {"coredns"}, None)
            assert f"addonry catalog login {host}" in refused.value.remedy
            assert "hunter2" not in str(refused.value)
