"""Every scenario holds on a simulated cluster, and between them they cover what simulated clusters promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance import coverage, facts
from tests.conformance.__main__ import simulated
from tests.conformance.compare import SIMULATED, is_known, known
from tests.conformance.place import REAL
from tests.conformance.place import SIMULATED as IMAGES
from tests.conformance.runner import run
from tests.conformance.scenario import Scenario, load_all
from tests.docs.markdown import ROOT
from tests.support.kubectl import why_not_kubectl

SCENARIOS = load_all()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One simulated cluster for all; each scenario has namespaces of its own."""
    if reason := why_not_kubectl():
        pytest.skip(reason)
    home: Path = tmp_path_factory.mktemp("scenarios")
    with simulated(home, "scenarios") as made:
        yield made


@pytest.mark.slow
@pytest.mark.kubectl
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_scenario_holds_on_a_simulated_cluster(scenario: Scenario, place):
    """A fact that is listed as a difference of simulated clusters must fail, or the list is wrong."""
    listed = known()
    for outcome in run(scenario, place):
        expected = not is_known(outcome, SIMULATED, listed)
        assert outcome.holds is expected, f"{outcome.step}: {outcome.fact}; found {outcome.found}"


def test_every_promise_is_covered_and_nothing_else_is_claimed():
    covered = {row for scenario in SCENARIOS for row in scenario.covers}
    assert sorted(coverage.ROWS - covered) == [], "no scenario covers these"
    assert sorted(covered - coverage.ROWS) == [], "these are claimed, and are no rows"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_facts_of_the_scenario_can_be_judged(scenario: Scenario):
    told = [fact for step in scenario.steps for fact in step.facts]
    for fact in told:
        facts.check(fact)
    assert told


def test_known_differences_are_of_facts_that_are_asked_and_stand_in_the_docs():
    """A row that matches nothing hides nothing, and its reason is told to who reads the page."""
    asked = {
        (scenario.name, step.name, facts.described(fact))
        for scenario in SCENARIOS
        for step in scenario.steps
        for fact in step.facts
    }
    page = " ".join((ROOT / "docs" / "internals" / "simulator.md").read_text().split())
    for row in known():
        assert (row.scenario, row.step, row.fact) in asked
        assert row.fails_on in ("simulated", "real")
        assert row.reason in page


def test_both_kinds_of_clusters_have_the_same_images():
    assert set(IMAGES) == set(REAL)
