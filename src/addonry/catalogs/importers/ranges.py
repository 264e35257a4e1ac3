"""Constraints made of lists: which versions, and which minors of Kubernetes."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from addonry.catalogs.importers import Row
from addonry.rules.versions import version_key

_VERSION: Final = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?![\d.])[0-9A-Za-z.+_-]{0,60}", re.ASCII)
_MINOR: Final = re.compile(r"v?1\.(0?)(\d{1,3})(?:\.\d{1,9})?", re.ASCII)
FIRST_SURE_MINOR: Final = 10
"""Whatever is below is some version of today whose zero was lost: ``1.20`` without quotes is the number 1.2."""


def minor_in(text: str) -> int | None:
    """The minor of a Kubernetes version; None for what is none, or may have lost a zero.

    ``1.09`` is meant for 1.9: nobody's zero goes missing in front.
    """
    match = _MINOR.fullmatch(text.strip())
    if match is None:
        return None
    minor = int(match.group(2))
    return minor if match.group(1) or minor >= FIRST_SURE_MINOR else None


def kubernetes_range(minors: Collection[int]) -> str:
    """A constraint that these minors satisfy and no others, patches and vendors' suffixes with them."""
    spans: list[list[int]] = []
    for minor in sorted(set(minors)):
        if spans and minor == spans[-1][1] + 1:
            spans[-1][1] = minor
        else:
            spans.append([minor, minor])
    return " || ".join(f">=1.{low}-0 <1.{high + 1}-0" for low, high in spans)


def is_version(text: str) -> bool:
    """Whether constraints can tell of it."""
    return bool(_VERSION.fullmatch(text.strip()))


def at_least(version: str) -> str:
    """A constraint from *version* on, with its own pre-releases and builds."""
    major, minor, patch = _numbers(version)
    return f">={major}.{minor}.{patch}-0"


def at_most(version: str) -> str:
    """A constraint up to *version*, with its own pre-releases and builds."""
    major, minor, patch = _numbers(version)
    return f"<{major}.{minor}.{patch + 1}-0"


def rows_of(listed: Mapping[str, Collection[int]]) -> tuple[Row, ...]:
    """The minors by version as rows: neighbours with the same minors are one, and builds of one version too."""
    by_numbers: dict[tuple[int, int, int], set[int]] = {}
    for version, minors in listed.items():
        by_numbers.setdefault(_numbers(version), set()).update(minors)
    rows: list[tuple[str, str, frozenset[int]]] = []
    for numbers in sorted(by_numbers):
        version, minors = ".".join(map(str, numbers)), frozenset(by_numbers[numbers])
        if rows and rows[-1][2] == minors:
            rows[-1] = (rows[-1][0], version, minors)
        elif minors:
            rows.append((version, version, minors))
    return tuple(Row(f"{at_least(low)} {at_most(high)}", kubernetes_range(minors)) for low, high, minors in rows)


def newest_first(versions: Iterable[str]) -> list[str]:
    """In the order that people expect."""
    return sorted(versions, key=version_key, reverse=True)


def _numbers(version: str) -> tuple[int, int, int]:
    match = _VERSION.fullmatch(version.strip())
    assert match is not None, "asked before: is_version"
    return int(match.group(1)), int(match.group(2)), int(match.group(3) or 0)
