"""The table of types: what it knows, and that it gives back usable OpenAPI."""

from __future__ import annotations

from .replay import SCHEMAS, schema_for


def test_lists_merge_by_the_keys_the_real_server_publishes():
    pod = SCHEMAS.named("io.k8s.api.core.v1.PodSpec")
    container = pod.fields["containers"].element
    assert (pod.fields["containers"].list_type, pod.fields["containers"].keys) == ("map", ("name",))
    assert (container.fields["ports"].keys, container.fields["ports"].merge_key) == (
        ("containerPort", "protocol"),
        "containerPort",
    )
    assert container.fields["args"].list_type == "atomic"
    assert pod.fields["volumes"].strategy == ("merge", "retainKeys")
    assert schema_for("deployments").fields["spec"].fields["selector"].is_atomic


def test_types_that_contain_themselves_are_built():
    props = SCHEMAS.named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    assert props.fields["properties"].element is props


def test_kinds_unknown_to_the_table_have_no_schema():
    assert SCHEMAS.of("apps/v1", "Nope") is None
    assert SCHEMAS.of("apps/v1beta1", "Deployment") is None


def test_every_kind_of_the_table_can_be_built():
    kinds = list(SCHEMAS.kinds())
    assert len(kinds) > 100
    assert all(type_.shape == "struct" for _, _, type_ in kinds)


def test_components_of_a_group_are_closed_under_reference_and_keep_the_extensions():
    components = SCHEMAS.components("apps/v1")
    text = str(components)
    referred = {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= components.keys()
    deployment = components["io.k8s.api.apps.v1.Deployment"]
    assert {"group": "apps", "version": "v1", "kind": "Deployment"} in deployment["x-kubernetes-group-version-kind"]
    containers = components["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-list-map-keys"] == ["name"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    strategy = components["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["strategy"]
    assert strategy["x-kubernetes-patch-strategy"] == "retainKeys"
