"""Protobuf bodies: what real clients sent, and what nobody should send."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addonry.simulator.objects import DecodeError, Schemas, decode, unknown_fields
from addonry.simulator.objects.protobuf import MAGIC, knows

from .replay import FIXTURES

BODIES = [json.loads(line) for line in (FIXTURES / "protobuf.jsonl").read_text().splitlines()]


def without_zeros(value):
    """The recorder left out empty and zero members."""
    if isinstance(value, dict):
        return {key: without_zeros(part) for key, part in value.items() if part not in (None, [], "", 0, False)}
    return [without_zeros(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["source"])
def test_bodies_of_helm_and_kubectl_are_read_as_recorded(body):
    decoded = decode(base64.b64decode(body["body"]))
    rest = {key: value for key, value in decoded.items() if key not in ("kind", "apiVersion")}
    recorded = {key: value for key, value in body["decoded"].items() if key not in ("kind", "apiVersion")}
    assert without_zeros(rest) == without_zeros(recorded)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["source"])
def test_what_is_read_is_what_the_published_schema_knows(body):
    """Names and nesting are those of JSON, inlined structs included."""
    decoded = decode(base64.b64decode(body["body"]))
    schema = Schemas.load().of(decoded["apiVersion"], decoded["kind"])
    assert schema is not None
    assert unknown_fields(decoded, schema) == []


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def part(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(api_version, kind, message=b""):
    return MAGIC + part(1, part(1, api_version) + part(2, kind)) + part(2, message)


def meta(name):
    return part(1, part(1, name))


def test_every_kind_that_typed_clients_write_can_be_read():
    kinds = {
        "v1": (
            "Secret",
            "ConfigMap",
            "Namespace",
            "ServiceAccount",
            "Event",
            "Pod",
            "Service",
            "Node",
            "DeleteOptions",
        ),
        "apps/v1": ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"),
        "batch/v1": ("Job", "CronJob"),
        "authorization.k8s.io/v1": ("SelfSubjectAccessReview", "SelfSubjectRulesReview"),
        "policy/v1": ("Eviction", "PodDisruptionBudget", "DeleteOptions"),
        "rbac.authorization.k8s.io/v1": ("Role", "ClusterRoleBinding"),
        "autoscaling/v1": ("Scale", "HorizontalPodAutoscaler"),
        "coordination.k8s.io/v1": ("Lease",),
        "meta.k8s.io/v1": ("DeleteOptions",),
    }
    missing = [(version, kind) for version, names in kinds.items() for kind in names if not knows(version, kind)]
    assert missing == []


def test_forms_of_json_that_differ_from_the_message():
    lease = part(2, part(3, part(1, 1_800_000_000) + part(2, 5_000)))
    assert decode(body("coordination.k8s.io/v1", "Lease", lease))["spec"] == {
        "acquireTime": "2027-01-15T08:00:00.000005Z"
    }
    port = part(3, 80) + part(4, part(1, 1) + part(2, 0) + part(3, "http"))
    service = part(2, part(1, port))
    assert decode(body("v1", "Service", service))["spec"]["ports"] == [{"port": 80, "targetPort": "http"}]
    limits = part(8, part(1, part(1, "cpu") + part(2, part(1, "100m"))))
    volume = part(1, part(1, "v") + part(2, part(2, b"")))
    pod = meta("p") + part(2, volume + part(2, part(1, "c") + limits))
    assert decode(body("v1", "Pod", pod))["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "100m"}}}],
    }
    secret = meta("s") + part(2, part(1, "k") + part(2, b"\xff\x00"))
    assert decode(body("v1", "Secret", secret))["data"] == {"k": "/wA="}


def test_zero_replicas_are_said_and_a_zero_of_a_plain_number_is_not():
    deployment = meta("d") + part(2, part(1, 0) + part(5, 0) + part(7, 0))
    assert decode(body("apps/v1", "Deployment", deployment))["spec"] == {"replicas": 0}


def test_negative_numbers_keep_their_sign():
    deployment = meta("d") + part(2, part(1, -1))
    assert decode(body("apps/v1", "Deployment", deployment))["spec"]["replicas"] == -1


def test_fields_of_a_newer_kubernetes_are_skipped():
    message = meta("c") + part(900, "new") + part(901, 7)
    assert decode(body("v1", "ConfigMap", message))["metadata"] == {"name": "c"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"nothing", "expected prefix"),
        (MAGIC + b"\xff\xff garbage", "illegal wireType"),
        (body("v1", "Nope"), "send it as JSON"),
        (body("v1", "ConfigMap", b"\x0a\xff"), "unexpected EOF"),
        (body("v1", "ConfigMap", part(1, part(1, b"\xff"))), "UTF-8"),
        (body("v1", "ConfigMap", part(1, 7)), "wireType"),
        (body("v1", "Event", part(6, part(1, 1 << 62))), "out of range"),
        (MAGIC + part(1, part(1, "v1") + part(2, "Pod")) + part(3, "gzip"), "not supported"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data, says):
    with pytest.raises(DecodeError, match=says):
        decode(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_decode_error(data):
    for candidate in (data, MAGIC + data, body("v1", "Pod", data), body("apiextensions.k8s.io/v1", "X", data)):
        with contextlib.suppress(DecodeError):
            assert isinstance(decode(candidate), dict)


@settings(max_examples=300)
@given(st.sampled_from(BODIES), st.data())
def test_a_damaged_body_is_read_or_refused_and_nothing_else(recorded, data):
    raw = bytearray(base64.b64decode(recorded["body"]))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        assert isinstance(decode(bytes(raw[: data.draw(st.integers(0, len(raw)))])), dict)


def test_nesting_without_end_is_refused():
    """JSONSchemaProps-like recursion must not exhaust the stack."""
    deep = b""
    for _ in range(50_000):
        deep = part(2, deep) if len(deep) < 20_000 else deep
    with contextlib.suppress(DecodeError):
        assert isinstance(decode(body("v1", "Pod", deep)), dict)
