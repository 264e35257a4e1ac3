"""What is documented of server-side apply, for any number of appliers of keyed lists and maps.

Rules after https://kubernetes.io/docs/reference/using-api/server-side-apply/; `test_managed_fields` has those of maps.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.simulator.objects import ApplyConflict, apply

from .replay import NOW, schema_for

images = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["one", "two"]), min_size=1, max_size=4)
few = settings(max_examples=50, deadline=None)


def deployment(images: dict[str, str]) -> dict[str, Any]:
    items = [{"name": name, "image": image} for name, image in images.items()]
    spec = {"template": {"spec": {"containers": items}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def applied(live: dict[str, Any] | None, images: dict[str, str], manager: str, *, force: bool = False) -> Any:
    schema = schema_for("deployments")
    return apply(live, deployment(images), manager=manager, force=force, schema=schema, now=NOW)


def images_of(obj: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["image"] for item in obj["spec"]["template"]["spec"]["containers"]}


def owned_by(obj: dict[str, Any], manager: str) -> set[str]:
    """The containers whose image *manager* owns."""
    for entry in obj["metadata"]["managedFields"]:
        if entry["manager"] == manager:
            items = entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
            return {key[len('k:{"name":"') : -2] for key, fields in items.items() if "f:image" in fields}
    return set()


@few
@given(images)
def test_an_applied_item_belongs_to_its_applier(sent):
    once = applied(None, sent, "alpha")
    assert (images_of(once), owned_by(once, "alpha")) == (sent, set(sent))
    assert applied(once, sent, "alpha") is once


@few
@given(images)
def test_equal_values_are_shared_and_never_conflict(sent):
    both = applied(applied(None, sent, "alpha"), sent, "beta")
    assert owned_by(both, "alpha") == owned_by(both, "beta") == set(sent)


@few
@given(images, images)
def test_a_conflict_names_every_differing_field_of_the_other_and_nothing_else(first, second):
    live = applied(None, first, "alpha")
    differing = sorted(name for name in first.keys() & second.keys() if first[name] != second[name])
    if not differing:
        assert images_of(applied(live, second, "beta")) == {**first, **second}
        return
    with pytest.raises(ApplyConflict) as conflict:
        applied(live, second, "beta")
    expected = [f'.spec.template.spec.containers[name="{name}"].image' for name in differing]
    assert sorted(field for _, field in conflict.value.causes) == expected
    assert images_of(live) == first


@few
@given(images, images)
def test_force_takes_what_differs_and_shares_the_rest(first, second):
    taken = applied(applied(None, first, "alpha"), second, "beta", force=True)
    lost = {name for name in first.keys() & second.keys() if first[name] != second[name]}
    assert images_of(taken) == {**first, **second}
    assert (owned_by(taken, "alpha"), owned_by(taken, "beta")) == (set(first) - lost, set(second))


@few
@given(images, images, st.data())
def test_an_item_left_out_goes_unless_another_owns_it(first, second, data):
    second = {name: first.get(name, image) for name, image in second.items()}
    live = applied(applied(None, first, "alpha"), second, "beta")
    kept = {name: first[name] for name in data.draw(st.lists(st.sampled_from(sorted(first)), min_size=1, unique=True))}
    assert images_of(applied(live, kept, "alpha")) == {**kept, **second}
