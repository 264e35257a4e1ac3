"""The differences that are left, each with its reason: `differences.yaml`, compared both ways by the tests.

What causes them decides what they may touch. Those of the simulator must leave alone what Helm, kubectl and Addonry act
on (`ACTED_ON`), and what is only shown must be asked for by `kubectl describe`; those of the recording (objects of other
scenarios, what its kubelets did not do) and of pace (which moment of a rollout a request met) say nothing about the
simulator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from .playing import Outcome

FILE: Final = Path(__file__).parent / "differences.yaml"
CAUSES: Final = frozenset(("recording", "pace", "shown", "simulator"))
# Status codes and reasons of errors, what was written and who owns it, whether it was seen and how it is judged.
ACTED_ON: Final = re.compile(
    r"status code|reason|code|header (Retry-After|Content-Type)|watch_end|objects|(items|rows)(\[\])?"
    r"|(.* end\.object\.|(items|rows)\[\]\.(object\.)?)?"
    r"(spec|data|metadata\.(name|labels|annotations|finalizers|generation|ownerReferences|managedFields|deletion\w+)"
    r"|status\.(phase|conditions|observedGeneration|readyReplicas|availableReplicas|updatedReplicas|replicas))\b.*"
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some exchanges are answered differently, and where in the answer."""

    why: str
    cause: str
    where: re.Pattern[str]
    exchanges: Mapping[str, frozenset[int]]

    def explains(self, scenario: str, seq: int, place: str) -> bool:
        return seq in self.exchanges.get(scenario, ()) and bool(self.where.fullmatch(place))


def reasons() -> list[Reason]:
    return [_read(entry) for entry in yaml.safe_load(FILE.read_text())]


def _read(entry: Mapping[str, Any]) -> Reason:
    exchanges = {scenario: frozenset(numbers) for scenario, numbers in entry["exchanges"].items()}
    return Reason(" ".join(entry["why"].split()), entry["cause"], re.compile("|".join(entry["where"])), exchanges)


def matched(known: list[Reason], counts: Mapping[str, int]) -> int:
    """How many of so many exchanges are the same, by what is known."""
    differ = {(scenario, seq) for reason in known for scenario, numbers in reason.exchanges.items() for seq in numbers}
    return sum(counts.values()) - len(differ)


def unexplained(known: list[Reason], scenario: str, outcomes: list[Outcome]) -> list[str]:
    """Differences that no reason covers."""
    return [
        f"{scenario} {outcome.exchange.seq} ({outcome.exchange.step}): {place}"
        for outcome in outcomes
        for place in outcome.places
        if not any(reason.explains(scenario, outcome.exchange.seq, place) for reason in known)
    ]


def outdated(known: list[Reason], scenario: str, outcomes: list[Outcome]) -> list[str]:
    """Exchanges that a reason names although they do not differ there any more."""
    places = {outcome.exchange.seq: outcome.places for outcome in outcomes}
    return [
        f"{scenario} {seq}: {reason.why[:60]}..."
        for reason in known
        for seq in sorted(reason.exchanges.get(scenario, ()))
        if not any(reason.where.fullmatch(place) for place in places.get(seq, ()))
    ]
