"""Every check has a case that it finds something in and one that it lets pass; and a row in the reference."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from addonry.model.catalog import EndOfLife, ObsoleteSetting, Risk, VersionScope
from addonry.model.clusters import Reach
from addonry.model.components import Health, Placement, ReleaseStatus, SourceKind
from addonry.model.ids import ComponentName, TaskId, Version
from addonry.model.readiness import Blocker, Facts, Severity, Waiver
from addonry.model.surroundings import Budget, DeadApi, DeadWebhook, Expiry, Nodes, Room, Surroundings, WorkloadNote
from addonry.model.tasks import TaskKind
from addonry.rules.readiness import assess, assess_change, assess_cluster_upgrade
from addonry.rules.readiness.configuration import held_settings
from addonry.rules.readiness.waiving import NEVER, WAIVABLE
from tests.builders import a_cluster, a_component, an_entry, an_offer, some_facts
from tests.docs.markdown import ROOT, rows

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)  # a Thursday
OFFERS = (an_offer("1.2.0"), an_offer("1.1.0"), an_offer("1.0.0"))
RELEASE = Placement(SourceKind.HELM, "kube-system", "coredns")
PLAIN = Placement(SourceKind.WORKLOAD, "kube-system", "coredns", "Deployment")
PAGE = "https://example.test/page"


def healthy(**given: Any) -> Facts:
    return replace(some_facts(a_component("1.0.0"), *OFFERS), **{"now": NOW, **given})


def found(**given: Any) -> Facts:
    component = a_component("1.0.0")
    return healthy(component=replace(component, found=replace(component.found, **given)))


def around(**given: Any) -> Facts:
    return healthy(surroundings=Surroundings(**given))


def a_workload(**given: Any) -> Facts:
    note = WorkloadNote(RELEASE, "Deployment", "kube-system", "coredns", replicas=2, is_spread=True)
    return around(workloads=(replace(note, **given),), nodes=Nodes(3, rooms=given_rooms(), free_pods=50))


def given_rooms() -> tuple[Room, ...]:
    return (Room(2000, 4 << 30), Room(8000, 32 << 30, ("gpu",)))


def known(**given: Any) -> Facts:
    return healthy(entry=an_entry(**given))


def a_webhook(**given: Any) -> Facts:
    hook = DeadWebhook("ValidatingWebhookConfiguration guard (x)", "guard/guard", ("apps/deployments",))
    return around(dead_webhooks=(replace(hook, **given),))


def a_risk(**given: Any) -> Facts:
    risk = Risk("R-1", VersionScope(">=1.2"), "It loses zones.", "Read the page.", PAGE)
    return known(risks=(replace(risk, **given),))


def an_end(day: date, constraint: str = "<1.1") -> Facts:
    return known(ends=(EndOfLife(VersionScope(constraint), day, PAGE, "successor"),))


UPSTREAM = ObsoleteSetting(
    VersionScope(">=1.2"), "coredns", "Corefile", r"^\s*upstream\b", "upstream is gone.", "Remove it.", PAGE
)


def a_setting(constraint: str = ">=1.2", line: str = "    upstream") -> Facts:
    entry = an_entry(obsolete=(replace(UPSTREAM, versions=VersionScope(constraint)),))
    held = held_settings(entry, "coredns", {"Corefile": f".:53 {{\n{line}\n}}\n"})
    return replace(around(obsolete={"coredns": held}), entry=entry)


def a_window(*, enforce: bool, days: str = "Monday") -> Facts:
    window = {"enable": True, "maintenance_time": "03:00:00Z", "duration": "10h", "weekly_period": days}
    return healthy(maintenance_window={**window, "enforce": enforce})


def waived(until: datetime) -> Facts:
    waiver = Waiver("WorkloadUnhealthy", None, "known flake", "ann", until)
    return replace(found(health=Health.FAILED), waivers=(waiver,))


DOWN = Nodes(2, not_ready=("a",), cordoned=("b",))

ALWAYS: Mapping[str, tuple[Facts, Facts]] = {
    "ClusterUnreachable": (healthy(cluster=a_cluster(reach=Reach.UNREACHABLE, trouble="no answer.")), healthy()),
    "NotScanned": (healthy(cluster=a_cluster(reach=Reach.UNKNOWN)), healthy()),
    "TaskRunning": (healthy(live_task=TaskId("T-1")), healthy()),
    "ReleaseStuck": (found(status=ReleaseStatus.PENDING_UPGRADE), found(status=ReleaseStatus.DEPLOYED)),
    "NoNodeReady": (around(nodes=DOWN), around(nodes=replace(DOWN, count=3))),
    "NoPodSlots": (around(nodes=Nodes(3, free_pods=2)), around(nodes=Nodes(3, free_pods=3))),
    "WebhookUnreachable": (a_webhook(), a_webhook(resources=("networking.k8s.io/ingresses",))),
    "OutsideWindow": (a_window(enforce=True), a_window(enforce=True, days="Monday,Thursday")),
    "WindowClosed": (a_window(enforce=False), a_window(enforce=False, days="Thursday")),
    "UnsafeCrdChange": (healthy(unsafe_crds=("widgets.example.com v1 spec.size is removed",)), healthy()),
    "RightsMissing": (healthy(missing_rights=("patch deployments.apps in kube-system",)), healthy()),
    "WorkloadUnhealthy": (found(health=Health.IN_PROGRESS), found(health=Health.CURRENT)),
    "OwnApiUnavailable": (
        around(dead_apis=(DeadApi("v1beta1.metrics.k8s.io", "APIService v1beta1.metrics.k8s.io is away", RELEASE),)),
        around(dead_apis=(DeadApi("v1beta1.metrics.k8s.io", "APIService v1beta1.metrics.k8s.io is away"),)),
    ),
    "ApiServiceUnavailable": (
        around(dead_apis=(DeadApi("v1beta1.metrics.k8s.io", "APIService v1beta1.metrics.k8s.io is away"),)),
        around(dead_apis=(DeadApi("v1beta1.metrics.k8s.io", "APIService v1beta1.metrics.k8s.io is away", RELEASE),)),
    ),
    "ApiMissing": (
        replace(around(served=frozenset({"v1"})), entry=an_entry(apis=("cert-manager.io/v1",))),
        replace(around(served=frozenset({"cert-manager.io/v1"})), entry=an_entry(apis=("cert-manager.io/v1",))),
    ),
    "ReleaseApiRemoved": (found(kinds=("policy/v1beta1 PodDisruptionBudget",)), found(kinds=("apps/v1 Deployment",))),
    "ReleaseApiDeprecated": (
        replace(found(kinds=("policy/v1beta1 PodDisruptionBudget",)), cluster=a_cluster(kubernetes="v1.24.3")),
        replace(found(kinds=("policy/v1beta1 PodDisruptionBudget",)), cluster=a_cluster(kubernetes="v1.20.3")),
    ),
    "ValuesInvalid": (
        healthy(values_errors={"1.2.0": ("replicas must be of type integer",)}),
        healthy(values_errors={"1.1.0": ("replicas must be of type integer",)}),
    ),
    "ObsoleteSetting": (a_setting(), a_setting(">=1.3")),
    "KnownRisk": (a_risk(blocks=True), a_risk(blocks=True, origin=">=1.1")),
    "KnownIssue": (a_risk(), a_risk(kubernetes="<1.30")),
    "EndOfLife": (an_end(NOW.date() + timedelta(days=80)), an_end(NOW.date() + timedelta(days=100))),
    "NextKubernetes": (
        healthy(offers=(an_offer("1.2.0", kubernetes="<1.37.0-0"),)),
        healthy(offers=(an_offer("1.2.0", kubernetes="<1.38.0-0"),)),
    ),
    "NoRollback": (
        found(status=ReleaseStatus.FAILED, revision=3, deployed=0),
        found(status=ReleaseStatus.FAILED, revision=3, deployed=2),
    ),
    "FieldsOfOthers": (a_workload(editors=("kubectl-edit: spec.replicas",)), a_workload()),
    "Autoscaled": (a_workload(scalers=("HorizontalPodAutoscaler kube-system/coredns",)), a_workload()),
    "NoRoomToSurge": (
        a_workload(needs_room=True, cpu=3000),
        a_workload(needs_room=True, cpu=3000, tolerates=("gpu",)),
    ),
    "Interruption": (a_workload(goes_down=True), a_workload()),
    "NoReadinessProbe": (a_workload(unprobed=("coredns",)), a_workload()),
    "LoadBalancerPending": (a_workload(pending_balancers=("dns",)), a_workload()),
    "NotInCatalog": (healthy(entry=None), healthy()),
    "NoCharts": (known(source=None), known()),
    "CatalogUnavailable": (healthy(catalog_trouble="The repository answered 503."), healthy()),
    "PlainWorkload": (found(placement=PLAIN), healthy()),
    "WebhookMayRefuse": (a_webhook(is_certain=False), a_webhook(is_certain=False, spared=("kube-system",))),
    "NodesNotReady": (around(nodes=Nodes(3, not_ready=("a",))), around(nodes=Nodes(3, cordoned=("a",)))),
    "KubeletSkew": (
        around(nodes=Nodes(3, kubelets={"v1.32.9": 1, "v1.36.2": 2})),
        around(nodes=Nodes(3, kubelets={"v1.33.0": 1, "v1.36.2": 2})),
    ),
    "CertificateExpires": (around(expiring=(Expiry("APIService x", NOW + timedelta(days=3)),)), healthy()),
    "CredentialsExpire": (
        around(credentials_end=NOW + timedelta(days=29)),
        around(credentials_end=NOW + timedelta(days=31)),
    ),
    "NotChecked": (around(denied=("endpointslices",)), around(denied=())),
    "WaiverExpired": (waived(NOW), waived(NOW + timedelta(seconds=1))),
    "KubernetesVersion": (
        healthy(offers=(an_offer("2.0.0", kubernetes=">=1.38.0-0"),)),
        healthy(offers=(an_offer("2.0.0", kubernetes=">=1.36.0-0"),)),
    ),
    "NoVersion": (healthy(component=None, offers=()), healthy(component=None)),
}
"""Of each check that is always asked: the facts in which it finds something, and those that differ in that alone."""

CLUSTER: Mapping[str, tuple[Facts, Facts]] = {
    "BudgetExhausted": (a_workload(budgets=(Budget("dns", 0),)), a_workload(budgets=(Budget("dns", 1),))),
    "NotSpread": (a_workload(is_spread=False), a_workload()),
}
"""The same of those that an upgrade of the cluster is asked about."""

CHANGE: Mapping[str, tuple[TaskKind, Facts, Facts, str]] = {
    "NotInstalled": (TaskKind.UPGRADE, healthy(component=None), healthy(), "1.2.0"),
    "AlreadyInstalled": (TaskKind.INSTALL, healthy(), healthy(component=None), "1.2.0"),
    "NotNewer": (TaskKind.UPGRADE, healthy(component=a_component("1.2.0")), healthy(), "1.2.0"),
    "Requires": (
        TaskKind.INSTALL,
        healthy(component=None, lacking=(ComponentName("cert-manager"),)),
        healthy(component=None),
        "1.2.0",
    ),
    "Required": (TaskKind.UNINSTALL, known(required=True), healthy(), ""),
    "RequiredBy": (TaskKind.UNINSTALL, healthy(required_by=(ComponentName("ingress-nginx"),)), healthy(), ""),
    "NotARelease": (TaskKind.UNINSTALL, found(placement=PLAIN), healthy(), ""),
}
"""The same of those that one kind of change is asked about, and the version it goes to."""

ELSEWHERE = {
    "RemovedApiRequested": "tests/rules/test_removed_apis.py",
    **dict.fromkeys(("Untested", "SecurityFixes", "BreakingChanges"), "tests/rules/test_publishers.py"),
    "VersionChanged": "tests/lifecycle/test_steps.py",
    "VersionsSkipped": "tests/rules/test_paths.py",
    **dict.fromkeys(
        ("TwoOwners", "ManagedElsewhere", "Churn", "ReleaseInConfigMaps", "VersionUnknown"),
        "tests/rules/test_ownership.py",
    ),
}
"""What is told where the check is, with both cases there."""


def ids(findings: Iterable[Blocker]) -> set[str]:
    return {each.id for each in findings}


@pytest.mark.parametrize("check", ALWAYS)
def test_a_check_finds_what_it_is_about_and_nothing_else(check: str):
    failing, passing = ALWAYS[check]
    told = next(each for each in assess(failing).findings if each.id == check)
    assert told.message.endswith((".", "…"))
    assert told.remedy
    assert check not in ids(assess(passing).findings)


@pytest.mark.parametrize("check", CLUSTER)
def test_what_a_drain_would_meet_is_found_before_an_upgrade_of_the_cluster(check: str):
    failing, passing = CLUSTER[check]
    assert check in ids(assess_cluster_upgrade(failing, "1.37").findings)
    assert check not in ids(assess_cluster_upgrade(passing, "1.37").findings)


@pytest.mark.parametrize("check", CHANGE)
def test_each_kind_of_change_has_checks_of_its_own(check: str):
    kind, failing, passing, version = CHANGE[check]
    wanted = Version(version) if version else None
    assert check in ids(assess_change(failing, wanted, kind).findings)
    assert check not in ids(assess_change(passing, wanted, kind).findings)


def told_in_the_source() -> set[str]:
    files = (ROOT / "src/addonry/rules/readiness").glob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {
        node.args[0].value
        for node in nodes
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Blocker"
        and isinstance(node.args[0], ast.Constant)
    }


def test_no_check_is_without_its_cases():
    """A check that was never seen to fail is none; one that was never seen to pass may always fail."""
    assert told_in_the_source() <= {*ALWAYS, *CLUSTER, *CHANGE, *ELSEWHERE}
    assert {*ALWAYS, *CLUSTER, *CHANGE} <= told_in_the_source()
    for check, file in ELSEWHERE.items():
        assert check in Path(ROOT / file).read_text()


def test_the_reference_says_which_checks_may_be_waived():
    told = {row[0].strip("`"): row[2] for row in rows(ROOT / "docs/reference/checks.md")}
    assert {check for check, waivable in told.items() if waivable == "no"} == NEVER
    assert {check for check, waivable in told.items() if waivable == "yes"} == WAIVABLE


@pytest.mark.parametrize(
    "check", [check for check, (failing, _) in ALWAYS.items() if check in ids(assess(failing).blockers)]
)
def test_a_waiver_lets_pass_what_may_be_waived(check: str):
    """It is told all the same, with who and why, and what may not be waived blocks as before."""
    failing, _ = ALWAYS[check]
    waiver = Waiver(check, ComponentName("coredns"), "accepted", "ann", NOW + timedelta(days=1))
    weighed = assess(replace(failing, waivers=(waiver,)))
    told = next(each for each in weighed.findings if each.id == check)
    assert weighed.is_ready is (check not in NEVER)
    assert told.waived == (None if check in NEVER else waiver)


@pytest.mark.parametrize(
    ("component", "until", "counts"),
    [
        (None, timedelta(days=1), True),
        ("coredns", timedelta(days=1), True),
        ("metrics-server", timedelta(days=1), False),
        (None, timedelta(0), False),
    ],
)
def test_a_waiver_counts_for_its_component_until_its_day(component: str | None, until: timedelta, counts: bool):
    name = ComponentName(component) if component else None
    waiver = Waiver("WorkloadUnhealthy", name, "accepted", "ann", NOW + until)
    assert assess(replace(found(health=Health.FAILED), waivers=(waiver,))).is_ready is counts


def test_an_expired_waiver_is_told_as_long_as_its_cause_is_there():
    old = Waiver("WorkloadUnhealthy", None, "known flake", "ann", NOW - timedelta(days=1))
    told = assess(replace(found(health=Health.FAILED), waivers=(old,))).findings[-1]
    assert (told.id, told.evidence) == ("WaiverExpired", ("WorkloadUnhealthy: known flake",))
    assert "ann" in told.message
    assert assess(healthy(waivers=(old,))).findings == (), "nothing is wrong any more, so nothing needs a waiver"
    renewed = replace(old, until=NOW + timedelta(days=9))
    assert assess(replace(found(health=Health.FAILED), waivers=(old, renewed))).is_ready


def test_what_blocks_an_upgrade_of_the_cluster_may_only_warn_of_a_change():
    """A rollout asks no budget; a drain of the node does."""
    held = a_workload(budgets=(Budget("dns", 0),))
    assert assess(held).findings == ()
    assert not assess_cluster_upgrade(held, "1.37").is_ready
    old = around(nodes=Nodes(3, kubelets={"v1.33.0": 3}))
    assert assess(old).findings == ()
    (told,) = assess_cluster_upgrade(old, "1.37").blockers
    assert (told.id, told.severity) == ("KubeletSkew", Severity.BLOCKS)


@pytest.mark.parametrize(
    ("where", "blocks"),
    [
        ({"only": ("kube-system",)}, True),
        ({"only": ("shop",)}, False),
        ({"spared": ("kube-system",)}, False),
        ({"resources": ("*/*",)}, True),
        ({"resources": ("/pods",)}, True),
        ({"resources": ("apps/*",)}, True),
        ({"resources": ("apps/controllerrevisions",)}, False),
    ],
)
def test_a_dead_webhook_is_in_the_way_of_what_it_is_asked_about(where: dict[str, Any], blocks: bool):
    assert assess(a_webhook(**where)).is_ready is not blocks


def test_without_a_moment_no_deadline_is_weighed():
    """A look at facts alone must not depend on a clock that nobody handed in."""
    facts = replace(a_window(enforce=True), now=None)
    assert assess(facts).findings == ()


def test_a_target_is_not_needed_to_say_what_is_wrong_around_it():
    up_to_date = replace(around(nodes=DOWN), offers=())
    assert not assess(up_to_date).is_ready


@pytest.mark.parametrize(
    ("seconds", "health", "is_ready"),
    [(1, Health.CURRENT, True), (0, Health.CURRENT, False), (-1, Health.CURRENT, False), (1, Health.FAILED, False)],
)
def test_an_api_that_came_after_the_last_scan_is_not_missed(seconds: int, health: Health, is_ready: bool):
    """A task ends when its component is well, API and all; the scan before it saw an API that did not answer yet."""
    api = DeadApi("v1beta1.metrics.k8s.io", "APIService v1beta1.metrics.k8s.io is away", RELEASE)
    seen = found(health=health)
    component = replace(seen.component, observed_at=NOW + timedelta(seconds=seconds))  # type: ignore[type-var]
    facts = replace(
        seen,
        component=component,
        cluster=replace(seen.cluster, scanned_at=NOW),
        surroundings=Surroundings(dead_apis=(api,)),
    )
    assert ("OwnApiUnavailable" not in [each.id for each in assess(facts).findings]) is is_ready
