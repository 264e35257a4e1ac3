"""What was found is recognised as components, under names that stay."""

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from addonry.model.catalog import CatalogEntry, ChartSource, Fingerprints
from addonry.model.components import Found, Health, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import Version
from addonry.model.inventory import Inventory
from addonry.model.owners import Conflict, Owner, OwnerRef, Turnover
from addonry.rules.matching import (
    Image,
    count_others,
    main_image,
    recognise,
    split_chart_label,
    split_image,
    told_version,
)
from tests.builders import an_entry

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

COREDNS = an_entry(
    "coredns",
    aliases=("kube-dns",),
    fingerprints=Fingerprints(
        charts=("coredns",), workloads=(("Deployment", "coredns"),), images=("coredns/coredns", "coredns")
    ),
)
METRICS = an_entry(
    "metrics-server",
    fingerprints=Fingerprints(
        charts=("metrics-server",),
        workloads=(("Deployment", "metrics-server"),),
        images=("metrics-server/metrics-server",),
    ),
)
ENTRIES = (COREDNS, METRICS)


def a_release(
    name: str, chart: str = "", namespace: str = "kube-system", status: ReleaseStatus = ReleaseStatus.DEPLOYED, **given
) -> Found:
    place = Placement(SourceKind.HELM, namespace, name)
    return Found(place, Version("1.0.0"), "2.0", chart or name, Owner.HELM, Health.CURRENT, status=status, **given)


def a_workload(name: str, *images: str, namespace: str = "kube-system", kind: str = "Deployment") -> Found:
    place = Placement(SourceKind.WORKLOAD, namespace, name, kind)
    version = told_version(images[0])[0] if images else Version("")
    return Found(place, version, "", "", Owner.NOBODY, Health.CURRENT, images=images)


def names(*found: Found, entries: tuple[CatalogEntry, ...] = ENTRIES) -> dict[str, str]:
    """The recognised components: name, and what lies behind it."""
    inventory = Inventory("v1.36.2", 3, frozenset(), found)
    return {
        component.name: f"{component.found.placement.namespace}/{component.found.placement.name}"
        for component in recognise(inventory, entries, NOW)
    }


def test_a_release_is_recognised_by_its_chart_whatever_its_name():
    assert names(a_release("dns", "coredns")) == {"coredns": "kube-system/dns"}


def test_a_plain_workload_is_recognised_by_kind_and_name():
    assert names(a_workload("coredns", "mirror.example/dns:1")) == {"coredns": "kube-system/coredns"}


@pytest.mark.parametrize(
    "image",
    [
        "coredns/coredns:1.11.1",
        "registry.k8s.io/coredns/coredns:v1.11.1",
        "registry.k8s.io/coredns:1.6.2",
        "localhost:5000/mirror/coredns/coredns@sha256:" + "a" * 64,
        "docker.io/library/coredns",
    ],
)
def test_a_plain_workload_is_recognised_by_its_image(image):
    assert names(a_workload("dns", image)) == {"coredns": "kube-system/dns"}


@pytest.mark.parametrize("image", ["somebody/coredns:1", "coredns-helper:1", "example/xcoredns/coredns2:1"])
def test_an_image_that_only_sounds_alike_is_not_taken(image):
    assert names(a_workload("dns", image)) == {}


def test_the_kind_counts():
    assert names(a_workload("coredns", "x:1", kind="DaemonSet")) == {}


def test_an_unknown_release_is_listed_and_an_unknown_workload_is_not():
    assert names(a_release("shop"), a_workload("shop", "shop:1")) == {"shop": "kube-system/shop"}


def test_a_bundle_that_contains_a_known_image_stays_what_it_is():
    """Upgrading it as if it were the component would replace somebody's whole platform."""
    assert names(a_release("platform", images=("coredns/coredns:1",))) == {"platform": "kube-system/platform"}


def test_a_deployed_release_comes_before_a_plain_workload_of_the_same_component():
    found = (a_workload("coredns", "coredns/coredns:1"), a_release("dns", "coredns", namespace="dns"))
    assert names(*found) == {"coredns": "dns/dns", "coredns@kube-system": "kube-system/coredns"}


def test_a_deployed_release_comes_before_a_failed_one():
    found = (
        a_release("dns", "coredns", status=ReleaseStatus.FAILED),
        a_release("dns", "coredns", namespace="zone"),
    )
    assert names(*found) == {"coredns": "zone/dns", "coredns@kube-system": "kube-system/dns"}


def test_of_two_workloads_the_one_in_the_usual_namespace_has_the_name():
    found = (a_workload("coredns", namespace="a-test"), a_workload("coredns", namespace="kube-system"))
    assert names(*found) == {"coredns": "kube-system/coredns", "coredns@a-test": "a-test/coredns"}


def test_three_of_one_component_in_one_namespace_have_three_names():
    found = [a_workload(name, "coredns/coredns:1") for name in ("coredns", "dns-1", "dns-2")]
    assert set(names(*found)) == {"coredns", "coredns@kube-system", "coredns@kube-system.dns-2"}


@pytest.mark.parametrize("name", ["coredns", "kube-dns"])
def test_a_strange_release_does_not_take_the_name_of_a_component(name):
    """Else a chart called coredns by somebody would be offered CoreDNS's versions."""
    assert names(a_release(name, "my-dns")) == {f"{name}@kube-system": f"kube-system/{name}"}


def test_the_same_releases_have_the_same_names_in_whatever_order_they_are_found():
    found = [
        a_release(name, chart, namespace)
        for name, chart in (("a", "coredns"), ("b", "x"), ("coredns", "y"))
        for namespace in ("one", "two")
    ]
    expected = names(*found)
    dice = random.Random(7)
    for _ in range(20):
        dice.shuffle(found)
        assert names(*found) == expected
    assert len(expected) == len(found)


def test_the_version_of_a_known_workload_is_the_tag_of_its_own_image():
    found = a_workload("metrics-server", "mesh/proxy:9.9", "registry.k8s.io/metrics-server/metrics-server:v0.7.2")
    inventory = Inventory("v1.36.2", 3, frozenset(), (found,))
    (component,) = recognise(inventory, ENTRIES, NOW)
    assert (component.version, component.in_catalog, component.observed_at) == ("v0.7.2", True, NOW)


IMAGES = [
    ("nginx", Image("", "nginx", "", "")),
    ("nginx:1.2", Image("", "nginx", "1.2", "")),
    ("team/app:1", Image("", "team/app", "1", "")),
    ("registry.k8s.io/coredns/coredns:v1.11.1", Image("registry.k8s.io", "coredns/coredns", "v1.11.1", "")),
    ("localhost:5000/app", Image("localhost:5000", "app", "", "")),
    ("localhost/app:1", Image("localhost", "app", "1", "")),
    ("host:5000/a/b:2@sha256:abc", Image("host:5000", "a/b", "2", "sha256:abc")),
    ("quay.io/a@sha256:abc", Image("quay.io", "a", "", "sha256:abc")),
    ("", Image("", "", "", "")),
]


@pytest.mark.parametrize(("text", "parts"), IMAGES)
def test_an_image_is_read_as_registries_read_it(text, parts):
    assert split_image(text) == parts


CALLED = "app.kubernetes.io/version"
BUILT = "org.opencontainers.image.version"
DIGEST = "app@sha256:0123456789abcdef"

VERSIONS = [
    ("app:v1.2", {}, {}, "v1.2"),
    ("app:v1.2", {CALLED: "9"}, {BUILT: "9"}, "v1.2"),
    ("host:5000/app", {CALLED: "1.2"}, {}, "1.2"),
    ("app:latest", {CALLED: "1.2"}, {}, "1.2"),
    ("app:latest", {}, {}, "latest"),
    (DIGEST, {CALLED: "1.2"}, {BUILT: "1.3"}, "1.2"),
    (DIGEST, {}, {BUILT: "1.3"}, "1.3"),
    (DIGEST, {"helm.sh/chart": "app-4.0.0"}, {}, ""),
    (DIGEST, {}, {}, ""),
    ("app", {}, {}, ""),
    ("", {}, {}, ""),
]


@pytest.mark.parametrize(("image", "labels", "annotations", "version"), VERSIONS)
def test_a_tag_says_the_version_else_a_label_and_a_digest_never(image, labels, annotations, version):
    """Twelve digits of a digest would be taken for a number, and a chart's version counts something else."""
    told, why = told_version(image, labels, annotations)
    assert told == version
    assert bool(why) is not bool(told)


def test_why_there_is_no_version_names_what_there_is():
    assert "digest" in told_version(DIGEST)[1]
    assert "app-4.0.0" in told_version(DIGEST, {"helm.sh/chart": "app-4.0.0"})[1]


def test_the_main_container_is_the_one_called_like_the_workload():
    sidecar_first = [("istio-proxy", "proxy:1"), ("controller", "ingress:2")]
    assert main_image("ingress-nginx-controller", sidecar_first) == "ingress:2"
    assert main_image("web", sidecar_first) == "proxy:1"
    assert main_image("web", []) == ""


LABELS = [
    ("coredns-1.29.0", ("coredns", "1.29.0")),
    ("kube-state-metrics-5.15.2", ("kube-state-metrics", "5.15.2")),
    ("app-1.0.0_build.5", ("app", "1.0.0+build.5")),
    ("cert-manager-v1.14.4", ("cert-manager", "v1.14.4")),
    ("k8s-2048-1.0.0-rc.1", ("k8s-2048", "1.0.0-rc.1")),
    ("nothing", ("nothing", "")),
]


@pytest.mark.parametrize(("label", "parts"), LABELS)
def test_a_chart_label_is_split_into_name_and_version(label, parts):
    assert split_chart_label(label) == parts


def test_a_found_thing_looks_itself_up_however_much_the_catalog_knows():
    """300 workloads against 80 entries: each entry's signs are read once, not once for each workload."""
    reads = []

    class Counted(tuple):
        __slots__ = ()

        def __iter__(self):
            reads.append(self)
            return super().__iter__()

        __contains__ = None

    entries = tuple(an_entry(f"it-{each}", fingerprints=Fingerprints(images=Counted(["a/b"]))) for each in range(80))
    found = [a_workload(f"workload-{each}", f"example/image-{each}:1") for each in range(300)]
    assert names(*found, entries=entries) == {}
    assert len(reads) == 80


def an_owned(found: Found, owner: Owner, **ref) -> Found:
    return replace(found, owner=owner, owner_ref=OwnerRef(owner, **ref) if ref else None)


def conflicts_of(*found: Found) -> dict[str, int]:
    inventory = Inventory("v1.36.2", 3, frozenset(), found)
    return {each.name: len(each.found.conflicts) for each in recognise(inventory, ENTRIES, NOW)}


def test_an_addon_of_the_cloud_and_a_chart_of_one_component_in_one_namespace_are_a_conflict():
    cloud = an_owned(a_workload("metrics-server"), Owner.EKS, kind="add-on", name="metrics-server")
    chart = a_release("metrics", "metrics-server")
    assert set(conflicts_of(cloud, chart).values()) == {1}
    inventory = Inventory("v1.36.2", 3, frozenset(), (cloud, chart))
    (conflict,) = recognise(inventory, ENTRIES, NOW)[0].found.conflicts
    assert {claim.by.title for claim in conflict.claims} == {
        "EKS add-on metrics-server",
        "Helm Release kube-system/metrics",
    }


def test_the_same_component_side_by_side_is_no_conflict_where_it_may_be_meant():
    cloud = an_owned(a_workload("metrics-server"), Owner.EKS, kind="add-on", name="metrics-server")
    assert set(conflicts_of(cloud, a_release("m", "metrics-server", namespace="mine")).values()) == {0}
    assert set(conflicts_of(a_release("one", "coredns"), a_release("two", "coredns")).values()) == {0}
    by_hand = a_workload("coredns")
    assert set(conflicts_of(by_hand, a_release("dns", "coredns")).values()) == {0}


def test_an_operator_of_olm_is_listed_by_its_subscription_whatever_the_catalog_knows():
    ref = {"kind": "Subscription", "namespace": "ops", "name": "my-operator"}
    operator = an_owned(a_workload("controller-manager", namespace="ops"), Owner.OLM, **ref)
    assert names(operator) == {"my-operator": "ops/controller-manager"}


def test_other_workloads_are_counted():
    found = (a_release("shop"), a_workload("coredns"), a_workload("web", "shop:1"), a_workload("db", "shop:2"))
    inventory = Inventory("v1.36.2", 3, frozenset(), found)
    assert count_others(inventory, recognise(inventory, ENTRIES, NOW)) == 2


DRIVER = an_entry(
    "ebs-csi",
    fingerprints=Fingerprints(
        charts=("ebs-csi",),
        workloads=(("Deployment", "ebs-csi-controller"),),
        parts=(("DaemonSet", "ebs-csi-node"),),
    ),
)
FOUGHT_OVER = Conflict("DaemonSet kube-system/ebs-csi-node", ())


def test_what_is_wrong_with_a_part_is_wrong_with_the_component():
    """A part is not listed of its own, so nothing else would tell."""
    turnover = Turnover("changes of DaemonSet kube-system/ebs-csi-node", 9_792, NOW)
    node = replace(a_workload("ebs-csi-node", "x:1", kind="DaemonSet"), conflicts=(FOUGHT_OVER,), turnovers=(turnover,))
    inventory = Inventory("v1.36.2", 3, frozenset(), (a_workload("ebs-csi-controller", "x:1"), node))
    (component,) = recognise(inventory, (DRIVER,), NOW)
    assert component.found.conflicts == (FOUGHT_OVER,)
    assert component.found.turnovers == (turnover,)
    assert count_others(inventory, [component]) == 0


def test_a_part_that_another_owner_keeps_is_a_conflict_of_the_component():
    node = an_owned(a_workload("ebs-csi-node", "x:1", kind="DaemonSet"), Owner.EKS, kind="add-on", name="ebs")
    inventory = Inventory("v1.36.2", 3, frozenset(), (a_release("ebs-csi"), node))
    (component,) = recognise(inventory, (DRIVER,), NOW)
    (conflict,) = component.found.conflicts
    assert {claim.by.owner for claim in conflict.claims} == {Owner.HELM, Owner.EKS}


def test_a_chart_of_the_same_name_by_somebody_else_is_another_component():
    """Bitnami's external-dns has other values and higher versions than the project's: neither is an upgrade of the other."""
    theirs = a_release("dns", "coredns", home="https://bitnami.com")
    assert names(theirs) == {"dns": "kube-system/dns"}
    assert names(a_release("dns", "coredns", home="https://coredns.io")) == {"coredns": "kube-system/dns"}
    own = replace(COREDNS, source=ChartSource("oci://registry-1.docker.io/bitnamicharts", "coredns"))
    assert names(theirs, entries=(own,)) == {"coredns": "kube-system/dns"}, "unless a file says that it is theirs"
