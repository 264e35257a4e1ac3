"""Let the API server judge the target's objects without storing them, and find out what a person should know beforehand.

Fields that others have set are named with their managers, and what becomes of them: that depends on the change's
``edits``. CRDs that will change are named too, because a rollback does not take them back; where a change of them is not
safe, somebody has to have said that it is wanted.
"""

from dataclasses import dataclass

from addonry.kube import DryRun
from addonry.lifecycle.crds import judge_crds, unsafe_trouble
from addonry.lifecycle.steps.common import cluster_of, target_of
from addonry.lifecycle.world import World
from addonry.model.tasks import Broken, Change, Done, Edits, Outcome, Task, Trouble
from addonry.rules.crd_changes import CrdVerdict

TOLD_AT_MOST = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """What the cluster says to a change."""

    judged: DryRun
    crds: tuple[CrdVerdict, ...]


async def run(task: Task, world: World) -> Outcome:
    """Done when the server would accept every object; Broken for others' fields when there must be none, and for
    changes of CRDs that are not safe.
    """
    return weigh(task.change, await look(task, world))


async def look(task: Task, world: World) -> Seen:
    """Ask the cluster. Raises what *run* raises."""
    placement = task.change.placement
    live = await cluster_of(task, world)
    target = await target_of(task, world)
    crds = await judge_crds(live, placement, target, of_templates=True)
    return Seen(await live.dry_run(placement, target), crds)


def weigh(change: Change, seen: Seen) -> Outcome:
    """What follows from it for the change."""
    unsafe = unsafe_trouble(seen.crds)
    if unsafe and not change.unsafe_crds:
        return Broken(unsafe)
    if seen.judged.conflicts and change.edits is Edits.NONE:
        return Broken(_edited(change, seen.judged))
    remarks = [*_edits(change, seen.judged)]
    if crds := ", ".join(each.name for each in seen.crds):
        remarks.append(f"CRDs will be created or changed and are not taken back by a rollback: {crds}.")
    if unsafe:
        remarks.append(unsafe.message)
    return Done(f"{seen.judged.objects} objects accepted", remarks=tuple(remarks))


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
