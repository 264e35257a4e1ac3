"""Changes of CRDs: nothing is unsafe about the same or a wider schema, and each unsafe kind is found where it is."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.rules.crd_changes import Unsafe, unsafe_changes


def crd(schema, *, stored=("v1",), scope="Namespaced", **version):
    return {
        "spec": {
            "scope": scope,
            "versions": [{"name": "v1", "served": True, "schema": {"openAPIV3Schema": schema}, **version}],
        },
        "status": {"storedVersions": list(stored)},
    }


def spec(**field):
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": field}}}}


def found(old, new):
    return [(each.kind, each.path) for each in unsafe_changes(crd(old), crd(new))]


NUMBER = {"type": "integer"}
TEXT = {"type": "string"}
LIST = {"type": "array", "items": TEXT}
MAP = {"type": "object", "additionalProperties": TEXT}
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (NUMBER, TEXT, Unsafe.TYPE_CHANGED),
        ({"type": "string"}, {"x-kubernetes-int-or-string": True}, Unsafe.TYPE_CHANGED),
        (NUMBER, {**NUMBER, "default": 1}, Unsafe.DEFAULT_ADDED),
        ({**NUMBER, "default": 1}, {**NUMBER, "default": 2}, Unsafe.DEFAULT_CHANGED),
        ({**NUMBER, "default": 1}, {**NUMBER, "default": True}, Unsafe.DEFAULT_CHANGED),
        ({**NUMBER, "default": None}, NUMBER, Unsafe.DEFAULT_REMOVED),
        (TEXT, {**TEXT, "enum": ["a"]}, Unsafe.ENUM_ADDED),
        ({**TEXT, "enum": ["a", "b"]}, {**TEXT, "enum": ["a"]}, Unsafe.ENUM_VALUE_REMOVED),
        ({**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 2}, Unsafe.MINIMUM_RAISED),
        ({**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 1, "exclusiveMinimum": True}, Unsafe.MINIMUM_RAISED),
        ({**NUMBER, "maximum": 3}, {**NUMBER, "maximum": 2}, Unsafe.MAXIMUM_LOWERED),
        ({**NUMBER, "maximum": 3}, {**NUMBER, "maximum": 3, "exclusiveMaximum": True}, Unsafe.MAXIMUM_LOWERED),
        (NUMBER, {**NUMBER, "minimum": 0}, Unsafe.LIMIT_ADDED),
        (NUMBER, {**NUMBER, "maximum": 9}, Unsafe.LIMIT_ADDED),
        ({**TEXT, "minLength": 1}, {**TEXT, "minLength": 2}, Unsafe.MINIMUM_RAISED),
        ({**LIST, "maxItems": 5}, {**LIST, "maxItems": 4}, Unsafe.MAXIMUM_LOWERED),
        (MAP, {**MAP, "minProperties": 1}, Unsafe.LIMIT_ADDED),
        (MAP, {**MAP, "maxProperties": 1}, Unsafe.LIMIT_ADDED),
    ],
)
def test_an_unsafe_change_of_a_field_is_found_with_its_path(old, new, kind):
    assert found(spec(**old), spec(**new)) == [(kind, "v1 spec.size")]


@pytest.mark.parametrize(
    ("old", "new", "kind", "path"),
    [
        ({**OPEN, "properties": {"a": TEXT}}, {"type": "object", "properties": {"a": TEXT}}, Unsafe.FIELD_REMOVED, "*"),
        ({"type": "object", "properties": {"a": TEXT}}, {"type": "object"}, Unsafe.FIELD_REMOVED, "a"),
        (MAP, {"type": "object"}, Unsafe.FIELD_REMOVED, "*"),
        (
            {"type": "object"},
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
            Unsafe.FIELD_REQUIRED,
            "a",
        ),
    ],
)
def test_fields_that_go_and_fields_that_are_demanded_are_found(old, new, kind, path):
    assert found(spec(**old), spec(**new)) == [(kind, f"v1 spec.size.{path}")]


def test_members_of_lists_and_maps_have_paths_too():
    assert found(spec(**LIST), spec(type="array", items=NUMBER)) == [(Unsafe.TYPE_CHANGED, "v1 spec.size[]")]
    assert found(spec(**MAP), spec(**{**MAP, "additionalProperties": NUMBER})) == [
        (Unsafe.TYPE_CHANGED, "v1 spec.size.*")
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({**TEXT, "enum": ["a"]}, TEXT),
        ({**TEXT, "enum": ["a"]}, {**TEXT, "enum": ["b", "a"]}),
        ({**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 0}),
        ({**NUMBER, "minimum": 1, "exclusiveMinimum": True}, {**NUMBER, "minimum": 1}),
        ({**NUMBER, "maximum": 1}, NUMBER),
        (TEXT, {**TEXT, "minLength": 0}),
        (
            {"type": "object", "required": ["a"], "properties": {"a": TEXT}},
            {"type": "object", "properties": {"a": TEXT}},
        ),
        ({"type": "object", "properties": {"a": TEXT}}, OPEN),
        ({"type": "object"}, {"type": "object", "properties": {"a": {**TEXT, "default": "x", "enum": ["x"]}}}),
        (TEXT, {**TEXT, "description": "Words."}),
    ],
)
def test_a_wider_schema_is_safe(old, new):
    assert found(spec(**old), spec(**new)) == []


def test_the_definition_as_a_whole():
    old = crd(spec(**TEXT), stored=["v1beta1", "v1"])
    old["spec"]["versions"].append({"name": "v1beta1", "served": True})
    without = crd(spec(**TEXT))
    unserved = copy.deepcopy(old)
    unserved["spec"]["versions"][1]["served"] = False
    assert [(each.kind, each.path) for each in unsafe_changes(old, without)] == [
        (Unsafe.STORED_VERSION_REMOVED, "v1beta1")
    ]
    assert [(each.kind, each.path) for each in unsafe_changes(old, unserved)] == [
        (Unsafe.STORED_VERSION_NOT_SERVED, "v1beta1")
    ]
    assert unsafe_changes(unserved, unserved) == ()
    assert [each.kind for each in unsafe_changes(crd({}), crd({}, scope="Cluster"))] == [Unsafe.SCOPE_CHANGED]
    migrated = {**old, "status": {"storedVersions": ["v1"]}}
    assert unsafe_changes(migrated, without) == (), "what no object is stored in may go"


def test_a_new_version_may_say_what_it_likes():
    old, new = crd(spec(**TEXT)), crd(spec(**TEXT))
    new["spec"]["versions"].append({"name": "v2", "schema": {"openAPIV3Schema": spec(**{**NUMBER, "minimum": 3})}})
    assert unsafe_changes(old, new) == ()


# Any schema, and one thing done to it somewhere.

LEAF = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "boolean", "number"])},
    optional={"default": st.integers(0, 3), "description": st.just("Words.")},
)
LIMITED = st.fixed_dictionaries(
    {"type": st.just("integer"), "minimum": st.integers(0, 5), "maximum": st.integers(6, 9)}
) | st.fixed_dictionaries({"type": st.just("string"), "enum": st.builds(lambda: ["a", "b", "c"])})
NAME = st.sampled_from("abcd")


def containers(inner):
    objects = st.dictionaries(NAME, inner, min_size=1, max_size=3).map(
        lambda properties: {"type": "object", "properties": properties}
    )
    return objects | inner.map(lambda each: {"type": "array", "items": each})


# Through JSON, so that no two schemas within are one object: to change one would change the other.
SCHEMA = st.recursive(LEAF | LIMITED, containers, max_leaves=8).map(lambda each: json.loads(json.dumps(each)))


def nodes(schema):
    """Every schema within, with the schema itself."""
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(node for each in inner for node in nodes(each))]


def retype(node):
    node["type"] = "boolean" if node["type"] != "boolean" else "string"


def demand(node):
    node["required"] = [*node.get("required", []), "new"]


def drop_field(node):
    del node["properties"][min(node["properties"])]


def put_default(node):
    node["default"] = 7


def drop_default(node):
    del node["default"]


UNSAFE = {
    Unsafe.TYPE_CHANGED: (lambda node: "type" in node, retype),
    Unsafe.FIELD_REQUIRED: (lambda node: node["type"] == "object", demand),
    Unsafe.FIELD_REMOVED: (lambda node: bool(node.get("properties")), drop_field),
    Unsafe.DEFAULT_ADDED: (lambda node: "default" not in node, put_default),
    Unsafe.DEFAULT_CHANGED: (lambda node: "default" in node, put_default),
    Unsafe.DEFAULT_REMOVED: (lambda node: "default" in node, drop_default),
    Unsafe.ENUM_ADDED: (lambda node: "enum" not in node, lambda node: node.update(enum=["a"])),
    Unsafe.ENUM_VALUE_REMOVED: (lambda node: "enum" in node, lambda node: node["enum"].pop()),
    Unsafe.MINIMUM_RAISED: (lambda node: "minimum" in node, lambda node: node.update(minimum=node["minimum"] + 1)),
    Unsafe.MAXIMUM_LOWERED: (lambda node: "maximum" in node, lambda node: node.update(maximum=node["maximum"] - 1)),
    Unsafe.LIMIT_ADDED: (lambda node: "maximum" not in node, lambda node: node.update(maximum=3)),
}

WIDER = [
    lambda node: node.pop("enum", None),
    lambda node: node.get("enum", []).append("z"),
    lambda node: node.pop("minimum", None),
    lambda node: node.update(maximum=node["maximum"] + 1) if "maximum" in node else None,
    lambda node: (
        node.setdefault("properties", {}).update(new={"type": "string", "minLength": 4})
        if node["type"] == "object"
        else None
    ),
    lambda node: node.update(description="Other words."),
]


@given(SCHEMA)
def test_a_schema_in_place_of_itself_is_safe(schema):
    assert found(schema, copy.deepcopy(schema)) == []


@given(SCHEMA, st.data())
def test_each_unsafe_change_of_any_schema_is_found_and_nothing_else(schema, data):
    changed = copy.deepcopy(schema)
    possible = [(kind, node) for kind, (may, _) in UNSAFE.items() for node in nodes(changed) if may(node)]
    kind, node = data.draw(st.sampled_from(possible))
    UNSAFE[kind][1](node)
    assert [each for each, _ in found(schema, changed)] == [kind]


@given(SCHEMA, st.data())
def test_widening_any_schema_is_safe(schema, data):
    wider = copy.deepcopy(schema)
    for _ in range(data.draw(st.integers(1, 4))):
        data.draw(st.sampled_from(WIDER))(data.draw(st.sampled_from(nodes(wider))))
    assert found(schema, wider) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "spec",
                        "status",
                        "versions",
                        "name",
                        "schema",
                        "openAPIV3Schema",
                        "properties",
                        "items",
                        "required",
                        "enum",
                        "minimum",
                        "storedVersions",
                        "a",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_what_is_no_definition_is_compared_without_a_fault(thing):
    """A chart is a stranger's; the API server refuses such a definition in its own words."""
    if isinstance(thing, dict):
        unsafe_changes(thing, {"spec": {"versions": [{"name": "v1", "schema": thing}]}, "status": thing})
