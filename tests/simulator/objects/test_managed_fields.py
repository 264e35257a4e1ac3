"""Ownership of fields: properties that hold for any set of appliers, and rules the recordings do not show."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.simulator.objects import (
    ApplyConflict,
    PatchError,
    apply,
    merge_patch,
    normalise,
    scale_managers,
    update_managers,
    with_scale_managers,
)
from addonry.simulator.objects.fields import difference, intersection, members, ordered, print_path, union, without

from .replay import NOW, WIDGET, owners, schema_for

LATER = "2026-11-23T09:00:00Z"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def config(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}


def applied(live, obj, manager, *, force=False, resource="configmaps", now=NOW):
    return apply(live, obj, manager=manager, force=force, schema=schema_for(resource), now=now)


def updated(live, obj, manager, *, resource="configmaps", now=NOW):
    return update_managers(live, obj, manager=manager, schema=schema_for(resource), now=now)


keys = st.sampled_from("abcde")
data = st.dictionaries(keys, st.sampled_from(["1", "2"]), min_size=1, max_size=5)


@given(data)
def test_applying_twice_changes_nothing(values):
    once = applied(None, config(**values), "alpha")
    assert applied(once, config(**values), "alpha", now=LATER) is once


@given(data, data)
def test_appliers_of_different_fields_never_conflict(left, right):
    right = {key: value for key, value in right.items() if key not in left}
    both = applied(applied(None, config(**left), "alpha"), config(**right), "beta")
    assert both["data"] == {**left, **right}


@given(data, data)
def test_appliers_conflict_exactly_where_values_differ(left, right):
    live = applied(None, config(**left), "alpha")
    differing = sorted(key for key in left.keys() & right.keys() if left[key] != right[key])
    if not differing:
        assert applied(live, config(**right), "beta")["data"] == {**left, **right}
        return
    with pytest.raises(ApplyConflict) as conflict:
        applied(live, config(**right), "beta")
    assert [field for _, field in conflict.value.causes] == [f".data.{key}" for key in differing]
    assert applied(live, config(**right), "beta", force=True)["data"] == {**left, **right}


@given(data, data, data)
def test_what_an_applier_drops_goes_unless_someone_else_owns_it(first, second, shared):
    live = applied(None, config(**first), "alpha")
    live = applied(live, config(**shared), "beta", force=True)
    mine = {key: value for key, value in second.items() if key not in shared}
    assert applied(live, config(**mine), "alpha", force=True)["data"] == {**mine, **shared}


@given(data, data)
def test_an_update_owns_what_it_changed_and_nothing_else(before, after):
    live = updated(None, config(**before), "first")
    changed = updated(live, {**config(**after), "metadata": live["metadata"]}, "second", now=LATER)
    mine = {path for name, _, _, fields in owners(changed) if name == "second" for path in members(fields)}
    expected = {("f:data", f"f:{key}") for key, value in after.items() if before.get(key) != value}
    assert mine == expected


@given(data, data)
def test_nothing_handed_in_is_changed(left, right):
    live = applied(None, config(**left), "alpha")
    body = config(**right)
    before = copy.deepcopy((live, body))
    applied(live, body, "beta", force=True)
    updated(live, {**body, "metadata": live["metadata"]}, "gamma")
    assert (live, body) == before


trees = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', "."]), inner, max_size=3),
    max_leaves=8,
).map(lambda tree: _tidy(tree) or {})


def _tidy(tree):
    """A set in its canonical form: `.` only beside other elements."""
    parts = {key: _tidy(value) for key, value in tree.items() if key != "."}
    return {".": {}, **parts} if "." in tree and parts else parts


roots = trees.map(lambda tree: {key: value for key, value in tree.items() if key != "."})


@given(roots, roots)
def test_field_sets_obey_the_algebra_of_sets(left, right):
    mine, theirs = set(members(left)), set(members(right))
    assert set(members(union(left, right))) == mine | theirs
    assert set(members(difference(left, right))) == mine - theirs
    assert set(members(intersection(left, right))) == mine & theirs
    below = {path for path in mine if any(path[: len(other)] == other for other in theirs)}
    assert set(members(without(left, right))) == mine - below
    assert set(members(ordered(left))) == mine


def test_ports_are_ordered_by_number_as_the_real_server_does():
    fields = {'k:{"port":443,"protocol":"TCP"}': {}, 'k:{"port":80,"protocol":"TCP"}': {}}
    assert [print_path(path) for path in members(fields)] == ['[port=80,protocol="TCP"]', '[port=443,protocol="TCP"]']


def test_a_user_may_go_from_client_side_apply_to_server_side_apply():
    """kubectl's manager changes name on the way; the annotation tells that the fields are the same user's."""
    body = config(a="1", b="1")
    written = json.dumps(body)
    created = {**body, "metadata": {"name": "c", "annotations": {LAST_APPLIED: written}}}
    live = updated(None, created, "kubectl-client-side-apply")
    changed = applied(live, config(a="2", b="1"), "kubectl")
    assert changed["data"] == {"a": "2", "b": "1"}
    assert json.loads(changed["metadata"]["annotations"][LAST_APPLIED])["data"] == {"a": "2", "b": "1"}
    with pytest.raises(ApplyConflict):
        applied(live, config(a="2", b="1"), "someone-else")


def test_a_foreign_edit_is_a_conflict_also_for_a_user_who_comes_from_client_side_apply():
    body = config(a="1")
    live = updated(
        None,
        {**body, "metadata": {"name": "c", "annotations": {LAST_APPLIED: json.dumps(body)}}},
        "kubectl-client-side-apply",
    )
    live = updated(live, merge_patch(live, {"data": {"a": "9"}}), "intruder")
    with pytest.raises(ApplyConflict) as conflict:
        applied(live, config(a="2"), "kubectl")
    assert conflict.value.message == 'Apply failed with 1 conflict: conflict with "intruder" using v1: .data.a'


def test_more_than_ten_update_managers_are_summed_up():
    live = updated(None, config(k0="1"), "m0")
    for number in range(1, 14):
        patched = merge_patch(live, {"data": {f"k{number}": "1"}})
        live = updated(live, patched, f"m{number}", now=f"2026-11-23T08:{number:02}:00Z")
    names = [name for name, *_ in owners(live)]
    assert len(names) == 10
    assert "ancient-changes" in names
    assert "m13" in names


def test_cleared_managed_fields_stay_cleared_until_the_next_apply():
    live = applied(None, config(a="1"), "alpha")
    cleared = updated(live, merge_patch(live, {"metadata": {"managedFields": [{}]}}), "x")
    assert owners(cleared) == []
    touched = updated(cleared, merge_patch(cleared, {"data": {"a": "2"}}), "x")
    assert owners(touched) == []
    names = [name for name, *_ in owners(applied(touched, config(b="1"), "alpha"))]
    assert names == ["alpha", "before-first-apply"]


def test_an_update_without_any_change_gives_back_the_live_object():
    live = updated(None, config(a="1"), "x")
    assert updated(live, config(a="1") | {"metadata": {"name": "c"}}, "y", now=LATER) is live


def test_times_move_only_when_a_manager_gains_something():
    live = updated(None, config(a="1", b="1"), "x")
    live = updated(live, merge_patch(live, {"data": {"b": None}}), "x", now=LATER)
    assert [entry["time"] for entry in live["metadata"]["managedFields"]] == [NOW]
    live = updated(live, merge_patch(live, {"data": {"c": "1"}}), "x", now=LATER)
    assert [entry["time"] for entry in live["metadata"]["managedFields"]] == [LATER]


def test_writes_of_the_status_are_tracked_apart():
    widget = {"apiVersion": "raw.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
    live = update_managers(None, widget, manager="x", schema=WIDGET, now=NOW)
    ready = {**live, "status": {"phase": "Ready"}}
    live = update_managers(live, ready, manager="x", schema=WIDGET, now=NOW, subresource="status")
    assert [(name, sub, fields) for name, _, sub, fields in owners(live)] == [
        ("x", "", {"f:spec": {".": {}, "f:size": {}}}),
        ("x", "status", {"f:status": {".": {}, "f:phase": {}}}),
    ]


def test_a_kind_without_a_schema_merges_maps_and_replaces_lists():
    def thing(spec):
        return {
            "apiVersion": "x.example/v1",
            "kind": "Thing",
            "metadata": {"name": "t", "labels": {"l": "1"}},
            "spec": spec,
        }

    live = apply(None, thing({"m": {"a": 1}, "l": [1, 2]}), manager="a", force=False, schema=None, now=NOW)
    live = apply(live, thing({"m": {"b": 2}}), manager="b", force=False, schema=None, now=NOW)
    assert live["spec"] == {"m": {"a": 1, "b": 2}, "l": [1, 2]}
    with pytest.raises(ApplyConflict) as conflict:
        apply(live, thing({"l": [3]}), manager="b", force=False, schema=None, now=NOW)
    assert [field for _, field in conflict.value.causes] == [".spec.l"]


def test_several_faults_of_an_applied_body_are_listed():
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "w"},
        "spec": {"nope": 1, "replicas": "x"},
    }
    with pytest.raises(PatchError) as refusal:
        applied(None, body, "a", resource="deployments")
    assert refusal.value.status == 500
    assert refusal.value.message == (
        "failed to create typed patch object (/w; apps/v1, Kind=Deployment): errors:\n"
        "  .spec.nope: field not declared in schema\n  .spec.replicas: expected numeric (int or float), got string"
    )


def test_an_autoscaler_that_scales_takes_the_replicas_from_their_applier():
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 1, "paused": False},
    }
    live = applied(None, web, "helm", resource="deployments")
    entries = scale_managers(live)
    assert [(entry["manager"], entry["apiVersion"]) for entry in entries] == [("helm", "autoscaling/v1")]
    taken = [
        {
            "manager": "hpa",
            "operation": "Update",
            "apiVersion": "autoscaling/v1",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
    ]
    live = with_scale_managers(merge_patch(live, {"spec": {"replicas": 5}}), taken)
    with pytest.raises(ApplyConflict) as conflict:
        applied(live, web, "helm", resource="deployments")
    assert conflict.value.message == (
        'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas'
    )


def test_a_built_in_object_loses_what_its_type_cannot_hold():
    web = {
        "metadata": {"labels": {}, "annotations": None},
        "spec": {"nope": 1, "replicas": 0, "template": {"spec": {"nodeSelector": {}, "securityContext": {}}}},
    }
    assert normalise(web, schema_for("deployments")) == {
        "metadata": {},
        "spec": {"replicas": 0, "template": {"spec": {"securityContext": {}}}},
    }


def test_a_custom_resource_keeps_its_empty_lists_but_no_unknown_fields():
    widget = {"metadata": {"name": "w"}, "spec": {"tags": [], "nope": 1, "free": {"any": [1]}}}
    assert normalise(widget, WIDGET)["spec"] == {"tags": [], "free": {"any": [1]}}


def test_an_applier_who_only_shares_what_is_there_has_no_time():
    alone = applied(None, config(a="1"), "alpha")
    both = applied(alone, config(a="1"), "beta", now=LATER)
    times = {entry["manager"]: entry.get("time") for entry in both["metadata"]["managedFields"]}
    assert times == {"alpha": NOW, "beta": None}
