"""Whatever decodes is handled: objects made up from the published types go through every function."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addonry.simulator.objects import (
    apply,
    apply_defaults,
    check_immutable,
    check_required,
    check_types,
    invalid_status,
    normalise,
    strategic_merge,
    unknown_fields,
    update_managers,
)

from .replay import NOW, SCHEMAS

KINDS = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "CronJob"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "ConfigMap"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
]
SCALARS = {
    "string": st.sampled_from(["", "a", "b", "Bad Name!", "RollingUpdate"]),
    "time": st.just(NOW),
    "bytes": st.sampled_from(["", "eA=="]),
    "boolean": st.booleans(),
    "int32": st.integers(-1, 70000),
    "integer": st.integers(-1, 70000),
    "number": st.just(0.5),
    "quantity": st.sampled_from(["1", "500m", "1Gi", 2]),
    "int-or-string": st.sampled_from([0, "0%", "http", 80]),
}


@st.composite
def values(draw, schema, depth=0):
    """A value that decodes as *schema*, mostly empty, sometimes null."""
    if draw(st.integers(0, 14)) == 0:
        return None
    match schema.shape:
        case "scalar":
            return draw(SCALARS[str(schema.scalar)])
        case "any":
            return draw(st.sampled_from([1, "x", {}, [], {"a": None}]))
        case "list":
            items = draw(st.lists(values(schema.element, depth + 1), max_size=2 if depth < 9 else 0))
            return [item for item in items if item is not None]
        case "map":
            return draw(
                st.dictionaries(st.sampled_from(["a", "b/c", "B d"]), values(schema.element, depth + 1), max_size=2)
            )
        case _:
            names = [name for name in schema.fields if name in ALWAYS or depth < 3]
            if depth > 9 or not names:
                return {}
            chosen = draw(st.lists(st.sampled_from(sorted(names)), unique=True, max_size=4))
            wanted = [*chosen, *(name for name in ALWAYS if name in schema.fields and depth < 7)]
            return {name: draw(values(schema.fields[name], depth + 1)) for name in dict.fromkeys(wanted)}


ALWAYS = (
    "metadata",
    "spec",
    "template",
    "containers",
    "name",
    "ports",
    "selector",
    "rollingUpdate",
    "strategy",
    "image",
)


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_any_object_of_a_kind_is_stored_or_refused(version, kind):
    schema = SCHEMAS.of(version, kind)
    assert schema is not None
    made = values(schema).filter(lambda value: isinstance(value, dict))

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made, made)
    def handled(old, new):
        old, new = ({**value, "apiVersion": version, "kind": kind} for value in (old, new))
        stored = []
        for made_up in (old, new):
            metadata = {key: part for key, part in (made_up.get("metadata") or {}).items() if key != "managedFields"}
            value = {**made_up, "metadata": {**metadata, "name": "x"}}
            assert unknown_fields(value, schema) == []
            assert check_types(value, schema) == []
            once = apply_defaults(normalise(value, schema), kind)
            assert apply_defaults(once, kind) is once
            assert normalise(once, schema) == once or _has_empty(once)
            stored.append(once)
        errors = check_required(stored[1]) + check_immutable(*stored)
        if errors:
            assert invalid_status(stored[1], errors)["code"] == 422
        created = update_managers(None, stored[0], manager="a", schema=schema, now=NOW)
        assert update_managers(created, created, manager="b", schema=schema, now=NOW) is created
        changed = update_managers(
            created, {**stored[1], "metadata": {**stored[1]["metadata"]}}, manager="b", schema=schema, now=NOW
        )
        assert check_types(changed, schema) == []
        if not _has_double_keys(schema, stored[0]):
            assert strategic_merge(stored[0], {}, schema) == stored[0]
            live = apply(None, stored[0], manager="a", force=False, schema=schema, now=NOW)
            assert apply(live, stored[0], manager="a", force=False, schema=schema, now=NOW) is live

    handled()


def _has_empty(value):
    """Defaults may add an empty map where the published type has one; that alone is no difference."""
    if isinstance(value, dict):
        return value == {} or any(map(_has_empty, value.values()))
    return isinstance(value, list) and (value == [] or any(map(_has_empty, value)))


def _has_double_keys(schema, value):
    from addonry.simulator.objects.fields import type_errors

    return any(type_errors(value, schema))
