"""Asking the sources for what goes into a snapshot."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from addonry.catalogs.annotations import Told, write_annotations
from addonry.catalogs.index import Line
from addonry.catalogs.repositories import RepositoryCatalog
from addonry.catalogs.snapshots.packing import Known, Manifest, pack
from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.errors import ChartTrouble
from addonry.rules.offers import fits, proposable

_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")
MOST_READINGS: Final = 10
"""Of a registry with many versions, which are read some at a time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to go into a snapshot."""

    names: Collection[str] | None = None
    """Components; None for all."""
    kubernetes: tuple[str, ...] = ()
    """Charts of versions that fit one of these go in; without any, none do."""
    newest: int = 5
    """So many charts of each component, for each of them."""


@dataclass(frozen=True, slots=True)
class Made:
    """What went into a snapshot, and what did not."""

    manifest: Manifest
    components: int
    troubles: tuple[str, ...] = field(default=())


async def make(catalog: RepositoryCatalog, file: Path, wanted: Wanted, *, now: datetime, made_by: str) -> Made:
    """Read the sources and write what they say to *file*.

    A source or a chart that fails is told in the answer, and all others go in. Raises ComponentNotFound for an unknown
    name, CatalogUnavailable when nothing could be read or written.
    """
    for _ in range(MOST_READINGS):
        before = catalog.generation
        await catalog.refresh(wanted.names)
        if catalog.generation == before:
            break
    entries = [entry for entry in _chosen(catalog, wanted.names) if entry.source]
    troubles = {trouble: None for entry in entries if (trouble := catalog.trouble(entry.name))}
    charts: dict[str, Path] = {}
    digests: dict[tuple[str, str], str] = {}
    for entry in entries:
        for offer in _charts(catalog.offers(entry.name), entry, wanted):
            try:
                archive = await catalog.fetch(offer)
            except ChartTrouble as error:
                troubles[error.message] = None
            else:
                charts[archive.digest] = archive.path
                digests[offer.component, offer.version] = archive.digest
    known: dict[str, Known] = {
        entry.name: Known(
            address=catalog.address_of(entry.name),
            read_at=now,
            lines=[_line(offer, digests.get((offer.component, offer.version), offer.digest)) for offer in offers],
        )
        for entry in entries
        if (offers := catalog.offers(entry.name))
    }
    manifest = pack(file, known, _components(catalog.own_files()), charts, made_by=made_by)
    return Made(manifest, len(known), tuple(troubles))


def _components(files: Iterable[Path]) -> dict[str, bytes]:
    """Component files under names that any snapshot may hold, and that keep their order: the later replaces the earlier."""
    return {
        f"{number:03}-{_ODD.sub('_', file.stem)[:90]}.yaml": file.read_bytes()
        for number, file in enumerate(files, start=1)
    }


def _chosen(catalog: RepositoryCatalog, names: Collection[str] | None) -> Iterable[CatalogEntry]:
    if names is None:
        return catalog.entries()
    return dict.fromkeys(entry for name in names if (entry := catalog.entry(name)))


def _charts(offers: tuple[Offer, ...], entry: CatalogEntry, wanted: Wanted) -> Iterable[Offer]:
    chosen: dict[str, Offer] = {}
    for kubernetes in wanted.kubernetes:
        fitting = [offer for offer in proposable(offers) if fits(offer, kubernetes, entry)]
        chosen |= {offer.version: offer for offer in fitting[: wanted.newest]}
    return chosen.values()


def _line(offer: Offer, digest: str) -> Line:
    """The offer as a source would tell of it."""
    return {
        "version": offer.version,
        "appVersion": offer.app_version,
        "kubeVersion": offer.kubernetes,
        "created": offer.created_at.isoformat() if offer.created_at else "",
        "digest": digest,
        "deprecated": "true" if offer.deprecated else "",
        "urls": [offer.url],
        "annotations": write_annotations(Told(offer.is_prerelease, offer.fixes_security, offer.notes)),
    }
