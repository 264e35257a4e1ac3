"""Which steps a change takes, and in which order; and the way back.

Asked once, when a task is made: the plan is then fixed in the task's row, so that a newer Addonry finishes a
task that an older one began. To add a step: a name in ``model.tasks.StepName``, its place here, its function
in ``lifecycle/steps``.
"""

from typing import Final

from addonry.model.tasks import StepName

FORWARD: Final = (
    StepName.PREFLIGHT,
    StepName.FETCH,
    StepName.RENDER,
    StepName.DRY_RUN,
    StepName.SNAPSHOT,
    StepName.CRDS,
    StepName.APPLY,
    StepName.ROLLOUT,
    StepName.VERIFY,
)
"""The steps of an install or upgrade (design, section 5)."""

BACK: Final = (StepName.ROLLBACK, StepName.VERIFY_ROLLBACK)
"""The way back, entered when a step that may have changed the component breaks."""

TOUCHING: Final = frozenset({StepName.APPLY, StepName.ROLLOUT, StepName.VERIFY})
"""Steps at whose failure the component may already run the new version: they lead to the way back."""

WEIGHT: Final = {
    StepName.PREFLIGHT: 2,
    StepName.FETCH: 4,
    StepName.RENDER: 4,
    StepName.DRY_RUN: 4,
    StepName.SNAPSHOT: 2,
    StepName.CRDS: 4,
    StepName.APPLY: 15,
    StepName.ROLLOUT: 55,
    StepName.VERIFY: 10,
    StepName.ROLLBACK: 20,
    StepName.VERIFY_ROLLBACK: 80,
}
"""The share of a change's time that a step usually takes; from runs on simulated clusters, for the percentage only."""


def percent_done(plan: tuple[StepName, ...], position: int, within: int = 0) -> int:
    """How much of *plan* is done, 0 to 100, when *within* percent of the step at *position* are."""
    whole = sum(WEIGHT[step] for step in plan)
    done = sum(WEIGHT[step] for step in plan[:position])
    if position < len(plan):
        done += WEIGHT[plan[position]] * max(0, min(within, 100)) // 100
    return done * 100 // whole if whole else 100
