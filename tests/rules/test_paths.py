"""The way between versions that must not be skipped: valid, shortest, and found whenever there is one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addonry.model.catalog import Counted, Hop, PathRule
from addonry.model.components import Placement, SourceKind
from addonry.model.ids import Version
from addonry.model.tasks import TaskKind
from addonry.rules.offers import next_offer, way_to
from addonry.rules.paths import is_one_hop, line_of, way
from addonry.rules.readiness import assess, assess_change
from tests.builders import a_component, an_entry, an_offer, some_facts

MINORS = PathRule(Hop.MINOR, Counted.CHART, "https://example.org/upgrade")
MAJORS = PathRule(Hop.MAJOR, Counted.CHART, "https://example.org/upgrade")
APP = PathRule(Hop.MINOR, Counted.APP, "https://example.org/upgrade")


def offers(*versions):
    return tuple(an_offer(version) for version in sorted(versions, reverse=True))


def hops(rule, installed, wanted, *by, known=()):
    found = way(rule, installed, an_offer(wanted), by=offers(*by), known=offers(*by, *known, wanted))
    return [offer.version for offer in found.hops] or f"no {found.missing}"


@pytest.mark.parametrize(
    ("rule", "installed", "wanted", "by", "expected"),
    [
        (None, "1.1.0", "1.9.0", (), ["1.9.0"]),
        (MINORS, "1.1.0", "1.1.7", ("1.1.5",), ["1.1.7"]),
        (MINORS, "1.1.0", "1.2.0", (), ["1.2.0"]),
        (MINORS, "1.1.0", "1.3.0", ("1.2.0", "1.2.9", "1.2.10"), ["1.2.10", "1.3.0"]),
        (MINORS, "1.1.0", "1.4.0", ("1.2.0", "1.1.9"), "no 1.3"),
        (MINORS, "1.1.0", "2.1.0", ("1.2.0", "1.3.0", "2.0.4"), ["1.2.0", "1.3.0", "2.0.4", "2.1.0"]),
        (MINORS, "1.1.0", "2.0.0", (), ["2.0.0"]),
        (MINORS, "1.1.0", "2.1.0", (), "no 2.0"),
        (MAJORS, "1.1.0", "2.7.0", ("1.9.0",), ["2.7.0"]),
        (MAJORS, "1.1.0", "4.0.0", ("2.0.0", "2.9.3", "3.1.0"), ["2.9.3", "3.1.0", "4.0.0"]),
        (MAJORS, "1.1.0", "4.0.0", ("2.0.0",), "no 3"),
        (MINORS, "", "1.9.0", (), ["1.9.0"]),
        (MINORS, "latest", "1.9.0", (), ["1.9.0"]),
        (MAJORS, "1.0.0", "20240601.0.0", (), "no 2"),
    ],
)
def test_the_way_goes_by_the_newest_version_of_each_line(rule, installed, wanted, by, expected):
    assert hops(rule, installed, wanted, *by) == expected


def test_a_minor_that_does_not_fit_is_missed_and_still_not_skipped():
    """1.2 is the last but one of its major whether or not it can be gone by here."""
    assert hops(MINORS, "1.1.0", "2.0.0", known=("1.2.0",)) == "no 1.2"


VERSION = st.builds("{}.{}.{}".format, st.integers(0, 2), st.integers(0, 3), st.integers(0, 2))
RULE = st.sampled_from([MINORS, MAJORS])


def numbers(version):
    return tuple(map(int, version.split(".")))


def shortest(rule, installed, wanted, by, known):
    """How many hops the shortest way has, by trying every one of them; None when there is none."""
    lines = [line_of(rule, version) for version in (installed, wanted, *by, *known)]
    reached, count = {installed}, 0
    while reached and wanted not in reached and count < 20:
        reached = {
            after
            for before in reached
            for after in (*by, wanted)
            if numbers(before) < numbers(after) <= numbers(wanted)
            and is_one_hop(rule, line_of(rule, before), line_of(rule, after), lines)
        }
        count += 1
    return count if wanted in reached else None


@given(RULE, VERSION, VERSION, st.lists(VERSION, max_size=12), st.lists(VERSION, max_size=4))
def test_a_way_is_found_when_there_is_one_and_it_is_valid_and_shortest(rule, one, other, by, known):
    installed, wanted = sorted((one, other), key=numbers)
    if installed == wanted:
        return
    between = [version for version in by if numbers(installed) < numbers(version) < numbers(wanted)]
    found = way(rule, installed, an_offer(wanted), by=offers(*by), known=offers(*by, *known, wanted))
    expected = shortest(rule, installed, wanted, between, [*by, *known])
    assert (len(found.hops) or None) == expected
    assert bool(found.missing) is (expected is None)
    steps = [installed, *(offer.version for offer in found.hops)]
    lines = [line_of(rule, version) for version in (installed, wanted, *by, *known)]
    for before, after in pairwise(steps):
        assert numbers(before) < numbers(after)
        assert is_one_hop(rule, line_of(rule, before), line_of(rule, after), lines)
    for offer in found.hops[:-1]:
        mates = [each for each in between if line_of(rule, each) == line_of(rule, offer.version)]
        assert numbers(offer.version) == max(map(numbers, mates))


# With facts: which versions may be gone by, and what comes next.


def facts(rule, installed, *given_offers, **more):
    return some_facts(a_component(installed, **more), *given_offers, entry=an_entry(path=rule))


def test_the_next_version_is_the_first_hop_to_the_newest():
    found = facts(MINORS, "1.1.0", *offers("1.3.1", "1.3.0", "1.2.4", "1.2.0"))
    assert next_offer(found).version == "1.2.4"
    assert [offer.version for offer in way_to(found, found.offers[0]).hops] == ["1.2.4", "1.3.1"]


def test_a_newest_version_that_cannot_be_reached_does_not_hide_the_others():
    assert next_offer(facts(MINORS, "1.1.0", *offers("1.4.0", "1.2.0"))).version == "1.2.0"
    assert next_offer(facts(MINORS, "1.1.0", *offers("1.4.0"))) is None


def test_a_way_goes_by_versions_that_fit_the_cluster_and_are_released():
    offered = (
        an_offer("1.3.0"),
        an_offer("1.2.9", kubernetes=">=1.40"),
        an_offer("1.2.8", deprecated=True),
        an_offer("1.2.7-rc.1"),
        an_offer("1.2.1"),
    )
    found = facts(MINORS, "1.1.0", *offered)
    assert [offer.version for offer in way_to(found, offered[0]).hops] == ["1.2.1", "1.3.0"]
    assert way_to(facts(MINORS, "1.1.0", *offered[:4]), offered[0]).missing == "1.2"


def test_the_application_version_is_counted_where_the_rule_says_so():
    offered = (an_offer("30.0.0", app_version="v1.3.0"), an_offer("20.0.0", app_version="v1.2.2"))
    assert next_offer(facts(APP, "10.0.0", *offered, app_version="v1.1.0")).version == "20.0.0"
    workload = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    plain = some_facts(a_component("1.1.0", placement=workload), *offered, entry=an_entry(path=APP))
    assert next_offer(plain).version == "20.0.0"


def test_what_is_installed_in_a_version_that_nobody_offers_any_more_is_counted_by_its_own_number():
    assert next_offer(facts(MINORS, "1.1.3", *offers("1.3.0", "1.2.0"))).version == "1.2.0"


def findings(found, version=None):
    readiness = assess(found) if version is None else assess_change(found, Version(version), TaskKind.UPGRADE)
    return [(each.id, each.severity, each.message, each.remedy) for each in readiness.findings]


def test_a_version_that_skips_others_is_refused_with_the_way_there():
    found = facts(MINORS, "1.1.0", *offers("1.3.1", "1.2.4", "1.1.9"))
    [(name, severity, message, remedy)] = findings(found, "1.3.1")
    assert (name, severity) == ("VersionsSkipped", "blocks")
    assert "go by 1.2.4" in message
    assert MINORS.evidence in message
    assert remedy.endswith("addonry upgrade prod coredns@1.3.1 --wait")
    assert findings(found, "1.2.4") == findings(found, "1.1.9") == findings(found) == []


def test_a_version_that_cannot_be_gone_to_is_told_with_the_step_that_is_missing():
    found = facts(MINORS, "1.1.0", *offers("1.4.0", "1.3.0"))
    [(name, severity, message, _)] = findings(found)
    assert (name, severity) == ("VersionsSkipped", "warns")
    assert "1.3.0 fits" in message
    assert "no 1.2 that fits" in message
    [(_, severity, message, _)] = findings(found, "1.4.0")[:1]
    assert severity == "blocks"
    assert "no 1.2 that fits is on offer to go by" in message


def test_without_a_rule_any_version_may_be_gone_to():
    assert findings(facts(None, "1.1.0", *offers("3.0.0")), "3.0.0") == []
