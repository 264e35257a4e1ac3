"""Whose an object is: what its marks say, held against what the controllers on the cluster say themselves.

Marks are copied, left behind and overwritten, so a mark alone proves little. A claim counts when the controller behind
it confirms it, or when that controller could not be asked; one that it denies is what a former owner left behind, and
tells of an owner only where nobody else does. Two claims that count are a conflict.

To recognise one more owner, write a reader and name it in READERS, or in HINTS when it says no more than "probably".
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from addonry.model.owners import Claim, Conflict, Owner, OwnerRef, Turnover, Upkeep

ObjectKey = tuple[str, str, str]
"""Kind, namespace and name of a workload."""
ReleaseKey = tuple[str, str]
"""Namespace and name of a Helm release."""

RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"


@dataclass(frozen=True, slots=True)
class Writer:
    """One entry of an object's ``managedFields``: who wrote some of its fields, how, and when last."""

    manager: str
    operation: str
    time: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Everything about a workload that may tell of an owner."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    controller: tuple[str, str, str] | None = None
    """API version, kind and name of the object that controls it (``ownerReferences``)."""
    writers: tuple[Writer, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        return (self.kind, self.namespace, self.name)

    @property
    def title(self) -> str:
        """``Deployment kube-system/coredns``."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def release(self) -> ReleaseKey | None:
        """The Helm release that its annotations name."""
        name = self.annotations.get(RELEASE_NAME)
        return (self.annotations.get(RELEASE_NAMESPACE, self.namespace), name) if name else None


@dataclass(frozen=True, slots=True)
class Controlled:
    """What one controller's object says is its own."""

    by: OwnerRef
    objects: tuple[ObjectKey, ...] = ()
    release: ReleaseKey | None = None
    known_as: tuple[str, str] | None = None
    """Kind and name by which marks speak of it, where these are not its own."""
    version: str = ""
    """What it says is installed, where the images may not."""


@dataclass(frozen=True, slots=True)
class Registry:
    """What the controllers of a cluster, Helm among them, say is theirs; made by ``register``."""

    objects: Mapping[ObjectKey, tuple[Controlled, ...]] = field(default_factory=dict)
    releases: Mapping[ReleaseKey, tuple[Controlled, ...]] = field(default_factory=dict)
    named: Mapping[tuple[Owner, str, str], tuple[Controlled, ...]] = field(default_factory=dict)
    asked: Collection[tuple[Owner, str]] = ()
    recorded: Collection[ReleaseKey] | None = ()
    manifests: Mapping[ObjectKey, tuple[ReleaseKey, ...]] = field(default_factory=dict)
    distribution: Owner = Owner.K3S


def register(
    said: Iterable[Controlled],
    *,
    asked: Collection[tuple[Owner, str]],
    recorded: Collection[ReleaseKey] | None,
    manifests: Mapping[ReleaseKey, Iterable[ObjectKey]],
    kubernetes: str,
) -> Registry:
    """What is known of the controllers, ready to be asked.

    *asked* are the kinds of which every object was seen: what a mark says of another is out of date. *recorded* are the
    Helm releases that exist, None where their records may not be read; *manifests*, which workloads each of them holds.
    """
    # Both run the same controllers; only the version tells them apart: v1.32.3+rke2r1.
    distribution = Owner.RKE2 if "+rke2" in kubernetes else Owner.K3S
    objects: dict[ObjectKey, list[Controlled]] = defaultdict(list)
    releases: dict[ReleaseKey, list[Controlled]] = defaultdict(list)
    named: dict[tuple[Owner, str, str], list[Controlled]] = defaultdict(list)
    for told in said:
        is_packaged = told.by.owner is Owner.K3S
        each = replace(told, by=replace(told.by, owner=distribution)) if is_packaged else told
        kind, name = each.known_as or (each.by.kind, each.by.name)
        named[each.by.owner, kind, name].append(each)
        for key in each.objects:
            objects[key].append(each)
        if each.release:
            releases[each.release].append(each)
    holders: dict[ObjectKey, list[ReleaseKey]] = defaultdict(list)
    for release, held in manifests.items():
        for key in held:
            holders[key].append(release)
    return Registry(
        objects={key: tuple(listed) for key, listed in objects.items()},
        releases={key: tuple(listed) for key, listed in releases.items()},
        named={key: tuple(listed) for key, listed in named.items()},
        asked={(distribution if owner is Owner.K3S else owner, kind) for owner, kind in asked},
        recorded=recorded,
        manifests={key: tuple(listed) for key, listed in holders.items()},
        distribution=distribution,
    )


def claims_on(marks: Marks, registry: Registry) -> tuple[Claim, ...]:
    """Every claim on an object that counts, its owner's first; none when it is nobody's."""
    if marks.controller is not None and (controlling := _controller(marks.controller)) is not None:
        # Operators hand the marks of a custom resource on to what they make of it, so none of those counts.
        return (controlling,)
    read = [each for reader in READERS for each in reader(marks, registry)]
    firm = _without_means(_distinct([each.claim for each in read if each.is_firm]), marks)
    if firm:
        return (*firm, *_last_writer(marks, firm))
    left_behind = (each.claim for each in read)
    probable = (each.claim for hint in HINTS for each in hint(marks, registry))
    first = next(left_behind, None) or next(probable, None)
    return (first,) if first else ()


def claims_on_release(
    release: ReleaseKey, members: Iterable[tuple[Claim, ...]], registry: Registry
) -> tuple[Claim, ...]:
    """Every claim on a Helm release: of the controllers that say so, else of what its workloads tell."""
    said = registry.releases.get(release, ())
    if said:
        return tuple(Claim(each.by, f"{each.by.kind} {each.by.name}") for each in said)
    told = [claim for claims in members for claim in claims[:1] if claim.by.owner not in _NO_OWNER_OF_A_RELEASE]
    return tuple(_distinct(told)[:1])


def conflict_over(marks: Marks, claims: tuple[Claim, ...]) -> Conflict | None:
    """The conflict that *claims* on an object are, when they are one."""
    return Conflict(marks.title, claims) if len(claims) > 1 else None


def conflict_over_release(release: ReleaseKey, claims: tuple[Claim, ...]) -> Conflict | None:
    """The conflict that *claims* on a Helm release are, when they are one."""
    return Conflict(f"Helm release {release[0]}/{release[1]}", claims) if len(claims) > 1 else None


def installed_by(marks: Marks, claims: tuple[Claim, ...], registry: Registry) -> str:
    """The version that the owner says it has installed; empty where it says none."""
    said = registry.objects.get(marks.key, ()) if claims else ()
    return next((each.version for each in said if each.version and each.by == claims[0].by), "")


# Reading marks.


@dataclass(frozen=True, slots=True)
class _Read:
    claim: Claim
    is_firm: bool = True


Reader = Callable[[Marks, Registry], Iterator[_Read]]


def _resolve(registry: Registry, owner: Owner, kind: str, namespace: str, name: str, sign: str) -> _Read:
    """A claim by the controller's object that a mark names, confirmed by that object where it could be looked for."""
    known = registry.named.get((owner, kind, name), ())
    found = next((each.by for each in known if not namespace or each.by.namespace == namespace), None)
    if found is not None:
        return _Read(Claim(found, sign))
    return _Read(Claim(OwnerRef(owner, kind, namespace, name), sign), is_firm=(owner, kind) not in registry.asked)


def _controller(reference: tuple[str, str, str]) -> Claim | None:
    api_version, kind, name = reference
    group = api_version.rpartition("/")[0]
    if "." not in group or group.endswith(".k8s.io"):
        return None  # a built-in kind; only those of CRDs have an operator behind them
    product = f"of the operator for {group}"
    return Claim(OwnerRef(Owner.OPERATOR, kind, "", name, Upkeep.CORRECTS, product), f"controlled by {kind} {name}")


def _said(marks: Marks, registry: Registry) -> Iterator[_Read]:
    """Controllers that list what they have applied."""
    for each in registry.objects.get(marks.key, ()):
        yield _Read(Claim(each.by, f"status of {each.by.kind} {each.by.name}"))


def _olm(marks: Marks, registry: Registry) -> Iterator[_Read]:
    # https://olm.operatorframework.io/docs/concepts/crds/clusterserviceversion/
    name = marks.labels.get("olm.owner")
    if name and marks.labels.get("olm.owner.kind") == "ClusterServiceVersion":
        namespace = marks.labels.get("olm.owner.namespace", marks.namespace)
        yield _resolve(registry, Owner.OLM, "ClusterServiceVersion", namespace, name, "label olm.owner")


def _argo_cd(marks: Marks, registry: Registry) -> Iterator[_Read]:
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


def _flux(marks: Marks, registry: Registry) -> Iterator[_Read]:
    # https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources
    for prefix, kind in _FLUX.items():
        name = marks.labels.get(f"{prefix}/name")
        if name:
            namespace = marks.labels.get(f"{prefix}/namespace", "")
            yield _resolve(registry, Owner.FLUX, kind, namespace, name, f"label {prefix}/name")


_RANCHER: Final = "objectset.rio.cattle.io"
_PACKAGED: Final = {"k3s.cattle.io": "Addon", "helm.cattle.io": "HelmChart"}


def _packaged(marks: Marks, registry: Registry) -> Iterator[_Read]:
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
        yield _Read(Claim(by, sign))
    elif f"{_RANCHER}/hash" in marks.labels:
        by = OwnerRef(registry.distribution, upkeep=Upkeep.APPLIES)
        yield _Read(Claim(by, f"label {_RANCHER}/hash"), is_firm=False)
    # https://docs.k3s.io/networking/networking-services#service-load-balancer
    service = marks.labels.get("svccontroller.k3s.cattle.io/svcname")
    if service:
        namespace = marks.labels.get("svccontroller.k3s.cattle.io/svcnamespace", "")
        by = OwnerRef(registry.distribution, "Service", namespace, service, Upkeep.CORRECTS, "its load balancer")
        yield _Read(Claim(by, "label svccontroller.k3s.cattle.io/svcname"))


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


def _clouds(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    # https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-field-management.html: add-ons that EKS manages are
    # told by this manager alone.
    if any(each.manager == "eks" and each.operation == "Apply" for each in marks.writers):
        name = _EKS_NAMES.get(marks.name, marks.name)
        yield _Read(Claim(OwnerRef(Owner.EKS, "add-on", "", name, Upkeep.APPLIES), "field manager eks"))
    # https://learn.microsoft.com/azure/aks/faq: the label of the components that AKS manages.
    if marks.labels.get("kubernetes.azure.com/managedby") == "aks":
        by = OwnerRef(Owner.AKS, "add-on", "", marks.name, Upkeep.CORRECTS)
        yield _Read(Claim(by, "label kubernetes.azure.com/managedby"))
    component = marks.annotations.get("components.gke.io/component-name")
    if component:
        by = OwnerRef(Owner.GKE, "add-on", "", component, Upkeep.CORRECTS)
        yield _Read(Claim(by, "annotation components.gke.io/component-name"))


_MODES: Final = {"Reconcile": Upkeep.CORRECTS, "EnsureExists": Upkeep.NONE}


def _addon_managers(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    # https://github.com/kubernetes/kubernetes/tree/master/cluster/addons/addon-manager
    mode = marks.labels.get("addonmanager.kubernetes.io/mode", "")
    if mode in _MODES:
        by = OwnerRef(Owner.ADDON_MANAGER, upkeep=_MODES[mode], note=f"mode {mode}")
        yield _Read(Claim(by, "label addonmanager.kubernetes.io/mode"))
    # https://kops.sigs.k8s.io/contributing/addons/
    addon = marks.labels.get("addon.kops.k8s.io/name")
    if addon:
        by = OwnerRef(Owner.ADDON_MANAGER, "kOps addon", "", addon, Upkeep.APPLIES)
        yield _Read(Claim(by, "label addon.kops.k8s.io/name"))
    # https://github.com/gardener/gardener/blob/master/docs/concepts/resource-manager.md
    if marks.labels.get("resources.gardener.cloud/managed-by") == "gardener":
        by = OwnerRef(Owner.ADDON_MANAGER, "ManagedResource", upkeep=Upkeep.CORRECTS, note="of Gardener")
        yield _Read(Claim(by, "label resources.gardener.cloud/managed-by"))


def _helm(marks: Marks, registry: Registry) -> Iterator[_Read]:
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
            yield _Read(Claim(each.by, sign))
        if not through:
            yield _Read(Claim(OwnerRef(Owner.HELM, "Release", *release, Upkeep.NONE), sign))


READERS: Final[tuple[Reader, ...]] = (_olm, _argo_cd, _flux, _said, _packaged, _clouds, _addon_managers, _helm)
"""Who lays claim to an object. Where several do, the first is shown as its owner."""


# Hints, asked where nobody lays claim.


def _managed_by(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    # https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
    manager = marks.labels.get("app.kubernetes.io/managed-by", "")
    if manager.endswith("operator"):
        by = OwnerRef(Owner.OPERATOR, upkeep=Upkeep.CORRECTS, note=manager)
        yield _Read(Claim(by, "label app.kubernetes.io/managed-by"))


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


def _written(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    last = _last_of_the_known(marks)
    if last is not None and _MANAGERS[last.manager] is not Owner.HELM:
        yield _Read(Claim(OwnerRef(_MANAGERS[last.manager]), f"field manager {last.manager}"))


_ACK_IMAGE: Final = re.compile(r"registry[a-z0-9-]*\.(ack\.aliyuncs\.com|[a-z0-9-]+\.aliyuncs\.com)/(acs|log-service)/")


def _came_with_the_cluster(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    if marks.namespace != "kube-system":
        return
    # What EKS puts into a new cluster and leaves to its user; a managed add-on has the field manager, above.
    if "eks.amazonaws.com/component" in marks.labels:
        by = OwnerRef(Owner.EKS, upkeep=Upkeep.NONE, note="self-managed")
        yield _Read(Claim(by, "label eks.amazonaws.com/component"))
    # ACK leaves no mark of its own but the registry that its components' images come from.
    if any(_ACK_IMAGE.match(image) for image in marks.images):
        yield _Read(Claim(OwnerRef(Owner.ACK, "component", "", marks.name, Upkeep.APPLIES), "image of ACK's registry"))


_KUBEADM: Final = {("Deployment", "coredns"): "kube-dns", ("DaemonSet", "kube-proxy"): "kube-proxy"}
"""What kubeadm puts into kube-system, with the ``k8s-app`` label it gives it; nothing else marks it as kubeadm's.

https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/#install-addons.
"""


def _kubeadm(marks: Marks, _registry: Registry) -> Iterator[_Read]:
    label = _KUBEADM.get((marks.kind, marks.name))
    if marks.namespace == "kube-system" and label is not None and marks.labels.get("k8s-app") == label:
        yield _Read(Claim(OwnerRef(Owner.KUBEADM, upkeep=Upkeep.NONE), "label k8s-app"))


HINTS: Final[tuple[Reader, ...]] = (_managed_by, _written, _came_with_the_cluster, _kubeadm)
"""What tells of an owner where nobody lays claim, the most telling first."""


def _last_writer(marks: Marks, claims: list[Claim]) -> Iterator[Claim]:
    """A system that lays no claim and yet wrote after everybody who does.

    A former owner's entry stays in ``managedFields`` as well; but then the present owner has written since.
    """
    last = _last_of_the_known(marks)
    if last is None:
        return
    system = _MANAGERS[last.manager]
    if system is not Owner.HELM and all(claim.by.owner is not system for claim in claims):
        yield Claim(OwnerRef(system), f"field manager {last.manager}, the last to write")


def _last_of_the_known(marks: Marks) -> Writer | None:
    known = [each for each in marks.writers if each.manager in _MANAGERS]
    if not known:
        return None
    newest = max(each.time for each in known)
    last = [each for each in known if each.time == newest]
    # Times are whole seconds: of several in the same one nobody knows which was the last.
    return last[0] if len({_MANAGERS[each.manager] for each in last}) == 1 else None


# Several claims.


_AT_WORK_THROUGH_HELM: Final = frozenset(
    {(Owner.FLUX, "HelmRelease"), (Owner.K3S, "HelmChart"), (Owner.RKE2, "HelmChart"), (Owner.AKS, "add-on")}
)
_NO_OWNER_OF_A_RELEASE: Final = frozenset({Owner.HELM, Owner.KUBEADM, Owner.OPERATOR})
"""What single workloads may tell, and nobody takes a whole release for."""


def _distinct(claims: list[Claim]) -> list[Claim]:
    """One claim each, of several that are the same the one that says most."""
    found: list[Claim] = []
    for claim in claims:
        known = next((place for place, each in enumerate(found) if _is_same(each.by, claim.by)), None)
        if known is None:
            found.append(claim)
        elif not found[known].by.name and claim.by.name:
            found[known] = claim
    return found


def _without_means(claims: list[Claim], marks: Marks) -> list[Claim]:
    """*claims* without that of the object's own release, where it is the means of somebody who has Helm at work."""
    if not any((each.by.owner, each.by.kind) in _AT_WORK_THROUGH_HELM for each in claims):
        return claims
    return [each for each in claims if (each.by.owner, each.by.namespace, each.by.name) != (Owner.HELM, *_own(marks))]


def _own(marks: Marks) -> ReleaseKey:
    return marks.release or ("", "")


def _is_same(one: OwnerRef, other: OwnerRef) -> bool:
    if one.owner is not other.owner:
        return False
    if not one.name or not other.name:
        return True
    is_same_place = one.namespace == other.namespace or not (one.namespace and other.namespace)
    return one.kind == other.kind and one.name == other.name and is_same_place


# Churn.


MANY: Final = 100
"""Changes that are not worth a thought, however fast they came."""
_A_DAY: Final = 10.0


def turnover_of(marks: Marks, generation: int, created_at: datetime | None) -> Turnover | None:
    """How often a workload was changed, where that is often: the rollouts of a Deployment, else the changes to its
    specification.
    """
    # Autoscalers change the generation of a Deployment, and not its revision.
    revision = marks.annotations.get("deployment.kubernetes.io/revision", "")
    if revision.isdecimal():
        return often(f"rollouts of {marks.title}", int(revision), created_at)
    return often(f"changes of {marks.title}", generation, created_at)


def often(what: str, count: int, since: datetime | None) -> Turnover | None:
    """A turnover worth keeping: more than a hundred changes. Whether it is too much, the age says (``is_churn``)."""
    return Turnover(what, count, since) if since is not None and count > MANY else None


def is_churn(turnover: Turnover, now: datetime) -> bool:
    """Whether something changes so often that no person can be behind it: over a hundred times, ten a day or more.

    The cases to catch are far beyond: a release at revision 352,140 (Azure/AKS#5822), one at 9,792
    (kubermatic/kubermatic#13915).
    """
    return turnover.count > MANY and per_day(turnover, now) >= _A_DAY


def per_day(turnover: Turnover, now: datetime) -> float:
    """Changes a day, on average since it came into being; its first day counts as a whole one."""
    days = max((now - turnover.since).total_seconds() / 86_400, 1.0)
    return turnover.count / days
