"""Charts are looked through before anything unpacks or renders them."""

import gzip
import io
import json
import tarfile

import pytest

from addonry.catalogs.archives import MOST_FILES, MOST_PACKED, MOST_UNPACKED, read_contents
from addonry.model.errors import ChartRejected
from addonry.simulator.charts import find_charts, pack
from tests.rooms.catalogs.sites import an_archive

CRD = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s}\n"


def read(archive):
    return read_contents(archive, name="coredns 1.45.0")


def test_every_chart_of_the_demo_is_read():
    for chart in pack(find_charts()).charts:
        contents = read_contents(chart.archive, name=chart.name)
        assert contents.metadata["version"] == chart.version
        assert contents.schema["$schema"].startswith("http://json-schema.org/draft-07")
        assert "serviceAccount" in contents.values
        assert contents.crds == ()


def test_values_schema_and_crds_come_out_of_the_archive():
    files = {
        "values.yaml": "base: &base {a: 1}\nother:\n  <<: *base\n  b: 2\n",
        "values.schema.json": json.dumps({"type": "object"}),
        "crds/b.yaml": CRD % "two" + "---\n" + CRD % "three" + "---\n",
        "crds/a.yml": CRD % "one",
        "crds/README.md": "not a manifest",
        "charts/sub/crds/c.yaml": CRD % "of-a-subchart",
        "charts/sub/Chart.yaml": "name: sub\nversion: 9.9.9\n",
    }
    contents = read(an_archive(files=files))
    assert contents.metadata["name"] == "coredns"
    assert contents.values == {"base": {"a": 1}, "other": {"a": 1, "b": 2}}
    assert contents.schema == {"type": "object"}
    assert [crd["metadata"]["name"] for crd in contents.crds] == ["one", "two", "three"]


def test_a_chart_without_values_and_schema_is_fine():
    contents = read(an_archive())
    assert (contents.values, contents.schema, contents.crds) == ({}, None, ())


def member(name, kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info, b""


MEMBERS = {
    "parent": (member("coredns/../../etc/cron.d/x"), "leads out"),
    "absolute": (member("/etc/passwd"), "leads out"),
    "backslash": (member("coredns\\..\\..\\x"), "leads out"),
    "drive": (member("C:/x"), "leads out"),
    "symlink": (member("coredns/x", tarfile.SYMTYPE, linkname="/etc/passwd"), "links and devices"),
    "hard link": (member("coredns/x", tarfile.LNKTYPE, linkname="coredns/Chart.yaml"), "links and devices"),
    "device": (member("coredns/x", tarfile.CHRTYPE), "links and devices"),
    "pipe": (member("coredns/x", tarfile.FIFOTYPE), "links and devices"),
    "second folder": (member("other/x"), "more than one folder: coredns, other"),
}


@pytest.mark.parametrize(("bad", "told"), MEMBERS.values(), ids=MEMBERS)
def test_a_member_that_could_reach_outside_the_folder_is_refused(bad, told):
    with pytest.raises(ChartRejected) as caught:
        read(an_archive(members=[bad]))
    assert told in caught.value.message
    assert caught.value.message.startswith("coredns 1.45.0")
    assert caught.value.remedy


def a_bomb():
    return gzip.compress(bytes(MOST_UNPACKED + 1))


def a_crowd():
    return an_archive(members=[member(f"coredns/{n}") for n in range(MOST_FILES + 1)])


def damaged_inside():
    plain = gzip.decompress(an_archive(files={"values.yaml": "a: 1\n" * 1000}))
    return gzip.compress(plain[:2000])


def two_bombs():
    """Each gzip member is small enough, both together are not."""
    return gzip.compress(bytes(MOST_UNPACKED // 2 + 1)) * 2


BROKEN = {
    "truncated": (lambda: an_archive()[:-20], "ends too early"),
    "truncated inside": (damaged_inside, "damaged"),
    "empty": (lambda: b"", "damaged"),
    "not gzip": (lambda: b"<html>Not found</html>", "no gzip archive"),
    "not tar": (lambda: gzip.compress(b"x" * 5000), "damaged"),
    "flipped bit": (lambda: an_archive()[:-6] + b"\0" + an_archive()[-5:], "damaged"),
    "bomb": (a_bomb, "unpacks to more than 50 MiB"),
    "two bombs": (two_bombs, "unpacks to more than 50 MiB"),
    "crowd": (a_crowd, "more than 5,000 files"),
    "large": (lambda: bytes(MOST_PACKED + 1), "larger than 10 MiB"),
    "no chart": (lambda: gzip.compress(empty_tar()), "no Chart.yaml"),
    "deep values": (lambda: an_archive(files={"values.yaml": "a: " + "[" * 200_000}), "nested deeper"),
    "values bomb": (lambda: an_archive(files={"values.yaml": laughs()}), "stands for more than"),
    "values list": (lambda: an_archive(files={"values.yaml": "- a\n"}), "values.yaml is not one mapping"),
    "bad schema": (lambda: an_archive(files={"values.schema.json": "{"}), "values.schema.json is no JSON"),
    "deep schema": (lambda: an_archive(files={"values.schema.json": "[" * 200_000}), "values.schema.json is no JSON"),
    "list schema": (lambda: an_archive(files={"values.schema.json": "[]"}), "no JSON object"),
    "not a crd": (lambda: an_archive(files={"crds/x.yaml": "kind: Secret\n"}), "no CustomResourceDefinition"),
    "nameless": (lambda: an_archive(files={"Chart.yaml": "description: x\n"}), "lacks name or version"),
    "binary": (lambda: an_archive(files={"Chart.yaml": b"\xff\xfe\x00"}), "Chart.yaml is no"),
}


def empty_tar():
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w"):
        pass
    return plain.getvalue()


def laughs():
    """Nine levels of ten aliases, merge keys among them: a billion values in 500 bytes."""
    lines = ["a0: &a0 {x: lol}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(("make", "told"), BROKEN.values(), ids=BROKEN)
def test_a_damaged_or_hostile_archive_is_refused_with_what_is_wrong(make, told):
    with pytest.raises(ChartRejected) as caught:
        read(make())
    assert told in caught.value.message
