"""Checks beside those that test_replays plays from the recordings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.simulator.objects import (
    apply_defaults,
    check_custom,
    check_immutable,
    check_required,
    check_types,
    default_custom,
    invalid_status,
    merge_patch,
    strict_error,
    unknown_fields,
)
from addonry.simulator.objects.defaults import RULES
from addonry.simulator.objects.validation import parse_quantity, selects

from .replay import SCHEMAS, WIDGET, WIDGET_SCHEMA, schema_for


def workload(kind="Deployment", **spec):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    body = {"selector": {"matchLabels": {"a": "b"}}, "template": template, **spec}
    return apply_defaults({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "w"}, "spec": body}, kind)


def faults(obj):
    return [str(error) for error in check_required(obj)]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"])
def test_an_ordinary_workload_is_in_order(kind):
    assert faults(workload(kind)) == []
    assert unknown_fields(workload(kind), SCHEMAS.of("apps/v1", kind)) == []
    assert check_types(workload(kind), SCHEMAS.of("apps/v1", kind)) == []


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        ({"containers": [{"name": "c"}]}, "spec.template.spec.containers[0].image: Required value"),
        (
            {"restartPolicy": "Never"},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
            'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
            'spec.template.spec.volumes[1].name: Duplicate value: "v"',
        ),
    ],
)
def test_faults_of_a_pod_template_are_named(pod, says):
    changed = merge_patch(workload(), {"spec": {"template": {"spec": pod}}})
    assert faults(changed) == [says]


def test_mounts_of_a_stateful_set_may_name_a_claim_template():
    mount = {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}]}
    assert faults(merge_patch(workload("StatefulSet"), {"spec": {"template": {"spec": mount}}})) == []


def test_two_service_ports_need_names_that_differ():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    ports = [{"name": "a", "port": 80}, {"name": "a", "port": 81}]
    assert faults({**service, "spec": {"ports": ports}}) == ['spec.ports[1].name: Duplicate value: "a"']
    assert faults({**service, "spec": {"clusterIP": "None"}}) == []
    assert faults({**service, "spec": {}}) == ["spec.ports: Required value"]


def test_roles_may_have_colons_and_upper_case_in_their_names():
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:Node"}}
    assert faults(role) == []


IMMUTABLE = [
    ("v1", "ConfigMap", {"immutable": True, "data": {"a": "1"}}, {"data": {"a": "2"}}, ["data"]),
    ("v1", "ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, []),
    ("v1", "Secret", {"type": "a"}, {"type": "b"}, ["type"]),
    ("v1", "Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"clusterIP": "10.0.0.2"}}, ["spec.clusterIPs[0]"]),
    ("v1", "Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"type": "NodePort"}}, []),
    ("apps/v1", "StatefulSet", {"spec": {"serviceName": "a"}}, {"spec": {"serviceName": "b"}}, ["spec"]),
    ("apps/v1", "StatefulSet", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, []),
    (
        "apps/v1",
        "DaemonSet",
        {"spec": {"selector": {}}},
        {"spec": {"selector": {"matchLabels": {"a": "b"}}}},
        ["spec.selector"],
    ),
    ("batch/v1", "Job", {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, ["spec.template"]),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        {"roleRef": {"name": "a"}},
        {"roleRef": {"name": "b"}},
        ["roleRef"],
    ),
    ("storage.k8s.io/v1", "StorageClass", {"provisioner": "a"}, {"provisioner": "b"}, ["provisioner"]),
    ("v1", "PersistentVolumeClaim", {"spec": {"accessModes": ["a"]}}, {"spec": {"accessModes": ["b"]}}, ["spec"]),
]


@pytest.mark.parametrize(("version", "kind", "old", "patch", "fields"), IMMUTABLE)
def test_fixed_fields_may_not_change(version, kind, old, patch, fields):
    before = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "uid": "1"}, **old}
    assert [error.field for error in check_immutable(before, merge_patch(before, patch))] == fields
    assert check_immutable(before, before) == []


def test_a_status_says_several_faults_in_brackets_and_each_text_once():
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "2"}}
    status = invalid_status(obj, check_immutable({**obj, "metadata": {"name": "a", "uid": "1"}}, obj))
    assert status["message"] == 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "2": field is immutable'
    assert len(status["details"]["causes"]) == 2
    status = invalid_status(
        workload(), check_required(merge_patch(workload(), {"spec": {"replicas": -1, "selector": None}}))
    )
    assert status["message"].startswith('Deployment.apps "w" is invalid: [spec.replicas: ')


def test_wrong_types_are_worded_like_gos_decoder():
    def first(obj, version, kind):
        return check_types(obj, SCHEMAS.of(version, kind))[0]

    containers = {"spec": {"template": {"spec": {"containers": "x"}}}}
    assert first(containers, "apps/v1", "Deployment") == (
        "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"
    )
    assert (
        first({"data": []}, "v1", "ConfigMap")
        == "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"
    )
    assert "number 1.5" in first({"spec": {"replicas": 1.5}}, "apps/v1", "Deployment")
    assert first({"data": {"a": "not base64"}}, "v1", "Secret") == "illegal base64 data at input byte 0"


def test_unknown_fields_are_paths_with_indexes():
    pod = {"spec": {"containers": [{"name": "a", "imagePullpolicy": "x"}], "hostAlias": []}, "metadata": {"lables": {}}}
    unknown = unknown_fields(pod, SCHEMAS.of("v1", "Pod"))
    assert unknown == ["spec.containers[0].imagePullpolicy", "spec.hostAlias", "metadata.lables"]
    assert strict_error(unknown[:1]) == 'strict decoding error: unknown field "spec.containers[0].imagePullpolicy"'
    assert unknown_fields({"spec": {"nope": 1, "free": {"x": 1}}}, WIDGET) == ["spec.nope"]
    assert unknown_fields({"any": 1}, None) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("500m", "1/2"),
        ("1Gi", "1073741824"),
        ("1e3", "1000"),
        ("0.1", "1/10"),
        ("2", "2"),
        ("5E", "5000000000000000000"),
        ("abc", None),
        ("1.2.3", None),
        ("", None),
        ("1KiB", None),
    ],
)
def test_quantities_are_read_exactly(text, number):
    found = parse_quantity(text)
    assert (None if found is None else str(found)) == number


def test_selectors_of_every_operator():
    def terms(operator, *values):
        return {"matchExpressions": [{"key": "k", "operator": operator, "values": list(values)}]}

    here, elsewhere = {"k": "v"}, {}
    assert [selects(terms("In", "v"), labels) for labels in (here, elsewhere)] == [True, False]
    assert [selects(terms("NotIn", "v"), labels) for labels in (here, elsewhere)] == [False, True]
    assert [selects(terms("Exists"), labels) for labels in (here, elsewhere)] == [True, False]
    assert [selects(terms("DoesNotExist"), labels) for labels in (here, elsewhere)] == [False, True]


def test_custom_resources_are_checked_by_their_schema():
    def faults_of(**spec):
        return [str(error) for error in check_custom({"spec": spec}, WIDGET_SCHEMA)]

    assert faults_of(size=1, color="red", tags=["a"], parts=[{"name": "p"}], free={"x": [1]}) == []
    assert faults_of(tags=["a", "a"], parts=[{"name": "p"}, {"name": "p"}], size=-1) == [
        "spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0",
        'spec.tags[1]: Duplicate value: "a"',
        'spec.parts[1]: Duplicate value: {"name":"p"}',
    ]
    assert faults_of(size=True)[0].startswith(
        'spec.size: Invalid value: "boolean": spec.size in body must be of type integer'
    )


def test_defaults_of_custom_resources_are_filled_in_at_every_depth():
    schema = {
        "properties": {
            "a": {"default": {}, "properties": {"b": {"default": 1}}},
            "l": {"items": {"properties": {"c": {"default": 2}}}},
        }
    }
    assert default_custom({"l": [{}]}, schema) == {"a": {"b": 1}, "l": [{"c": 2}]}
    full = {"a": {"b": 5}, "l": [{"c": 6}]}
    assert default_custom(full, schema) is full


@pytest.mark.parametrize(("group", "kind"), list(RULES))
def test_defaults_speak_of_fields_that_exist(group, kind):
    """A misspelled default would be an unknown field of its own kind."""
    versions = [version for version, name, _ in SCHEMAS.kinds() if name == kind and version.rpartition("/")[0] == group]
    assert versions
    for version in versions:
        schema = SCHEMAS.of(version, kind)
        obj = apply_defaults(
            {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **_skeleton(schema)}, kind
        )
        assert unknown_fields(obj, schema) == []
        assert check_types(obj, schema) == []
        assert apply_defaults(obj, kind) is obj


def _skeleton(schema, depth=0):
    """An object with one empty item of everything down to the fields of a container's probe."""
    if depth > 9:
        return {}
    made = {}
    for name, inner in schema.fields.items():
        if name in ("status", "metadata", "apiVersion", "kind") and depth == 0:
            continue
        if inner.shape == "struct":
            made[name] = _skeleton(inner, depth + 1)
        elif inner.shape == "list" and inner.element.shape == "struct":
            made[name] = [_skeleton(inner.element, depth + 1)]
    return made


def test_image_tags_decide_the_pull_policy():
    images = {
        "a": "Always",
        "a:latest": "Always",
        "a:1": "IfNotPresent",
        "r:5000/a": "Always",
        "a@sha256:0": "IfNotPresent",
    }
    for image, policy in images.items():
        pod = apply_defaults({"apiVersion": "v1", "spec": {"containers": [{"image": image}]}}, "Pod")
        assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_the_old_name_of_the_service_account_follows_the_new_one():
    spec = apply_defaults({"apiVersion": "v1", "spec": {"serviceAccountName": "new", "serviceAccount": "old"}}, "Pod")[
        "spec"
    ]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("new", "new")
    assert (
        apply_defaults({"apiVersion": "v1", "spec": {"serviceAccount": "old"}}, "Pod")["spec"]["serviceAccountName"]
        == "old"
    )


def test_a_stateful_set_that_names_its_strategy_gets_no_partition():
    assert workload("StatefulSet")["spec"]["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
    }
    named = workload("StatefulSet", updateStrategy={"type": "RollingUpdate"})
    assert named["spec"]["updateStrategy"] == {"type": "RollingUpdate"}


def test_text_of_a_secret_becomes_data_and_a_namespace_gets_its_name_as_label():
    secret = {"apiVersion": "v1", "data": {"a": "eA=="}, "stringData": {"b": "y"}}
    assert apply_defaults(secret, "Secret") == {
        "apiVersion": "v1",
        "data": {"a": "eA==", "b": "eQ=="},
        "type": "Opaque",
    }
    namespace = apply_defaults({"apiVersion": "v1", "metadata": {"name": "n"}}, "Namespace")
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["spec", "metadata", "template", "containers", "name", "labels", "ports"]),
                inner,
                max_size=3,
            )
        ),
    )
)
def test_checks_of_types_never_fail_on_nonsense(nonsense):
    for resource in ("deployments", "services", "configmaps"):
        assert isinstance(check_types({"spec": nonsense, "metadata": nonsense}, schema_for(resource)), list)
        assert isinstance(unknown_fields({"spec": nonsense}, schema_for(resource)), list)
