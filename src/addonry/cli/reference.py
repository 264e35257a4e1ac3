"""``docs/reference/commands.md``, made from the commands themselves: ``python -m addonry.cli.reference > FILE``.

A test compares the file with what is made here.
"""

from collections.abc import Iterator
from typing import Final

import click

from addonry.cli.root import addonry

WIDTH: Final = 100
HEAD: Final = """# Commands

Made by `python -m addonry.cli.reference`; do not edit.

Every command ends with status 0, with 1 when the thing asked for failed, with 2 when it was called wrongly, and with
130 after Ctrl-C. What went wrong stands in one line on stderr; `ADDONRY_DEBUG=1` shows where it happened.
"""


def write_reference() -> str:
    """The whole page."""
    return HEAD + "".join(f"\n## {path}\n\n```\n{text}\n```\n" for path, text in helps())


def helps() -> Iterator[tuple[str, str]]:
    """Path and help of every command, groups before their commands."""
    yield from _walk(addonry, None, "addonry")


def _walk(command: click.Command, above: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    settings = {**command.context_settings, "terminal_width": WIDTH}
    context = click.Context(command, parent=above, info_name=name, **settings)
    yield context.command_path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None, "a group has the commands that it lists"
            yield from _walk(inner, context, each)


if __name__ == "__main__":
    click.echo(write_reference(), nl=False)
