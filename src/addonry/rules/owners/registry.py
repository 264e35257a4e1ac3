"""What the controllers of a cluster say is theirs, ready to be asked."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from addonry.model.owners import Owner, OwnerRef
from addonry.rules.owners.marks import ObjectKey, ReleaseKey


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
    versions: Mapping[OwnerRef, str] = field(default_factory=dict)
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
    versions: dict[OwnerRef, str] = {}
    for told in said:
        is_packaged = told.by.owner is Owner.K3S
        each = replace(told, by=replace(told.by, owner=distribution)) if is_packaged else told
        kind, name = each.known_as or (each.by.kind, each.by.name)
        named[each.by.owner, kind, name].append(each)
        if each.version:
            versions[each.by] = each.version
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
        versions=versions,
        distribution=distribution,
    )
