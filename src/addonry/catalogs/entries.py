"""The catalog's component files: one YAML for each component, checked against ``component.schema.json``.

To add a component, add a file to ``components/`` or to the directory named in the settings; a file there replaces
the packaged one of the same name. To add a field, add it to the schema and to ``_entry``.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from addonry.catalogs.documents import Unreadable, read_mapping
from addonry.model.catalog import CatalogEntry, ChartSource, Fingerprints, KubernetesRange
from addonry.model.errors import InvalidParameter
from addonry.model.ids import ComponentName
from addonry.rules.versions import ConstraintError, satisfies

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_REMEDY: Final = "Correct the file; docs/guides/catalog.md has one as an example."
_MOST_BYTES: Final = 256 * 1024


def read_entries(directories: Iterable[Path]) -> tuple[CatalogEntry, ...]:
    """The packaged components and those of *directories*, later ones replacing earlier, by name.

    Raises InvalidParameter that names the file and the field.
    """
    found: dict[ComponentName, CatalogEntry] = {}
    packaged = resources.files(__package__).joinpath("components")
    for folder in (packaged, *directories):
        for file in _yaml_files(folder):
            entry = _read(file)
            found[entry.name] = entry
    entries = tuple(sorted(found.values(), key=lambda entry: entry.name))
    _refuse_shared_names(entries)
    _refuse_unknown_requirements(entries)
    return entries


def _yaml_files(folder: Traversable) -> list[Traversable]:
    if not folder.is_dir():
        raise InvalidParameter(
            str(folder), "is no directory of component files", remedy="Create it, or leave it out of the settings."
        )
    files = (file for file in folder.iterdir() if file.name.endswith((".yaml", ".yml")) and file.is_file())
    return sorted(files, key=lambda file: file.name)


def _read(file: Traversable) -> CatalogEntry:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise InvalidParameter(file.name, f"cannot be read: {error.strerror}", remedy=_REMEDY) from error
    if len(text) > _MOST_BYTES:
        raise InvalidParameter(file.name, f"is larger than {_MOST_BYTES // 1024} KiB", remedy=_REMEDY)
    try:
        content = read_mapping(text)
    except Unreadable as error:
        raise InvalidParameter(file.name, f"is {error}", remedy=_REMEDY) from error
    problems = sorted(_validator().iter_errors(content), key=lambda problem: list(map(str, problem.absolute_path)))
    if problems:
        raise InvalidParameter(file.name, "; ".join(map(_told, problems[:5])), remedy=_REMEDY)
    entry = _entry(content)
    _refuse_bad_constraints(file.name, entry)
    return entry


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
    return CatalogEntry(
        name=ComponentName(content["name"]),
        title=content["title"],
        source=ChartSource(repository=content["chart"]["repository"].rstrip("/"), chart=content["chart"]["name"]),
        fingerprints=Fingerprints(
            charts=tuple(fingerprints.get("charts", ())),
            workloads=tuple((each["kind"], each["name"]) for each in fingerprints.get("workloads", ())),
            images=tuple(fingerprints.get("images", ())),
        ),
        release=release.get("name", content["name"]),
        namespace=release.get("namespace", "kube-system"),
        category=content.get("category", ""),
        description=content.get("description", ""),
        aliases=tuple(content.get("aliases", ())),
        required=content.get("required", False),
        requires=tuple(ComponentName(name) for name in content.get("requires", ())),
        container=workload.get("container", ""),
        tag=workload.get("tag", "{app_version}"),
        ranges=tuple(
            KubernetesRange(versions=each["versions"], kubernetes=each["range"], evidence=each["evidence"])
            for each in content.get("kubernetes", ())
        ),
    )


def _refuse_bad_constraints(file: str, entry: CatalogEntry) -> None:
    for index, known in enumerate(entry.ranges):
        for field, constraint in (("versions", known.versions), ("range", known.kubernetes)):
            try:
                satisfies("1.0.0", constraint)
            except ConstraintError as error:
                raise InvalidParameter(file, f"kubernetes.{index}.{field}: {error}", remedy=_REMEDY) from error


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
