"""A planned change for people: what becomes of objects and fields, and of CRDs.

What becomes of fields that others have set is told by the change's remarks.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
LONGEST: Final = 120
"""Characters of a value that are shown; all of it is in the JSON."""


def lines_of_change(change: Mapping[str, Any]) -> Iterator[str]:
    """The lines below a change in the table."""
    if len(change["path"]) > 1:
        yield f"  by way of {' -> '.join(change['path'])}; this is the first of {len(change['path'])} upgrades"
    if change["mode"]:
        yield f"  applied {change['mode']}"
    for each in change["images"]:
        yield f"  image {each['before']} -> {each['after']}"
    for each in change["crds"]:
        yield f"  {SIGNS[each['change']]} CustomResourceDefinition {each['name']}"
        for unsafe in each["unsafe"]:
            where = " ".join(part for part in (unsafe["version"], unsafe["field"]) if part)
            yield f"      ! unsafe: {f'{where} ' if where else ''}{unsafe['message']}"
    folded = 0
    for each in change["differences"]:
        if each["fields"] and all(one["noise"] for one in each["fields"]):
            folded += 1
        else:
            yield from _object(each)
    if folded:
        yield f"  ~ {folded} more, in which only labels that follow from the version change"


def _object(found: Mapping[str, Any]) -> Iterator[str]:
    kept = " (stays on the cluster)" if found["kept"] else ""
    yield f"  {SIGNS[found['change']]} {found['kind']} {found['name']}{kept}"
    noise = [each for each in found["fields"] if each["noise"]]
    for each in found["fields"]:
        if not each["noise"]:
            yield from _field(each)
    if noise:
        yield f"      and {len(noise)} labels or annotations that follow from the version"


def _field(found: Mapping[str, Any]) -> Iterator[str]:
    sign, path = SIGNS[found["change"]], found["path"]
    if found["lines"]:
        yield f"      {sign} {path}:"
        yield from (f"          {_short(line)}" for line in found["lines"])
        return
    match found["change"]:
        case "added":
            yield f"      {sign} {path}: {_short(found['after'])}"
        case "removed":
            yield f"      {sign} {path}: {_short(found['before'])}"
        case _ if found["before"] == found["after"]:
            yield f"      {sign} {path}: changes (hidden)"
        case _:
            yield f"      {sign} {path}: {_short(found['before'])} -> {_short(found['after'])}"


def _short(value: str | None) -> str:
    text = "null" if value is None else value
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
