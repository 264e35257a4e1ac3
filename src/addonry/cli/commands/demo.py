"""``addonry demo``: the whole story on simulated clusters."""

import contextlib
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from addonry.cli.help import examples
from addonry.cli.session import read_root_key

if TYPE_CHECKING:
    from addonry.cli.story import Story


@click.command(
    epilog=examples("addonry demo", "addonry demo < /dev/null    # ends with the story, status 0 if all came true")
)
@click.option(
    "--clusters", type=click.IntRange(1, 50), default=3, show_default=True, help="How many simulated clusters."
)
def demo(clusters: int) -> None:
    """Tell the whole story on simulated clusters, in about a minute.

    Scan, status, an upgrade of three components during which the service is killed and started again, and an upgrade
    to a broken version that rolls itself back. Each claim is proved by the cluster itself; the exit status is 1 and
    the part is named if one does not come true. On a terminal everything then stays up to be tried, until Ctrl-C.
    Nothing is left behind.
    """
    from addonry.cli.story import setting

    # So that a kill of this process, too, ends the children and removes the folder.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with TemporaryDirectory(prefix="addonry-demo-") as folder:
            click.echo(f"Simulated clusters are being filled with older versions ({clusters} clusters) ...")
            with setting(Path(folder), clusters=clusters) as story:
                story.tell()
                click.secho(f"\nEverything came true, in {time.monotonic() - story.began:.0f} s.", bold=True)
                if sys.stdin.isatty() and sys.stdout.isatty():
                    _stay(story)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def path_to_addonry() -> str:
    """A line that makes the others work in a shell that has not activated this environment, as after `make demo`."""
    here = Path(sys.argv[0]).absolute().parent
    found = shutil.which("addonry")
    if (found and Path(found).parent.samefile(here)) or not (here / "addonry").exists():
        return ""
    return f"  export PATH={shlex.quote(str(here))}:$PATH\n"


def _stay(story: "Story") -> None:
    kubeconfig = story.clusters.kubeconfigs["sim-1"]
    address, key = story.session.client.address, read_root_key(story.service.data)
    assert key is not None, "a service that answered has made its key"
    # The secret opens nothing but this service on loopback, and ends with it.
    click.echo(
        f"""
The service stays up until Ctrl-C, at {address}. Things to try, in another terminal:

{path_to_addonry()}  export ADDONRY_ENDPOINT={address}
  export ADDONRY_ACCESS_KEY_ID={key.id}
  export ADDONRY_ACCESS_KEY_SECRET={key.secret}
  addonry status sim-2
  addonry upgrade sim-2 metrics-server coredns --wait
  addonry tasks list
  addonry status sim-1 -o xml
  kubectl --kubeconfig {kubeconfig} get pods -A
  helm --kubeconfig {kubeconfig} list -A
  curl {address}/healthz

An SDK of Alibaba Cloud (alibabacloud_cs20151215) needs Config(endpoint="{address.host_header}", protocol="http") and
the key.
"""
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()
