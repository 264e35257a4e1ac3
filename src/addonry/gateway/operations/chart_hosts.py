"""How the service gets into the hosts that charts come from: Addonry's own. What is secret goes in and never out."""

from typing import TypedDict

import msgspec

from addonry.gateway.operation import Call, Level, Registry
from addonry.gateway.operations.envelope import Nothing
from addonry.model.catalog import ChartCredential

operations = Registry()


class NewCredential(msgspec.Struct):
    """The body of PutChartHost: a user and a password, or a token, or neither."""

    username: str = ""
    password: str = ""
    token: str = ""
    authority: str = ""
    """PEM certificates that the host's own is signed by."""
    realm: str = ""
    """Where the host may have its tokens made, beside itself."""
    plain_http: bool = False


class ChartHost(TypedDict):
    """A host of charts, without what is secret."""

    host: str
    username: str
    has_token: bool
    has_authority: bool
    realm: str
    plain_http: bool


class ChartHosts(TypedDict):
    """The hosts that somebody logged in to."""

    hosts: list[ChartHost]
    requestId: str


@operations.add("ListChartHosts", "GET", "/addonry/v1/chart-hosts", Level.LIST, ChartHosts)
async def list_chart_hosts(call: Call) -> ChartHosts:
    """The hosts of charts that somebody logged in to, by name, without passwords and tokens."""
    known = await call.lifecycle.chart_hosts()
    return {"hosts": [_host(host, known[host]) for host in sorted(known)], "requestId": call.request_id}


@operations.add("PutChartHost", "PUT", "/addonry/v1/chart-hosts/{host}", Level.UPDATE, ChartHost, body=NewCredential)
async def put_chart_host(call: Call) -> ChartHost:
    """Keep how to get into a host of charts, encrypted, in place of what was kept; used at the next reading."""
    asked = call.object(NewCredential)
    credential = ChartCredential(
        asked.username,
        asked.password,
        asked.token,
        authority=asked.authority,
        realm=asked.realm,
        plain_http=asked.plain_http,
    )
    return _host(await call.lifecycle.log_in(call.path["host"], credential), credential)


@operations.add("DeleteChartHost", "DELETE", "/addonry/v1/chart-hosts/{host}", Level.DELETE, Nothing)
async def delete_chart_host(call: Call) -> Nothing:
    """Forget how to get into a host of charts."""
    await call.lifecycle.log_out(call.path["host"])
    return {}


def _host(host: str, credential: ChartCredential) -> ChartHost:
    return {
        "host": host,
        "username": credential.username,
        "has_token": bool(credential.token),
        "has_authority": bool(credential.authority),
        "realm": credential.realm,
        "plain_http": credential.plain_http,
    }
