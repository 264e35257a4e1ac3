"""``addonry`` whose steps are noted in a journal, for tests that ask which process did what, and when.

``ADDONRY_TEST_JOURNAL`` names the file: one line at the begin and the end of each call of a step, in the order of the
moments, because each line is one append. Everything else is the real thing.
"""

import os
from pathlib import Path

from addonry.lifecycle import steps


def note_steps(journal: Path) -> None:
    """Wrap every step so that it tells of itself."""
    file = journal.open("ab", buffering=0)

    def wrapped(name, run):
        async def run_and_note(task, **named):
            def note(what: str) -> None:
                file.write(f"{os.getpid()} {task.id} {task.change.component} {name} {what}\n".encode())

            note("begin")
            try:
                return await run(task, **named)
            finally:
                # Also of a step that was stopped by a wish; a process that dies says nothing.
                note("end")

        return run_and_note

    steps.RUN = {name: wrapped(name, run) for name, run in steps.RUN.items()}


if __name__ == "__main__":
    from addonry.cli import main

    note_steps(Path(os.environ["ADDONRY_TEST_JOURNAL"]))
    main()
