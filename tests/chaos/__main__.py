"""``make chaos``: storms by given seeds or by chance, one report each; ends with 1 when any promise was broken."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.storm import Storm
from tests.support.postgres import postgres_server


def main() -> int:
    """Blow, and say what came of it."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long each storm blows")
    parser.add_argument("--seed", type=int, action="append", help="a storm with this seed; may be given several times")
    parser.add_argument("--storms", type=int, default=3, help="how many, with seeds by chance")
    given = parser.parse_args()
    seeds = given.seed or [random.Random().randrange(1_000_000) for _ in range(given.storms)]
    broken = 0
    with postgres_server() as postgres:
        for seed in seeds:
            with tempfile.TemporaryDirectory(prefix="addonry-chaos-") as folder:
                report = Storm(seed, Path(folder), postgres).run(given.minutes * 60)
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
            broken += len(report.violations)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
