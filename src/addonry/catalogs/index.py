"""The ``index.yaml`` of a chart repository: from its bytes to the versions of the charts that are asked for.

``Line`` and ``Index`` are also the form in which every source's versions are kept. The file is read as a stream of events and only what is wanted is kept, so memory stays small for an index of any size
(some list tens of thousands of charts), and what a strange entry holds beside the known fields is skipped unseen.
All scalars are taken as text: a version that YAML would take for the number 1.1 stays ``1.10``.

Format: https://helm.sh/docs/topics/chart_repository/#the-index-file.
"""

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final, TypedDict
from urllib.parse import urljoin, urlsplit

import msgspec
import yaml

from addonry.catalogs.annotations import ANNOTATIONS, MOST_ANNOTATION, plain_annotations, read_annotations
from addonry.catalogs.documents import Unreadable, events
from addonry.catalogs.places import place_of
from addonry.model.catalog import CatalogEntry, Offer
from addonry.model.ids import Version
from addonry.rules.versions import version_key

MOST_EVENTS: Final = 4_000_000
"""About four times the largest public index; some seconds of work."""
MOST_VERSIONS: Final = 10_000
"""Versions of one chart."""
_MOST_CHARACTERS: Final = 2_000
# Wider than semantic versions, because Helm's own reader is; narrow enough for paths, tables and web pages.
_VERSION: Final = re.compile(r"[vV]?[0-9]+(?:\.[0-9]+){0,3}[0-9A-Za-z.+_-]{0,100}")


class Line(TypedDict, total=False):
    """One version of a chart as the index has it, without what nobody asks for."""

    version: str
    appVersion: str
    kubeVersion: str
    created: str
    digest: str
    deprecated: str
    urls: list[str]
    annotations: dict[str, str]
    """Those in ``ANNOTATIONS``."""
    unread: str
    """For a version that a registry lists: why nothing is known of it but its name."""


_FIELDS: Final = frozenset({"version", "appVersion", "kubeVersion", "created", "digest", "deprecated"})

Index = dict[str, list[Line]]
"""Lines by chart name, for every chart that was asked for, found or not."""


def read_index(text: bytes, charts: Collection[str]) -> Index:
    """What the index says of *charts*. Raises Unreadable."""
    if text.lstrip()[:1] == b"<":
        raise Unreadable("a web page, not an index")
    index: Index = {chart: [] for chart in charts}
    stream = _counted(events(text))
    first = next((event for event in stream if not isinstance(event, _FRAMING)), None)
    if not isinstance(first, yaml.MappingStartEvent):
        raise Unreadable("not a mapping with entries")
    found = False
    for key in _keys(stream):
        value = next(stream)
        if key == "entries" and isinstance(value, yaml.MappingStartEvent):
            found = True
            _read_charts(stream, index)
        else:
            _skip(stream, value)
    if not found:
        raise Unreadable("without entries")
    return index


def offers_of(entry: CatalogEntry, lines: Collection[Line]) -> tuple[Offer, ...]:
    """What *entry* can be had in, newest first. Lines that no chart could be fetched by are left out."""
    if entry.source is None:
        return ()
    base = entry.source.repository.rstrip("/") + "/"
    offers = {offer.version: offer for line in lines if (offer := _offer(entry, base, line)) is not None}
    return tuple(sorted(offers.values(), key=lambda offer: version_key(offer.version), reverse=True))


def encode_index(index: Index) -> bytes:
    """For the shelf."""
    return msgspec.json.encode(index)


def decode_index(body: bytes) -> Index | None:
    """From the shelf; None for what another version of Addonry left there in another form."""
    try:
        return msgspec.json.decode(body, type=dict[str, list[Line]])
    except msgspec.DecodeError:
        return None


_FRAMING: Final = (yaml.StreamStartEvent, yaml.DocumentStartEvent)


def _counted(stream: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    for count, event in enumerate(stream):
        if count > MOST_EVENTS:
            raise Unreadable(f"larger than {MOST_EVENTS:,} values")
        yield event


def _keys(stream: Iterator[yaml.Event]) -> Iterator[str]:
    """The keys of a mapping that has begun; the caller reads each value. Keys that are no text are skipped."""
    for event in stream:
        if isinstance(event, yaml.MappingEndEvent):
            return
        if isinstance(event, yaml.ScalarEvent):
            yield event.value
        else:
            _skip(stream, event)
            _skip(stream, next(stream))


def _items(stream: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """The first event of each item of a sequence that has begun; the caller reads the rest of it."""
    for event in stream:
        if isinstance(event, yaml.SequenceEndEvent):
            return
        yield event


def _skip(stream: Iterator[yaml.Event], first: yaml.Event) -> None:
    depth = 1 if isinstance(first, yaml.CollectionStartEvent) else 0
    while depth:
        event = next(stream)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _read_charts(stream: Iterator[yaml.Event], index: Index) -> None:
    for chart in _keys(stream):
        value = next(stream)
        if chart not in index or not isinstance(value, yaml.SequenceStartEvent):
            _skip(stream, value)
            continue
        for item in _items(stream):
            if not isinstance(item, yaml.MappingStartEvent):
                _skip(stream, item)
                continue
            index[chart].append(_read_line(stream))
            if len(index[chart]) > MOST_VERSIONS:
                raise Unreadable(f"with more than {MOST_VERSIONS:,} versions of {chart}")


def _read_line(stream: Iterator[yaml.Event]) -> Line:
    texts: dict[str, str] = {}
    urls: list[str] = []
    annotations: dict[str, str] = {}
    for key in _keys(stream):
        value = next(stream)
        if key in _FIELDS and isinstance(value, yaml.ScalarEvent) and len(value.value) <= _MOST_CHARACTERS:
            texts[key] = value.value
        elif key == "annotations" and isinstance(value, yaml.MappingStartEvent):
            annotations = _read_annotations(stream)
        elif key == "urls" and isinstance(value, yaml.SequenceStartEvent):
            for item in _items(stream):
                if isinstance(item, yaml.ScalarEvent) and len(item.value) <= _MOST_CHARACTERS and len(urls) < 10:
                    urls.append(item.value)
                else:
                    _skip(stream, item)
        else:
            _skip(stream, value)
    return msgspec.convert({**texts, "urls": urls, "annotations": plain_annotations(annotations)}, type=Line)


def _read_annotations(stream: Iterator[yaml.Event]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key in _keys(stream):
        value = next(stream)
        if key in ANNOTATIONS and isinstance(value, yaml.ScalarEvent) and len(value.value) <= MOST_ANNOTATION:
            found[key] = value.value
        else:
            _skip(stream, value)
    return found


def _offer(entry: CatalogEntry, base: str, line: Line) -> Offer | None:
    version = line.get("version", "")
    if not _VERSION.fullmatch(version):
        return None
    addresses = [address for url in line.get("urls", ()) if (address := _address(base, url))]
    # A web server is asked once, a registry at least twice.
    url = min(addresses, key=lambda address: address.startswith("oci:"), default="")
    if not url or line.get("unread"):
        return None
    told = read_annotations(line.get("annotations", {}))
    return Offer(
        component=entry.name,
        version=Version(version),
        app_version=line.get("appVersion", ""),
        kubernetes=line.get("kubeVersion", ""),
        url=url,
        digest=line.get("digest", "").removeprefix("sha256:").lower(),
        created_at=_moment(line.get("created", "")),
        deprecated=line.get("deprecated", "").lower() == "true",
        is_prerelease=told.is_prerelease,
        fixes_security=told.fixes_security,
        notes=told.notes,
    )


def _address(base: str, url: str) -> str:
    """The absolute address of an archive, or empty for one that nobody here fetches (``file://``)."""
    if url.startswith("oci://"):
        place = place_of(url)
        return url if place and place.reference else ""
    try:
        address = urljoin(base, url)
        parts = urlsplit(address)
        is_fetched = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        return ""
    return address if is_fetched else ""


def _moment(text: str) -> datetime | None:
    """RFC 3339 with up to nine decimals, as Go writes it; the zone is UTC where none is given."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
