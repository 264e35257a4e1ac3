"""What OLM says of the operators it has installed, in its first and its second generation."""

import msgspec

from addonry.kube.objects import Meta
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import Controlled


class _Named(msgspec.Struct, gc=False):
    name: str = ""


class _Strategy(msgspec.Struct, gc=False):
    deployments: list[_Named] | None = None


class _Install(msgspec.Struct, gc=False):
    spec: _Strategy | None = None


class _CsvSpec(msgspec.Struct, gc=False):
    version: str = ""
    install: _Install | None = None


class ClusterServiceVersion(msgspec.Struct, gc=False):
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


class Subscription(msgspec.Struct, gc=False):
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


class ClusterExtension(msgspec.Struct, gc=False):
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
