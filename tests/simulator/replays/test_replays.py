"""Whole recordings of a real API server, sent once more to a simulated one: how much of what comes back is the same.

What differs is listed with its reason in `differences.yaml`, exactly: another difference fails, and so does one that is
gone. `python -m tests.simulator.replays` prints them.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.docs.markdown import ROOT

from .known import ACTED_ON, CAUSES, matched, outdated, reasons, unexplained
from .playing import Outcome, Player
from .recording import load, scenarios

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KNOWN = reasons()


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> dict[str, list[Outcome]]:
    """How each exchange of each scenario went; the share of those that match is printed."""
    outcomes = {name: asyncio.run(_play(name)) for name in scenarios()}
    everything = [outcome for each in outcomes.values() for outcome in each]
    good = sum(not outcome.differences for outcome in everything)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nreplays: {good:,} of {len(everything):,} exchanges match ({good / len(everything):.1%})")  # noqa: T201 - the figure
    return outcomes


async def _play(name: str) -> list[Outcome]:
    return await Player(name).play()


@pytest.mark.parametrize("name", scenarios())
def test_what_differs_has_a_reason(played: dict[str, list[Outcome]], name: str):
    assert unexplained(KNOWN, name, played[name]) == []


@pytest.mark.parametrize("name", scenarios())
def test_what_is_listed_differs_still(played: dict[str, list[Outcome]], name: str):
    assert outdated(KNOWN, name, played[name]) == []


def test_what_the_simulator_differs_in_is_nothing_that_clients_act_on(played: dict[str, list[Outcome]]):
    touched = {
        f"{name} {outcome.exchange.seq}: {place}"
        for name, outcomes in played.items()
        for outcome in outcomes
        for place in outcome.places
        for reason in KNOWN
        if reason.cause == "simulator" and reason.explains(name, outcome.exchange.seq, place)
        if ACTED_ON.fullmatch(place)
    }
    assert sorted(touched) == []


def test_what_is_only_shown_was_asked_for_to_be_shown():
    steps = {(name, exchange.seq): exchange.step for name in scenarios() for exchange in load(name)}
    shown = {(name, seq) for r in KNOWN if r.cause == "shown" for name, seqs in r.exchanges.items() for seq in seqs}
    assert [each for each in sorted(shown) if not steps[each].startswith("kubectl describe")] == []


def test_every_exchange_is_played(played: dict[str, list[Outcome]]):
    assert {reason.cause for reason in KNOWN} <= CAUSES
    assert sum(map(len, played.values())) == 3012


def test_the_page_of_simulated_clusters_tells_the_figure_and_the_reasons():
    page = " ".join((ROOT / "docs/internals/simulator.md").read_text().split())
    same = matched(KNOWN, {name: len(load(name)) for name in scenarios()})
    assert f"{same:,} of 3,012 exchanges" in page
    assert [reason.why for reason in KNOWN if reason.why not in page] == []
