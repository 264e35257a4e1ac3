"""What the reference and the guides list is what the code has."""

import ast
import json
import re
import tomllib
from dataclasses import MISSING
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.catalogs.reference import TOPICS
from addonry.catalogs.reference import write_reference as write_components
from addonry.cli.commands.simulate import simulate
from addonry.gateway.errors import REFUSALS
from addonry.gateway.operations import OPERATIONS, OWN
from addonry.model.components import Found, Health, Placement, SourceKind
from addonry.model.errors import InvalidParameter
from addonry.model.ids import Version
from addonry.model.inventory import Inventory
from addonry.model.owners import Owner
from addonry.rules.matching import recognise
from addonry.settings import VARIABLES, Settings
from addonry.simulator import populations
from addonry.simulator.life.pods import Fate, fate_of
from addonry.store.secrets import SHORTEST_KEY
from tests.docs.markdown import ROOT, examples, rows

DOCS = ROOT / "docs"
GUIDE = DOCS / "guides" / "catalog.md"


def meanings() -> dict[str, str]:
    """The sentence under each setting."""
    tree = ast.parse((ROOT / "src/addonry/settings.py").read_text())
    [body] = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    found = {}
    for field, sentence in pairwise(body):
        match field, sentence:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = text
    return found


def default_of(name: str) -> str:
    if name == "data_directory":
        return "`$XDG_DATA_HOME/addonry`, else `~/.local/share/addonry`"
    default = Settings.__dataclass_fields__[name].default
    assert default is not MISSING
    return "none" if default is None else f"`{default}`"


def test_the_settings_page_has_each_setting_with_its_default_and_meaning():
    """Behind the sentence of the code a row may say more, and link to it."""
    told, meaning = list(rows(DOCS / "reference" / "settings.md")), meanings()
    assert [row[:3] for row in told] == [
        [f"`{name}`", f"`{variable}`", default_of(name)] for name, variable in VARIABLES.items()
    ]
    for name, row in zip(VARIABLES, told, strict=True):
        assert row[3].startswith(meaning[name]), name


def findings() -> dict[str, set[str]]:
    """Each id that may be reported, with the severities it is reported with."""
    found: dict[str, set[str]] = {}
    sources = [*(ROOT / "src/addonry/rules").rglob("*.py"), *(ROOT / "src/addonry/lifecycle").glob("*.py")]
    for node in (node for file in sources for node in ast.walk(ast.parse(file.read_text()))):
        match node:
            case ast.Call(func=ast.Name(id="Blocker"), args=[ast.Constant(value=str(name)), *others], keywords=named):
                given = " ".join(ast.dump(each) for each in (*others, *named))
                severities = {word.lower() for word in ("WARNS", "BLOCKS") if f"'{word}'" in given}
                found.setdefault(name, set()).update(severities or {"blocks"})
    return found


def test_the_checks_page_has_each_finding_with_its_severity_and_no_other():
    told = {row[0].strip("`"): row[1] for row in rows(DOCS / "reference" / "checks.md")}
    known = findings()
    assert told.keys() == known.keys()
    for name, severities in known.items():
        assert {each for each in ("warns", "blocks") if each in told[name]} == severities, name


def test_the_changelog_counts_the_operations_that_are_served():
    served = [each for each in OPERATIONS if not each.path.startswith(OWN)]
    assert f"all {len(served)} [operations]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_codes_that_the_signatures_page_names_are_refusals():
    checks = [row for row in rows(DOCS / "reference" / "signatures.md") if len(row) == 2]
    named = {code for row in checks for code in re.findall(r"`([A-Z][\w.]+)`", row[1])}
    assert len(named) > 10
    assert named <= {each.code for each in REFUSALS.values()}


def test_the_readme_asks_for_the_python_that_the_package_asks_for():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert f"Python {asked.removeprefix('>=')} or newer" in (ROOT / "README.md").read_text()


def catalog(*directories):
    settings = CatalogSettings(directories=directories)
    return open_catalog(settings, MemoryShelf(), now=lambda: datetime.now(UTC))


def test_the_readme_does_not_promise_more_components_than_the_packaged_catalog_has():
    [promised] = re.findall(r"\[more than (\d+) components\]", (ROOT / "README.md").read_text())
    assert len(catalog().entries()) > int(promised)


def test_the_components_page_is_what_the_packaged_files_say():
    """Write it anew with ``python -m addonry.catalogs.reference > docs/reference/components.md``."""
    assert (DOCS / "reference" / "components.md").read_text() == write_components()


def test_the_components_page_has_every_topic_that_there_is():
    assert set(TOPICS) == set(schema()["properties"]["topic"]["enum"])


def schema():
    return json.loads((ROOT / "src/addonry/catalogs/component.schema.json").read_text())


def test_the_catalog_guide_lists_the_members_of_a_component_file():
    told = {row[0].strip("`"): row[1] for row in rows(GUIDE) if len(row) == 2}
    assert list(told) == list(schema()["properties"])
    assert {name for name, says in told.items() if says.endswith("; required")} == set(schema()["else"]["required"])
    assert re.findall(r"`([a-z]+)`", told["category"]) == schema()["properties"]["category"]["enum"]


@pytest.fixture
def own(tmp_path):
    """A directory with the guide's example in it."""
    example, *_ = examples(GUIDE, "yaml")
    (tmp_path / "shop-gateway.yaml").write_text(example.text)
    return tmp_path


def test_the_component_file_of_the_guide_is_read_beside_the_packaged_ones(own):
    names = {entry.name for entry in catalog(own).entries()}
    assert names == {"shop-gateway"} | {entry.name for entry in catalog().entries()}


def found(source: SourceKind, **given) -> Found:
    kind = "" if source is SourceKind.HELM else "Deployment"
    return Found(
        placement=Placement(source, "shop", given.pop("name"), kind),
        version=Version("v1.17.0"),
        app_version="v1.17.0",
        chart=given.pop("chart", ""),
        owner=Owner.NOBODY,
        health=Health.CURRENT,
        **given,
    )


@pytest.mark.parametrize(
    "there",
    [
        found(SourceKind.HELM, name="front", chart="shop-gateway"),
        found(SourceKind.WORKLOAD, name="shop-gateway", images=("registry.example/x:1",)),
        found(SourceKind.WORKLOAD, name="other", images=("mirror.example/acme/shop-gateway:v1.17.0",)),
    ],
    ids=["its chart", "its name", "its image behind a mirror"],
)
def test_the_component_of_the_guide_is_recognised_by(own, there):
    inventory = Inventory(kubernetes="v1.36.2", nodes=1, served=frozenset(), found=(there,))
    [component] = recognise(inventory, catalog(own).entries(), datetime.now(UTC))
    assert (component.name, component.in_catalog) == ("shop-gateway", True)


def test_a_component_file_that_breaks_the_schema_is_refused_by_file_and_member(own):
    (own / "bad.yaml").write_text("name: bad\ntitle: Bad\nchart: {repository: 'ftp://example', name: bad}\n")
    with pytest.raises(InvalidParameter, match=r"bad\.yaml.*chart\.repository"):
        catalog(own)


def test_the_simulator_page_tells_what_becomes_of_an_image_by_its_name():
    told = {row[0].strip("`") for row in rows(DOCS / "internals" / "simulator.md")} - set(populations.names())
    fates = {fate_of(f"registry.example/{word}:1") for word in told}
    assert fates == set(Fate) - {Fate.FINE}
    assert fate_of("registry.example/fine:1") is Fate.FINE


def test_the_simulator_page_and_the_help_name_every_population():
    told = {row[0].strip("`") for row in rows(DOCS / "internals" / "simulator.md")}
    offered = next(each for each in simulate.params if "--population" in each.opts).help
    assert set(populations.names()) <= told
    assert all(name in offered for name in populations.names())


def test_the_map_of_the_tests_is_the_tests():
    named = {row[0].strip("`/") for row in rows(ROOT / "CONTRIBUTING.md") if re.fullmatch(r"`\w+/`", row[0])}
    holding = {file.relative_to(ROOT / "tests").parts[0] for file in (ROOT / "tests").glob("*/**/test_*.py")}
    assert holding == named


def test_the_service_guide_tells_the_least_length_of_a_secret_key():
    assert f"at least {SHORTEST_KEY} characters" in (DOCS / "guides" / "service.md").read_text()


def test_the_credentials_and_mirrors_of_the_guide_are_read(tmp_path):
    """Both name hosts of examples, so they are read and not asked."""
    [text] = [each.text for each in examples(GUIDE, "yaml") if "password" in each.text]
    (tmp_path / "site-ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "credentials.yaml").write_text(text)
    [line] = [each.text for each in examples(GUIDE, "sh") if "ADDONRY_CHART_MIRRORS" in each.text]
    mirrors = line.partition("ADDONRY_CHART_MIRRORS=")[2].strip()
    own = CatalogSettings(credentials=tmp_path / "credentials.yaml", mirrors=mirrors)
    known = open_catalog(own, MemoryShelf(), now=lambda: datetime.now(UTC))
    assert known.entries()
