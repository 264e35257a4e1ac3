"""What could run on a cluster: the catalog's entries and the versions on offer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from addonry.model.ids import ComponentName, Version


@dataclass(frozen=True, slots=True)
class ChartSource:
    """Where a component's charts come from: a Helm repository over HTTP, and the chart's name there."""

    repository: str
    chart: str


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """How a component is recognised when nobody says its name."""

    charts: tuple[str, ...] = ()
    workloads: tuple[tuple[str, str], ...] = ()
    """Pairs of kind and name."""
    images: tuple[str, ...] = ()
    """Image repositories without registry and tag, for example ``coredns/coredns``."""


@dataclass(frozen=True, slots=True)
class KubernetesRange:
    """Which Kubernetes versions a range of component versions is known to run on."""

    versions: str
    kubernetes: str
    evidence: str


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One component the catalog knows."""

    name: ComponentName
    title: str
    source: ChartSource
    fingerprints: Fingerprints
    release: str
    namespace: str
    category: str = ""
    description: str = ""
    aliases: tuple[str, ...] = ()
    required: bool = False
    """Whether a cluster does not work without it; it is then not uninstalled."""
    requires: tuple[ComponentName, ...] = ()
    """Components that must be there before this one."""
    container: str = ""
    """The main container of a plain workload; empty means the first."""
    tag: str = "{app_version}"
    """How an image tag is made from an offer's application version."""
    ranges: tuple[KubernetesRange, ...] = ()


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
    body: bytes
    """In the catalogs' own form."""
    etag: str
    last_modified: str
    fetched_at: datetime
