"""Every check has a passing and a failing case; a verdict names all obstacles at once."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from addonry.model.catalog import KubernetesRange, VersionScope
from addonry.model.clusters import Reach
from addonry.model.components import Health, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import TaskId, Version
from addonry.model.owners import Owner
from addonry.model.readiness import Facts, Severity
from addonry.model.tasks import TaskKind
from addonry.rules.readiness import assess, assess_change
from tests.builders import a_cluster, a_component, an_entry, an_offer, some_facts

OFFERS = (an_offer("1.2.0"), an_offer("1.1.0"), an_offer("1.0.0"))


def healthy() -> Facts:
    return some_facts(a_component("1.0.0"), *OFFERS)


def with_found(**given: object) -> Facts:
    component = a_component("1.0.0")
    return some_facts(replace(component, found=replace(component.found, **given)), *OFFERS)


def ids(facts: Facts) -> list[str]:
    return [blocker.id for blocker in assess(facts).findings]


def test_an_old_healthy_component_is_ready_and_goes_to_the_newest_version_that_fits():
    readiness = assess(healthy())
    assert readiness.findings == ()
    assert readiness.is_ready
    assert readiness.can_upgrade
    assert readiness.target == OFFERS[0]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(healthy(), cluster=a_cluster(reach=Reach.UNREACHABLE, trouble="no answer.")), "ClusterUnreachable"),
        (replace(healthy(), cluster=a_cluster(reach=Reach.REFUSED, trouble="401.")), "ClusterUnreachable"),
        (replace(healthy(), cluster=a_cluster(reach=Reach.UNKNOWN)), "NotScanned"),
        (replace(healthy(), live_task=TaskId("T-1")), "TaskRunning"),
        (with_found(health=Health.FAILED, message="CrashLoopBackOff"), "WorkloadUnhealthy"),
        (with_found(health=Health.IN_PROGRESS), "WorkloadUnhealthy"),
        (with_found(status=ReleaseStatus.PENDING_UPGRADE), "ReleaseStuck"),
        (with_found(status=ReleaseStatus.PENDING_INSTALL), "ReleaseStuck"),
        (replace(healthy(), values_errors={"1.2.0": ("replicas must be of type integer",)}), "ValuesInvalid"),
    ],
)
def test_an_obstacle_blocks_and_says_what_to_do(facts: Facts, expected: str):
    readiness = assess(facts)
    assert [blocker.id for blocker in readiness.blockers] == [expected]
    assert not readiness.is_ready
    assert readiness.blockers[0].message.endswith((".", "…"))
    assert readiness.blockers[0].remedy
    assert readiness.target == OFFERS[0], "whether a version exists does not depend on whether it may be installed now"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(healthy(), entry=None, offers=()), "NotInCatalog"),
        (replace(healthy(), entry=an_entry(source=None), offers=()), "NoCharts"),
        (replace(healthy(), catalog_trouble="The repository answered 503."), "CatalogUnavailable"),
        (some_facts(a_component(), an_offer("2.0.0", kubernetes=">=1.38.0-0")), "KubernetesVersion"),
        (
            with_found(
                placement=Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment"), owner=Owner.NOBODY
            ),
            "PlainWorkload",
        ),
    ],
)
def test_a_warning_is_told_and_leaves_the_component_ready(facts: Facts, expected: str):
    readiness = assess(facts)
    assert expected in [finding.id for finding in readiness.findings if finding.severity is Severity.WARNS]
    assert readiness.is_ready


def test_values_that_break_another_version_than_the_next_one_do_not_block():
    assert assess(replace(healthy(), values_errors={"1.1.0": ("x must be of type integer",)})).is_ready


def test_all_obstacles_are_named_at_once():
    facts = replace(with_found(health=Health.FAILED, status=ReleaseStatus.PENDING_UPGRADE), live_task=TaskId("T-1"))
    assert ids(facts) == ["TaskRunning", "ReleaseStuck", "WorkloadUnhealthy"]


def test_a_component_that_is_up_to_date_is_ready_but_has_nowhere_to_go():
    readiness = assess(some_facts(a_component("1.2.0"), *OFFERS))
    assert (readiness.is_ready, readiness.can_upgrade, readiness.findings) == (True, False, ())


def test_a_component_that_is_not_installed_is_ready_to_be():
    readiness = assess(some_facts(None, *OFFERS))
    assert (readiness.is_ready, readiness.target) == (True, OFFERS[0])


def test_a_version_for_a_newer_kubernetes_is_passed_over_for_one_that_fits():
    facts = some_facts(a_component("1.0.0"), an_offer("1.3.0", kubernetes=">=1.38.0-0"), *OFFERS)
    assert assess(facts).target == OFFERS[0]


@pytest.mark.parametrize(
    ("kubernetes", "versions", "expected"),
    [(">=1.30 <1.36", ">=1.2", "1.1.0"), (">=1.30 <1.36", "<1.2", "1.2.0"), (">=1.30 <1.37", "*", "1.2.0")],
)
def test_what_the_catalog_knows_beyond_the_charts_own_range_decides_too(kubernetes, versions, expected):
    """A chart seldom says where it ends; somebody who has tried it may."""
    known = KubernetesRange(VersionScope(versions), kubernetes, "https://example.test/matrix")
    facts = replace(healthy(), entry=an_entry(ranges=(known,)))
    assert assess(facts).target.version == expected
    (refused,) = assess_change(facts, Version("1.2.0"), TaskKind.UPGRADE).blockers if expected == "1.1.0" else (None,)
    assert refused is None or "https://example.test/matrix" in refused.message


@pytest.mark.parametrize("passed_over", [an_offer("1.3.0", deprecated=True), an_offer("1.3.0-rc.1")])
def test_deprecated_versions_and_prereleases_are_never_proposed(passed_over):
    facts = some_facts(a_component("1.0.0"), passed_over, *OFFERS)
    assert assess(facts).target == OFFERS[0]
    assert assess_change(facts, passed_over.version, TaskKind.UPGRADE).is_ready, "but one may ask for them by name"


@pytest.mark.parametrize(
    ("version", "install", "expected"),
    [
        (None, False, []),
        ("1.1.0", False, []),
        ("v1.1.0", False, []),
        ("9.9.9", False, ["NoVersion"]),
        ("1.0.0", False, ["NotNewer"]),
        ("1.2.0", True, ["AlreadyInstalled"]),
        ("1.3.0", False, ["KubernetesVersion"]),
    ],
)
def test_a_wanted_version_must_be_on_offer_fit_and_be_newer(version, install, expected):
    facts = some_facts(a_component("1.0.0"), an_offer("1.3.0", kubernetes=">=1.38.0-0"), *OFFERS)
    wanted = Version(version) if version else None
    assert [
        blocker.id
        for blocker in assess_change(facts, wanted, TaskKind.INSTALL if install else TaskKind.UPGRADE).blockers
    ] == expected


def test_upgrading_what_is_not_there_is_refused():
    found = assess_change(some_facts(None, *OFFERS), None, TaskKind.UPGRADE)
    assert [blocker.id for blocker in found.blockers] == ["NotInstalled"]


def test_upgrading_to_the_newest_when_up_to_date_says_that_there_is_none():
    found = assess_change(some_facts(a_component("1.2.0"), *OFFERS), None, TaskKind.UPGRADE)
    assert [blocker.id for blocker in found.blockers] == ["NoVersion"]


def test_a_plain_workload_is_compared_by_the_image_tag_an_offer_would_have():
    placement = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    component = a_component("v1.10.0", placement=placement)
    newer = an_offer("30.0.0", app_version="1.11.0")
    older = an_offer("29.0.0", app_version="1.9.0")
    facts = some_facts(component, newer, older, entry=an_entry(tag="v{app_version}"))
    assert assess(facts).target == newer
    assert assess(replace(facts, offers=(older,))).target is None


def test_every_finding_has_a_row_in_the_reference():
    source = "".join(each.read_text() for each in Path("src/addonry/rules/readiness").glob("*.py"))
    page = Path("docs/reference/checks.md").read_text()
    named = set(re.findall(r'Blocker\(\s*"(\w+)"', source))
    assert named
    missing = {each for each in named if f"`{each}`" not in page}
    assert not missing, f"docs/reference/checks.md lacks {missing}"


@pytest.mark.parametrize(
    ("kind", "facts", "expected"),
    [
        (TaskKind.INSTALL, replace(some_facts(None, *OFFERS), lacking=("cert-manager",)), ["Requires"]),
        (TaskKind.UNINSTALL, replace(healthy(), entry=an_entry(required=True)), ["Required"]),
        (TaskKind.UNINSTALL, replace(healthy(), required_by=("ingress-nginx",)), ["RequiredBy"]),
        (TaskKind.UNINSTALL, healthy(), []),
        (TaskKind.UNINSTALL, replace(healthy(), live_task="T-1"), ["TaskRunning"]),
    ],
)
def test_each_kind_of_change_has_its_own_obstacles(kind, facts, expected):
    """Nothing is removed that others stand on, and nothing installed that has nothing to stand on."""
    assert [blocker.id for blocker in assess_change(facts, None, kind).blockers] == expected


def test_what_is_broken_may_be_configured_and_removed():
    """Other values are often the remedy, and an upgrade is not."""
    facts = healthy()
    broken = replace(
        facts, component=replace(facts.component, found=replace(facts.component.found, health=Health.FAILED))
    )
    assert [each.id for each in assess_change(broken, None, TaskKind.UPGRADE).blockers] == ["WorkloadUnhealthy"]
    assert assess_change(broken, facts.component.version, TaskKind.CONFIGURE).is_ready
    assert assess_change(broken, None, TaskKind.UNINSTALL).is_ready


def test_a_plain_workload_whose_tags_nobody_can_tell_has_no_newer_version():
    """An operator counts its own versions: a tag made of its chart's would name an image that does not exist."""
    plain = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
    untold = replace(with_found(placement=plain), entry=an_entry(tag=""))
    assert "NoCharts" in ids(untold)
    assert assess(untold).target is None
    assert "NoCharts" not in ids(replace(healthy(), entry=an_entry(tag=""))), "a release is upgraded by its chart"
