"""Passwords for hosts of charts: read from a file, sent to the host they are for, told to nobody."""

import base64
import json
import logging
import textwrap

import pytest
from aiohttp import web

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.catalogs.credentials import Credentials, authorization, read_credentials
from addonry.catalogs.download import Downloads
from addonry.model.catalog import ChartCredential
from addonry.model.errors import CatalogUnavailable, InvalidParameter
from addonry.rules.chart_hosts import host_of
from tests.rooms.catalogs.registries import basic
from tests.rooms.catalogs.sites import NOW, Site, a_certificate, a_component, a_line, an_archive, an_index, serving

ROBOT = ChartCredential("robot", "hunter2")


def written(tmp_path, text):
    file = tmp_path / "credentials"
    file.write_text(textwrap.dedent(text))
    return file


def test_our_own_file_is_a_mapping_of_hosts(tmp_path):
    (tmp_path / "site.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    file = written(
        tmp_path,
        """
        charts.example.com: {username: robot, password: hunter2}
        Registry.example.com:5000:
          token: t0ken
          ca_file: site.pem
          realm: https://auth.example.com/token
        plain.example.com: {plain_http: true}
        """,
    )
    known = read_credentials(file)
    assert known.of("https://charts.example.com/stable/index.yaml") == ROBOT
    assert known.of("charts.example.com:443") == ROBOT
    registry = known.of("registry.example.com:5000")
    assert (registry.token, registry.realm) == ("t0ken", "https://auth.example.com/token")
    assert registry.authority == "-----BEGIN CERTIFICATE-----\n"
    assert known.of("registry.example.com").is_anonymous
    assert known.of("plain.example.com") == ChartCredential(plain_http=True)
    assert authorization(registry) == "Bearer t0ken"
    assert authorization(ROBOT) == basic()
    assert "hunter2" not in f"{known!r} {ROBOT!r} {registry!r}"
    assert "t0ken" not in f"{known!r} {registry!r}"


def test_dockers_file_is_read_as_docker_and_helm_write_it(tmp_path):
    pair = base64.b64encode(b"robot:hunter2").decode()
    auths = {
        "ghcr.io": {"auth": pair},
        "https://index.docker.io/v1/": {"username": "robot", "password": "hunter2"},
        "quay.io": {"registrytoken": "t0ken"},
        "empty.example.com": {},
    }
    known = read_credentials(written(tmp_path, json.dumps({"auths": auths, "credsStore": "desktop"})))
    assert known.of("ghcr.io") == known.of("docker.io") == known.of("registry-1.docker.io") == ROBOT
    assert known.of("quay.io").token == "t0ken"
    assert sorted(known.by_host) == ["ghcr.io", "quay.io", "registry-1.docker.io"]


BAD = {
    "no yaml": ("a: [hunter2", "is no mapping of hosts"),
    "a list": ("[hunter2]", "is no mapping of hosts"),
    "a text": ("example.com: hunter2", "example.com: known members are"),
    "unknown": ("example.com: {pass: hunter2}", "example.com: known members are"),
    "a number": ("example.com: {username: robot, password: 12345678}", "must be a text"),
    "half": ("example.com: {password: hunter2}", "needs a password, and a password a user"),
    "both": ("example.com: {username: a, password: hunter2, token: b}", "not both"),
    "two lines": ('example.com: {token: "a\\nX: hunter2"}', "no control characters"),
    "no pem": ("example.com: {ca_file: credentials}", "is no PEM certificate"),
    "no file": ("example.com: {ca_file: nowhere}", "ca_file cannot be read"),
    "realm": ("example.com: {realm: http://hunter2}", "realm must be an https address"),
    "plain": ("example.com: {plain_http: hunter2}", "plain_http must be"),
    "not base64": ('{"auths": {"example.com": {"auth": "hunter2!"}}}', "no user and password in Base64"),
    "another program": ('{"auths": {"example.com": {}}, "credsStore": "x"}', "which is not run"),
}


@pytest.mark.parametrize(("text", "told"), BAD.values(), ids=BAD)
def test_a_file_that_makes_no_sense_is_refused_without_repeating_it(tmp_path, text, told):
    with pytest.raises(InvalidParameter) as refused:
        read_credentials(written(tmp_path, text))
    assert told in str(refused.value)
    assert "credentials" in refused.value.parameter
    assert "hunter2" not in f"{refused.value} {refused.value.remedy} {refused.value.__cause__}"


def test_a_file_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(InvalidParameter, match="cannot be read: No such file"):
        open_catalog(CatalogSettings(credentials=tmp_path / "nowhere"), MemoryShelf(), now=lambda: NOW)


def test_a_host_has_one_name_however_it_is_written():
    for written_so in ("ghcr.io", "https://GHCR.io/", "oci://ghcr.io/x", "https://me@ghcr.io:443/v2/"):
        assert host_of(written_so) == "ghcr.io"


@pytest.fixture
async def downloads():
    one = Downloads()
    yield one
    await one.close()


def page_with_password(request):
    return web.Response(body=b"in" if request.headers.get("Authorization") == basic() else b"out")


async def test_a_password_goes_to_its_host_and_not_to_where_that_redirects(downloads):
    async with serving(Site()) as site, serving(Site()) as other:
        site.pages["/page"] = other.pages["/page"] = page_with_password
        site.pages["/away"] = lambda _: web.Response(status=302, headers={"Location": f"{other.address}/page"})
        site.pages["/back"] = lambda _: web.Response(status=302, headers={"Location": f"{other.address}/return"})
        other.pages["/return"] = lambda _: web.Response(status=302, headers={"Location": f"{site.address}/page"})
        site.pages["/near"] = lambda _: web.Response(status=302, headers={"Location": "/page"})
        downloads.credentials = Credentials({site.address: ROBOT, other.address: ROBOT})
        told = {
            path: (await downloads.get(site.address + path, limit=9)).body
            for path in ("/page", "/near", "/away", "/back")
        }
    assert told == {"/page": b"in", "/near": b"in", "/away": b"out", "/back": b"out"}


async def test_a_password_is_not_sent_in_the_clear_unless_that_was_asked_for(downloads, monkeypatch):
    monkeypatch.setattr("addonry.catalogs.download.is_loopback", lambda host: False)
    async with serving(Site()) as site:
        site.pages["/page"] = page_with_password
        downloads.credentials = Credentials({site.address: ROBOT})
        assert (await downloads.get(f"{site.address}/page", limit=9)).body == b"out"
        downloads.credentials = Credentials({site.address: ChartCredential("robot", "hunter2", plain_http=True)})
        assert (await downloads.get(f"{site.address}/page", limit=9)).body == b"in"


async def test_a_hosts_own_authority_is_trusted_for_that_host(downloads, tmp_path):
    context = a_certificate(tmp_path)
    pem = (tmp_path / "server.pem").read_text().partition("-----BEGIN PRIVATE")[0]
    async with serving(Site(), tls=context) as site:
        site.pages["/page"] = b"in"
        address = site.address.replace("127.0.0.1", "localhost")
        with pytest.raises(CatalogUnavailable, match="not trusted"):
            await downloads.get(f"{address}/page", limit=9)
        downloads.credentials = Credentials({address: ChartCredential(authority=pem)})
        assert (await downloads.get(f"{address}/page", limit=9)).body == b"in"


async def test_what_the_shelf_keeps_is_used_and_the_file_comes_first(tmp_path, caplog):
    """A login that came while the service runs is used by the next reading."""

    class Shelf(MemoryShelf):
        def __init__(self):
            super().__init__()
            self.kept = {}

        async def chart_credentials(self):
            return self.kept

    caplog.set_level(logging.DEBUG)
    archive = an_archive(name="mine", version="1.0.0")
    index = an_index(a_line("1.0.0", archive, name="mine", urls=["mine.tgz"]), chart="mine")
    async with serving(Site()) as site:

        def guarded(body):
            def page(request):
                said = request.headers.get("Authorization")
                return web.Response(body=body) if said == basic() else web.Response(status=401)

            return page

        site.pages |= {"/index.yaml": guarded(index), "/mine.tgz": guarded(archive)}
        folder = a_component(tmp_path / "mine", chart={"repository": site.address, "name": "mine"})
        shelf = Shelf()
        settings = CatalogSettings(directories=(folder,), cache=tmp_path / "cache")
        catalog = open_catalog(settings, shelf, now=lambda: NOW)
        await catalog.refresh(["mine"])
        assert "HTTP 401" in catalog.trouble("mine")
        shelf.kept = {site.address: ROBOT}
        await catalog.refresh(["mine"])
        [offer] = catalog.offers("mine")
        assert (await catalog.fetch(offer)).path.read_bytes() == archive
        await catalog.close()

        shelf.kept = {site.address: ChartCredential("robot", "wrong")}
        file = written(tmp_path, f"{site.address}: {{username: robot, password: hunter2}}")
        with_file = CatalogSettings(directories=(folder,), credentials=file)
        catalog = open_catalog(with_file, shelf, now=lambda: NOW)
        await catalog.refresh(["mine"])
        assert catalog.trouble("mine") == ""
        await catalog.close()
    assert "hunter2" not in caplog.text
    assert basic() not in caplog.text
