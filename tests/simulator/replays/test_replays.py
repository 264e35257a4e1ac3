"""Whole recordings of a real API server, sent once more to a simulated one: how much of what comes back is the same.

Each scenario has the number of exchanges that match in `matched.yaml`. Fewer fail, and so do more: then the number is to
be raised, so that it always says how things stand. What still differs, `python -m tests.simulator.replays` prints.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from tests.docs.markdown import ROOT

from .playing import Player
from .recording import scenarios

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STANDING: dict[str, int] = yaml.safe_load((Path(__file__).parent / "matched.yaml").read_text())


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> dict[str, tuple[int, int]]:
    """How many exchanges of each scenario match, and how many there are; the sum is printed."""
    counts = {name: asyncio.run(_play(name)) for name in scenarios()}
    matched, total = (sum(each) for each in zip(*counts.values(), strict=True))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nreplays: {matched:,} of {total:,} exchanges match ({matched / total:.1%})")  # noqa: T201 - the figure
    return counts


async def _play(name: str) -> tuple[int, int]:
    outcomes = await Player(name).play()
    return sum(not outcome.differences for outcome in outcomes), len(outcomes)


@pytest.mark.parametrize("name", sorted(STANDING))
def test_what_matched_matches_still(played: dict[str, tuple[int, int]], name: str):
    assert played[name][0] == STANDING[name]


def test_every_recording_is_played(played: dict[str, tuple[int, int]]):
    assert set(played) == set(STANDING)
    assert sum(total for _, total in played.values()) == 3012


def test_the_page_of_simulated_clusters_tells_the_figure():
    page = (ROOT / "docs/internals/simulator.md").read_text()
    assert f"{sum(STANDING.values()):,} of 3,012 exchanges" in page
