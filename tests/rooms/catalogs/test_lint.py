"""What ``addonry catalog lint`` finds: all at once, each at the line where it stands."""

import ast
import inspect
from pathlib import Path

import pytest
import yaml

from addonry.catalogs import component_schema, lint, lint_files
from addonry.catalogs.lint import lint as lint_of
from addonry.model.errors import InvalidParameter

GOOD = {
    "name": "mine",
    "title": "Mine",
    "description": "What I run.",
    "topic": "operations",
    "home": "https://example.test/mine",
    "chart": {"repository": "https://example.test/charts", "name": "mine"},
    "fingerprints": {"workloads": [{"kind": "Deployment", "name": "mine"}], "images": ["example/mine"]},
    "workload": {"tag": "v{app_version}"},
}
PAGE = "https://example.test/page"


def written(folder, *contents, **more):
    """Component files, named like what they describe; one good one with *more* in it where none is given."""
    folder.mkdir(exist_ok=True)
    for content in contents or [GOOD | more]:
        name = content.get("name", "addition")
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def said(folder):
    """Id, whether it is an error, and the line's text, for each remark on a folder."""
    _, remarks = lint_files([folder])
    return {
        (each.id, each.is_error, Path(each.file).read_text().splitlines()[each.line - 1].strip()) for each in remarks
    }


def test_the_packaged_files_pass_without_a_warning():
    count, remarks = lint_files([])
    assert count >= 70
    assert remarks == ()


def test_a_good_file_passes(tmp_path):
    assert lint_files([written(tmp_path / "good")]) == (1, ())
    assert lint_files([written(tmp_path / "good") / "mine.yaml"]) == (1, ())


A_RISK = {"id": "one", "versions": ">=1", "message": "It breaks.", "remedy": "Mend it.", "evidence": PAGE}

FOUND = {
    "schema": ({"category": "fun"}, "schema", True, "category: fun"),
    "unreadable constraint": (
        {"kubernetes": [{"versions": ">=1", "range": "from 1.20", "evidence": PAGE}]},
        "schema",
        True,
        "range: from 1.20",
    ),
    "no version at all": (
        {"kubernetes": [{"versions": ">=2 <1", "range": ">=1.20-0", "evidence": PAGE}]},
        "empty-constraint",
        True,
        "- versions: '>=2 <1'",
    ),
    "no Kubernetes at all": (
        {"risks": [A_RISK | {"kubernetes": "<1.20-0 >1.30-0"}]},
        "empty-constraint",
        True,
        "kubernetes: <1.20-0 >1.30-0",
    ),
    "address of nobody": ({"notes": "https://notes"}, "address", True, "notes: https://notes"),
    "address without TLS": ({"notes": "http://example.test"}, "address", False, "notes: http://example.test"),
    "registry": (
        {"fingerprints": {"images": ["quay.io/example/mine"]}},
        "image-registry",
        True,
        "- quay.io/example/mine",
    ),
    "tag of an image": ({"fingerprints": {"images": ["example/mine:1"]}}, "schema", True, "- example/mine:1"),
    "tag not said": ({"workload": {"container": "mine"}}, "tag", False, "fingerprints:"),
    "tag without the version": ({"workload": {"tag": "latest"}}, "schema", True, "tag: latest"),
    "alias": ({"aliases": ["mine"]}, "alias", True, "aliases:"),
    "image twice": ({"fingerprints": {"images": ["a/b", "a/b"]}}, "twice", True, "images:"),
    "risk twice": ({"risks": [A_RISK, dict(A_RISK)]}, "twice", True, "- id: one"),
    "successor": (
        {"end_of_life": [{"date": "2026-01-01", "evidence": PAGE}]},
        "successor",
        False,
        "- date: '2026-01-01'",
    ),
    "alias of another": ({"aliases": ["coredns"]}, "clash", True, "aliases:"),
    "requirement of nobody": ({"requires": ["nobody"]}, "clash", True, "requires:"),
    "itself": ({"requires": ["mine"]}, "clash", True, "requires:"),
    "fingerprint of another": (
        {"fingerprints": {"charts": ["coredns"]}},
        "shared-fingerprint",
        True,
        "fingerprints:",
    ),
    "undescribed": ({"topic": ""}, "schema", True, "topic: ''"),
}


@pytest.mark.parametrize(("more", "kind", "is_error", "line"), FOUND.values(), ids=FOUND)
def test_each_mistake_is_found_at_its_line(tmp_path, more, kind, is_error, line):
    assert (kind, is_error, line) in said(written(tmp_path / "mine", **more))


def test_what_is_missing_is_a_warning(tmp_path):
    bare = {"name": "mine", "title": "Mine", "chart": GOOD["chart"]}
    _, remarks = lint_files([written(tmp_path / "bare", bare)])
    assert [(each.id, each.message, each.is_error) for each in remarks] == [
        ("undescribed", f"has no {member}", False) for member in ("description", "topic", "home")
    ]


def test_what_is_never_found_on_a_cluster_is_an_error(tmp_path):
    lost = {name: value for name, value in GOOD.items() if name not in ("chart", "fingerprints", "workload")}
    assert ("unrecognisable", True, "name: mine") in said(written(tmp_path / "lost", lost))


def test_a_circle_of_what_comes_before_what_is_found_in_each_of_its_files(tmp_path):
    one = GOOD | {"name": "one", "fingerprints": {}, "chart": {**GOOD["chart"], "name": "one"}, "after": ["two"]}
    two = GOOD | {"name": "two", "fingerprints": {}, "chart": {**GOOD["chart"], "name": "two"}, "requires": ["one"]}
    _, remarks = lint_files([written(tmp_path / "round", one, two)])
    assert [(each.file.rsplit("/", 1)[1], each.id) for each in remarks] == [
        ("one.yaml", "circle"),
        ("two.yaml", "circle"),
    ]


def test_a_component_that_two_files_describe_or_none_is_told(tmp_path):
    folder = written(tmp_path / "twice")
    (folder / "again.yaml").write_text(yaml.safe_dump(GOOD))
    written(folder, {"extends": "nobody"})
    assert {each.id for each in lint_files([folder])[1]} == {"twice", "extends", "file-name"}


def test_an_addition_is_held_to_the_same_rules(tmp_path):
    """It has no name, title or chart of its own, and nothing is said of that."""
    folder = written(tmp_path / "more", {"extends": "coredns", "aliases": ["dns"]})
    assert lint_files([folder]) == (1, ())
    written(folder, {"extends": "coredns", "aliases": ["flannel"]})
    [remark] = lint_files([folder])[1]
    assert (remark.id, remark.line) == ("clash", 2)


def test_everything_is_told_at_once(tmp_path):
    folder = written(tmp_path / "bad", aliases=["coredns"], home="http://example.test", requires=["nobody"])
    (folder / "broken.yaml").write_text("name: [\n")
    (folder / "empty.yaml").write_text("")
    (folder / "large.yaml").write_text("# " + "x" * 300_000)
    assert {each.id for each in lint_files([folder])[1]} == {"clash", "address", "unreadable", "schema"}


def test_a_file_that_would_end_the_process_is_only_unreadable(tmp_path):
    (tmp_path / "deep.yaml").write_text("[" * 200_000)
    (tmp_path / "loop.yaml").write_text("a: &a [x, *a]\n")
    assert [each.id for each in lint_files([tmp_path])[1]] == ["unreadable", "unreadable"]


def test_values_are_not_repeated_where_they_may_be_secret(tmp_path):
    chart = {"repository": "https://me:hunter2@example.test/charts", "name": "mine"}
    _, remarks = lint_files([written(tmp_path / "mine", chart=chart)])
    assert remarks
    assert all("hunter2" not in each.message for each in remarks)


def test_a_place_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidParameter, match="no directory"):
        lint_files([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("constraint", "anything"),
    [
        (">=1.2.3 <1.2.4", True),
        (">1.2.3 <1.2.4", False),
        ("~1.30 || >99", True),
        (">=1.30-0 <1.30.0", True),
        ("=1.2.3 !=1.2.3", False),
        ("<1.0.0 >=1.0.0", False),
        ("*", True),
        (">=2, <1", False),
    ],
)
def test_a_constraint_that_admits_nothing_is_told_from_a_narrow_one(tmp_path, constraint, anything):
    ranges = [{"versions": constraint, "range": ">=1.20-0", "evidence": PAGE}]
    _, remarks = lint_files([written(tmp_path / "mine", kubernetes=ranges)])
    assert ([each.id for each in remarks] == []) is anything


def test_every_id_that_may_be_said_has_a_case_here():
    """A new check without a case would be noticed by nobody."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(lint_of)))
    ids = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Said" and isinstance(node.args[0], ast.Constant)
    }
    here = ast.parse(inspect.getsource(inspect.getmodule(test_every_id_that_may_be_said_has_a_case_here)))
    named = {node.value for node in ast.walk(here) if isinstance(node, ast.Constant)}
    assert ids | set(lint.AMONG) <= named


def test_the_schema_that_is_printed_is_one():
    assert '"$id": "urn:addonry:catalog:component"' in component_schema()
