"""``addonry keys``: who may call."""

from typing import Any

import click

from addonry.cli.client import segment
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of


@click.group(epilog=examples("addonry keys create ci -o json", "addonry keys revoke ADDONRYK3Y"))
def keys() -> None:
    """Create, list and revoke access keys."""


@keys.command(
    epilog=examples(
        "addonry keys create ci -o json > ci-key.json", "addonry keys create laptop --user ann -o json > ann.json"
    )
)
@click.argument("name")
@click.option("--user", help="Whose key it is; without it, of whoever asks. The account's own may do everything.")
@output_option()
@service_options
@click.pass_context
def create(ctx: click.Context, name: str, user: str | None, output: Format) -> None:
    """Make an access key. Its secret is printed this once."""
    body = {"name": name, **({"user": user} if user else {})}
    with open_session(where_of(ctx)) as session:
        answer = session.client.post("/addonry/v1/keys", body)
    _show_secrets(answer, ("access_key_id", "access_key_secret"), output)


@keys.command(epilog=examples("addonry keys session night --minutes 30 -o json"))
@click.argument("name")
@click.option("--minutes", type=click.IntRange(15, 720), default=60, show_default=True, help="How long it lasts.")
@output_option()
@service_options
@click.pass_context
def session(ctx: click.Context, name: str, minutes: int, output: Format) -> None:
    """Make a temporary key of your own, which is good with its token only. It is printed this once."""
    body = {"name": name, "duration_seconds": minutes * 60}
    with open_session(where_of(ctx)) as opened:
        answer = opened.client.post("/addonry/v1/sessions", body)
    _show_secrets(answer, ("access_key_id", "access_key_secret", "security_token", "expiration"), output)


def _show_secrets(answer: dict[str, Any], members: tuple[str, ...], output: Format) -> None:
    # The members, as in DATA/root.key; what else the answer holds is about the request.
    told = {member: answer[member] for member in members}
    heads = tuple(member.replace("_", " ").upper() for member in members)
    show(told, output, lambda: Table(heads, [tuple(told.values())]))


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
            each.get("user", ""),
            each["created_at"],
            " ".join(
                word
                for word, true in (
                    ("root", each["is_root"]),
                    ("disabled", not each["enabled"]),
                    (f"until {each.get('expires_at')}", each.get("expires_at")),
                )
                if true
            ),
        )
        for each in told["keys"]
    ]
    show(told, output, lambda: Table(("NAME", "ACCESS KEY ID", "USER", "CREATED", "NOTE"), rows))


@keys.command(epilog=examples("addonry keys revoke ADDONRYK3Y"))
@click.argument("access_key_id")
@service_options
@click.pass_context
def revoke(ctx: click.Context, access_key_id: str) -> None:
    """Delete an access key. What is signed with it is refused from then on."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"/addonry/v1/keys/{segment(access_key_id)}")
    click.echo(f"Revoked {access_key_id}.")


@keys.command(epilog=examples("addonry keys disable ADDONRYK3Y"))
@click.argument("access_key_id")
@service_options
@click.pass_context
def disable(ctx: click.Context, access_key_id: str) -> None:
    """Refuse what is signed with an access key, until it is enabled again."""
    _enable(ctx, access_key_id, enabled=False)


@keys.command(epilog=examples("addonry keys enable ADDONRYK3Y"))
@click.argument("access_key_id")
@service_options
@click.pass_context
def enable(ctx: click.Context, access_key_id: str) -> None:
    """Take an access key that was disabled again."""
    _enable(ctx, access_key_id, enabled=True)


def _enable(ctx: click.Context, key: str, *, enabled: bool) -> None:
    with open_session(where_of(ctx)) as session:
        session.client.put(f"/addonry/v1/keys/{segment(key)}", {"enabled": enabled})
    click.echo(f"{'Enabled' if enabled else 'Disabled'} {key}.")
