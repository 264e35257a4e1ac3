"""How commands end badly: one line on stderr that says what went wrong and what to do next.

``Failed`` ends with status 1 (the thing asked for failed), ``WrongUsage`` with 2, ``Stopped`` with 130 (Ctrl-C).
``translate`` turns whatever a command raised into one of them.
"""

import os
from typing import IO, Any

import click

from addonry.model.errors import sentence


class Failed(click.ClickException):
    """The thing asked for failed."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(one_line(f"{sentence(message)} {remedy}" if remedy else message))

    def show(self, file: IO[Any] | None = None) -> None:
        """One line on stderr."""
        click.echo(f"Error: {self.message}", file=file, err=file is None)


class Stopped(Failed):
    """Somebody pressed Ctrl-C. The status is the shell's for SIGINT."""

    exit_code = 130

    def show(self, file: IO[Any] | None = None) -> None:
        """One line on stderr; the terminal has just shown ``^C`` on the present one."""
        click.echo(f"\n{self.message}", file=file, err=file is None)


class WrongUsage(click.UsageError):
    """The command was called wrongly."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        """One line on stderr, with the help to read."""
        path = self.ctx.command_path if self.ctx else "addonry"
        message = one_line(self.format_message())
        click.echo(f"Error: {message} See `{path} --help`.", file=file, err=file is None)


def one_line(text: str) -> str:
    """*text* with every run of blanks and line breaks as one blank, and nothing that a terminal would obey."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def wants_tracebacks() -> bool:
    """Whether ADDONRY_DEBUG asks for the whole story."""
    return os.environ.get("ADDONRY_DEBUG", "").lower() not in {"", "0", "false", "no"}


def translate(error: BaseException) -> BaseException:
    """What to raise in place of *error*; the error itself where Click, or nobody, should see to it."""
    from addonry.model.errors import AddonryError, InvalidParameter

    match error:
        case Failed() | WrongUsage() | click.exceptions.NoArgsIsHelpError() | BrokenPipeError():
            return error
        case click.UsageError():
            return WrongUsage(error.format_message(), ctx=error.ctx)
        case click.ClickException():
            return Failed(error.format_message())
        case InvalidParameter():
            # One that the service found would be an ApiError; this one is of the command line or the environment.
            return WrongUsage(f"{sentence(error.message)} {error.remedy}")
        case AddonryError():
            return Failed(error.message, remedy=error.remedy)
        case KeyboardInterrupt() | click.Abort():
            return Stopped("Stopped.")
        case Exception() if not wants_tracebacks() and not isinstance(error, click.exceptions.Exit):
            return Failed(
                f"{_named(error)}.".replace("..", "."),
                remedy="This is a fault of Addonry; set ADDONRY_DEBUG=1 to see where it happened.",
            )
        case _:
            return error


def _named(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
