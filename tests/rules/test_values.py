"""Values combine as Helm combines them; schema errors name places, never values."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.values import LIMIT, coalesce, schema_errors

trees = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(st.sampled_from("abc"), trees, max_size=3)


@pytest.mark.parametrize(
    ("defaults", "values", "expected"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": None}, {}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_values_combine_as_helm_combines_them(defaults, values, expected):
    assert coalesce(defaults, values) == expected


@given(maps, maps)
def test_combining_twice_changes_nothing(defaults, values):
    once = coalesce(defaults, values)
    assert coalesce(once, values) == once
    assert coalesce(defaults, {}) == defaults


SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["image"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 1},
        "image": {"type": "object", "properties": {"tag": {"type": "string"}}, "additionalProperties": False},
        "policy": {"enum": ["Always", "Never"]},
    },
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"image": {}}, ()),
        ({}, ("values lacks image",)),
        ({"image": {}, "replicas": "two"}, ("replicas must be of type integer",)),
        ({"image": {}, "replicas": 0}, ("replicas breaks minimum 1",)),
        ({"image": {"tag": 3}}, ("image.tag must be of type string",)),
        ({"image": {"tga": "x"}}, ("image does not know tga",)),
        ({"image": {}, "policy": "x"}, ("policy must be one of Always, Never",)),
    ],
)
def test_each_problem_is_a_sentence_with_its_place(values, expected):
    assert schema_errors(values, SCHEMA) == expected


def test_a_value_is_never_quoted():
    told = " ".join(schema_errors({"image": "hunter2", "replicas": "hunter2", "policy": "hunter2"}, SCHEMA))
    assert "hunter2" not in told


def test_a_broken_schema_blocks_nobody():
    assert schema_errors({"a": 1}, {"type": "nonsense"}) == ()
    assert schema_errors({"a": 1}, None) == ()


def test_many_problems_are_counted_not_listed():
    schema = {"properties": {f"p{n}": {"type": "string"} for n in range(30)}}
    told = schema_errors({f"p{n}": n for n in range(30)}, schema)
    assert len(told) == LIMIT + 1
    assert told[-1] == "and 22 more"


def test_a_schema_that_points_elsewhere_makes_nobody_fetch_anything():
    """A chart's author writes the schema: a reference to an inner address must not be followed."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        port = listening.getsockname()[1]
        schema = {"properties": {"a": {"$ref": f"http://127.0.0.1:{port}/schema.json"}}}
        assert schema_errors({"a": 1}, schema) == ()
        with pytest.raises(BlockingIOError):
            listening.accept()
