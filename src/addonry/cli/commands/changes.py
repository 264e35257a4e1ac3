"""``addonry install`` and ``addonry upgrade``: tasks, waited for or not."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from addonry.cli.client import segment
from addonry.cli.errors import WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.progress import tell_how_to_follow, wait_for
from addonry.cli.session import Session, open_session, service_options, where_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """A component and the version wanted of it; an empty one is the newest that fits."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Said:
    """What the command line says about values: a file's, and single ones over them."""

    file: Mapping[str, Any] | None = field(repr=False)
    single: tuple[tuple[list[str], Any], ...] = field(repr=False)

    def over(self, present: Mapping[str, Any]) -> dict[str, Any]:
        """The whole of the values to send; without a file they are the present ones with the single ones changed."""
        values = dict(present if self.file is None else self.file)
        for path, value in self.single:
            values = put(values, path, value)
        return values


def _wanted(_ctx: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> tuple[Wanted, ...]:
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


_components = click.argument("components", nargs=-1, required=True, metavar="NAME[@VERSION]...", callback=_wanted)
_wait = click.option("--wait", is_flag=True, help="Wait until the task has ended; 1 is the exit status when it failed.")
_values = click.option(
    "--values",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="A YAML file with the component's values; - is stdin.",
)
_set = click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One value, for example replicas=2."
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
@_values
@_set
@output_option()
@service_options
@click.pass_context
def install(
    ctx: click.Context,
    cluster: str,
    components: tuple[Wanted, ...],
    wait: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Install components, as one task.

    Without a version, the newest that fits the cluster. --values and --set need a single component.
    """
    said = _read_values(ctx, components, values, assignments)
    config = {} if said is None else {"config": json.dumps(said.over({}))}
    body = [{"name": each.name, "version": each.version, **config} for each in components]
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
    )
)
@click.argument("cluster")
@_components
@_wait
@_values
@_set
@output_option()
@service_options
@click.pass_context
def upgrade(
    ctx: click.Context,
    cluster: str,
    components: tuple[Wanted, ...],
    wait: bool,
    values: Path | None,
    assignments: tuple[str, ...],
    output: Format,
) -> None:
    """Upgrade components, as one task.

    Without a version, to the newest that fits the cluster. The present values are kept; --values takes a file's in
    place of them, and --set changes single ones of the file's or the present ones. An upgrade that fails is rolled
    back.
    """
    said = _read_values(ctx, components, values, assignments)
    with open_session(where_of(ctx)) as session:
        cluster_id = session.cluster_id(cluster)
        session.freshen(cluster_id)
        config = {}
        if said is not None:
            present = _present_values(session, cluster_id, components[0].name) if said.file is None else {}
            config = {"config": json.dumps(said.over(present))}
        body = [{"component_name": each.name, "next_version": each.version, **config} for each in components]
        path = f"/clusters/{segment(cluster_id)}/components/upgrade"
        accepted = session.client.post(path, body, action="UpgradeClusterAddons")
        _finish(session, accepted, wait=wait, output=output)


def _finish(session: Session, accepted: dict[str, Any], *, wait: bool, output: Format) -> None:
    task = accepted["task_id"]
    if wait:
        wait_for(session, task, output)
        return
    show(accepted, output, lambda: Table(("TASK",), [(task,)]))
    tell_how_to_follow(session, task)


def _present_values(session: Session, cluster_id: str, name: str) -> Mapping[str, Any]:
    path = f"/clusters/{segment(cluster_id)}/addon_instances/{segment(name)}"
    config = session.client.get(path, action="GetClusterAddonInstance").get("config") or "{}"
    read = json.loads(config)
    return read if isinstance(read, dict) else {}


def _read_values(
    ctx: click.Context, components: tuple[Wanted, ...], file: Path | None, assignments: tuple[str, ...]
) -> Said | None:
    """What was said about values; None when nothing was. Raises WrongUsage."""
    if file is None and not assignments:
        return None
    if len(components) > 1:
        raise WrongUsage("--values and --set need a single component.", ctx=ctx)
    pairs = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise WrongUsage(f"--set {assignment!r} is not KEY=VALUE.", ctx=ctx)
        # Named by its key alone: the value may be a password.
        pairs.append((split_path(path), _read_yaml(ctx, text, f"The value of --set {path}")))
    return Said(None if file is None else _read_file(ctx, file), tuple(pairs))


def split_path(path: str) -> list[str]:
    """The keys of ``a.b.c``; a dot behind a backslash belongs to its key, as in Helm."""
    return [part.replace("\0", ".") for part in path.replace("\\.", "\0").split(".")]


def put(values: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """*values* with *value* at *path*; what stands in the way is replaced."""
    first, *rest = path
    below = values.get(first)
    inner = put(below if isinstance(below, dict) else {}, rest, value) if rest else value
    return {**values, first: inner}


def _read_file(ctx: click.Context, file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise WrongUsage(f"--values {file} cannot be read: {reason}.", ctx=ctx) from None
    read = _read_yaml(ctx, text, f"--values {file}")
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise WrongUsage(f"--values {file} holds no mapping.", ctx=ctx)
    return dict(read)


def _read_yaml(ctx: click.Context, text: str, what: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Leaves a date the text that it is, as Helm does."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    try:
        read = yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
        # A set or an infinity is YAML too, but no value that could be sent.
        json.dumps(read, allow_nan=False)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        raise WrongUsage(f"{what} is no YAML that JSON could say as well.", ctx=ctx) from None
    return read
