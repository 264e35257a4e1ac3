"""What publishers say of the versions between the installed one and the one to go to."""

from dataclasses import replace

import pytest

from addonry.model.catalog import KubernetesRange, Note, VersionScope
from addonry.model.components import SourceKind
from addonry.model.readiness import Severity
from addonry.rules.readiness import assess
from tests.builders import a_cluster, a_component, an_entry, an_offer, some_facts

HOLE = Note("security", "Closes a hole")
BREAK = Note("changed", "BREAKING: another port")
OFFERS = (
    an_offer("1.4.0", fixes_security=True, notes=(HOLE,), kubernetes=">=1.99.0-0"),
    an_offer("1.3.0", notes=(BREAK,)),
    an_offer("1.2.0", fixes_security=True, notes=(HOLE, Note("fixed", "A typing error"))),
    an_offer("1.1.0", fixes_security=True),
    an_offer("1.0.0", fixes_security=True, notes=(BREAK,)),
)


def findings(version, *offers, entry=None, identity=""):
    facts = replace(some_facts(a_component(version), *offers), entry=entry or an_entry(), cluster=a_cluster())
    return {each.id: each for each in assess(facts).findings if each.id == identity}


def test_fixes_of_security_up_to_the_version_to_go_to_are_told():
    """Not those of what is installed already, nor of what does not fit."""
    [told] = findings("1.0.0", *OFFERS, identity="SecurityFixes").values()
    assert "came with 1.2.0, 1.1.0." in told.message
    assert (told.severity, told.evidence) == (Severity.WARNS, ("Closes a hole",))
    assert not findings("1.2.0", *OFFERS, identity="SecurityFixes")


def test_what_calls_itself_breaking_is_told():
    [told] = findings("1.0.0", *OFFERS, identity="BreakingChanges").values()
    assert "in 1.3.0." in told.message
    assert (told.severity, told.evidence) == (Severity.WARNS, ("BREAKING: another port",))
    assert not findings("1.3.0", *OFFERS, identity="BreakingChanges")


@pytest.mark.parametrize(("kubernetes", "is_told"), [("<1.30-0", True), (">=1.30-0", False)])
def test_a_version_that_was_tested_elsewhere_only_is_told_and_chosen(kubernetes, is_told):
    known = KubernetesRange(VersionScope(), kubernetes, "https://example.test/tests", is_tested=True)
    told = findings("1.0.0", an_offer("1.1.0"), entry=an_entry(ranges=(known,)), identity="Untested")
    assert bool(told) is is_told
    if is_told:
        assert "https://example.test/tests" in told["Untested"].message
        assert told["Untested"].severity is Severity.WARNS


def test_a_publishers_pre_release_is_not_chosen():
    """Charts of some projects count on before the application they bring is done."""
    facts = some_facts(a_component("1.0.0"), an_offer("1.2.0", is_prerelease=True), an_offer("1.1.0"))
    assert assess(facts).target.version == "1.1.0"
    assert facts.component.found.placement.source is SourceKind.HELM
