"""Whatever a client may send, a simulated cluster answers: 2xx or 4xx, never a fault of its own.

The autouse fixture of `conftest.py` also fails a test during which the simulator logged anything.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addonry.simulator import SimulatedCluster
from addonry.simulator.objects import EncodeError, encode

pytestmark = pytest.mark.slow

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "default": 1, "minimum": 0},
                                    "parts": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {"name": {"type": "string"}},
                                        },
                                    },
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}
CONTAINER = {"name": "a", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [CONTAINER]}}
SEEDS: dict[str, dict[str, Any]] = {
    "/api/v1/namespaces/default/configmaps": {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}},
    "/api/v1/namespaces/default/pods": {"apiVersion": "v1", "kind": "Pod", "spec": TEMPLATE["spec"]},
    "/api/v1/namespaces/default/services": {
        "apiVersion": "v1",
        "kind": "Service",
        "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]},
    },
    "/apis/apps/v1/namespaces/default/deployments": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "x"}}, "template": TEMPLATE},
    },
    "/apis/example.com/v1/namespaces/default/widgets": {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "spec": {"size": 2, "parts": [{"name": "a"}]},
    },
}
SUBRESOURCES = ("", "", "", "/status", "/scale", "/log", "/eviction", "/nothing")


@dataclass
class Door:
    """One kept connection to a cluster, for requests that no well-behaved client would send."""

    cluster: SimulatedCluster
    _connection: http.client.HTTPConnection | None = field(default=None)

    def send(
        self, method: str, target: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer; the body of a stream stays unread."""
        base = urlsplit(self.cluster.server)
        assert base.hostname is not None
        if self._connection is None:
            self._connection = http.client.HTTPConnection(base.hostname, base.port, timeout=20)
        sent = {"Authorization": f"Bearer {self.cluster.token}", **(headers or {})}
        self._connection.request(method, base.path + target, body, sent)
        response = self._connection.getresponse()
        if response.chunked:
            self.close()
            return response.status, b""
        return response.status, response.read()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@pytest.fixture
def door(cluster: SimulatedCluster) -> Iterator[Door]:
    door = Door(cluster)
    status, answer = door.send(
        "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", as_json(CRD), of(JSON)
    )
    assert status == 201, answer
    for path, seed in SEEDS.items():
        status, answer = door.send("POST", path, as_json(named(seed)), of(JSON))
        assert status == 201, answer
    yield door
    assert door.send("GET", "/api/v1/namespaces/kube-system")[0] == 200
    door.close()


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def of(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type}


def named(seed: dict[str, Any], name: str = "x") -> dict[str, Any]:
    return {**seed, "metadata": {"name": name, "labels": {"app": "x"}}}


def answered(door: Door, method: str, target: str, body: bytes | None = None, **headers: str) -> None:
    """The request got an answer that the real server could have given."""
    status, answer = door.send(method, target, body, {name.replace("_", "-"): value for name, value in headers.items()})
    if status == 500:
        # So the real server answers where its patching or watching code fails on what was sent: without a reason.
        assert b"InternalError" not in answer, answer  # whatever the answer is encoded in
        return
    if status == 504:
        assert b"Too large resource version" in answer
        return
    assert 200 <= status < 500, (status, answer)
    if status >= 400 and answer[:1] == b"{":
        assert json.loads(answer)["code"] == status


def fuzz(count: int) -> Callable[..., Any]:
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


words = st.sampled_from(["", "a", "x", "name", "kube-system", "Bad Name!", "\u00e9", "\x00", "-1", "$patch", "delete"])
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 80, 2**31, 2**62, 2**63, 2**64, -(2**63) - 1, 1.5, 1e300])
    | words
    | st.text(max_size=5)
)
keys = words | st.sampled_from(
    [
        "metadata",
        "spec",
        "labels",
        "ports",
        "$setElementOrder/ports",
        "$retainKeys",
        "$deleteFromPrimitiveList/x",
        "f:a",
    ]
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


@st.composite
def spoilt(draw: st.DrawFn, value: Any, depth: int = 0) -> Any:
    """*value* with junk in some place, or a member too many or too few."""
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 4)) == 0:
        return draw(junk)
    if isinstance(value, list):
        index = draw(st.integers(0, len(value) - 1))
        changed = draw(spoilt(value[index], depth + 1))
        return draw(st.sampled_from([[*value[:index], changed, *value[index + 1 :]], [*value, changed], [changed]]))
    key = draw(st.sampled_from(sorted(value)))
    match draw(st.integers(0, 4)):
        case 0:
            return {name: member for name, member in value.items() if name != key}
        case 1:
            return {**value, draw(keys): draw(junk)}
        case _:
            return {**value, key: draw(spoilt(value[key], depth + 1))}


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """*body* cut off, or with some bytes that are others."""
    if not body or draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=20))
    at = draw(st.integers(0, len(body) - 1))
    return draw(st.sampled_from([body[:at], body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]]))


@st.composite
def bodies(draw: st.DrawFn, seed: Any) -> tuple[bytes, str]:
    """An object in one of the encodings, mostly not quite right, and what its header says of it."""
    value = draw(st.just(seed) | spoilt(seed) | junk)
    content_type = draw(st.sampled_from([JSON, YAML, PROTOBUF]))
    body = as_json(value)
    if content_type == YAML:
        body = yaml.safe_dump(value, allow_unicode=True).encode()
    if content_type == PROTOBUF:
        with contextlib.suppress(EncodeError, AttributeError, TypeError):
            body = encode(value)
    if draw(st.integers(0, 3)) == 0:
        body = draw(damaged(body))
    if draw(st.integers(0, 9)) == 0:
        content_type = draw(st.sampled_from(["", "text/plain", f"{JSON};charset=utf-8", ";", "application/cbor"]))
    return body, content_type


values = st.sampled_from(
    ["", "0", "1", "true", "false", "-1", "abc", "99999999999999999999", "1.5", "All", "\u00b2"]
) | st.text(max_size=4)
PARAMETERS: dict[str, st.SearchStrategy[str]] = {
    "limit": values,
    "continue": values
    | st.sampled_from(
        [
            "e30",
            "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
            "eyJydiI6LTF9",
            "bnVsbA",
            "W10",
            "____",
            "eyJydiI6SW5maW5pdHksInN0YXJ0IjoiIn0",
        ]
    ),
    "resourceVersion": values,
    "resourceVersionMatch": values | st.sampled_from(["Exact", "NotOlderThan"]),
    "timeoutSeconds": st.sampled_from(["0", "1", "-1", "abc", "", "99999999999999999999"]),
    "timeout": values | st.sampled_from(["1s", "-1s", "1h1h", "1e9s"]),
    "watch": st.sampled_from(["", "0", "1", "true", "abc"]),
    "allowWatchBookmarks": values,
    "sendInitialEvents": values,
    "fieldValidation": values | st.sampled_from(["Strict", "Warn", "Ignore"]),
    "dryRun": values,
    "fieldManager": values | st.just("m" * 200),
    "force": values,
    "propagationPolicy": values | st.sampled_from(["Orphan", "Background", "Foreground"]),
    "gracePeriodSeconds": values,
    "orphanDependents": values,
    "pretty": values,
    "includeObject": values | st.sampled_from(["None", "Metadata", "Object"]),
    "container": values,
    "tailLines": values,
    "sinceSeconds": values,
    "sinceTime": values,
    "limitBytes": values,
    "unheardOf": values,
}
SELECTORS = st.lists(
    st.sampled_from(
        ["app", "x", "in", "notin", "(", ")", ",", "=", "==", "!=", "!", " ", "<", ">", "1", "a/b", "metadata.name"]
    )
    | st.sampled_from(["status.phase", "spec.nodeName", "\\", "\\,", "\u00e9", "/", "-", "involvedObject.kind"]),
    max_size=6,
).map("".join)


LIVELY = st.sampled_from(["watch", "resourceVersion", "continue", "limit", "sendInitialEvents"])


@st.composite
def queries(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)) | LIVELY, max_size=4))
    pairs = [(name, draw(PARAMETERS[name])) for name in names]
    pairs += [(name, draw(SELECTORS)) for name in ("labelSelector", "fieldSelector") if draw(st.integers(0, 2)) == 0]
    return f"?{urlencode(pairs)}" if pairs else ""


accepts = st.lists(
    st.sampled_from(
        [
            JSON,
            YAML,
            PROTOBUF,
            "*/*",
            f"{JSON};as=Table;g=meta.k8s.io;v=v1",
            f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1",
            f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            f"{JSON};as=Table;v=v9",
            f"{JSON};stream=watch",
            f"{JSON};as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2",
            "text/html",
            ";;=",
            "",
        ]
    ),
    max_size=3,
).map(",".join)
collections = st.sampled_from(sorted(SEEDS))
subresources = st.sampled_from(SUBRESOURCES)
names = st.sampled_from(["x", "x", "x", "y", "gone"])


def test_a_write_of_any_body_in_any_encoding_is_answered(door: Door) -> None:
    @fuzz(250)
    @given(st.data(), collections, names, st.booleans(), subresources, queries())
    def writes(data: st.DataObject, collection: str, name: str, replaces: bool, subresource: str, query: str) -> None:
        body, content_type = data.draw(bodies(named(SEEDS[collection], name)))
        path = f"{collection}/{name}{subresource}" if replaces or subresource else collection
        method = "PUT" if replaces else "POST"
        answered(door, method, path + query, body, Content_Type=content_type)

    writes()


def test_a_custom_resource_definition_of_any_shape_is_answered(door: Door) -> None:
    @fuzz(60)
    @given(st.data(), st.booleans())
    def defines(data: st.DataObject, replaces: bool) -> None:
        body, content_type = data.draw(bodies({**CRD, "metadata": {"name": "widgets.example.com"}}))
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        target = f"{path}/widgets.example.com?dryRun=All" if replaces else f"{path}?dryRun=All"
        answered(door, "PUT" if replaces else "POST", target, body, Content_Type=content_type)

    defines()


@pytest.mark.parametrize("content_type", PATCHES)
def test_a_patch_of_any_content_is_answered(door: Door, content_type: str) -> None:
    pointers = st.lists(
        st.sampled_from(["", "metadata", "labels", "spec", "data", "ports", "0", "-", "~1", "~2", "a"]), max_size=4
    ).map(lambda parts: "".join(f"/{part}" for part in parts))
    operation = st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "jump"]) | junk},
        optional={"path": pointers | junk, "from": pointers | junk, "value": junk},
    )

    @fuzz(90)
    @given(st.data(), collections, names, subresources, queries())
    def patches(data: st.DataObject, collection: str, name: str, subresource: str, query: str) -> None:
        seed = named(SEEDS[collection], name)
        sensible = st.lists(operation, max_size=3) if content_type == PATCHES[0] else spoilt(seed)
        body = as_json(data.draw(sensible | junk))
        if data.draw(st.integers(0, 5)) == 0:
            body = data.draw(damaged(body))
        if content_type == PATCHES[3] and "fieldManager" not in query:
            query = f"{query}&fieldManager=f" if query else "?fieldManager=f"
        answered(door, "PATCH", f"{collection}/{name}{subresource}{query}", body, Content_Type=content_type)

    patches()


def test_a_read_with_any_parameters_in_any_form_is_answered(door: Door) -> None:
    @fuzz(250)
    @given(collections, st.sampled_from(["", "", "/x", "/gone"]), subresources, queries(), accepts)
    def reads(collection: str, name: str, subresource: str, query: str, accept: str) -> None:
        answered(door, "GET", f"{collection}{name}{subresource if name else ''}{query}", Accept=accept)

    reads()


def test_a_deletion_with_any_options_is_answered(door: Door) -> None:
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u", "resourceVersion": "1"},
        "dryRun": ["All"],
    }

    @fuzz(100)
    @given(st.data(), collections, st.sampled_from(["", "/x", "/gone"]), queries())
    def deletes(data: st.DataObject, collection: str, name: str, query: str) -> None:
        body, content_type = data.draw(bodies(options))
        answered(door, "DELETE", f"{collection}{name}{query}", body, Content_Type=content_type)

    deletes()


def test_any_path_by_any_method_for_anyone_is_answered(door: Door) -> None:
    segments = st.sampled_from(
        ["api", "apis", "v1", "apps", "namespaces", "default", "pods", "x", "status", "log", "watch", "openapi", "v2"]
    ) | st.sampled_from(
        ["v3", "version", "healthz", "readyz", "metrics", "", "..", "%2F", "%", "%zz", "%ff", "example.com"]
    )
    paths = st.lists(segments, max_size=7).map(lambda parts: "/" + "/".join(parts))
    users = st.sampled_from(["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "Basic !", "Bearer a.b.c", "Digest"])
    methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])

    @fuzz(250)
    @given(methods, paths | st.text(max_size=8).map(lambda text: f"/{quote(text)}"), users, words.map(quote), accepts)
    def knocks(method: str, path: str, user: str, impersonated: str, accept: str) -> None:
        headers = {"Accept": accept}
        if user:
            headers["Authorization"] = user
        if impersonated:
            headers["Impersonate_User"] = impersonated
        answered(door, method, path, **headers)

    knocks()


def test_a_review_of_any_shape_is_answered(door: Door) -> None:
    group = "authorization.k8s.io/v1"
    review = {
        "apiVersion": group,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}},
    }

    @fuzz(60)
    @given(st.data(), st.sampled_from(["selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews"]))
    def reviews(data: st.DataObject, resource: str) -> None:
        body, content_type = data.draw(bodies(review))
        answered(door, "POST", f"/apis/{group}/{resource}", body, Content_Type=content_type)

    reviews()


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (
            "/api/v1/namespaces/default/serviceaccounts/default/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": ["a"], "expirationSeconds": 600},
            },
        ),
        (
            "/api/v1/namespaces/default/pods/x/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "x"},
                "deleteOptions": {"gracePeriodSeconds": 1, "preconditions": {"uid": "u"}},
            },
        ),
        (
            "/api/v1/namespaces/default/pods/x/binding",
            {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "x"}, "target": {"kind": "Node", "name": "n"}},
        ),
    ],
    ids=["token", "eviction", "binding"],
)
def test_an_action_asked_for_with_any_body_is_answered(door: Door, path: str, sent: dict[str, Any]) -> None:
    @fuzz(60)
    @given(st.data(), queries())
    def acts(data: st.DataObject, query: str) -> None:
        body, content_type = data.draw(bodies(sent))
        answered(door, "POST", path + query, body, Content_Type=content_type)

    acts()


DEFAULT = "/api/v1/namespaces/default"
TOKEN = f"{DEFAULT}/serviceaccounts/default/token"
FOUND = [
    ("DELETE", f"{DEFAULT}/configmaps/x", {"gracePeriodSeconds": []}, JSON, 400),
    ("DELETE", f"{DEFAULT}/configmaps/x?gracePeriodSeconds=x", None, JSON, 400),
    ("PATCH", f"{DEFAULT}/configmaps/x", [{"op": [], "path": "/data"}], PATCHES[0], 422),
    ("PUT", "/apis/apps/v1/namespaces/default/deployments/x/scale", {"spec": "r"}, JSON, 400),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": True}, JSON, 400),
    ("POST", "/apis/example.com/v1/namespaces/default/widgets", {"apiVersion": []}, JSON, 400),
    ("POST", TOKEN, {"spec": "soon"}, JSON, 400),
    ("POST", TOKEN, {"spec": {"expirationSeconds": 2**62}}, JSON, 422),
    ("GET", f"{DEFAULT}/pods?resourceVersion=%C2%B2", None, JSON, 400),
    ("GET", f"{DEFAULT}/pods?continue=eyJydiI6SW5maW5pdHksInN0YXJ0IjoiIn0", None, JSON, 400),
]


@pytest.mark.parametrize(("method", "target", "body", "content_type", "expected"), FOUND)
def test_what_the_fuzzers_found_is_refused(
    door: Door, method: str, target: str, body: Any, content_type: str, expected: int
) -> None:
    status, answer = door.send(method, target, None if body is None else as_json(body), of(content_type))
    assert (status, json.loads(answer)["code"]) == (expected, expected), answer
