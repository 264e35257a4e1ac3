"""Differences of manifests: complete, without noise of order, and without secrets."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.differences import ABSENT, Difference, Member, differences, fields_between, images_between
from addonry.rules.redaction import HIDDEN, redact, redact_text


def deployment(name="coredns", *, containers=(), kind="Deployment", **metadata):
    pod = {"spec": {"containers": list(containers)}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": {"template": pod},
    }


def told(old, new):
    [found] = differences([old], [new], "kube-system")
    return [(each.path, each.change.value, each.before, each.after) for each in found.fields]


def test_members_of_lists_are_told_apart_by_their_names():
    old = deployment(containers=[{"name": "coredns", "image": "coredns:1.11"}, {"name": "side", "image": "s:1"}])
    new = deployment(containers=[{"name": "side", "image": "s:1"}, {"name": "coredns", "image": "coredns:1.12"}])
    assert told(old, new) == [
        ("spec.template.spec.containers[coredns].image", "changed", "coredns:1.11", "coredns:1.12")
    ]
    assert images_between(differences([old], [new], "x")) == (("coredns:1.11", "coredns:1.12"),)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (["-v=2", "-x"], ["-x", "-v=4"], [("a[-v=2]", "-v=2", ABSENT), ("a[-v=4]", ABSENT, "-v=4")]),
        (["a", "b"], ["b", "a"], [("a", ["a", "b"], ["b", "a"])]),
        (["a", "a"], ["a"], [("a", ["a", "a"], ["a"])]),
        ([1, 2], [1, 3], [("a", [1, 2], [1, 3])]),
        ([{"port": 53, "protocol": "UDP"}, {"port": 53}], [{"port": 53, "protocol": "TCP"}], None),
        ([{"mountPath": "/a", "readOnly": True}], [{"mountPath": "/a"}], [("a[/a].readOnly", True, ABSENT)]),
        ([{"verbs": ["get"]}], [{"verbs": ["list"]}], [("a", [{"verbs": ["get"]}], [{"verbs": ["list"]}])]),
    ],
)
def test_lists_of_every_form(old, new, expected):
    found = list(fields_between({"a": old}, {"a": new}))
    shown = [
        ("".join(f"[{step}]" if isinstance(step, Member) or i else step for i, step in enumerate(each.path)), each)
        for each in found
    ]
    if expected is None:
        assert [str(each.path[1]) for each in found] == ["53/UDP", "53/TCP"]
    else:
        assert [(path.replace("[readOnly]", ".readOnly"), each.before, each.after) for path, each in shown] == expected


def test_true_is_not_one_and_null_is_not_nothing():
    assert [each.path for each in fields_between({"a": 1, "b": None}, {"a": True})] == [("a",), ("b",)]
    assert list(fields_between({"a": 1}, {"a": 1.0})) == []


def test_objects_come_and_go():
    old = [deployment("a"), deployment("b", annotations={"helm.sh/resource-policy": "keep"}), deployment("c")]
    new = [deployment("c", namespace="kube-system"), deployment("d")]
    found = differences(old, new, "kube-system")
    assert [(each.name, each.change, each.is_kept) for each in found] == [
        ("a", Difference.REMOVED, False),
        ("b", Difference.REMOVED, True),
        ("c", Difference.CHANGED, False),
        ("d", Difference.ADDED, False),
    ]


def test_another_api_version_is_another_field_and_the_same_object():
    old, new = ({**deployment(), "apiVersion": version} for version in ("apps/v1beta1", "apps/v1"))
    assert told(old, new) == [("apiVersion", "changed", "apps/v1beta1", "apps/v1")]


def test_what_follows_from_any_new_version_is_noise():
    def labelled(version):
        marks = {"helm.sh/chart": f"coredns-{version}", "app": version}
        return deployment(labels=marks, annotations={"checksum/config": version})

    [found] = differences([labelled("1")], [labelled("2")], "x")
    assert [(each.path, each.is_noise) for each in found.fields] == [
        ("metadata.labels[helm.sh/chart]", True),
        ("metadata.labels.app", False),
        ("metadata.annotations[checksum/config]", True),
    ]


def test_a_text_of_several_lines_is_told_by_the_lines_that_change():
    old = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"Corefile": "a\nb\nc\n"}}
    new = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"Corefile": "a\nB\nc\nd\n"}}
    [found] = differences([old], [new], "x")
    assert found.fields[0].lines == ("-b", "+B", "+d")
    assert (found.fields[0].before, found.fields[0].after) == (None, None)


def test_the_schema_of_a_crd_is_not_told_here():
    old, new = (deployment(kind="CustomResourceDefinition", containers=[{"name": each}]) for each in "ab")
    [found] = differences([old], [new], "x")
    assert (found.change, found.fields) == (Difference.CHANGED, ())


# Secrets


def test_of_a_secret_nothing_is_told_but_that_it_changes():
    def secret(value, more=None):
        return {"kind": "Secret", "metadata": {"name": "a"}, "data": {"key": value, **(more or {})}}

    [found] = differences([secret("b25l")], [secret("dHdv", {"new": "dGhyZWU="})], "x")
    assert [(each.path, each.before, each.after, each.is_hidden) for each in found.fields] == [
        ("data.key", HIDDEN, HIDDEN, True),
        ("data.new", None, HIDDEN, True),
    ]
    assert "b25l" not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "DB_PASSWORD", "value": "s3cr3t"},
        {"args": ["--token=s3cr3t", "--v=2"]},
        {"config": "user: me\npassword: s3cr3t\n"},
        {"config": '{"apiKey": "s3cr3t"}'},
        {"url": "postgres://me:s3cr3t@db/x"},
        {"clientSecret": "s3cr3t"},
        {"list": [{"deep": {"accessKey": "s3cr3t"}}]},
    ],
)
def test_what_may_be_a_secret_is_hidden_by_its_name(value):
    shown = json.dumps(redact(value))
    assert "s3cr3t" not in shown
    assert HIDDEN in shown


def test_an_environment_variable_is_hidden_by_its_name_even_where_only_its_value_changes():
    old, new = (
        deployment(containers=[{"name": "a", "env": [{"name": "API_TOKEN", "value": value}]}]) for value in ("x1", "x2")
    )
    assert told(old, new) == [("spec.template.spec.containers[a].env[API_TOKEN].value", "changed", HIDDEN, HIDDEN)]


@pytest.mark.parametrize(
    "value",
    [
        {"secretName": "tls"},
        {"automountServiceAccountToken": False},
        {"image": "coredns/coredns:1.12"},
        {"args": ["--secure-port=10250", "--kubelet-preferred-address-types=InternalIP"]},
        {"url": "https://example.org:8443/token"},
        {"secretKeyRef": {"name": "db", "key": "tls.crt"}},
    ],
)
def test_what_is_no_secret_is_shown(value):
    assert redact(value) == value


@given(st.text(max_size=60))
def test_any_text_can_be_redacted_and_a_second_time_changes_nothing(text):
    assert redact_text(redact_text(text)) == redact_text(text)


# Any manifest

KEY = st.sampled_from(["a", "b", "spec", "env", "name", "value"])
SCALAR = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y", "z"])
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEY, inner, max_size=3)
        | st.lists(
            st.tuples(st.sampled_from("pqr"), inner).map(lambda pair: {"name": pair[0], "value": pair[1]}), max_size=3
        )
    ),
    max_leaves=10,
)


def sets_of(value):
    """The same with every list whose members have names, or are different texts, in one order."""
    if isinstance(value, dict):
        return {key: sets_of(each) for key, each in value.items()}
    if not isinstance(value, list):
        return (type(value).__name__ if isinstance(value, bool) else "", value)
    inner = [sets_of(each) for each in value]
    return sorted(inner, key=repr)


def put(value, path, after):
    """*value* with the field at *path* set, or taken away."""
    if not path:
        return after
    step, *rest = path
    if isinstance(step, str):
        inner = put(value.get(step, ABSENT), rest, after)
        kept = {key: each for key, each in value.items() if key != step}
        return kept if inner is ABSENT else {**kept, step: inner}
    at = next((i for i, each in enumerate(value) if is_named(each, step)), None)
    inner = put(ABSENT if at is None else value[at], rest, after)
    kept = [each for i, each in enumerate(value) if i != at]
    return kept if inner is ABSENT else [*kept, inner]


def is_named(each, step):
    if step.names[0][0] == "":
        return each == step.names[0][1]
    return isinstance(each, dict) and all(each.get(name) == value for name, value in step.names)


@given(VALUE)
def test_nothing_is_different_from_itself(value):
    assert list(fields_between(value, copy.deepcopy(value))) == []


@given(VALUE, VALUE)
def test_making_the_changes_that_are_told_of_the_old_gives_the_new(old, new):
    changed = copy.deepcopy(old)
    for each in fields_between(old, new):
        changed = put(changed, each.path, each.after)
    assert sets_of(changed) == sets_of(new)


@given(VALUE, VALUE)
def test_differences_are_the_same_from_both_sides(old, new):
    forth = {(each.path, repr(each.before), repr(each.after)) for each in fields_between(old, new)}
    back = {(each.path, repr(each.after), repr(each.before)) for each in fields_between(new, old)}
    assert forth == back
