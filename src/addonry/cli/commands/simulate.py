"""``addonry simulate``: simulated clusters on loopback."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, output_option

if TYPE_CHECKING:
    from addonry.simulator import SimulatedCluster
    from addonry.simulator.charts import PackedCharts
    from addonry.simulator.server import Simulator

DEMO: Final = "demo"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Simulated clusters that run: where their kubeconfigs are, and the chart repository beside them."""

    simulator: "Simulator"
    kubeconfigs: dict[str, Path]

    @property
    def charts(self) -> str:
        """The address of the chart repository."""
        return f"{self.simulator.url}/charts"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the clusters are to be: populations and versions, each in turn."""

    populations: tuple[str, ...] = (DEMO,)
    versions: tuple[str, ...] = ()
    """Kubernetes versions; empty: the one that was recorded."""
    tls: bool = False

    def of(self, place: int) -> tuple[str, str]:
        """Population and version of the cluster at a place, counted from zero: every pair has its turn."""
        turn, population = divmod(place, len(self.populations))
        return self.populations[population], self.versions[turn % len(self.versions)] if self.versions else ""


@click.command(
    epilog=examples(
        "addonry simulate --clusters 3 --out ./sim",
        "addonry simulate --clusters 20 --population kubeadm,eks,ack,k3s --kubernetes 1.31,1.33 --out ./sim",
        "kubectl --kubeconfig ./sim/sim-1.kubeconfig get pods -A",
        "addonry scan --kubeconfig ./sim/sim-1.kubeconfig --chart-mirror http://127.0.0.1:PORT/charts",
    )
)
@click.option("--clusters", type=click.IntRange(1, 2000), default=3, show_default=True, help="How many.")
@click.option(
    "--population",
    "populations",
    metavar="NAME,...",
    default=DEMO,
    show_default=True,
    help="What they run: demo, kubeadm, k3s, rke2, eks, ack, platform or bare; several are taken in turn.",
)
@click.option(
    "--kubernetes",
    "versions",
    metavar="1.NN,...",
    default="",
    help="Their versions, 1.28 to 1.37, in turn.  [default: 1.36]",
)
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:0", show_default=True, help="Where to serve them.")
@click.option("--tls", is_flag=True, help="Over TLS: each has its own certificate authority and insists on its token.")
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to write NAME.kubeconfig.  [default: the current directory]",
)
@click.option("--empty", is_flag=True, help="Without any component, as --population bare.")
@click.option(
    "--speed", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="How fast pods start."
)
@output_option()
@click.pass_context
def simulate(
    ctx: click.Context,
    clusters: int,
    populations: str,
    versions: str,
    listen: str,
    tls: bool,
    out: Path,
    empty: bool,
    speed: float,
    output: Format,
) -> None:
    """Run simulated clusters for trying things out, until Ctrl-C.

    They speak the Kubernetes API: kubectl and helm work on them. Named sim-1, sim-2, ...; each starts with what its
    population has on day one: the demo's components at older versions, or what kubeadm, k3s, RKE2, EKS or ACK bring,
    or what a platform team has piled up with Helm, Argo CD and Flux. Prints a line when all are ready, with the address
    of a chart repository that has newer versions of the demo's components.
    """
    if empty and populations != DEMO:
        raise WrongUsage("--empty and --population exclude each other.", ctx=ctx)
    wanted = _wanted(ctx, "bare" if empty else populations, versions, tls)
    with _told_to_end(), run_clusters(clusters, listen=listen, out=out, wanted=wanted, speed=speed) as running:
        told = {
            "url": running.simulator.url,
            "charts": running.charts,
            "clusters": [
                {
                    "name": name,
                    "kubeconfig": str(path),
                    "population": wanted.of(place)[0],
                    "kubernetes": running.simulator.cluster(name).kubernetes_version,
                }
                for place, (name, path) in enumerate(running.kubeconfigs.items())
            ],
            "pid": os.getpid(),
        }
        _announce(told, output)
        while True:
            signal.pause()


def _wanted(ctx: click.Context, populations: str, versions: str, tls: bool) -> Wanted:
    from addonry.simulator.populations import names
    from addonry.simulator.versions import whole

    chosen = tuple(each.strip() for each in populations.split(","))
    for name in chosen:
        if name not in names():
            raise WrongUsage(f"--population {name!r} is unknown; there are {', '.join(names())}.", ctx=ctx)
    minors = tuple(each.strip() for each in versions.split(",")) if versions else ()
    try:
        for each in minors:
            whole(each)
    except ValueError as error:
        raise WrongUsage(f"--kubernetes: {error}", ctx=ctx) from error
    return Wanted(chosen, minors, tls)


@contextlib.contextmanager
def run_clusters(
    count: int, *, listen: str = "127.0.0.1:0", out: Path, wanted: Wanted | None = None, speed: float = 1.0
) -> Iterator[Clusters]:
    """Simulated clusters with their kubeconfigs in *out*, for as long as the context lasts. Raises Failed."""
    from addonry.simulator.charts import ChartRepository, find_charts, pack
    from addonry.simulator.server import Simulator

    wanted = wanted or Wanted()
    charts = pack(find_charts())
    with contextlib.ExitStack() as stack:
        try:
            simulator = stack.enter_context(
                Simulator(clusters=0, listen=listen, charts=ChartRepository(charts), speed=speed, tls=wanted.tls)
            )
        except (RuntimeError, OSError, ValueError) as error:
            cause = error.__cause__ or error
            raise Failed(
                f"Cannot listen on {listen}: {cause}.", remedy="Give another address with --listen."
            ) from error
        # Helm takes some seconds for the demo's releases, so they are installed once and copied.
        filled: dict[tuple[str, str], Mapping[str, Any]] = {}
        for place in range(count):
            name, kind = f"sim-{place + 1}", wanted.of(place)
            if kind in filled or kind[0] != DEMO:
                simulator.add(name, snapshot=filled.get(kind) or simulator.template(*kind))
            else:
                cluster = simulator.add(name, snapshot=simulator.template(*kind))
                _install_demo(cluster, charts)
                filled[kind] = simulator.snapshot(name)
        yield Clusters(simulator, _write_kubeconfigs(simulator, out))


def _install_demo(cluster: "SimulatedCluster", charts: "PackedCharts") -> None:
    from addonry.cli.population import populate

    asyncio.run(populate(cluster.kubeconfig(), charts))


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
