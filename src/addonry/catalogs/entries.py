"""The catalog's component files: one YAML for each component, checked against ``component.schema.json``.

To add a component, add a file to ``components/`` or to the directory named in the settings; a file there replaces
the packaged one of the same name, or adds to it where it says ``extends``. To add a field, add it to the schema and to
``_entry``.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

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
from addonry.rules.versions import ConstraintError, satisfies

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_REMEDY: Final = "Correct the file; docs/guides/catalog.md has one as an example."
_MOST_BYTES: Final = 256 * 1024
PACKAGED: Final = resources.files(__package__).joinpath("components")


def read_entries(directories: Iterable[Path]) -> tuple[CatalogEntry, ...]:
    """The packaged components and those of *directories*, later ones replacing earlier, by name; then what extends them.

    Raises InvalidParameter that names the file and the field.
    """
    found: dict[str, Mapping[str, Any]] = dict(_packaged())
    additions: list[tuple[str, Mapping[str, Any]]] = []
    for folder in directories:
        for file in _yaml_files(folder):
            content = _read(file)
            if "extends" in content:
                additions.append((file.name, content))
            else:
                found[content["name"]] = content
    for file_name, addition in additions:
        base = found.get(addition["extends"])
        if base is None:
            message = f"extends {addition['extends']!r}, which no file describes"
            raise InvalidParameter(file_name, message, remedy=_REMEDY)
        found[addition["extends"]] = _extended(base, {**addition, "extends": None})
    entries = tuple(_entry(found[name]) for name in sorted(found))
    _refuse_shared_names(entries)
    _refuse_unknown_requirements(entries)
    return entries


def name_in(text: bytes) -> tuple[str, bool]:
    """The component that a component file is about, and whether it only adds to it. Raises InvalidParameter."""
    content = _content("the component file", text)
    return (content["extends"], True) if "extends" in content else (content["name"], False)


@lru_cache(maxsize=1)
def _packaged() -> Mapping[str, Mapping[str, Any]]:
    """The packaged files by name, unchecked: a test lints them, and checking them here would be most of a start."""
    contents = (read_own(file.read_bytes()) for file in _yaml_files(PACKAGED))
    return {content["name"]: content for content in contents}


def _yaml_files(folder: Traversable) -> list[Traversable]:
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


def _read(file: Traversable) -> dict[str, Any]:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise InvalidParameter(file.name, f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
    return _content(file.name, text)


def _content(name: str, text: bytes) -> dict[str, Any]:
    """What the file *name* says, checked against the schema and beyond. Raises InvalidParameter."""
    if len(text) > _MOST_BYTES:
        raise InvalidParameter(name, f"is larger than {_MOST_BYTES // 1024} KiB", remedy=_REMEDY)
    try:
        content = read_mapping(text)
    except Unreadable as error:
        raise InvalidParameter(name, f"is {error}", remedy=_REMEDY) from error
    problems = sorted(_validator().iter_errors(content), key=lambda problem: list(map(str, problem.absolute_path)))
    if problems:
        told = dict.fromkeys(
            map(_told, problems)
        )  # each missing member is a problem of its own, told by the same words
        raise InvalidParameter(name, "; ".join(list(told)[:5]), remedy=_REMEDY)
    _refuse_what_cannot_be_read(name, content)
    return content


@lru_cache(maxsize=1)
def _validator() -> "Draft202012Validator":
    # Imported here because reading the catalog is not part of every command.
    from jsonschema import Draft202012Validator

    schema = json.loads(resources.files(__package__).joinpath("component.schema.json").read_bytes())
    return Draft202012Validator(schema)


def _told(problem: "ValidationError") -> str:
    """The field, and what is wrong with it. Values are left out: an address may hold a password."""
    path = ".".join(str(part) for part in problem.absolute_path)
    where = f"{path}: " if path else ""
    schema: Mapping[str, Any] = problem.schema if isinstance(problem.schema, Mapping) else {}
    rule, wanted = str(problem.validator), schema.get(str(problem.validator))
    given: Any = problem.instance
    match rule, wanted:
        case "pattern", str():
            return f"{where}must be {schema.get('description', 'of the form ' + wanted)}"
        case "type", _:
            return f"{where}must be of type {wanted}"
        case "not", {"required": names}:
            return f"{where}must not have {' and '.join(names)} here"
        case "enum", list():
            return f"{where}must be one of {', '.join(map(str, wanted))}"
        case "required", list():
            return f"{where}lacks {', '.join(name for name in wanted if name not in given)}"
        case "additionalProperties", _:
            known = schema["properties"]
            unknown = [str(name) for name in given if name not in known]
            return f"{where}has unknown fields {', '.join(unknown)}; known are {', '.join(known)}"
        case _:
            return f"{where}violates {rule} {wanted}"


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


def _refuse_what_cannot_be_read(file: str, content: Mapping[str, Any]) -> None:
    """Constraints, dates and patterns, which the schema cannot judge."""
    for member, rules in _READ_AS.items():
        for index, row in enumerate(content.get(member, ())):
            for field, read in rules.items():
                try:
                    if field in row:
                        read(row[field])
                except (ConstraintError, ValueError, re.error) as error:
                    raise InvalidParameter(file, f"{member}.{index}.{field}: {error}", remedy=_REMEDY) from error


def _read_constraint(text: str) -> None:
    satisfies("1.0.0", text)


_VERSIONS: Final[Mapping[str, Callable[[str], object]]] = {
    "versions": _read_constraint,
    "app_versions": _read_constraint,
}
_READ_AS: Final[Mapping[str, Mapping[str, Callable[[str], object]]]] = {
    "kubernetes": {**_VERSIONS, "range": _read_constraint},
    "end_of_life": {**_VERSIONS, "date": date.fromisoformat},
    "risks": {**_VERSIONS, "from": _read_constraint, "kubernetes": _read_constraint},
    "configuration": {**_VERSIONS, "pattern": re.compile},
}


def _refuse_shared_names(entries: Iterable[CatalogEntry]) -> None:
    owners: dict[str, ComponentName] = {}
    for entry in entries:
        for name in (entry.name, *entry.aliases):
            if name in owners and owners[name] != entry.name:
                message = f"{name!r} is a name of both {owners[name]} and {entry.name}"
                raise InvalidParameter("aliases", message, remedy=_REMEDY)
            owners[name] = entry.name


def _refuse_unknown_requirements(entries: Iterable[CatalogEntry]) -> None:
    """What a component requires is in the catalog under that very name, and nothing requires itself, however far round."""
    entries = tuple(entries)
    known = {entry.name for entry in entries}
    for entry in entries:
        for other in entry.after:
            if other not in known:
                raise InvalidParameter(
                    "after", f"{entry.name} names {other!r}, which no file describes", remedy=_REMEDY
                )
    requires = {entry.name: entry.requires for entry in entries}
    for name, wanted in requires.items():
        for other in wanted:
            if other not in requires:
                raise InvalidParameter(
                    "requires", f"{name} requires {other!r}, which no file describes", remedy=_REMEDY
                )
        if _reaches(name, name, requires):
            raise InvalidParameter("requires", f"{name} requires itself, directly or through others", remedy=_REMEDY)


def _reaches(
    start: ComponentName, goal: ComponentName, requires: Mapping[ComponentName, Iterable[ComponentName]]
) -> bool:
    """Whether following requirements from *start* leads to *goal*."""
    seen: set[ComponentName] = set()
    ahead = list(requires.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            ahead += requires.get(name, ())
    return False
