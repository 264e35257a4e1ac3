"""What runs on a cluster, in a number of requests that does not grow with what runs there.

Nine requests: version, discovery (two), Helm's records in Secrets and in ConfigMaps, the three kinds of workloads,
APIServices; ten for what lies around them (``surroundings``); and one for each kind in ``controllers.RESOURCES`` (nine
of them) that the cluster serves. Each is a list in pages of 500, and of each object the few fields that are read. The
static pods of a control plane are no components; CRDs are not listed, the discovery document names their versions
already.

A list that the credentials may not make of the whole cluster is made of the kubeconfig's own namespace instead, with
one more request; it is named in ``denied`` and what it holds elsewhere is missing, nothing more. Whose a workload is,
``rules.owners`` decides.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from addonry.kube.api import Api, all_of
from addonry.kube.controllers import Said, ask_controllers
from addonry.kube.helm.manifests import kinds_in, workloads_in
from addonry.kube.helm.records import SELECTOR, Record, StoredRelease, read_records
from addonry.kube.helm.releases import Release, moment_of
from addonry.kube.objects import API_SERVICES, ApiService, Workload, state_of
from addonry.kube.questions import Listed, Questions
from addonry.kube.rollout import assess_api_service
from addonry.kube.surroundings import WORKLOADS, placed, surroundings_of, survey
from addonry.model.components import Driver, Found, Health, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import Version
from addonry.model.inventory import Inventory
from addonry.model.owners import Claim, Conflict, Owner, Turnover
from addonry.rules.churn import MANY, changes_of, often, turnover_of
from addonry.rules.health import Assessment, assess_workload, together
from addonry.rules.matching import main_image, split_chart_label, told_version
from addonry.rules.owners import (
    RELEASE_NAME,
    RELEASE_NAMESPACE,
    Marks,
    Registry,
    ReleaseKey,
    Writer,
    claims_on,
    claims_on_release,
    conflict_over,
    conflict_over_release,
    installed_by,
    register,
)

_RECORDS: Final = {Driver.SECRETS: "/api/v1/secrets", Driver.CONFIG_MAPS: "/api/v1/configmaps"}
_NODES: Final = "/api/v1/nodes"
_ONLY_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


async def take_inventory(api: Api) -> Inventory:
    """Everything that runs there. Raises ClusterTrouble when the cluster does not answer or knows us not at all."""
    scan = Questions(api)
    version = asyncio.create_task(scan.ask("version", api.server_version, ""))
    served = asyncio.create_task(scan.ask("discovery", api.served, frozenset[str]()))
    around = asyncio.create_task(survey(api, scan))
    said = asyncio.create_task(ask_controllers(scan, served))
    records = {
        driver: asyncio.create_task(scan.list(path, Record, selector=SELECTOR)) for driver, path in _RECORDS.items()
    }
    services = asyncio.create_task(scan.list(API_SERVICES, ApiService, is_namespaced=False))
    workloads = {kind: asyncio.create_task(scan.list(path, Workload)) for kind, path in WORKLOADS.items()}
    await all_of(version, served, around, said, *records.values(), services, *workloads.values())
    releases = _releases({driver: listed.result() for driver, listed in records.items()})
    registry = _registry(
        said.result(),
        releases,
        all_are_recorded=records[Driver.SECRETS].result().is_whole,
        kubernetes=version.result(),
    )
    seen = [_Seen.of(each, kind, registry) for kind, listed in workloads.items() for each in listed.result().items]
    surroundings = surroundings_of(
        around.result(),
        placed({kind: listed.result().items for kind, listed in workloads.items()}, registry.recorded),
        services.result().items,
        served=served.result(),
        denied=tuple(sorted(scan.denied)),
        credentials_end=api.credentials_end,
    )
    return Inventory(
        kubernetes=version.result(),
        nodes=surroundings.nodes.count,
        served=surroundings.served,
        found=_found(releases, seen, services.result().items, registry),
        denied=surroundings.denied,
        namespace=scan.namespace,
        surroundings=surroundings,
    )


async def count_nodes(api: Api) -> int:
    """How many nodes there are, from their metadata alone."""
    return len((await api.list(_NODES, _Nothing, accept=_ONLY_METADATA))[0])


def found_workload(workload: Mapping[str, Any], kind: str = "") -> Found:
    """A Deployment, DaemonSet or StatefulSet as the API answers it, as a component of its own, with its health.

    Its owner is what its own marks tell; the controllers are not asked.
    """
    # By way of JSON: parts of it are kept as they came, which only a decoder can do.
    read = msgspec.json.decode(msgspec.json.encode(workload), type=Workload)
    registry = Registry()
    return _plain([_Seen.of(read, kind or read.kind, registry)], registry)


def found_release(newest: Release, deployed: Release | None, driver: Driver = Driver.SECRETS) -> Found:
    """A Helm release by its newest revision and the deployed one, if there is one; its health is not known here."""
    shown = deployed or newest
    turnover = often(f"revisions of Helm release {newest.namespace}/{newest.name}", newest.revision, newest.created_at)
    return Found(
        placement=Placement(SourceKind.HELM, newest.namespace, newest.name),
        version=Version(shown.chart_version),
        app_version=shown.app_version,
        chart=shown.chart,
        home=shown.home,
        owner=Owner.HELM,
        health=Health.UNKNOWN,
        message=newest.description if newest.status is not ReleaseStatus.DEPLOYED else "",
        status=newest.status,
        revision=newest.revision,
        deployed=deployed.revision if deployed else 0,
        applied=shown.apply_method,
        kinds=kinds_in(shown.manifest),
        values=shown.values,
        driver=driver,
        turnovers=(turnover,) if turnover else (),
    )


# Reading.


class _Nothing(msgspec.Struct, gc=False):
    """An object that is only counted."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A workload of the cluster, assessed, and whose it is."""

    workload: Workload
    assessment: Assessment
    marks: Marks
    claims: tuple[Claim, ...]

    @classmethod
    def of(cls, workload: Workload, kind: str, registry: Registry) -> "_Seen":
        marks = _marks_of(workload, kind)
        return cls(workload, assess_workload(state_of(workload, kind)), marks, claims_on(marks, registry))

    @property
    def turnover(self) -> Turnover | None:
        meta = self.workload.metadata
        if meta.generation <= MANY:  # almost always; a revision never exceeds the generation
            return None
        return turnover_of(self.marks, meta.generation, moment_of(meta.creation_timestamp))


def _marks_of(workload: Workload, kind: str) -> Marks:
    meta = workload.metadata
    controller = next((each for each in meta.owner_references or () if each.controller), None)
    return Marks(
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        labels=meta.labels or {},
        annotations=meta.annotations or {},
        controller=(controller.api_version, controller.kind, controller.name) if controller else None,
        writers=tuple(
            Writer(each.manager, each.operation, each.time)
            for each in meta.managed_fields or ()
            if not each.subresource
        ),
        images=tuple(each.image for each in workload.containers),
    )


# Deciding.


def _releases(records: Mapping[Driver, Listed[Record]]) -> dict[ReleaseKey, StoredRelease]:
    found: dict[ReleaseKey, StoredRelease] = {}
    for driver, listed in records.items():
        found = read_records(listed.items, driver) | found
    return found


def _registry(
    said: Said, releases: Mapping[ReleaseKey, StoredRelease], *, all_are_recorded: bool, kubernetes: str
) -> Registry:
    manifests = {
        key: tuple(workloads_in(stored.deployed.manifest, key[0]))
        for key, stored in releases.items()
        if stored.deployed
    }
    return register(
        said.controlled,
        asked=said.asked,
        recorded=releases if all_are_recorded else None,
        manifests=manifests,
        kubernetes=kubernetes,
    )


def _found(
    releases: Mapping[ReleaseKey, StoredRelease],
    seen: Iterable[_Seen],
    services: Iterable[ApiService],
    registry: Registry,
) -> tuple[Found, ...]:
    members: dict[ReleaseKey, list[_Seen]] = defaultdict(list)
    plain: dict[object, list[_Seen]] = defaultdict(list)
    conflicts: dict[ReleaseKey, list[Conflict]] = defaultdict(list)
    for each in seen:
        release = each.marks.release
        # Argo CD and others apply what Helm renders, and some copy its annotations: no release stands behind them.
        if release is not None and (release in releases or registry.recorded is None):
            members[release].append(each)
        else:
            plain[_together_with(each)].append(each)
        conflict = conflict_over(each.marks, each.claims)
        if conflict is not None:
            for key in {*((release,) if release else ()), *registry.manifests.get(each.marks.key, ())}:
                conflicts[key].append(conflict)
    apis: dict[ReleaseKey, list[Assessment]] = defaultdict(list)
    for service in services:
        notes = service.metadata.annotations or {}
        if RELEASE_NAME in notes:
            apis[notes.get(RELEASE_NAMESPACE, ""), notes[RELEASE_NAME]].append(assess_api_service(service))
    listed = [
        _whole(key, _base_of(key, releases.get(key), members[key]), members[key], apis[key], conflicts[key], registry)
        for key in {**releases, **members}
    ]
    listed += [_plain(group, registry) for group in plain.values()]
    return tuple(sorted(listed, key=lambda found: found.placement))


def _together_with(seen: _Seen) -> object:
    """What workloads of no release are one thing by: all Deployments of one operator that OLM has installed."""
    by = seen.claims[0].by if seen.claims else None
    return by if by is not None and by.owner is Owner.OLM and by.name else seen.marks.key


def _base_of(key: ReleaseKey, stored: StoredRelease | None, members: list[_Seen]) -> Found:
    """A release by its records, else by what its workloads say."""
    if stored is None:
        return _from_labels(key, members)
    if stored.newest is None:
        return Found(
            placement=Placement(SourceKind.HELM, *key),
            version=Version(""),
            app_version="",
            chart="",
            owner=Owner.HELM,
            health=Health.UNKNOWN,
            message=stored.trouble,
            status=stored.status,
            revision=stored.revision,
            driver=stored.driver,
            no_version="its Helm record cannot be read",
        )
    return found_release(stored.newest, stored.deployed, stored.driver)


def _from_labels(key: ReleaseKey, members: list[_Seen]) -> Found:
    """A release whose record may not be read, by what its workloads say."""
    labels = members[0].marks.labels
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
        no_version="" if version else "its Helm record may not be read, and no label names its chart",
    )


def _whole(
    key: ReleaseKey,
    found: Found,
    members: list[_Seen],
    apis: list[Assessment],
    conflicts: list[Conflict],
    registry: Registry,
) -> Found:
    """A release with the worst health of what belongs to it, and the owner that stands behind it."""
    whole = together([*(each.assessment for each in members), *apis])
    claims = claims_on_release(key, (each.claims for each in members), registry)
    over_all = conflict_over_release(key, claims)
    by = claims[0].by if claims else None
    return replace(
        found,
        health=whole.health,
        message=found.message or (whole.note if whole.health is not Health.CURRENT else ""),
        owner=by.owner if by else found.owner,
        owner_ref=by,
        conflicts=(*((over_all,) if over_all else ()), *conflicts),
        turnovers=(*found.turnovers, *_turnovers(members)),
        changes={f"release {key[1]}": found.revision, **_changes(members)},
        images=tuple(dict.fromkeys(image for each in members for image in each.marks.images)),
    )


def _plain(group: list[_Seen], registry: Registry) -> Found:
    """A workload of no release, or several that are one thing; the first by name stands for all."""
    first = min(group, key=lambda each: each.marks.key)
    marks = first.marks
    image = main_image(marks.name, [(each.name, each.image) for each in first.workload.containers])
    version, no_version = told_version(image, marks.labels, marks.annotations)
    installed = Version(installed_by(first.claims, registry))
    whole = together([each.assessment for each in group])
    by = first.claims[0].by if first.claims else None
    conflicts = (conflict_over(each.marks, each.claims) for each in group)
    return Found(
        placement=Placement(SourceKind.WORKLOAD, marks.namespace, marks.name, marks.kind),
        version=version or installed,
        app_version=installed or marks.labels.get("app.kubernetes.io/version", "") or version,
        chart="",
        owner=by.owner if by else Owner.NOBODY,
        owner_ref=by if by and by.owner is not Owner.KUBEADM else None,
        health=whole.health,
        message="" if whole.health is Health.CURRENT else whole.note,
        images=tuple(dict.fromkeys(image for each in group for image in each.marks.images)),
        conflicts=tuple(each for each in conflicts if each is not None),
        turnovers=_turnovers(group),
        changes=_changes(group),
        no_version="" if version or installed else no_version,
    )


def _changes(group: Iterable[_Seen]) -> dict[str, int]:
    return {each.marks.title: changes_of(each.marks, each.workload.metadata.generation) for each in group}


def _turnovers(group: Iterable[_Seen]) -> tuple[Turnover, ...]:
    return tuple(turnover for each in group if (turnover := each.turnover) is not None)
