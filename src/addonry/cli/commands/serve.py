"""``addonry serve``: the service in the foreground."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

import click

from addonry.cli.errors import Failed, wants_tracebacks
from addonry.cli.help import examples
from addonry.cli.output import Format, output_option
from addonry.settings import Settings, load_settings


@click.command(epilog=examples("addonry serve", "addonry serve --listen 127.0.0.1:9090 --data ./data"))
@click.option(
    "--listen", metavar="HOST:PORT", help="Where to serve; port 0 takes a free one.  [default: 127.0.0.1:8080]"
)
@click.option("--data", metavar="DIR", help="The data directory.  [env: ADDONRY_DATA]")
@click.option(
    "--database-url", metavar="URL", help="A PostgreSQL database for many processes.  [env: ADDONRY_DATABASE_URL]"
)
@click.option("--chart-mirror", metavar="URL", help="One chart repository in place of all that the catalog names.")
@click.option("--catalog", metavar="DIR", help="A directory of component files of your own, over the packaged ones.")
@click.option("--tls-cert", metavar="FILE", help="A certificate chain (PEM) to serve https with.")
@click.option("--tls-key", metavar="FILE", help="Its private key.")
@click.option(
    "--tls-self-signed", is_flag=True, default=None, help="Serve https; the authority is written to DIR/tls/ca.pem."
)
@click.option("--behind-proxy", is_flag=True, default=None, help="A proxy in front speaks TLS.")
@output_option()
@click.pass_context
def serve(
    ctx: click.Context,
    listen: str | None,
    data: str | None,
    database_url: str | None,
    chart_mirror: str | None,
    catalog: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    tls_self_signed: bool | None,
    behind_proxy: bool | None,
    output: Format,
) -> None:
    """Run the service: the API and a worker, in the foreground.

    Prints one line with its address when it is ready, and logs to stderr. The first start of a data directory makes
    an access key and writes it to DIR/root.key. Other settings come from the environment; see
    docs/reference/settings.md.
    """
    root = ctx.find_root().obj or {}
    settings = load_settings(
        os.environ,
        listen=listen,
        data_directory=_path(data or root.get("data")),
        database=database_url,
        chart_mirror=chart_mirror,
        catalog_directory=_path(catalog),
        tls_cert=_path(tls_cert),
        tls_key=_path(tls_key),
        tls_self_signed=tls_self_signed,
        behind_proxy=behind_proxy,
    )
    log_to_stderr()

    def on_ready(address: str) -> None:
        told = {"address": address, "data": str(settings.data_directory), "pid": os.getpid()}
        click.echo(json.dumps(told) if output is not Format.TABLE else f"Addonry serves {address}")
        sys.stdout.flush()

    run_loop(_until_told_to_stop(settings, on_ready))


def log_to_stderr() -> None:
    """For a process that stays: what it has to say goes to stderr."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What libraries tell of their own workings is for those who look for a fault.
    if not wants_tracebacks():
        for library in ("alembic", "dbos", "uvicorn"):
            logging.getLogger(library).setLevel(logging.WARNING)


async def _until_told_to_stop(settings: Settings, on_ready: Callable[[str], None]) -> None:
    from addonry.app import AddressTaken
    from addonry.app import serve as run

    try:
        await run(settings, on_ready=on_ready, until=told_to_stop())
    except AddressTaken as error:
        raise Failed(str(error), remedy="Give another address with --listen, or stop what listens there.") from error


def told_to_stop() -> asyncio.Event:
    """Set by Ctrl-C and by SIGTERM."""
    until = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, until.set)
    return until


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser() if text else None


def run_loop(serving: Coroutine[None, None, None]) -> None:
    """Run it on the fastest loop there is."""
    try:
        import uvloop
    except ImportError:
        # Not there on Windows; slower, not different.
        asyncio.run(serving)
    else:
        uvloop.run(serving)
