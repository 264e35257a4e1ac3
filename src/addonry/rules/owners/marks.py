"""Everything about a workload that may tell whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ObjectKey = tuple[str, str, str]
"""Kind, namespace and name of a workload."""
ReleaseKey = tuple[str, str]
"""Namespace and name of a Helm release."""

RELEASE_NAME: Final = "meta.helm.sh/release-name"
RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"


@dataclass(frozen=True, slots=True)
class Writer:
    """One entry of an object's ``managedFields``: who wrote some of its fields, how, and when last."""

    manager: str
    operation: str
    time: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Everything about a workload that may tell of an owner."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    controller: tuple[str, str, str] | None = None
    """API version, kind and name of the object that controls it (``ownerReferences``)."""
    writers: tuple[Writer, ...] = ()
    images: tuple[str, ...] = ()

    @property
    def key(self) -> ObjectKey:
        return (self.kind, self.namespace, self.name)

    @property
    def title(self) -> str:
        """``Deployment kube-system/coredns``."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def release(self) -> ReleaseKey | None:
        """The Helm release that its annotations name."""
        name = self.annotations.get(RELEASE_NAME)
        return (self.annotations.get(RELEASE_NAMESPACE, self.namespace), name) if name else None
