"""What is different between two manifests, field by field, as a person would tell it.

Only what the manifests say is compared, so what the server adds makes no difference. Members of lists are told apart by
what names them (a container's name, a mount's path), not by their place; where nothing does, the list is compared as a
whole. ``fields_between`` tells everything; ``differences`` is for people: without secrets, and with what follows from any
change of version (checksums, version labels) marked as noise.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from addonry.rules.redaction import redact, redact_text

CRD: Final = "CustomResourceDefinition"
"""Its fields are not told here: ``rules.crd_changes`` says what of its changes matters."""

_MOST_LINES: Final = 60
"""Lines told of one text."""


class Difference(StrEnum):
    """What became of an object or a field."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""The value of a field that is not there; null is a value."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a list, by the fields that name it, or by itself where it is a plain value."""

    names: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return "/".join(str(value) for _, value in self.names)


Step = str | Member


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field as it was and as it becomes, whatever it holds. Not for people's eyes: see ``FieldDifference``."""

    path: tuple[Step, ...]
    before: Any = field(repr=False)
    after: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field as it was and as it becomes, without secrets."""

    path: str
    change: Difference
    before: Any = None
    after: Any = None
    lines: tuple[str, ...] = ()
    """Of a text of several lines, those that go (``-``) and come (``+``); its whole values are then left out."""
    is_hidden: bool = False
    """Part of it may be a secret, and is left out."""
    is_noise: bool = False
    """It follows from any change of version, and says nothing more."""


@dataclass(frozen=True, slots=True)
class ObjectDifference:
    """One object that comes, goes, or has other fields."""

    kind: str
    namespace: str
    name: str
    change: Difference
    fields: tuple[FieldDifference, ...] = ()
    """Of one that comes or goes none are told."""
    is_kept: bool = False
    """It goes from the manifest and stays on the cluster, because its annotations say so."""


def differences(
    old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]], namespace: str
) -> tuple[ObjectDifference, ...]:
    """What is different between the objects of two manifests; *namespace* is that of objects that name none."""
    before = {_address(each, namespace): each for each in old}
    after = {_address(each, namespace): each for each in new}
    return tuple(_objects(before, after))


def images_between(found: Iterable[ObjectDifference]) -> tuple[tuple[str, str], ...]:
    """The images that change, as they were and as they become, each pair once."""
    pairs = (
        (str(each.before), str(each.after))
        for difference in found
        for each in difference.fields
        if each.path.endswith("].image") and each.change is Difference.CHANGED
    )
    return tuple(dict.fromkeys(pairs))


def is_kept(found: Mapping[str, Any]) -> bool:
    """Whether Helm leaves the object on the cluster when it goes from the manifest.

    https://helm.sh/docs/howto/charts_tips_and_tricks/#tell-helm-not-to-uninstall-a-resource
    """
    annotations = (found.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get("helm.sh/resource-policy", "")).strip() == "keep"


def fields_between(old: Any, new: Any, path: tuple[Step, ...] = ()) -> Iterator[FieldChange]:
    """Every field that is different. What is there in one only is told as a whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            yield from fields_between(old.get(key, ABSENT), new.get(key, ABSENT), (*path, str(key)))
        return
    if isinstance(old, list) and isinstance(new, list):
        members = _members(old, new)
        if members is not None:
            before, after = members
            for name in (*before, *(name for name in after if name not in before)):
                yield from fields_between(before.get(name, ABSENT), after.get(name, ABSENT), (*path, name))
            return
    if not _is_same(old, new):
        yield FieldChange(path, old, new)


# Objects

_Address = tuple[str, str, str, str]


def _address(found: Mapping[str, Any], namespace: str) -> _Address:
    metadata = found.get("metadata") or {}
    group, _, _ = str(found.get("apiVersion", "")).rpartition("/")
    return group, str(found.get("kind", "")), str(metadata.get("namespace") or namespace), str(metadata.get("name", ""))


def _objects(
    before: Mapping[_Address, Mapping[str, Any]], after: Mapping[_Address, Mapping[str, Any]]
) -> Iterator[ObjectDifference]:
    for address, old in before.items():
        _, kind, namespace, name = address
        if address not in after:
            yield ObjectDifference(kind, namespace, name, Difference.REMOVED, is_kept=is_kept(old))
            continue
        new = after[address]
        is_secret = kind == "Secret"
        found = list(fields_between(old, new))
        fields = () if kind == CRD else tuple(_told(each, is_secret=is_secret) for each in found)
        if found:
            yield ObjectDifference(kind, namespace, name, Difference.CHANGED, fields)
    for address in after:
        if address not in before:
            _, kind, namespace, name = address
            yield ObjectDifference(kind, namespace, name, Difference.ADDED)


# Lists

_NAMED_BY: Final[tuple[tuple[str, ...], ...]] = (
    ("name",),
    ("mountPath",),
    ("devicePath",),
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("ip",),
    ("key",),
    ("topologyKey", "whenUnsatisfiable"),
)
"""What may name a member, the first that names all of them: the merge keys of the built-in kinds."""

_UNSAID: Final = {"protocol": "TCP"}


def _members(old: Sequence[Any], new: Sequence[Any]) -> tuple[dict[Member, Any], dict[Member, Any]] | None:
    """Both lists by what names their members; None where nothing names all of them, or not each differently."""
    for names in _NAMED_BY:
        before, after = _by_name(old, names), _by_name(new, names)
        if before is not None and after is not None:
            return before, after
    before, after = _by_value(old), _by_value(new)
    if before is None or after is None:
        return None
    is_reordered = [each for each in before if each in after] != [each for each in after if each in before]
    return None if is_reordered else (before, after)


def _by_name(members: Sequence[Any], names: tuple[str, ...]) -> dict[Member, Any] | None:
    found: dict[Member, Any] = {}
    for each in members:
        if not isinstance(each, Mapping) or names[0] not in each:
            return None
        values = [each.get(name, _UNSAID.get(name)) for name in names]
        if not all(isinstance(value, str | int | None) for value in values):
            return None
        found[Member(tuple(zip(names, values, strict=True)))] = each
    return found if len(found) == len(members) else None


def _by_value(members: Sequence[Any]) -> dict[Member, Any] | None:
    if not all(isinstance(each, str) for each in members):
        return None
    found: dict[Member, Any] = {Member((("", each),)): each for each in members}
    return found if len(found) == len(members) else None


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_is_same(*pair) for pair in zip(one, other, strict=True))
    # In JSON true is not 1, in Python it is.
    return one == other and isinstance(one, bool) is isinstance(other, bool)


# Fields, for people

_NOISE: Final = ("helm.sh/chart", "app.kubernetes.io/version", "chart", "checksum/")
"""Labels and annotations that say which chart an object is from, and make pods be replaced when settings change."""


def _told(found: FieldChange, *, is_secret: bool) -> FieldDifference:
    key, change = _key_of(found), _change_of(found)
    in_secret = is_secret and found.path[:1] in {("data",), ("stringData",)}
    before, after = (
        None if value is ABSENT else redact(value, key=key, is_secret=in_secret)
        for value in (found.before, found.after)
    )
    is_hidden = (before, after) != tuple(None if each is ABSENT else each for each in (found.before, found.after))
    lines: tuple[str, ...] = ()
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        lines = _lines(before, after)
        before = after = None
    return FieldDifference(
        path=_text_of(found.path),
        change=change,
        before=before,
        after=after,
        lines=lines,
        is_hidden=is_hidden,
        is_noise=_is_noise(found.path),
    )


def _change_of(found: FieldChange) -> Difference:
    if found.before is ABSENT:
        return Difference.ADDED
    return Difference.REMOVED if found.after is ABSENT else Difference.CHANGED


def _key_of(found: FieldChange) -> str:
    """The name by which a value is judged: that of an environment variable stands in the step before."""
    last, before = found.path[-1], found.path[-2] if len(found.path) > 1 else ""
    if isinstance(last, Member):
        return str(before)
    return str(before) if last == "value" and isinstance(before, Member) else last


def _lines(before: str, after: str) -> tuple[str, ...]:
    told = [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = len(told) - _MOST_LINES
    return tuple(told) if more <= 0 else (*told[:_MOST_LINES], f"and {more} more lines")


def _text_of(path: Sequence[Step]) -> str:
    """``spec.containers[dns].image``; a key with a dot in it stands in brackets, too."""
    text = ""
    for step in path:
        if isinstance(step, Member) or "." in step or "/" in step:
            text += f"[{redact_text(str(step))}]"
        else:
            text += f".{step}" if text else step
    return text


def _is_noise(path: Sequence[Step]) -> bool:
    is_mark = len(path) > 1 and path[-2] in {"labels", "annotations"}
    return is_mark and any(str(path[-1]).startswith(sign) for sign in _NOISE)
