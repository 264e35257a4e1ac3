"""OCI registries as a source of charts: each version is a tag, and what is known of it lies in its config.

https://helm.sh/docs/topics/registries/ says how Helm stores a chart there. A list of tags tells nothing but names, and
each version costs two requests more; so the newest are read first, some at a time, and kept for ever after: what is
read is addressed by digest, and a digest never means anything else.
"""

import asyncio
import re
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from addonry.catalogs.annotations import ANNOTATIONS, MOST_ANNOTATION, plain_annotations
from addonry.catalogs.download import Downloads, shown
from addonry.catalogs.index import Line
from addonry.catalogs.places import Place, place_of
from addonry.catalogs.sources import Reading
from addonry.catalogs.sources.registry import Blob, Manifest, Registry
from addonry.model.errors import CatalogUnavailable, ChartRejected
from addonry.rules.versions import is_prerelease, same_version, version_key

CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
CHART: Final = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
# What Helm wrote while registries were an experiment of its.
_OLD_CHART: Final = "application/tar+gzip"
LARGEST_CONFIG: Final = 2**20

AT_A_TIME: Final = 40
"""Versions of a chart that one reading looks into; the next reading goes on."""
NEWEST: Final = 12
"""Of these, so many are the newest, and then comes the newest of each minor version: what paths of upgrades go over."""
LOOKED_AT_AGAIN: Final = 2
"""Known versions that are asked whether their tag has moved."""
MOST_SECONDS: Final = 25.0
"""For a list of tags, and again for looking into it: what has been read by then is kept."""
_SIDE_BY_SIDE: Final = 6
_MOST_CHARACTERS: Final = 2_000

# Semantic versions, with the underscore that stands for a plus, which tags may not have. Everything else (latest,
# signatures) is no version of a chart.
_NUMBER: Final = r"(?:0|[1-9][0-9]*)"
_VERSION: Final = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-[0-9A-Za-z.-]+)?(?:_[0-9A-Za-z.-]+)?")

UNREAD: Final = "not looked into yet"


class Registries:
    """Implements ``Source``."""

    def __init__(self, downloads: Downloads) -> None:
        self._registry = Registry(downloads)

    async def read(self, address: str, charts: Collection[str], known: Reading | None) -> Reading:
        """See ``Source``. The address is one chart's own, so *charts* has one name."""
        place = _place(address)
        (chart,) = charts
        before = {line["version"]: line for line in (known.index.get(chart) or () if known else ())}
        try:
            async with asyncio.timeout(MOST_SECONDS):
                tags = await self._registry.tags(place, etag=known.etag if known and before else "")
        except TimeoutError as error:
            raise CatalogUnavailable(f"{address} was not done listing its tags.") from error
        if tags.names is None:
            lines = before
        else:
            versions = [tag.replace("_", "+") for tag in tags.names if _VERSION.fullmatch(tag)]
            lines = {version: before.get(version) or _line(address, version) for version in versions}
        trouble = await self._look_into(place, address, lines)
        return Reading({chart: list(lines.values())}, etag=tags.etag, trouble=trouble)

    async def fetch(self, url: str, *, limit: int) -> bytes:
        """See ``Source``."""
        place = _place(url)
        manifest = await self._registry.manifest(place)
        return await self._registry.blob(place, chart_of(manifest, what=url), limit=limit)

    async def _look_into(self, place: Place, address: str, lines: dict[str, Line]) -> str:
        """Read what is not known of *lines*, some of it, and change them in place. What ended it early, if anything."""
        side_by_side = asyncio.Semaphore(_SIDE_BY_SIDE)
        troubles: list[str] = []

        async def look(version: str) -> None:
            async with side_by_side:
                if troubles:
                    return
                try:
                    lines[version] = await self._read_version(place, address, version)
                except ChartRejected as error:
                    lines[version] = {**_line(address, version), "unread": error.message[:_MOST_CHARACTERS]}
                except CatalogUnavailable as error:
                    troubles.append(error.message)

        try:
            async with asyncio.timeout(MOST_SECONDS):
                for version in await self._moved(place, lines):
                    lines[version] = _line(address, version)
                unread = [version for version, line in lines.items() if line.get("unread") == UNREAD]
                await asyncio.gather(*(look(version) for version in worth_reading(unread, lines)))
        except CatalogUnavailable as error:
            troubles.append(error.message)
        except TimeoutError:
            troubles.append(f"{address} was not done after {MOST_SECONDS:g} seconds.")
        return troubles[0] if troubles else ""

    async def _moved(self, place: Place, lines: dict[str, Line]) -> list[str]:
        """Of the newest known versions those whose tag means something else now: somebody has pushed them again."""
        read = sorted((version for version in lines if not lines[version].get("unread")), key=version_key, reverse=True)
        moved = []
        for version in read[:LOOKED_AT_AGAIN]:
            digest = await self._registry.digest(_tagged(place, version))
            if digest and not any(url.endswith(f"@{digest}") for url in lines[version].get("urls", ())):
                moved.append(version)
        return moved

    async def _read_version(self, place: Place, address: str, version: str) -> Line:
        tagged = _tagged(place, version)
        what = f"{address} {version}"
        manifest = await self._registry.manifest(tagged)
        layer = chart_of(manifest, what=what)
        if manifest.config.kind != CONFIG:
            raise ChartRejected(f"{what} is no chart.")
        body = await self._registry.blob(place, manifest.config, limit=LARGEST_CONFIG)
        line = read_config(body, version, what=what)
        return {
            **line,
            "digest": layer.digest.removeprefix("sha256:"),
            "created": _short(manifest.annotations.get("org.opencontainers.image.created")),
            "urls": [f"{address}@{manifest.digest}"],
        }


def worth_reading(unread: Collection[str], known: Collection[str]) -> list[str]:
    """Which of *unread* to read now: the newest, the newest of each minor version among *known*, and then the rest."""
    ordered = sorted(unread, key=version_key, reverse=True)
    releases = [version for version in ordered if not is_prerelease(version)]
    minors: dict[str, str] = {}
    for version in sorted(known, key=version_key, reverse=True):
        if not is_prerelease(version):
            minors.setdefault(_minor(version), version)
    waiting = set(unread)
    tops = [version for version in minors.values() if version in waiting]
    return list(dict.fromkeys([*releases[:NEWEST], *tops, *releases, *ordered]))[:AT_A_TIME]


def chart_of(manifest: Manifest, *, what: str) -> Blob:
    """The layer that is the archive. Raises ChartRejected when there is none, or more than one."""
    charts = [layer for layer in manifest.layers if layer.kind in (CHART, _OLD_CHART)]
    if len(charts) != 1:
        raise ChartRejected(f"{what} is no chart.")
    return charts[0]


def read_config(body: bytes, version: str, *, what: str) -> Line:
    """The ``Chart.yaml`` that lies in a registry as JSON. Raises ChartRejected, also for that of another version."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ChartRejected(f"{what}: its config is no JSON.") from error
    if not isinstance(said, dict) or not same_version(_short(said.get("version")), version):
        raise ChartRejected(f"{what}: its config is of another version.")
    annotations = said.get("annotations")
    return {
        "version": version,
        "appVersion": _short(said.get("appVersion")),
        "kubeVersion": _short(said.get("kubeVersion")),
        "deprecated": "true" if said.get("deprecated") is True else "",
        "annotations": plain_annotations(dict(_known(annotations.items() if isinstance(annotations, dict) else ()))),
    }


def _known(annotations: Iterable[tuple[Any, Any]]) -> Iterable[tuple[str, str]]:
    for name, value in annotations:
        if name in ANNOTATIONS and isinstance(value, str) and len(value) <= MOST_ANNOTATION:
            yield name, value


def _place(address: str) -> Place:
    place = place_of(address)
    if place is None:
        raise CatalogUnavailable(f"{shown(address)} is no address of a registry.", remedy="Correct the component file.")
    return place


def _tagged(place: Place, version: str) -> Place:
    return Place(place.host, place.name, version.replace("+", "_"))


def _line(address: str, version: str) -> Line:
    return {"version": version, "urls": [f"{address}:{version.replace('+', '_')}"], "unread": UNREAD}


def _minor(version: str) -> str:
    return ".".join(version.removeprefix("v").split(".", 2)[:2])


def _short(said: Any) -> str:
    return said if isinstance(said, str) and len(said) <= _MOST_CHARACTERS else ""
