"""What a catalog knows, carried in one file to a place without a way out."""

import asyncio
import gzip
import hashlib
import io
import json
import tarfile
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addonry.catalogs import CatalogSettings, MemoryShelf, export_snapshot, import_snapshot, open_catalog
from addonry.catalogs.snapshots.unpacking import unpack
from addonry.model.errors import AddonryError, CatalogUnavailable, ComponentNotFound, InvalidParameter
from tests.rooms.catalogs.registries import SmallRegistry, stock
from tests.rooms.catalogs.sites import NOW, a_component, a_line, an_archive, an_index, serving

LATER = NOW + timedelta(days=1)
ARCHIVES = {version: an_archive(version=version) for version in ("1.43.0", "1.44.0", "1.45.0")}


def stocked(site):
    """A Helm repository with three versions of CoreDNS, the newest of which needs a Kubernetes to come."""
    lines = [
        a_line("1.43.0", ARCHIVES["1.43.0"]),
        a_line(
            "1.44.0",
            ARCHIVES["1.44.0"],
            digest="",
            annotations={"artifacthub.io/changes": "- {kind: security, description: A hole}"},
        ),
        a_line("1.45.0", ARCHIVES["1.45.0"], kubeVersion=">=1.40.0-0"),
    ]
    site.pages["/index.yaml"] = an_index(*lines)
    for version, archive in ARCHIVES.items():
        site.pages[f"/coredns-{version}.tgz"] = archive


async def export(file, site, *, now=NOW, names=("coredns",), **more):
    settings_ = CatalogSettings(mirror=site.address, directories=more.pop("directories", ()))
    return await export_snapshot(settings_, file, now=lambda: now, made_by="tests", names=names, **more)


@pytest.fixture
async def exported(site, tmp_path):
    """A snapshot of one component, with the charts that fit 1.36."""
    stocked(site)
    file = tmp_path / "catalog.tar.gz"
    made = await export(file, site, kubernetes=("v1.36.0",), newest=1)
    assert (made.components, made.charts, made.troubles, made.taken_at) == (1, 1, (), NOW)
    return file


def at(tmp_path, **more):
    return CatalogSettings(snapshot=tmp_path / "snapshot", cache=tmp_path / "cache", **more)


def bring(file, tmp_path, *, now=NOW, **more):
    return import_snapshot(at(tmp_path), file, now=now, **more)


async def test_an_imported_snapshot_says_what_the_repository_said(site, exported, tmp_path):
    """With nobody there to ask: versions, ranges, notes and the charts that were wanted."""
    there = open_catalog(CatalogSettings(mirror=site.address), MemoryShelf(), now=lambda: NOW)
    await there.refresh(["coredns"])
    told = bring(exported, tmp_path)
    assert (told.components, told.charts) == (1, 1)
    asked = len(site.requests)
    catalog = open_catalog(at(tmp_path, offline=True), MemoryShelf(), now=lambda: NOW)
    await catalog.refresh()
    kept = catalog.offers("coredns")
    assert [offer.version for offer in kept] == ["1.45.0", "1.44.0", "1.43.0"]
    for ours, theirs in zip(kept, there.offers("coredns"), strict=True):
        assert (ours.url, ours.kubernetes, ours.app_version, ours.notes, ours.fixes_security) == (
            theirs.url,
            theirs.kubernetes,
            theirs.app_version,
            theirs.notes,
            theirs.fixes_security,
        )
    archive = await catalog.fetch(kept[1])
    assert archive.digest == hashlib.sha256(ARCHIVES["1.44.0"]).hexdigest()
    assert (await catalog.read_chart(archive)).metadata["version"] == "1.44.0"
    with pytest.raises(CatalogUnavailable, match="not in the snapshot") as refused:
        await catalog.fetch(kept[0])
    assert "--charts" in refused.value.remedy
    assert len(site.requests) == asked
    assert catalog.trouble("coredns") == ""
    assert "ADDONRY_OFFLINE" in catalog.trouble("metrics-server")
    await there.close()
    await catalog.close()


async def test_the_same_content_makes_the_same_file(site, exported, tmp_path):
    again = tmp_path / "again.tar.gz"
    await export(again, site, kubernetes=("v1.36.0",), newest=1)
    assert again.read_bytes() == exported.read_bytes()


async def test_a_registry_is_read_to_its_end(tmp_path):
    async with serving(SmallRegistry()) as registry:
        for number in range(50):
            stock(registry, "coredns", f"1.{number}.0", folder="mirror")
        settings_ = CatalogSettings(mirror=f"oci://{registry.address.removeprefix('http://')}/mirror")
        file = tmp_path / "x.tar.gz"
        await export_snapshot(settings_, file, now=lambda: NOW, made_by="tests", names=["coredns"])
    bring(file, tmp_path)
    catalog = open_catalog(at(tmp_path, offline=True), MemoryShelf(), now=lambda: NOW)
    await catalog.restore()
    assert len(catalog.offers("coredns")) == 50
    await catalog.close()


async def test_what_was_read_later_counts_whichever_it_is(site, exported, tmp_path):
    """And a service that runs meets a new snapshot at its next reading."""
    shelf = MemoryShelf()
    before = open_catalog(at(tmp_path, mirror=site.address), shelf, now=lambda: NOW - timedelta(days=1))
    site.pages["/index.yaml"] = an_index(a_line("1.42.0"))
    await before.refresh(["coredns"])
    assert [offer.version for offer in before.offers("coredns")] == ["1.42.0"]
    bring(exported, tmp_path)
    generation = before.generation
    site.pages.clear()
    await before.refresh(["coredns"])
    assert [offer.version for offer in before.offers("coredns")] == ["1.45.0", "1.44.0", "1.43.0"]
    assert before.generation != generation
    await before.close()

    after = open_catalog(at(tmp_path, mirror=site.address), shelf, now=lambda: LATER)
    site.pages["/index.yaml"] = an_index(a_line("1.46.0"))
    await after.refresh(["coredns"])
    assert [offer.version for offer in after.offers("coredns")] == ["1.46.0"]
    await after.close()


async def test_an_older_snapshot_is_refused_unless_it_is_told_to_win(site, exported, tmp_path):
    newer = tmp_path / "newer.tar.gz"
    site.pages["/index.yaml"] = an_index(a_line("1.46.0"))
    await export(newer, site, now=LATER)
    bring(newer, tmp_path, now=LATER)
    with pytest.raises(InvalidParameter, match="before the one in use") as refused:
        bring(exported, tmp_path, now=LATER)
    assert "--force" in refused.value.remedy
    assert await versions_at(tmp_path) == ["1.46.0"]
    bring(exported, tmp_path, now=LATER + timedelta(days=1), force=True)
    assert await versions_at(tmp_path) == ["1.45.0", "1.44.0", "1.43.0"]
    assert len(list((tmp_path / "snapshot").iterdir())) == 2, "the name of the one in use, and that one"


async def versions_at(tmp_path):
    catalog = open_catalog(at(tmp_path, offline=True), MemoryShelf(), now=lambda: LATER)
    await catalog.refresh()
    await catalog.close()
    return [offer.version for offer in catalog.offers("coredns")]


async def test_files_of_ones_own_come_along(site, tmp_path):
    """Under names that a snapshot may hold, and with the later directory still counting more."""
    folder = a_component(tmp_path / "own", name="coredns", aliases=["our-dns"])
    (folder / "coredns.yaml").rename(folder / "zz é (ours).yaml")
    other = a_component(tmp_path / "more", name="coredns", aliases=["their-dns"])
    stocked(site)
    file = tmp_path / "x.tar.gz"
    await export(file, site, directories=(folder, other))
    bring(file, tmp_path)
    catalog = open_catalog(at(tmp_path, offline=True), MemoryShelf(), now=lambda: NOW)
    assert catalog.entry("their-dns").title == "Mine"
    assert catalog.entry("our-dns") is None
    await catalog.close()


async def test_a_source_that_fails_is_told_and_the_others_go_in(site, tmp_path):
    folder = a_component(tmp_path / "own", name="dead", chart={"repository": "http://127.0.0.1:9", "name": "dead"})
    a_component(folder, name="alive", chart={"repository": site.address, "name": "alive"})
    site.pages["/index.yaml"] = an_index(a_line("1.0.0"), chart="alive")
    settings_ = CatalogSettings(directories=(folder,))
    file = tmp_path / "x.tar.gz"
    made = await export_snapshot(settings_, file, now=lambda: NOW, made_by="t", names=["alive", "dead"])
    assert made.components == 1
    [trouble] = made.troubles
    assert "127.0.0.1:9" in trouble
    with pytest.raises(CatalogUnavailable, match="nothing to export"):
        await export_snapshot(settings_, tmp_path / "y", now=lambda: NOW, made_by="t", names=["dead"])
    with pytest.raises(ComponentNotFound):
        await export_snapshot(settings_, tmp_path / "y", now=lambda: NOW, made_by="t", names=["nobody"])
    with pytest.raises(CatalogUnavailable, match="cannot be written"):
        await export_snapshot(settings_, tmp_path / "no" / "y", now=lambda: NOW, made_by="t", names=["alive"])
    assert not (tmp_path / "y").exists()


# Files from anybody


def rebuilt(file, tmp_path, change):
    """The snapshot with its members changed: a list of (TarInfo, body)."""
    with tarfile.open(file) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, body in change(members):
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(gzip.compress(out.getvalue()))
    return bad


def with_manifest(**more):
    def change(members):
        (info, body), *rest = members
        told = json.loads(body)
        for name, value in more.items():
            told[name] = {**told["files"], **value} if name == "files" else value
        return [(info, json.dumps(told).encode()), *rest]

    return change


def listed(name, body, *, kind=tarfile.REGTYPE, size=None):
    """One member more, which the manifest lists as it should."""

    def change(members):
        entry = {"size": len(body) if size is None else size, "sha256": hashlib.sha256(body).hexdigest()}
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        return [*with_manifest(files={name: entry})(members), (info, body)]

    return change


def another_body(members):
    return [*members[:-1], (members[-1][0], b"x" * len(members[-1][1]))]


BAD = {
    "no manifest first": (lambda members: members[::-1], "does not begin with a manifest"),
    "empty": (lambda _: [], "does not begin with a manifest"),
    "a member less": (lambda members: members[:-1], "ends too early"),
    "a member twice": (lambda members: [*members, members[-1]], "does not list"),
    "a member more": (lambda members: [*members, (tarfile.TarInfo("charts/x.tgz"), b"x")], "does not list"),
    "another body": (another_body, "is damaged"),
    "another format": (with_manifest(format=2), "has format 2, and this Addonry reads format 1"),
    "no moment": (with_manifest(taken_at="yesterday"), "manifest that cannot be read"),
    "a moment without a zone": (with_manifest(taken_at="2026-11-23T08:00:00"), "manifest that cannot be read"),
    "no offers": (lambda members: with_files({})(members), "manifest that cannot be read"),
    "parent": (listed("components/../../x.yaml", b"x"), "what no snapshot holds"),
    "absolute": (listed("/etc/cron.d/x", b"x"), "what no snapshot holds"),
    "another folder": (listed("root.key", b"x"), "what no snapshot holds"),
    "a link": (listed("components/x.yaml", b"", kind=tarfile.SYMTYPE), "does not list"),
    "a hard link": (listed("components/x.yaml", b"", kind=tarfile.LNKTYPE), "does not list"),
    "a device": (listed("components/x.yaml", b"", kind=tarfile.CHRTYPE), "does not list"),
    "another size": (listed("components/x.yaml", b"a: 1", size=5), "does not list"),
    "a size below zero": (listed("components/x.yaml", b"", size=-1), "what no snapshot holds"),
    "larger than a component": (listed("components/x.yaml", b"", size=2**20), "what no snapshot holds"),
    "larger than a chart": (listed(f"charts/{'0' * 64}.tgz", b"", size=2**30), "what no snapshot holds"),
    "no chart": (listed(f"charts/{'0' * 64}.tgz", b"<html>"), "cannot be used: charts/"),
    "no component": (listed("components/x.yaml", b"name: X"), "x.yaml: lacks title"),
    "shared names": (listed("components/x.yaml", b"{name: x, title: X, aliases: [coredns]}"), "a name of both"),
}


def with_files(files):
    def change(members):
        (info, body), *rest = members
        return [(info, json.dumps(json.loads(body) | {"files": files}).encode()), *rest]

    return change


@pytest.mark.parametrize(("change", "told"), BAD.values(), ids=BAD)
async def test_a_snapshot_that_is_not_what_it_says_changes_nothing(exported, tmp_path, change, told):
    bring(exported, tmp_path)
    before = sorted(file.name for file in (tmp_path / "snapshot").iterdir())
    with pytest.raises(InvalidParameter) as refused:
        bring(rebuilt(exported, tmp_path, change), tmp_path, force=True)
    assert told in str(refused.value)
    assert refused.value.remedy
    assert sorted(file.name for file in (tmp_path / "snapshot").iterdir()) == before
    assert await versions_at(tmp_path) == ["1.45.0", "1.44.0", "1.43.0"]


def a_header_of(size):
    """A tar whose first member claims a header of so many bytes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, size
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(4 * 2**20))


RUBBISH = {
    "nothing": b"",
    "text": b"welcome",
    "truncated": gzip.compress(bytes(2000))[:-4],
    "no tar": gzip.compress(b"x" * 5000),
    "a header of 2 GiB": a_header_of(2 * 2**30),
    "zeros": gzip.compress(bytes(40 * 2**20)),
}


@pytest.mark.parametrize("body", RUBBISH.values(), ids=RUBBISH)
def test_a_file_that_is_no_snapshot_is_refused(tmp_path, body):
    file = tmp_path / "x.tar.gz"
    file.write_bytes(body)
    with pytest.raises(InvalidParameter, match="is no snapshot"):
        bring(file, tmp_path)
    assert not list(tmp_path.glob("snapshot/*"))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidParameter, match="cannot be read: No such file"):
        bring(tmp_path / "nowhere", tmp_path)


def test_a_place_that_cannot_be_written_is_told(exported, tmp_path):
    (tmp_path / "snapshot").write_text("a file where the folder should be")
    with pytest.raises(CatalogUnavailable, match="cannot be kept"):
        bring(exported, tmp_path)


DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12), st.integers(0, 40)), min_size=1, max_size=4)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=DAMAGE)
def test_a_damaged_snapshot_is_read_as_it_was_or_refused(exported, tmp_path_factory, damage):
    plain = gzip.decompress(exported.read_bytes())
    for where, piece, removed in damage:
        at_ = int(where * len(plain))
        plain = plain[:at_] + piece + plain[at_ + removed :]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "x.tar.gz").write_bytes(gzip.compress(plain, 1))
    (folder / "out").mkdir()
    try:
        manifest = unpack(folder / "x.tar.gz", folder / "out")
    except AddonryError:
        return
    for name, member in manifest.files.items():
        assert hashlib.sha256((folder / "out" / name).read_bytes()).hexdigest() == member.sha256


async def test_a_component_file_that_is_added_counts_at_once(tmp_path):
    own = tmp_path / "components"
    catalog = open_catalog(at(tmp_path, own=own), MemoryShelf(), now=lambda: NOW)
    generation = catalog.generation
    entry = await catalog.add("{name: mine, title: Mine, aliases: [my-own]}")
    assert catalog.entry("my-own") == entry
    assert catalog.generation != generation
    await catalog.add("{extends: coredns, aliases: [our-dns]}")
    assert catalog.entry("our-dns").name == "coredns"
    for wrong in ("{name: other, title: X, aliases: [mine]}", "{name: x}", "a: [", "{extends: nobody}", ""):
        with pytest.raises(InvalidParameter):
            await catalog.add(wrong)
    assert sorted(file.name for file in await asyncio.to_thread(lambda: list(own.iterdir()))) == [
        "coredns.more.yaml",
        "mine.yaml",
    ]
    again = open_catalog(at(tmp_path, own=own), MemoryShelf(), now=lambda: NOW)
    assert again.entries() == catalog.entries()
