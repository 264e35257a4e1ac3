"""What could run on a cluster: the catalog's entries and the versions on offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from addonry.model.ids import ComponentName, Version


@dataclass(frozen=True, slots=True)
class ChartSource:
    """Where a component's charts come from: a Helm repository or a folder of an OCI registry, and the chart's name."""

    repository: str
    """An ``http(s)://`` address holds ``index.yaml``; an ``oci://`` address has the chart below it."""
    chart: str

    @property
    def is_oci(self) -> bool:
        """Whether the charts are artifacts of an OCI registry."""
        return self.repository.startswith("oci://")

    @property
    def address(self) -> str:
        """What is asked which versions there are: the whole repository, or the chart's own folder of a registry."""
        return f"{self.repository}/{self.chart}" if self.is_oci else self.repository


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """How a component is recognised when nobody says its name."""

    charts: tuple[str, ...] = ()
    workloads: tuple[tuple[str, str], ...] = ()
    """Pairs of kind and name: the workload whose version is the component's, under each name that it has somewhere."""
    parts: tuple[tuple[str, str], ...] = ()
    """Its other workloads; one stands for the component only in a namespace with none of the above."""
    images: tuple[str, ...] = ()
    """Image repositories without registry and tag, for example ``coredns/coredns``."""
    operators: tuple[str, ...] = ()
    """Package names of the Operator Lifecycle Manager."""


class Counted(StrEnum):
    """Which of a component's two version numbers is meant."""

    CHART = "chart"
    APP = "app"


@dataclass(frozen=True, slots=True)
class VersionScope:
    """Some versions of a component: a constraint on one of its two version numbers. An empty one means all."""

    constraint: str = ""
    of: Counted = Counted.CHART


@dataclass(frozen=True, slots=True)
class KubernetesRange:
    """Which Kubernetes versions some versions of a component are known to run on."""

    versions: VersionScope
    kubernetes: str
    evidence: str
    is_tested: bool = False
    """Only says what was tested: a version outside of it may well work."""


@dataclass(frozen=True, slots=True)
class EndOfLife:
    """From which day on nobody mends some versions."""

    versions: VersionScope
    day: date
    evidence: str
    successor: str = ""


@dataclass(frozen=True, slots=True)
class Risk:
    """Something known to go wrong on the way to some versions."""

    id: str
    versions: VersionScope
    message: str
    remedy: str
    evidence: str
    origin: str = ""
    """Only on the way from these versions (a constraint); empty means from any."""
    kubernetes: str = ""
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class ObsoleteSetting:
    """A setting in a ConfigMap that some versions no longer understand."""

    versions: VersionScope
    config_map: str
    key: str
    pattern: str
    message: str
    remedy: str
    evidence: str


class Hop(StrEnum):
    """How far one upgrade may go at once."""

    MINOR = "minor"
    MAJOR = "major"


@dataclass(frozen=True, slots=True)
class PathRule:
    """Versions must not be skipped: at most one minor, or one major, at a time."""

    by: Hop
    of: Counted
    evidence: str


class When(StrEnum):
    """On which side of an upgrade of Kubernetes."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One component the catalog knows."""

    name: ComponentName
    title: str
    source: ChartSource | None
    """None for what only a distribution or a cloud ships: it is recognised, and nothing is on offer."""
    fingerprints: Fingerprints
    release: str
    namespace: str
    category: str = ""
    """Its group in the words of ACK; empty for the group of all others."""
    topic: str = ""
    """What it is for, in words of ours: ``dns``, ``backup``, ..."""
    description: str = ""
    home: str = ""
    notes: str = ""
    """Where its release notes are."""
    aliases: tuple[str, ...] = ()
    required: bool = False
    """Whether a cluster does not work without it; it is then not uninstalled."""
    requires: tuple[ComponentName, ...] = ()
    """Components that must be there before this one."""
    after: tuple[ComponentName, ...] = ()
    """Components that are upgraded before this one where both are there."""
    container: str = ""
    """The main container of a plain workload; empty means the first."""
    tag: str = "{app_version}"
    """How an image tag is made from an offer's application version; empty where it cannot be."""
    ranges: tuple[KubernetesRange, ...] = ()
    apis: tuple[str, ...] = ()
    """API versions that it needs of the cluster and does not bring."""
    ends: tuple[EndOfLife, ...] = ()
    risks: tuple[Risk, ...] = ()
    path: PathRule | None = None
    cluster_upgrade: When | None = None
    cluster_upgrade_evidence: str = ""
    obsolete: tuple[ObsoleteSetting, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """One change that the publisher of a version tells of."""

    kind: str
    """``added``, ``changed``, ``deprecated``, ``fixed``, ``removed``, ``security``; empty where the publisher says none."""
    text: str

    @property
    def is_breaking(self) -> bool:
        """Whether it calls itself a breaking change; there is no kind for it."""
        return "breaking" in self.text.lower()


@dataclass(frozen=True, slots=True)
class Offer:
    """One version of a component that can be had."""

    component: ComponentName
    version: Version
    app_version: str
    kubernetes: str
    """The chart's ``kubeVersion`` constraint (Masterminds); empty means any."""
    url: str
    digest: str
    """SHA-256 of the archive in hexadecimal, or empty where the repository gives none."""
    created_at: datetime | None = None
    deprecated: bool = False
    is_prerelease: bool = False
    """Its publisher says so, whatever the version's form is."""
    fixes_security: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def is_breaking(self) -> bool:
        """Whether its publisher tells of a breaking change."""
        return any(note.is_breaking for note in self.notes)


@dataclass(frozen=True, slots=True)
class ChartCredential:
    """How to get into one host of charts. Its repr tells no secret."""

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """A bearer token, in place of user and password."""
    authority: str = field(default="", repr=False)
    """PEM certificates that the host's own is signed by."""
    realm: str = ""
    """Where the host may have its tokens made, beside itself."""
    plain_http: bool = False
    """The host speaks no TLS, and what is sent there may be read on the way."""

    @property
    def is_anonymous(self) -> bool:
        """Whether it only says how to reach the host."""
        return not (self.username or self.password or self.token)


@dataclass(frozen=True, slots=True)
class ChartArchive:
    """A chart's archive, fetched, checked and kept on this machine."""

    offer: Offer
    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class ChartContents:
    """What decisions need of a chart, read without unpacking it."""

    metadata: Mapping[str, Any]
    values: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    crds: tuple[Mapping[str, Any], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ShelvedIndex:
    """What was last read of a chart repository, and what a conditional request needs."""

    repository: str
    """The ``address`` of a source."""
    body: bytes
    """In the catalogs' own form."""
    etag: str
    last_modified: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Remark:
    """What a linter says of a component file."""

    file: str
    line: int
    """From 1 on."""
    id: str
    message: str
    is_error: bool
