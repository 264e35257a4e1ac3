"""How long a change will take still, judged by what its steps took in the past.

An estimate for people, never a deadline: what has not been seen before counts as nothing known.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from addonry.model.tasks import Change, StepName

ALMOST: Final = 1.0
"""What is left of a step that has taken longer than it ever did, in seconds."""

_UNKNOWN_MATTERS: Final = frozenset({StepName.APPLY, StepName.ROLLOUT, StepName.ROLLBACK, StepName.UNINSTALL})
"""Without one of these known there is no estimate; the other steps take next to nothing."""


def seconds_left(change: Change, typical: Mapping[str, float], in_step: float) -> float | None:
    """The seconds until the plan of *change* is at its end; None when too little is known.

    *typical* are the seconds each step took in the past, *in_step* those that the present one has taken.
    """
    ahead = change.plan[change.position :]
    if not ahead:
        return 0.0
    if any(step in _UNKNOWN_MATTERS and step not in typical for step in ahead):
        return None
    first = typical.get(ahead[0], 0.0) - in_step
    return max(first, ALMOST) + sum(typical.get(step, 0.0) for step in ahead[1:])


def seconds_for(plan: Sequence[str], typical: Mapping[str, float]) -> float | None:
    """The seconds that all of *plan* takes; None when too little is known."""
    if any(step in _UNKNOWN_MATTERS and step not in typical for step in plan):
        return None
    return sum(typical.get(step, 0.0) for step in plan)


def together(each: Iterable[float | None]) -> float | None:
    """The sum, if every part of it is known."""
    total = 0.0
    for seconds in each:
        if seconds is None:
            return None
        total += seconds
    return total
