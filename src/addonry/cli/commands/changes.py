"""``addonry install``, ``upgrade``, ``configure`` and ``uninstall``: tasks, waited for or not."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from addonry.cli.client import ApiError, segment
from addonry.cli.errors import Failed, WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.progress import is_paused_canary, tell_how_to_follow, wait_for
from addonry.cli.session import Session, open_session, service_options, where_of
from addonry.cli.values import config_of, read_values, value_options


@dataclass(frozen=True, slots=True)
class Wanted:
    """A component and the version wanted of it; an empty one is the newest that fits."""

    name: str
    version: str


def read_wanted(_ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[Wanted, ...]:
    """The components of a command line, as ``NAME`` or ``NAME@VERSION``, each once."""
    wanted = []
    for value in values:
        # The last @: a second release of a component has one in its name (coredns@team-a).
        name, at, version = value.rpartition("@") if "@" in value else (value, "", "")
        if not name or (at and not version):
            raise click.BadParameter(f"{value!r} is not NAME or NAME@VERSION.")
        wanted.append(Wanted(name, version))
    if len({each.name for each in wanted}) < len(wanted):
        raise click.BadParameter("A component is named twice.")
    return tuple(wanted)


_components = click.argument("components", nargs=-1, required=True, metavar="NAME[@VERSION]...", callback=read_wanted)
_wait = click.option(
    "--wait",
    is_flag=True,
    help="Wait until the task has ended, or a canary is paused; the exit status is 1 when it failed or was canceled.",
)
canary_option = click.option(
    "--canary", is_flag=True, help="Change the first pods only, then pause; `addonry resume` goes on, `cancel` back."
)
edits_option = click.option(
    "--edits",
    type=click.Choice(["overwrite", "preserve", "none"]),
    default="overwrite",
    show_default=True,
    help="What becomes of fields that others have set: take them, keep them, or refuse when there are any.",
)

unsafe_option = click.option(
    "--allow-unsafe-crds",
    is_flag=True,
    help="Let CRDs change in a way that may break what is stored in them; a plan says which.",
)


@click.command(
    epilog=examples(
        "addonry install prod node-problem-detector --wait",
        "addonry install prod metrics-server@3.13.0 --set replicas=2",
    )
)
@click.argument("cluster")
@_components
@_wait
@canary_option
@unsafe_option
@value_options
@output_option()
@service_options
@click.pass_context
def install(
    ctx: click.Context,
    cluster: str,
    components: tuple[Wanted, ...],
    wait: bool,
    canary: bool,
    allow_unsafe_crds: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Install components, as one task.

    Without a version, the newest that fits the cluster. --values and --set need a single component.
    """
    said = read_values(ctx, values, assignments, components=len(components))
    more: dict[str, Any] = {} if said is None else {"config": json.dumps(said.over({}))}
    if canary:
        more["canary"] = True
    if allow_unsafe_crds:
        more["unsafe_crds"] = True
    body = [{"name": each.name, "version": each.version, **more} for each in components]
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        path = f"/clusters/{segment(cluster_id)}/components/install"
        accepted = session.client.post(path, body, action="InstallClusterAddons")
        _finish(session, accepted, wait=wait, output=output)


@click.command(
    epilog=examples(
        "addonry upgrade prod metrics-server coredns --wait",
        "addonry upgrade prod ingress-nginx@4.13.3 --set controller.replicaCount=3",
        "addonry upgrade prod coredns --canary --edits preserve --wait",
    )
)
@click.argument("cluster")
@_components
@_wait
@canary_option
@edits_option
@unsafe_option
@value_options
@output_option()
@service_options
@click.pass_context
def upgrade(
    ctx: click.Context,
    cluster: str,
    components: tuple[Wanted, ...],
    wait: bool,
    canary: bool,
    edits: str,
    allow_unsafe_crds: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Upgrade components, as one task.

    Without a version, to the newest that fits the cluster. The present values are kept; --values takes a file's in
    place of them, and --set changes single ones of the file's or the present ones. An upgrade that fails is rolled
    back. Where versions must not be skipped, --wait goes the whole way, with a task for each upgrade.
    """
    said = read_values(ctx, values, assignments, components=len(components))
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        more = manner_of(canary=canary, edits=edits, unsafe_crds=allow_unsafe_crds, policy=True)
        if said is not None:
            more["config"] = config_of(session, cluster_id, components[0].name, said)
        legs = legs_of(session, cluster_id, components) if wait else (components,)
        for number, leg in enumerate(legs):
            if len(legs) > 1:
                goes = ", ".join(f"{each.name} {each.version}" for each in leg)
                click.echo(f"Upgrade {number + 1} of {len(legs)}: {goes}", err=True)
            # Values are given once: those that come after keep them.
            given = {key: value for key, value in more.items() if number == 0 or key != "config"}
            body = [{"component_name": each.name, "next_version": each.version, **given} for each in leg]
            path = f"/clusters/{segment(cluster_id)}/components/upgrade"
            accepted = session.client.post(path, body, action="UpgradeClusterAddons")
            told = _finish(session, accepted, wait=wait, output=output)
            if told is not None and is_paused_canary(told):
                break


@click.command(
    epilog=examples(
        "addonry configure prod metrics-server --set replicas=2 --wait",
        "addonry configure prod ingress-nginx --values ingress.yaml --canary",
    )
)
@click.argument("cluster")
@click.argument("name")
@_wait
@canary_option
@edits_option
@unsafe_option
@value_options
@output_option()
@service_options
@click.pass_context
def configure(
    ctx: click.Context,
    cluster: str,
    name: str,
    wait: bool,
    canary: bool,
    edits: str,
    allow_unsafe_crds: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Give an installed component other values; its version stays.

    --values takes a file's in place of the present ones, and --set changes single ones of the file's or the present
    ones. What fails is rolled back.
    """
    said = read_values(ctx, values, assignments, components=1)
    if said is None:
        raise WrongUsage("Say which values: --set KEY=VALUE or --values FILE.", ctx=ctx)
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        config = config_of(session, cluster_id, name, said)
        body = [
            {"name": name, "config": config, **manner_of(canary=canary, edits=edits, unsafe_crds=allow_unsafe_crds)}
        ]
        accepted = session.client.post(f"/addonry/v1/clusters/{segment(cluster_id)}/configure", body)
        _finish(session, accepted, wait=wait, output=output)


@click.command(epilog=examples("addonry uninstall prod node-problem-detector --wait"))
@click.argument("cluster")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--wait", is_flag=True, help="Wait until the task has ended; the exit status is 1 when it failed.")
@click.option("--yes", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@output_option()
@service_options
@click.pass_context
def uninstall(ctx: click.Context, cluster: str, names: tuple[str, ...], wait: bool, yes: bool, output: Format) -> None:
    """Uninstall components, as one task. CRDs, volumes and namespaces stay.

    It cannot be taken back once Helm has begun.
    """
    if len(set(names)) < len(names):
        raise WrongUsage("A component is named twice.", ctx=ctx)
    if not yes and not is_somebody_there():
        raise WrongUsage("Nobody can be asked here, so --yes is needed.", ctx=ctx)
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        if not yes and not click.confirm(f"Uninstall {', '.join(names)} from {cluster}?", err=True):
            raise Failed("Nothing was uninstalled.")
        session.freshen(cluster_id)
        path = f"/clusters/{segment(cluster_id)}/components/uninstall"
        accepted = session.client.post(path, [{"name": name} for name in names], action="UnInstallClusterAddons")
        _finish(session, accepted, wait=wait, output=output)


def is_somebody_there() -> bool:
    """Whether a question would be seen and could be answered."""
    return sys.stdin.isatty()


def manner_of(*, canary: bool, edits: str, unsafe_crds: bool, policy: bool = False) -> dict[str, Any]:
    """The members that say how a change is made, where it is another way than the usual; *policy* as ACK spells it."""
    told: dict[str, Any] = {}
    if canary:
        told |= {"policy": "canary"} if policy else {"canary": True}
    if unsafe_crds:
        told["unsafe_crds"] = True
    return told if edits == "overwrite" else {**told, "edits": edits}


def legs_of(session: Session, cluster_id: str, components: Sequence[Wanted]) -> tuple[tuple[Wanted, ...], ...]:
    """What to upgrade in one task after another: each component goes one version further on its way."""
    path = f"/addonry/v1/clusters/{segment(cluster_id)}/paths"
    try:
        told = session.client.post(path, [{"name": each.name, "version": each.version} for each in components])
    except ApiError:
        # ACK has no such call, and what is wrong with the request the upgrade itself says best.
        return (tuple(components),)
    ways = [list(each["path"]) for each in told["paths"]]
    if not any(len(way) > 1 for way in ways):
        return (tuple(components),)
    ways = [way or [each.version] for way, each in zip(ways, components, strict=True)]
    return tuple(
        tuple(Wanted(each.name, way[at]) for each, way in zip(components, ways, strict=True) if at < len(way))
        for at in range(max(map(len, ways)))
    )


def _finish(session: Session, accepted: dict[str, Any], *, wait: bool, output: Format) -> dict[str, Any] | None:
    """How the task ended, where it was waited for."""
    task = accepted["task_id"]
    if wait:
        return wait_for(session, task, output)
    show(accepted, output, lambda: Table(("TASK",), [(task,)]))
    tell_how_to_follow(session, task)
    return None
