"""The minors of Kubernetes: when they came and when their support ends.

Dates: https://kubernetes.io/releases/patch-releases/ (Support period, End Of Life); empty where that page had none when this
was written.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Release:
    """One minor."""

    minor: str
    released: str = ""
    """``YYYY-MM-DD``."""
    ends: str = ""


RELEASES: Final = (
    Release("1.37"),
    Release("1.36"),
    Release("1.35", "2025-12-17"),
    Release("1.34", "2025-08-27", "2026-10-27"),
    Release("1.33", "2025-04-23", "2026-06-28"),
    Release("1.32", "2024-12-11", "2026-02-28"),
    Release("1.31", "2024-08-13", "2025-11-11"),
    Release("1.30", "2024-04-17", "2025-07-15"),
    Release("1.29", "2023-12-13", "2025-02-28"),
    Release("1.28", "2023-08-15", "2024-10-22"),
)
"""Newest first."""


def upgradable_from(minor: str) -> tuple[str, ...]:
    """What a cluster of *minor* can be upgraded to: the next minor, for none may be skipped
    (https://kubernetes.io/releases/version-skew-policy/, "Supported component upgrade order").
    """
    minors = [each.minor for each in RELEASES]
    at = minors.index(minor) if minor in minors else 0
    return (minors[at - 1],) if at > 0 else ()
