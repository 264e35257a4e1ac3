"""Reading a snapshot that may come from anybody: every member is one that the manifest lists, or nothing is taken.

Sizes are limited before anything is read, names are of four known forms, and digests are compared: what is taken lies
where its name says and is what its maker put in.
"""

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from addonry.catalogs.archives import MOST_PACKED, read_contents
from addonry.catalogs.snapshots.packing import FORMAT, MANIFEST, OFFERS, Known, Manifest, Member
from addonry.model.errors import CatalogUnavailable, ChartRejected, InvalidParameter

MOST_BYTES: Final = 4 * 2**30
"""Of everything in a snapshot, unpacked."""
MOST_MEMBERS: Final = 20_000
LARGEST_MANIFEST: Final = 8 * 2**20
LARGEST_OFFERS: Final = 128 * 2**20
LARGEST_COMPONENT: Final = 256 * 2**10
_ONE_READ: Final = 2**20

_NAME: Final = re.compile(
    r"offers\.json|components/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.ya?ml|charts/[0-9a-f]{64}\.tgz", re.ASCII
)
_REMEDY: Final = "Export it again with `addonry catalog export`, and compare the two files' digests."


def unpack(file: Path, folder: Path) -> Manifest:
    """Take the snapshot in *file* into *folder*, which is empty. Raises InvalidParameter, and CatalogUnavailable for want of
    room; the folder is then of no use.
    """
    with _opened(file) as tar:
        manifest = _manifest(tar, file)
        missing = dict(manifest.files)
        while (member := tar.next()) is not None:
            wanted = missing.pop(member.name, None)
            if wanted is None or not member.isreg() or member.size != wanted.size:
                raise _refused(file, "holds something that its manifest does not list")
            body = _read(tar, member, file)
            if hashlib.sha256(body).hexdigest() != wanted.sha256:
                raise _refused(file, f"is damaged: {member.name} is not what its manifest says")
            _check(member.name, body, file)
            _put(folder / member.name, body)
        if missing:
            raise _refused(file, f"ends too early: {min(missing)} is missing")
    return manifest


def _put(path: Path, body: bytes) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
    except OSError as error:
        raise CatalogUnavailable(
            f"The snapshot cannot be kept in {path.parent}: {error.strerror}.",
            remedy="Make room on that disk, or correct its permissions, and try again.",
        ) from error


def read_manifest(file: Path) -> Manifest:
    """The manifest alone. Raises InvalidParameter."""
    with _opened(file) as tar:
        return _manifest(tar, file)


def read_known(body: bytes) -> dict[str, Known]:
    """The versions by component. Raises ValueError for what is none."""
    try:
        return msgspec.json.decode(body, type=dict[str, Known])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError("is of no known form") from error


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            file.open("rb") as packed,
            gzip.GzipFile(fileobj=packed) as plain,
            tarfile.open(fileobj=_Limited(plain), mode="r:") as tar,
        ):
            yield tar
    except OSError as error:
        why = f"cannot be read: {error.strerror}" if error.strerror else "is no snapshot, or damaged"
        raise _refused(file, why) from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise _refused(file, "is no snapshot, or damaged") from error


def _manifest(tar: tarfile.TarFile, file: Path) -> Manifest:
    member = tar.next()
    if member is None or member.name != MANIFEST or not member.isreg() or member.size > LARGEST_MANIFEST:
        raise _refused(file, "is no snapshot: it does not begin with a manifest")
    body = _read(tar, member, file)
    try:
        # The form first: a later one may have other members.
        told = msgspec.json.decode(body, type=_Form).format
        if told != FORMAT:
            raise _refused(file, f"has format {told}, and this Addonry reads format {FORMAT}", remedy="Update Addonry.")
        manifest = msgspec.json.decode(body, type=Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _refused(file, "has a manifest that cannot be read") from error
    if manifest.taken_at.tzinfo is None or len(manifest.files) > MOST_MEMBERS or OFFERS not in manifest.files:
        raise _refused(file, "has a manifest that cannot be read")
    if not all(_is_allowed(name, member) for name, member in manifest.files.items()):
        raise _refused(file, "has a manifest that lists what no snapshot holds")
    if sum(member.size for member in manifest.files.values()) > MOST_BYTES:
        raise _refused(file, f"unpacks to more than {MOST_BYTES // 2**30} GiB")
    return manifest


class _Form(msgspec.Struct):
    format: int


def _is_allowed(name: str, member: Member) -> bool:
    limits = {"offers.json": LARGEST_OFFERS, "components": LARGEST_COMPONENT, "charts": MOST_PACKED}
    return bool(_NAME.fullmatch(name)) and 0 <= member.size <= limits[name.partition("/")[0]]


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> bytes:
    source = tar.extractfile(member)
    assert source is not None, "only regular files are read"
    body = io.BytesIO()
    while chunk := source.read(_ONE_READ):
        body.write(chunk)
    if body.tell() != member.size:
        raise _refused(file, f"ends too early: {member.name} is cut short")
    return body.getvalue()


def _check(name: str, body: bytes, file: Path) -> None:
    """What digests cannot tell: that it can be used. Component files are read with all the others later."""
    try:
        if name == OFFERS:
            if any(known.read_at.tzinfo is None for known in read_known(body).values()):
                raise ValueError("has moments without a zone")
        elif name.startswith("charts/"):
            read_contents(body, name=name)
    except (ValueError, ChartRejected) as error:
        raise _refused(file, f"cannot be used: {name} {error}") from error


class _Limited(io.RawIOBase):
    """Reads on, a little at a time and only so much: tarfile would read a header of any size that the file claims."""

    def __init__(self, plain: gzip.GzipFile) -> None:
        self._plain = plain
        self._most = MOST_BYTES + LARGEST_MANIFEST + MOST_MEMBERS * 4 * tarfile.BLOCKSIZE

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._plain.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset > self._most:
            raise ValueError("beyond the limit")
        return self._plain.seek(offset)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _ONE_READ or self.tell() > self._most:
            raise ValueError("beyond the limit")
        return self._plain.read(size)


def _refused(file: Path, why: str, *, remedy: str = _REMEDY) -> InvalidParameter:
    return InvalidParameter(str(file), why, remedy=remedy)
