"""Versions and charts from a repository that answers, is down, or serves rubbish."""

import asyncio
import gzip
import hashlib

import pytest
from aiohttp import web

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.catalogs.archives import MOST_PACKED
from addonry.catalogs.repositories import MOST_READ
from addonry.catalogs.sources.helm import LARGEST_INDEX
from addonry.model.errors import CatalogUnavailable, ChartRejected, ComponentNotFound
from addonry.simulator.charts import ChartRepository, find_charts, pack
from tests.rooms.catalogs.sites import NOW, Site, a_certificate, a_component, a_line, an_archive, an_index, serving

GOOD = an_index(a_line("1.43.0"), a_line("1.45.0"), a_line("1.5.0"))


def versions(catalog, name="coredns"):
    return [offer.version for offer in catalog.offers(name)]


@pytest.fixture
def demo(site):
    """The demo's own repository, behind the site."""
    repository = ChartRepository(pack(find_charts()))

    def page(request):
        status, headers, body = repository.respond(request.path, request.headers)
        headers = {name: value for name, value in headers.items() if name != "Content-Length"}
        return web.Response(status=status, headers=headers, body=body)

    for path in ("/index.yaml", *(f"/{chart.file}" for chart in pack(find_charts()).charts)):
        site.pages[path] = page
    return repository


async def test_offers_come_newest_first_with_everything_the_index_says(site, open_mirror):
    archive = an_archive()
    site.pages["/index.yaml"] = an_index(
        a_line("1.43.0", kubeVersion=">=1.23.0-0", created="2026-05-19T13:10:00.123456789+02:00", deprecated=True),
        a_line("1.45.0", archive, urls=["oci://registry.test/coredns", "https://example.test/x.tgz"]),
        a_line("1.5.0"),
    )
    catalog = open_mirror()
    assert catalog.offers("coredns") == ()
    await catalog.refresh()
    assert versions(catalog) == ["1.45.0", "1.43.0", "1.5.0"]
    assert versions(catalog, "kube-dns") == versions(catalog)
    newest, older, _ = catalog.offers("coredns")
    assert (newest.url, newest.digest) == ("https://example.test/x.tgz", hashlib.sha256(archive).hexdigest())
    assert older.url == f"{site.address}/coredns-1.43.0.tgz"
    assert (older.kubernetes, older.app_version, older.deprecated) == (">=1.23.0-0", "1.13.1", True)
    assert older.created_at.isoformat() == "2026-05-19T13:10:00.123456+02:00"
    assert catalog.problems() == {}


async def test_a_version_that_yaml_would_take_for_a_number_keeps_its_spelling(site, open_mirror):
    site.pages["/index.yaml"] = b"entries:\n  coredns:\n  - {version: 1.10, appVersion: 1.20, urls: [x.tgz]}\n"
    catalog = open_mirror()
    await catalog.refresh()
    assert [(offer.version, offer.app_version) for offer in catalog.offers("coredns")] == [("1.10", "1.20")]


async def test_lines_that_no_chart_could_be_fetched_by_are_left_out(site, open_mirror):
    site.pages["/index.yaml"] = an_index(
        a_line("1.45.0"),
        a_line("1.44.0", urls=[]),
        a_line("1.43.0", urls=["file:///etc/passwd"]),
        a_line("1.42.0", urls=["http://[broken"]),
        a_line("1.41.0", urls=["http://127.0.0.1:99999999/x.tgz"]),
        a_line("", urls=["x.tgz"]),
        a_line("1.40.0<script>"),
        a_line("../1.40.0"),
        {"name": "coredns"},
        "rubbish",
        {"version": ["1"], "urls": {"x": "y"}},
    )
    catalog = open_mirror()
    await catalog.refresh()
    assert versions(catalog) == ["1.45.0"]
    assert catalog.problems() == {}


async def test_a_second_refresh_asks_only_whether_anything_changed(demo, site, open_mirror):
    shelf = MemoryShelf()
    catalog = open_mirror(shelf=shelf)
    await catalog.refresh()
    before = {entry.name: catalog.offers(entry.name) for entry in catalog.entries()}
    await catalog.refresh()
    assert len(site.requests) == 2
    assert site.requests[1].headers["If-None-Match"]
    assert site.requests[1].headers["If-Modified-Since"]
    assert {entry.name: catalog.offers(entry.name) for entry in catalog.entries()} == before
    offered = {name: len(offers) for name, offers in before.items() if offers}
    assert offered.keys() == {"coredns", "ingress-nginx", "metrics-server", "node-problem-detector"}
    assert min(offered.values()) >= 3
    shelved = await shelf.shelved_index(site.address)
    assert (shelved.fetched_at, shelved.repository) == (NOW, site.address)


async def test_what_one_process_read_another_has_without_the_network(demo, site, open_mirror):
    shelf = MemoryShelf()
    await open_mirror(shelf=shelf).refresh()
    asked = len(site.requests)
    other = open_mirror(shelf=shelf)
    await other.restore()
    assert versions(other)[0] == "1.46.0"
    assert len(site.requests) == asked


async def test_a_component_that_is_new_to_a_repository_is_asked_for_in_full(site, open_mirror, tmp_path):
    """Not modified would be no help: its versions were not kept, because nobody had asked for them."""
    site.pages["/index.yaml"] = an_index(a_line("1.0.0"), chart="mine")
    shelf = MemoryShelf()
    await open_mirror(shelf=shelf).refresh()
    catalog = open_mirror(shelf=shelf, directories=(a_component(tmp_path / "more"),))
    await catalog.refresh()
    assert "If-None-Match" not in site.requests[-1].headers
    assert versions(catalog, "mine") == ["1.0.0"]


async def test_only_the_repositories_asked_for_are_asked(site, tmp_path):
    folder = a_component(tmp_path / "mine", chart={"repository": site.address, "name": "mine"}, aliases=["my-own"])
    site.pages["/index.yaml"] = an_index(a_line("1.0.0"), chart="mine")
    catalog = open_catalog(CatalogSettings(directories=(folder,)), MemoryShelf(), now=lambda: NOW)
    await catalog.refresh(["my-own"])
    assert versions(catalog, "mine") == ["1.0.0"]
    assert site.paths() == ["/index.yaml"]
    with pytest.raises(ComponentNotFound):
        await catalog.refresh(["mine", "nobody"])
    await catalog.close()


def status(code):
    return lambda _request: web.Response(status=code, text="password=hunter2")


def redirect_to(target):
    def page(_request):
        return web.Response(status=302, headers={"Location": target})

    return page


async def drip(request):
    """Never done: one byte, then nothing until the client gives up."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a")
    await asyncio.get_running_loop().create_future()


async def cut_short(request):
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    await response.prepare(request)
    await response.write(GOOD)
    request.transport.close()
    return response


def packed_bomb(_request):
    return web.Response(body=gzip.compress(bytes(LARGEST_INDEX + 1)), headers={"Content-Encoding": "gzip"})


def laughs():
    lines = ["x0: &x0 [lol]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(["apiVersion: v1", *lines, "entries: *x11"]).encode()


RUBBISH = {
    "500": (status(500), "answered HTTP 500"),
    "404": (status(404), "answered HTTP 404"),
    "html": (b"<!DOCTYPE html><title>Log in</title>", "a web page, not an index"),
    "text": (b"welcome", "not a mapping with entries"),
    "empty": (b"", "not a mapping with entries"),
    "no yaml": (b"entries: [", "no YAML"),
    "no entries": (b"apiVersion: v1\n", "without entries"),
    "entries no mapping": (b"entries: []\n", "without entries"),
    "binary": (bytes(range(256)), "no YAML"),
    "aliases": (laughs(), "without entries"),
    "deep": (b"x: " + b"[" * 200_000, "nested deeper"),
    "many values": (b"x:\n" + b"- \n" * 4_000_001, "larger than 4,000,000 values"),
    "many versions": (b"entries:\n  coredns:\n" + b"  - {}\n" * 10_001, "more than 10,000 versions of coredns"),
    "33 MiB": (b"#" * (LARGEST_INDEX + 2**20), "larger than 32 MiB"),
    "packed bomb": (packed_bomb, "larger than 32 MiB"),
    "not packed": (lambda _: web.Response(body=b"no", headers={"Content-Encoding": "gzip"}), "says it is gzip"),
    "loop": (redirect_to("/index.yaml"), "redirects more than 5 times"),
    "other scheme": (redirect_to("file:///etc/passwd"), "neither http nor https"),
    "cut short": (cut_short, "cannot be read"),
    "never done": (drip, "was not done after 0.5 seconds"),
}


@pytest.mark.parametrize(("page", "told"), RUBBISH.values(), ids=RUBBISH)
async def test_a_repository_that_fails_is_told_of_and_loses_nothing(site, open_mirror, page, told):
    """And it is forgiven as soon as it answers."""
    shelf = MemoryShelf()
    await shelf_with_good_versions(site, open_mirror, shelf)
    catalog = open_mirror(shelf=shelf, seconds=0.5 if page is drip else 20)
    await catalog.restore()
    kept = await shelf.shelved_index(site.address)
    site.pages["/index.yaml"] = page
    await catalog.refresh()
    problem = catalog.problems()[site.address]
    assert told in problem
    assert problem.startswith(f"{site.address}/index.yaml")
    assert "hunter2" not in problem
    assert catalog.trouble("kube-dns") == problem
    assert versions(catalog) == ["1.45.0", "1.43.0", "1.5.0"]
    assert await shelf.shelved_index(site.address) == kept is not None
    site.pages["/index.yaml"] = GOOD
    await catalog.refresh()
    assert catalog.problems() == {}
    assert catalog.trouble("coredns") == ""


async def shelf_with_good_versions(site, open_mirror, shelf):
    site.pages["/index.yaml"] = GOOD
    await open_mirror(shelf=shelf).refresh()


async def test_nothing_has_changed_is_no_answer_to_a_first_question(site, open_mirror):
    site.pages["/index.yaml"] = status(304)
    catalog = open_mirror()
    await catalog.refresh()
    assert "nothing was known" in catalog.problems()[site.address]


async def test_a_certificate_that_nobody_vouches_for_is_told(open_mirror, tmp_path):
    async with serving(Site(), tls=a_certificate(tmp_path)) as site:
        site.pages["/index.yaml"] = GOOD
        catalog = open_mirror(mirror=site.address)
        await catalog.refresh()
    assert "certificate that is not trusted" in catalog.problems()[site.address]
    assert versions(catalog) == []


@pytest.mark.parametrize("mirror", ["http://127.0.0.1:99999999", "http://[broken", "http://no-such-host.invalid/x"])
async def test_an_address_that_leads_nowhere_is_a_problem_like_any_other(open_mirror, mirror):
    catalog = open_mirror(mirror=mirror)
    await catalog.refresh()
    assert list(catalog.problems()) == [mirror]


async def test_a_repository_that_is_down_keeps_its_versions_on_offer(open_mirror):
    shelf = MemoryShelf()
    async with serving(Site()) as site:
        site.pages["/index.yaml"] = GOOD
        catalog = open_mirror(shelf=shelf, mirror=site.address)
        await catalog.refresh()
    await catalog.refresh()
    assert "cannot be reached" in catalog.problems()[site.address]
    assert versions(catalog)[0] == "1.45.0"


async def test_a_dead_repository_does_not_hold_up_the_others(site, tmp_path):
    site.pages["/index.yaml"] = an_index(a_line("1.0.0"), chart="alive")
    folder = a_component(tmp_path / "mine", name="alive", chart={"repository": site.address, "name": "alive"})
    a_component(folder, name="dead", chart={"repository": "http://127.0.0.1:9", "name": "dead"})
    catalog = open_catalog(CatalogSettings(directories=(folder,)), MemoryShelf(), now=lambda: NOW)
    await catalog.refresh(["alive", "dead"])
    assert versions(catalog, "alive") == ["1.0.0"]
    assert list(catalog.problems()) == ["http://127.0.0.1:9"]
    await catalog.close()


async def test_a_compressed_index_is_read(site, open_mirror):
    def page(request):
        assert "gzip" in request.headers["Accept-Encoding"]
        return web.Response(body=gzip.compress(GOOD), headers={"Content-Encoding": "gzip"})

    site.pages["/index.yaml"] = page
    catalog = open_mirror()
    await catalog.refresh()
    assert versions(catalog)[0] == "1.45.0"


async def test_a_shelf_that_another_version_filled_is_read_anew(site, open_mirror):
    shelf = MemoryShelf()
    await shelf_with_good_versions(site, open_mirror, shelf)
    shelved = await shelf.shelved_index(site.address)
    await shelf.shelve_index(type(shelved)(site.address, b"\x00old", shelved.etag, shelved.last_modified, NOW))
    catalog = open_mirror(shelf=shelf)
    await catalog.restore()
    assert versions(catalog) == []
    await catalog.refresh()
    assert versions(catalog)[0] == "1.45.0"


# Charts


async def an_offer(site, catalog, archive, **more):
    site.pages["/coredns-1.45.0.tgz"] = archive
    site.pages["/index.yaml"] = an_index(a_line("1.45.0", archive if isinstance(archive, bytes) else b"", **more))
    await catalog.refresh()
    assert catalog.problems() == {}
    return catalog.offers("coredns")[0]


async def test_every_chart_of_the_demo_can_be_fetched_and_read(demo, open_mirror):
    catalog = open_mirror()
    await catalog.refresh()
    newest = [(entry, offers[0]) for entry in catalog.entries() if (offers := catalog.offers(entry.name))]
    assert len(newest) == 4
    for entry, offer in newest:
        archive = await catalog.fetch(offer)
        contents = await catalog.read_chart(archive)
        assert (contents.metadata["name"], contents.metadata["version"]) == (entry.source.chart, offer.version)
        assert hashlib.sha256(archive.path.read_bytes()).hexdigest() == archive.digest == offer.digest


async def test_a_chart_is_downloaded_once(site, open_mirror):
    catalog = open_mirror()
    offer = await an_offer(site, catalog, an_archive())
    first = await catalog.fetch(offer)
    assert await catalog.fetch(offer) == first
    assert await open_mirror().fetch(offer) == first
    assert site.paths().count("/coredns-1.45.0.tgz") == 1


async def test_a_chart_that_was_changed_in_the_cache_is_downloaded_again(site, open_mirror):
    catalog = open_mirror()
    offer = await an_offer(site, catalog, an_archive())
    archive = await catalog.fetch(offer)
    archive.path.write_bytes(b"changed")
    with pytest.raises(ChartRejected, match="was changed"):
        await catalog.read_chart(archive)
    again = await catalog.fetch(offer)
    assert (await catalog.read_chart(again)).metadata["version"] == "1.45.0"
    assert site.paths().count("/coredns-1.45.0.tgz") == 2


async def test_the_contents_of_the_charts_asked_for_last_stay_in_memory(site, open_mirror):
    """Every scan asks for the schema of the same versions; it costs the disk nothing the second time."""
    catalog = open_mirror()
    archive = await catalog.fetch(await an_offer(site, catalog, an_archive()))
    first = await catalog.read_chart(archive)
    archive.path.unlink()
    assert await catalog.read_chart(archive) is first
    for number in range(MOST_READ):
        body = an_archive(files={"values.yaml": f"number: {number}\n"})
        other = await catalog.fetch(await an_offer(site, catalog, body))
        assert (await catalog.read_chart(other)).values == {"number": number}
    with pytest.raises(ChartRejected, match="gone"):
        await catalog.read_chart(archive)


async def test_a_repository_without_digests_is_believed_but_not_cached(site, open_mirror):
    catalog = open_mirror()
    offer = await an_offer(site, catalog, an_archive(), digest="")
    archive = await catalog.fetch(offer)
    assert archive.digest == hashlib.sha256(an_archive()).hexdigest()
    await catalog.fetch(offer)
    assert site.paths().count("/coredns-1.45.0.tgz") == 2


async def test_the_private_cache_goes_when_the_catalog_is_closed(site, open_mirror):
    catalog = open_mirror(cache=None)
    archive = await catalog.fetch(await an_offer(site, catalog, an_archive()))
    assert archive.path.is_file()
    await catalog.close()
    assert not archive.path.parent.exists()


@pytest.mark.parametrize(
    ("archive", "more", "told"),
    [
        (an_archive(), {"digest": "0" * 64}, "the index announced"),
        (an_archive(), {"digest": "../../etc/passwd"}, "no SHA-256"),
        (an_archive(version="1.44.0"), {}, "holds coredns 1.44.0"),
        (an_archive(name="evil"), {}, "holds evil 1.45.0"),
        (b"<html>", {}, "no gzip archive"),
        (an_archive()[:-20], {}, "ends too early"),
    ],
    ids=["digest", "digest is a path", "version", "name", "html", "truncated"],
)
async def test_an_archive_that_is_not_what_was_announced_is_refused(site, open_mirror, tmp_path, archive, more, told):
    catalog = open_mirror()
    offer = await an_offer(site, catalog, archive, **more)
    with pytest.raises(ChartRejected) as caught:
        await catalog.fetch(offer)
    assert told in caught.value.message
    assert caught.value.remedy
    assert not list((tmp_path / "cache").glob("*"))


async def test_an_archive_over_the_limit_is_not_downloaded_to_its_end(site, open_mirror):
    catalog = open_mirror()
    offer = await an_offer(site, catalog, lambda _: web.Response(body=bytes(MOST_PACKED + 1)))
    with pytest.raises(CatalogUnavailable, match="larger than 10 MiB"):
        await catalog.fetch(offer)


async def test_an_archive_served_as_if_it_were_encoded_stays_as_it_is(site, open_mirror):
    """Some web servers call a .tgz a .tar with Content-Encoding: gzip; unpacking it would break the digest."""
    archive = an_archive()

    def page(_request):
        return web.Response(body=archive, headers={"Content-Encoding": "gzip"})

    catalog = open_mirror()
    offer = await an_offer(site, catalog, page, digest=hashlib.sha256(archive).hexdigest())
    assert (await catalog.fetch(offer)).path.read_bytes() == archive


async def test_the_address_in_an_error_holds_no_query(site, open_mirror):
    """Signed addresses carry their key there."""
    catalog = open_mirror()
    offer = await an_offer(site, catalog, status(403), urls=["coredns-1.45.0.tgz?token=hunter2"])
    with pytest.raises(CatalogUnavailable, match="answered HTTP 403") as caught:
        await catalog.fetch(offer)
    assert "hunter2" not in str(caught.value)


async def test_the_generation_changes_with_what_is_on_offer_and_only_then(site, open_mirror):
    """Callers keep what they made of the offers for as long as it stays."""
    site.pages["/index.yaml"] = GOOD
    catalog = open_mirror()
    await catalog.refresh()
    known = catalog.generation
    await catalog.refresh()
    assert catalog.generation == known
    site.pages["/index.yaml"] = an_index(a_line("1.46.0"))
    await catalog.refresh()
    changed = catalog.generation
    assert changed != known
    del site.pages["/index.yaml"]
    await catalog.refresh()
    assert catalog.generation != changed, "the problem is told as well"


async def test_a_full_disk_is_told_and_leaves_nothing_behind(site, open_mirror, tmp_path):
    """A chart that cannot be kept fails with what to do next."""
    archive = an_archive()
    site.pages["/index.yaml"] = an_index(a_line("1.45.0", archive))
    site.pages["/coredns-1.45.0.tgz"] = archive
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the folder should be")
    catalog = open_mirror(cache=blocked)
    await catalog.refresh()
    with pytest.raises(CatalogUnavailable, match="cannot be kept") as refused:
        await catalog.fetch(catalog.offers("coredns")[0])
    assert "disk" in refused.value.remedy
