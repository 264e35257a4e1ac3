"""What the packaged catalog knows, and what is said to somebody who writes a component file wrongly."""

import json
from dataclasses import replace
from importlib import resources

import jsonschema
import pytest
import yaml

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.model.catalog import KubernetesRange, VersionScope
from addonry.model.errors import InvalidParameter
from tests.rooms.catalogs.sites import NOW, a_component


def catalog_of(*directories, mirror=None):
    return open_catalog(CatalogSettings(directories=directories, mirror=mirror), MemoryShelf(), now=lambda: NOW)


DEMO = {"coredns", "ingress-nginx", "metrics-server", "node-problem-detector"}


async def test_the_components_of_the_demo_are_known_by_name_and_by_acks_names():
    catalog = catalog_of()
    assert {entry.name for entry in catalog.entries()} >= DEMO
    assert catalog.entry("nginx-ingress-controller") is catalog.entry("ingress-nginx") is not None
    assert catalog.entry("ack-node-problem-detector").name == "node-problem-detector"
    assert catalog.entry("no-such-thing") is None
    assert catalog.entry("coredns").source.repository == "https://coredns.github.io/helm"
    assert catalog.entry("ingress-nginx").namespace == "ingress-nginx"


def test_every_packaged_file_obeys_the_published_schema():
    room = resources.files("addonry.catalogs")
    schema = json.loads(room.joinpath("component.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    files = [file for file in room.joinpath("components").iterdir() if file.name.endswith(".yaml")]
    assert len(files) >= 70
    for file in files:
        content = yaml.safe_load(file.read_text())
        jsonschema.Draft202012Validator(schema).validate(content)
        assert file.name == f"{content['name']}.yaml"


async def test_a_users_file_adds_a_component_or_replaces_one_by_name(tmp_path):
    folder = a_component(tmp_path / "mine")
    a_component(folder, name="coredns", aliases=["dns"], release={"namespace": "dns-system"})
    catalog = catalog_of(folder)
    assert catalog.entry("mine").source.chart == "mine"
    assert (catalog.entry("mine").release, catalog.entry("mine").namespace) == ("mine", "kube-system")
    assert catalog.entry("dns").namespace == "dns-system"
    assert catalog.entry("kube-dns") is None


def an_addition(folder, **more):
    folder.mkdir(exist_ok=True)
    (folder / "more.yaml").write_text(yaml.safe_dump(more))
    return folder


async def test_a_users_file_can_add_to_a_component_without_repeating_it(tmp_path):
    """An import of ranges knows nothing else of the components that it has ranges for."""
    known = catalog_of().entry("coredns")
    row = {"versions": "~1.44", "range": ">=1.30-0", "evidence": "https://example.test/tests", "tested": True}
    release = {"namespace": "dns-system"}
    folder = an_addition(tmp_path / "mine", extends="coredns", kubernetes=[row], aliases=["dns"], release=release)
    extended = catalog_of(folder).entry("dns")
    assert extended.aliases == (*known.aliases, "dns")
    added = KubernetesRange(VersionScope("~1.44"), ">=1.30-0", "https://example.test/tests", is_tested=True)
    assert extended.ranges == (*known.ranges, added)
    assert extended.namespace == "dns-system"
    assert replace(extended, aliases=known.aliases, ranges=known.ranges, namespace=known.namespace) == known
    a_component(folder, name="coredns")
    assert catalog_of(folder).entry("dns").title == "Mine", "the same folder may replace it as well"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"extends": "nobody"}, "extends 'nobody', which no file describes"),
        ({"extends": "coredns", "name": "coredns"}, "must not have name here"),
        ({"extends": "coredns", "colour": "red"}, "unknown fields colour"),
        ({"extends": "coredns", "requires": ["coredns"]}, "requires itself"),
    ],
)
def test_an_addition_is_held_to_the_same_rules(tmp_path, more, told):
    with pytest.raises(InvalidParameter) as caught:
        catalog_of(an_addition(tmp_path / "mine", **more))
    assert told in str(caught.value)


async def test_a_mirror_takes_the_place_of_every_repository():
    catalog = catalog_of(mirror="http://127.0.0.1:9/charts/")
    assert {entry.source.repository for entry in catalog.entries() if entry.source} == {"http://127.0.0.1:9/charts"}
    with pytest.raises(InvalidParameter, match="mirror") as caught:
        catalog_of(mirror="https://robot:hunter2@mirror.test/charts")
    assert "hunter2" not in str(caught.value)


BAD = {
    "unknown field": ({"colour": "red"}, "unknown fields colour; known are name"),
    "wrong type": ({"required": "yes"}, "required: must be of type boolean"),
    "lacking": ({"chart": {"repository": "https://example.test"}}, "chart: lacks name"),
    "category": ({"category": "fun"}, "category: must be one of core, network"),
    "scheme": (
        {"chart": {"repository": "file:///etc", "name": "x"}},
        "chart.repository: must be an http, https or oci",
    ),
    "tag": ({"workload": {"tag": "latest"}}, "workload.tag: must be empty, or a text with {app_version} in it"),
    "workload": (
        {"fingerprints": {"workloads": [{"kind": "Pod", "name": "x"}]}},
        "fingerprints.workloads.0.kind: must",
    ),
    "constraint": (
        {"kubernetes": [{"versions": ">=1", "range": "from 1.20", "evidence": "https://example.test"}]},
        "kubernetes.0.range: Version constraint 'from 1.20'",
    ),
    "alias": ({"aliases": ["coredns"]}, "'coredns' is a name of both coredns and mine"),
}


@pytest.mark.parametrize(("more", "told"), BAD.values(), ids=BAD)
def test_a_wrong_file_is_refused_with_its_name_and_field(tmp_path, more, told):
    with pytest.raises(InvalidParameter) as caught:
        catalog_of(a_component(tmp_path / "mine", **more))
    assert told in str(caught.value)
    assert caught.value.parameter in ("mine.yaml", "aliases")
    assert caught.value.remedy


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path):
    chart = {"repository": "https://me:hunter2@example.test/charts", "name": "mine"}
    with pytest.raises(InvalidParameter, match=r"chart\.repository") as caught:
        catalog_of(a_component(tmp_path / "mine", chart=chart))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "no YAML"),
        ("- a\n- b\n", "not one mapping"),
        ("a: 1\n---\nb: 2\n", "not one mapping"),
        ("a: &a [x, *a]\n", "stands for more than"),
        ("[" * 200_000, "nested deeper"),
        ("x: '" + "y" * 300_000 + "'", "larger than 256 KiB"),
        ("", "broken.yaml: lacks name, title"),
        ("name: \x00", "no YAML"),
    ],
    ids=["open", "list", "two", "itself", "deep", "large", "empty", "control character"],
)
def test_a_file_that_is_no_component_is_refused(tmp_path, text, told):
    """200,000 brackets would end the process if they reached the loader of PyYAML."""
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(InvalidParameter, match=r"broken\.yaml") as caught:
        catalog_of(tmp_path)
    assert told in str(caught.value)


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidParameter, match="no directory"):
        catalog_of(tmp_path / "nowhere")
