"""How a readiness finding is told: the same in the service's answers and in a scan's."""

from typing import TypedDict

from addonry.model.readiness import Blocker


class FindingShape(TypedDict):
    """One finding of a readiness check."""

    id: str
    severity: str
    message: str
    remedy: str
    evidence: list[str]


def finding_shape(finding: Blocker) -> FindingShape:
    """One finding, all of it."""
    return {
        "id": finding.id,
        "severity": finding.severity.value,
        "message": finding.message,
        "remedy": finding.remedy,
        "evidence": list(finding.evidence),
    }
