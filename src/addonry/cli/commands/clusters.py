"""``addonry clusters``: register, list, show and remove clusters."""

import json
from typing import Any

import click

from addonry.cli.client import segment
from addonry.cli.errors import WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of


@click.group(epilog=examples("addonry clusters add prod --context prod-admin"))
def clusters() -> None:
    """Register, list, show and remove clusters."""


@clusters.command(
    epilog=examples(
        "addonry clusters add prod --context prod-admin",
        "addonry clusters add sim-1 --kubeconfig ./sim-1.kubeconfig",
        "kubectl config view --raw --flatten --minify | addonry clusters add prod --kubeconfig -",
    )
)
@click.argument("name")
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig; - reads it from stdin.  [env: KUBECONFIG]")
@click.option("--context", metavar="NAME", help="The context to register; otherwise the current one.")
@click.option("--region", metavar="ID", default="", help="The region the cluster is filed under.")
@click.option("--allow-expiring", is_flag=True, help="Register even with a token that a plugin made and that expires.")
@output_option()
@service_options
@click.pass_context
def add(
    ctx: click.Context,
    name: str,
    kubeconfig: str | None,
    context: str | None,
    region: str,
    allow_expiring: bool,
    output: Format,
) -> None:
    """Register a cluster by its kubeconfig.

    One context is sent, with its files inlined, and is kept encrypted. What a kubeconfig's plugin (exec) hands out
    expires soon, so better register a service account's token.
    """
    from addonry.cli.kubeconfigs import read_kubeconfig

    chosen = read_kubeconfig(kubeconfig, context)
    uploaded = chosen.self_contained(allow_expiring=allow_expiring)
    body = {"name": name, "cluster_type": "ExternalKubernetes", "region_id": region, "kubeconfig": uploaded}
    with open_session(where_of(ctx)) as session:
        accepted = session.client.post("/clusters", body, action="CreateCluster")
        detail = session.client.get(f"/clusters/{segment(accepted['cluster_id'])}", action="DescribeClusterDetail")
    show(accepted, output, lambda: _table([detail]))


@clusters.command(name="list", epilog=examples("addonry clusters list -o json"))
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, output: Format) -> None:
    """List the registered clusters."""
    with open_session(where_of(ctx)) as session:
        found = session.clusters()
    told = {"clusters": found, "page_info": {"page_number": 1, "page_size": len(found), "total_count": len(found)}}
    show(told, output, lambda: _table(found))


@clusters.command(name="show", epilog=examples("addonry clusters show prod"))
@click.argument("cluster")
@output_option()
@service_options
@click.pass_context
def show_(ctx: click.Context, cluster: str, output: Format) -> None:
    """Show one cluster, by name or id."""
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        detail = session.client.get(f"/clusters/{segment(cluster_id)}", action="DescribeClusterDetail")
    show(detail, output, lambda: _details(detail))


@clusters.command(epilog=examples("addonry clusters remove sim-1"))
@click.argument("cluster")
@output_option()
@service_options
@click.pass_context
def remove(ctx: click.Context, cluster: str, output: Format) -> None:
    """Forget a cluster, by name or id. What runs there stays."""
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        accepted = session.client.delete(f"/clusters/{segment(cluster_id)}", action="DeleteCluster")
    show(accepted, output, lambda: Table(("REMOVED", "ID"), [(cluster, cluster_id)]))


@clusters.command(
    epilog=examples(
        "addonry clusters window prod --days Monday,Thursday --at 03:00 --hours 3 --enforce",
        "addonry clusters window prod --off",
    )
)
@click.argument("cluster")
@click.option("--days", default="Thursday", show_default=True, help="The days of the week on which it opens.")
@click.option("--at", default="03:00", show_default=True, metavar="HH:MM", help="When it opens, in UTC.")
@click.option("--hours", type=click.IntRange(1, 24), default=3, show_default=True, help="How long it stays open.")
@click.option("--enforce", is_flag=True, help="Nothing is changed outside of it; without this, it is told of.")
@click.option("--off", is_flag=True, help="No window any more.")
@service_options
@click.pass_context
def window(ctx: click.Context, cluster: str, days: str, at: str, hours: int, enforce: bool, off: bool) -> None:
    """Set the maintenance window of a cluster, in place of the one it has."""
    from addonry.rules.windows import read_window

    given: dict[str, Any] = {"enable": False}
    if not off:
        given = {
            "enable": True,
            "maintenance_time": f"{at}:00Z",
            "duration": f"{hours}h",
            "weekly_period": days,
            "enforce": enforce,
        }
        if read_window(given) is None:
            raise WrongUsage("--days or --at cannot be read; write Monday,Thursday and 03:00.", ctx=ctx)
    with open_session(where_of(ctx)) as session:
        path = f"/api/v2/clusters/{segment(session.cluster_id(cluster))}"
        session.client.put(path, {"maintenance_window": given})
    click.echo(
        f"Cluster {cluster} has {'no maintenance window' if off else f'a window: {days} from {at} for {hours} h'}."
    )


def _table(found: list[dict[str, Any]]) -> Table:
    rows = [
        (
            each["name"],
            each["cluster_id"],
            each.get("region_id", ""),
            each.get("current_version", ""),
            str(each.get("size", "")),
            each.get("state", ""),
        )
        for each in found
    ]
    notes = tuple(f"  {each['name']}: {each['trouble']}" for each in found if each.get("trouble"))
    empty = "No cluster is registered yet; register one with `addonry clusters add NAME`."
    return Table(("NAME", "ID", "REGION", "KUBERNETES", "NODES", "STATE"), rows, notes, empty=empty)


def _details(detail: dict[str, Any]) -> Table:
    rows = [
        ("name", detail["name"]),
        ("id", detail["cluster_id"]),
        ("region", detail.get("region_id", "")),
        ("state", detail.get("state", "")),
        ("kubernetes", detail.get("current_version", "")),
        ("nodes", str(detail.get("size", ""))),
        ("server", _server(detail.get("master_url", ""))),
        ("registered", detail.get("created", "")),
        ("last scan", detail.get("scanned_at", "")),
        ("trouble", detail.get("trouble", "")),
    ]
    return Table(("FIELD", "VALUE"), [row for row in rows if row[1]])


def _server(master_url: str) -> str:
    try:
        endpoints = json.loads(master_url or "{}")
    except ValueError:
        return ""
    return str(endpoints.get("api_server_endpoint") or endpoints.get("intranet_api_server_endpoint") or "")
