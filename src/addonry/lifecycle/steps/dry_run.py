"""Let the API server judge the target's objects without storing them, and find out what a person should know beforehand.

Fields that others have set are named with their managers, and what becomes of them: that depends on the change's
``edits``. CRDs that will change are named too, because a rollback does not take them back.
"""

from addonry.kube import DryRun
from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Broken, Change, Done, Edits, Outcome, Task, Trouble

TOLD_AT_MOST = 20


async def run(task: Task, world: World) -> Outcome:
    """Done when the server would accept every object; Broken for others' fields when there must be none."""
    change = task.change
    live = await cluster_of(task, world)
    target = await target_of(task, world)
    judged = await live.dry_run(change.placement, target)
    if judged.conflicts and change.edits is Edits.NONE:
        return Broken(_edited(change, judged))
    remarks = [*_edits(change, judged)]
    if crds := await live.changing_crds(change.placement, target):
        remarks.append(f"CRDs will be created or changed and are not taken back by a rollback: {', '.join(crds)}.")
    return Done(f"{judged.objects} objects accepted", remarks=tuple(remarks))


def _edits(change: Change, judged: DryRun) -> list[str]:
    words = "is kept as {manager} has set it" if change.edits is Edits.PRESERVE else "is taken over from {manager}"
    told = [f"{field} {words.format(manager=manager)}." for field, manager in judged.conflicts[:TOLD_AT_MOST]]
    if more := len(judged.conflicts) - TOLD_AT_MOST:
        told += [f"So are {more} more fields."] if more > 0 else []
    return told


def _edited(change: Change, judged: DryRun) -> Trouble:
    named = ", ".join(f"{field} ({manager})" for field, manager in judged.conflicts[:TOLD_AT_MOST])
    return Trouble(
        "FieldsOfOthers",
        f"Fields of {change.component} were set by others: {named}.",
        "Ask again with edits `preserve` to keep them, or `overwrite` to take them.",
    )
