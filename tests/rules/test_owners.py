"""Whose an object is: marks, held against what the controllers say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import (
    Controlled,
    Marks,
    Registry,
    Writer,
    claims_on,
    claims_on_release,
    conflict_over,
    conflict_over_release,
    installed_by,
    register,
)

KEY = ("Deployment", "kube-system", "coredns")
RELEASE = ("kube-system", "dns")

TRACKED = {"argocd.argoproj.io/tracking-id": "dns:apps/Deployment:kube-system/coredns"}
KUSTOMIZED = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
RELEASED = {"helm.toolkit.fluxcd.io/name": "dns", "helm.toolkit.fluxcd.io/namespace": "flux-system"}
HELMED = {"meta.helm.sh/release-name": "dns", "meta.helm.sh/release-namespace": "kube-system"}

APPLICATION = OwnerRef(Owner.ARGO_CD, "Application", "argocd", "dns", Upkeep.CORRECTS, "syncs automatically")
OTHER_APPLICATION = OwnerRef(Owner.ARGO_CD, "Application", "argocd", "platform", Upkeep.APPLIES)
KUSTOMIZATION = OwnerRef(Owner.FLUX, "Kustomization", "flux-system", "apps", Upkeep.CORRECTS)
HELM_RELEASE = OwnerRef(Owner.FLUX, "HelmRelease", "flux-system", "dns", Upkeep.PAUSED, "suspended")

ALL_ASKED = frozenset({(Owner.ARGO_CD, "Application"), (Owner.FLUX, "Kustomization"), (Owner.FLUX, "HelmRelease")})


def some_marks(**given) -> Marks:
    return Marks(**{"kind": "Deployment", "namespace": "kube-system", "name": "coredns", **given})


def a_registry(*said, asked=(), recorded=(), manifests=None, kubernetes="v1.36.2") -> Registry:
    return register(said, asked=asked, recorded=recorded, manifests=manifests or {}, kubernetes=kubernetes)


def owners(marks: Marks, registry: Registry | None = None) -> list[str]:
    return [claim.by.title for claim in claims_on(marks, registry or Registry())]


SIGNS = [
    ({"annotations": TRACKED}, "Argo CD Application dns"),
    (
        {"annotations": {"argocd.argoproj.io/tracking-id": "team_dns:apps/Deployment:kube-system/coredns"}},
        "Argo CD Application team/dns",
    ),
    ({"labels": {"argocd.argoproj.io/instance": "dns"}}, "Argo CD Application dns"),
    ({"labels": KUSTOMIZED}, "Flux Kustomization flux-system/apps"),
    ({"labels": RELEASED}, "Flux HelmRelease flux-system/dns"),
    (
        {"labels": {"olm.owner": "dns.v1.0.0", "olm.owner.kind": "ClusterServiceVersion"}},
        "OLM ClusterServiceVersion kube-system/dns.v1.0.0",
    ),
    (
        {
            "annotations": {
                "objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon",
                "objectset.rio.cattle.io/owner-name": "coredns",
                "objectset.rio.cattle.io/owner-namespace": "kube-system",
            }
        },
        "k3s Addon kube-system/coredns",
    ),
    (
        {
            "annotations": {
                "objectset.rio.cattle.io/owner-gvk": "management.cattle.io/v3, Kind=Cluster",
                "objectset.rio.cattle.io/owner-name": "c-1",
            }
        },
        "operator Cluster c-1",
    ),
    ({"labels": {"objectset.rio.cattle.io/hash": "abc"}}, "k3s"),
    ({"labels": {"svccontroller.k3s.cattle.io/svcname": "traefik"}}, "k3s Service traefik"),
    ({"writers": (Writer("eks", "Apply", "2026-01-01T00:00:00Z"),)}, "EKS add-on coredns"),
    ({"labels": {"app.kubernetes.io/managed-by": "EKS"}, "name": "ebs-csi-node"}, "EKS add-on aws-ebs-csi-driver"),
    ({"labels": {"kubernetes.azure.com/managedby": "aks"}}, "AKS add-on coredns"),
    ({"annotations": {"components.gke.io/component-name": "kubedns"}}, "GKE add-on kubedns"),
    ({"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "addon manager"),
    ({"labels": {"addon.kops.k8s.io/name": "coredns.addons.k8s.io"}}, "addon manager kOps addon coredns.addons.k8s.io"),
    ({"labels": {"resources.gardener.cloud/managed-by": "gardener"}}, "addon manager ManagedResource"),
    ({"controller": ("operator.tigera.io/v1", "Installation", "default")}, "operator Installation default"),
    ({"labels": {"app.kubernetes.io/managed-by": "tigera-operator"}}, "operator"),
    ({"labels": {"eks.amazonaws.com/component": "coredns", "k8s-app": "kube-dns"}}, "EKS"),
    (
        {"images": ("registry-cn-hangzhou-vpc.ack.aliyuncs.com/acs/coredns:v1.9.3.10-7dfca203-aliyun",)},
        "ACK component coredns",
    ),
    ({"images": ("registry.cn-hangzhou.aliyuncs.com/log-service/logtail:v1.8.4.0-aliyun",)}, "ACK component coredns"),
    ({"writers": (Writer("kustomize-controller", "Apply", "2026-01-01T00:00:00Z"),)}, "Flux"),
    (
        {
            "labels": {"app.kubernetes.io/instance": "dns"},
            "writers": (Writer("argocd-controller", "Apply", "2026-01-01T00:00:00Z"),),
        },
        "Argo CD Application dns",
    ),
    ({"labels": {"k8s-app": "kube-dns"}}, "kubeadm"),
]


@pytest.mark.parametrize(("marks", "owner"), SIGNS)
def test_each_mark_tells_of_its_owner(marks, owner):
    assert owners(some_marks(**marks)) == [owner]


NO_SIGNS = [
    {"labels": {"app.kubernetes.io/instance": "dns", "app.kubernetes.io/managed-by": "Helm"}},
    {"annotations": {"argocd.argoproj.io/tracking-id": "dns:apps/Deployment:elsewhere/coredns"}},
    {"annotations": HELMED},
    {"labels": {"k8s-app": "kube-dns"}, "namespace": "default"},
    {"labels": {"k8s-app": "kube-dns"}, "kind": "DaemonSet"},
    {"labels": {"olm.owner": "x", "olm.owner.kind": "Deployment"}},
    {"controller": ("apps/v1", "ReplicaSet", "x")},
    {"controller": ("batch/v1", "Job", "x")},
    {"writers": (Writer("kubectl-client-side-apply", "Update", "2026-01-01T00:00:00Z"),)},
    {"images": ("registry-cn-hangzhou.ack.aliyuncs.com/acs/coredns:v1",), "namespace": "shop"},
]


@pytest.mark.parametrize("marks", NO_SIGNS)
def test_what_only_looks_like_a_mark_tells_of_nobody(marks):
    assert owners(some_marks(**marks)) == []


def test_the_version_tells_rke2_from_k3s():
    marks = some_marks(annotations={"objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon"})
    assert owners(marks, a_registry(kubernetes="v1.32.3+rke2r1")) == ["RKE2 Addon"]
    assert owners(marks, a_registry(kubernetes="v1.32.3+k3s1")) == ["k3s Addon"]


def test_the_controllers_object_says_what_becomes_of_a_change():
    registry = a_registry(Controlled(APPLICATION), asked=ALL_ASKED)
    (claim,) = claims_on(some_marks(annotations=TRACKED), registry)
    assert claim.by is APPLICATION


def test_an_application_lists_what_it_applied_under_whatever_label_it_tracks():
    """Argo CD's tracking label is that of every chart, so it says nothing; the status does."""
    registry = a_registry(Controlled(APPLICATION, objects=(KEY,)))
    assert owners(some_marks(labels={"app.kubernetes.io/instance": "dns"}), registry) == [APPLICATION.title]


def test_a_mark_and_a_status_of_one_owner_are_one_claim():
    registry = a_registry(Controlled(KUSTOMIZATION, objects=(KEY,)), asked=ALL_ASKED)
    assert owners(some_marks(labels=KUSTOMIZED), registry) == [KUSTOMIZATION.title]


def test_what_an_operator_makes_bears_copied_marks():
    """prometheus-operator hands labels and annotations of a Prometheus on to its StatefulSet."""
    marks = some_marks(
        controller=("monitoring.coreos.com/v1", "Prometheus", "k8s"),
        labels=KUSTOMIZED,
        annotations={**HELMED, **TRACKED},
    )
    assert owners(marks, a_registry(recorded={RELEASE})) == ["operator Prometheus k8s"]


# Helm, and who has it at work.


def test_helm_owns_what_its_release_holds():
    registry = a_registry(recorded={RELEASE}, manifests={RELEASE: [KEY]})
    assert owners(some_marks(annotations=HELMED), registry) == ["Helm Release kube-system/dns"]


def test_where_records_may_not_be_read_the_annotation_must_do():
    assert owners(some_marks(annotations=HELMED), a_registry(recorded=None)) == ["Helm Release kube-system/dns"]


def test_a_release_that_a_controller_makes_is_the_controllers_with_or_without_its_label():
    registry = a_registry(Controlled(HELM_RELEASE, release=RELEASE), asked=ALL_ASKED, recorded={RELEASE})
    for labels in ({}, RELEASED):
        claims = claims_on(some_marks(annotations=HELMED, labels=labels), registry)
        assert [claim.by for claim in claims] == [HELM_RELEASE]
    assert [claim.by for claim in claims_on_release(RELEASE, [], registry)] == [HELM_RELEASE]


def test_a_release_of_flux_whose_flux_is_elsewhere_is_no_conflict():
    registry = a_registry(recorded={RELEASE}, manifests={RELEASE: [KEY]})
    marks = some_marks(annotations=HELMED, labels=RELEASED)
    assert owners(marks, registry) == ["Flux HelmRelease flux-system/dns"]


def test_of_a_whole_release_its_workloads_tell_unless_an_operator_made_them():
    argo = claims_on(some_marks(annotations=TRACKED), Registry())
    operator = claims_on(some_marks(controller=("monitoring.coreos.com/v1", "Prometheus", "k8s")), Registry())
    assert [claim.by.owner for claim in claims_on_release(RELEASE, [operator, argo], Registry())] == [Owner.ARGO_CD]
    assert claims_on_release(RELEASE, [operator], Registry()) == ()


# Conflicts.


CONFLICTS = {
    "a Helm release and a Kustomization": (
        some_marks(annotations=HELMED, labels=KUSTOMIZED),
        a_registry(Controlled(KUSTOMIZATION), asked=ALL_ASKED, recorded={RELEASE}),
        {KUSTOMIZATION.title, "Helm Release kube-system/dns"},
    ),
    "two Applications": (
        some_marks(annotations=TRACKED),
        a_registry(Controlled(APPLICATION), Controlled(OTHER_APPLICATION, objects=(KEY,)), asked=ALL_ASKED),
        {APPLICATION.title, OTHER_APPLICATION.title},
    ),
    "an Application that follows a release": (
        some_marks(annotations={**HELMED, **TRACKED}),
        a_registry(Controlled(APPLICATION), recorded={RELEASE}),
        {APPLICATION.title, "Helm Release kube-system/dns"},
    ),
    "EKS and a Helm release": (
        some_marks(annotations=HELMED, writers=(Writer("eks", "Apply", "2026-01-01T00:00:00Z"),)),
        a_registry(recorded={RELEASE}),
        {"EKS add-on coredns", "Helm Release kube-system/dns"},
    ),
    "two releases, of which one has taken the object over": (
        some_marks(annotations=HELMED),
        a_registry(recorded={RELEASE, ("web", "bundle")}, manifests={("web", "bundle"): [KEY], RELEASE: [KEY]}),
        {"Helm Release kube-system/dns", "Helm Release web/bundle"},
    ),
    "a HelmRelease and another release": (
        some_marks(annotations=HELMED, labels=RELEASED),
        a_registry(
            Controlled(HELM_RELEASE, release=RELEASE),
            recorded={RELEASE, ("web", "bundle")},
            manifests={("web", "bundle"): [KEY]},
        ),
        {HELM_RELEASE.title, "Helm Release web/bundle"},
    ),
    "a Kustomization, and Argo CD that wrote after it and whose mark was overwritten": (
        some_marks(
            labels=KUSTOMIZED,
            writers=(
                Writer("kustomize-controller", "Apply", "2026-01-01T00:00:00Z"),
                Writer("argocd-controller", "Apply", "2026-01-01T00:00:05Z"),
            ),
        ),
        a_registry(Controlled(KUSTOMIZATION), asked=ALL_ASKED),
        {KUSTOMIZATION.title, "Argo CD"},
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_two_who_hold_one_object_for_their_own_are_a_conflict(case):
    marks, registry, expected = CONFLICTS[case]
    claims = claims_on(marks, registry)
    conflict = conflict_over(marks, claims)
    assert conflict is not None
    assert conflict.subject == "Deployment kube-system/coredns"
    assert {claim.by.title for claim in conflict.claims} == expected
    assert all(claim.sign for claim in conflict.claims)


NO_CONFLICTS = {
    "labels of a Kustomization that is gone": (
        some_marks(annotations=HELMED, labels=KUSTOMIZED),
        a_registry(asked=ALL_ASKED, recorded={RELEASE}),
        ["Helm Release kube-system/dns"],
    ),
    "annotations of a release that is gone": (
        some_marks(annotations=HELMED, labels=KUSTOMIZED),
        a_registry(Controlled(KUSTOMIZATION), asked=ALL_ASKED),
        [KUSTOMIZATION.title],
    ),
    "a former owner's entry among the managed fields": (
        some_marks(
            labels=KUSTOMIZED,
            writers=(
                Writer("argocd-controller", "Apply", "2025-01-01T00:00:00Z"),
                Writer("kustomize-controller", "Apply", "2026-01-01T00:00:00Z"),
            ),
        ),
        a_registry(Controlled(KUSTOMIZATION), asked=ALL_ASKED),
        [KUSTOMIZATION.title],
    ),
    "a former owner's entry, where the present one writes under a name of its own": (
        some_marks(
            annotations={"objectset.rio.cattle.io/owner-gvk": "k3s.cattle.io/v1, Kind=Addon"},
            writers=(
                Writer("argocd-controller", "Apply", "2025-01-01T00:00:00Z"),
                Writer("deploy@server-0", "Update", "2026-01-01T00:00:00Z"),
            ),
        ),
        a_registry(),
        ["k3s Addon"],
    ),
    "two who wrote within one second": (
        some_marks(
            labels=KUSTOMIZED,
            writers=(
                Writer("argocd-controller", "Apply", "2026-01-01T00:00:00Z"),
                Writer("kustomize-controller", "Apply", "2026-01-01T00:00:00Z"),
            ),
        ),
        a_registry(Controlled(KUSTOMIZATION), asked=ALL_ASKED),
        [KUSTOMIZATION.title],
    ),
    "an add-on of a cloud and the addon manager that it has at work": (
        some_marks(
            labels={"addonmanager.kubernetes.io/mode": "Reconcile"},
            annotations={"components.gke.io/component-name": "kubedns"},
        ),
        a_registry(),
        ["GKE add-on kubedns"],
    ),
    "a person who edited last": (
        some_marks(
            annotations=HELMED,
            writers=(
                Writer("helm", "Apply", "2026-01-01T00:00:00Z"),
                Writer("kubectl-edit", "Update", "2026-02-01T00:00:00Z"),
            ),
        ),
        a_registry(recorded={RELEASE}),
        ["Helm Release kube-system/dns"],
    ),
    "a HelmChart of k3s and the release it makes": (
        some_marks(annotations=HELMED, writers=(Writer("helm", "Apply", "2026-01-01T00:00:00Z"),)),
        a_registry(
            Controlled(OwnerRef(Owner.K3S, "HelmChart", "kube-system", "dns"), release=RELEASE),
            recorded={RELEASE},
            kubernetes="v1.32.3+rke2r1",
        ),
        ["RKE2 HelmChart kube-system/dns"],
    ),
}


@pytest.mark.parametrize("case", NO_CONFLICTS)
def test_what_a_former_owner_left_behind_is_no_conflict(case):
    marks, registry, expected = NO_CONFLICTS[case]
    assert owners(marks, registry) == expected
    assert conflict_over(marks, claims_on(marks, registry)) is None


def test_a_mark_that_is_out_of_date_tells_of_an_owner_where_nobody_else_does():
    assert owners(some_marks(labels=KUSTOMIZED), a_registry(asked=ALL_ASKED)) == [KUSTOMIZATION.title]


MARKS = [
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "helm.toolkit.fluxcd.io/name",
    "olm.owner",
    "olm.owner.kind",
    "objectset.rio.cattle.io/owner-gvk",
    "objectset.rio.cattle.io/hash",
    "addonmanager.kubernetes.io/mode",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "meta.helm.sh/release-name",
    "components.gke.io/component-name",
    "k8s-app",
]
WORDS = st.sampled_from(
    ["", "dns", ":", "a_b:apps/Deployment:kube-system/coredns", ", Kind=", "k3s.cattle.io/v1, Kind=Addon"]
)
ANY = st.dictionaries(st.sampled_from(MARKS), WORDS | st.text(max_size=8))
WRITERS = st.lists(
    st.builds(Writer, st.sampled_from(["eks", "helm", "kubectl", "argocd-controller", "x"]), st.just("Apply"), WORDS)
)


@given(ANY, ANY, WRITERS, st.booleans())
def test_no_mark_breaks_a_scan_and_no_owner_is_told_twice(labels, annotations, writers, knows):
    """Anybody may write labels: what stands in them is foreign text."""
    marks = some_marks(labels=labels, annotations=annotations, writers=tuple(writers))
    registry = a_registry(Controlled(APPLICATION, objects=(KEY,)), recorded={RELEASE} if knows else None)
    claims = claims_on(marks, registry)
    assert len({claim.by for claim in claims}) == len(claims)
    assert APPLICATION in {claim.by for claim in claims}


SAID = [
    Controlled(APPLICATION, objects=(KEY,)),
    Controlled(OTHER_APPLICATION, objects=(KEY,)),
    Controlled(KUSTOMIZATION, objects=(KEY,)),
    Controlled(HELM_RELEASE, release=RELEASE),
]


@given(st.permutations(SAID))
def test_the_order_in_which_controllers_answer_changes_nobodys_claim(order):
    """Their lists come in as they come in; a finding must not come and go with them."""
    marks = some_marks(annotations={**HELMED, **TRACKED}, labels={**KUSTOMIZED, **RELEASED})
    claims = claims_on(marks, a_registry(*order, recorded={RELEASE}))
    assert claims[0].by == APPLICATION
    assert {claim.by for claim in claims} == {APPLICATION, OTHER_APPLICATION, KUSTOMIZATION, HELM_RELEASE}
    assert len(claims) == 4


def test_two_controllers_of_one_release_are_a_conflict():
    chart = OwnerRef(Owner.K3S, "HelmChart", "kube-system", "dns", Upkeep.APPLIES)
    registry = a_registry(Controlled(HELM_RELEASE, release=RELEASE), Controlled(chart, release=RELEASE))
    conflict = conflict_over_release(RELEASE, claims_on_release(RELEASE, [], registry))
    assert conflict is not None
    assert (conflict.subject, [claim.by for claim in conflict.claims]) == (
        "Helm release kube-system/dns",
        [HELM_RELEASE, chart],
    )


def test_an_owner_that_says_what_it_installed_is_believed():
    extension = OwnerRef(Owner.OLM, "ClusterExtension", "", "dns", Upkeep.CORRECTS)
    registry = a_registry(Controlled(extension, version="1.16.1"))
    labels = {"olm.operatorframework.io/owner-kind": "ClusterExtension", "olm.operatorframework.io/owner-name": "dns"}
    claims = claims_on(some_marks(labels=labels), registry)
    assert (claims[0].by, installed_by(claims, registry)) == (extension, "1.16.1")
    assert installed_by((), registry) == ""
