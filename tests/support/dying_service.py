"""``addonry serve`` whose process kills itself with SIGKILL before and after the work of every step it is told of.

``DIE_AT`` names a file with one moment a line (``apply before``). A process that reaches a moment that is still listed
strikes it out and dies; the next one gets one moment further. Only the table of steps is wrapped; everything else is
the real thing.
"""

import os
import signal
from pathlib import Path

from addonry.lifecycle import steps
from addonry.model.tasks import Again


def arm(moments: Path) -> None:
    """Wrap every step so that it takes the process down at each moment that *moments* still lists."""

    def die_at(moment: str) -> None:
        left = moments.read_text().splitlines()
        if moment in left:
            left.remove(moment)
            moments.write_text("\n".join(left))
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(name, run):
        async def run_and_die(task, **named):
            die_at(f"{name} before")
            outcome = await run(task, **named)
            # The effect has happened and is not recorded yet: the worst moment there is.
            if not isinstance(outcome, Again):
                die_at(f"{name} after")
            return outcome

        return run_and_die

    steps.RUN = {name: wrapped(name, run) for name, run in steps.RUN.items()}


if __name__ == "__main__":
    from addonry.cli import main

    arm(Path(os.environ["DIE_AT"]))
    main()
