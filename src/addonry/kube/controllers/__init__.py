"""The custom resources by which controllers say what is theirs: Argo CD, Flux, k3s and RKE2, OLM.

One list for each kind that the cluster serves, whatever stands in it; of each object the few fields that are read. What
a controller does about changes of others is taken from its own settings. Objects that speak of another cluster than the
one they lie in are passed over, and so are those that are not written as their controller reads them: a CRD may admit
anything, and one object must not spoil a scan.

To ask one more controller, write a module with a Struct of what is read of it, and add a row to RESOURCES.
"""

from collections.abc import Awaitable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import msgspec

from addonry.kube.api import all_of
from addonry.kube.controllers.argo_cd import Application
from addonry.kube.controllers.flux import HelmRelease, Kustomization
from addonry.kube.controllers.olm import ClusterExtension, ClusterServiceVersion, Subscription
from addonry.kube.controllers.packaged import Addon, HelmChart, HelmChartConfig
from addonry.kube.questions import Questions
from addonry.model.owners import Owner
from addonry.rules.owners import Controlled


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
    is_namespaced: bool = True
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


async def ask_controllers(questions: Questions, served: Awaitable[Collection[str]]) -> Said:
    """Everything that the controllers of a cluster say, in one list for each kind that is served."""
    known = await served
    places = {resource: resource.path(known) for resource in RESOURCES}
    asked = {resource: path for resource, path in places.items() if path is not None}
    lists = await all_of(
        *(
            questions.list(path, msgspec.Raw, selector=resource.selector, is_namespaced=resource.is_namespaced)
            for resource, path in asked.items()
        )
    )
    read = {
        resource: [_read(resource, item) for item in listed.items]
        for resource, listed in zip(asked, lists, strict=True)
    }
    whole = {resource for resource, listed in zip(asked, lists, strict=True) if listed.is_whole}
    said = [each for items in read.values() for item in items if item and (each := item.says()) is not None]
    return Said(
        tuple(_join(said)),
        frozenset(
            (resource.owner, resource.kind)
            for resource, path in places.items()
            if (path is None and not resource.may_be_elsewhere) or (resource in whole and None not in read[resource])
        ),
    )


def _read(resource: Resource, item: msgspec.Raw) -> _Item | None:
    try:
        found: _Item = msgspec.json.decode(item, type=resource.item)
    except msgspec.ValidationError:
        return None
    return found


RESOURCES: Final = (
    Resource(
        Owner.ARGO_CD, "Application", "argoproj.io", ("v1alpha1",), "applications", Application, may_be_elsewhere=True
    ),
    Resource(
        Owner.FLUX,
        "HelmRelease",
        "helm.toolkit.fluxcd.io",
        ("v2", "v2beta2", "v2beta1"),
        "helmreleases",
        HelmRelease,
        may_be_elsewhere=True,
    ),
    Resource(
        Owner.FLUX,
        "Kustomization",
        "kustomize.toolkit.fluxcd.io",
        ("v1", "v1beta2"),
        "kustomizations",
        Kustomization,
        may_be_elsewhere=True,
    ),
    Resource(Owner.K3S, "HelmChart", "helm.cattle.io", ("v1",), "helmcharts", HelmChart),
    Resource(Owner.K3S, "HelmChartConfig", "helm.cattle.io", ("v1",), "helmchartconfigs", HelmChartConfig),
    Resource(Owner.K3S, "Addon", "k3s.cattle.io", ("v1",), "addons", Addon),
    Resource(
        Owner.OLM,
        "ClusterServiceVersion",
        "operators.coreos.com",
        ("v1alpha1",),
        "clusterserviceversions",
        ClusterServiceVersion,
        # OLM copies each into every namespace that its operator looks after.
        selector="!olm.copiedFrom",
    ),
    Resource(Owner.OLM, "Subscription", "operators.coreos.com", ("v1alpha1",), "subscriptions", Subscription),
    Resource(
        Owner.OLM,
        "ClusterExtension",
        "olm.operatorframework.io",
        ("v1",),
        "clusterextensions",
        ClusterExtension,
        is_namespaced=False,
    ),
)


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
