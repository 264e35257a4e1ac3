"""What was found on a cluster, recognised as components of the catalog; and what an image's name says.

A release is recognised by its chart, a plain workload by kind and name or by its image. A workload that the catalog
does not know is no component; a Helm release, and an operator that OLM has installed, always is. To recognise by
something more, let ``signs_of`` tell it of an entry, write a function that tells it of a Found, and name that in SIGNS
at the place that says how much it is worth.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from addonry.model.catalog import CatalogEntry
from addonry.model.components import Component, Found, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import ComponentName, Version
from addonry.model.inventory import Inventory
from addonry.model.owners import Claim, Conflict, Owner, OwnerRef

_DIGIT: Final = re.compile("[0-9]")


@dataclass(frozen=True, slots=True)
class Image:
    """An image's name in its parts; each but the repository may be missing."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Registry and repository, to which another tag can be put."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


def recognise(inventory: Inventory, entries: tuple[CatalogEntry, ...], observed_at: datetime) -> tuple[Component, ...]:
    """The components of a cluster, by name; the same inventory gives the same names.

    Of two that are one catalog component the deployed Helm release has its name, the others are ``name@namespace``. The
    parts of a component, as its entry names them, are not listed beside it.
    """
    matches = sorted(_without_parts(_with_rivals(list(_matches(inventory.found, entries)))), key=_rank)
    taken = {name for entry in entries for name in (entry.name, *entry.aliases)}
    named: dict[ComponentName, Component] = {}
    for match in matches:
        name = _free_name(match, named.keys() | (set() if match.entry else taken))
        named[name] = Component(name, _as_installed(match), match.entry is not None, observed_at, match.parts)
    return tuple(named[name] for name in sorted(named))


def split_image(image: str) -> Image:
    """*image* in its parts, by the rules of the distribution project: a first part with a dot, a port, or called
    ``localhost`` is a registry (https://github.com/distribution/reference).
    """
    rest, _, digest = image.partition("@")
    first, slash, others = rest.partition("/")
    has_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, others) if has_registry else ("", rest)
    # Only behind the last slash does a colon begin a tag; before it, it begins a port.
    head, colon, last = path.rpartition(":")
    repository, tag = (head, last) if colon and "/" not in last else (path, "")
    return Image(registry, repository, tag, digest)


def told_version(
    image: str, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> tuple[Version, str]:
    """The version that a workload with *image* says of itself; or none, and why.

    The tag, if it has a number in it; else what the label or annotation made for it says; else a tag such as
    ``latest``. A chart label counts charts, which are not what runs, so it is mentioned and no more.
    """
    parts = split_image(image)
    marks = (
        (labels or {}).get("app.kubernetes.io/version", ""),
        # https://github.com/opencontainers/image-spec/blob/main/annotations.md
        (annotations or {}).get("org.opencontainers.image.version", ""),
    )
    told = parts.tag if _DIGIT.search(parts.tag) else next((each for each in marks if each), parts.tag)
    if told:
        return Version(told), ""
    named = "a digest" if parts.digest else "no tag"
    chart = (labels or {}).get("helm.sh/chart", "")
    aside = f"; its chart is {chart}" if chart else ""
    return Version(""), f"its image has {named} and no label says its version{aside}" if image else "it has no image"


def main_image(workload: str, containers: Iterable[tuple[str, str]]) -> str:
    """The image of the main container out of pairs of name and image: the one named like the workload, else the first.

    A sidecar that an injector put first is thereby not taken for the component.
    """
    listed = tuple(containers)
    named = (image for name, image in listed if name and (name == workload or workload.endswith(f"-{name}")))
    return next(named, listed[0][1] if listed else "")


Sign = tuple[str, ...]
"""What something is recognised by: ``("chart", name)``, ``("operator", package)``, ``("image", repository)``, or kind and name
behind ``workload`` or ``part``."""


@dataclass(frozen=True, slots=True)
class _Match:
    found: Found
    entry: CatalogEntry | None
    sign: Sign = ()
    parts: tuple[Placement, ...] = ()


def _matches(found: tuple[Found, ...], entries: tuple[CatalogEntry, ...]) -> Iterable[_Match]:
    known = _index(entries)
    for each in found:
        signs = (sign for read in SIGNS for sign in read(each))
        sign = next((sign for sign in signs if sign in known and not _is_repacked(each, known[sign])), None)
        if sign is not None:
            yield _Match(each, known[sign], sign)
        elif _is_always_one(each):
            yield _Match(each, None)


def _is_always_one(found: Found) -> bool:
    return found.placement.source is SourceKind.HELM or (found.owner is Owner.OLM and found.owner_ref is not None)


def _without_parts(matches: Iterable[_Match]) -> Iterator[_Match]:
    """One match for each component of a namespace that was recognised by its parts as well; by the first part alone
    where nothing else of it is there, as with drivers whose controllers a cloud runs.
    """
    parts: dict[tuple[str, str], list[_Match]] = defaultdict(list)
    whole: list[_Match] = []
    for match in matches:
        if match.sign[:1] == ("part",):
            parts[_place(match)].append(match)
        else:
            whole.append(match)
    yield from (_with_parts(match, parts.pop(_place(match), ())) for match in whole)
    for several in parts.values():
        first, *others = sorted(several, key=_order_among_parts)
        yield _with_parts(first, others)


def _with_parts(match: _Match, parts: Sequence[_Match]) -> _Match:
    if not parts:
        return match
    all_of_it = [match.found, *(each.found for each in parts)]
    found = replace(
        match.found,
        # The same two owners may fight over all of it.
        conflicts=tuple(dict.fromkeys(conflict for each in all_of_it for conflict in each.conflicts)),
        turnovers=tuple(turnover for each in all_of_it for turnover in each.turnovers),
    )
    return replace(match, found=found, parts=tuple(each.found.placement for each in parts))


def _place(match: _Match) -> tuple[str, str]:
    return (match.entry.name if match.entry else "", match.found.placement.namespace)


def _order_among_parts(match: _Match) -> int:
    placement = match.found.placement
    return match.entry.fingerprints.parts.index((placement.kind, placement.name)) if match.entry else 0


_NO_RIVALS: Final = frozenset({Owner.NOBODY, Owner.OPERATOR, Owner.KUBEADM})
"""Who does not come back to what it has put there, or puts there what another tells it to."""


def _with_rivals(matches: list[_Match]) -> list[_Match]:
    """*matches*, with the conflict of two owners who keep one component in one namespace.

    Two releases of one owner may stand side by side on purpose; an add-on of the cloud and a chart beside it share the
    component's own names: roles, services, an APIService.
    """
    places: dict[tuple[str, str], list[_Match]] = defaultdict(list)
    for match in matches:
        if match.entry is not None and match.found.owner not in _NO_RIVALS:
            places[_place(match)].append(match)
    rivals = {place: listed for place, listed in places.items() if len({each.found.owner for each in listed}) > 1}
    return [_with_conflict(match, rivals) for match in matches] if rivals else matches


def _with_conflict(match: _Match, rivals: Mapping[tuple[str, str], list[_Match]]) -> _Match:
    found = match.found
    place = _place(match)
    listed = rivals.get(place, [])
    if match not in listed:
        return match
    claims = tuple(Claim(_owner_of(each.found), _title_of(each.found.placement)) for each in listed)
    conflict = Conflict(f"{place[0]} in namespace {place[1]}", claims)
    return replace(match, found=replace(found, conflicts=(*found.conflicts, conflict)))


def _owner_of(found: Found) -> OwnerRef:
    placement = found.placement
    return found.owner_ref or OwnerRef(found.owner, placement.kind or "Release", placement.namespace, placement.name)


def _title_of(placement: Placement) -> str:
    return f"{placement.kind or 'Helm release'} {placement.namespace}/{placement.name}"


def count_others(inventory: Inventory, components: Iterable[Component]) -> int:
    """How many workloads run there that are no component and belong to none: nobody's add-on, or one not known."""
    known = {each for component in components for each in (component.found.placement, *component.parts)}
    return sum(found.placement not in known for found in inventory.found)


def signs_of(entry: CatalogEntry) -> Iterator[Sign]:
    """Everything that *entry* is recognised by. Two entries that share one could not be told apart."""
    marks = entry.fingerprints
    charts = (*marks.charts, entry.source.chart) if entry.source else marks.charts
    yield from (("chart", name) for name in dict.fromkeys(charts))
    yield from (("workload", kind, name) for kind, name in marks.workloads)
    yield from (("part", kind, name) for kind, name in marks.parts)
    yield from (("image", repository) for repository in marks.images)
    yield from (("operator", package) for package in marks.operators)


def _index(entries: tuple[CatalogEntry, ...]) -> Mapping[Sign, CatalogEntry]:
    """Each sign's entry, the first of them where two share it: what was found looks itself up, whatever is known."""
    index: dict[Sign, CatalogEntry] = {}
    for entry in entries:
        for sign in signs_of(entry):
            index.setdefault(sign, entry)
    return index


def _chart(found: Found) -> Iterator[Sign]:
    if found.placement.source is SourceKind.HELM:
        yield ("chart", found.chart)


def _operator(found: Found) -> Iterator[Sign]:
    if found.owner is Owner.OLM and found.owner_ref is not None:
        # A Subscription is called after its package, and a ClusterServiceVersion package.v1.2.3.
        yield ("operator", re.split(r"\.v\d", found.owner_ref.name)[0])


REPACKERS: Final[Mapping[str, tuple[str, ...]]] = {"bitnami.com": ("//charts.bitnami.com/", "/bitnamicharts/")}
"""Who publishes charts under the names of projects' own, by the host of a chart's home; and what their repositories'
addresses have in them. Their values are others, so that the project's chart is no newer version of theirs
(https://github.com/bitnami/charts).
"""


def _is_repacked(found: Found, entry: CatalogEntry) -> bool:
    """Whether the release is of somebody else's chart than the one that *entry* has versions of."""
    marks = REPACKERS.get(urlsplit(found.home).hostname or "") if found.home else None
    return marks is not None and not any(mark in f"{entry.source.repository}/" for mark in marks if entry.source)


def _workload(found: Found) -> Iterator[Sign]:
    # A release of an unknown chart that merely contains such a workload is somebody's own bundle.
    if found.placement.source is SourceKind.WORKLOAD:
        yield ("workload", found.placement.kind, found.placement.name)


def _part(found: Found) -> Iterator[Sign]:
    if found.placement.source is SourceKind.WORKLOAD:
        yield ("part", found.placement.kind, found.placement.name)


def _images(found: Found) -> Iterator[Sign]:
    if found.placement.source is SourceKind.WORKLOAD:
        yield from (("image", name) for image in found.images for name in _names_behind_mirrors(image))


SIGNS: Final[tuple[Callable[[Found], Iterable[Sign]], ...]] = (_chart, _operator, _workload, _part, _images)
"""Signs of a catalog component that something found bears, the strongest first."""


def _names_behind_mirrors(image: str) -> Iterator[str]:
    """The repository of *image*, then without each path that a mirror may have put in front.

    The last word alone is not tried: a fingerprint of one word would then fit anybody's image of that name.
    """
    name = split_image(image).repository.removeprefix("library/")
    yield name
    while "/" in (name := name.partition("/")[2]):
        yield name


def _is_image_of(image: str, entry: CatalogEntry) -> bool:
    return any(name in entry.fingerprints.images for name in _names_behind_mirrors(image))


def _rank(match: _Match) -> tuple[bool, bool, bool, bool, str, str, str]:
    placement = match.found.placement
    return (
        match.entry is None,
        placement.source is not SourceKind.HELM,
        match.found.status is not ReleaseStatus.DEPLOYED,
        match.entry is not None and placement.namespace != match.entry.namespace,
        placement.namespace,
        placement.name,
        placement.kind,
    )


def _free_name(match: _Match, taken: Iterable[str]) -> ComponentName:
    placement = match.found.placement
    base = match.entry.name if match.entry else _own_name(match.found)
    places = (placement.namespace, f"{placement.namespace}.{placement.name}")
    last = f"{base}@{placement.namespace}.{placement.name}.{placement.kind.lower() or placement.source}"
    candidates = (base, *(f"{base}@{place}" for place in places), last)
    return ComponentName(next((name for name in candidates if name not in taken), last))


_OF_OLM: Final = frozenset({"Subscription", "ClusterExtension"})


def _own_name(found: Found) -> str:
    # Such an object is called after the operator's package; its first Deployment may be called anything.
    by = found.owner_ref
    return by.name if by is not None and by.kind in _OF_OLM else found.placement.name


def _as_installed(match: _Match) -> Found:
    """The found thing with the version that its catalog entry goes by: the tag of the entry's own image."""
    if match.entry is None or match.found.placement.source is not SourceKind.WORKLOAD:
        return match.found
    own = [split_image(image).tag for image in match.found.images if _is_image_of(image, match.entry)]
    tag = next((tag for tag in own if tag), "")
    return replace(match.found, version=Version(tag)) if tag else match.found


_CHART_LABEL: Final = re.compile(r"(?P<name>.+?)-(?P<version>v?\d+(?:\.\d+)+(?:[-+_].*)?)\Z")


def split_chart_label(label: str) -> tuple[str, str]:
    """Name and version in a ``helm.sh/chart`` label, which charts write as ``name-version`` with ``_`` for ``+``
    (https://helm.sh/docs/chart_best_practices/labels/).
    """
    found = _CHART_LABEL.match(label)
    return (found["name"], found["version"].replace("_", "+")) if found else (label, "")
