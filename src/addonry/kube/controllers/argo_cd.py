"""What an Application of Argo CD says."""

from typing import Final

import msgspec

from addonry.kube.objects import Meta
from addonry.model.owners import Owner, OwnerRef, Upkeep
from addonry.rules.owners import Controlled


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


class Application(msgspec.Struct, gc=False):
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
