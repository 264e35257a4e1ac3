"""``addonry status``: DescribeClusterAddonsUpgradeStatus, as a table for people."""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import click

from addonry.cli.client import ApiError, segment
from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, is_blocking, lines_of, output_option, print_table, show
from addonry.cli.session import Session, open_session, service_options, where_of
from addonry.cli.standing import FailOn, fail_on_option, judge, standing_of

OPERATION: Final = "DescribeClusterAddonsUpgradeStatus"
COLUMNS: Final = ("COMPONENT", "VERSION", "OWNER", "HEALTH", "NEXT", "STATE", "LAST TASK")
WATCH_SECONDS: Final = 1.0
NEVER: Final = "0001-01-01T00:00:00Z"


@click.command(
    epilog=examples(
        "addonry status prod",
        "addonry status prod metrics-server coredns -o json",
        "addonry status prod --watch",
    )
)
@click.argument("cluster")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-w", "--watch", is_flag=True, help="Go on, and print again whenever something has changed.")
@output_option(Format.XML)
@fail_on_option
@service_options
@click.pass_context
def status(
    ctx: click.Context,
    cluster: str,
    names: tuple[str, ...],
    watch: bool,
    output: Format,
    fail_on: tuple[FailOn, ...],
) -> None:
    """Show a cluster's components: version, readiness and the last task of each.

    CLUSTER is a name or an id. Without NAME, the table shows what is installed, and the other formats everything
    that is installed or could be. json and xml are the answer of DescribeClusterAddonsUpgradeStatus. --fail-on makes
    the exit status 1 when a component meets the condition.
    """
    if watch and output is not Format.TABLE:
        raise WrongUsage("--watch prints tables only.", ctx=ctx)
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        if watch:
            _watch(session, cluster_id, names)
        told = read_status(session, cluster_id, names)
        if output is Format.XML:
            click.echo(session.client.get_xml(_path(cluster_id), _query(names), action=OPERATION), nl=False)
        elif told or not names or output is not Format.TABLE:
            show(told, output, lambda: status_table(session, cluster_id, names, told))
        _refuse_unknown(names, told)
        if fail_on:
            known = _components(session, cluster_id)
            judge((known[name] for name in told if name in known), fail_on)


def read_status(session: Session, cluster_id: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The answer of the operation."""
    answer: dict[str, Any] = session.client.get(_path(cluster_id), _query(names), action=OPERATION)
    return answer


def _path(cluster_id: str) -> str:
    return f"/clusters/{segment(cluster_id)}/components/upgradestatus"


def _query(names: tuple[str, ...]) -> dict[str, str] | None:
    return {"componentIds": json.dumps(list(names))} if names else None


def _refuse_unknown(names: tuple[str, ...], told: Mapping[str, Any]) -> None:
    missing = [name for name in names if name not in told]
    if missing:
        raise Failed(
            f"Neither installed nor in the catalog: {', '.join(missing)}.",
            remedy="List what can be had with `addonry catalog list`.",
        )


def _watch(session: Session, cluster_id: str, names: tuple[str, ...]) -> None:
    before: Table | None = None
    while True:
        told = read_status(session, cluster_id, names)
        table = status_table(session, cluster_id, names, told)
        if table != before:
            if before is not None:
                click.echo()
            print_table(table)
            before = table
        time.sleep(WATCH_SECONDS)


def status_table(session: Session, cluster_id: str, names: tuple[str, ...], told: Mapping[str, Any]) -> Table:
    """The answer as a table, with what Addonry knows beyond it."""
    known = _components(session, cluster_id)
    shown = {name: each for name, each in told.items() if names or each["addon_info"]["version"]}
    rows = [_row(name, each, known.get(name, {})) for name, each in shown.items()]
    notes = lines_of((name, each) for name in shown for each in known.get(name, {}).get("findings") or ())
    notes = [*_staleness(session, cluster_id), *notes]
    return Table(COLUMNS, rows, tuple(notes), empty="Nothing is installed that Addonry could look after.")


def _staleness(session: Session, cluster_id: str) -> list[str]:
    """A line that says how old the answer is, while the cluster cannot be looked at."""
    try:
        detail = session.client.get(f"/clusters/{segment(cluster_id)}", action="DescribeClusterDetail")
    except ApiError:
        # A key may be allowed to ask for the status and nothing else.
        return []
    if not detail.get("trouble"):
        return []
    seen = detail.get("scanned_at") or "never"
    return [f"  {detail['name']} was last seen {seen}: {detail['trouble']}"]


def _components(session: Session, cluster_id: str) -> dict[str, dict[str, Any]]:
    """What Addonry knows beyond the published answer; nothing when the service is ACK."""
    try:
        answer = session.client.get(f"/addonry/v1/clusters/{segment(cluster_id)}/components")
    except ApiError as error:
        if error.status == 404:
            return {}
        raise
    return {each["name"]: each for each in answer["components"]}


def _row(name: str, told: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        name,
        told["addon_info"]["version"] or "not installed",
        known.get("owner", ""),
        known.get("health", ""),
        known.get("target", ""),
        _state(told, known),
        _last_task(told["tasks"], known.get("task")),
    )


def _state(told: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if told["addon_info"]["ready_to_upgrade"] != "true":
        blocking = [each["id"] for each in known.get("findings") or () if is_blocking(each)]
        return " ".join(["BLOCKED", *blocking[:1]])
    if told.get("can_upgrade"):
        return "READY"
    # ACK, and a service older than this command, do not say what is newest: then what they offer is believed.
    told_at_least = {"newest": told["addon_info"]["version"], "can_upgrade": False, "findings": ()}
    return standing_of({**told_at_least, **known})


def _last_task(task: Mapping[str, Any], known: Mapping[str, Any] | None) -> str:
    if task["created_at"] == NEVER:
        return "" if task["status"] == "Success" else str(task["status"])
    if known and known.get("state") in {"running", "paused"}:
        to = f" to {known['to_version']}" if known["to_version"] else ""
        stall = f", {known['stall']}" if known.get("stall") else ""
        return f"{task['status']} {known['percent']}%{to}{stall}"
    ended = task["finished_at"] if task["finished_at"] != NEVER else task["created_at"]
    return f"{task['status']} {ended}"
