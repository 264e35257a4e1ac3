"""OCI registries that ask who we are, have much to tell, or lie."""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.catalogs.credentials import Credentials, read_credentials
from addonry.catalogs.download import Downloads
from addonry.catalogs.places import place_of
from addonry.catalogs.sources import Reading
from addonry.catalogs.sources.oci import AT_A_TIME, UNREAD, Registries, worth_reading
from addonry.catalogs.sources.registry import MOST_PAGES, MOST_TAGS, Registry
from addonry.model.catalog import ChartCredential
from addonry.model.errors import CatalogUnavailable, ChartRejected
from tests.rooms.catalogs.registries import (
    PASSWORD,
    USER,
    SmallRegistry,
    basic,
    digest_of,
    docker_registry,
    parts_of,
    stock,
    why_not_docker_registry,
)
from tests.rooms.catalogs.sites import NOW, Site, a_line, an_archive, an_index, serving

ROBOT = ChartCredential(USER, PASSWORD)


@dataclass
class Shop:
    """A small registry and somebody who reads it."""

    registry: SmallRegistry
    downloads: Downloads = field(default_factory=Downloads)

    def __post_init__(self):
        self.source = Registries(self.downloads)
        self.host = self.registry.address.removeprefix("http://")
        self.address = f"oci://{self.host}/charts/coredns"

    async def read(self, known: Reading | None = None) -> Reading:
        return await self.source.read(self.address, {"coredns"}, known)

    def log_in(self, **by_host):
        self.downloads.credentials = Credentials({self.host: ROBOT} | by_host)

    def asked(self, part):
        return [request for request in self.registry.requests if part in request.path]


@pytest.fixture
async def shop():
    async with serving(SmallRegistry()) as registry:
        one = Shop(registry)
        yield one
        await one.downloads.close()


def versions(reading):
    return sorted(line["version"] for line in reading.index["coredns"] if not line.get("unread"))


# What is asked


async def test_what_was_read_is_not_asked_for_again(shop):
    stock(shop.registry, "coredns", "1.44.0")
    stock(shop.registry, "coredns", "1.45.0")
    first = await shop.read()
    shop.registry.requests.clear()
    await shop.read(first)
    assert [request.method for request in shop.registry.requests] == ["GET", "HEAD", "HEAD"]


async def test_a_registry_that_tells_etags_is_asked_only_whether_anything_changed(shop):
    shop.registry.tells_etags = True
    stock(shop.registry, "coredns", "1.44.0")
    first = await shop.read()
    second = await shop.read(first)
    assert shop.registry.requests[-2].headers["If-None-Match"] == first.etag != ""
    assert second.index == first.index
    stock(shop.registry, "coredns", "1.45.0")
    assert versions(await shop.read(second)) == ["1.44.0", "1.45.0"]


async def test_a_long_list_is_read_some_versions_at_a_time_until_all_is_known(shop):
    for number in range(AT_A_TIME + 5):
        stock(shop.registry, "coredns", f"1.{number}.0")
    first = await shop.read()
    assert len(versions(first)) == AT_A_TIME
    assert "1.0.0" not in versions(first)
    second = await shop.read(first)
    assert len(versions(second)) == AT_A_TIME + 5


def test_the_newest_come_first_and_then_the_newest_of_each_minor_version():
    """An upgrade that must not skip a minor version goes over these."""
    known = [f"{major}.{minor}.{patch}" for major in (1, 2) for minor in range(10) for patch in range(9)]
    chosen = worth_reading(known, known)
    assert chosen[:2] == ["2.9.8", "2.9.7"]
    assert {f"{major}.{minor}.8" for major in (1, 2) for minor in range(10)} <= set(chosen)
    assert len(chosen) == AT_A_TIME
    assert worth_reading([*known, "3.0.0-rc.1"], known)[0] == "2.9.8", "pre-releases come last"


async def test_tags_that_are_no_versions_are_passed_over(shop):
    stock(shop.registry, "coredns", "1.44.0")
    for tag in ("latest", "sha256-0123.sig", "1.44", "01.2.3", "v1"):
        stock(shop.registry, "coredns", "1.44.0", tag=tag)
    assert [line["version"] for line in (await shop.read()).index["coredns"]] == ["1.44.0"]


async def test_a_version_that_is_no_chart_is_noted_once_and_costs_no_other(shop):
    stock(shop.registry, "coredns", "1.44.0")
    stock(shop.registry, "coredns", "1.45.0", kind="application/vnd.oci.image.layer.v1.tar+gzip")
    first = await shop.read()
    assert (versions(first), first.trouble) == (["1.44.0"], "")
    shop.registry.requests.clear()
    await shop.read(first)
    assert not [request for request in shop.asked("/manifests/") if request.method == "GET"]


async def test_a_registry_that_has_enough_of_us_keeps_what_was_read_and_says_so(shop):
    """Docker Hub counts manifests; what is missing is read another time."""
    for number in range(20):
        stock(shop.registry, "coredns", f"1.{number}.0")
    shop.registry.pages["/v2/charts/coredns/manifests/1.9.0"] = lambda _: web.Response(status=429)
    first = await shop.read()
    assert "asked too often" in first.trouble
    assert 0 < len(versions(first)) < 20
    del shop.registry.pages["/v2/charts/coredns/manifests/1.9.0"]
    second = await shop.read(first)
    assert (len(versions(second)), second.trouble) == (20, "")


# Who asks


async def test_a_password_is_given_when_it_is_asked_for(shop):
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.password = basic()
    with pytest.raises(CatalogUnavailable, match="HTTP 401") as refused:
        await shop.read()
    assert f"addonry catalog login {shop.host}" in refused.value.remedy
    shop.log_in()
    assert versions(await shop.read()) == ["1.44.0"]
    assert sum(request.headers.get("Authorization") is None for request in shop.registry.requests) == 2


async def test_a_token_is_asked_for_once_with_the_right_to_pull_and_no_more(shop):
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.token_service = f"{shop.registry.address}/token"
    assert versions(await shop.read()) == ["1.44.0"]
    [asked] = shop.asked("/token")
    assert asked.query["scope"] == "repository:charts/coredns:pull"
    assert asked.query["service"] == "small"
    assert "Authorization" not in asked.headers


async def test_a_token_that_is_no_longer_taken_is_asked_for_anew(shop):
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.token_service = f"{shop.registry.address}/token"
    shop.registry.secret = "first"
    [line] = (await shop.read()).index["coredns"]
    shop.registry.secret = "second"
    assert await shop.source.fetch(line["urls"][0], limit=2**20) == an_archive(name="coredns", version="1.44.0")
    assert len(shop.asked("/token")) == 2


async def test_a_password_goes_to_the_registrys_own_maker_of_tokens(shop):
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.token_service, shop.registry.password = f"{shop.registry.address}/token", basic()
    with pytest.raises(CatalogUnavailable, match="HTTP 401"):
        await shop.read()
    shop.log_in()
    assert versions(await shop.read()) == ["1.44.0"]


async def test_a_password_goes_to_no_other_maker_of_tokens(shop):
    """Else a registry could have the password it is given sent anywhere."""
    shop.log_in()
    async with serving(Site()) as thief:
        thief.pages["/token"] = lambda _: web.json_response({"token": "x"})
        shop.registry.token_service = f"{thief.address}/token"
        with pytest.raises(CatalogUnavailable, match="HTTP 401"):
            await shop.read()
    [asked] = thief.requests
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize(
    ("host", "realm", "is_its"),
    [
        ("ghcr.io", "https://ghcr.io/token", True),
        ("docker.io", "https://auth.docker.io/token", True),
        ("ghcr.io", "https://auth.docker.io/token", False),
        ("registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.cn-hangzhou.aliyuncs.com/auth", True),
        ("registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.oss-cn-hangzhou.aliyuncs.com/auth", False),
        ("registry.example.com", "https://dockerauth.cn-hangzhou.aliyuncs.com/auth", False),
        ("registry.example.com", "https://auth.example.com/token", False),
        ("named.example.com", "https://auth.example.com/token", True),
        ("named.example.com", "https://auth.example.com/other", False),
    ],
)
def test_who_makes_the_tokens_of_a_registry(host, realm, is_its):
    known = Credentials({"named.example.com": ChartCredential(realm="https://auth.example.com/token")})
    assert Registry(Downloads(known))._is_its_realm(host, realm) is is_its


@pytest.mark.parametrize("realm", ["file:///etc/passwd", "http://user@host/", "", "nonsense"])
async def test_a_realm_that_is_no_address_is_refused(shop, realm):
    shop.registry.token_service = realm or "x"
    with pytest.raises(CatalogUnavailable, match="does not say where"):
        await shop.read()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"token": 1}', b'{"token": "a\\nb: c"}', b"[" * 60_000])
async def test_an_answer_without_a_token_is_refused(shop, body):
    shop.registry.token_service = f"{shop.registry.address}/token"
    shop.registry.pages["/token"] = body
    with pytest.raises(CatalogUnavailable, match=r"without a token|no JSON"):
        await shop.read()


async def test_a_blob_elsewhere_is_fetched_without_what_let_us_in(shop):
    archive = stock(shop.registry, "coredns", "1.44.0")
    shop.registry.password = basic()
    shop.log_in()
    [line] = (await shop.read()).index["coredns"]
    async with serving(Site()) as storage:
        storage.pages["/blob"] = archive
        where = f"{storage.address}/blob?signature=hunter2"
        path = f"/v2/charts/coredns/blobs/{digest_of(archive)}"
        shop.registry.pages[path] = lambda _: web.Response(status=307, headers={"Location": where})
        assert await shop.source.fetch(line["urls"][0], limit=2**20) == archive
        [asked] = storage.requests
    assert "Authorization" not in asked.headers


async def test_a_registry_that_never_ends_an_answer_is_given_up(shop):
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.pages["/v2/charts/coredns/manifests/1.44.0"] = drip
    await shop.downloads.close()
    impatient = Shop(shop.registry, Downloads(seconds=0.3))
    reading = await impatient.read()
    assert "was not done after 0.3 seconds" in reading.trouble
    assert versions(reading) == []
    await impatient.downloads.close()


async def drip(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.get_running_loop().create_future()


async def test_an_index_may_name_archives_in_a_registry(shop, tmp_path):
    """As those do whose publisher has moved its charts there."""
    archive = stock(shop.registry, "coredns", "1.44.0")
    line = a_line("1.44.0", archive, urls=[f"{shop.address}:1.44.0"])
    shop.registry.pages["/index.yaml"] = an_index(line, a_line("1.43.0", urls=["oci://no-tag/coredns"]))
    settings = CatalogSettings(mirror=shop.registry.address, cache=tmp_path)
    catalog = open_catalog(settings, MemoryShelf(), now=lambda: NOW)
    await catalog.refresh(["coredns"])
    [offer] = catalog.offers("coredns")
    assert (await catalog.fetch(offer)).path.read_bytes() == archive
    await catalog.close()


# Lies


def pages_for_ever(request):
    ahead = f"</v2/charts/coredns/tags/list?last={request.query.get('last', '')}x>; rel=next"
    return web.json_response({"tags": []}, headers={"Link": ahead})


TAGS = {
    "404": (lambda _: web.Response(status=404), "HTTP 404"),
    "text": (b"welcome", "no JSON"),
    "a list": (b"[]", "no JSON object"),
    "deep": (b"[" * 200_000, "no JSON"),
    "many": (json.dumps({"tags": [str(n) for n in range(MOST_TAGS + 1)]}).encode(), "more than 10,000 tags"),
    "large": (b" " * (2 * 2**20 + 1), "larger than 2 MiB"),
    "for ever": (pages_for_ever, f"more than {MOST_PAGES} pages"),
    "elsewhere": (
        lambda _: web.json_response({"tags": []}, headers={"Link": "<http://169.254.169.254/v2/x>; rel=next"}),
        "go on elsewhere",
    ),
    "another name": (
        lambda _: web.json_response({"tags": []}, headers={"Link": "</v2/secret/tags/list?n=1>; rel=next"}),
        "go on elsewhere",
    ),
    "to a file": (lambda _: web.Response(status=302, headers={"Location": "file:///etc/passwd"}), "neither http nor"),
}


@pytest.mark.parametrize(("page", "told"), TAGS.values(), ids=TAGS)
async def test_a_list_of_tags_that_cannot_be_read_is_told(shop, page, told):
    shop.registry.pages["/v2/charts/coredns/tags/list"] = page
    with pytest.raises(CatalogUnavailable, match=told):
        await shop.read()


async def test_tags_of_strange_types_are_passed_over(shop):
    for tags in (None, "1.0.0", {"1.0.0": 1}, [1, None, ["1.0.0"]]):
        shop.registry.pages["/v2/charts/coredns/tags/list"] = json.dumps({"tags": tags}).encode()
        assert (await shop.read()).index == {"coredns": []}


def changed(**more):
    _, _, manifest = parts_of("coredns", "1.44.0")
    return json.dumps(json.loads(manifest) | more).encode()


BLOB = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
MANIFESTS = {
    "text": b"no",
    "deep": b"[" * 100_000,
    "an index of others": changed(layers=None, manifests=[BLOB]),
    "no layers": changed(layers=[]),
    "two charts": parts_of("coredns", "1.44.0", layers=2)[2],
    "a hundred layers": changed(layers=[BLOB] * 101),
    "another config": changed(config=BLOB | {"mediaType": "application/vnd.oci.image.config.v1+json"}),
    "a path for a digest": changed(config=BLOB | {"digest": "sha256:../../../etc/passwd"}),
    "another algorithm": changed(config=BLOB | {"digest": "md5:" + "0" * 32}),
    "a size below zero": changed(config=BLOB | {"size": -1}),
    "a size that is text": changed(config=BLOB | {"size": "2"}),
    "a config of 2 GiB": changed(config=BLOB | {"size": 2**31}),
    "a config that is gone": changed(config=BLOB),
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
async def test_a_manifest_that_is_none_of_a_chart_takes_its_version_off_the_shelf(shop, manifest):
    stock(shop.registry, "coredns", "1.43.0")
    stock(shop.registry, "coredns", "1.44.0")
    shop.registry.pages["/v2/charts/coredns/manifests/1.44.0"] = manifest
    reading = await shop.read()
    assert (versions(reading), reading.trouble) == (["1.43.0"], "")
    [line] = [line for line in reading.index["coredns"] if line.get("unread")]
    assert line["unread"] != UNREAD


CONFIGS = {
    "text": b"no",
    "another version": json.dumps({"version": "9.9.9"}).encode(),
    "no version": b"{}",
    "a list": b"[]",
    "deep": b'{"version": ' + b"[" * 200_000,
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
async def test_a_config_that_is_no_chart_takes_its_version_off_the_shelf(shop, config):
    stock(shop.registry, "coredns", "1.44.0")
    manifest = changed(config=BLOB | {"digest": digest_of(config), "size": len(config)})
    shop.registry.manifests["charts/coredns"]["1.44.0"] = manifest
    shop.registry.blobs[digest_of(config)] = config
    assert versions(await shop.read()) == []


async def test_a_blob_of_another_digest_or_size_is_refused(shop):
    archive = stock(shop.registry, "coredns", "1.44.0")
    [line] = (await shop.read()).index["coredns"]
    same_size = bytes(len(archive))
    for body, told in ((same_size, "not what the manifest"), (archive[:-1], "not what"), (archive * 2, "larger than")):
        shop.registry.blobs[digest_of(archive)] = body
        with pytest.raises((ChartRejected, CatalogUnavailable), match=told):
            await shop.source.fetch(line["urls"][0], limit=2**20)


async def test_a_manifest_of_another_digest_than_the_one_asked_for_is_refused(shop):
    stock(shop.registry, "coredns", "1.44.0")
    [line] = (await shop.read()).index["coredns"]
    pinned = place_of(line["urls"][0]).reference
    shop.registry.manifests["charts/coredns"][pinned] = changed(layers=[])
    with pytest.raises(ChartRejected, match="has digest sha256:"):
        await shop.source.fetch(line["urls"][0], limit=2**20)


@pytest.mark.parametrize(
    "address",
    [
        *("oci://", "oci:///charts/x", "oci://host", "oci://host/", "oci://user:hunter2@host/x", "oci://host/x?y=z"),
        *("oci://host/../x", "oci://host/X", "oci://host/x:bad tag", "oci://host/x@sha256:1", "oci://[host/x"),
        *("oci://host:0/x", "oci://host:x/y", "https://host/x", "oci://host/x//y", "oci://host/" + "x" * 300),
    ],
)
def test_an_address_that_no_registry_could_have_is_none(address):
    assert place_of(address) is None


def test_the_parts_of_an_address():
    pinned = "sha256:" + "a" * 64
    told = {
        "oci://Host:5000/a/b": ("host:5000", "a/b", ""),
        "oci://host/a/b:1.0.0_x": ("host", "a/b", "1.0.0_x"),
        f"oci://host/a@{pinned}": ("host", "a", pinned),
    }
    for address, (host, name, reference) in told.items():
        place = place_of(address)
        assert (place.host, place.name, place.reference) == (host, name, reference)


# Helm

ASK_HELM = """
import json, sys
import helm_python

asked = json.load(sys.stdin)
with helm_python.RegistryClient(plain_http=True, credentials_file=asked["folder"] + "/login.json") as client:
    if asked["password"]:
        client.login(asked["host"], "robot", asked["password"], plain_http=True)
    for file in asked["push"]:
        client.push(file, f"oci://{asked['host']}/helm", plain_http=True)
    for version in asked["pull"]:
        client.pull(f"oci://{asked['host']}/helm/coredns", version=version, destination=asked["folder"], plain_http=True)
    json.dump(client.tags(f"{asked['host']}/helm/coredns"), sys.stdout)
"""


def ask_helm(folder, host, *, push=(), pull=(), password=""):
    asked = {"folder": str(folder), "host": host, "push": push, "pull": pull, "password": password}
    told = subprocess.run(
        [sys.executable, "-c", ASK_HELM], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr[-2000:]
    return json.loads(told.stdout)


@pytest.mark.slow
async def test_what_helm_pushes_is_read_and_helm_pulls_what_was_read(tmp_path):
    """Through Debian's registry, with a password, which Helm's own login file says to us as well."""
    if why := why_not_docker_registry():
        pytest.skip(f"Helm does not push anywhere: {why}")
    yaml = "apiVersion: v2\nname: coredns\nversion: {}\nappVersion: 1.13.1\nkubeVersion: '>=1.23.0-0'\n"
    files = []
    for version in ("1.44.0", "1.45.0+build.7"):
        files.append(str(tmp_path / f"coredns-{version}.tgz"))
        archive = an_archive(files={"Chart.yaml": yaml.format(version)})
        (tmp_path / f"coredns-{version}.tgz").write_bytes(archive)
    with docker_registry(password=True) as host:
        helms = ask_helm(tmp_path, host, push=files, password=PASSWORD)
        downloads = Downloads(read_credentials(tmp_path / "login.json"))
        source = Registries(downloads)
        reading = await source.read(f"oci://{host}/helm/coredns", {"coredns"}, None)
        lines = {line["version"]: line for line in reading.index["coredns"]}
        assert sorted(lines) == sorted(helms) == ["1.44.0", "1.45.0+build.7"]
        for version, line in lines.items():
            assert (line["appVersion"], line["kubeVersion"]) == ("1.13.1", ">=1.23.0-0")
            ours = await source.fetch(line["urls"][0], limit=2**20)
            (tmp_path / f"coredns-{version}.tgz").unlink()
            ask_helm(tmp_path, host, pull=[version], password=PASSWORD)
            [pulled] = (
                tmp_path.glob("coredns-*.tgz") if version == "1.45.0+build.7" else [tmp_path / "coredns-1.44.0.tgz"]
            )
            assert pulled.read_bytes() == ours
            pulled.unlink()
        await downloads.close()
