"""The custom resources by which controllers say what is theirs: Argo CD, Flux, k3s and RKE2, OLM.

One list for each kind that the cluster serves, whatever stands in it; of each object the few fields that are read. What
a controller does about changes of others is taken from its own settings. Objects that speak of another cluster than the
one they lie in are passed over, and so are those that are not written as their controller reads them: a CRD may admit
anything, and one object must not spoil a scan.

To ask one more controller, add a row to RESOURCES, and a Struct with what is read of it.
"""

from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import msgspec

from addonry.kube.api import all_of
from addonry.kube.objects import Meta
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import Controlled, ObjectKey


class _Item(Protocol):
    """One object of a controller."""

    def says(self) -> Controlled | None:
        """What it holds for its own; None when that is on another cluster."""
        ...


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of objects by which a controller speaks."""

    owner: Owner
    kind: str
    group: str
    versions: tuple[str, ...]
    """Those that are understood, the best first."""
    plural: str
    item: type[Any]
    selector: str = ""
    may_be_elsewhere: bool = False
    """Whether what runs here may be spoken of on another cluster."""

    def path(self, served: Collection[str]) -> str | None:
        """Where to list them; None on a cluster that does not serve them."""
        version = next((each for each in self.versions if f"{self.group}/{each}" in served), None)
        return None if version is None else f"/apis/{self.group}/{version}/{self.plural}"


@dataclass(frozen=True, slots=True)
class Said:
    """What all controllers of a cluster say."""

    controlled: tuple[Controlled, ...] = ()
    asked: frozenset[tuple[Owner, str]] = frozenset()
    """The kinds of which no other object can exist than those that were seen."""


Ask = Callable[[Resource, str], Coroutine[Any, Any, Sequence[msgspec.Raw] | None]]
"""Lists what is at a path; None when it may not be listed, or not all of it."""


async def ask_controllers(ask: Ask, served: Collection[str]) -> Said:
    """Everything that the controllers of a cluster say, in one list for each kind that is served."""
    places = {resource: resource.path(served) for resource in RESOURCES}
    questions = {resource: ask(resource, path) for resource, path in places.items() if path is not None}
    answers = dict(zip(questions, await all_of(*questions.values()), strict=True))
    read = {resource: [_read(resource, item) for item in items or ()] for resource, items in answers.items()}
    said = [each for items in read.values() for item in items if item and (each := item.says()) is not None]
    asked = {
        (resource.owner, resource.kind)
        for resource, path in places.items()
        if (path is None and not resource.may_be_elsewhere)
        or (answers.get(resource) is not None and None not in read[resource])
    }
    return Said(tuple(_join(said)), frozenset(asked))


def _read(resource: Resource, item: msgspec.Raw) -> _Item | None:
    try:
        found: _Item = msgspec.json.decode(item, type=resource.item)
    except msgspec.ValidationError:
        return None
    return found


# What is read of them.


class _Spec(msgspec.Struct, rename="camel", gc=False):
    """What the kinds of Flux have in common."""

    suspend: bool = False
    kube_config: dict[str, Any] | None = None


class _Destination(msgspec.Struct, gc=False):
    server: str = ""
    name: str = ""


class _Automated(msgspec.Struct, rename="camel", gc=False):
    self_heal: bool = False
    enabled: bool = True


class _SyncPolicy(msgspec.Struct, gc=False):
    automated: _Automated | None = None


class _ApplicationSpec(msgspec.Struct, rename="camel", gc=False):
    destination: _Destination = msgspec.field(default_factory=_Destination)
    sync_policy: _SyncPolicy | None = None


class _Managed(msgspec.Struct, gc=False):
    kind: str = ""
    namespace: str = ""
    name: str = ""


class _ApplicationStatus(msgspec.Struct, gc=False):
    resources: list[_Managed] | None = None


class _Application(msgspec.Struct, gc=False):
    """https://argo-cd.readthedocs.io/en/stable/operator-manual/application.yaml."""

    metadata: Meta
    spec: _ApplicationSpec = msgspec.field(default_factory=_ApplicationSpec)
    status: _ApplicationStatus = msgspec.field(default_factory=_ApplicationStatus)

    def says(self) -> Controlled | None:
        destination = self.spec.destination
        if destination.name not in {"", "in-cluster"} or destination.server not in {"", _ARGO_CD_HERE}:
            return None
        upkeep, note = self._upkeep()
        meta = self.metadata
        return Controlled(
            OwnerRef(Owner.ARGO_CD, "Application", meta.namespace, meta.name, upkeep, note),
            objects=tuple((each.kind, each.namespace, each.name) for each in self.status.resources or ()),
        )

    def _upkeep(self) -> tuple[Upkeep, str]:
        # https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/
        automated = self.spec.sync_policy.automated if self.spec.sync_policy else None
        if (self.metadata.annotations or {}).get("argocd.argoproj.io/skip-reconcile") == "true":
            return Upkeep.PAUSED, "not reconciled"
        if automated is None or not automated.enabled:
            return Upkeep.PAUSED, "synced by hand"
        if automated.self_heal:
            return Upkeep.CORRECTS, "syncs automatically, heals itself"
        return Upkeep.APPLIES, "syncs automatically"


_ARGO_CD_HERE: Final = "https://kubernetes.default.svc"


class _HelmReleaseSpec(_Spec, rename="camel", gc=False):
    release_name: str = ""
    target_namespace: str = ""
    storage_namespace: str = ""


class _HelmRelease(msgspec.Struct, gc=False):
    """https://fluxcd.io/flux/components/helm/helmreleases/."""

    metadata: Meta
    spec: _HelmReleaseSpec = msgspec.field(default_factory=_HelmReleaseSpec)

    def says(self) -> Controlled | None:
        if self.spec.kube_config is not None:
            return None
        meta, target = self.metadata, self.spec.target_namespace
        name = self.spec.release_name or (f"{target}-{meta.name}" if target else meta.name)
        upkeep, note = _flux_upkeep(self.spec)
        return Controlled(
            OwnerRef(Owner.FLUX, "HelmRelease", meta.namespace, meta.name, upkeep, note),
            release=(self.spec.storage_namespace or target or meta.namespace, name),
        )


class _Entry(msgspec.Struct, gc=False):
    id: str = ""


class _KustomizationInventory(msgspec.Struct, gc=False):
    entries: list[_Entry] | None = None


class _KustomizationStatus(msgspec.Struct, gc=False):
    inventory: _KustomizationInventory | None = None


class _Kustomization(msgspec.Struct, gc=False):
    """https://fluxcd.io/flux/components/kustomize/kustomizations/."""

    metadata: Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _KustomizationStatus = msgspec.field(default_factory=_KustomizationStatus)

    def says(self) -> Controlled | None:
        if self.spec.kube_config is not None:
            return None
        upkeep, note = _flux_upkeep(self.spec)
        inventory = self.status.inventory
        keys = (_key_of(each.id) for each in (inventory.entries if inventory else None) or ())
        return Controlled(
            OwnerRef(Owner.FLUX, "Kustomization", self.metadata.namespace, self.metadata.name, upkeep, note),
            objects=tuple(key for key in keys if key is not None),
        )


def _flux_upkeep(spec: _Spec) -> tuple[Upkeep, str]:
    return (Upkeep.PAUSED, "suspended") if spec.suspend else (Upkeep.CORRECTS, "reconciled on an interval")


def _key_of(entry: str) -> ObjectKey | None:
    """The object in an entry of a Kustomization's inventory: ``namespace_name_group_kind``."""
    place, _, kind = entry.rpartition("_")
    namespace, _, rest = place.partition("_")
    name, separator, _group = rest.rpartition("_")
    return (kind, namespace, name) if separator else None


class _HelmChartSpec(msgspec.Struct, rename="camel", gc=False):
    target_namespace: str = ""


class _HelmChart(msgspec.Struct, gc=False):
    """https://docs.k3s.io/add-ons/helm; the release has the chart's name."""

    metadata: Meta
    spec: _HelmChartSpec = msgspec.field(default_factory=_HelmChartSpec)

    def says(self) -> Controlled | None:
        meta = self.metadata
        return Controlled(
            OwnerRef(Owner.K3S, "HelmChart", meta.namespace, meta.name, Upkeep.APPLIES),
            release=(self.spec.target_namespace or meta.namespace, meta.name),
        )


class _HelmChartConfig(msgspec.Struct, gc=False):
    """Values of a user for a HelmChart of the same name."""

    metadata: Meta

    def says(self) -> Controlled | None:
        return Controlled(OwnerRef(Owner.K3S, "HelmChartConfig", self.metadata.namespace, self.metadata.name))


class _AddonSpec(msgspec.Struct, gc=False):
    source: str = ""


class _Addon(msgspec.Struct, gc=False):
    """A manifest in the server's own folder; https://docs.k3s.io/installation/packaged-components."""

    metadata: Meta
    spec: _AddonSpec = msgspec.field(default_factory=_AddonSpec)

    def says(self) -> Controlled | None:
        meta = self.metadata
        # The servers' option --disable takes the file's or folder's name, which need not be the Addon's.
        file = self.spec.source.rpartition("/manifests/")[2]
        note = f"manifest {file}" if file else ""
        return Controlled(OwnerRef(Owner.K3S, "Addon", meta.namespace, meta.name, Upkeep.APPLIES, note))


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Strategy(msgspec.Struct, gc=False):
    deployments: list[_Named] | None = None


class _Install(msgspec.Struct, gc=False):
    spec: _Strategy | None = None


class _CsvSpec(msgspec.Struct, gc=False):
    version: str = ""
    install: _Install | None = None


class _Csv(msgspec.Struct, gc=False):
    """https://olm.operatorframework.io/docs/concepts/crds/clusterserviceversion/."""

    metadata: Meta
    spec: _CsvSpec = msgspec.field(default_factory=_CsvSpec)

    def says(self) -> Controlled | None:
        meta, install = self.metadata, self.spec.install
        deployments = (install.spec.deployments if install and install.spec else None) or ()
        return Controlled(
            OwnerRef(Owner.OLM, "ClusterServiceVersion", meta.namespace, meta.name, Upkeep.CORRECTS),
            objects=tuple(("Deployment", meta.namespace, each.name) for each in deployments),
            version=self.spec.version,
        )


class _SubscriptionSpec(msgspec.Struct, rename="camel", gc=False):
    channel: str = ""
    install_plan_approval: str = "Automatic"


class _SubscriptionStatus(msgspec.Struct, gc=False, rename={"installed": "installedCSV"}):
    installed: str = ""


class _Subscription(msgspec.Struct, gc=False):
    """https://olm.operatorframework.io/docs/concepts/crds/subscription/."""

    metadata: Meta
    spec: _SubscriptionSpec = msgspec.field(default_factory=_SubscriptionSpec)
    status: _SubscriptionStatus = msgspec.field(default_factory=_SubscriptionStatus)

    def says(self) -> Controlled | None:
        meta, spec = self.metadata, self.spec
        note = f"channel {spec.channel or 'default'}, approval {spec.install_plan_approval.lower()}"
        return Controlled(
            OwnerRef(Owner.OLM, "Subscription", meta.namespace, meta.name, Upkeep.CORRECTS, note),
            known_as=("ClusterServiceVersion", self.status.installed) if self.status.installed else None,
        )


class _Catalog(msgspec.Struct, gc=False):
    channels: list[str] | None = None
    version: str = ""


class _ExtensionSource(msgspec.Struct, gc=False):
    catalog: _Catalog | None = None


class _ExtensionSpec(msgspec.Struct, gc=False):
    source: _ExtensionSource | None = None


class _Bundle(msgspec.Struct, gc=False):
    version: str = ""


class _ExtensionInstall(msgspec.Struct, gc=False):
    bundle: _Bundle | None = None


class _ExtensionStatus(msgspec.Struct, gc=False):
    install: _ExtensionInstall | None = None


class _ClusterExtension(msgspec.Struct, gc=False):
    """https://operator-framework.github.io/operator-controller/."""

    metadata: Meta
    spec: _ExtensionSpec = msgspec.field(default_factory=_ExtensionSpec)
    status: _ExtensionStatus = msgspec.field(default_factory=_ExtensionStatus)

    def says(self) -> Controlled | None:
        catalog = (self.spec.source.catalog if self.spec.source else None) or _Catalog()
        install = self.status.install
        notes = [f"channel {', '.join(catalog.channels)}"] if catalog.channels else []
        notes += [f"version {catalog.version}"] if catalog.version else []
        return Controlled(
            OwnerRef(Owner.OLM, "ClusterExtension", "", self.metadata.name, Upkeep.CORRECTS, ", ".join(notes)),
            version=install.bundle.version if install and install.bundle else "",
        )


RESOURCES: Final = (
    Resource(
        Owner.ARGO_CD, "Application", "argoproj.io", ("v1alpha1",), "applications", _Application, may_be_elsewhere=True
    ),
    Resource(
        Owner.FLUX,
        "HelmRelease",
        "helm.toolkit.fluxcd.io",
        ("v2", "v2beta2", "v2beta1"),
        "helmreleases",
        _HelmRelease,
        may_be_elsewhere=True,
    ),
    Resource(
        Owner.FLUX,
        "Kustomization",
        "kustomize.toolkit.fluxcd.io",
        ("v1", "v1beta2"),
        "kustomizations",
        _Kustomization,
        may_be_elsewhere=True,
    ),
    Resource(Owner.K3S, "HelmChart", "helm.cattle.io", ("v1",), "helmcharts", _HelmChart),
    Resource(Owner.K3S, "HelmChartConfig", "helm.cattle.io", ("v1",), "helmchartconfigs", _HelmChartConfig),
    Resource(Owner.K3S, "Addon", "k3s.cattle.io", ("v1",), "addons", _Addon),
    Resource(
        Owner.OLM,
        "ClusterServiceVersion",
        "operators.coreos.com",
        ("v1alpha1",),
        "clusterserviceversions",
        _Csv,
        # OLM copies each into every namespace that its operator looks after.
        selector="!olm.copiedFrom",
    ),
    Resource(Owner.OLM, "Subscription", "operators.coreos.com", ("v1alpha1",), "subscriptions", _Subscription),
    Resource(
        Owner.OLM, "ClusterExtension", "olm.operatorframework.io", ("v1",), "clusterextensions", _ClusterExtension
    ),
)


# Two objects that speak of one thing.


def _join(said: Iterable[Controlled]) -> list[Controlled]:
    """A Subscription speaks for what its ClusterServiceVersion installed, a HelmChart for the settings beside it."""
    listed = list(said)
    subscriptions = {
        (each.by.namespace, each.known_as[1]): each
        for each in listed
        if each.by.kind == "Subscription" and each.known_as
    }
    configured = {(each.by.namespace, each.by.name) for each in listed if each.by.kind == "HelmChartConfig"}
    joined = []
    for each in listed:
        place = (each.by.namespace, each.by.name)
        match each.by.kind:
            case "Subscription" | "HelmChartConfig":
                continue
            case "ClusterServiceVersion" if place in subscriptions:
                by = replace(subscriptions[place].by, note=f"{each.by.name}, {subscriptions[place].by.note}")
                joined.append(replace(each, by=by, known_as=(each.by.kind, each.by.name)))
            case "HelmChart" if place in configured:
                joined.append(replace(each, by=replace(each.by, note="with the values of its HelmChartConfig")))
            case _:
                joined.append(each)
    return joined
