"""``addonry catalog lint``: everything that can be said against component files, at once, with file and line.

Errors are what would stop a start, and what can only be a mistake; the rest are warnings. To look for something more in
one file, write a function of its content and name it in CHECKS; between files, one of the entries and name it in AMONG.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from itertools import chain
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import yaml

from addonry.catalogs.checks import Clash, Path, clashes_among, constraints_of, problems_in, reaches
from addonry.catalogs.documents import Unreadable, read_mapping
from addonry.catalogs.entries import MOST_BYTES, PACKAGED, packaged, with_additions, yaml_files
from addonry.model.catalog import CatalogEntry, Remark
from addonry.model.errors import InvalidParameter
from addonry.rules.matching import signs_of
from addonry.rules.versions import satisfies


class Said(NamedTuple):
    """One finding in one file."""

    id: str
    path: Path
    message: str
    is_error: bool = True


def lint(files: Sequence[Traversable]) -> tuple[int, tuple[Remark, ...]]:
    """How many files there are, and what is wrong with them, by file and line; those packaged where none are given.

    Folders stand for the files in them. Beside what stands in a file, its component is held against all others: the
    packaged ones as well. Raises InvalidParameter for a folder or file that cannot be read.
    """
    sheets = [_Sheet(name, text) for name, text in _texts(files)]
    remarks = list(chain.from_iterable(sheet.remarks() for sheet in sheets))
    readable = [sheet for sheet in sheets if sheet.is_readable]
    remarks += _between(readable, packaged() if files else {})
    unique = dict.fromkeys(remarks)
    return len(sheets), tuple(sorted(unique, key=lambda each: (each.file, each.line, not each.is_error, each.id)))


def _texts(files: Sequence[Traversable]) -> Iterator[tuple[str, bytes]]:
    for given in files or (PACKAGED,):
        inside = yaml_files(given) if given.is_dir() or not given.is_file() else [given]
        for file in inside:
            try:
                yield str(file), file.read_bytes()
            except OSError as error:
                raise InvalidParameter(str(file), f"cannot be read: {error.strerror}", remedy="") from error


class _Sheet:
    """One file: its text, what it says, and where."""

    def __init__(self, name: str, text: bytes) -> None:
        self.name = name
        self.content: Mapping[str, Any] = {}
        self._tree: yaml.Node | None = None
        self._said = list(self._read(text))
        self.is_readable = not self._said

    def remarks(self) -> Iterator[Remark]:
        """What is wrong with the file by itself."""
        said = self._said or chain.from_iterable(check(self.content) for check in CHECKS)
        yield from map(self.remark, chain(said, self._about_its_name()))

    def remark(self, said: Said) -> Remark:
        """*said* with the line where it stands, or that of the closest member above it."""
        where = ".".join(map(str, said.path))
        message = f"{where}: {said.message}" if where else said.message
        return Remark(self.name, self._line(said.path), said.id, message, said.is_error)

    def _read(self, text: bytes) -> Iterator[Said]:
        if len(text) > MOST_BYTES:
            yield Said("unreadable", (), f"is larger than {MOST_BYTES // 1024} KiB")
            return
        try:
            self.content = read_mapping(text)
        except Unreadable as error:
            yield Said("unreadable", (), f"is {error}")
            return
        # Only now, because what reads on here trusts that the text is small and flat.
        self._tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        yield from (Said("schema", problem.path, problem.message) for problem in problems_in(self.content))

    def _about_its_name(self) -> Iterator[Said]:
        name = self.content.get("name")
        if self.is_readable and name is not None and not self.name.endswith((f"{name}.yaml", f"{name}.yml")):
            yield Said("file-name", ("name",), f"is {name!r}, so people look for it in {name}.yaml", is_error=False)

    def _line(self, path: Path) -> int:
        node, line = self._tree, 1
        for step in path:
            below = _below(node, step)
            if below is None:
                break
            at, node = below
            line = at.start_mark.line + 1
        return line


def _below(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Where the member or item begins, and what it is."""
    match node:
        case yaml.MappingNode(value=pairs):
            return next(((key, value) for key, value in pairs if key.value == str(step)), None)
        case yaml.SequenceNode(value=items) if isinstance(step, int) and step < len(items):
            return items[step], items[step]
        case _:
            return None


# In one file.


def _is_described(content: Mapping[str, Any]) -> Iterator[Said]:
    for member in ("description", "topic", "home") if "name" in content else ():
        if not content.get(member):
            yield Said("undescribed", (), f"has no {member}", is_error=False)


def _can_be_recognised(content: Mapping[str, Any]) -> Iterator[Said]:
    if "name" in content and not content.get("chart") and not any(content.get("fingerprints", {}).values()):
        yield Said("unrecognisable", (), "has no chart and no fingerprints, so it is never found on a cluster")


def _admit_something(content: Mapping[str, Any]) -> Iterator[Said]:
    for path, constraint in constraints_of(content):
        if not _admits_anything(constraint):
            yield Said("empty-constraint", path, f"{constraint!r} admits no version at all")


_NUMBERS: Final = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_FAR: Final = 10**6


def _admits_anything(constraint: str) -> bool:
    """Asked at, just below and just above each version in it: between those its answer does not change."""
    probes = {"0.0.0", f"{_FAR}.0.0"}
    for found in _NUMBERS.finditer(constraint):
        major, minor, patch = (int(number or 0) for number in found.groups())
        around = [
            (major, minor, patch),
            (major, minor, patch + 1),
            (major, minor + 1, 0),
            (major + 1, 0, 0),
            *([(major, minor, patch - 1)] if patch else []),
            *([(major, minor - 1, _FAR)] if minor else []),
            *([(major - 1, _FAR, _FAR)] if major else []),
        ]
        probes |= {f"{x}.{y}.{z}{suffix}" for x, y, z in around for suffix in ("", "-alpha.1")}
    return any(satisfies(probe, constraint) for probe in probes)


def _addresses(content: Mapping[str, Any]) -> Iterator[Said]:
    for path, address in _all_addresses(content):
        parts = urlsplit(address)
        if not parts.hostname or "." not in parts.hostname:
            yield Said("address", path, "is no address that others could open")
        elif parts.scheme == "http":
            yield Said("address", path, "is http; an https address cannot be changed on its way", is_error=False)


def _all_addresses(content: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    yield from (((member,), content[member]) for member in ("home", "notes") if member in content)
    if "chart" in content:
        yield ("chart", "repository"), content["chart"]["repository"]
    for member in ("path", "cluster_upgrade"):
        if member in content:
            yield (member, "evidence"), content[member]["evidence"]
    for member in ("kubernetes", "end_of_life", "risks", "configuration"):
        for index, row in enumerate(content.get(member, ())):
            yield (member, index, "evidence"), row["evidence"]


def _images(content: Mapping[str, Any]) -> Iterator[Said]:
    for index, image in enumerate(content.get("fingerprints", {}).get("images", ())):
        first, slash, _ = image.partition("/")
        if slash and ("." in first or first == "localhost"):
            path = ("fingerprints", "images", index)
            yield Said(
                "image-registry", path, f"begins with the registry {first}, which is left out of what is compared"
            )


def _image_tags(content: Mapping[str, Any]) -> Iterator[Said]:
    marks = content.get("fingerprints", {})
    as_workload = marks.get("workloads") or marks.get("images")
    if as_workload and "chart" in content and "tag" not in content.get("workload", {}):
        message = "does not say how image tags are made (workload.tag); {app_version} is taken"
        yield Said("tag", ("fingerprints",), message, is_error=False)


def _names_once(content: Mapping[str, Any]) -> Iterator[Said]:
    if content.get("name") in content.get("aliases", ()):
        yield Said("alias", ("aliases",), f"{content['name']!r} is its name already")
    marks = content.get("fingerprints", {})
    listed = [(each["kind"], each["name"]) for member in ("workloads", "parts") for each in marks.get(member, ())]
    for member, values in (
        ("workloads", listed),
        ("images", marks.get("images", ())),
        ("charts", marks.get("charts", ())),
    ):
        for value, count in Counter(values).items():
            if count > 1:
                told = " ".join(value) if isinstance(value, tuple) else value
                yield Said("twice", ("fingerprints", member), f"{told} is named {count} times")
    for index, risk in enumerate(content.get("risks", ())):
        if risk["id"] in {each["id"] for each in content["risks"][:index]}:
            yield Said("twice", ("risks", index, "id"), f"{risk['id']!r} is the id of another risk")


def _ends(content: Mapping[str, Any]) -> Iterator[Said]:
    for index, end in enumerate(content.get("end_of_life", ())):
        if "successor" not in end:
            yield Said("successor", ("end_of_life", index), "does not say what to use instead", is_error=False)


CHECKS: Final[tuple[Callable[[Mapping[str, Any]], Iterator[Said]], ...]] = (
    _is_described,
    _can_be_recognised,
    _admit_something,
    _addresses,
    _images,
    _image_tags,
    _names_once,
    _ends,
)


# Between files.


def _between(sheets: Sequence[_Sheet], base: Mapping[str, Mapping[str, Any]]) -> Iterator[Remark]:
    describing: dict[str, _Sheet] = {}
    fitting: list[_Sheet] = []
    known = set(base) | {sheet.content["name"] for sheet in sheets if "name" in sheet.content}
    for sheet in sheets:
        name, extends = sheet.content.get("name"), sheet.content.get("extends")
        if extends is not None and extends not in known:
            yield sheet.remark(Said("extends", ("extends",), f"no file describes {extends!r}"))
        elif name is not None and name in describing:
            yield sheet.remark(Said("twice", ("name",), f"{name!r} is described in {describing[name].name} as well"))
        else:
            fitting.append(sheet)
            if name is not None:
                describing[name] = sheet
    telling = {sheet.content["extends"]: sheet for sheet in fitting if "extends" in sheet.content} | describing
    entries = with_additions(base, ((sheet.name, sheet.content) for sheet in fitting))
    for kind, among in AMONG.items():
        for clash in among(entries):
            if clash.component in telling:
                yield telling[clash.component].remark(Said(kind, (clash.member,), clash.message))


def _circles(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    """Of what comes before what; circles of requirements alone are clashes."""
    entries = tuple(entries)
    requires = {entry.name: entry.requires for entry in entries}
    ways = {entry.name: (*entry.requires, *entry.after) for entry in entries}
    for name in ways:
        if reaches(name, name, ways) and not reaches(name, name, requires):
            yield Clash(name, "after", f"{name} comes before itself, by what it requires and comes after")


def _shared_signs(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    """For both of two that share one; a workload is the same whether it stands for a component or is a part of it."""
    bearers: dict[tuple[str, ...], list[CatalogEntry]] = {}
    for entry in entries:
        for kind, *rest in dict.fromkeys(signs_of(entry)):
            bearers.setdefault(("workload" if kind == "part" else kind, *rest), []).append(entry)
    for sign, several in bearers.items():
        names = list(dict.fromkeys(entry.name for entry in several))
        if len(names) > 1:
            for name in names:
                yield Clash(name, "fingerprints", f"{' '.join(sign)} is a fingerprint of {' and of '.join(names)}")


def _both_sides(entries: Iterable[CatalogEntry]) -> Iterator[Clash]:
    """The clashes that stop a start, told in each file that takes part."""
    entries = tuple(entries)
    yield from clashes_among(entries)
    yield from clashes_among(reversed(entries))


AMONG: Final[Mapping[str, Callable[[Iterable[CatalogEntry]], Iterator[Clash]]]] = {
    "clash": _both_sides,
    "circle": _circles,
    "shared-fingerprint": _shared_signs,
}
"""What is looked for between components, by its id. All of it is an error."""
