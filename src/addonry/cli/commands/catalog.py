"""``addonry catalog``: which components and versions there are."""

from typing import Any

import click

from addonry.cli.client import segment
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of


@click.group(epilog=examples("addonry catalog show coredns"))
def catalog() -> None:
    """Show which components and versions there are."""


@catalog.command(name="list", epilog=examples("addonry catalog list"))
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, output: Format) -> None:
    """List the components, with the newest version of each."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get("/addonry/v1/catalog")
    show(told, output, lambda: _table(told["components"]))


@catalog.command(name="show", epilog=examples("addonry catalog show nginx-ingress-controller"))
@click.argument("name")
@output_option()
@service_options
@click.pass_context
def show_(ctx: click.Context, name: str, output: Format) -> None:
    """Show one component, by name or alias, with every version on offer."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get(f"/addonry/v1/catalog/{segment(name)}")
    show(told, output, lambda: _versions(told))


@catalog.command(epilog=examples("addonry catalog sync"))
@output_option()
@service_options
@click.pass_context
def sync(ctx: click.Context, output: Format) -> None:
    """Read the chart repositories now."""
    with open_session(where_of(ctx)) as session:
        told = session.client.post("/addonry/v1/catalog/sync")
    show(told, output, lambda: _table(told["components"]))


def _table(components: list[dict[str, Any]]) -> Table:
    rows = [
        (each["name"], each["newest"], str(each["versions_count"]), each["category"], each["title"])
        for each in components
    ]
    troubles = dict.fromkeys(f"  {each['repository']}: {each['trouble']}" for each in components if each["trouble"])
    return Table(("COMPONENT", "NEWEST", "VERSIONS", "CATEGORY", "TITLE"), rows, tuple(troubles))


def _versions(told: dict[str, Any]) -> Table:
    rows = [
        (
            each["version"],
            each["app_version"],
            each["kubernetes"] or "any",
            each["created_at"],
            "deprecated" if each["deprecated"] else "",
        )
        for each in told["versions"]
    ]
    notes = (f"  {told['repository']}: {told['trouble']}",) if told["trouble"] else ()
    empty = f"No version of {told['name']} is known yet; `addonry catalog sync` reads its repository."
    return Table(("VERSION", "APP VERSION", "KUBERNETES", "CREATED", "NOTE"), rows, notes, empty=empty)
