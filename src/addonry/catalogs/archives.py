"""Chart archives from strangers: looked through in memory before anything unpacks or renders them.

What is refused here never reaches Helm. The limits are generous for charts people run (the largest public ones
unpack to about 10 MiB) and small for a machine.
"""

import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from addonry.catalogs.documents import Unreadable, read_documents, read_mapping
from addonry.model.catalog import ChartContents
from addonry.model.errors import ChartRejected

MOST_PACKED: Final = 10 * 2**20
MOST_UNPACKED: Final = 50 * 2**20
MOST_FILES: Final = 5_000

_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)
# What Helm takes for manifests in crds/: https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
_MANIFESTS: Final = (".yaml", ".yml", ".json")


def read_contents(archive: bytes, *, name: str) -> ChartContents:
    """What decisions need of the chart in *archive*; *name* is what errors call it. Raises ChartRejected.

    CRDs are those of the chart's own ``crds/``. A subchart's are left out: whether it is switched on depends on
    values, and Helm installs the CRDs only of those that are.
    """
    files = _files(archive, name=name)
    metadata = _mapping(files.get("Chart.yaml"), "Chart.yaml", name=name)
    if not isinstance(metadata.get("name"), str) or not isinstance(metadata.get("version"), str):
        raise ChartRejected(f"{name}: Chart.yaml lacks name or version.")
    return ChartContents(
        metadata=metadata,
        values=_mapping(files.get("values.yaml", b""), "values.yaml", name=name),
        schema=_schema(files.get("values.schema.json"), name=name),
        crds=tuple(_crds(files, name=name)),
    )


def _files(archive: bytes, *, name: str) -> dict[str, bytes]:
    """The files that are read, by path below the chart's folder; every member of the archive has been looked at."""
    if len(archive) > MOST_PACKED:
        raise ChartRejected(f"{name} is larger than {MOST_PACKED // 2**20} MiB.")
    plain = _unzip(archive, name=name)
    folders: set[str] = set()
    kept: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            for count, member in enumerate(tar, start=1):
                if count > MOST_FILES:
                    raise ChartRejected(f"{name} holds more than {MOST_FILES:,} files.")
                path = _safe_path(member, name=name)
                folders.add(path.parts[0])
                if len(folders) > 1:
                    raise ChartRejected(f"{name} holds more than one folder: {', '.join(sorted(folders))}.")
                inside = "/".join(path.parts[1:])
                if member.type in _PLAIN and _is_read(inside):
                    body = tar.extractfile(member)
                    kept[inside] = body.read() if body else b""
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise ChartRejected(f"{name} is damaged: {error}.") from error
    if "Chart.yaml" not in kept:
        raise ChartRejected(f"{name} is no chart: it has no Chart.yaml.")
    return kept


def _unzip(archive: bytes, *, name: str) -> bytes:
    """All gzip members one after the other, as Helm reads them."""
    parts: list[bytes] = []
    room = MOST_UNPACKED
    while archive:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(archive, room + 1)
        except zlib.error as error:
            raise ChartRejected(f"{name} is damaged or no gzip archive.") from error
        room -= len(part)
        if room < 0:
            raise ChartRejected(f"{name} unpacks to more than {MOST_UNPACKED // 2**20} MiB.")
        if not unpacker.eof:
            raise ChartRejected(f"{name} is damaged: it ends too early.")
        parts.append(part)
        archive = unpacker.unused_data
    return b"".join(parts)


def _safe_path(member: tarfile.TarInfo, *, name: str) -> PurePosixPath:
    told = repr(member.name[:200])
    if member.type not in (*_PLAIN, tarfile.DIRTYPE) or member.sparse is not None:
        raise ChartRejected(f"{name}: {told} is neither a file nor a folder (links and devices are refused).")
    # Helm reads backslashes as slashes, so a path must be harmless both ways.
    text = member.name.replace("\\", "/")
    path = PurePosixPath(text)
    has_drive = len(text) > 1 and text[1] == ":"
    if path.is_absolute() or has_drive or ".." in path.parts or not path.parts or "\0" in text:
        raise ChartRejected(f"{name}: {told} leads out of the chart's folder.")
    return path


def _is_read(inside: str) -> bool:
    return inside in ("Chart.yaml", "values.yaml", "values.schema.json") or _is_crd(inside)


def _is_crd(inside: str) -> bool:
    return inside.startswith("crds/") and inside.endswith(_MANIFESTS)


def _mapping(body: bytes | None, file: str, *, name: str) -> dict[str, Any]:
    try:
        return read_mapping(body or b"")
    except Unreadable as error:
        raise ChartRejected(f"{name}: {file} is {error}.") from error


def _schema(body: bytes | None, *, name: str) -> dict[str, Any] | None:
    if body is None:
        return None
    try:
        schema = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ChartRejected(f"{name}: values.schema.json is no JSON: {error}.") from error
    if not isinstance(schema, dict):
        raise ChartRejected(f"{name}: values.schema.json is no JSON object.")
    return schema


def _crds(files: dict[str, bytes], *, name: str) -> Iterator[dict[str, Any]]:
    for file in sorted(filter(_is_crd, files)):
        try:
            documents = read_documents(files[file])
        except Unreadable as error:
            raise ChartRejected(f"{name}: {file} is {error}.") from error
        for document in documents:
            if document is None:
                continue
            if not isinstance(document, dict) or document.get("kind") != "CustomResourceDefinition":
                raise ChartRejected(f"{name}: {file} holds something that is no CustomResourceDefinition.")
            yield document
