"""``addonry waivers``: findings of readiness checks that somebody takes upon themselves for a while."""

from typing import Any

import click

from addonry.cli.client import segment
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of

COLUMNS = ("ID", "CHECK", "COMPONENT", "UNTIL", "OWNER", "REASON")


@click.group(
    epilog=examples(
        'addonry waivers add prod WorkloadUnhealthy coredns --until 2027-01-31 --reason "one flaky node, ticket 4711"',
        "addonry waivers list prod",
    )
)
def waivers() -> None:
    """Let a readiness check pass for a while, with a reason; see what was waived."""


@waivers.command(
    epilog=examples('addonry waivers add prod NoPodSlots --until 2027-01-31 --reason "autoscaler adds nodes"')
)
@click.argument("cluster")
@click.argument("check")
@click.argument("component", required=False, default="")
@click.option("--reason", required=True, help="Why it may be passed over.")
@click.option("--until", required=True, metavar="DAY", help="The last day on which it counts, as 2027-01-31.")
@click.option("--owner", default="", help="Who answers for it; without it, whoever asks.")
@output_option()
@service_options
@click.pass_context
def add(
    ctx: click.Context, cluster: str, check: str, component: str, reason: str, until: str, owner: str, output: Format
) -> None:
    """Waive a check of one component, or of all: it is told as before, and no longer blocks."""
    body = {"check": check, "component": component, "reason": reason, "until": until, "owner": owner}
    with open_session(where_of(ctx)) as session:
        path = f"/addonry/v1/clusters/{segment(session.cluster_id(cluster))}/waivers"
        made = session.client.post(path, body)
    show(made, output, lambda: _table([made]))


@waivers.command(name="list", epilog=examples("addonry waivers list prod"))
@click.argument("cluster")
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, cluster: str, output: Format) -> None:
    """List the waivers of a cluster, with those that have expired."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get(f"/addonry/v1/clusters/{segment(session.cluster_id(cluster))}/waivers")
    show(told, output, lambda: _table(told["waivers"]))


@waivers.command(epilog=examples("addonry waivers remove prod w-0f3a9c2e"))
@click.argument("cluster")
@click.argument("waiver")
@service_options
@click.pass_context
def remove(ctx: click.Context, cluster: str, waiver: str) -> None:
    """Take a waiver back, by its id."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"/addonry/v1/clusters/{segment(session.cluster_id(cluster))}/waivers/{segment(waiver)}")
    click.echo(f"Removed waiver {waiver}.")


def _table(told: list[dict[str, Any]]) -> Table:
    rows = [
        (
            each["waiver_id"],
            each["check"],
            each["component"] or "all",
            f"{each['until'][:16].replace('T', ' ')}{' (expired)' if each['expired'] else ''}",
            each["owner"],
            each["reason"],
        )
        for each in told
    ]
    return Table(COLUMNS, rows, empty="Nothing is waived.")
