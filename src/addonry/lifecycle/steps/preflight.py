"""Ask all readiness checks again, of the cluster itself: much can change between an answer and the upgrade."""

from typing import Final

from addonry.lifecycle.facts import gather_live
from addonry.lifecycle.world import World
from addonry.model.tasks import Broken, Done, Outcome, Task, Trouble
from addonry.rules.readiness import assess_change
from addonry.rules.readiness.publishers import PUBLISHED
from addonry.rules.versions import same_version

MOST_QUOTED: Final = 5
"""Of what publishers say, the words that a plan has room for."""


async def run(task: Task, world: World) -> Outcome:
    """Done when nothing blocks the change and the component still runs the version the task was made for."""
    change = task.change
    facts = await gather_live(world, task)
    readiness = assess_change(facts, change.to_version, change.kind)
    if readiness.blockers:
        first = readiness.blockers[0]
        words = " ".join(blocker.message for blocker in readiness.blockers)
        return Broken(Trouble(first.id, words, first.remedy))
    if facts.component and not same_version(facts.component.version, change.from_version):
        return Broken(
            Trouble(
                "VersionChanged",
                f"{change.component} runs {facts.component.version} now; it ran {change.from_version} when the task began.",
                "Somebody else changed it; look at it and ask again.",
            )
        )
    told = [each for each in readiness.findings if each.id in PUBLISHED]
    remarks = tuple(" ".join([each.message, *each.evidence[:MOST_QUOTED]]) for each in told)
    return Done(f"Kubernetes {facts.kubernetes}, nothing in the way", remarks=remarks)
