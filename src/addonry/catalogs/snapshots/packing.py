"""The file of a snapshot: a tar.gz whose first member lists the others with size and digest.

    manifest.json           what follows, from where, and as of when
    offers.json             the versions of each component
    components/NAME.yaml    component files of the site's own
    charts/DIGEST.tgz       archives of charts

The same content makes the same file, byte by byte.
"""

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from addonry.catalogs.index import Line
from addonry.model.errors import CatalogUnavailable

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
OFFERS: Final = "offers.json"


class Member(msgspec.Struct, frozen=True):
    """One file of a snapshot."""

    size: int
    sha256: str


class Known(msgspec.Struct, frozen=True):
    """The versions of one component, as of a moment."""

    address: str
    """Where they were read: the component file's own address, whatever mirror was asked."""
    read_at: datetime
    lines: list[Line]
    """With absolute addresses, and digests wherever the archive is in the snapshot."""


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot holds."""

    format: int
    taken_at: datetime
    """When the newest of it was read."""
    made_by: str
    addresses: list[str]
    files: dict[str, Member]


def pack(
    file: Path, known: Mapping[str, Known], components: Mapping[str, bytes], charts: Mapping[str, Path], *, made_by: str
) -> Manifest:
    """Write a snapshot: all of it, or nothing. Raises CatalogUnavailable when there is nothing in it, or no room for it.

    *known* is by component, *components* by file name, *charts* by digest.
    """
    if not known:
        raise CatalogUnavailable("There is nothing to export: no version of any component is known.", remedy="")
    offers = msgspec.json.encode(dict(sorted(known.items())), order="sorted")
    members: dict[str, bytes | Path] = {OFFERS: offers}
    members |= {f"components/{name}": body for name, body in components.items()}
    members |= {f"charts/{digest}.tgz": path for digest, path in charts.items()}
    manifest = Manifest(
        format=FORMAT,
        taken_at=max(each.read_at for each in known.values()),
        made_by=made_by,
        addresses=sorted({each.address for each in known.values()}),
        files={name: _described(members[name]) for name in sorted(members)},
    )
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as aside:
            try:
                _write(aside.name, manifest, members)
                os.replace(aside.name, file)  # noqa: PTH105 - the name is a string here
            except BaseException:
                Path(aside.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise CatalogUnavailable(
            f"{file} cannot be written: {error.strerror}.", remedy="Make room there, or name another file."
        ) from error
    return manifest


def _write(file: str, manifest: Manifest, members: Mapping[str, bytes | Path]) -> None:
    with (
        Path(file).open("wb") as out,
        # Without a name and a moment of its own, which would differ each time.
        gzip.GzipFile(filename="", fileobj=out, mode="wb", mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as tar,
    ):
        _add(tar, MANIFEST, msgspec.json.encode(manifest, order="sorted"))
        for name in manifest.files:
            _add(tar, name, _body(members[name]))


def _add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    tar.addfile(info, io.BytesIO(body))


def _described(content: bytes | Path) -> Member:
    body = _body(content)
    return Member(len(body), hashlib.sha256(body).hexdigest())


def _body(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()
