"""``addonry catalog login`` and its kin: how the service gets into the hosts that charts come from."""

import sys
from pathlib import Path

import click

from addonry.cli.client import segment
from addonry.cli.errors import WrongUsage
from addonry.cli.help import examples
from addonry.cli.output import Format, Table, output_option, show
from addonry.cli.session import open_session, service_options, where_of

LONGEST: int = 16 * 1024


@click.command(
    epilog=examples(
        "addonry catalog login ghcr.io --username robot --password-stdin < password",
        "addonry catalog login charts.example.com --token-stdin --ca-file site-ca.pem < token",
    )
)
@click.argument("host")
@click.option("--username", metavar="NAME", help="Who asks; with --password-stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
@click.option("--token-stdin", is_flag=True, help="Read a bearer token from stdin, in place of user and password.")
@click.option("--ca-file", metavar="FILE", help="The certificate authority of the host (PEM).")
@click.option("--realm", metavar="URL", help="Where the registry has its tokens made, where that is another host.")
@click.option("--plain-http", is_flag=True, help="The host speaks no TLS; what is sent there can be read on the way.")
@output_option()
@service_options
@click.pass_context
def login(
    ctx: click.Context,
    host: str,
    username: str | None,
    password_stdin: bool,
    token_stdin: bool,
    ca_file: str | None,
    realm: str | None,
    plain_http: bool,
    output: Format,
) -> None:
    """Keep how to get into a host of charts: a Helm repository's or an OCI registry's.

    It is encrypted as kubeconfigs are, and used at the next reading. What is secret comes from stdin, for a command
    line can be seen by others.
    """
    if password_stdin and token_stdin:
        raise WrongUsage("Give --password-stdin or --token-stdin, not both.", ctx=ctx)
    if bool(username) is not password_stdin:
        raise WrongUsage("--username and --password-stdin go together.", ctx=ctx)
    secret = _from_stdin(ctx) if password_stdin or token_stdin else ""
    body = {
        "username": username or "",
        "password": secret if password_stdin else "",
        "token": secret if token_stdin else "",
        "authority": _read(ca_file, ctx) if ca_file else "",
        "realm": realm or "",
        "plain_http": plain_http,
    }
    with open_session(where_of(ctx)) as session:
        told = session.client.put(f"/addonry/v1/chart-hosts/{segment(host)}", body)
    show(told, output, lambda: _table([told]))


@click.command(epilog=examples("addonry catalog logout ghcr.io"))
@click.argument("host")
@service_options
@click.pass_context
def logout(ctx: click.Context, host: str) -> None:
    """Forget how to get into a host of charts."""
    with open_session(where_of(ctx)) as session:
        session.client.delete(f"/addonry/v1/chart-hosts/{segment(host)}")
    click.echo(f"Logged out of {host}.", err=True)


@click.command(epilog=examples("addonry catalog hosts"))
@output_option()
@service_options
@click.pass_context
def hosts(ctx: click.Context, output: Format) -> None:
    """List the hosts of charts that somebody logged in to, without passwords and tokens."""
    with open_session(where_of(ctx)) as session:
        told = session.client.get("/addonry/v1/chart-hosts")
    show(told, output, lambda: _table(told["hosts"]))


def _table(listed: list[dict[str, object]]) -> Table:
    rows = [
        (
            str(each["host"]),
            str(each["username"]) or ("(token)" if each["has_token"] else "(nobody)"),
            "own authority" if each["has_authority"] else "plain http" if each["plain_http"] else "",
        )
        for each in listed
    ]
    return Table(("HOST", "USER", "TLS"), rows, empty="Nobody has logged in to a host of charts.")


def _from_stdin(ctx: click.Context) -> str:
    secret = sys.stdin.read(LONGEST + 1).rstrip("\r\n")
    if not secret or len(secret) > LONGEST:
        raise WrongUsage("Nothing, or far too much, was given on stdin.", ctx=ctx)
    return secret


def _read(file: str, ctx: click.Context) -> str:
    try:
        return Path(file).expanduser().read_text()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{file} cannot be read ({type(error).__name__}).", ctx=ctx) from error
