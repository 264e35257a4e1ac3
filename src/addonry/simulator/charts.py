"""The demo's chart repository: our own charts, packed in memory and answered over HTTP by whoever serves it.

``charts/NAME`` is a chart in its newest good version, ``charts/versions.yaml`` lists the versions to make of it.
The same sources always give the same bytes on one machine, so digests and ETags stay when the simulator is
started again. To add a version, add it to ``versions.yaml``; to add a chart, add its folder too.

Like all of the simulator this imports nothing else of Addonry.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import yaml

INDEX: Final = "index.yaml"

_PASSED_ON: Final = ("apiVersion", "name", "description", "type", "home", "icon", "keywords", "sources", "maintainers")
_MAY_BE_LEFT: Final = ("kubeVersion", "deprecated", "annotations", "dependencies")
_LITTER: Final = (".swp", ".orig", "~")


class ChartsMissing(Exception):
    """The demo's charts, or a part of them, are not where they should be."""


@dataclass(frozen=True, slots=True)
class PackedChart:
    """One version of a chart as a repository serves it."""

    name: str
    version: str
    app_version: str
    kubernetes: str
    created_at: datetime
    archive: bytes

    @property
    def file(self) -> str:
        """The archive's name, as Helm calls it."""
        return f"{self.name}-{self.version}.tgz"

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal."""
        return hashlib.sha256(self.archive).hexdigest()


@dataclass(frozen=True, slots=True)
class PackedCharts:
    """All versions of all charts, newest first within a chart, and their index."""

    charts: tuple[PackedChart, ...]
    index: bytes

    def find(self, name: str, version: str) -> PackedChart:
        """Raises ChartsMissing."""
        for chart in self.charts:
            if (chart.name, chart.version) == (name, version):
                return chart
        raise ChartsMissing(f"There is no {name} {version}; see charts/versions.yaml for what there is.")


def find_charts() -> Path:
    """The folder of the charts: part of the package when installed, the repository's own in a checkout."""
    packaged = Path(__file__).with_name("demo_charts")
    checkout = Path(__file__).parents[3] / "charts"
    for folder in (packaged, checkout):
        if (folder / "versions.yaml").is_file():
            return folder
    raise ChartsMissing(f"The demo's charts are neither in {packaged} nor in {checkout}; install Addonry again.")


def pack(directory: Path) -> PackedCharts:
    """Make every version that ``versions.yaml`` in *directory* lists. Raises ChartsMissing."""
    charts: list[PackedChart] = []
    entries: dict[str, list[dict[str, Any]]] = {}
    for name, versions in sorted(_read_yaml(directory / "versions.yaml").items()):
        source = directory / name
        for stamp in versions:
            metadata = _stamped(_read_yaml(source / "Chart.yaml"), stamp)
            chart = PackedChart(
                name=name,
                version=metadata["version"],
                app_version=metadata["appVersion"],
                kubernetes=metadata.get("kubeVersion", ""),
                created_at=_moment(stamp["created"]),
                archive=_archive(name, _files(source, metadata, stamp), _moment(stamp["created"])),
            )
            charts.append(chart)
            entries.setdefault(name, []).append(_entry(chart, metadata))
    index = {
        "apiVersion": "v1",
        "entries": entries,
        "generated": _written(max(chart.created_at for chart in charts)),
    }
    return PackedCharts(tuple(charts), yaml.safe_dump(index, sort_keys=False, width=200).encode())


class ChartRepository:
    """Answers what Helm and the catalog ask of a chart repository. Knows no sockets: its caller has one."""

    def __init__(self, packed: PackedCharts) -> None:
        newest = max(chart.created_at for chart in packed.charts)
        self._files = {INDEX: _File.of(packed.index, "text/yaml; charset=utf-8", newest)}
        for chart in packed.charts:
            self._files[chart.file] = _File.of(chart.archive, "application/gzip", chart.created_at)

    def respond(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a GET of *path*, relative to where the repository is mounted.

        Conditional requests are answered 304 when nothing has changed.
        """
        file = self._files.get(path.strip("/"))
        if file is None:
            body = f"There is no {path}; the charts are listed in {INDEX}.\n".encode()
            return 404, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}, body
        asked = {name.lower(): value for name, value in headers.items()}
        known = {"ETag": file.etag, "Last-Modified": format_datetime(file.modified_at, usegmt=True)}
        if file.is_known(asked):
            return 304, known, b""
        return 200, {**known, "Content-Type": file.media_type, "Content-Length": str(len(file.body))}, file.body


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    media_type: str
    modified_at: datetime
    etag: str

    @classmethod
    def of(cls, body: bytes, media_type: str, modified_at: datetime) -> "_File":
        return cls(body, media_type, modified_at, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def is_known(self, asked: Mapping[str, str]) -> bool:
        """RFC 9110, section 13.2.2: If-None-Match decides alone where it is sent."""
        if "if-none-match" in asked:
            tags = [tag.strip().removeprefix("W/") for tag in asked["if-none-match"].split(",")]
            return "*" in tags or self.etag in tags
        try:
            since = parsedate_to_datetime(asked.get("if-modified-since", ""))
        except ValueError:
            return False  # a date that cannot be read is ignored, section 13.1.3
        return self.modified_at <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def _stamped(metadata: dict[str, Any], stamp: Mapping[str, Any]) -> dict[str, Any]:
    return metadata | {key: str(stamp[key]) for key in ("version", "appVersion", "kubeVersion") if key in stamp}


def _files(source: Path, metadata: Mapping[str, Any], stamp: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Names within the chart and contents, ``Chart.yaml`` first as ``helm package`` has it."""
    yield "Chart.yaml", yaml.safe_dump(dict(metadata), sort_keys=False, width=200).encode()
    for path in sorted(each for each in source.rglob("*") if each.is_file()):
        name = path.relative_to(source).as_posix()
        if name == "Chart.yaml" or name.endswith(_LITTER) or (path.name[0] == "." and path.name != ".helmignore"):
            continue
        body = path.read_bytes()
        if name == "values.yaml" and "values" in stamp:
            body = yaml.safe_dump(_merged(yaml.safe_load(body), stamp["values"]), sort_keys=False).encode()
        if name == "values.schema.json" and "schema" in stamp:
            body = json.dumps(_merged(json.loads(body), stamp["schema"]), indent=2).encode()
        yield name, body


def _merged(base: Any, over: Any) -> Any:
    """*over* laid over *base* as in a JSON merge patch (RFC 7396)."""
    if not isinstance(over, dict):
        return over
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _archive(name: str, files: Iterator[tuple[str, bytes]], moment: datetime) -> bytes:
    """A .tgz whose bytes depend on names and contents only: one moment, no owner, one mode."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, body in files:
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size = len(body)
            info.mtime = int(moment.timestamp())
            tar.addfile(info, io.BytesIO(body))
    return gzip.compress(plain.getvalue(), mtime=int(moment.timestamp()))


def _entry(chart: PackedChart, metadata: Mapping[str, Any]) -> dict[str, Any]:
    entry = {key: metadata[key] for key in _PASSED_ON if key in metadata}
    entry |= {"version": chart.version, "appVersion": chart.app_version}
    entry |= {key: metadata[key] for key in _MAY_BE_LEFT if key in metadata}
    return entry | {"created": _written(chart.created_at), "digest": chart.digest, "urls": [chart.file]}


def _moment(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChartsMissing(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict):
        raise ChartsMissing(f"{path} holds no mapping.")
    return content
