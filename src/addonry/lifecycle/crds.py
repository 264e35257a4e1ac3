"""What a change does to CRDs, judged before anything is written; asked by the steps and by a plan."""

from collections.abc import Sequence

from addonry.kube import LiveCluster, Target
from addonry.model.components import Placement
from addonry.model.tasks import Trouble
from addonry.rules.crd_changes import CrdVerdict, judge
from addonry.rules.readiness.apis import unsafe_crd_change


async def judge_crds(
    live: LiveCluster, placement: Placement, target: Target, *, of_templates: bool
) -> tuple[CrdVerdict, ...]:
    """The CRDs that would be created, changed or deleted. See ``LiveCluster.crd_changes`` for *of_templates*."""
    found = await live.crd_changes(placement, target, of_templates=of_templates)
    return tuple(judge(each.name, each.before, each.after) for each in found)


def unsafe_changes(verdicts: Sequence[CrdVerdict]) -> tuple[str, ...]:
    """What is unsafe about them, in words."""
    return tuple(
        f"{verdict.name} {f'{each.path} ' if each.path else ''}{each.message}"
        for verdict in verdicts
        for each in verdict.unsafe
    )


def unsafe_trouble(verdicts: Sequence[CrdVerdict]) -> Trouble | None:
    """Why the change must not go on, unless somebody has said that it may all the same."""
    found = unsafe_crd_change(unsafe_changes(verdicts))
    return Trouble(found.id, found.message, found.remedy) if found else None
