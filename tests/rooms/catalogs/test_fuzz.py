"""Damage of every kind to what strangers send: it is read or refused, and nothing else ever happens."""

import gzip
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addonry.catalogs.annotations import ANNOTATIONS, plain_annotations, read_annotations
from addonry.catalogs.archives import read_contents
from addonry.catalogs.credentials import read_credentials
from addonry.catalogs.documents import Unreadable, read_documents
from addonry.catalogs.index import decode_index, encode_index, offers_of, read_index
from addonry.catalogs.places import DIGEST, place_of
from addonry.catalogs.sources.oci import read_config
from addonry.catalogs.sources.registry import read_manifest
from addonry.model.catalog import CatalogEntry, ChartSource, Fingerprints
from addonry.model.errors import ChartRejected, InvalidParameter
from addonry.model.ids import ComponentName
from addonry.simulator.charts import find_charts, pack
from tests.rooms.catalogs.registries import digest_of, parts_of
from tests.rooms.catalogs.sites import an_archive

PACKED = pack(find_charts())
TAR = gzip.decompress(an_archive(files={"values.yaml": "a: 1\n", "values.schema.json": "{}", "crds/a.yaml": ""}))
ENTRY = CatalogEntry(
    name=ComponentName("coredns"),
    title="CoreDNS",
    source=ChartSource("https://example.test/charts", "coredns"),
    fingerprints=Fingerprints(),
    release="coredns",
    namespace="kube-system",
)

# Where, what to put there, and how much of what was there to take away.
DAMAGE = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=12), st.integers(0, 40)), min_size=1, max_size=4)
YAML_PIECES = st.sampled_from(
    [
        *("- ", "a: ", "&a ", "*a", "[", "]", "{", "}", "<<: ", "\n", "  ", "? ", ": ", "|\n", "'", "---\n", "é"),
        *("!!int ", "!!python/none ", "!!bool x", "!!timestamp x", "!!set {a}", "!!binary YQ==", "~: 1"),
        *("2001-99-99", "0x", "1_0", ".nan", "1:99:99", "0o9", "08", "1e5", "."),
        *("entries:\n", "  coredns:\n", "  - version: 1.0\n"),
    ]
)


def damaged(body, damage):
    for where, piece, removed in damage:
        at = int(where * len(body))
        body = body[:at] + piece + body[at + removed :]
    return body


def refusal(read, *arguments, by):
    """What *read* gives, and the sentence it refused with, one of them None."""
    try:
        return read(*arguments), None
    except by as refused:
        return None, str(refused)


@settings(max_examples=200, deadline=None)
@given(DAMAGE)
def test_a_damaged_index_is_read_or_refused(damage):
    index, refused = refusal(read_index, damaged(PACKED.index, damage), {"coredns", "nothing"}, by=Unreadable)
    assert (index is None) is bool(refused)
    if index is not None:
        assert set(index) == {"coredns", "nothing"}
        assert decode_index(encode_index(index)) == index
        assert all(offer.url.startswith("http") for offer in offers_of(ENTRY, index["coredns"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(YAML_PIECES, max_size=25).map("".join))
def test_any_yaml_is_read_or_refused_and_what_is_read_is_json(text):
    documents, refused = refusal(read_documents, text.encode(), by=Unreadable)
    assert (documents is None) is bool(refused)
    assert json.loads(json.dumps(documents, allow_nan=False)) == documents
    index, refused = refusal(read_index, text.encode(), {"coredns"}, by=Unreadable)
    assert (index is None) is bool(refused)


@settings(max_examples=300, deadline=None)
@given(DAMAGE)
def test_a_damaged_archive_is_read_or_refused(damage):
    body = gzip.compress(damaged(TAR, damage))
    contents, refused = refusal(lambda: read_contents(body, name="coredns"), by=ChartRejected)
    assert (contents is None) is bool(refused)
    assert contents or refused.startswith("coredns")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_no_chart(body):
    with pytest.raises(ChartRejected):
        read_contents(body, name="coredns")


_, CONFIG_BODY, MANIFEST_BODY = parts_of("coredns", "1.0.0", annotations={"artifacthub.io/changes": "- a"})
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["1.0.0", digest_of(b"")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["layers", "config", "mediaType", "digest", "size", "version", "annotations", "x"]), inner
        )
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode())


def damaged_or_other(body):
    return DAMAGE.map(lambda damage: damaged(body, damage)) | ANY_JSON


@settings(max_examples=100, deadline=None)
@given(damaged_or_other(MANIFEST_BODY))
def test_a_damaged_manifest_is_read_or_refused(body):
    manifest, refused = refusal(lambda: read_manifest(body, digest_of(body), what="it"), by=ChartRejected)
    assert (manifest is None) is bool(refused)
    if manifest is not None:
        assert all(DIGEST.fullmatch(blob.digest) and blob.size >= 0 for blob in (manifest.config, *manifest.layers))


@settings(max_examples=100, deadline=None)
@given(damaged_or_other(CONFIG_BODY))
def test_a_damaged_config_is_read_or_refused(body):
    line, refused = refusal(lambda: read_config(body, "1.0.0", what="it"), by=ChartRejected)
    assert (line is None) is bool(refused)
    if line is not None:
        assert decode_index(encode_index({"coredns": [line]})) == {"coredns": [line]}
        offers_of(ENTRY, [{**line, "urls": ["oci://host/coredns:1.0.0"]}])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.text("aA0./:@-_ociхsha256", max_size=60).map(lambda rest: f"oci://{rest}"))
def test_any_text_is_an_address_or_none(text):
    place = place_of(text)
    assert place is None or (place.host and ".." not in place.name and "/" not in place.reference)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ANNOTATIONS)), st.lists(YAML_PIECES, max_size=12).map("".join)))
def test_any_annotation_is_read_as_far_as_it_can_be(annotations):
    told = read_annotations(annotations)
    assert all(note.text.isprintable() and note.text for note in told.notes)
    assert read_annotations(plain_annotations(annotations)) == told, "what is kept says the same"


MEMBERS = ["auths", "credsStore", "username", "password", "token", "ca_file", "realm", "plain_http", "auth", "a.test"]
SAID = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8) | st.sampled_from(["aHVudGVyMg==", "https://a.test", "hunter2"]),
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=SAID)
def test_a_file_of_credentials_is_read_or_refused_without_repeating_it(tmp_path, said):
    file = tmp_path / "credentials"
    file.write_text(json.dumps(said))
    known, refused = refusal(read_credentials, file, by=InvalidParameter)
    assert (known is None) is bool(refused)
    assert "hunter2" not in f"{known!r} {refused}"


def test_an_annotation_of_brackets_says_nothing():
    assert read_annotations({"artifacthub.io/changes": "[" * 7_000}).notes == ()


SCALARS = [
    *("y", "Y", "n", "yes", "Yes", "ON", "off", "oN", "TRUE", "True", "tRUE", "null", "Null", "~", "", "nullx", "yesx"),
    *("1e3", "1E3", "1e+3", "1e", "0e0", "+1", "-1", "-0", "+", ".", ".5", "5.", "0.", "-.5", "+.5", "0.10", "..5"),
    *("1_000", "1_0.5", "_1", "0b11", "0o17", "017", "0644", "08", "0x1F", "0xg", "0x", "99999999999999999999999"),
    *("2026-11-23", "2026-11-23T10:00:00Z", "1:30", "80:8080", "1.2.3", "190:20:30.15", "=", "<", "'5'", "'y'"),
    *(
        "!!str 5",
        "!!float 5",
        "[a, {b: c}]",
        "{1: a, 2.: b}",
        "{y: a, no: b}",
        "|\n  text",
        "a # b",
        "{<<: {a: 1}, b: 2}",
    ),
]

ASK_HELM = """
import json, sys
from helm_python import HelmError, values_from_yaml

answers = []
for text in json.load(sys.stdin):
    try:
        answers.append(values_from_yaml(text))
    except HelmError:
        answers.append(None)
json.dump(answers, sys.stdout)
"""


@pytest.mark.slow
def test_values_are_read_as_helm_reads_them():
    """Else a diff or a schema check would judge other values than those Helm installs."""
    texts = [f"k: {scalar}" for scalar in SCALARS]
    asked = subprocess.run(
        [sys.executable, "-c", ASK_HELM], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    ours = [refusal(read_documents, text.encode(), by=Unreadable)[0] for text in texts]
    helms = [answer if answer is None else [answer] for answer in json.loads(asked.stdout)]
    different = [each for each in zip(texts, ours, helms, strict=True) if each[1] != each[2]]
    assert different == []


def test_a_date_and_a_pair_of_ports_stay_text():
    """PyYAML alone would make a date of the one and 12,880 of the other."""
    assert read_documents(b"{day: 2026-11-23, ports: 80:8080}") == [{"day": "2026-11-23", "ports": "80:8080"}]
