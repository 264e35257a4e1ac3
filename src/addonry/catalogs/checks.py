"""What can be wrong with component files, as values: who opens the catalog stops at it, ``lint`` tells all of it.

``problems_in`` looks at one file, ``clashes_among`` at all of them together. What the schema can say stands in
``component.schema.json``; to check something more of a row, add a reader to ``_READ_AS``.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from addonry.model.catalog import CatalogEntry
from addonry.model.ids import ComponentName
from addonry.rules.versions import ConstraintError, satisfies

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

Path = tuple[str | int, ...]
"""Where something stands in a file: names of members and positions in lists."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong in one file."""

    path: Path
    message: str

    def __str__(self) -> str:
        """The member, and what is wrong with it."""
        where = ".".join(map(str, self.path))
        return f"{where}: {self.message}" if where else self.message


@dataclass(frozen=True, slots=True)
class Clash:
    """Something that is wrong between a component and the others."""

    component: ComponentName
    member: str
    message: str


def schema_text() -> str:
    """The JSON Schema of component files."""
    return resources.files(__package__).joinpath("component.schema.json").read_text(encoding="utf-8")


def problems_in(content: Mapping[str, Any]) -> list[Problem]:
    """What breaks the schema, each told once; where nothing does, what cannot be read although it has the form."""
    broken = sorted(_validator().iter_errors(content), key=lambda error: list(map(str, error.absolute_path)))
    # Each missing member is an error of its own, told by the same words.
    told = dict.fromkeys(Problem(tuple(error.absolute_path), _told(error)) for error in broken)
    return list(told) or list(_unreadable(content))


def clashes_among(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    """Names that two share, requirements that nobody describes, and what requires itself."""
    entries = tuple(entries)
    yield from _shared_names(entries)
    yield from _unknown_others(entries)
    requires = {entry.name: entry.requires for entry in entries}
    for name in requires:
        if reaches(name, name, requires):
            yield Clash(name, "requires", f"{name} requires itself, directly or through others")


def constraints_of(content: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Every version constraint of a file that obeys the schema."""
    for path, row in _rows(content):
        for name, read in _READ_AS[str(path[0])].items():
            if read is _read_constraint and name in row:
                yield (*path, name), row[name]


def reaches(start: ComponentName, goal: ComponentName, ways: Mapping[ComponentName, Iterable[ComponentName]]) -> bool:
    """Whether following *ways* from *start* leads to *goal*."""
    seen: set[ComponentName] = set()
    ahead = list(ways.get(start, ()))
    while ahead:
        name = ahead.pop()
        if name == goal:
            return True
        if name not in seen:
            seen.add(name)
            ahead += ways.get(name, ())
    return False


@lru_cache(maxsize=1)
def _validator() -> "Draft202012Validator":
    # Imported here because checking files is not part of every command.
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema_text()))


def _told(problem: "ValidationError") -> str:
    """What is wrong with the member. Values are left out: an address may hold a password."""
    schema: Mapping[str, Any] = problem.schema if isinstance(problem.schema, Mapping) else {}
    rule, wanted = str(problem.validator), schema.get(str(problem.validator))
    given: Any = problem.instance
    match rule, wanted:
        case "pattern", str():
            return f"must be {schema.get('description', 'of the form ' + wanted)}"
        case "type", _:
            return f"must be of type {wanted}"
        case "not", {"required": names}:
            return f"must not have {' and '.join(names)} here"
        case "enum", list():
            return f"must be one of {', '.join(map(str, wanted))}"
        case "required", list():
            return f"lacks {', '.join(name for name in wanted if name not in given)}"
        case "additionalProperties", _:
            known = schema["properties"]
            unknown = [str(name) for name in given if name not in known]
            return f"has unknown fields {', '.join(unknown)}; known are {', '.join(known)}"
        case _:
            return f"violates {rule} {wanted}"


def _unreadable(content: Mapping[str, Any]) -> Iterator[Problem]:
    """Constraints, dates and patterns, which the schema cannot judge."""
    for path, row in _rows(content):
        for name, read in _READ_AS[str(path[0])].items():
            try:
                if name in row:
                    read(row[name])
            except (ConstraintError, ValueError, re.error) as error:
                yield Problem((*path, name), str(error))


def _rows(content: Mapping[str, Any]) -> Iterator[tuple[Path, Mapping[str, str]]]:
    for member in _READ_AS:
        yield from (((member, index), row) for index, row in enumerate(content.get(member, ())))


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
"""Lists of rows, and how the members of a row are read."""


def _shared_names(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    owners: dict[str, ComponentName] = {}
    for entry in entries:
        for name in (entry.name, *entry.aliases):
            if name in owners and owners[name] != entry.name:
                yield Clash(entry.name, "aliases", f"{name!r} is a name of both {owners[name]} and {entry.name}")
            owners.setdefault(name, entry.name)


def _unknown_others(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    entries = tuple(entries)
    known = {entry.name for entry in entries}
    for entry in entries:
        for member, verb, others in (("requires", "requires", entry.requires), ("after", "names", entry.after)):
            for other in others:
                if other not in known:
                    yield Clash(entry.name, member, f"{entry.name} {verb} {other!r}, which no file describes")
