"""Is a component ours to change: each check with what it finds and what it lets pass."""

from datetime import timedelta

import pytest

from addonry.model.components import Driver, Placement, SourceKind
from addonry.model.ids import Version
from addonry.model.owners import Claim, Conflict, Owner, OwnerRef, Turnover, Upkeep, Watch
from addonry.model.readiness import Severity
from addonry.model.tasks import TaskKind
from addonry.rules.readiness import assess, assess_change
from addonry.rules.readiness.ownership import REMEDIES
from tests.builders import NOW, a_component, an_offer, some_facts

APPLICATION = OwnerRef(Owner.ARGO_CD, "Application", "argocd", "dns", Upkeep.CORRECTS, "syncs automatically")
RELEASE = OwnerRef(Owner.HELM, "Release", "kube-system", "coredns", Upkeep.NONE)
CONFLICT = Conflict(
    "Deployment kube-system/coredns",
    (
        Claim(APPLICATION, "annotation argocd.argoproj.io/tracking-id"),
        Claim(RELEASE, "annotation meta.helm.sh/release-name"),
    ),
)

FINDINGS = {
    "TwoOwners": ({"conflicts": (CONFLICT,)}, Severity.BLOCKS),
    "ManagedElsewhere": ({"owner": Owner.ARGO_CD, "owner_ref": APPLICATION}, Severity.BLOCKS),
    "ReleaseInConfigMaps": ({"driver": Driver.CONFIG_MAPS}, Severity.BLOCKS),
    "VersionUnknown": ({"version": Version(""), "no_version": "its image has a digest"}, Severity.WARNS),
    "Churn": ({"turnovers": (Turnover("revisions", 9_792, NOW - timedelta(days=300)),)}, Severity.WARNS),
}


@pytest.mark.parametrize("id_", FINDINGS)
def test_each_check_finds_what_it_is_for_and_says_what_to_do(id_):
    given, severity = FINDINGS[id_]
    found = {each.id: each for each in assess(some_facts(a_component(**given), an_offer("2.0.0"))).findings}
    assert found[id_].severity is severity
    assert found[id_].remedy
    assert "coredns" in found[id_].message


def test_a_component_of_its_own_that_nobody_fights_over_passes_them_all():
    fine = a_component(turnovers=(Turnover("revisions", 300, NOW - timedelta(days=900)),))
    found = {each.id for each in assess(some_facts(fine, an_offer("2.0.0"))).findings}
    assert not found & FINDINGS.keys()


def test_who_is_changed_over_and_over_under_our_eyes_is_told_whatever_its_age():
    component = a_component(
        watch=Watch(
            NOW - timedelta(hours=1),
            {"release dns": 352_140, "DaemonSet a/b": 1},
            {"release dns": 352_160, "DaemonSet a/b": 1},
        )
    )
    (found,) = [each for each in assess(some_facts(component, an_offer("2.0.0"))).findings if each.id == "Churn"]
    assert "20 times within 6 hours" in found.message
    assert found.evidence == ("release dns: change 352160, 352140 at 2026-11-23 07:00",)


@pytest.mark.parametrize(
    ("upkeep", "severity"),
    [
        (Upkeep.CORRECTS, Severity.BLOCKS),
        (Upkeep.APPLIES, Severity.BLOCKS),
        (Upkeep.UNKNOWN, Severity.BLOCKS),
        (Upkeep.PAUSED, Severity.WARNS),
        (Upkeep.NONE, None),
    ],
)
def test_what_an_owner_does_about_changes_decides_whether_it_is_in_the_way(upkeep, severity):
    ref = OwnerRef(Owner.FLUX, "HelmRelease", "flux-system", "dns", upkeep)
    facts = some_facts(a_component(owner=Owner.FLUX, owner_ref=ref), an_offer("2.0.0"))
    (told,) = [each.severity for each in assess(facts).findings if each.id == "ManagedElsewhere"] or [None]
    assert told is severity
    assert assess(facts).is_ready is (severity is not Severity.BLOCKS)


@pytest.mark.parametrize("kind", [TaskKind.UPGRADE, TaskKind.CONFIGURE, TaskKind.UNINSTALL])
def test_no_change_is_made_behind_an_owners_back(kind):
    facts = some_facts(a_component(owner=Owner.ARGO_CD, owner_ref=APPLICATION), an_offer("2.0.0"))
    assert "ManagedElsewhere" in {each.id for each in assess_change(facts, None, kind).blockers}


def test_a_release_of_helm_and_what_nobody_manages_are_ours():
    for ref in (None, RELEASE):
        assert assess(some_facts(a_component(owner_ref=ref), an_offer("2.0.0"))).is_ready


@pytest.mark.parametrize(("owner", "kind"), REMEDIES)
def test_each_remedy_names_its_object(owner, kind):
    ref = OwnerRef(owner, kind, "somewhere", "dns", Upkeep.CORRECTS)
    place = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    facts = some_facts(a_component(placement=place, owner=owner, owner_ref=ref), an_offer("2.0.0"))
    (found,) = [each for each in assess(facts).findings if each.id == "ManagedElsewhere"]
    assert "{" not in found.remedy
    assert ("dns" in found.remedy) is ("{name}" in REMEDIES[owner, kind])


def test_an_owner_whose_object_is_not_known_is_named_all_the_same():
    ref = OwnerRef(Owner.FLUX)
    (found,) = [
        each
        for each in assess(some_facts(a_component(owner_ref=ref), an_offer("2.0.0"))).findings
        if each.id == "ManagedElsewhere"
    ]
    assert found.remedy == "Change it where it is managed: Flux."


def test_the_evidence_of_two_owners_is_each_object_with_what_gives_them_away():
    facts = some_facts(a_component(conflicts=(CONFLICT,) * 9), an_offer("2.0.0"))
    (found,) = [each for each in assess(facts).findings if each.id == "TwoOwners"]
    assert len(found.evidence) == 5
    assert "tracking-id" in found.evidence[0]
    assert "Helm Release kube-system/coredns" in found.message
