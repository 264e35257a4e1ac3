"""Who put a component there, what they do about changes that others make, and who else lays claim to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Owner(StrEnum):
    """Who put the component there and would put it back."""

    HELM = "Helm"
    ARGO_CD = "Argo CD"
    FLUX = "Flux"
    OLM = "OLM"
    OPERATOR = "operator"
    K3S = "k3s"
    RKE2 = "RKE2"
    EKS = "EKS"
    AKS = "AKS"
    GKE = "GKE"
    ACK = "ACK"
    ADDON_MANAGER = "addon manager"
    KUBEADM = "kubeadm"
    NOBODY = "nobody"


class Upkeep(StrEnum):
    """What an owner does when somebody else changes what is its own."""

    CORRECTS = "corrects"
    """Puts it back, within minutes."""
    APPLIES = "applies"
    """Overwrites it with its next change, whenever that comes."""
    PAUSED = "paused"
    """Nothing, until somebody resumes it or tells it to go on."""
    NONE = "none"
    """Nothing, ever, by itself."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """Where an owner keeps its word on a component: the object to change instead of the component itself."""

    owner: Owner
    kind: str = ""
    """``Application``, ``HelmRelease``, ``Release`` ...; empty when it is not known which object it is."""
    namespace: str = ""
    name: str = ""
    upkeep: Upkeep = Upkeep.UNKNOWN
    note: str = ""
    """What else a person would want to know: ``syncs automatically``, ``channel stable``."""

    @property
    def title(self) -> str:
        """``Flux Kustomization flux-system/apps``, as far as it is known."""
        place = f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name
        return " ".join(each for each in (self.owner.value, self.kind, place) if each)


@dataclass(frozen=True, slots=True)
class Claim:
    """That an owner holds an object for its own, and what gives it away."""

    by: OwnerRef
    sign: str
    """``label kustomize.toolkit.fluxcd.io/name``, ``field manager eks`` ..."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """One object that several owners lay claim to: each would undo what another did."""

    subject: str
    """``Deployment kube-system/metrics-server``."""
    claims: tuple[Claim, ...]
    """Two or more."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How often the parts of something were changed under our eyes, in a window of time and in the one before."""

    since: datetime
    first: Mapping[str, int]
    """All changes of each part ever, when the window began."""
    last: Mapping[str, int]
    """The same, when they were seen last."""
    before: int = 0
    """The changes of the busiest part in the window before."""

    @property
    def changes(self) -> int:
        """Of the busiest part, in the busier of the two windows."""
        grown = (count - self.first.get(part, count) for part, count in self.last.items())
        return max(self.before, *grown, 0)


@dataclass(frozen=True, slots=True)
class Turnover:
    """How often something was changed since it came into being."""

    what: str
    """``revisions of the release``, ``rollouts of Deployment coredns`` ..."""
    count: int
    since: datetime
