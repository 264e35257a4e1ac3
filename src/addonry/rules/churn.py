"""What is changed so often that nobody can be behind it but two who fight, or one who fights with himself."""

from datetime import datetime
from typing import Final

from addonry.model.owners import Turnover
from addonry.rules.owners import Marks

MANY: Final = 100
"""Changes that are not worth a thought, however fast they came."""
_A_DAY: Final = 10.0


def turnover_of(marks: Marks, generation: int, created_at: datetime | None) -> Turnover | None:
    """How often a workload was changed, where that is often: the rollouts of a Deployment, else the changes to its
    specification.
    """
    # Autoscalers change the generation of a Deployment, and not its revision.
    revision = marks.annotations.get("deployment.kubernetes.io/revision", "")
    if revision.isdecimal():
        return often(f"rollouts of {marks.title}", int(revision), created_at)
    return often(f"changes of {marks.title}", generation, created_at)


def often(what: str, count: int, since: datetime | None) -> Turnover | None:
    """A turnover worth keeping: more than a hundred changes. Whether it is too much, the age says (``is_churn``)."""
    return Turnover(what, count, since) if since is not None and count > MANY else None


def is_churn(turnover: Turnover, now: datetime) -> bool:
    """Whether something changes so often that no person can be behind it: over a hundred times, ten a day or more.

    The cases to catch are far beyond: a release at revision 352,140 (Azure/AKS#5822), one at 9,792
    (kubermatic/kubermatic#13915).
    """
    return turnover.count > MANY and per_day(turnover, now) >= _A_DAY


def per_day(turnover: Turnover, now: datetime) -> float:
    """Changes a day, on average since it came into being; its first day counts as a whole one."""
    days = max((now - turnover.since).total_seconds() / 86_400, 1.0)
    return turnover.count / days
