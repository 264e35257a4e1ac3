"""What k3s and RKE2 say of what they bring: charts, settings for charts, manifests."""

import msgspec

from addonry.kube.objects import Meta
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import Controlled


class _HelmChartSpec(msgspec.Struct, rename="camel", gc=False):
    target_namespace: str = ""


class HelmChart(msgspec.Struct, gc=False):
    """https://docs.k3s.io/add-ons/helm; the release has the chart's name."""

    metadata: Meta
    spec: _HelmChartSpec = msgspec.field(default_factory=_HelmChartSpec)

    def says(self) -> Controlled | None:
        meta = self.metadata
        return Controlled(
            OwnerRef(Owner.K3S, "HelmChart", meta.namespace, meta.name, Upkeep.APPLIES),
            release=(self.spec.target_namespace or meta.namespace, meta.name),
        )


class HelmChartConfig(msgspec.Struct, gc=False):
    """Values of a user for a HelmChart of the same name."""

    metadata: Meta

    def says(self) -> Controlled | None:
        return Controlled(OwnerRef(Owner.K3S, "HelmChartConfig", self.metadata.namespace, self.metadata.name))


class _AddonSpec(msgspec.Struct, gc=False):
    source: str = ""


class Addon(msgspec.Struct, gc=False):
    """A manifest in the server's own folder; https://docs.k3s.io/installation/packaged-components."""

    metadata: Meta
    spec: _AddonSpec = msgspec.field(default_factory=_AddonSpec)

    def says(self) -> Controlled | None:
        meta = self.metadata
        # The servers' option --disable takes the file's or folder's name, which need not be the Addon's.
        file = self.spec.source.rpartition("/manifests/")[2]
        note = f"manifest {file}" if file else ""
        return Controlled(OwnerRef(Owner.K3S, "Addon", meta.namespace, meta.name, Upkeep.APPLIES, note))
