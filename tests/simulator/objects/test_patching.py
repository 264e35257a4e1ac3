"""The patches of the standards and Kubernetes' own, beside what test_replays plays."""

from __future__ import annotations

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.simulator.objects import PatchError, json_patch, merge_patch, strategic_merge

from .replay import schema_for

# RFC 7386, appendix A: original, patch, result
RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

# RFC 6902, appendix A: document, operations, result
RFC_6902 = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}], {"foo": ["bar", ["abc", "def"]]}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": [2]}], [2]),
]

REFUSED = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz/bat", "value": "qux"}]),
    ({"baz": "qux"}, [{"op": "test", "path": "/baz", "value": "bar"}]),
    ({"a": 1}, [{"op": "test", "path": "/a", "value": True}]),
    ({"a": [1]}, [{"op": "add", "path": "/a/2", "value": 0}]),
    ({"a": [1]}, [{"op": "remove", "path": "/a/-"}]),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}]),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/01"}]),
    ({"a": {}}, [{"op": "move", "from": "/a", "path": "/a/b"}]),
    ({"a": 1}, [{"op": "add", "path": "/b"}]),
    ({"a": 1}, [{"op": "add", "path": "b", "value": 1}]),
    ({"a": 1}, [{"op": "remove", "path": ""}]),
]


@pytest.mark.parametrize(("doc", "patch", "result"), RFC_7386)
def test_merge_patch_follows_the_examples_of_its_rfc(doc, patch, result):
    before = copy.deepcopy(doc)
    assert merge_patch(doc, patch) == result
    assert doc == before


@pytest.mark.parametrize(("doc", "ops", "result"), RFC_6902)
def test_json_patch_follows_the_examples_of_its_rfc(doc, ops, result):
    before = copy.deepcopy(doc)
    assert json_patch(doc, ops) == result
    assert doc == before


@pytest.mark.parametrize(("doc", "ops"), REFUSED)
def test_a_json_patch_that_does_not_fit_is_a_422(doc, ops):
    with pytest.raises(PatchError) as refusal:
        json_patch(doc, ops)
    assert (refusal.value.status, refusal.value.reason) == (422, "Invalid")


def pod(*containers):
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def test_a_new_item_of_a_strategic_patch_comes_before_those_it_does_not_name():
    """Surprising, but so the real server does it; kubectl sends $setElementOrder to avoid it."""
    patched = strategic_merge(pod({"name": "a"}, {"name": "b"}), pod({"name": "c"}), schema_for("deployments"))
    assert [item["name"] for item in patched["spec"]["template"]["spec"]["containers"]] == ["c", "a", "b"]


def test_a_strategic_patch_without_a_schema_replaces_lists():
    assert strategic_merge({"a": [1], "m": {"x": 1}}, {"a": [2], "m": {"y": 2}}, None) == {
        "a": [2],
        "m": {"x": 1, "y": 2},
    }


def test_patch_delete_of_a_map_removes_it():
    live = {"spec": {"strategy": {"type": "RollingUpdate"}, "replicas": 1}}
    assert strategic_merge(live, {"spec": {"strategy": {"$patch": "delete"}}}, schema_for("deployments")) == {
        "spec": {"replicas": 1}
    }


def test_patch_replace_of_an_item_drops_its_other_members():
    live = pod({"name": "a", "image": "x", "args": ["y"]})
    patch = pod({"name": "a", "image": "z", "$patch": "replace"})
    assert strategic_merge(live, patch, schema_for("deployments")) == pod({"name": "a", "image": "z"})


def test_retained_keys_must_name_what_the_patch_sets():
    with pytest.raises(PatchError) as refusal:
        strategic_merge(
            {}, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "x": 1}}}, schema_for("deployments")
        )
    assert refusal.value.status == 500


names = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("xyz", max_size=2)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc/~", min_size=1, max_size=2), inner, max_size=3)
    ),
)


@given(names, names)
def test_a_strategic_merge_with_itself_is_the_identity(containers, env):
    doc = pod(
        *({"name": name, "image": "i", "env": [{"name": key, "value": "1"} for key in env]} for name in containers)
    )
    assert strategic_merge(doc, doc, schema_for("deployments")) == doc


@given(names, names)
def test_a_strategic_merge_keeps_every_item_of_both_sides_once(left, right):
    patched = strategic_merge(
        pod(*({"name": n} for n in left)), pod(*({"name": n} for n in right)), schema_for("deployments")
    )
    merged = [item["name"] for item in patched["spec"]["template"]["spec"]["containers"]]
    assert sorted(merged) == sorted({*left, *right})
    assert [name for name in merged if name in right] == right


@given(documents, documents)
def test_a_merge_patch_applied_twice_changes_nothing_more(doc, patch):
    once = merge_patch(doc, patch)
    assert merge_patch(once, patch) == once


@given(documents, st.text("ab/~-01", max_size=6), documents)
def test_a_json_patch_either_works_or_is_refused_and_leaves_the_document_alone(doc, path, value):
    before = copy.deepcopy(doc)
    for op in (
        {"op": "add", "path": path, "value": value},
        {"op": "remove", "path": path},
        {"op": "replace", "path": path, "value": value},
    ):
        with contextlib.suppress(PatchError):
            json_patch(doc, [op])
        assert doc == before
