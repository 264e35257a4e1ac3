"""``addonry`` as a release before the last step of an upgrade was invented: its workers do not know how to verify.

Everything else is the real thing. A task whose plan a newer release has made meets it in a rolling release.
"""

from addonry.lifecycle import steps
from addonry.model.tasks import StepName

UNKNOWN = StepName.VERIFY

if __name__ == "__main__":
    from addonry.cli import main

    steps.RUN = {name: run for name, run in steps.RUN.items() if name != UNKNOWN}
    main()
