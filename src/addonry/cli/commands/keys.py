"""``addonry keys``: who may call."""

import click

from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of


@click.group(epilog=examples("addonry keys create ci -o json"))
def keys() -> None:
    """Create and list access keys."""


@keys.command(epilog=examples("addonry keys create ci -o json > ci-key.json"))
@click.argument("name")
@output_option()
@service_options
@click.pass_context
def create(ctx: click.Context, name: str, output: Format) -> None:
    """Make an access key. Its secret is printed this once."""
    with open_session(where_of(ctx)) as session:
        answer = session.client.post("/addonry/v1/keys", {"name": name})
    # The two members, as in DATA/root.key; what else the answer holds is about the request.
    told = {member: answer[member] for member in ("access_key_id", "access_key_secret")}
    show(told, output, lambda: Table(("ACCESS KEY ID", "ACCESS KEY SECRET"), [tuple(told.values())]))


@keys.command(name="list", epilog=examples("addonry keys list"))
@output_option()
@service_options
@click.pass_context
def list_(ctx: click.Context, output: Format) -> None:
    """List the access keys, without their secrets."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get("/addonry/v1/keys")
    rows = [
        (
            each["name"],
            each["access_key_id"],
            each["created_at"],
            " ".join(word for word, true in (("root", each["is_root"]), ("disabled", not each["enabled"])) if true),
        )
        for each in told["keys"]
    ]
    show(told, output, lambda: Table(("NAME", "ACCESS KEY ID", "CREATED", "NOTE"), rows))
