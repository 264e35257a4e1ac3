"""The catalog's component files: one YAML for each component, checked against ``component.schema.json``.

To add a component, add a file to ``components/`` or to the directory named in the settings; a file there replaces
the packaged one of the same name, or adds to it where it says ``extends``. To add a field, add it to the schema and to
``_entry``.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

from addonry.catalogs.checks import clashes_among, problems_in
from addonry.catalogs.documents import Unreadable, read_mapping, read_own
from addonry.model.catalog import (
    CatalogEntry,
    ChartSource,
    Counted,
    EndOfLife,
    Fingerprints,
    Hop,
    KubernetesRange,
    ObsoleteSetting,
    PathRule,
    Risk,
    VersionScope,
    When,
)
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ComponentName

_REMEDY: Final = "Correct the file; docs/guides/catalog.md has one as an example."
MOST_BYTES: Final = 256 * 1024
"""The largest component file that is read."""
PACKAGED: Final = resources.files(__package__).joinpath("components")


def read_entries(directories: Iterable[Path]) -> tuple[CatalogEntry, ...]:
    """The packaged components and those of *directories*, later ones replacing earlier, by name; then what extends them.

    Raises InvalidParameter that names the file and the field.
    """
    contents = [(file.name, read_file(file)) for folder in directories for file in yaml_files(folder)]
    entries = with_additions(packaged(), contents)
    for clash in clashes_among(entries):
        raise InvalidParameter(clash.member, clash.message, remedy=_REMEDY)
    return entries


def with_additions(
    base: Mapping[str, Mapping[str, Any]], contents: Iterable[tuple[str, Mapping[str, Any]]]
) -> tuple[CatalogEntry, ...]:
    """The components of *base* and of files' *contents*, by name. Raises InvalidParameter for what extends nothing."""
    found = dict(base)
    contents = list(contents)
    found |= {content["name"]: content for _, content in contents if "extends" not in content}
    for file_name, addition in contents:
        if (name := addition.get("extends")) is None:
            continue
        if name not in found:
            raise InvalidParameter(file_name, f"extends {name!r}, which no file describes", remedy=_REMEDY)
        found[name] = _extended(found[name], {**addition, "extends": None})
    return tuple(_entry(found[name]) for name in sorted(found))


def name_in(text: bytes) -> tuple[str, bool]:
    """The component that a component file is about, and whether it only adds to it. Raises InvalidParameter."""
    content = _content("the component file", text)
    return (content["extends"], True) if "extends" in content else (content["name"], False)


@lru_cache(maxsize=1)
def packaged() -> Mapping[str, Mapping[str, Any]]:
    """The packaged files by name, unchecked: a test lints them, and checking them here would be most of a start."""
    contents = (read_own(file.read_bytes()) for file in yaml_files(PACKAGED))
    return {content["name"]: content for content in contents}


def yaml_files(folder: Traversable) -> list[Traversable]:
    """The component files of *folder*, by name. Raises InvalidParameter when it is no directory."""
    if not folder.is_dir():
        raise InvalidParameter(
            str(folder), "is no directory of component files", remedy="Create it, or leave it out of the settings."
        )
    files = (file for file in folder.iterdir() if file.name.endswith((".yaml", ".yml")) and file.is_file())
    return sorted(files, key=lambda file: file.name)


def _extended(base: Mapping[str, Any], addition: Mapping[str, Any]) -> dict[str, Any]:
    """*base* with *addition*: lists grow by what they do not hold yet, mappings likewise, everything else is replaced."""
    result = dict(base)
    for member, added in addition.items():
        match result.get(member), added:
            case _, None:
                pass
            case list(present), list():
                result[member] = [*present, *(each for each in added if each not in present)]
            case dict(present), dict():
                result[member] = _extended(present, added)
            case _:
                result[member] = added
    return result


def read_file(file: Traversable) -> dict[str, Any]:
    """What *file* says, checked. Raises InvalidParameter that names it."""
    try:
        text = file.read_bytes()
    except OSError as error:
        raise InvalidParameter(file.name, f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
    return _content(file.name, text)


def _content(name: str, text: bytes) -> dict[str, Any]:
    """What the file *name* says, checked against the schema and beyond. Raises InvalidParameter."""
    if len(text) > MOST_BYTES:
        raise InvalidParameter(name, f"is larger than {MOST_BYTES // 1024} KiB", remedy=_REMEDY)
    try:
        content = read_mapping(text)
    except Unreadable as error:
        raise InvalidParameter(name, f"is {error}", remedy=_REMEDY) from error
    problems = problems_in(content)
    if problems:
        raise InvalidParameter(name, "; ".join(map(str, problems[:5])), remedy=_REMEDY)
    return content


def _entry(content: Mapping[str, Any]) -> CatalogEntry:
    fingerprints = content.get("fingerprints", {})
    release = content.get("release", {})
    workload = content.get("workload", {})
    around = content.get("cluster_upgrade", {})
    return CatalogEntry(
        name=ComponentName(content["name"]),
        title=content["title"],
        source=_source(content.get("chart")),
        fingerprints=Fingerprints(
            charts=tuple(fingerprints.get("charts", ())),
            workloads=_workloads(fingerprints.get("workloads", ())),
            parts=_workloads(fingerprints.get("parts", ())),
            images=tuple(fingerprints.get("images", ())),
            operators=tuple(fingerprints.get("operators", ())),
        ),
        release=release.get("name", content["name"]),
        namespace=release.get("namespace", "kube-system"),
        category=content.get("category", ""),
        topic=content.get("topic", ""),
        description=content.get("description", ""),
        home=content.get("home", ""),
        notes=content.get("notes", ""),
        aliases=tuple(content.get("aliases", ())),
        required=content.get("required", False),
        requires=tuple(ComponentName(name) for name in content.get("requires", ())),
        after=tuple(ComponentName(name) for name in content.get("after", ())),
        container=workload.get("container", ""),
        tag=workload.get("tag", "{app_version}"),
        ranges=tuple(
            KubernetesRange(_scope(each), each["range"], each["evidence"], is_tested=each.get("tested", False))
            for each in content.get("kubernetes", ())
        ),
        apis=tuple(content.get("apis", ())),
        ends=tuple(
            EndOfLife(_scope(each), date.fromisoformat(each["date"]), each["evidence"], each.get("successor", ""))
            for each in content.get("end_of_life", ())
        ),
        risks=tuple(_risk(each) for each in content.get("risks", ())),
        path=_path(content.get("path")),
        cluster_upgrade=When(around["when"]) if around else None,
        cluster_upgrade_evidence=around.get("evidence", ""),
        obsolete=tuple(
            ObsoleteSetting(versions=_scope(each), **{name: each[name] for name in _SETTING})
            for each in content.get("configuration", ())
        ),
    )


def _workloads(content: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((each["kind"], each["name"]) for each in content)


_SETTING: Final = ("config_map", "key", "pattern", "message", "remedy", "evidence")


def _source(chart: Mapping[str, str] | None) -> ChartSource | None:
    return ChartSource(repository=chart["repository"].rstrip("/"), chart=chart["name"]) if chart else None


def _scope(content: Mapping[str, Any]) -> VersionScope:
    """The versions that a row is about: of the chart, of the application, or all of them."""
    if "app_versions" in content:
        return VersionScope(content["app_versions"], Counted.APP)
    return VersionScope(content.get("versions", ""), Counted.CHART)


def _risk(content: Mapping[str, Any]) -> Risk:
    return Risk(
        id=content["id"],
        versions=_scope(content),
        message=content["message"],
        remedy=content["remedy"],
        evidence=content["evidence"],
        origin=content.get("from", ""),
        kubernetes=content.get("kubernetes", ""),
        blocks=content.get("severity") == "blocks",
    )


def _path(content: Mapping[str, str] | None) -> PathRule | None:
    return PathRule(Hop(content["by"]), Counted(content.get("of", "chart")), content["evidence"]) if content else None
