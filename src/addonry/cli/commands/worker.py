"""``addonry worker``: carries tasks out, in the foreground, without an API."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from addonry.cli.commands.serve import log_to_stderr, run_loop, told_to_stop
from addonry.cli.help import examples
from addonry.cli.output import Format, output_option
from addonry.settings import Settings, load_settings


@click.command(
    epilog=examples("addonry worker --database-url postgresql://addonry@db/addonry", "addonry worker --data ./data")
)
@click.option("--data", metavar="DIR", help="The data directory.  [env: ADDONRY_DATA]")
@click.option(
    "--database-url", metavar="URL", help="The PostgreSQL database of the service.  [env: ADDONRY_DATABASE_URL]"
)
@click.option("--chart-mirror", metavar="URL", help="One chart repository in place of all that the catalog names.")
@click.option("--catalog", metavar="DIR", help="A directory of component files of your own, over the packaged ones.")
@output_option()
@click.pass_context
def worker(
    ctx: click.Context,
    data: str | None,
    database_url: str | None,
    chart_mirror: str | None,
    catalog: str | None,
    output: Format,
) -> None:
    """Run a worker: it carries tasks out and serves nothing.

    With PostgreSQL, as many as wanted beside any number of `addonry serve`; all need the same ADDONRY_SECRET_KEY. On
    SQLite one process at a time works on a data directory, be it this or the service. Prints one line when it is
    ready; a stop hands what it was doing to the others.
    """
    root = ctx.find_root().obj or {}
    directory = data or root.get("data")
    settings = load_settings(
        os.environ,
        data_directory=Path(directory).expanduser() if directory else None,
        database=database_url,
        chart_mirror=chart_mirror,
        catalog_directory=Path(catalog).expanduser() if catalog else None,
    )
    log_to_stderr()

    def on_ready() -> None:
        told = {"data": str(settings.data_directory), "pid": os.getpid()}
        click.echo(json.dumps(told) if output is not Format.TABLE else f"Addonry works, process {os.getpid()}")
        sys.stdout.flush()

    run_loop(_until_told_to_stop(settings, on_ready))


async def _until_told_to_stop(settings: Settings, on_ready: Callable[[], None]) -> None:
    from addonry.app import work

    await work(settings, on_ready=on_ready, until=told_to_stop())
