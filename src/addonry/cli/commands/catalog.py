"""``addonry catalog``: which components and versions there are."""

from pathlib import Path
from typing import Any, Final

import click

from addonry.cli.client import segment
from addonry.cli.commands.chart_hosts import hosts, login, logout
from addonry.cli.commands.component_files import lint, schema
from addonry.cli.commands.ranges import import_ranges
from addonry.cli.commands.snapshots import export, import_
from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of

CHANGES_SHOWN: Final = 10
"""Of what publishers say, how much the table has below it."""


@click.group(epilog=examples("addonry catalog show coredns"))
def catalog() -> None:
    """Show which components and versions there are, and where they come from."""


@catalog.command(name="list", epilog=examples("addonry catalog list", "addonry catalog list --topic storage"))
@click.option("--topic", metavar="TOPIC", help="Only what is for this: networking, dns, storage, ...")
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, topic: str | None, output: Format) -> None:
    """List the components, with the newest version of each."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get("/addonry/v1/catalog")
    # A service older than this command tells no topics.
    topics = sorted({each.get("topic", "") for each in told["components"]} - {""})
    if topic and topic not in topics:
        raise WrongUsage(f"--topic {topic!r} is none of {', '.join(topics)}.", ctx=ctx)
    if topic:
        told["components"] = [each for each in told["components"] if each.get("topic") == topic]
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
    asked = [each for each in told["components"] if each["repository"]]
    if asked and all(each["trouble"] for each in asked):
        raise Failed("No chart repository could be read.", remedy="Check the way out, or name a mirror.")


@catalog.command(epilog=examples("addonry catalog add cert-manager.yaml"))
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@output_option()
@service_options
@click.pass_context
def add(ctx: click.Context, files: tuple[str, ...], output: Format) -> None:
    """Give the service component files of your own. They count at once, and replace those of the same name.

    They are kept in the data directory, below components; a file is taken back by removing it there.
    """
    texts = [_text(file, ctx) for file in files]
    with open_session(where_of(ctx)) as session:
        added = [session.client.post("/addonry/v1/catalog/files", {"content": text}) for text in texts]
    show({"components": added}, output, lambda: _table(added))


def _text(file: str, ctx: click.Context) -> str:
    try:
        return Path(file).expanduser().read_text()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{file} cannot be read ({type(error).__name__}).", ctx=ctx) from error


def _table(components: list[dict[str, Any]]) -> Table:
    rows = [
        (each["name"], each["newest"], str(each["versions_count"]), each.get("topic", ""), each["title"])
        for each in components
    ]
    troubles = dict.fromkeys(f"  {each['repository']}: {each['trouble']}" for each in components if each["trouble"])
    return Table(("COMPONENT", "NEWEST", "VERSIONS", "TOPIC", "TITLE"), rows, tuple(troubles))


def _versions(told: dict[str, Any]) -> Table:
    rows = [
        (
            each["version"],
            each["app_version"],
            each["kubernetes"] or "any",
            each["created_at"],
            _note(each),
        )
        for each in told["versions"]
    ]
    notes = _changes(told["versions"])
    if told["trouble"]:
        notes = (*notes, f"  {told['repository']}: {told['trouble']}")
    empty = f"No version of {told['name']} is known yet; `addonry catalog sync` reads its repository."
    return Table(("VERSION", "APP VERSION", "KUBERNETES", "CREATED", "NOTE"), rows, notes, empty=empty)


def _changes(versions: list[dict[str, Any]]) -> tuple[str, ...]:
    """What the publisher says of the newest versions that fix security issues or break something."""
    told = [
        f"  {each['version']}: {change['kind'] + ': ' if change['kind'] else ''}{change['text']}"
        for each in versions
        for change in each.get("changes") or ()
        if change["kind"] == "security" or "breaking" in change["text"].lower()
    ]
    more = (f"  and {len(told) - CHANGES_SHOWN} more (-o json)",) if len(told) > CHANGES_SHOWN else ()
    return (*told[:CHANGES_SHOWN], *more)


def _note(version: dict[str, Any]) -> str:
    """What is worth knowing of a version; a service older than this command does not tell all of it."""
    told = {
        "fixes security issues": version.get("fixes_security"),
        "breaking changes": version.get("breaking"),
        "deprecated": version["deprecated"],
        "pre-release": version.get("prerelease"),
    }
    return ", ".join(name for name, holds in told.items() if holds)


for command in (lint, schema, export, import_, import_ranges, login, logout, hosts):
    catalog.add_command(command)
