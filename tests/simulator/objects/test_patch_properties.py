"""What the standards promise of any patch, beside the examples of `test_patching`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.simulator.objects import PatchError, json_patch, merge_patch, strategic_merge

from .replay import schema_for

scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("xyz", max_size=2)
keys = st.text("ab/~", min_size=1, max_size=2)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
maps = st.dictionaries(keys, documents, max_size=3)
names = st.lists(st.sampled_from("abcdef"), unique=True, max_size=5)
few = settings(max_examples=50, deadline=None)


def reference(target: Any, patch: Any) -> Any:
    """The algorithm of RFC 7396, section 2, statement by statement: https://www.rfc-editor.org/rfc/rfc7396#section-2"""
    if not isinstance(patch, dict):
        return patch
    target = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            if name in target:
                del target[name]
        else:
            target[name] = reference(target.get(name), value)
    return target


@few
@given(documents, documents)
def test_a_merge_patch_does_what_the_algorithm_of_its_rfc_does(document, patch):
    assert merge_patch(document, patch) == reference(copy.deepcopy(document), patch)


def pointer(*path: str) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


@few
@given(maps, keys, documents)
def test_what_is_added_is_found_there_and_its_removal_gives_the_document_back(document, key, value):
    """https://www.rfc-editor.org/rfc/rfc6902#section-4"""
    document.pop(key, None)
    add = {"op": "add", "path": pointer(key), "value": value}
    found = {"op": "test", "path": pointer(key), "value": value}
    assert json_patch(document, [add, found]) == {**document, key: value}
    assert json_patch(document, [add, found, {"op": "remove", "path": pointer(key)}]) == document


@few
@given(maps, keys, keys, documents)
def test_a_move_is_a_removal_and_an_addition_and_a_copy_leaves_its_source(document, source, target, value):
    document[source] = value
    places = {"from": pointer(source), "path": pointer(target)}
    removed = {"op": "remove", "path": pointer(source)}
    added = {"op": "add", "path": pointer(target), "value": value}
    assert json_patch(document, [{"op": "move", **places}]) == json_patch(document, [removed, added])
    assert json_patch(document, [{"op": "copy", **places}]) == {**document, target: value}


@few
@given(maps, keys, documents)
def test_a_patch_whose_test_fails_changes_nothing(document, key, value):
    before = copy.deepcopy(document)
    wrong = {"op": "test", "path": pointer(key), "value": {"other": document.get(key)}}
    with pytest.raises(PatchError):
        json_patch(document, [{"op": "add", "path": pointer("new"), "value": value}, wrong])
    assert document == before


def containers(*names: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": name, "image": name} for name in names]}}}}


def patched(live: Any, patch: dict[str, Any]) -> list[str]:
    wrapped = {"spec": {"template": {"spec": patch}}}
    merged = strategic_merge(live, wrapped, schema_for("deployments"))
    return [item["name"] for item in merged["spec"]["template"]["spec"].get("containers") or []]


# Strategic merge patches after
# https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md


@few
@given(names, st.sampled_from("abcdef"))
def test_an_item_deleted_by_its_merge_key_goes_and_the_others_keep_their_order(live, gone):
    left = patched(containers(*live), {"containers": [{"name": gone, "$patch": "delete"}]})
    assert left == [name for name in live if name != gone]


@few
@given(names, st.randoms())
def test_the_order_of_elements_can_be_set_without_naming_more_of_them(live, random):
    order = random.sample(live, len(live))
    elements = [{"name": name} for name in order]
    assert patched(containers(*live), {"$setElementOrder/containers": elements, "containers": elements}) == order


@few
@given(names, names)
def test_of_a_list_of_primitives_exactly_what_is_named_goes(live, gone):
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": gone}}
    merged = strategic_merge({"metadata": {"finalizers": live}}, patch, schema_for("deployments"))
    assert merged["metadata"].get("finalizers", []) == [name for name in live if name not in gone]


@few
@given(st.sets(st.sampled_from(["type", "rollingUpdate"]), min_size=1))
def test_only_retained_keys_stay(kept):
    live = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    patch = {"spec": {"strategy": {"$retainKeys": sorted(kept)}}}
    merged = strategic_merge({"spec": {"strategy": live}}, patch, schema_for("deployments"))
    assert merged["spec"]["strategy"] == {key: value for key, value in live.items() if key in kept}
