"""Runs the scenarios on a real cluster and on a simulated one, and prints where the two differ.

    python -m tests.conformance --kubeconfig ~/.kube/config [NAME...]

Everything happens in namespaces named addonry-SCENARIO-..., which are deleted afterwards, as are the few objects without
a namespace. The exit status is 1 when there is a difference that `known/differences.yaml` does not list. With
`--kubeconfig simulated` the other cluster is a second simulated one, `--unlike` makes it differ on purpose.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from addonry.simulator import Simulator
from tests.conformance import compare
from tests.conformance.place import REAL, Place
from tests.conformance.runner import Outcome, run
from tests.conformance.scenario import Scenario, load_all

SPEED = 20.0


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    chosen = [s for s in load_all() if not options.names or s.name in options.names]
    if missing := set(options.names) - {s.name for s in chosen}:
        sys.stderr.write(f"There is no scenario {', '.join(sorted(missing))}; each is a file in tests/conformance.\n")
        return 2
    with tempfile.TemporaryDirectory() as directory, simulated(Path(directory), "ours") as place:
        ours = _run_all(chosen, place, compare.SIMULATED)
    with tempfile.TemporaryDirectory() as directory, _other(options, Path(directory)) as place:
        theirs = _run_all(chosen, place, compare.REAL)
    found = list(compare.differences(ours, theirs, compare.known()))
    unlisted = [each for each in found if not each.reason]
    if found:
        sys.stdout.write(f"{compare.table(found)}\n")
    if unlisted:
        sys.stdout.write(f"\nNot listed in known/differences.yaml:\n{yaml.safe_dump(compare.as_data(found))}")
    summary = (
        f"{len(chosen)} scenarios, {len(ours)} facts, {len(found)} differences, {len(unlisted)} of them not listed"
    )
    sys.stdout.write(f"{summary}\n")
    return 1 if unlisted else 0


@contextmanager
def simulated(home: Path, name: str, *, nodes: int = 3) -> Iterator[Place]:
    """A simulated cluster as tests and demo have them, a copy of a snapshot."""
    with Simulator(clusters=1, speed=SPEED, nodes=nodes) as simulator:
        cluster = simulator.add(name, snapshot=simulator.snapshot("sim-1"))
        with Place(cluster.kubeconfig(), home) as place:
            yield place


@contextmanager
def _other(options: argparse.Namespace, home: Path) -> Iterator[Place]:
    if options.kubeconfig == "simulated":
        with simulated(home, "theirs", nodes=0 if options.unlike else 3) as place:
            place.patience = 0.5 if options.unlike else place.patience
            yield place
        return
    kubeconfig = Path(options.kubeconfig).expanduser().read_text()
    with Place(kubeconfig, home, images=REAL, patience=options.patience) as place:
        yield place


def _run_all(chosen: list[Scenario], place: Place, where: str) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for scenario in chosen:
        told = run(scenario, place)
        sys.stderr.write(f"{where}: {scenario.name}: {sum(o.holds for o in told)} of {len(told)} facts hold\n")
        outcomes += told
    return outcomes


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which scenarios; all by default")
    parser.add_argument("--kubeconfig", required=True, help="of the cluster to compare with, or the word simulated")
    parser.add_argument(
        "--patience", type=float, default=120.0, help="seconds that a fact may take to become true there"
    )
    parser.add_argument("--unlike", action="store_true", help="with simulated: a cluster without nodes, which differs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
