"""``addonry users``, ``policies`` and ``audit``: who may do what, and who did what."""

import json
import sys
from pathlib import Path

import click

from addonry.cli.client import segment
from addonry.cli.errors import Failed
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of

USERS = "/addonry/v1/users"
POLICIES = "/addonry/v1/policies"


@click.group(epilog=examples("addonry users create ann", "addonry policies attach AliyunCSReadOnlyAccess ann"))
def users() -> None:
    """Create, list and remove users, who may do what their policies allow."""


@users.command(epilog=examples("addonry users create ann"))
@click.argument("name")
@service_options
@click.pass_context
def create(ctx: click.Context, name: str) -> None:
    """Make a user, who may do nothing until a policy is attached."""
    with open_session(where_of(ctx)) as session:
        session.client.post(USERS, {"name": name})
    click.echo(f"Created user {name}. Next: addonry policies attach AliyunCSReadOnlyAccess {name}")


@users.command(name="list", epilog=examples("addonry users list"))
@output_option()
@service_options
@click.pass_context
def list_users(ctx: click.Context, output: Format) -> None:
    """List the users with their policies."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get(USERS)
    rows = [(each["name"], each["created_at"], ", ".join(each["policies"])) for each in told["users"]]
    show(told, output, lambda: Table(("NAME", "CREATED", "POLICIES"), rows))


@users.command(name="remove", epilog=examples("addonry users remove ann"))
@click.argument("name")
@service_options
@click.pass_context
def remove_user(ctx: click.Context, name: str) -> None:
    """Forget a user with all access keys."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"{USERS}/{segment(name)}")
    click.echo(f"Removed user {name} with all access keys.")


@click.group(
    epilog=examples(
        "addonry policies list",
        "addonry policies put upgrade-prod prod.json",
        "addonry policies attach upgrade-prod ann",
    )
)
def policies() -> None:
    """Write policies in the language of ACK's RAM, and attach them to users."""


@policies.command(name="list", epilog=examples("addonry policies list"))
@output_option()
@service_options
@click.pass_context
def list_policies(ctx: click.Context, output: Format) -> None:
    """List the system policies and those of your own."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get(POLICIES)
    rows = [(each["name"], each["type"], each["updated_at"], each["description"]) for each in told["policies"]]
    show(told, output, lambda: Table(("NAME", "TYPE", "UPDATED", "DESCRIPTION"), rows))


@policies.command(name="show", epilog=examples("addonry policies show AliyunCSReadOnlyAccess"))
@click.argument("name")
@service_options
@click.pass_context
def show_policy(ctx: click.Context, name: str) -> None:
    """Print a policy's document, as `put` takes it."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get(f"{POLICIES}/{segment(name)}")
    click.echo(json.dumps(told["document"], indent=2))


@policies.command(
    epilog=examples("addonry policies put upgrade-prod prod.json", "addonry policies put upgrade-prod - < prod.json")
)
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--description", default="", help="What it is for.")
@service_options
@click.pass_context
def put(ctx: click.Context, name: str, file: Path, description: str) -> None:
    """Add a policy, or put it in place of the one of that name; who has it, has the new one."""
    document = _read(file)
    with open_session(where_of(ctx)) as session:
        session.client.put(f"{POLICIES}/{segment(name)}", {"document": document, "description": description})
    click.echo(f"Saved policy {name}.")


def _read(file: Path) -> object:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise Failed(
            f"{file} cannot be read: {reason}.", remedy="Give a file with a policy, or - for stdin."
        ) from error
    try:
        return json.loads(text)
    except ValueError as error:
        remedy = "A policy is JSON; `addonry policies show AliyunCSReadOnlyAccess` prints one."
        raise Failed(f"{file} is no JSON: {error}.", remedy=remedy) from error


@policies.command(name="remove", epilog=examples("addonry policies remove upgrade-prod"))
@click.argument("name")
@service_options
@click.pass_context
def remove_policy(ctx: click.Context, name: str) -> None:
    """Forget a policy that is attached to nobody."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"{POLICIES}/{segment(name)}")
    click.echo(f"Removed policy {name}.")


@policies.command(epilog=examples("addonry policies attach AliyunCSReadOnlyAccess ann"))
@click.argument("name")
@click.argument("user")
@service_options
@click.pass_context
def attach(ctx: click.Context, name: str, user: str) -> None:
    """Let a policy decide for a user, beside those attached already."""
    with open_session(where_of(ctx)) as session:
        session.client.put(f"{USERS}/{segment(user)}/policies/{segment(name)}")
    click.echo(f"Attached {name} to {user}.")


@policies.command(epilog=examples("addonry policies detach AliyunCSReadOnlyAccess ann"))
@click.argument("name")
@click.argument("user")
@service_options
@click.pass_context
def detach(ctx: click.Context, name: str, user: str) -> None:
    """Take a policy away from a user."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"{USERS}/{segment(user)}/policies/{segment(name)}")
    click.echo(f"Detached {name} from {user}.")


@click.command(
    epilog=examples("addonry audit --limit 50", "addonry audit --user ann", "addonry audit --operation DeleteCluster")
)
@click.option("--operation", help="Calls of this operation only.")
@click.option("--user", help="Calls of this user only.")
@click.option("--key", help="Calls signed with this access key only.")
@click.option("--cluster", help="Calls about this cluster only, by name or id.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@output_option()
@service_options
@click.pass_context
def audit(
    ctx: click.Context,
    operation: str | None,
    user: str | None,
    key: str | None,
    cluster: str | None,
    limit: int,
    output: Format,
) -> None:
    """Show who called what, from where, and what allowed or refused it; newest first."""
    with open_session(where_of(ctx)) as session:
        wanted = {"operation": operation, "user": user, "access_key_id": key}
        query = {name: value for name, value in wanted.items() if value}
        if cluster:
            query["cluster_id"] = session.cluster_id(cluster)
        found = list(session.pages("/addonry/v1/audit", "records", query, most=limit))
    rows = [
        (
            each["time"],
            each["user"] or each["access_key_id"] or "-",
            each["source_ip"],
            each["operation"] or f"{each['method']} {each['path']}",
            each["cluster_id"],
            f"{each['status']} {each['code']}".strip(),
            each["allowed_by"],
        )
        for each in found
    ]
    heads = ("TIME", "WHO", "FROM", "WHAT", "CLUSTER", "ANSWER", "ALLOWED BY")
    show({"records": found}, output, lambda: Table(heads, rows))
