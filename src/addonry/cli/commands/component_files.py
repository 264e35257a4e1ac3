"""``addonry catalog lint`` and ``schema``: for people who write component files. Neither needs a service."""

from pathlib import Path

import click

from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show


@click.command(
    epilog=examples(
        "addonry catalog lint components/",
        "addonry catalog lint components/shop-gateway.yaml -o json",
        "addonry catalog lint                  the packaged files",
    )
)
@click.argument("files", nargs=-1, metavar="[DIR|FILE]...")
@output_option()
@click.pass_context
def lint(ctx: click.Context, files: tuple[str, ...], output: Format) -> None:
    """Tell all that is wrong with component files, with file and line.

    Errors are what would stop a start, and what can only be a mistake; they end with status 1. Each component is held
    against the packaged ones as well: for names, fingerprints, and what it requires.
    """
    from addonry.catalogs import lint_files

    count, remarks = lint_files([Path(file).expanduser() for file in files])
    errors = sum(remark.is_error for remark in remarks)
    told = {
        "files": count,
        "errors": errors,
        "warnings": len(remarks) - errors,
        "remarks": [
            {
                "file": remark.file,
                "line": remark.line,
                "severity": "error" if remark.is_error else "warning",
                "id": remark.id,
                "message": remark.message,
            }
            for remark in remarks
        ],
    }
    rows = [
        (f"{each.file}:{each.line}", "error" if each.is_error else "warning", each.id, each.message) for each in remarks
    ]
    counts = {"file": count, "error": errors, "warning": len(remarks) - errors}
    summary = ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items())
    show(
        told, output, lambda: Table(("WHERE", "SEVERITY", "ID", "MESSAGE"), rows, (summary,), empty="Nothing is wrong.")
    )
    ctx.exit(1 if errors else 0)


@click.command(epilog=examples("addonry catalog schema > component.schema.json"))
def schema() -> None:
    """Print the JSON Schema of component files, for editors and other linters."""
    from addonry.catalogs import component_schema

    click.echo(component_schema(), nl=False)
