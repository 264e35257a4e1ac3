"""The packaged components: each is recognised by its own signs and by nothing else's, and all the fields are covered."""

import json
from collections import Counter
from datetime import UTC, datetime
from importlib import resources

import pytest

from addonry.catalogs import CatalogSettings, MemoryShelf, open_catalog
from addonry.model.components import Found, Health, Placement, SourceKind
from addonry.model.ids import Version
from addonry.model.inventory import Inventory
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.matching import count_others, recognise, signs_of
from addonry.rules.versions import satisfies

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
ENTRIES = open_catalog(CatalogSettings(), MemoryShelf(), now=lambda: NOW).entries()
BY_NAME = {entry.name: entry for entry in ENTRIES}
SIGNS = [(entry.name, sign) for entry in ENTRIES for sign in signs_of(entry)]


def found_with(sign):
    """Something on a cluster that bears one sign and no other."""
    match sign:
        case ("chart", chart):
            place, images = Placement(SourceKind.HELM, "somewhere", "any-name"), ()
        case ("workload" | "part", kind, name):
            place, images = (
                Placement(SourceKind.WORKLOAD, "somewhere", name, kind),
                ("registry.test/other/thing:1.2.3",),
            )
        case ("image", repository):
            place = Placement(SourceKind.WORKLOAD, "somewhere", "any-name", "Deployment")
            images = (
                f"mirror.test/cache/{repository}:v1.2.3" if "/" in repository else f"mirror.test/{repository}:v1.2.3",
            )
        case ("operator", package):
            place, images = Placement(SourceKind.WORKLOAD, "somewhere", "manager", "Deployment"), ()
            by = OwnerRef(Owner.OLM, "ClusterServiceVersion", "somewhere", f"{package}.v1.2.3", Upkeep.CORRECTS)
            return Found(place, Version("1.2.3"), "", "", Owner.OLM, Health.CURRENT, owner_ref=by)
    chart = sign[1] if sign[0] == "chart" else ""
    return Found(place, Version("1.2.3"), "", chart, Owner.NOBODY, Health.CURRENT, images=images)


def recognised(*found):
    return recognise(Inventory("v1.36.2", 3, frozenset(), found), ENTRIES, NOW)


@pytest.mark.parametrize(
    ("name", "sign"), SIGNS, ids=lambda value: "-".join(value) if isinstance(value, tuple) else value
)
def test_each_sign_leads_to_its_component_alone(name, sign):
    [component] = recognised(found_with(sign))
    assert (component.name, component.in_catalog) == (name, True)


def test_no_two_components_share_a_sign():
    """A workload is the same sign whether it stands for a component or is a part of one."""
    counted = Counter(("workload", *sign[1:]) if sign[0] == "part" else sign for _, sign in SIGNS)
    assert [sign for sign, count in counted.items() if count > 1] == []


def test_every_component_can_be_recognised():
    assert {entry.name for entry in ENTRIES} == {name for name, _ in SIGNS}


def test_a_stack_is_one_component_and_what_stands_alone_another():
    """What a Helm release owns is not found apart from it, so the exporters inside a stack are not listed twice."""
    stack = found_with(("chart", "kube-prometheus-stack"))
    alone = found_with(("workload", "Deployment", "kube-state-metrics"))
    assert {component.name for component in recognised(stack, alone)} == {"kube-prometheus-stack", "kube-state-metrics"}


def test_the_parts_of_a_driver_are_not_listed_beside_it():
    controller = found_with(("workload", "Deployment", "ebs-csi-controller"))
    node = found_with(("part", "DaemonSet", "ebs-csi-node"))
    [component] = recognised(node, controller)
    assert component.found.placement.name == "ebs-csi-controller"


def test_topics_and_acks_names_are_covered():
    schema = json.loads(resources.files("addonry.catalogs").joinpath("component.schema.json").read_text())
    assert {entry.topic for entry in ENTRIES} == set(schema["properties"]["topic"]["enum"])
    answering = {name for entry in ENTRIES for name in (entry.name, *entry.aliases)}
    assert answering >= {
        "ack-node-local-dns", "ack-node-problem-detector", "alb-ingress-controller", "arms-prometheus", "csi-plugin",
        "cloud-controller-manager", "csi-provisioner", "kube-flannel-ds", "logtail-ds", "managed-kube-proxy",
        "migrate-controller", "nginx-ingress-controller", "terway-eniip",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "app_version", "kubernetes", "fits"),
    [
        ("metrics-server", "0.8.0", "v1.30.4", False),
        ("metrics-server", "0.8.0", "v1.31.0", True),
        ("karpenter", "1.12.0", "v1.36.1", False),
        ("karpenter", "1.13.0", "v1.36.1", True),
        ("prometheus-operator", "v0.84.0", "v1.24.9", False),
    ],
)
def test_ranges_say_what_their_pages_say(name, app_version, kubernetes, fits):
    ranges = [each for each in BY_NAME[name].ranges if satisfies(app_version, each.versions.constraint)]
    assert all(satisfies(kubernetes, each.kubernetes) for each in ranges) is fits


@pytest.mark.parametrize("name", ["cilium", "longhorn", "istiod", "rook-ceph", "cert-manager", "velero", "contour"])
def test_versions_of_these_are_not_skipped(name):
    assert BY_NAME[name].path is not None
    assert BY_NAME[name].path.by.value == "minor"


def test_what_has_ended_says_what_to_use_instead():
    ended = {entry.name for entry in ENTRIES for end in entry.ends if not end.versions.constraint}
    assert ended >= {"ingress-nginx", "kubernetes-dashboard", "promtail", "grafana-agent"}
    assert all(end.successor for entry in ENTRIES for end in entry.ends)


def test_parts_count_to_their_component_and_not_to_the_other_workloads():
    """On AKS the controller of the disk driver runs where nobody sees it, and its DaemonSets stand for it."""
    nodes = [found_with(("part", "DaemonSet", f"csi-azuredisk-node{suffix}")) for suffix in ("-win", "")]
    strange = found_with(("workload", "Deployment", "shop"))
    inventory = Inventory("v1.36.2", 3, frozenset(), (*nodes, strange))
    [component] = recognise(inventory, ENTRIES, NOW)
    assert component.found.placement.name == "csi-azuredisk-node"
    assert [each.name for each in component.parts] == ["csi-azuredisk-node-win"]
    assert count_others(inventory, [component]) == 1
