"""What a cluster serves depends on its Kubernetes version, as on real ones."""

from __future__ import annotations

import pytest

from addonry.simulator import Simulator
from addonry.simulator.objects import Schemas
from addonry.simulator.resources import built_ins
from addonry.simulator.versions import ERAS, NEWEST, OLDEST, whole
from tests.simulator.conftest import Client

MINORS = range(OLDEST, NEWEST + 1)
FLOW_CONTROL = "flowcontrol.apiserver.k8s.io"


def served(minor: int) -> set[str]:
    return {resource.api_version for resource in built_ins(minor)}


# Where each API is first and last served, from the deprecation guide and the release notes.
@pytest.mark.parametrize(
    ("group_version", "first", "last"),
    [
        ("apps/v1", 28, 37),
        ("autoscaling/v2", 28, 37),
        (f"{FLOW_CONTROL}/v1beta2", 28, 28),
        (f"{FLOW_CONTROL}/v1beta3", 28, 31),
        (f"{FLOW_CONTROL}/v1", 29, 37),
        ("resource.k8s.io/v1", 34, 37),
    ],
)
def test_an_api_is_served_from_its_first_minor_to_its_last(group_version: str, first: int, last: int) -> None:
    assert [minor for minor in MINORS if group_version in served(minor)] == list(range(first, last + 1))


@pytest.mark.parametrize(
    ("plural", "first"),
    [
        ("validatingadmissionpolicies", 30),
        ("mutatingadmissionpolicies", 36),
        ("servicecidrs", 33),
        ("volumeattributesclasses", 34),
        ("validatingwebhookconfigurations", 28),
    ],
)
def test_a_resource_of_an_older_group_is_served_from_its_first_minor_on(plural: str, first: int) -> None:
    assert [m for m in MINORS if any(r.plural == plural for r in built_ins(m))] == list(range(first, NEWEST + 1))


def test_every_row_of_the_table_is_about_something_that_is_served_somewhere() -> None:
    """A misspelt row would change nothing, silently."""
    everything = {(r.api_version, r.plural) for minor in MINORS for r in built_ins(minor)}
    for era in ERAS:
        for plural in era.plurals or ("",):
            assert any(version == era.group_version and plural in ("", p) for version, p in everything), era


@pytest.mark.parametrize("minor", MINORS)
def test_every_built_in_resource_has_its_types_in_every_version(minor: int) -> None:
    schemas = Schemas.load()
    assert [r.api_version for r in built_ins(minor) if schemas.of(r.types, r.kind) is None] == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("1.31", "v1.31.14"),
        ("v1.29", "v1.29.15"),
        ("1.30.4", "v1.30.4"),
        ("v1.32.5-eks-5d4a308", "v1.32.5-eks-5d4a308"),
    ],
)
def test_a_minor_stands_for_its_latest_patch(asked: str, told: str) -> None:
    assert whole(asked) == told


@pytest.mark.parametrize("asked", ["1.27", "1.38", "2.1", "", "1", "1.31; rm", "latest"])
def test_other_versions_are_refused(asked: str) -> None:
    with pytest.raises(ValueError, match=r"1\.31|simulated"):
        whole(asked)


@pytest.fixture(scope="module")
def two() -> tuple[Client, Client]:
    with Simulator(clusters=0) as simulator:
        old = simulator.add("old", kubernetes_version="v1.28.15")
        yield Client(old), Client(simulator.add("new", kubernetes_version="v1.37.0"))


def test_version_nodes_discovery_and_openapi_tell_one_story(two: tuple[Client, Client]) -> None:
    for client, version in zip(two, ("v1.28.15", "v1.37.0"), strict=True):
        told = client.get("/version")
        assert (told["gitVersion"], told["minor"]) == (version, version.split(".")[1])
        kubelets = {node["status"]["nodeInfo"]["kubeletVersion"] for node in client.get("/api/v1/nodes")["items"]}
        assert kubelets == {version}
        discovered = {entry["groupVersion"] for group in client.get("/apis")["groups"] for entry in group["versions"]}
        documents = {path.removeprefix("apis/") for path in client.get("/openapi/v3")["paths"] if "apis/" in path}
        assert documents == discovered == served(int(version.split(".")[1])) - {"v1"}


def test_an_object_is_not_found_at_a_version_that_is_not_served(two: tuple[Client, Client]) -> None:
    old, new = two
    old.get(f"/apis/{FLOW_CONTROL}/v1beta3/flowschemas")
    new.get(f"/apis/{FLOW_CONTROL}/v1/flowschemas")
    assert old("GET", f"/apis/{FLOW_CONTROL}/v1/flowschemas").status == 404
    assert new("GET", f"/apis/{FLOW_CONTROL}/v1beta3/flowschemas").status == 404
    assert old("GET", "/apis/resource.k8s.io/v1/deviceclasses").status == 404
    assert old("GET", "/apis/resource.k8s.io").status == 404


def test_an_older_version_takes_and_describes_its_own_kind(two: tuple[Client, Client]) -> None:
    old, _ = two
    path = f"/apis/{FLOW_CONTROL}/v1beta3/flowschemas"
    schema = {
        "apiVersion": f"{FLOW_CONTROL}/v1beta3",
        "kind": "FlowSchema",
        "metadata": {"name": "probes"},
        "spec": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 2},
    }
    assert old.post(path, schema)["apiVersion"] == f"{FLOW_CONTROL}/v1beta3"
    document = old.get(f"/openapi/v3/apis/{FLOW_CONTROL}/v1beta3")
    [described] = document["components"]["schemas"]["io.k8s.api.flowcontrol.v1beta3.FlowSchema"][
        "x-kubernetes-group-version-kind"
    ]
    assert described["version"] == "v1beta3"
    assert "flowcontrol.v1." not in str(document)
