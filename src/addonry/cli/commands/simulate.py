"""``addonry simulate``: simulated clusters on loopback."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from addonry.cli.errors import Failed
from addonry.cli.help import examples
from addonry.cli.output import Format, output_option

if TYPE_CHECKING:
    from addonry.simulator.server import Simulator

FIRST: Final = "sim-1"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Simulated clusters that run: where their kubeconfigs are, and the chart repository beside them."""

    simulator: "Simulator"
    kubeconfigs: dict[str, Path]

    @property
    def charts(self) -> str:
        """The address of the chart repository."""
        return f"{self.simulator.url}/charts"


@click.command(
    epilog=examples(
        "addonry simulate --clusters 3 --out ./sim",
        "kubectl --kubeconfig ./sim/sim-1.kubeconfig get pods -A",
        "addonry scan --kubeconfig ./sim/sim-1.kubeconfig --chart-mirror http://127.0.0.1:PORT/charts",
    )
)
@click.option("--clusters", type=click.IntRange(1, 2000), default=3, show_default=True, help="How many.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:0", show_default=True, help="Where to serve them.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write NAME.kubeconfig.  [default: the current directory]",
)
@click.option("--empty", is_flag=True, help="Without any component.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="How fast pods start."
)
@output_option()
def simulate(clusters: int, listen: str, out: Path, empty: bool, speed: float, output: Format) -> None:
    """Run simulated clusters for trying things out, until Ctrl-C.

    They speak the Kubernetes API: kubectl and helm work on them. Named sim-1, sim-2, ...; each starts with the demo's
    components at older versions, some as Helm releases and some as plain workloads. Prints a line when all are ready,
    with the address of a chart repository that has the newer versions.
    """
    with _told_to_end(), run_clusters(clusters, listen=listen, out=out, empty=empty, speed=speed) as running:
        told = {
            "url": running.simulator.url,
            "charts": running.charts,
            "clusters": [{"name": name, "kubeconfig": str(path)} for name, path in running.kubeconfigs.items()],
            "pid": os.getpid(),
        }
        _announce(told, output)
        while True:
            signal.pause()


@contextlib.contextmanager
def run_clusters(
    count: int, *, listen: str = "127.0.0.1:0", out: Path, empty: bool = False, speed: float = 1.0
) -> Iterator[Clusters]:
    """Simulated clusters with their kubeconfigs in *out*, for as long as the context lasts. Raises Failed."""
    from addonry.simulator.charts import ChartRepository, find_charts, pack
    from addonry.simulator.server import Simulator

    charts = pack(find_charts())
    with contextlib.ExitStack() as stack:
        try:
            simulator = stack.enter_context(
                Simulator(clusters=1, listen=listen, charts=ChartRepository(charts), speed=speed)
            )
        except (RuntimeError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            raise Failed(
                f"Cannot listen on {listen}: {cause}.", remedy="Give another address with --listen."
            ) from error
        if not empty:
            from addonry.cli.population import populate

            asyncio.run(populate(simulator.cluster(FIRST).kubeconfig(), charts))
        if count > 1:
            # Copied, not installed: that would take Helm some seconds for each.
            snapshot = simulator.snapshot(FIRST)
            for number in range(2, count + 1):
                simulator.add(f"sim-{number}", snapshot=snapshot)
        yield Clusters(simulator, _write_kubeconfigs(simulator, out))


def _write_kubeconfigs(simulator: "Simulator", out: Path) -> dict[str, Path]:
    written: dict[str, Path] = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for cluster in simulator.clusters:
            path = out / f"{cluster.name}.kubeconfig"
            # Made anew, so that the mode holds for a file that was there as well.
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(cluster.kubeconfig())
            written[cluster.name] = path
    except OSError as error:
        raise Failed(
            f"The kubeconfigs cannot be written to {out}: {error.strerror}.", remedy="Give another folder with --out."
        ) from error
    return written


def _announce(told: dict[str, Any], output: Format) -> None:
    if output is Format.TABLE:
        names = [each["name"] for each in told["clusters"]]
        which = f"cluster {names[0]} is" if len(names) == 1 else f"clusters {names[0]} to {names[-1]} are"
        folder = Path(told["clusters"][0]["kubeconfig"]).parent
        click.echo(f"Simulated {which} ready: kubeconfigs in {folder}, charts at {told['charts']}")
    else:
        click.echo(json.dumps(told))
    sys.stdout.flush()


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, orderly: nothing has failed then."""

    def end(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGTERM, before)
