"""Which steps a change takes, and in which order; and the way back.

Asked once, when a task is made: the plan is then fixed in the task's row, so that a newer Addonry finishes a
task that an older one began. To add a step: a name in ``model.tasks.StepName``, its place here, its function
in ``lifecycle/steps``.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from addonry.model.ids import ComponentName
from addonry.model.tasks import Change, Pace, StepName, TaskKind, Wish

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
"""The steps of an install, upgrade or configure (design, section 5)."""

CANARY: Final = (
    *FORWARD[: FORWARD.index(StepName.ROLLOUT)],
    StepName.CANARY,
    StepName.RELEASE,
    *FORWARD[FORWARD.index(StepName.ROLLOUT) :],
)
"""The same with a stop after the first pods: the task is paused once *canary* is done."""

REMOVAL: Final = (StepName.PREFLIGHT, StepName.SNAPSHOT, StepName.UNINSTALL, StepName.VERIFY_GONE)
"""The steps of an uninstall."""

BACK: Final = (StepName.ROLLBACK, StepName.RELEASE, StepName.VERIFY_ROLLBACK)
"""The way back, entered when a step that may have changed the component breaks, or a cancel comes that late.

What was held is let go only after the rollback: before it, more pods would take the version that is being left.
"""

HOLDING: Final = (StepName.HOLD, StepName.RELEASE)
"""Put before a step whose pods move, when a pause is granted there: the pause lies between the two."""

TOUCHING: Final = frozenset(
    {StepName.APPLY, StepName.CANARY, StepName.HOLD, StepName.RELEASE, StepName.ROLLOUT, StepName.VERIFY}
)
"""Steps at whose failure the component may already run the new version: they lead to the way back."""

MOVING: Final = frozenset({StepName.CANARY, StepName.ROLLOUT})
"""Steps during which the cluster goes on by itself: a pause has to hold it."""

NO_RETURN: Final = frozenset({StepName.UNINSTALL, StepName.VERIFY_GONE})
"""Steps that cannot be taken back, so that a cancel is refused from there on."""

_LOOKING: Final = frozenset(
    {
        StepName.PREFLIGHT,
        StepName.FETCH,
        StepName.RENDER,
        StepName.DRY_RUN,
        StepName.SNAPSHOT,
        StepName.CANARY,
        StepName.ROLLOUT,
        StepName.VERIFY,
    }
)
"""Steps that may be stopped in the middle: they only look and wait."""

_UNDONE: Final = frozenset({StepName.CRDS, StepName.APPLY, StepName.HOLD, StepName.RELEASE})
"""Steps that write, and are followed by the way back if a cancel stops them in the middle."""

WEIGHT: Final = {
    StepName.PREFLIGHT: 2,
    StepName.FETCH: 4,
    StepName.RENDER: 4,
    StepName.DRY_RUN: 4,
    StepName.SNAPSHOT: 2,
    StepName.CRDS: 4,
    StepName.APPLY: 15,
    StepName.CANARY: 20,
    StepName.HOLD: 1,
    StepName.RELEASE: 1,
    StepName.ROLLOUT: 55,
    StepName.VERIFY: 10,
    StepName.UNINSTALL: 60,
    StepName.VERIFY_GONE: 32,
    StepName.ROLLBACK: 20,
    StepName.VERIFY_ROLLBACK: 80,
}
"""The share of a change's time that a step usually takes; from runs on simulated clusters, for the percentage only."""


def plan_for(kind: TaskKind, pace: Pace) -> tuple[StepName, ...]:
    """The steps of a new change."""
    if kind is TaskKind.UNINSTALL:
        return REMOVAL
    return CANARY if pace is Pace.CANARY else FORWARD


def is_going_back(change: Change) -> bool:
    """Whether the change is on, or at the end of, the way back."""
    return StepName.ROLLBACK in change.plan[: change.position + 1]


def is_last_way(change: Change) -> bool:
    """Whether there is no other way left than to go on: the way back, and past the point of no return."""
    return is_going_back(change) or change.step in NO_RETURN


def has_touched(change: Change) -> bool:
    """Whether the component may already be another than before; true from *apply* on, begun or not."""
    return change.step in TOUCHING


def stops(step: str | None, wish: Wish) -> bool:
    """Whether *wish* ends a call of *step* in the middle, instead of waiting for its end."""
    return step in _LOOKING or (wish is Wish.CANCEL and step in _UNDONE)


def in_order(
    changes: Sequence[Change], requires: Mapping[ComponentName, Sequence[ComponentName]]
) -> tuple[Change, ...]:
    """The changes so that each comes after those it *requires*; where nothing is required, in the order asked for.

    Uninstalls come in the reverse order. Requirements outside of *changes* do not matter here, and where components
    require each other in a circle, the first asked for comes first.
    """
    by_name = {change.component: change for change in changes}
    removing = bool(changes) and all(change.kind is TaskKind.UNINSTALL for change in changes)
    names = tuple(by_name)
    found = ordered(names[::-1] if removing else names, requires)
    return tuple(by_name[name] for name in (found[::-1] if removing else found))


def ordered(
    names: Sequence[ComponentName], requires: Mapping[ComponentName, Sequence[ComponentName]]
) -> tuple[ComponentName, ...]:
    """The names so that each comes after those it *requires*, and else in the order given; see ``in_order``."""
    found: dict[ComponentName, None] = {}
    entered: set[ComponentName] = set()

    def enter(name: ComponentName) -> None:
        if name in entered or name not in names:
            return
        entered.add(name)
        for other in requires.get(name, ()):
            enter(other)
        found[name] = None

    for name in names:
        enter(name)
    return tuple(found)


def percent_done(plan: tuple[str, ...], position: int, within: int = 0) -> int:
    """How much of *plan* is done, 0 to 100, when *within* percent of the step at *position* are."""
    whole = sum(_weight(step) for step in plan)
    done = sum(_weight(step) for step in plan[:position])
    if position < len(plan):
        done += _weight(plan[position]) * max(0, min(within, 100)) // 100
    return done * 100 // whole if whole else 100


def _weight(step: str) -> int:
    # A step that only a newer Addonry knows counts as a small one.
    return next((weight for name, weight in WEIGHT.items() if name == step), 1)
