"""How a readiness finding is told: the same in the service's answers and in a scan's."""

from typing import TypedDict

from addonry.gateway import vocabulary
from addonry.model.readiness import Blocker, Waiver


class WaivedShape(TypedDict):
    """Who has taken a finding upon themselves."""

    reason: str
    by: str
    until: str


class FindingShape(TypedDict):
    """One finding of a readiness check."""

    id: str
    severity: str
    message: str
    remedy: str
    evidence: list[str]
    waived: WaivedShape | None


def finding_shape(finding: Blocker) -> FindingShape:
    """One finding, all of it."""
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "message": finding.message,
        "remedy": finding.remedy,
        "evidence": list(finding.evidence),
        "waived": _waived(finding.waived) if finding.waived else None,
    }


def _waived(waiver: Waiver) -> WaivedShape:
    return {"reason": waiver.reason, "by": waiver.by, "until": vocabulary.moment(waiver.until)}
