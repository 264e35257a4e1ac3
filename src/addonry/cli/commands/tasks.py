"""``addonry tasks``: list tasks, show one, wait for one."""

from typing import Any, Final

import click

from addonry.cli.client import segment
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.progress import length_of, look_at, read_task, wait_for
from addonry.cli.session import Session, open_session, service_options, where_of


@click.group(epilog=examples("addonry tasks list --cluster prod"))
def tasks() -> None:
    """List tasks, show one, or wait for one."""


@tasks.command(
    name="list", epilog=examples("addonry tasks list --state running", "addonry tasks list --cluster prod -o json")
)
@click.option("--cluster", help="Only those of this cluster, by name or id.")
@click.option(
    "--state", type=click.Choice(["running", "paused", "success", "fail", "canceled"]), help="Only those in this state."
)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, cluster: str | None, state: str | None, limit: int, output: Format) -> None:
    """List tasks, newest first."""
    query = {"state": state} if state else {}
    with open_session(where_of(ctx)) as session:
        names = {each["cluster_id"]: each["name"] for each in session.clusters()}
        path, action = "/addonry/v1/tasks", None
        if cluster:
            path, action = f"/clusters/{segment(session.cluster_id(cluster))}/tasks", "DescribeClusterTasks"
        found = list(session.pages(path, "tasks", query, action=action, most=limit))
    told = {"tasks": found, "page_info": {"page_number": 1, "page_size": limit, "total_count": len(found)}}
    show(told, output, lambda: _table(found, names))


@tasks.command(
    name="show", epilog=examples("addonry tasks show T-6923a1f0c0ffee", "addonry tasks show T-6923a1f0c0ffee --wait")
)
@click.argument("task")
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until it has ended, or a canary is paused; the exit status is 1 when it failed or was canceled.",
)
@output_option()
@service_options
@click.pass_context
def show_(ctx: click.Context, task: str, wait: bool, output: Format) -> None:
    """Show a task with its steps."""
    with open_session(where_of(ctx)) as session:
        if wait:
            wait_for(session, task, output)
            return
        told = read_task(session, task)
        show(told, output, lambda: _details(session, told))


_UNDER_WAY: Final = frozenset({"running", "paused"})


def _table(found: list[dict[str, Any]], names: dict[str, str]) -> Table:
    rows = [
        (
            each["task_id"],
            each["task_type"].removeprefix("cluster_addon_").removeprefix("cluster_"),
            names.get(each.get("cluster_id", ""), each.get("cluster_id", "")),
            " ".join(_versions(one) for one in each.get("components") or ()),
            each["state"] + (f" {each['percent']}%" if each["state"] in _UNDER_WAY and "percent" in each else ""),
            each["created"],
            (each.get("error") or {}).get("code", ""),
        )
        for each in found
    ]
    return Table(
        ("TASK", "WHAT", "CLUSTER", "COMPONENTS", "STATE", "CREATED", "ERROR"), rows, empty="There are no such tasks."
    )


def _versions(one: dict[str, Any]) -> str:
    return f"{one['data']}@{one['to_version']}" if one.get("to_version") else one["data"]


def _details(session: Session, told: dict[str, Any]) -> Table:
    rows = [
        (
            stage["outputs"].get("component", ""),
            stage["outputs"].get("name", ""),
            stage["state"],
            stage["start_time"],
            stage["end_time"],
            stage["message"],
        )
        for stage in told.get("stages") or ()
    ]
    names = {each["cluster_id"]: each["name"] for each in session.clusters()}
    cluster = names.get(told["cluster_id"], told["cluster_id"])
    kind = told["task_type"].removeprefix("cluster_addon_").removeprefix("cluster_")
    look = look_at(told)
    asked = f", asked to {told['wish']}" if told.get("wish") else ""
    left = f", {length_of(look.left)} left" if look.left is not None else ""
    head = f"{told['task_id']}: {kind} on {cluster}, {told['state']}{asked}, {look.percent}%{left}"
    notes = [head]
    for each in told.get("task_result") or ():
        change = f"{each.get('from_version') or 'nothing'} -> {each.get('to_version') or 'nothing'}"
        notes.append(f"  {each['data']}: {change} {each.get('state') or each['status']}")
        notes += [f"    {remark}" for remark in each.get("remarks") or ()]
    notes += [f"  {look.what}: {look.words}"] if look.words and told["state"] in _UNDER_WAY else []
    error = told.get("error") or {}
    notes += [f"  {error['message']} ({error['code']})"] if error.get("code") else []
    return Table(
        ("COMPONENT", "STEP", "STATE", "BEGAN", "ENDED", "NOTE"), rows, tuple(notes), empty="No step has begun."
    )
