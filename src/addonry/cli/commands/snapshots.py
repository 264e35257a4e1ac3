"""``addonry catalog export`` and ``import``: what the catalog knows, in one file, for places without a way out."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from addonry.cli.errors import WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import data_directory, service_options, where_of

if TYPE_CHECKING:
    from addonry.catalogs import Exported

_KUBERNETES: Final = re.compile(r"v?1\.\d{1,3}(\.\d{1,3})?")


@click.command(
    epilog=examples(
        "addonry catalog export catalog.tar.gz",
        "addonry catalog export catalog.tar.gz coredns metrics-server --charts --kubernetes 1.36 --kubernetes 1.37",
    )
)
@click.argument("file")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--charts", is_flag=True, help="Take the charts of versions that fit --kubernetes along.")
@click.option(
    "--kubernetes", multiple=True, metavar="1.NN", help="A Kubernetes version to take charts for; repeatable."
)
@click.option(
    "--newest",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="So many charts of each component, the newest that fit.",
)
@click.option("--chart-mirror", metavar="URL", help="One chart repository in place of all that the catalog names.")
@click.option("--catalog", "own", metavar="DIR", help="A directory of component files of your own; they come along.")
@output_option()
@service_options
@click.pass_context
def export(
    ctx: click.Context,
    file: str,
    names: tuple[str, ...],
    charts: bool,
    kubernetes: tuple[str, ...],
    newest: int,
    chart_mirror: str | None,
    own: str | None,
    output: Format,
) -> None:
    """Write what the catalog knows to FILE: all components, or those named.

    Reads the chart repositories now, with the mirrors and credentials of the environment, and needs no service. Ends
    with status 1 when a repository could not be read; the others are in the file.
    """
    if charts is not bool(kubernetes):
        raise WrongUsage("--charts and --kubernetes go together.", ctx=ctx)
    for version in kubernetes:
        if not _KUBERNETES.fullmatch(version):
            raise WrongUsage(f"--kubernetes {version!r} is no Kubernetes version; give one like 1.37.", ctx=ctx)
    made = asyncio.run(
        _export(
            Path(file),
            names or None,
            tuple(map(_whole, kubernetes)),
            newest,
            data_directory=data_directory(where_of(ctx)),
            chart_mirror=chart_mirror,
            catalog_directory=Path(own).expanduser() if own else None,
        )
    )
    _show(made, file, output)
    for trouble in made.troubles:
        click.echo(f"Warning: {trouble}", err=True)
    if made.troubles:
        ctx.exit(1)


@click.command(name="import", epilog=examples("addonry catalog import catalog.tar.gz"))
@click.argument("file")
@click.option(
    "--force", is_flag=True, help="Go back to an older snapshot than the one in use; it wins over what was read."
)
@output_option()
@service_options
@click.pass_context
def import_(ctx: click.Context, file: str, force: bool, output: Format) -> None:
    """Take a snapshot into the data directory: all of it, or nothing.

    A service that runs there meets it at its next reading, `addonry scan` at once. What was read later than the snapshot
    stays. With ADDONRY_OFFLINE=true nothing else is ever asked.
    """
    from datetime import UTC, datetime

    from addonry.app import catalog_settings
    from addonry.catalogs import import_snapshot
    from addonry.settings import load_settings

    settings = load_settings(os.environ, data_directory=data_directory(where_of(ctx)))
    told = import_snapshot(catalog_settings(settings, None), Path(file), now=datetime.now(UTC), force=force)
    _show(told, file, output)


async def _export(
    file: Path, names: tuple[str, ...] | None, kubernetes: tuple[str, ...], newest: int, **given: Any
) -> "Exported":
    from datetime import UTC, datetime
    from importlib.metadata import version

    from addonry.app import catalog_settings
    from addonry.catalogs import export_snapshot
    from addonry.settings import load_settings

    settings = load_settings(os.environ, **given)
    return await export_snapshot(
        # What is exported is what the repositories say, and not what a snapshot said before.
        replace(catalog_settings(settings, None), offline=False),
        file,
        now=lambda: datetime.now(UTC),
        made_by=f"addonry {version('addonry')}",
        names=names,
        kubernetes=kubernetes,
        newest=newest,
    )


def _whole(version: str) -> str:
    """``1.37`` as the version ``v1.37.0``."""
    bare = version.removeprefix("v")
    return f"v{bare}" if bare.count(".") == 2 else f"v{bare}.0"


def _show(told: "Exported", file: str, output: Format) -> None:
    data = {
        "file": file,
        "taken_at": told.taken_at.isoformat(),
        "components": told.components,
        "charts": told.charts,
        "troubles": list(told.troubles),
    }
    row = (file, f"{told.taken_at:%Y-%m-%d %H:%M}", str(told.components), str(told.charts))
    show(data, output, lambda: Table(("FILE", "TAKEN AT", "COMPONENTS", "CHARTS"), [row]))
