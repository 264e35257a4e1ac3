"""Facts: what must hold, judged on the answer of a step or on the cluster.

| fact | is about |
|---|---|
| `exit: 0` | the command's exit status |
| `status: 409` | the request's status code |
| `succeeds: false` | Helm's call |
| `output: TEXT`, `lacks: TEXT` | what a command printed, or why Helm's call failed |
| `at: PATH` and a test | the answer: the body, what `-o json` printed, what Helm's call returned |
| `header: NAME` and a test | a header of the answer |
| `object: KIND/NAME`, `at: PATH` and a test | an object as it is now |
| `gone: KIND/NAME` | there is no such object |
| `event: REASON`, perhaps `says: TEXT` | an event of the namespace |
| `seen: NAME`, `at: PATH` and a test | the events of a watch, as a list |

Tests: `is`, `is_not`, `has` (a part, or an element), `matches` (a pattern), `at_least`, `absent: true`, `present: true`.
What is about the cluster may take its time; what is about an answer must hold at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.conformance.paths import Missing, shown, value_at

ABOUT: Final = ("exit", "status", "succeeds", "output", "lacks", "header", "object", "gone", "event", "seen")
WAITS: Final = ("object", "gone", "event", "seen")
_NOTHING: Final = object()


@dataclass(frozen=True)
class Answer:
    """What an action came back with; each client fills in what it has."""

    exit: int | None = None
    status: int | None = None
    succeeds: bool | None = None
    output: str = ""
    body: Any = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a fact holds, and what was found."""

    holds: bool
    found: str


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(key in found and _equal(found[key], value) for key, value in wanted.items())
    if isinstance(found, str):
        return str(wanted) in found
    return isinstance(found, list | Mapping) and wanted in found


def _equal(found: Any, wanted: Any) -> bool:
    # A variable that stands in a longer text is text; a fact may compare it with a number all the same.
    return bool(found == wanted) or (isinstance(found, int) and isinstance(wanted, str) and str(found) == wanted)


TESTS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "is": _equal,
    "is_not": lambda found, wanted: not _equal(found, wanted),
    "has": _contains,
    "matches": lambda found, wanted: re.search(wanted, found if isinstance(found, str) else shown(found)) is not None,
    "at_least": lambda found, wanted: found >= int(wanted),
    "present": lambda _, wanted: bool(wanted),
    "absent": lambda _, wanted: not wanted,
}


def check(fact: Mapping[str, Any]) -> None:
    """Raise ValueError for a fact that cannot be judged."""
    about = [word for word in ABOUT if word in fact]
    tests = [word for word in TESTS if word in fact]
    strange = set(fact) - {*ABOUT, *TESTS, "at", "says"}
    needs_test = "at" in fact or about in (["header"], ["seen"])
    if strange or len(about) > 1 or not (about or "at" in fact) or len(tests) != needs_test:
        raise ValueError(f"A fact cannot be {dict(fact)}.")


def of_answer(fact: Mapping[str, Any], answer: Answer) -> Verdict:
    """Judge a fact about an answer."""
    for member in ("exit", "status", "succeeds"):
        if member in fact:
            found = getattr(answer, member)
            said = answer.output if member != "status" else _message(answer.body)
            return Verdict(found == fact[member], f"{found} {shown(said)}".strip())
    if "output" in fact:
        return Verdict(str(fact["output"]) in answer.output, shown(answer.output))
    if "lacks" in fact:
        return Verdict(str(fact["lacks"]) not in answer.output, shown(answer.output))
    if "header" in fact:
        headers = {name.lower(): value for name, value in (answer.headers or {}).items()}
        return compare(fact, headers.get(fact["header"].lower(), _NOTHING))
    return at(fact, answer.body)


def at(fact: Mapping[str, Any], obj: Any) -> Verdict:
    """Judge what is at the fact's path."""
    try:
        found = value_at(obj, fact.get("at", ""))
    except Missing:
        found = _NOTHING
    return compare(fact, found)


def compare(fact: Mapping[str, Any], found: Any) -> Verdict:
    test = next(word for word in TESTS if word in fact)
    if found is _NOTHING:
        return Verdict(test == "absent" and bool(fact[test]), "nothing there")
    try:
        return Verdict(TESTS[test](found, fact[test]), shown(found))
    except TypeError:
        return Verdict(holds=False, found=shown(found))


def described(fact: Mapping[str, Any]) -> str:
    """A fact in one line."""
    return ", ".join(f"{key}: {shown(value)}" for key, value in fact.items())


def _message(body: Any) -> str:
    return str(body.get("message", "")) if isinstance(body, Mapping) and body.get("kind") == "Status" else ""
