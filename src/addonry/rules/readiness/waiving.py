"""Waivers: a finding that somebody has taken upon themselves is told as before, and forbids nothing.

A waiver counts for one check, one component (or all), until a day. What cannot be helped by taking it upon oneself is
not waived. Each id is named in WAIVABLE or in NEVER; a test holds them to the checks.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from addonry.model.readiness import Blocker, Facts, Severity, Waiver

WAIVABLE: Final = frozenset(
    {
        "ApiMissing",
        "ApiServiceUnavailable",
        "Autoscaled",
        "BreakingChanges",
        "BudgetExhausted",
        "CatalogUnavailable",
        "CertificateExpires",
        "Churn",
        "CredentialsExpire",
        "EndOfLife",
        "FieldsOfOthers",
        "Interruption",
        "KnownIssue",
        "KnownRisk",
        "KubeletSkew",
        "KubernetesVersion",
        "LoadBalancerPending",
        "ManagedElsewhere",
        "NextKubernetes",
        "NoCharts",
        "NoPodSlots",
        "NoReadinessProbe",
        "NoRollback",
        "NoRoomToSurge",
        "NodesNotReady",
        "NotChecked",
        "NotInCatalog",
        "NotSpread",
        "ObsoleteSetting",
        "OutsideWindow",
        "OwnApiUnavailable",
        "PlainWorkload",
        "ReleaseApiDeprecated",
        "ReleaseApiRemoved",
        "RequiredBy",
        "Requires",
        "SecurityFixes",
        "TwoOwners",
        "Untested",
        "ValuesInvalid",
        "VersionUnknown",
        "VersionsSkipped",
        "WebhookMayRefuse",
        "WebhookUnreachable",
        "WindowClosed",
        "WorkloadUnhealthy",
    }
)
"""Findings that somebody may take upon themselves."""

NEVER: Final = frozenset(
    {
        "AlreadyInstalled",
        "ClusterUnreachable",
        "NoNodeReady",
        "NoVersion",
        "NotARelease",
        "NotInstalled",
        "NotNewer",
        "NotScanned",
        "ReleaseInConfigMaps",
        "ReleaseStuck",
        "Required",
        "RightsMissing",
        "TaskRunning",
        "UnsafeCrdChange",  # the change itself is told that it may
        "VersionChanged",
        "WaiverExpired",
        "RemovedApiRequested",  # of the cluster: nothing is weighed by it
    }
)
"""Findings of what cannot be done, or must not be done twice at once; nobody's word changes that."""


def with_waivers(findings: Iterable[Blocker], facts: Facts) -> tuple[Blocker, ...]:
    """The findings, each with the waiver that counts for it; and at the end what is to be said of waivers."""
    told = tuple(_waived(each, facts) for each in findings)
    expired = _expired(told, facts)
    return (*told, expired) if expired else told


def _waived(finding: Blocker, facts: Facts) -> Blocker:
    waiver = _waiver_of(finding, facts, expired=False) if finding.id not in NEVER else None
    return replace(finding, waived=waiver) if waiver else finding


def _waiver_of(finding: Blocker, facts: Facts, *, expired: bool) -> Waiver | None:
    now = facts.now
    meant = (
        each
        for each in facts.waivers
        if each.check == finding.id
        and each.component in {None, facts.name}
        and now is not None
        and (each.until <= now) is expired
    )
    return max(meant, key=lambda each: each.until, default=None)


def _expired(findings: tuple[Blocker, ...], facts: Facts) -> Blocker | None:
    """A waiver that has ended although what it was about has not."""
    found = [
        waiver
        for each in findings
        if each.waived is None and (waiver := _waiver_of(each, facts, expired=True)) is not None
    ]
    if not found:
        return None
    told = ", ".join(f"{each.check} (by {each.by}, until {each.until:%Y-%m-%d})" for each in found)
    return Blocker(
        "WaiverExpired",
        f"What was waived stands in the way again: {told}.",
        f"Mend the cause, or waive it anew: addonry waivers add {facts.cluster.name} {found[0].check}",
        Severity.WARNS,
        evidence=tuple(f"{each.check}: {each.reason}" for each in found),
    )
