"""Compatibility as others publish it, read for what it says and no more. The texts are ours, in the published forms."""

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.catalogs import RANGE_FORMS, CatalogSettings, MemoryShelf, import_ranges, open_catalog
from addonry.catalogs.documents import Unreadable
from addonry.catalogs.importers import Count, Row, forms
from addonry.catalogs.importers.ranges import kubernetes_range, minor_in, rows_of
from addonry.cli.commands.ranges import FORMS
from addonry.model.errors import InvalidParameter
from addonry.rules.offers import fits, untested
from addonry.rules.versions import satisfies
from tests.builders import an_offer
from tests.rooms.catalogs.sites import NOW, a_component

EKS = {
    "addons": [
        {
            "addonName": "coredns",
            "type": "networking",
            "addonVersions": [
                {
                    "addonVersion": version,
                    "architecture": ["amd64"],
                    "compatibilities": [
                        {"clusterVersion": kubernetes, "platformVersions": ["*"], "defaultVersion": False}
                        for kubernetes in kubernetes_versions
                    ],
                }
                for version, kubernetes_versions in {
                    "v1.11.4-eksbuild.2": ["1.32", "1.31"],
                    "v1.11.4-eksbuild.1": ["1.31", "1.30"],
                    "v1.11.3-eksbuild.1": ["1.30", "1.31", "1.32"],
                    "v1.10.1-eksbuild.9": ["1.28", "1.30"],
                    "latest": ["1.30"],
                }.items()
            ],
        },
        {"addonName": "vendor_agent", "addonVersions": [{"addonVersion": "v2.0", "compatibilities": []}]},
    ]
}

PLURAL = """
icon: https://example.test/icon.png
helm_repository_url: https://charts.example.test
chart_name: widget-chart
versions:
  - {version: 1.10, kube: ['1.31', 1.30, 1.09], requirements: [], summary: null}
  - {version: v1.9.0, kube: [1.30, '1.31', 1.09], chart_version: 4.2.0}
  - {version: main, kube: ['1.30']}
  - {version: 1.8.0, kube: [1.3]}
"""

GONOGO = """
addons:
  - name: widget
    versions: {start: v1.2.0, end: 1.9.3}
    notes: text
    source: {chart: widget-chart, repository: 'https://charts.example.test'}
    compatible_k8s_versions: {min: 1.20, max: 1.27}
    necessary_api_versions: [apps/v1, 'not an api']
  - name: widget
    versions: {start: 2.0.0}
    compatible_k8s_versions: {min: 1.2, max: '1.30'}
"""


def test_what_is_published_by_eks_is_read_by_version_and_span():
    coredns, agent = forms()["eks"](json.dumps(EKS).encode(), "x.json")
    assert (coredns.name, coredns.count) == ("coredns", Count.APP)
    assert coredns.rows == (
        Row(">=1.10.1-0 <1.10.2-0", ">=1.28-0 <1.29-0 || >=1.30-0 <1.31-0"),
        Row(">=1.11.3-0 <1.11.5-0", ">=1.30-0 <1.33-0"),
    )
    assert coredns.notes == ("coredns: passed over latest, which are no versions.",)
    assert (agent.name, agent.rows) == ("vendor_agent", ())
    assert satisfies("1.11.4-eksbuild.1", coredns.rows[1].versions)
    assert satisfies("1.11.4", coredns.rows[1].versions)
    assert not satisfies("1.11.5-eksbuild.1", coredns.rows[1].versions)


def test_numbers_of_plural_keep_their_zero():
    """1.10 is no 1.1; 1.09 was meant for 1.9; and a Kubernetes 1.3 may be anything, so it is told."""
    [widget] = forms()["plural"](PLURAL.encode(), "widget.yaml")
    assert (widget.name, widget.repository, widget.chart) == ("widget", "https://charts.example.test", "widget-chart")
    assert widget.rows == (Row(">=1.9.0-0 <1.10.1-0", ">=1.9-0 <1.10-0 || >=1.30-0 <1.32-0"),)
    assert widget.notes == ("widget: passed over main, Kubernetes 1.3 of 1.8.0.",)
    bundle = yaml.safe_dump({"addons": [{"name": "a", "versions": []}, {"versions": []}, "rubbish"]})
    assert [finding.name for finding in forms()["plural"](bundle.encode(), "x")] == ["a"]


def test_the_lower_bound_of_gonogo_is_a_limit_and_the_upper_one_was_tested():
    first, second = forms()["gonogo"](GONOGO.encode(), "x")
    versions = ">=1.2.0-0 <1.9.4-0"
    assert first.rows == (Row(versions, ">=1.20-0", is_tested=False), Row(versions, "<1.28-0"))
    assert (first.count, first.apis) == (Count.CHART, ("apps/v1", "not an api"))
    assert second.rows == (Row(">=2.0.0-0", "<1.31-0"),)
    assert "min 1.2, which may be 1.20 without its zero" in second.notes[0]


@pytest.mark.parametrize(
    ("text", "minor"),
    [("1.30", 30), ("v1.30.2", 30), ("1.09", 9), ("1.9", None), ("1.2", None), ("2.0", None), ("x", None), ("", None)],
)
def test_a_minor_that_may_have_lost_its_zero_is_none(text, minor):
    assert minor_in(text) == minor


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(10, 60), min_size=1, max_size=12), st.integers(9, 61))
def test_a_range_holds_the_minors_of_the_list_and_no_others(minors, minor):
    for suffix in ("0", "7", "3-eks-1234567", "1+k3s1"):
        assert satisfies(f"v1.{minor}.{suffix}", kubernetes_range(minors)) is (minor in minors)


NUMBERS = st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(0, 5))


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(NUMBERS, st.sets(st.integers(20, 30), min_size=1, max_size=4), min_size=1, max_size=12))
def test_rows_say_of_each_listed_version_what_the_list_said(listed):
    rows = rows_of({".".join(map(str, numbers)): minors for numbers, minors in listed.items()})
    for numbers, minors in listed.items():
        version = ".".join(map(str, numbers))
        covering = [row for row in rows if satisfies(version, row.versions)]
        assert [row.kubernetes for row in covering] == [kubernetes_range(minors)]


# Files


def at(*directories):
    return CatalogSettings(directories=directories)


def brought(tmp_path, form, text, **more):
    file = tmp_path / "widget.yaml"
    file.write_text(text)
    return import_ranges(at(), form, file, tmp_path / "out", **more)


def catalog_of(folder):
    return open_catalog(at(folder), MemoryShelf(), now=lambda: NOW)


def test_a_known_component_is_extended_and_another_is_described(tmp_path):
    told = brought(tmp_path, "eks", json.dumps(EKS))
    assert {path.name: ranges for path, ranges in told.files.items()} == {"coredns.eks.yaml": 2}
    assert told.notes[1:] == ("vendor_agent: nothing to take.",)
    known = catalog_of(tmp_path / "out").entry("coredns")
    offer = an_offer("1.45.0", app_version="1.11.3")
    assert untested(offer, "v1.32.1", known) == ""
    assert "API_DescribeAddonVersions" in untested(offer, "v1.33.0", known)
    assert fits(offer, "v1.33.0", known), "what was not tested may well work"

    brought(tmp_path, "plural", PLURAL, evidence="https://example.test/matrix")
    widget = catalog_of(tmp_path / "out").entry("widget")
    assert (widget.source.repository, widget.source.chart) == ("https://charts.example.test", "widget-chart")
    assert widget.fingerprints.charts == ("widget-chart",)
    assert {known.evidence for known in widget.ranges} == {"https://example.test/matrix"}


def test_spans_of_one_component_come_into_one_file(tmp_path):
    told = brought(tmp_path, "gonogo", GONOGO)
    assert list(told.files.values()) == [3]
    widget = catalog_of(tmp_path / "out").entry("widget")
    assert widget.apis == ("apps/v1",)
    assert not fits(an_offer("1.5.0"), "v1.19.0", widget)
    assert fits(an_offer("1.5.0"), "v1.28.0", widget)


def test_an_import_may_be_repeated_and_replaces_nothing_else(tmp_path):
    assert brought(tmp_path, "plural", PLURAL) == brought(tmp_path, "plural", PLURAL)
    file = tmp_path / "out" / "widget.plural.yaml"
    file.write_text("name: widget\ntitle: My own\n")
    with pytest.raises(InvalidParameter, match="was not made by an import"):
        brought(tmp_path, "plural", PLURAL)
    assert "My own" in file.read_text()


def test_what_does_not_go_with_the_rest_is_refused_and_nothing_is_written(tmp_path):
    folder = a_component(tmp_path / "own", aliases=["widget"])
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump({"addons": [{"name": "mine", "versions": []}]}))
    import_ranges(at(folder), "plural", file, tmp_path / "out")
    for form, text, told in (
        ("eks", "no", "is no JSON"),
        ("eks", "[]", "without addons"),
        ("eks", "[" * 100_000, "is no JSON"),
        ("plural", "a: [", "is no YAML"),
        ("plural", "- a", "without versions or addons"),
        ("plural", "[" * 200_000, "nested deeper"),
        ("gonogo", "{}", "without addons"),
    ):
        with pytest.raises(InvalidParameter, match=told):
            brought(tmp_path, form, text)
    with pytest.raises(InvalidParameter, match="evidence"):
        brought(tmp_path, "plural", PLURAL, evidence="no page")
    with pytest.raises(InvalidParameter, match="cannot be read"):
        import_ranges(at(), "plural", tmp_path / "nowhere", tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_the_command_knows_every_form():
    assert set(FORMS) == set(RANGE_FORMS) == set(forms())


PIECES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["1.30", "v1.2.3", "1.09", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("addons", "addonName", "addonVersions", "addonVersion", "compatibilities", "clusterVersion"),
                    *("versions", "version", "kube", "name", "start", "end", "compatible_k8s_versions", "min", "max"),
                    *("source", "chart", "necessary_api_versions"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=60, deadline=None)
@given(said=PIECES)
def test_anything_is_read_or_refused(form, said):
    try:
        findings = forms()[form](json.dumps({"addons": [said], "versions": said}).encode(), "x.yaml")
    except Unreadable:
        return
    for finding in findings:
        for row in finding.rows:
            satisfies("1.0.0", row.versions)
            satisfies("v1.30.0", row.kubernetes)
