"""Which of two versions is newer, and whether a version is within a constraint.

Two questions with two answers:

* **Order** (``version_key``, ``is_newer``, ``newest``) takes every form that components' versions come in:
  semantic versions, four-part numbers with commit and vendor suffix, image tags, words such as ``latest``.
  Nothing is refused; what has no number sorts below everything that has one.
* **Constraints** follow the library Helm uses, https://github.com/Masterminds/semver: ``admits`` for a chart's word on
  the cluster, ``satisfies`` for what the catalog says of a component's own versions.
  ``tests/rules/test_constraints.py`` asks Helm itself.

To teach the order one more vendor, add its word to ``_VENDOR``; one more operator goes into ``_OPERATORS``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

VersionText = TypeVar("VersionText", bound=str)

_MOST_CHARACTERS: Final = 256
"""Longer texts come from no release; the limit keeps hostile index entries cheap."""


class ConstraintError(ValueError):
    """The constraint is malformed; carries it, and says what is wrong with it."""

    def __init__(self, constraint: str, problem: str) -> None:
        super().__init__(f"Version constraint {constraint[:_MOST_CHARACTERS]!r}: {problem}.")
        self.constraint = constraint


# Order


@lru_cache(maxsize=8192)
def version_key(version: str) -> tuple[Any, ...]:
    """A key that sorts versions oldest first; total, so equal numbers never depend on the order of arrival."""
    return (*_precedence(version), _natural(_parse(version).suffix), _without_v(version), version)


def is_newer(version: str, than: str) -> bool:
    """Whether *version* comes after *than*. Two builds of the same numbers are not newer than each other."""
    return _precedence(version) > _precedence(than)


def newest(versions: Iterable[VersionText]) -> VersionText | None:
    """The highest of *versions*; None when there are none."""
    return max(versions, key=version_key, default=None)


def same_version(one: str, other: str) -> bool:
    """Whether both spell the same version: a leading ``v`` makes no difference, everything else does."""
    return _without_v(one) == _without_v(other)


def is_prerelease(version: str) -> bool:
    """Whether *version* comes before a release (``-rc.1``, ``-alpha``); Helm offers such only when asked to."""
    return bool(_parse(version).prerelease)


def major_minor(version: str) -> tuple[int, int] | None:
    """The first two numbers of *version*, 0 where there is no second; None when it has none at all."""
    numbers = _parse(version).numbers
    if numbers is None:
        return None
    major, minor, *_ = (*numbers, 0, 0)
    return major, minor


@dataclass(frozen=True, slots=True)
class _Parts:
    numbers: tuple[int, ...] | None
    prerelease: str
    suffix: str
    """Commit, vendor, build metadata: decides nothing but ties."""


# Words that name who built it, not how finished it is. Each is matched at the start of an identifier, because
# they come with counters: eksbuild.1, aliyun.1, k3s2, rke2r1, gke.1200, debian-12-r4, hardened1, build20240813, ubi9.
_VENDOR: Final = re.compile(
    r"(aliyun|eks|gke|aks|k3s|rke2|k0s|tke|cce|vke|oke|iks|do|vmware|mirantis|gardener|talos|minimal|"
    r"debian|bookworm|bullseye|trixie|photon|alpine|ubuntu|jammy|noble|ubi|scratch|slim|distroless|static|"
    r"hardened|nonroot|rootless|build|amd64|arm64|linux|windows)[0-9r]*(build)?$",
    re.IGNORECASE,
)
# A commit as git prints it: 7dfca203, or g9830b58 of `git describe`. Digits alone are a counter or a date.
_COMMIT: Final = re.compile(r"(?:g[0-9a-f]{7,40}|(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{7,40})$")
_NUMBERS: Final = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+)*)(.*)$", re.DOTALL)


@lru_cache(maxsize=8192)
def _parse(version: str) -> _Parts:
    match = _NUMBERS.match(version.strip()[:_MOST_CHARACTERS])
    if match is None:
        return _Parts(numbers=None, prerelease="", suffix=version)
    numbers = [int(number) for number in match[1].split(".")]
    is_semantic = len(numbers) <= 3
    while numbers and numbers[-1] == 0:  # 1.2 and 1.2.0 are one release
        numbers.pop()
    rest, _, build = match[2].partition("+")
    text = rest.lstrip("-_.")
    # Only semantic versions have pre-releases. Four numbers are a vendor's own scheme (v1.9.3.10-7dfca203-aliyun),
    # where whatever follows names the build: https://www.alibabacloud.com/help/en/ack/product-overview/
    if text and is_semantic and rest.startswith("-") and not _names_a_build(text):
        return _Parts(tuple(numbers), prerelease=text, suffix=build)
    return _Parts(tuple(numbers), prerelease="", suffix=f"{text}+{build}" if build else text)


def _names_a_build(text: str) -> bool:
    identifiers = re.split(r"[.-]", text)
    return _COMMIT.match(identifiers[0]) is not None or any(_VENDOR.match(each) for each in identifiers)


@lru_cache(maxsize=8192)
def _precedence(version: str) -> tuple[Any, ...]:
    parts = _parse(version)
    if parts.numbers is None:
        return (0,)
    return (1, parts.numbers, _prerelease_key(parts.prerelease))


_Prerelease = tuple[int, tuple[tuple[int, int, str], ...]]

_BEFORE_ALL: Final[_Prerelease] = (-1, ())
_RELEASE: Final[_Prerelease] = (1, ())


def _prerelease_key(text: str) -> _Prerelease:
    """Section 11 of https://semver.org: numbers by value and below words, fewer identifiers first."""
    if not text:
        return _RELEASE
    identifiers = ((0, int(each), "") if _is_number(each) else (1, 0, each) for each in text.split("."))
    return (0, tuple(identifiers))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """``aliyun.10`` after ``aliyun.9``."""
    return tuple(
        (0, int(each), "") if _is_number(each) else (1, 0, each) for each in re.findall(r"[0-9]+|[^0-9]+", text)
    )


def _without_v(version: str) -> str:
    text = version.strip()
    return text[1:] if re.match(r"[vV][0-9]", text) else text


# Constraints


def admits(constraint: str, kubernetes: str) -> bool:
    """Whether Helm would install a chart with the ``kubeVersion`` *constraint* on a cluster of version *kubernetes*.

    An empty constraint admits every cluster; a version that cannot be read is admitted by no other. Raises
    ConstraintError for a constraint that Helm cannot read either.

    As Helm 4 does it, only the three numbers of a cluster's version count: ``v1.25.9-eks-0a21954`` is 1.25.9, and so is
    ``v1.25.9-rc.1``. (Helm 3 took every suffix for a pre-release, which ``>=1.21.0`` did not admit:
    https://github.com/FairwindsOps/charts/issues/1221.) A minor alone, as people name the Kubernetes they want next,
    stands for all its patches: it is enough that one of them is admitted.
    """
    if not constraint:
        return True
    alternatives = _read_constraint(constraint)
    release = _read_release(kubernetes)
    if release is None:
        return False
    is_minor = _MINOR.fullmatch(kubernetes.strip()) is not None
    releases = _patches_of(release, alternatives) if is_minor else [(*release[:3], _RELEASE)]
    return any(alternative.admits(each) for alternative in alternatives for each in releases)


def satisfies(version: str, constraint: str) -> bool:
    """Whether a component's *version* is within *constraint*.

    An empty constraint is satisfied by every version; a version that cannot be read satisfies no other. Raises
    ConstraintError. Only ``-alpha``, ``-beta`` and ``-rc`` make a pre-release: any other suffix names a build
    (``v1.11.4-eksbuild.2``) or a variant, which is as old as what it was built from.
    """
    if not constraint.strip():
        return True
    alternatives = _read_constraint(constraint)
    release = _read_release(version)
    return release is not None and any(alternative.admits(release) for alternative in alternatives)


_Release = tuple[int, int, int, _Prerelease]

_MINOR: Final = re.compile(r"v?[0-9]+\.[0-9]+")
_RELEASE_TEXT: Final = re.compile(
    r"v?([0-9]{1,9})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?(?![0-9])(?:-((?:alpha|beta|rc)[0-9A-Za-z.-]*))?"
)


def _read_release(version: str) -> _Release | None:
    match = _RELEASE_TEXT.match(version.strip()[:_MOST_CHARACTERS])
    if match is None:
        return None
    major, minor, patch, prerelease = match.groups()
    return (int(major), int(minor), int(patch or 0), _prerelease_key(prerelease or ""))


def _patches_of(minor: _Release, alternatives: tuple["_Alternative", ...]) -> list[_Release]:
    """Patches of *minor* such that when none of these is admitted, none is: the first, and those around each bound."""
    around = {0}
    for alternative in alternatives:
        for span in alternative.spans:
            for bound in (span.low, span.high):
                if bound is not None and bound[:2] == minor[:2]:
                    around |= {max(bound[2] - 1, 0), bound[2], bound[2] + 1}
    return [(minor[0], minor[1], patch, _RELEASE) for patch in sorted(around)]


def minor_of(kubernetes_version: str) -> str:
    """``1.36`` of ``v1.36.2+k3s1``; empty for what is no Kubernetes version."""
    release = _read_release(kubernetes_version)
    return f"{release[0]}.{release[1]}" if release else ""


def minor_after(kubernetes_version: str) -> str:
    """The minor that a cluster may be upgraded to next, one up; empty for what is no Kubernetes version."""
    release = _read_release(kubernetes_version)
    return f"{release[0]}.{release[1] + 1}" if release else ""


@dataclass(frozen=True, slots=True)
class _Span:
    """The releases from *low* to *high*; *high* itself only if it is said to belong to them."""

    low: _Release = (0, 0, 0, _BEFORE_ALL)
    high: _Release | None = None
    with_low: bool = True
    with_high: bool = False
    outside: bool = False
    """Turned round: what is not in the span."""

    def admits(self, release: _Release) -> bool:
        above = release > self.low or (self.with_low and release == self.low)
        below = self.high is None or release < self.high or (self.with_high and release == self.high)
        return (above and below) is not self.outside


@dataclass(frozen=True, slots=True)
class _Alternative:
    """What stands between two ``||``: spans that must all admit a release."""

    spans: tuple[_Span, ...]
    with_prereleases: bool
    """One pre-release among the bounds opens the whole alternative to pre-releases; otherwise it admits none."""

    def admits(self, release: _Release) -> bool:
        if release[3] != _RELEASE and not self.with_prereleases:
            return False
        return all(span.admits(release) for span in self.spans)


@dataclass(frozen=True, slots=True)
class _Bound:
    """The version of one comparison, and how many of its numbers were given: 0 for ``*``, 2 for ``1.25``."""

    release: _Release
    given: int

    def after(self, position: int) -> _Release:
        """Where the next number at *position* begins, its pre-releases included: 1.25.3 after 1 is 1.26.0-."""
        numbers = list(self.release[:3])
        numbers[position] += 1
        numbers[position + 1 :] = [0] * (2 - position)
        return (numbers[0], numbers[1], numbers[2], _BEFORE_ALL)


def _equal(bound: _Bound) -> _Span:
    return _Span(bound.release, bound.release, with_high=True) if bound.given == 3 else _tilde(bound)


def _not_equal(bound: _Bound) -> _Span:
    # Of !=* Helm takes the zeros that stand for the wildcard as given, so only 0.0.0 is not admitted. Of !=1.25-0 it
    # compares nothing but the pre-release, so that the releases of 1.25 are.
    is_exact = bound.given == 0 or (bound.given == 2 and bound.release[3] != _RELEASE)
    span = _Span(bound.release, bound.release, with_high=True) if is_exact else _equal(bound)
    return _Span(span.low, span.high, with_high=span.with_high, outside=True)


def _greater(bound: _Bound) -> _Span:
    # >1.25 begins at 1.26: everything that 1.25 stands for is not greater than it.
    if bound.given in (1, 2):
        return _Span(low=bound.after(bound.given - 1))
    return _Span(low=bound.release, with_low=False)


def _less(bound: _Bound) -> _Span:
    return _Span(high=bound.release)


def _at_least(bound: _Bound) -> _Span:
    return _Span(low=bound.release)


def _at_most(bound: _Bound) -> _Span:
    # <=1.25 takes all of 1.25. For <=* Helm takes the zeros that stand for the wildcard as given.
    if bound.given == 3:
        return _Span(high=bound.release, with_high=True)
    return _Span(high=bound.after(0 if bound.given == 1 else 1))


def _tilde(bound: _Bound) -> _Span:
    # ~0.0.0 admits everything, as ~* does: documented in constraintTilde of Masterminds/semver.
    if bound.given == 0 or (bound.given == 3 and bound.release[:3] == (0, 0, 0)):
        return _Span(low=bound.release)
    return _Span(low=bound.release, high=bound.after(0 if bound.given == 1 else 1))


def _caret(bound: _Bound) -> _Span:
    major, minor, _, _ = bound.release
    if major > 0 or bound.given == 1:
        position = 0
    elif minor > 0 or bound.given == 2:
        position = 1
    else:
        position = 2
    return _Span(low=bound.release, high=bound.after(position))


_OPERATORS: Final[Mapping[str, Callable[[_Bound], _Span]]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}

_OPERATOR: Final = re.compile(r"\s*(!=|>=|=>|<=|=<|~>|=|>|<|~|\^|)\s*")
_NUMBER: Final = r"(?:[0-9]{1,18}|[xX*])"
_VERSION: Final = re.compile(
    rf"v?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_AND: Final = re.compile(r"\s*,|\s+")
# The bounds of a range, with the library's own slip: its class for numbers holds the bar too, so that without blanks
# around it ``||`` is taken for a part of a bound (rangeRegex of Masterminds/semver, constraints.go).
_SLIPPING: Final = (
    r"v?[0-9xX*|]+(?:\.[0-9xX*|]+){0,2}"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_RANGE: Final = re.compile(rf"\s*({_SLIPPING})\s+-\s+({_SLIPPING})\s*")


@lru_cache(maxsize=1024)
def _read_constraint(constraint: str) -> tuple[_Alternative, ...]:
    if len(constraint) > _MOST_CHARACTERS:
        raise ConstraintError(constraint, f"longer than {_MOST_CHARACTERS} characters")
    # Ranges are rewritten before alternatives are told apart: so does the library, and it makes a difference.
    rewritten = _RANGE.sub(r">= \1, <= \2 ", constraint)
    return tuple(_read_alternative(part, constraint) for part in rewritten.split("||"))


def _read_alternative(part: str, whole: str) -> _Alternative:
    """Read left to right, so that no input makes a regular expression backtrack."""
    text = part.rstrip()
    spans: list[_Span] = []
    bounds: list[_Bound] = []
    at = 0
    while True:
        operator, at = _expect(_OPERATOR, text, at, whole)
        version, at = _expect(_VERSION, text, at, whole)
        bound = _read_bound(version, whole)
        bounds.append(bound)
        spans.append(_OPERATORS[operator[1]](bound))
        if at == len(text):
            return _Alternative(tuple(spans), with_prereleases=any(each.release[3] != _RELEASE for each in bounds))
        _, at = _expect(_AND, text, at, whole)


def _expect(pattern: re.Pattern[str], text: str, at: int, whole: str) -> tuple[re.Match[str], int]:
    match = pattern.match(text, at)
    if match is None:
        wanted = "a comma or space" if pattern is _AND else "a version such as 1.25 or 1.25.x"
        found = f"not {text[at:]!r}" if at < len(text) else "after its end"
        raise ConstraintError(whole, f"expected {wanted}, {found}")
    return match, match.end()


def _read_bound(match: re.Match[str], whole: str) -> _Bound:
    prerelease = match[4] or ""
    if any(len(each) > 1 and each[0] == "0" and _is_number(each) for each in prerelease.split(".")):
        raise ConstraintError(whole, f"a number in pre-release {prerelease!r} begins with zero")
    numbers: list[int] = []
    for text in match.group(1, 2, 3):
        if text is None or text in "xX*":
            break  # what follows a wildcard says nothing
        numbers.append(int(text))
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return _Bound((major, minor, patch, _prerelease_key(prerelease)), given=len(numbers))
