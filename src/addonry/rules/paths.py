"""The way from one version to another, where versions must not be skipped.

A catalog entry may say that a component goes up one minor, or one major, at a time. Its versions then lie on lines
(``1.25``, or ``3``), every line is followed by one other, and there is one way: the newest fitting version of each line
between. Which offers fit is the caller's to say; ``rules.offers`` does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from addonry.model.catalog import Counted, Hop, Offer, PathRule
from addonry.rules.versions import is_newer, major_minor, version_key

Line = tuple[int, int]
"""Major and minor; where majors are counted, the minor is 0."""

_MOST_HOPS: Final = 100
"""No upgrade is that long: a version such as 20240601.0 must not make a list of millions of lines."""


@dataclass(frozen=True, slots=True)
class Way:
    """How to come from the installed version to a wanted one."""

    hops: tuple[Offer, ...]
    """Where to go, one after the other, the wanted one last; empty when there is no way."""
    missing: str = ""
    """The line that has no version to go by, such as ``1.26``; empty when there is a way."""

    @property
    def is_long(self) -> bool:
        """Whether the wanted version cannot be reached at once."""
        return len(self.hops) != 1


def way(rule: PathRule | None, installed: str, wanted: Offer, *, by: Iterable[Offer], known: Iterable[Offer]) -> Way:
    """The shortest way from *installed* to *wanted*, a newer version.

    *installed* is the number that *rule* counts, empty when it is not known. *by* are the offers that may be gone by;
    *known* are all there are: where a major ends, the last minor that is known of it is left for the next major. What
    cannot be counted is gone to at once.
    """
    start = None if rule is None else line_of(rule, installed)
    end = None if rule is None else line_of(rule, counted(rule, wanted))
    if rule is None or start is None or end is None:
        return Way((wanted,))
    lines = [start, end, *(line for offer in known if (line := line_of(rule, counted(rule, offer))) is not None)]
    between = _between(rule, start, end, lines)
    candidates = [offer for offer in by if is_newer(wanted.version, than=offer.version)]
    hops: list[Offer] = []
    for line in between:
        there = [offer for offer in candidates if line_of(rule, counted(rule, offer)) == line]
        if not there:
            return Way((), _name(rule, line))
        hops.append(max(there, key=lambda offer: version_key(offer.version)))
    return Way((*hops, wanted))


def counted(rule: PathRule, offer: Offer) -> str:
    """The one of the offer's two numbers that *rule* is about."""
    return offer.app_version if rule.of is Counted.APP else offer.version


def line_of(rule: PathRule, version: str) -> Line | None:
    """The line that *version* lies on; None when it has no numbers."""
    numbers = major_minor(version)
    if numbers is None:
        return None
    return numbers if rule.by is Hop.MINOR else (numbers[0], 0)


def is_one_hop(rule: PathRule, before: Line, after: Line, lines: Iterable[Line]) -> bool:
    """Whether one upgrade may go from line *before* to line *after*, of all *lines* that are known."""
    if after <= before:
        return True  # patches; whether it is newer at all is not asked here
    return after == _next(rule, before, lines)


def _next(rule: PathRule, line: Line, lines: Iterable[Line]) -> Line:
    major, minor = line
    if rule.by is Hop.MAJOR:
        return (major + 1, 0)
    last = max((each for each in lines if each[0] == major), default=line)
    return (major, minor + 1) if line < last else (major + 1, 0)


def _between(rule: PathRule, start: Line, end: Line, lines: Sequence[Line]) -> list[Line]:
    """The lines to go by. Too long a way is cut off, which leaves a line without a version."""
    found: list[Line] = []
    line = start
    while line < end and len(found) < _MOST_HOPS:
        line = _next(rule, line, lines)
        if line < end:
            found.append(line)
    # From 1.4, the last of its major, to 2.3: 2.0 is next, and the way goes on from there. A major may also begin
    # behind its .0: then the line that the rule demands is not on offer, and the way has its gap there.
    return found


def _name(rule: PathRule, line: Line) -> str:
    return f"{line[0]}.{line[1]}" if rule.by is Hop.MINOR else str(line[0])
