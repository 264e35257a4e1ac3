"""``addonry`` whose steps and writes are noted in a journal, for tests that ask which process did what, and when.

``ADDONRY_TEST_JOURNAL`` names the file: one line when a step is begun, and one before each write to a cluster (for Helm:
before each operation), in the order of the moments, because each line is one append. Everything else is the real thing.
"""

import contextvars
import os
from dataclasses import replace
from pathlib import Path

from addonry import app
from addonry.lifecycle import steps

AT_WORK: contextvars.ContextVar[str] = contextvars.ContextVar("at work", default="")


def note_everything(journal: Path) -> None:
    """Wrap every step, and what is asked before a write, so that they tell of themselves."""
    file = journal.open("ab", buffering=0)

    def note(words: str) -> None:
        file.write(f"{os.getpid()} {words}\n".encode())

    def telling(name, run):
        async def run_and_tell(task, **named):
            what = f"{task.id} {task.change.component} {name}"
            AT_WORK.set(what)
            note(f"{what} begin")
            return await run(task, **named)

        return run_and_tell

    steps.RUN = {name: telling(name, run) for name, run in steps.RUN.items()}
    make = app.kube_settings

    def settings(*positional, **named):
        made = make(*positional, **named)

        def before_write() -> None:
            # First what the product asks: a process that may not write ends there, and has written nothing.
            made.before_write()
            if AT_WORK.get():
                note(f"{AT_WORK.get()} write")

        return replace(made, before_write=before_write)

    app.kube_settings = settings


if __name__ == "__main__":
    from addonry.cli import main

    note_everything(Path(os.environ["ADDONRY_TEST_JOURNAL"]))
    main()
