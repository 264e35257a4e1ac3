"""Around an upgrade of Kubernetes: what goes before, what after, what is in the way."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.catalog import Hop, KubernetesRange, PathRule, VersionScope, When
from addonry.rules.cluster_upgrades import plan_cluster_upgrade
from addonry.rules.offers import find_offer, fits, installed_misfits
from tests.builders import a_cluster, a_component, an_entry, an_offer, some_facts

EVIDENCE = "https://example.org/compatibility"


def facts(name, installed, offers, *, kubernetes="v1.34.2", **entry):
    """*offers* is the kubeVersion of each version, newest first."""
    found = [an_offer(version, name, kubernetes=needed) for version, needed in offers.items()]
    return some_facts(
        a_component(installed, name), *found, entry=an_entry(name, **entry), cluster=a_cluster(kubernetes=kubernetes)
    )


def told(*given, minors=("1.35",)):
    return [
        (
            leg.to_kubernetes,
            [(move.component, *move.hops) for move in leg.before],
            [(move.component, *move.hops) for move in leg.after],
            [stop.component for stop in leg.stops],
        )
        for leg in plan_cluster_upgrade(given, minors)
    ]


FITS_BOTH = {"2.0.0": ">=1.34", "1.0.0": "<1.35"}


def test_what_does_not_fit_the_next_minor_goes_before_to_what_fits_both():
    found = facts("dns", "1.0.0", {"3.0.0": ">=1.35", **FITS_BOTH})
    assert told(found) == [("1.35", [("dns", "2.0.0")], [], [])]
    [leg] = plan_cluster_upgrade([found], ["1.35"])
    assert leg.from_kubernetes == "v1.34.2"
    assert "needs Kubernetes <1.35" in leg.before[0].reason


def test_what_fits_stays_where_it_is():
    assert told(facts("dns", "1.0.0", {"2.0.0": "", "1.0.0": ""})) == [("1.35", [], [], [])]


def test_a_component_that_no_version_fits_both_of_is_in_the_way():
    found = facts("dns", "1.0.0", {"2.0.0": ">=1.35", "1.0.0": "<1.35"})
    [leg, *none] = plan_cluster_upgrade([found], ["1.35", "1.36"])
    assert none == [], "nothing is told of what cannot be come to"
    assert [(stop.component, stop.version) for stop in leg.stops] == [("dns", "1.0.0")]
    assert "both v1.34.2 and 1.35" in leg.stops[0].message
    assert "2.0.0 fits 1.35 only" in leg.stops[0].remedy


def test_the_catalogs_word_on_the_side_is_kept():
    newer = {"2.0.0": "", "1.0.0": ""}
    proxy = facts("proxy", "1.34.0", {"1.35.0": ">=1.35", "1.34.0": "<1.35"}, cluster_upgrade=When.AFTER)
    cni = facts("cni", "1.0.0", newer, cluster_upgrade=When.BEFORE, cluster_upgrade_evidence=EVIDENCE)
    assert told(proxy, cni) == [("1.35", [("cni", "2.0.0")], [("proxy", "1.35.0")], [])]
    [leg] = plan_cluster_upgrade([cni], ["1.35"])
    assert EVIDENCE in leg.before[0].reason


def test_each_leg_begins_with_what_the_one_before_has_left():
    offers = {"3.0.0": ">=1.35", "2.0.0": ">=1.34 <1.36", "1.0.0": "<1.35"}
    assert told(facts("dns", "1.0.0", offers), minors=("1.35", "1.36")) == [
        ("1.35", [("dns", "2.0.0")], [], []),
        ("1.36", [("dns", "3.0.0")], [], []),
    ]


def test_a_version_that_lasts_to_the_end_is_taken_before_a_newer_one():
    offers = {"3.0.0": ">=1.34 <1.36", "2.0.0": ">=1.34", "1.0.0": "<1.35"}
    assert told(facts("dns", "1.0.0", offers), minors=("1.35", "1.36"))[0][1] == [("dns", "2.0.0")]
    assert told(facts("dns", "1.0.0", offers))[0][1] == [("dns", "3.0.0")]


def test_moves_are_in_order_and_go_by_versions_that_must_not_be_skipped():
    rule = PathRule(Hop.MINOR, "chart", EVIDENCE)
    crds = facts("crds", "1.0.0", FITS_BOTH)
    dns = facts("dns", "1.0.0", {"1.2.0": ">=1.34", "1.1.4": "<1.35", "1.0.0": "<1.35"}, path=rule, after=("crds",))
    assert told(dns, crds)[0][1] == [("crds", "2.0.0"), ("dns", "1.1.4", "1.2.0")]


def test_a_version_that_is_no_longer_on_offer_is_judged_by_the_catalogs_ranges():
    known = KubernetesRange(VersionScope("<2"), "<1.35", EVIDENCE)
    assert told(facts("dns", "0.9.0", {"2.0.0": ""}, ranges=(known,)))[0][1] == [("dns", "2.0.0")]


def test_of_what_nobody_knows_nothing_is_said():
    odd = some_facts(a_component("1.0.0", "odd"), entry=None)
    gone = some_facts(None, an_offer("1.0.0"))
    [leg] = plan_cluster_upgrade([odd, gone], ["1.35"])
    assert (leg.unknown, leg.before, leg.stops) == (("odd",), (), ())


NEEDS = st.sampled_from(["", "<1.35", "<1.36", ">=1.35", ">=1.36", ">=1.34 <1.36", "1.35.x"])
SIDE = st.sampled_from([None, None, When.BEFORE, When.AFTER])


@given(st.lists(NEEDS, min_size=1, max_size=5), st.integers(0, 4), SIDE)
def test_nothing_is_left_that_does_not_fit_and_nothing_is_in_the_way_without_need(needs, at, side):
    offers = {f"{len(needs) - i}.0.0": each for i, each in enumerate(needs)}
    installed = list(offers)[at % len(offers)]
    found = facts("dns", installed, offers, cluster_upgrade=side)
    [leg] = plan_cluster_upgrade([found], ["1.35"])
    newer = [each for each in found.offers if int(each.version[0]) > int(installed[0])]
    both = [each for each in newer if fits(each, "1.34.2", None) and fits(each, "1.35", None)]
    for move in leg.before:
        assert find_offer(found, move.hops[-1]) in both
    for move in leg.after:
        assert fits(find_offer(found, move.hops[-1]), "1.35", None)
        assert side is When.AFTER
    misfit = bool(installed_misfits(found, "1.35"))
    later = side is When.AFTER and any(fits(each, "1.35", None) for each in newer)
    assert bool(leg.stops) is (misfit and not both and not later)
    if not leg.stops:
        moves = [*leg.before, *leg.after]
        last = moves[-1].hops[-1] if moves else installed
        there = replace(found, component=a_component(last, "dns"))
        assert not installed_misfits(there, "1.35")


@pytest.mark.parametrize("side", [When.BEFORE, When.AFTER])
def test_a_component_moves_on_one_side_only(side):
    found = facts("dns", "1.0.0", {"2.0.0": ">=1.34", "1.0.0": ""}, cluster_upgrade=side)
    [leg] = plan_cluster_upgrade([found], ["1.35"])
    assert len(leg.before) + len(leg.after) == 1
