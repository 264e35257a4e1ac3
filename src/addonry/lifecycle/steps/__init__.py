"""The steps of a task: short, each bears repeating, each reports an outcome.

A step is ``async def run(task, world) -> Outcome`` in a module named after it. It raises the errors of
``model.errors``; the engine turns ClusterUnreachable into "again" and the others into "broken". To add one: a module
here, a name in ``model.tasks.StepName``, its place in ``rules.planning``.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

from addonry.engine import Steps
from addonry.lifecycle.steps import (
    apply,
    canary,
    crds,
    dry_run,
    fetch,
    hold,
    preflight,
    release,
    render,
    rollback,
    rollout,
    snapshot,
    uninstall,
    verify,
    verify_gone,
    verify_rollback,
)
from addonry.lifecycle.world import World
from addonry.model.tasks import Outcome, StepName, Task


class Run(Protocol):
    """What each step's module offers."""

    async def __call__(self, task: Task, world: World) -> Outcome:
        """Carry out the present step of the task's present change."""
        ...


RUN: Final[Mapping[StepName, Run]] = {
    StepName.PREFLIGHT: preflight.run,
    StepName.FETCH: fetch.run,
    StepName.RENDER: render.run,
    StepName.DRY_RUN: dry_run.run,
    StepName.SNAPSHOT: snapshot.run,
    StepName.CRDS: crds.run,
    StepName.APPLY: apply.run,
    StepName.CANARY: canary.run,
    StepName.HOLD: hold.run,
    StepName.RELEASE: release.run,
    StepName.ROLLOUT: rollout.run,
    StepName.VERIFY: verify.run,
    StepName.UNINSTALL: uninstall.run,
    StepName.VERIFY_GONE: verify_gone.run,
    StepName.ROLLBACK: rollback.run,
    StepName.VERIFY_ROLLBACK: verify_rollback.run,
}
"""What carries out each step."""


def steps_in(world: World) -> Steps:
    """The steps as the engine takes them."""
    return {name: partial(run, world=world) for name, run in RUN.items()}
