"""What commands print: a table for people, or the data as JSON or YAML for programs.

On a terminal the table is Rich's; piped, it is plain aligned text with a header line, so that ``awk`` and ``grep`` work.
Text that comes from a cluster is never obeyed by the terminal: control characters are dropped.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


LAST_COLUMN: Final = 24
"""Characters that the last column of a table keeps on a narrow terminal."""


class Format(StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    XML = "xml"
    WIDE = "wide"
    SARIF = "sarif"
    JUNIT = "junit"


_EVERYWHERE: Final = (Format.TABLE, Format.JSON, Format.YAML)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text, with notes below."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    notes: tuple[str, ...] = field(default=())
    empty: str = ""
    """Said on stderr in place of an empty table."""


def output_option(*more: Format) -> Callable[[F], F]:
    """The option ``-o``; its value arrives as *output*. Beside what every command prints it may take *more*."""
    choices = [each.value for each in (*_EVERYWHERE, *more)]
    return click.option(
        "-o",
        "--output",
        type=click.Choice(choices),
        callback=lambda _ctx, _parameter, value: Format(value),
        default=Format.TABLE.value,
        show_default=True,
        help="How to print.",
    )


def show(value: Any, output: Format, table: Callable[[], Table]) -> None:
    """Print *value*, or the table made of it."""
    match output:
        case Format.JSON:
            click.echo(json.dumps(value, indent=2, ensure_ascii=False))
        case Format.YAML:
            import yaml

            click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
        case _:
            print_table(table())


def print_table(table: Table) -> None:
    """Print a table: for the eye on a terminal, for programs when piped."""
    if not table.rows and table.empty:
        click.echo(table.empty, err=True)
    elif sys.stdout.isatty():
        _print_rich(table)
    else:
        click.echo("\n".join(aligned(table.columns, table.rows)))
    for note in table.notes:
        click.echo(plain(note))


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a plain table. Empty cells are a hyphen, so that fields can be counted."""
    lines = [list(columns), *([plain(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def plain(text: str) -> str:
    """*text* without control characters; its line breaks are blanks."""
    return "".join(char if char.isprintable() else " " if char in "\n\r\t" else "" for char in text)


EVIDENCE_SHOWN = 3
"""Of what was seen, how much a table has room for."""

NAMES_SHOWN = 3
"""Of the components that share a finding."""


def lines_of(findings: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """A line for each finding of a component: what is the matter, and what to do; what several share is told once.

    Below one that blocks stands what was seen; of the others ``-o json`` has it.
    """
    shared: dict[tuple[str, str], list[tuple[str, Mapping[str, Any]]]] = {}
    for name, finding in findings:
        said = finding["message"] if is_blocking(finding) else _without_subject(name, finding["message"])
        shared.setdefault((said, finding["remedy"]), []).append((name, finding))
    lines = []
    for members in shared.values():
        (first, finding), *others = members
        message, remedy = finding["message"], finding["remedy"]
        if all(each["message"] == message for _, each in others):
            told = f"{_names([first, *(name for name, _ in others)])}: {message} {remedy}"
        else:
            told = f"{first}: {message} The same of {_names([name for name, _ in others])}. {remedy}"
        lines += [f"  {told}".rstrip(), *_below(finding)]
    return lines


_WORKLOAD: Final = re.compile(r"\b(Deployment|DaemonSet|StatefulSet)( [a-z0-9.-]+/[a-z0-9.-]+)?")


def _without_subject(name: str, message: str) -> str:
    """What a warning says, whatever component and workload it says it of."""
    return _WORKLOAD.sub("", message).replace(name, "")


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{', '.join(names[:NAMES_SHOWN])}{more}"


def is_blocking(finding: Mapping[str, Any]) -> bool:
    """Whether it stands in the way: it blocks, and nobody has waived it. An error of a plan has no severity, and does."""
    return finding.get("severity", "blocks") == "blocks" and not finding.get("waived")


def _below(finding: Mapping[str, Any]) -> list[str]:
    # A service older than this command has neither of these members.
    if waiver := finding.get("waived"):
        return [f"    waived by {waiver['by']} until {waiver['until']}: {waiver['reason']}"]
    seen = list(finding.get("evidence") or ())
    if finding.get("severity") != "blocks" or not seen:
        return []
    more = f", and {len(seen) - EVIDENCE_SHOWN} more (-o json)" if len(seen) > EVIDENCE_SHOWN else ""
    return [f"    seen: {', '.join(seen[:EVIDENCE_SHOWN])}{more}"]


def _print_rich(table: Table) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in table.columns[:-1]:
        drawn.add_column(column, no_wrap=True)
    drawn.add_column(table.columns[-1], overflow="fold")
    for row in table.rows:
        # As Text, never as markup: a component may be called [red].
        drawn.add_row(*(Text(plain(cell), style=_STYLES.get(cell.split(" ", 1)[0], "")) for cell in row))
    console = Console()
    # Only the last column gives way: a name that is cut in two can be neither read nor copied. Where even that does not
    # fit, the terminal breaks the lines, as it does with kubectl's.
    console.width = max(console.width, _least_width(table))
    console.print(drawn, crop=False)


def _least_width(table: Table) -> int:
    from rich.cells import cell_len

    widths = [
        max(cell_len(plain(line[index])) for line in (table.columns, *table.rows))
        for index in range(len(table.columns))
    ]
    return sum(width + 2 for width in widths[:-1]) + min(widths[-1], LAST_COLUMN)


_STYLES = {
    "READY": "green",
    "BLOCKED": "yellow",
    "FAILED": "red",
    "Failed": "red",
    "fail": "red",
    "Success": "green",
    "success": "green",
    "running": "cyan",
    "paused": "yellow",
    "Paused": "yellow",
    "canceled": "yellow",
    "Canceled": "yellow",
    "Upgrading": "cyan",
    "Running": "cyan",
}
