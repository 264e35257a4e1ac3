"""What a command line says about a component's values: ``--values FILE`` and ``--set KEY=VALUE``.

For the commands that send values. Nothing of a value stands in a message: it may be a password.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from addonry.cli.client import segment
from addonry.cli.errors import WrongUsage
from addonry.cli.session import Session

F = TypeVar("F", bound=Callable[..., Any])


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


def value_options(command: F) -> F:
    """The options ``--values`` and ``--set``; they arrive as *values* and *assignments*."""
    command = click.option(
        "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One value, for example replicas=2."
    )(command)
    return click.option(
        "--values",
        type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
        help="A YAML file with the component's values; - is stdin.",
    )(command)


def config_of(session: Session, cluster_id: str, name: str, said: Said) -> str:
    """The whole of the values to send for an installed component: the present ones where no file stands for them."""
    present = present_values(session, cluster_id, name) if said.file is None else {}
    return json.dumps(said.over(present))


def present_values(session: Session, cluster_id: str, name: str) -> Mapping[str, Any]:
    """The values that an installed component has now."""
    path = f"/clusters/{segment(cluster_id)}/addon_instances/{segment(name)}"
    config = session.client.get(path, action="GetClusterAddonInstance").get("config") or "{}"
    read = json.loads(config)
    return read if isinstance(read, dict) else {}


def read_values(ctx: click.Context, file: Path | None, assignments: tuple[str, ...], *, components: int) -> Said | None:
    """What was said about values; None when nothing was. Raises WrongUsage."""
    if file is None and not assignments:
        return None
    if components != 1:
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
