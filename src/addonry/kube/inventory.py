"""What runs on a cluster, in a number of requests that does not grow with what runs there.

Helm's release Secrets, the three kinds of workloads, APIServices, nodes, version and discovery; each list in pages, of
each object the few fields that are read. A list that the credentials may not make is named in ``denied`` and what it
holds is missing, nothing more. CRDs are not listed: their objects are large, and the versions they serve are in the
discovery document already.

To recognise one more owner, add a line to OWNER_SIGNS.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from addonry.kube.api import Api, Forbidden, Missing, all_of
from addonry.kube.helm.releases import Release, ReleaseUnreadable, decode_release
from addonry.kube.objects import API_SERVICES, ApiService, Meta, Workload, state_of
from addonry.kube.rollout import assess_api_service
from addonry.model.components import Found, Health, Inventory, Owner, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import Version
from addonry.rules.health import Assessment, assess_workload, together
from addonry.rules.matching import image_version, main_image, split_chart_label

T = TypeVar("T")

RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"

KINDS: Final[Mapping[str, str]] = {
    "Deployment": "/apis/apps/v1/deployments",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "StatefulSet": "/apis/apps/v1/statefulsets",
}
_SECRETS: Final = "/api/v1/secrets"
_NODES: Final = "/api/v1/nodes"
_ONLY_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_SECRETS_A_PAGE: Final = "50"
"""A release record may be 1 MiB; with the usual page of 500 one answer could exceed what is accepted."""

_RELEASE_RECORDS: Final = "owner=helm,status!=superseded"
"""A release's newest revision is never superseded, and the older ones are most of what is stored."""

_AT_ONCE: Final = 4


async def take_inventory(api: Api) -> Inventory:
    """Everything that runs there. Raises ClusterTrouble when the cluster does not answer or knows us not at all."""
    gate = asyncio.Semaphore(_AT_ONCE)
    denied: list[str] = []

    async def ask(what: str, question: Callable[[], Awaitable[T]], otherwise: T) -> T:
        async with gate:
            try:
                return await question()
            except Forbidden:
                denied.append(what)
            except Missing:
                pass  # an API that this cluster does not serve, for example apiregistration on a virtual cluster
            return otherwise

    version = asyncio.create_task(ask("version", api.server_version, ""))
    served = asyncio.create_task(ask("discovery", api.served, frozenset[str]()))
    nodes = asyncio.create_task(ask("nodes", partial(count_nodes, api), 0))
    secrets = asyncio.create_task(ask("secrets", partial(_secrets, api), None))
    services = asyncio.create_task(
        ask("apiservices", partial(_list, api, API_SERVICES, ApiService), list[ApiService]())
    )
    workloads = {
        kind: asyncio.create_task(ask(path.rpartition("/")[2], partial(_list, api, path, Workload), list[Workload]()))
        for kind, path in KINDS.items()
    }
    await all_of(version, served, nodes, secrets, services, *workloads.values())
    seen = [_Seen.of(each, kind) for kind, listed in workloads.items() for each in listed.result()]
    return Inventory(
        kubernetes=version.result(),
        nodes=nodes.result(),
        served=served.result(),
        found=_found(secrets.result(), seen, services.result()),
        denied=tuple(sorted(denied)),
    )


async def count_nodes(api: Api) -> int:
    """How many nodes there are, from their metadata alone."""
    return len((await api.list(_NODES, _Nothing, accept=_ONLY_METADATA))[0])


def found_workload(workload: Mapping[str, Any], kind: str = "") -> Found:
    """A Deployment, DaemonSet or StatefulSet as the API answers it, as a component of its own, with its health."""
    read = msgspec.convert(workload, Workload)
    return _plain(_Seen.of(read, kind or read.kind))


def found_release(newest: Release, deployed: Release | None) -> Found:
    """A Helm release by its newest revision and the deployed one, if there is one; its health is not known here."""
    shown = deployed or newest
    return Found(
        placement=Placement(SourceKind.HELM, newest.namespace, newest.name),
        version=Version(shown.chart_version),
        app_version=shown.app_version,
        chart=shown.chart,
        owner=Owner.HELM,
        health=Health.UNKNOWN,
        message=newest.description if newest.status is not ReleaseStatus.DEPLOYED else "",
        status=newest.status,
        revision=newest.revision,
        values=shown.values,
    )


@dataclass(frozen=True, slots=True)
class OwnerSign:
    """A label or annotation that gives an owner away: an exact name, or with a final slash a prefix."""

    name: str
    owner: Owner


OWNER_SIGNS: Final = (
    # https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/
    OwnerSign("argocd.argoproj.io/tracking-id", Owner.ARGO_CD),
    OwnerSign("argocd.argoproj.io/instance", Owner.ARGO_CD),
    # https://fluxcd.io/flux/components/
    OwnerSign("helm.toolkit.fluxcd.io/", Owner.FLUX),
    OwnerSign("kustomize.toolkit.fluxcd.io/", Owner.FLUX),
    # https://docs.k3s.io/installation/packaged-components
    OwnerSign("objectset.rio.cattle.io/", Owner.K3S),
    OwnerSign("helmcharts.helm.cattle.io/", Owner.K3S),
)
"""What tells of an owner, the most telling first. Argo CD and Flux come before Helm, whose marks they may copy."""

_KUBEADM: Final = {("Deployment", "coredns"): "kube-dns", ("DaemonSet", "kube-proxy"): "kube-proxy"}
"""What kubeadm puts into kube-system, with the ``k8s-app`` label it gives it; nothing else marks it as kubeadm's.

https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/#install-addons.
"""


# Reading.


class _Nothing(msgspec.Struct, gc=False):
    """An object that is only counted."""


class _SecretData(msgspec.Struct, gc=False):
    release: str = ""


class _Secret(msgspec.Struct, gc=False):
    metadata: Meta
    data: _SecretData | None = None


async def _list(api: Api, path: str, item: type[T], params: Mapping[str, str] | None = None) -> list[T]:
    return (await api.list(path, item, params=params))[0]


async def _secrets(api: Api) -> list[_Secret] | None:
    return await _list(api, _SECRETS, _Secret, {"labelSelector": _RELEASE_RECORDS, "limit": _SECRETS_A_PAGE})


@dataclass(frozen=True, slots=True)
class _Seen:
    """A workload of the cluster, assessed."""

    kind: str
    workload: Workload
    assessment: Assessment
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, workload: Workload, kind: str) -> "_Seen":
        meta = workload.metadata
        assessment = assess_workload(state_of(workload, kind))
        return cls(kind, workload, assessment, meta.labels or {}, meta.annotations or {})

    @property
    def release(self) -> tuple[str, str] | None:
        """Namespace and name of the Helm release it says it belongs to."""
        name = self.annotations.get(RELEASE_NAME)
        return (self.annotations.get(RELEASE_NAMESPACE, self.workload.metadata.namespace), name) if name else None

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(each.image for each in self.workload.containers)


# Deciding.


def _found(secrets: list[_Secret] | None, seen: list[_Seen], services: list[ApiService]) -> tuple[Found, ...]:
    claimed: dict[tuple[str, str], list[_Seen]] = defaultdict(list)
    plain: list[_Seen] = []
    for each in seen:
        if each.release is not None:
            claimed[each.release].append(each)
        else:
            plain.append(each)
    apis: dict[tuple[str, str], list[Assessment]] = defaultdict(list)
    for service in services:
        notes = service.metadata.annotations or {}
        if RELEASE_NAME in notes:
            apis[notes.get(RELEASE_NAMESPACE, ""), notes[RELEASE_NAME]].append(assess_api_service(service))
    if secrets is None:
        # Without the records the labels must do: a workload that says it is Helm's must not pass for nobody's.
        releases = {key: _from_labels(key, members) for key, members in claimed.items()}
    else:
        releases = _releases(secrets)
        # Argo CD and others apply what Helm renders, and some copy its annotations: no release stands behind them.
        plain += [each for key, members in claimed.items() if key not in releases for each in members]
    listed = [_with_workloads(found, claimed[key], apis[key]) for key, found in releases.items()]
    listed += [_plain(each) for each in plain]
    return tuple(sorted(listed, key=lambda found: found.placement))


def _releases(secrets: Iterable[_Secret]) -> dict[tuple[str, str], Found]:
    """Each release by namespace and name. Only the records that tell something are unpacked."""
    revisions: dict[tuple[str, str], list[tuple[int, str, _Secret]]] = defaultdict(list)
    for secret in secrets:
        labels = secret.metadata.labels or {}
        number = labels.get("version", "")
        if labels.get("name") and number.isdecimal():
            key = (secret.metadata.namespace, labels["name"])
            revisions[key].append((int(number), labels.get("status", ""), secret))
    found = {}
    for key, listed in revisions.items():
        listed.sort(key=lambda each: each[0])
        newest = listed[-1]
        if newest[1] == ReleaseStatus.UNINSTALLED:
            continue  # uninstalled with its history kept
        deployed = next((each for each in reversed(listed) if each[1] == ReleaseStatus.DEPLOYED), None)
        found[key] = _read_release(key, newest, deployed)
    return found


def _read_release(
    key: tuple[str, str], newest: tuple[int, str, _Secret], deployed: tuple[int, str, _Secret] | None
) -> Found:
    try:
        last = _decode(newest[2])
        return found_release(last, last if deployed is newest else (_decode(deployed[2]) if deployed else None))
    except ReleaseUnreadable as error:
        placement = Placement(SourceKind.HELM, *key)
        return Found(
            placement, Version(""), "", "", Owner.HELM, Health.UNKNOWN, error.message, _status(newest[1]), newest[0]
        )


def _decode(secret: _Secret) -> Release:
    return decode_release(secret.data.release if secret.data else "")


def _status(label: str) -> ReleaseStatus:
    try:
        return ReleaseStatus(label)
    except ValueError:
        return ReleaseStatus.UNKNOWN


def _from_labels(key: tuple[str, str], members: list[_Seen]) -> Found:
    """A release whose record may not be read, by what its workloads say."""
    labels = members[0].labels
    chart, version = split_chart_label(labels.get("helm.sh/chart", ""))
    return Found(
        placement=Placement(SourceKind.HELM, *key),
        version=Version(version),
        app_version=labels.get("app.kubernetes.io/version", ""),
        chart=chart,
        owner=Owner.HELM,
        health=Health.UNKNOWN,
        message="Its Helm record may not be read with these credentials.",
        status=ReleaseStatus.UNKNOWN,
    )


def _with_workloads(found: Found, members: list[_Seen], apis: list[Assessment]) -> Found:
    """A release with the worst health of what belongs to it, and the owner that its objects tell of."""
    whole = together([*(each.assessment for each in members), *apis])
    owner = next((owner for each in members if (owner := _owner_of(each)) is not Owner.NOBODY), Owner.NOBODY)
    return replace(
        found,
        health=whole.health,
        message=found.message or (whole.note if whole.health is not Health.CURRENT else ""),
        owner=found.owner if owner in {Owner.NOBODY, Owner.KUBEADM} else owner,
        images=tuple(dict.fromkeys(image for each in members for image in each.images)),
    )


def _plain(seen: _Seen) -> Found:
    meta = seen.workload.metadata
    containers = seen.workload.containers
    image = main_image(meta.name, [(each.name, each.image) for each in containers])
    version = image_version(image, seen.labels)
    health = seen.assessment.health
    return Found(
        placement=Placement(SourceKind.WORKLOAD, meta.namespace, meta.name, seen.kind),
        version=version,
        app_version=seen.labels.get("app.kubernetes.io/version", "") or version,
        chart="",
        owner=_owner_of(seen),
        health=health,
        message="" if health is Health.CURRENT else seen.assessment.note,
        images=seen.images,
    )


def _owner_of(seen: _Seen) -> Owner:
    signs = [
        sign
        for marks in (seen.labels, seen.annotations)
        for name in marks
        if (sign := _SIGNS.get(name, _SIGNS.get(name.partition("/")[0]))) is not None
    ]
    if signs:
        return OWNER_SIGNS[min(signs)].owner
    meta = seen.workload.metadata
    label = _KUBEADM.get((seen.kind, meta.name))
    if meta.namespace == "kube-system" and label is not None and seen.labels.get("k8s-app") == label:
        return Owner.KUBEADM
    return Owner.NOBODY


# A scan asks this of every mark of every workload, so each costs two look-ups however many signs there are. The keys
# are whole names, or for a prefix the part before its slash; the values are places in OWNER_SIGNS, counted from zero.
_SIGNS: Final = {sign.name.removesuffix("/"): place for place, sign in enumerate(OWNER_SIGNS)}
