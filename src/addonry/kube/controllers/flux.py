"""What Flux's HelmReleases and Kustomizations say."""

from typing import Any

import msgspec

from addonry.kube.objects import Meta
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import Controlled, ObjectKey


class _Spec(msgspec.Struct, rename="camel", gc=False):
    """What the kinds of Flux have in common."""

    suspend: bool = False
    kube_config: dict[str, Any] | None = None


class _HelmReleaseSpec(_Spec, rename="camel", gc=False):
    release_name: str = ""
    target_namespace: str = ""
    storage_namespace: str = ""


class HelmRelease(msgspec.Struct, gc=False):
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


class Kustomization(msgspec.Struct, gc=False):
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
