"""Where a data directory keeps the snapshot in use: a folder for each import, and a small file that names the one.

The file is replaced in one step, so an import happens or does not; a service that runs meets the new one at its next
reading.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from addonry.catalogs.snapshots.packing import OFFERS, Known, Manifest
from addonry.catalogs.snapshots.unpacking import read_known, read_manifest, unpack
from addonry.model.errors import CatalogUnavailable, InvalidParameter

_NAMED: Final = "current.json"


class Named(msgspec.Struct, frozen=True):
    """Which folder is in use."""

    folder: str
    manifest: Manifest
    counts_from: datetime | None = None
    """From when on it is taken to be read, where it was to win over what is newer."""


class Snapshot:
    """The one in use, read once."""

    def __init__(self, folder: Path, known: Mapping[str, Known], named: Named | None) -> None:
        self._folder = folder
        self._known = known
        self.named = named

    @property
    def components(self) -> tuple[Path, ...]:
        """Folders of component files."""
        folder = self._folder / "components"
        return (folder,) if self.named and folder.is_dir() else ()

    def known(self, component: str) -> Known | None:
        """What it knows of a component."""
        return self._known.get(component)

    def as_of(self, known: Known) -> datetime:
        """From when on that counts."""
        return self.named.counts_from if self.named and self.named.counts_from else known.read_at

    def chart(self, digest: str) -> Path:
        """Where the archive of this digest lies, if it is in the snapshot."""
        return self._folder / "charts" / f"{digest}.tgz"


NO_SNAPSHOT: Final = Snapshot(Path(os.devnull), {}, None)


def snapshot_in(place: Path | None) -> Snapshot:
    """The one in use below *place*; an empty one where there is none, or none that can be read."""
    named = named_in(place)
    if place is None or named is None:
        return NO_SNAPSHOT
    folder = place / named.folder
    try:
        known = read_known((folder / OFFERS).read_bytes())
    except (OSError, ValueError):
        return NO_SNAPSHOT
    return Snapshot(folder, known, named)


def named_in(place: Path | None) -> Named | None:
    """Which snapshot is in use below *place*, without reading it."""
    try:
        named = msgspec.json.decode((place / _NAMED).read_bytes(), type=Named) if place else None
    except (OSError, msgspec.DecodeError):
        return None
    # It was written here, and still: it names a folder beside itself.
    return named if named and Path(named.folder).name == named.folder else None


def take(
    file: Path,
    place: Path,
    *,
    check: Callable[[Path], None],
    now: datetime,
    force: bool = False,
) -> Manifest:
    """Take *file* into use below *place*: all of it, or nothing.

    *check* is given the folder and raises for component files that do not go with the rest. Raises InvalidParameter for
    a file that is no snapshot, or an older one than the one in use unless *force* is given; it then wins over
    everything that was read before *now*. Raises CatalogUnavailable when the disk is full or read-only.
    """
    present, manifest = named_in(place), read_manifest(file)
    if present is not None and manifest.taken_at < present.manifest.taken_at and not force:
        raise InvalidParameter(
            str(file),
            f"was taken at {manifest.taken_at:%Y-%m-%d %H:%M}, before the one in use "
            f"({present.manifest.taken_at:%Y-%m-%d %H:%M})",
            remedy="Give --force to go back to it.",
        )
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=place, prefix="snapshot-"))
        try:
            manifest = unpack(file, folder)
            check(folder)
            _name(place, Named(folder.name, manifest, now if force else None))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as error:
        raise CatalogUnavailable(
            f"The snapshot cannot be kept in {place}: {error.strerror}.",
            remedy="Make room on that disk, or correct its permissions, and try again.",
        ) from error
    for other in place.glob("snapshot-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return manifest


def _name(place: Path, named: Named) -> None:
    with tempfile.NamedTemporaryFile(dir=place, prefix=".current-", delete=False) as aside:
        aside.write(msgspec.json.encode(named))
        aside.flush()
        os.fsync(aside.fileno())
    os.replace(aside.name, place / _NAMED)  # noqa: PTH105 - the name is a string here
