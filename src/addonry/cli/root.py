"""The command ``addonry``: which commands there are. Each is imported when it is called, and only then."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

import click

from addonry.cli.errors import translate
from addonry.cli.help import examples


class Row(NamedTuple):
    """One command: where it is, and the line that the list of commands shows for it."""

    module: str
    summary: str
    attribute: str = ""
    """The command's name in its module, where it differs from the command's own."""


COMMANDS: Final[Mapping[str, Row]] = {
    "scan": Row("scan", "Look at a cluster: what runs, what fits, what blocks. Writes nothing, and needs no service."),
    "status": Row("status", "Show a cluster's components: version, readiness and the last task of each."),
    "plan": Row("plan", "Show what an upgrade or install would do, without doing it."),
    "install": Row("changes", "Install components, as one task."),
    "upgrade": Row("changes", "Upgrade components, as one task."),
    "configure": Row("changes", "Give an installed component other values; its version stays."),
    "uninstall": Row("changes", "Uninstall components, as one task. CRDs, volumes and namespaces stay."),
    "pause": Row("moves", "Stop a task where it is; a rollout is held in the middle."),
    "resume": Row("moves", "Let a paused task go on, after a canary too."),
    "cancel": Row("moves", "End a task; what it has begun is rolled back."),
    "tasks": Row("tasks", "List tasks, show one, or wait for one."),
    "clusters": Row("clusters", "Register, list, show and remove clusters."),
    "waivers": Row("waivers", "Let a readiness check pass for a while, with a reason; see what was waived."),
    "catalog": Row("catalog", "Show which components and versions there are, and where they come from."),
    "keys": Row("keys", "Create, list and revoke access keys."),
    "users": Row("access", "Create, list and remove users, who may do what their policies allow."),
    "policies": Row("access", "Write policies in the language of ACK's RAM, and attach them to users."),
    "audit": Row("access", "Show who called what, from where, and what allowed or refused it; newest first."),
    "serve": Row("serve", "Run the service: the API and a worker, in the foreground."),
    "worker": Row("worker", "Run a worker: it carries tasks out and serves nothing."),
    "simulate": Row("simulate", "Run simulated clusters for trying things out, until Ctrl-C."),
    "demo": Row("demo", "Tell the whole story on simulated clusters, in about a minute."),
    "completion": Row("completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, and whose errors are one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - Click's signature
        """Import the command."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        module = import_module(f"addonry.cli.commands.{row.module}")
        command: click.Command = getattr(module, row.attribute or cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - Click's signature
        """From the table: importing every command to list them would cost ten times as much."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in COMMANDS.items()])

    def make_context(self, *positional: Any, **named: Any) -> click.Context:
        """As Click does, with errors of ours."""
        try:
            return super().make_context(*positional, **named)
        except click.UsageError as error:
            raise translate(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever goes wrong becomes one line and an exit status."""
        try:
            return super().invoke(ctx)
        except BaseException as error:
            translated = translate(error)
            if translated is error:
                raise
            raise translated from error


def _version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"addonry {version('addonry')}")
    ctx.exit()


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "addonry scan                          what runs on the present kubectl context",
        "addonry demo                          the whole story on simulated clusters",
        "addonry clusters add prod --context prod-admin",
        "addonry status prod",
        "addonry upgrade prod metrics-server --wait",
    ),
)
@click.option("--endpoint", metavar="URL", help="The service to ask, Addonry or ACK.  [env: ADDONRY_ENDPOINT]")
@click.option("--data", metavar="DIR", help="The data directory of a local service.  [env: ADDONRY_DATA]")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def addonry(ctx: click.Context, endpoint: str | None, data: str | None) -> None:
    """Look after the add-ons of Kubernetes clusters.

    Without an endpoint, commands use the service that runs on the data directory, or else work on that directory
    themselves.
    """
    ctx.obj = {"endpoint": endpoint, "data": data}
