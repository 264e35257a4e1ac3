"""``addonry pause``, ``resume`` and ``cancel``: a word to a task that is under way."""

import click

from addonry.cli.client import segment
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.progress import CANCELED, PAUSED, SUCCESSES, read_task, tell_how_to_follow, wait_for
from addonry.cli.session import open_session, service_options, where_of


@click.command(epilog=examples("addonry pause T-6923a1f0c0ffee --wait"))
@click.argument("task")
@click.option("--wait", is_flag=True, help="Wait until it is paused; the exit status is 1 when it ended before.")
@output_option()
@service_options
@click.pass_context
def pause(ctx: click.Context, task: str, wait: bool, output: Format) -> None:
    """Stop a task where it is; a rollout is held in the middle.

    It takes effect between two steps, or at once while pods are waited for.
    """
    _move(ctx, task, "pause", "PauseTask", until=PAUSED if wait else None, output=output)


@click.command(epilog=examples("addonry resume T-6923a1f0c0ffee --wait"))
@click.argument("task")
@click.option("--wait", is_flag=True, help="Wait until it has ended; the exit status is 1 when it failed.")
@output_option()
@service_options
@click.pass_context
def resume(ctx: click.Context, task: str, wait: bool, output: Format) -> None:
    """Let a paused task go on, after a canary too."""
    _move(ctx, task, "resume", "ResumeTask", until=SUCCESSES if wait else None, output=output)


@click.command(epilog=examples("addonry cancel T-6923a1f0c0ffee --wait"))
@click.argument("task")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until everything is rolled back; the exit status is 1 when the task ended otherwise.",
)
@output_option()
@service_options
@click.pass_context
def cancel(ctx: click.Context, task: str, wait: bool, output: Format) -> None:
    """End a task; what it has begun is rolled back.

    Components of the task that are done already stay as they are.
    """
    _move(ctx, task, "cancel", "CancelTask", until=CANCELED if wait else None, output=output)


def _move(
    ctx: click.Context, task: str, word: str, action: str, *, until: frozenset[str] | None, output: Format
) -> None:
    with open_session(where_of(ctx)) as session:
        session.client.post(f"/tasks/{segment(task)}/{word}", action=action)
        if until is not None:
            wait_for(session, task, output, until=until)
            return
        told = read_task(session, task)
        rows = [(task, told["state"], f"asked to {told['wish']}" if told.get("wish") else "")]
        show(told, output, lambda: Table(("TASK", "STATE", "NOTE"), rows))
        if action == "ResumeTask" and told["state"] == "running":
            tell_how_to_follow(session, task)
