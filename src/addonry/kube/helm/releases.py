"""What Helm has stored about its releases: read, picked from, and written back in the one case that needs it.

Helm keeps each revision of a release in a Secret of its own (https://helm.sh/docs/topics/advanced/#storage-backends);
``data.release`` is JSON, gzipped, in base64, and a Secret's ``data`` is base64 once more. Reading these directly is how
the inventory sees every release of a cluster in one request, and how a source learns where a killed Helm stopped.

Nothing here speaks to a cluster. What cannot be read raises ReleaseUnreadable.
"""

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from addonry.model.components import ReleaseStatus
from addonry.model.errors import ClusterRejected

MAX_UNPACKED: Final = 32 * 1024 * 1024
"""A Secret holds at most 1 MiB; gzip could make a thousand times as much of it."""

_GZIP: Final = b"\x1f\x8b"


class ReleaseUnreadable(ClusterRejected):
    """A release record is damaged, or not Helm's."""

    default_remedy = "Look at the release with `helm history`; delete the damaged revision's Secret if Helm fails too."


@dataclass(frozen=True, slots=True)
class Release:
    """One revision of a release, as Helm stored it."""

    name: str
    namespace: str
    revision: int
    status: ReleaseStatus
    chart: str
    chart_version: str
    app_version: str = ""
    kube_version: str = ""
    """The chart's own constraint on the Kubernetes version."""
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    manifest: str = field(default="", repr=False)
    """The rendered objects without hooks; may hold Secrets, hence not in the repr."""
    description: str = ""
    created_at: datetime | None = None
    """When the release was first deployed, in whatever revision."""
    modified_at: datetime | None = None
    apply_method: str = ""
    """``ssa``, ``csa``, or empty for a release of Helm 3, which Helm 4 goes on applying client-side."""
    home: str = ""
    """The page that the chart calls its home."""

    @property
    def secret_name(self) -> str:
        """The Secret that holds this revision."""
        return secret_name(self.name, self.revision)

    @property
    def is_server_side(self) -> bool:
        """Whether Helm applies this release server-side, so that others' fields conflict."""
        return self.apply_method == "ssa"


def secret_name(release: str, revision: int) -> str:
    """The name Helm gives the Secret of one revision."""
    return f"sh.helm.release.v1.{release}.v{revision}"


def decode_release(text: str | bytes) -> Release:
    """The release in *text*: base64, or base64 of base64 as in ``Secret.data``. Raises ReleaseUnreadable."""
    try:
        record = _RECORD.decode(_unpack(text))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The message of a validation error would quote what the record holds; its kind is enough.
        raise ReleaseUnreadable("A Helm release record is not the JSON that Helm writes.") from error
    return record.release()


def release_from_secret(secret: Mapping[str, Any]) -> Release:
    """The release in a Secret as the API server answers it. Raises ReleaseUnreadable."""
    return decode_release(_data_of(secret))


def document_from_secret(secret: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the Secret holds, for writing it back changed. Raises ReleaseUnreadable."""
    try:
        document = json.loads(_unpack(_data_of(secret)))
    except ValueError as error:
        raise ReleaseUnreadable("A Helm release record is not JSON.") from error
    if not isinstance(document, dict):
        raise ReleaseUnreadable("A Helm release record is not an object.")
    return document


def encode_release(document: Mapping[str, Any]) -> str:
    """*document* as it stands in ``Secret.data.release``: JSON, gzip, base64 by Helm, base64 by Kubernetes."""
    packed = gzip.compress(json.dumps(document, separators=(",", ":")).encode(), compresslevel=9, mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()


def newest(releases: Iterable[Release]) -> Release | None:
    """The last revision, whatever became of it."""
    return max(releases, key=lambda each: each.revision, default=None)


def newest_deployed(releases: Iterable[Release]) -> Release | None:
    """The revision that the cluster should be running."""
    return newest(each for each in releases if each.status is ReleaseStatus.DEPLOYED)


# Only what is read is declared: the templates and files of the chart, most of a record, are skipped over.


class _Metadata(msgspec.Struct):
    name: str = ""
    version: str = ""
    app_version: str = msgspec.field(default="", name="appVersion")
    kube_version: str = msgspec.field(default="", name="kubeVersion")
    home: str = ""


class _Chart(msgspec.Struct):
    metadata: _Metadata | None = None


class _Info(msgspec.Struct):
    status: str = ""
    description: str = ""
    first_deployed: str = ""
    last_deployed: str = ""


class _Record(msgspec.Struct):
    name: str
    version: int
    namespace: str = ""
    info: _Info | None = None
    chart: _Chart | None = None
    config: dict[str, Any] | None = None
    manifest: str = ""
    apply_method: str = ""

    def release(self) -> Release:
        metadata = (self.chart.metadata if self.chart else None) or _Metadata()
        info = self.info or _Info()
        return Release(
            name=self.name,
            namespace=self.namespace,
            revision=self.version,
            status=_status(info.status),
            chart=metadata.name,
            chart_version=metadata.version,
            app_version=metadata.app_version,
            kube_version=metadata.kube_version,
            home=metadata.home,
            values=self.config or {},
            manifest=self.manifest,
            description=info.description,
            created_at=moment_of(info.first_deployed),
            modified_at=moment_of(info.last_deployed),
            apply_method=self.apply_method,
        )


_RECORD: Final = msgspec.json.Decoder(_Record)


def _data_of(secret: Mapping[str, Any]) -> str:
    data = secret.get("data")
    text = data.get("release") if isinstance(data, Mapping) else None
    if not isinstance(text, str):
        metadata = secret.get("metadata")
        name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
        raise ReleaseUnreadable(f"Secret {name} holds no Helm release.")
    return text


def _unpack(text: str | bytes) -> bytes:
    raw = _from_base64(text.encode() if isinstance(text, str) else text)
    if not raw.startswith((_GZIP, b"{")):
        raw = _from_base64(raw)
    if raw.startswith(_GZIP):
        return _gunzip(raw)
    # From before Helm packed them; it reads such records still (helm/helm, pkg/storage/driver/util.go).
    return raw


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ReleaseUnreadable("A Helm release record is not base64.") from error


def _gunzip(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(packed, MAX_UNPACKED)
    except zlib.error as error:
        raise ReleaseUnreadable("A Helm release record is not gzip.") from error
    if unpacker.unconsumed_tail:
        raise ReleaseUnreadable(f"A Helm release record unpacks to more than {MAX_UNPACKED >> 20} MiB.")
    if not unpacker.eof:
        raise ReleaseUnreadable("A Helm release record is cut short.")
    return plain


def _status(word: str) -> ReleaseStatus:
    try:
        return ReleaseStatus(word) if word else ReleaseStatus.UNKNOWN
    except ValueError:
        return ReleaseStatus.UNKNOWN


def moment_of(text: str) -> datetime | None:
    """A moment as Go and Kubernetes write it; None for what is none."""
    # Go writes up to nine digits of a second, Python reads at most six.
    whole, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{whole}.{digits[:6]:0<6}{rest[len(digits) :]}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
