"""What tells of an owner: one reader for each way in which somebody marks what is his.

To recognise one more owner, write a reader and name it in READERS, or in HINTS when it says no more than "probably".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from addonry.model.owners import Claim, Owner, OwnerRef, Upkeep
from addonry.rules.owners.marks import RELEASE_NAME, Marks, Writer
from addonry.rules.owners.registry import Registry


@dataclass(frozen=True, slots=True)
class Read:
    claim: Claim
    is_firm: bool = True


Reader = Callable[[Marks, Registry], Iterator[Read]]


def _resolve(registry: Registry, owner: Owner, kind: str, namespace: str, name: str, sign: str) -> Read:
    """A claim by the controller's object that a mark names, confirmed by that object where it could be looked for."""
    known = registry.named.get((owner, kind, name), ())
    found = next((each.by for each in known if not namespace or each.by.namespace == namespace), None)
    if found is not None:
        return Read(Claim(found, sign))
    return Read(Claim(OwnerRef(owner, kind, namespace, name), sign), is_firm=(owner, kind) not in registry.asked)


def controller_of(reference: tuple[str, str, str]) -> Claim | None:
    api_version, kind, name = reference
    group = api_version.rpartition("/")[0]
    if "." not in group or group.endswith(".k8s.io"):
        return None  # a built-in kind; only those of CRDs have an operator behind them
    product = f"of the operator for {group}"
    return Claim(OwnerRef(Owner.OPERATOR, kind, "", name, Upkeep.CORRECTS, product), f"controlled by {kind} {name}")


def _said(marks: Marks, registry: Registry) -> Iterator[Read]:
    """Controllers that list what they have applied."""
    for each in registry.objects.get(marks.key, ()):
        yield Read(Claim(each.by, f"status of {each.by.kind} {each.by.name}"))


def _olm(marks: Marks, registry: Registry) -> Iterator[Read]:
    # https://olm.operatorframework.io/docs/concepts/crds/clusterserviceversion/
    name = marks.labels.get("olm.owner")
    if name and marks.labels.get("olm.owner.kind") == "ClusterServiceVersion":
        namespace = marks.labels.get("olm.owner.namespace", marks.namespace)
        yield _resolve(registry, Owner.OLM, "ClusterServiceVersion", namespace, name, "label olm.owner")


def _extension(marks: Marks, registry: Registry) -> Iterator[Read]:
    # https://operator-framework.github.io/operator-controller/
    name = marks.labels.get("olm.operatorframework.io/owner-name")
    if name and marks.labels.get("olm.operatorframework.io/owner-kind") == "ClusterExtension":
        sign = "label olm.operatorframework.io/owner-name"
        yield _resolve(registry, Owner.OLM, "ClusterExtension", "", name, sign)


def _argo_cd(marks: Marks, registry: Registry) -> Iterator[Read]:
    # https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/: an id that names another object was copied
    # from there and counts for nothing; an application of another namespace is spelled namespace_name.
    name, _, target = marks.annotations.get("argocd.argoproj.io/tracking-id", "").partition(":")
    if name and target == f"apps/{marks.kind}:{marks.namespace}/{marks.name}":
        namespace, _, bare = name.rpartition("_")
        sign = "annotation argocd.argoproj.io/tracking-id"
        yield _resolve(registry, Owner.ARGO_CD, "Application", namespace, bare, sign)
    label = marks.labels.get("argocd.argoproj.io/instance")
    if label:
        yield _resolve(registry, Owner.ARGO_CD, "Application", "", label, "label argocd.argoproj.io/instance")


_FLUX: Final = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}


def _flux(marks: Marks, registry: Registry) -> Iterator[Read]:
    # https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources
    for prefix, kind in _FLUX.items():
        name = marks.labels.get(f"{prefix}/name")
        if name:
            namespace = marks.labels.get(f"{prefix}/namespace", "")
            yield _resolve(registry, Owner.FLUX, kind, namespace, name, f"label {prefix}/name")


_RANCHER: Final = "objectset.rio.cattle.io"
_PACKAGED: Final = {"k3s.cattle.io": "Addon", "helm.cattle.io": "HelmChart"}


def _packaged(marks: Marks, registry: Registry) -> Iterator[Read]:
    # https://docs.k3s.io/installation/packaged-components, https://docs.k3s.io/helm. The library that leaves these
    # marks (rancher/wrangler, pkg/apply) serves other controllers too: the kind it names says which one it was.
    made_of, _, kind = marks.annotations.get(f"{_RANCHER}/owner-gvk", "").partition(", Kind=")
    group = made_of.partition("/")[0]
    name = marks.annotations.get(f"{_RANCHER}/owner-name", "")
    namespace = marks.annotations.get(f"{_RANCHER}/owner-namespace", "")
    sign = f"annotation {_RANCHER}/owner-gvk"
    if _PACKAGED.get(group) == kind:
        yield _resolve(registry, registry.distribution, kind, namespace, name, sign)
    elif group and kind:
        by = OwnerRef(Owner.OPERATOR, kind, namespace, name, Upkeep.CORRECTS, f"of the operator for {group}")
        yield Read(Claim(by, sign))
    elif f"{_RANCHER}/hash" in marks.labels:
        by = OwnerRef(registry.distribution, upkeep=Upkeep.APPLIES)
        yield Read(Claim(by, f"label {_RANCHER}/hash"), is_firm=False)
    # https://docs.k3s.io/networking/networking-services#service-load-balancer
    service = marks.labels.get("svccontroller.k3s.cattle.io/svcname")
    if service:
        namespace = marks.labels.get("svccontroller.k3s.cattle.io/svcnamespace", "")
        by = OwnerRef(registry.distribution, "Service", namespace, service, Upkeep.CORRECTS, "its load balancer")
        yield Read(Claim(by, "label svccontroller.k3s.cattle.io/svcname"))


_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/."""

_EKS_NAMES: Final = {
    "aws-node": "vpc-cni",
    "ebs-csi-controller": "aws-ebs-csi-driver",
    "ebs-csi-node": "aws-ebs-csi-driver",
    "efs-csi-controller": "aws-efs-csi-driver",
    "efs-csi-node": "aws-efs-csi-driver",
}
"""Add-ons of EKS whose workloads are called otherwise.

https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html.
"""


def _clouds(marks: Marks, _registry: Registry) -> Iterator[Read]:
    # https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-field-management.html: add-ons that EKS manages are
    # told by this manager, and some by the label as well.
    is_applied = any(each.manager == "eks" and each.operation == "Apply" for each in marks.writers)
    if is_applied or marks.labels.get(_MANAGED_BY) == "EKS":
        name = _EKS_NAMES.get(marks.name, marks.name)
        sign = "field manager eks" if is_applied else f"label {_MANAGED_BY}"
        yield Read(Claim(OwnerRef(Owner.EKS, "add-on", "", name, Upkeep.APPLIES), sign))
    # https://learn.microsoft.com/azure/aks/faq: the label of the components that AKS manages.
    if marks.labels.get("kubernetes.azure.com/managedby") == "aks":
        by = OwnerRef(Owner.AKS, "add-on", "", marks.name, Upkeep.CORRECTS)
        yield Read(Claim(by, "label kubernetes.azure.com/managedby"))
    component = marks.annotations.get("components.gke.io/component-name")
    if component:
        by = OwnerRef(Owner.GKE, "add-on", "", component, Upkeep.CORRECTS)
        yield Read(Claim(by, "annotation components.gke.io/component-name"))


_MODES: Final = {"Reconcile": Upkeep.CORRECTS, "EnsureExists": Upkeep.NONE}


def _addon_managers(marks: Marks, _registry: Registry) -> Iterator[Read]:
    # https://github.com/kubernetes/kubernetes/tree/master/cluster/addons/addon-manager
    mode = marks.labels.get("addonmanager.kubernetes.io/mode", "")
    if mode in _MODES:
        by = OwnerRef(Owner.ADDON_MANAGER, upkeep=_MODES[mode], note=f"mode {mode}")
        yield Read(Claim(by, "label addonmanager.kubernetes.io/mode"))
    # https://kops.sigs.k8s.io/contributing/addons/
    addon = marks.labels.get("addon.kops.k8s.io/name")
    if addon:
        by = OwnerRef(Owner.ADDON_MANAGER, "kOps addon", "", addon, Upkeep.APPLIES)
        yield Read(Claim(by, "label addon.kops.k8s.io/name"))
    # https://github.com/gardener/gardener/blob/master/docs/concepts/resource-manager.md
    if marks.labels.get("resources.gardener.cloud/managed-by") == "gardener":
        by = OwnerRef(Owner.ADDON_MANAGER, "ManagedResource", upkeep=Upkeep.CORRECTS, note="of Gardener")
        yield Read(Claim(by, "label resources.gardener.cloud/managed-by"))


def _helm(marks: Marks, registry: Registry) -> Iterator[Read]:
    """Helm, or whoever has Helm at work: the annotation counts while the release it names exists."""
    annotated = marks.release
    holders = [
        (each, f"manifest of Helm release {each[0]}/{each[1]}") for each in registry.manifests.get(marks.key, ())
    ]
    if annotated and (registry.recorded is None or annotated in registry.recorded):
        holders.insert(0, (annotated, f"annotation {RELEASE_NAME}"))
    for release, sign in holders:
        through = registry.releases.get(release, ())
        for each in through:
            yield Read(Claim(each.by, sign))
        if not through:
            yield Read(Claim(OwnerRef(Owner.HELM, "Release", *release, Upkeep.NONE), sign))


READERS: Final[tuple[Reader, ...]] = (
    _olm,
    _extension,
    _argo_cd,
    _flux,
    _said,
    _packaged,
    _clouds,
    _addon_managers,
    _helm,
)
"""Who lays claim to an object. Where several do, the first is shown as its owner."""


# Hints, asked where nobody lays claim.


def _managed_by(marks: Marks, _registry: Registry) -> Iterator[Read]:
    manager = marks.labels.get(_MANAGED_BY, "")
    if manager.endswith("operator"):
        by = OwnerRef(Owner.OPERATOR, upkeep=Upkeep.CORRECTS, note=manager)
        yield Read(Claim(by, f"label {_MANAGED_BY}"))


_MANAGERS: Final[Mapping[str, Owner]] = {
    "argocd-controller": Owner.ARGO_CD,
    "argocd-application-controller": Owner.ARGO_CD,
    "kustomize-controller": Owner.FLUX,
    "helm-controller": Owner.FLUX,
    "gardener-resource-manager": Owner.ADDON_MANAGER,
    "eks": Owner.EKS,
    "helm": Owner.HELM,
}
"""Field managers of systems; those of people and of Kubernetes itself are nobody's mark."""


def _written(marks: Marks, _registry: Registry) -> Iterator[Read]:
    last = _last_of_the_known(marks)
    if last is not None and _MANAGERS[last.manager] is not Owner.HELM:
        yield Read(Claim(_behind(last, marks), f"field manager {last.manager}"))


def _behind(writer: Writer, marks: Marks) -> OwnerRef:
    """Who writes by that name. Argo CD's label is that of every chart; where Argo CD writes, it names the Application."""
    owner = _MANAGERS[writer.manager]
    application = marks.labels.get("app.kubernetes.io/instance", "") if owner is Owner.ARGO_CD else ""
    return OwnerRef(owner, "Application", "", application) if application else OwnerRef(owner)


_ACK_IMAGE: Final = re.compile(r"registry[a-z0-9-]*\.(ack\.aliyuncs\.com|[a-z0-9-]+\.aliyuncs\.com)/(acs|log-service)/")


def _came_with_the_cluster(marks: Marks, _registry: Registry) -> Iterator[Read]:
    if marks.namespace != "kube-system":
        return
    # What EKS puts into a new cluster and leaves to its user; a managed add-on has the field manager, above.
    if "eks.amazonaws.com/component" in marks.labels:
        by = OwnerRef(Owner.EKS, upkeep=Upkeep.NONE, note="self-managed")
        yield Read(Claim(by, "label eks.amazonaws.com/component"))
    # ACK leaves no mark of its own but the registry that its components' images come from.
    if any(_ACK_IMAGE.match(image) for image in marks.images):
        yield Read(Claim(OwnerRef(Owner.ACK, "component", "", marks.name, Upkeep.APPLIES), "image of ACK's registry"))


_KUBEADM: Final = {("Deployment", "coredns"): "kube-dns", ("DaemonSet", "kube-proxy"): "kube-proxy"}
"""What kubeadm puts into kube-system, with the ``k8s-app`` label it gives it; nothing else marks it as kubeadm's.

https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/#install-addons.
"""


def _kubeadm(marks: Marks, _registry: Registry) -> Iterator[Read]:
    label = _KUBEADM.get((marks.kind, marks.name))
    if marks.namespace == "kube-system" and label is not None and marks.labels.get("k8s-app") == label:
        yield Read(Claim(OwnerRef(Owner.KUBEADM, upkeep=Upkeep.NONE), "label k8s-app"))


HINTS: Final[tuple[Reader, ...]] = (_managed_by, _written, _came_with_the_cluster, _kubeadm)
"""What tells of an owner where nobody lays claim, the most telling first."""


def last_writer(marks: Marks, claims: Sequence[Claim]) -> Iterator[Claim]:
    """A system that lays no claim and yet wrote after everybody who does.

    A former owner's entry stays in ``managedFields`` as well; but then the present owner has written since, which can be
    told where he writes under a name that is known.
    """
    last = _last_of_the_known(marks)
    owners = {claim.by.owner for claim in claims}
    if last is None or owners.isdisjoint(
        _MANAGERS[each.manager] for each in marks.writers if each.manager in _MANAGERS
    ):
        return
    if _MANAGERS[last.manager] not in {Owner.HELM, *owners}:
        yield Claim(_behind(last, marks), f"field manager {last.manager}, the last to write")


def _last_of_the_known(marks: Marks) -> Writer | None:
    known = [each for each in marks.writers if each.manager in _MANAGERS]
    if not known:
        return None
    newest = max(each.time for each in known)
    last = [each for each in known if each.time == newest]
    # Times are whole seconds: of several in the same one nobody knows which was the last.
    return last[0] if len({_MANAGERS[each.manager] for each in last}) == 1 else None
