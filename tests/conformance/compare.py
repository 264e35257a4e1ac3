"""The same scenarios on two clusters: where they differ, and which differences are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.conformance.runner import Outcome
from tests.conformance.scenario import HERE

SIMULATED: Final = "simulated"
REAL: Final = "real"
_WIDEST: Final = 60


@dataclass(frozen=True)
class Known:
    """A difference that is listed with its reason."""

    scenario: str
    step: str
    fact: str
    fails_on: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """A fact that does not hold on both clusters."""

    scenario: str
    step: str
    fact: str
    simulated: str
    real: str
    reason: str = ""
    """Why it is known; empty when it is not."""


def known() -> list[Known]:
    return [Known(**row) for row in yaml.safe_load((HERE / "known" / "differences.yaml").read_text())]


def is_known(outcome: Outcome, where: str, listed: Iterable[Known]) -> str:
    """The reason why the fact need not hold there; empty when it must."""
    about = (outcome.scenario, outcome.step, outcome.fact, where)
    return next((k.reason for k in listed if (k.scenario, k.step, k.fact, k.fails_on) == about), "")


def differences(simulated: Iterable[Outcome], real: Iterable[Outcome], listed: Iterable[Known]) -> Iterator[Difference]:
    """Facts that one of the two does not hold, in order."""
    listed, others = list(listed), {_about(each): each for each in real}
    for ours in simulated:
        theirs = others.pop(_about(ours), None)
        if theirs is None:
            yield Difference(*_about(ours), _said(ours), "not asked")
        elif not (ours.holds and theirs.holds):
            reasons = (is_known(ours, SIMULATED, listed) if not ours.holds else "",)
            reasons += (is_known(theirs, REAL, listed) if not theirs.holds else "",)
            failing = [reason for reason, each in zip(reasons, (ours, theirs), strict=True) if not each.holds]
            reason = "; ".join(failing) if all(failing) else ""
            yield Difference(*_about(ours), _said(ours), _said(theirs), reason)
    for theirs in others.values():
        yield Difference(*_about(theirs), "not asked", _said(theirs))


def table(found: Iterable[Difference]) -> str:
    """The differences as a person reads them."""
    header = ("SCENARIO", "STEP", "FACT", "SIMULATED", "REAL", "KNOWN BECAUSE")
    rows = [header, *((d.scenario, d.step, d.fact, d.simulated, d.real, d.reason) for d in found)]
    widths = [min(max(len(row[column]) for row in rows), _WIDEST) for column in range(len(header))]
    return "\n".join(
        "  ".join(_cut(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _about(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.scenario, outcome.step, outcome.fact


def _said(outcome: Outcome) -> str:
    return "holds" if outcome.holds else outcome.found or "does not hold"


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 3]}..."


def as_data(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Rows for `known/differences.yaml`, once somebody has found out why."""
    return [
        {
            "scenario": d.scenario,
            "step": d.step,
            "fact": d.fact,
            "fails_on": REAL if d.simulated == "holds" else SIMULATED,
            "reason": "",
        }
        for d in found
        if not d.reason
    ]
