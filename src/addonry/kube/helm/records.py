"""The Helm releases of a cluster, out of the records of all of them.

Helm keeps them in Secrets, or in ConfigMaps where HELM_DRIVER says so, with the same labels and the same contents
(https://helm.sh/docs/topics/advanced/#storage-backends). Only the records that tell something are unpacked: of each
release the newest revision, and the deployed one.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from addonry.kube.helm.releases import Release, ReleaseUnreadable, decode_release
from addonry.kube.objects import Meta
from addonry.model.components import Driver, ReleaseStatus
from addonry.rules.owners import ReleaseKey

SELECTOR: Final = "owner=helm,status!=superseded"
"""A release's newest revision is never superseded, and the older ones are most of what is stored."""


class _Data(msgspec.Struct, gc=False):
    release: str = ""


class Record(msgspec.Struct, gc=False):
    """One revision, as Helm stored it."""

    metadata: Meta
    data: _Data | None = None


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """A release, by its newest revision and the deployed one; both None when they cannot be read, with the reason."""

    driver: Driver
    status: ReleaseStatus
    revision: int
    newest: Release | None
    deployed: Release | None
    trouble: str = ""


def read_records(records: Iterable[Record], driver: Driver) -> dict[ReleaseKey, StoredRelease]:
    """Each release that is there; not those that were uninstalled with their history kept."""
    revisions: dict[ReleaseKey, list[tuple[int, str, Record]]] = defaultdict(list)
    for record in records:
        labels = record.metadata.labels or {}
        number = labels.get("version", "")
        if labels.get("name") and number.isdecimal():
            key = (record.metadata.namespace, labels["name"])
            revisions[key].append((int(number), labels.get("status", ""), record))
    found = {}
    for key, listed in revisions.items():
        listed.sort(key=lambda each: each[0])
        revision, status, newest = listed[-1]
        if status != ReleaseStatus.UNINSTALLED:
            deployed = next((each for _, word, each in reversed(listed) if word == ReleaseStatus.DEPLOYED), None)
            found[key] = _read(driver, revision, _status(status), newest, deployed)
    return found


def _read(
    driver: Driver, revision: int, status: ReleaseStatus, newest: Record, deployed: Record | None
) -> StoredRelease:
    try:
        last = _decode(newest)
        running = last if deployed is newest else _decode(deployed) if deployed else None
    except ReleaseUnreadable as error:
        return StoredRelease(driver, status, revision, None, None, error.message)
    return StoredRelease(driver, status, revision, last, running)


def _decode(record: Record) -> Release:
    return decode_release(record.data.release if record.data else "")


def _status(label: str) -> ReleaseStatus:
    try:
        return ReleaseStatus(label)
    except ValueError:
        return ReleaseStatus.UNKNOWN
