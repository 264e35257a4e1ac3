"""``python -m tests.golden``: write the texts anew; read the difference before it is committed."""

import tempfile
from pathlib import Path

from addonry.simulator.populations import names
from tests.golden.scans import HERE, populations, scan

if __name__ == "__main__":
    with populations() as simulator, tempfile.TemporaryDirectory() as folder:
        for name in names():
            (HERE / f"{name}.txt").write_text(scan(simulator, name, Path(folder)))
