"""``addonry serve`` whose process kills itself with SIGKILL at one moment of one step, once.

The moment is named by ``DIE_AT`` (``apply before``, ``rollout after``); ``DIE_MARK`` is a file that says it has
happened, so that the next process lives on. Only the table of steps is wrapped; everything else is the real thing.
"""

import os
import signal
from pathlib import Path

from addonry.lifecycle import steps
from addonry.model.tasks import Again


def arm(step_name: str, moment: str, mark: Path) -> None:
    """Wrap the step so that it takes the process down at *moment*, unless *mark* says it already did."""
    run = steps.RUN[step_name]

    def die() -> None:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def run_and_die(task, **named):
        if moment == "before":
            die()
        outcome = await run(task, **named)
        # The effect has happened and is not recorded yet: the worst moment there is.
        if moment == "after" and not isinstance(outcome, Again):
            die()
        return outcome

    steps.RUN = {**steps.RUN, step_name: run_and_die}


if __name__ == "__main__":
    from addonry.cli import main

    name, _, when = os.environ["DIE_AT"].partition(" ")
    arm(name, when, Path(os.environ["DIE_MARK"]))
    main()
