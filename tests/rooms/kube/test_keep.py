"""Fields left out of what Helm applies: the ones that were named, and no others."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.kube.helm.keep import drop, without

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "a", "labels": {"app": "web", "app.kubernetes.io/name": "web"}},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "containers": [
                    {"name": "web", "image": "web:1", "args": ["--a", "--b"], "ports": [{"containerPort": 80}]},
                    {"name": "side", "image": "side:1"},
                ]
            }
        },
    },
}


def paths_of(before: object, after: object, at: str = "") -> list[str]:
    """Where two documents differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [path for key in {*before, *after} for path in paths_of(before.get(key), after.get(key), f"{at}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [path for n, pair in enumerate(zip(before, after, strict=True)) for path in paths_of(*pair, f"{at}/{n}")]
    return [] if before == after else [at]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        (".spec.replicas", ["/spec/replicas"]),
        ('.spec.template.spec.containers[name="side"].image', ["/spec/template/spec/containers/1/image"]),
        ('.spec.template.spec.containers[name="side"]', ["/spec/template/spec/containers"]),
        ('.spec.template.spec.containers[name="web"].args[="--b"]', ["/spec/template/spec/containers/0/args"]),
        (
            '.spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort',
            ["/spec/template/spec/containers/0/ports/0/containerPort"],
        ),
        (".metadata.labels.app.kubernetes.io/name", ["/metadata/labels/app.kubernetes.io/name"]),
        (".metadata.labels.app", ["/metadata/labels/app"]),
        (".spec.nothing.there", []),
        ('.spec.template.spec.containers[name="nobody"].image', []),
    ],
)
def test_a_field_is_taken_away_and_nothing_beside_it(field, changed):
    """A dot in a key is no step down, and a port without a protocol is TCP."""
    after = copy.deepcopy(DEPLOYMENT)
    drop(after, field)
    assert paths_of(DEPLOYMENT, after) == changed


def test_only_the_object_that_was_named_is_changed():
    other = {**DEPLOYMENT, "metadata": {"name": "other", "namespace": "a"}}
    kept = [{"kind": "Deployment", "namespace": "a", "name": "web", "fields": [".spec.replicas"]}]
    first, second, third = without([copy.deepcopy(DEPLOYMENT), copy.deepcopy(other), None], kept)
    assert "replicas" not in first["spec"]
    assert second == other
    assert third is None


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(documents, st.text(alphabet='.[]="abc,1\\', max_size=20))
def test_no_path_breaks_what_it_does_not_name(document, path):
    """The server writes the paths; one that we cannot read must cost nothing but the field."""
    before = json.dumps(document)
    try:
        drop(document, path)
    except ValueError:
        assert json.dumps(document) == before
