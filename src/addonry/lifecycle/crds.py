"""What a change does to CRDs, judged before anything is written; asked by the steps and by a plan."""

from collections.abc import Sequence
from typing import Final

from addonry.kube import LiveCluster, Target
from addonry.model.components import Placement
from addonry.model.tasks import Trouble
from addonry.rules.crd_changes import CrdVerdict, judge

TOLD_AT_MOST: Final = 5


async def judge_crds(
    live: LiveCluster, placement: Placement, target: Target, *, of_templates: bool
) -> tuple[CrdVerdict, ...]:
    """The CRDs that would be created, changed or deleted. See ``LiveCluster.crd_changes`` for *of_templates*."""
    found = await live.crd_changes(placement, target, of_templates=of_templates)
    return tuple(judge(each.name, each.before, each.after) for each in found)


def unsafe_trouble(verdicts: Sequence[CrdVerdict]) -> Trouble | None:
    """Why the change must not go on, unless somebody has said that it may all the same."""
    found = [
        f"{verdict.name} {f'{each.path} ' if each.path else ''}{each.message}"
        for verdict in verdicts
        for each in verdict.unsafe
    ]
    if not found:
        return None
    more = f"; and {len(found) - TOLD_AT_MOST} more" if len(found) > TOLD_AT_MOST else ""
    return Trouble(
        "UnsafeCrdChange",
        f"Objects that are stored may break, or those who write them: {'; '.join(found[:TOLD_AT_MOST])}{more}.",
        "See that no object is affected and ask again with --allow-unsafe-crds (`unsafe_crds` in the API); a rollback "
        "does not take CRDs back.",
    )
