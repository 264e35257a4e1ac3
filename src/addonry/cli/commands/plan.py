"""``addonry plan``: what a change would do, read before it is asked for."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from addonry.cli.client import ApiError, segment
from addonry.cli.commands.changes import (
    Wanted,
    canary_option,
    edits_option,
    manner_of,
    read_wanted,
    unsafe_option,
)
from addonry.cli.differences import lines_of_change
from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, is_blocking, lines_of, output_option, show
from addonry.cli.progress import length_of
from addonry.cli.session import Session, open_session, service_options, where_of
from addonry.cli.values import Said, config_of, read_values, value_options


@click.command(
    epilog=examples(
        "addonry plan prod",
        "addonry plan prod ingress-nginx@4.13.3 --edits preserve",
        "addonry plan prod metrics-server --configure --set replicas=2",
        "addonry plan prod --kubernetes 1.37",
    )
)
@click.argument("cluster")
@click.argument("components", nargs=-1, metavar="[NAME[@VERSION]...]", callback=read_wanted)
@click.option(
    "--kubernetes",
    "--target",
    metavar="MINOR",
    help="Plan an upgrade of the cluster to this minor: what to upgrade before and after, and what is in the way.",
)
@click.option("--configure", is_flag=True, help="Plan other values for the version that runs.")
@canary_option
@edits_option
@unsafe_option
@value_options
@output_option()
@service_options
@click.pass_context
def plan(
    ctx: click.Context,
    cluster: str,
    components: tuple[Wanted, ...],
    kubernetes: str | None,
    configure: bool,
    canary: bool,
    edits: str,
    allow_unsafe_crds: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Show what an upgrade or install would do, without doing it.

    Charts are rendered, compared field by field with what is there, and sent to the cluster as a dry run, so that fields
    which others have set, CRDs that change and objections are known beforehand. What may be a secret is not shown. Without names, everything that is ready to be upgraded. The exit status is 1 when
    the cluster objects to something.
    """
    if kubernetes is not None:
        if components or configure:
            raise WrongUsage("--kubernetes plans all components of the cluster; name none, and no values.", ctx=ctx)
        _plan_cluster_upgrade(ctx, cluster, kubernetes, output)
        return
    said = read_values(ctx, values, assignments, components=len(components))
    if configure and (said is None or components[0].version):
        raise WrongUsage("--configure needs NAME without a version, and --set or --values.", ctx=ctx)
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        wanted, notes = (components, ()) if components else _ready(session, cluster_id)
        manner = manner_of(canary=canary, edits=edits, unsafe_crds=allow_unsafe_crds)
        body: list[dict[str, Any]] = [{"name": each.name, "version": each.version, **manner} for each in wanted]
        if configure:
            body[0]["action"] = "configure"
        if said is not None:
            body[0]["config"] = _config(session, cluster_id, wanted[0].name, said)
        # Nothing to ask about is an answer too, and no error.
        path = f"/addonry/v1/clusters/{segment(cluster_id)}/plan"
        changes = session.client.post(path, body)["changes"] if body else []
    empty = f"Nothing on {cluster} is ready to be upgraded."
    show({"changes": changes}, output, lambda: _table(changes, notes, empty))
    broken = [each["component_name"] for each in changes if each["error"]["code"]]
    if broken:
        raise Failed(f"This cannot be done as planned: {', '.join(broken)}.")


def _plan_cluster_upgrade(ctx: click.Context, cluster: str, kubernetes: str, output: Format) -> None:
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        path = f"/addonry/v1/clusters/{segment(cluster_id)}/upgradeplan"
        told = session.client.get(path, {"version": kubernetes})
    legs = {"legs": told["legs"], "is_possible": told["is_possible"]}
    show(legs, output, lambda: _legs_table(told["legs"], f"Nothing has to be upgraded for Kubernetes {kubernetes}."))
    if not told["is_possible"]:
        last = told["legs"][-1]
        stopping = ", ".join(each["component_name"] for each in last["blocked"])
        raise Failed(f"Kubernetes {last['to_kubernetes']} cannot be come to: {stopping}.")


def _legs_table(legs: Sequence[Mapping[str, Any]], empty: str) -> Table:
    rows = [
        (leg["to_kubernetes"], side, each["component_name"], each["version"], " -> ".join(each["path"]), each["reason"])
        for leg in legs
        for side in ("before", "after")
        for each in leg[side]
    ]
    rows += [
        (leg["to_kubernetes"], "BLOCKED", each["component_name"], each["version"], "", each["message"])
        for leg in legs
        for each in leg["blocked"]
    ]
    notes = [f"  {each['component_name']}: {each['remedy']}" for leg in legs for each in leg["blocked"]]
    unknown = dict.fromkeys(name for leg in legs for name in leg["unknown"])
    if unknown:
        notes.append(f"  Nobody knows which Kubernetes these run on: {', '.join(unknown)}.")
    columns = ("KUBERNETES", "WHEN", "COMPONENT", "FROM", "TO", "WHY")
    return Table(columns, rows, tuple(notes), empty=empty)


def _ready(session: Session, cluster_id: str) -> tuple[tuple[Wanted, ...], tuple[str, ...]]:
    """What is installed and ready to be upgraded; and a line for each reason why others are not."""
    known = session.client.get(f"/addonry/v1/clusters/{segment(cluster_id)}/components")["components"]
    newer = [each for each in known if each["installed"] and each["can_upgrade"]]
    stopped = [each for each in newer if not each["ready"]]
    notes = lines_of((each["name"], one) for each in stopped for one in each["findings"] if is_blocking(one))
    return tuple(Wanted(each["name"], "") for each in newer if each["ready"]), tuple(notes)


def _config(session: Session, cluster_id: str, name: str, said: Said) -> str:
    try:
        return config_of(session, cluster_id, name, said)
    except ApiError as error:
        if error.code != "AddonNotFound":
            raise
        # It is not installed, so there are no present values that single ones could be set among.
        return json.dumps(said.over({}))


def _table(changes: Sequence[Mapping[str, Any]], notes: tuple[str, ...], empty: str) -> Table:
    rows = [
        (
            each["component_name"],
            each["action"] + (" (canary)" if each["canary"] else ""),
            each["version"],
            each["next_version"],
            "unknown" if each["seconds"] is None else length_of(each["seconds"]),
        )
        for each in changes
    ]
    told = [line for each in changes for line in _details(each)]
    return Table(("COMPONENT", "WHAT", "FROM", "TO", "TAKES"), rows, (*told, *notes), empty=empty)


def _details(change: Mapping[str, Any]) -> list[str]:
    """The steps in their order, what a person should know of them, and what the cluster objects to."""
    name, error = change["component_name"], change["error"]
    lines = [f"  {name}: {', '.join(change['steps'])}", *(f"  {name}: {remark}" for remark in change["remarks"])]
    if change["point_of_no_return"]:
        lines.append(f"  {name}: what {change['point_of_no_return']} does is not taken back by a rollback.")
    lines += lines_of_change(change)
    return [*lines, *(lines_of([(name, error)]) if error["code"] else ())]
