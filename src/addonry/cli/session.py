"""Which service a command speaks to: the endpoint given, the one that runs on the data directory, or one of its own.

All three are reached by the same client over HTTP. The embedded service is the whole of Addonry in a thread of this
process, on a free port of loopback, for as long as the command runs.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from addonry.cli.client import Address, ApiError, Client, Key, NoAnswer, segment
from addonry.cli.errors import Failed

F = TypeVar("F", bound=Callable[..., Any])

STARTING_SECONDS: Final = 10.0
"""How long to wait for a service that holds the data directory but does not answer yet."""


@dataclass(frozen=True, slots=True)
class Where:
    """What was said on the command line about the service to use."""

    endpoint: str | None
    data: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """A service that answers."""

    client: Client
    is_embedded: bool = False

    def cluster_id(self, name: str) -> str:
        """The id of a cluster given by name or id. Raises Failed when there is none, or several of that name."""
        known = self.clusters()
        for cluster in known:
            if cluster["cluster_id"] == name:
                return name
        matching = [str(cluster["cluster_id"]) for cluster in known if cluster["name"] == name]
        if not matching:
            names = ", ".join(sorted(str(cluster["name"]) for cluster in known[:12])) or "none yet"
            raise Failed(
                f"There is no cluster {name!r}; there are: {names}.",
                remedy="Register one with `addonry clusters add NAME`.",
            )
        if len(matching) > 1:
            raise Failed(
                f"{len(matching)} clusters are called {name!r}.", remedy=f"Give the id: {' or '.join(matching)}."
            )
        return matching[0]

    def clusters(self) -> list[dict[str, Any]]:
        """Every registered cluster, page by page."""
        return list(self.pages("/api/v1/clusters", "clusters", action="DescribeClustersV1"))

    def pages(
        self,
        path: str,
        member: str,
        query: Mapping[str, str] | None = None,
        *,
        action: str | None = None,
        most: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """The items of a numbered list, up to *most* of them (0: all)."""
        number, seen = 1, 0
        size = min(most, 100) if most else 100
        while True:
            asked = {**(query or {}), "page_number": str(number), "page_size": str(size)}
            page = self.client.get(path, asked, action=action)
            items = page.get(member) or []
            for item in items[: most - seen] if most else items:
                seen += 1
                yield item
            total = int((page.get("page_info") or {}).get("total_count") or 0)
            if not items or seen >= total or (most and seen >= most):
                return
            number += 1

    def freshen(self, cluster_id: str) -> None:
        """Look at versions and cluster now, where no service runs that would have.

        What cannot be looked at is told on stderr, and what was last seen is used.
        """
        if not self.is_embedded:
            return
        for path in ("/addonry/v1/catalog/sync", f"/addonry/v1/clusters/{segment(cluster_id)}/scan"):
            try:
                self.client.post(path)
            except ApiError as error:
                click.echo(f"Warning: {error.message} Going on with what was last seen.", err=True)


def service_options(command: F) -> F:
    """The options of every command that asks a service; they arrive as *where*."""

    def gather(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        assert parameter.name is not None
        given = value or (ctx.find_root().obj or {}).get(parameter.name)
        ctx.meta[f"addonry.{parameter.name}"] = given
        return value

    common: dict[str, Any] = {"expose_value": False, "callback": gather}
    command = click.option(
        "--data", metavar="DIR", help="The data directory of a local service.  [env: ADDONRY_DATA]", **common
    )(command)
    return click.option(
        "--endpoint", metavar="URL", help="The service to ask, Addonry or ACK.  [env: ADDONRY_ENDPOINT]", **common
    )(command)


def where_of(ctx: click.Context) -> Where:
    """What ``service_options`` has gathered."""
    return Where(ctx.meta.get("addonry.endpoint"), ctx.meta.get("addonry.data"))


@contextlib.contextmanager
def open_session(where: Where) -> Iterator[Session]:
    """A service to speak to, for as long as the context lasts. Raises Failed."""
    endpoint = where.endpoint or os.environ.get("ADDONRY_ENDPOINT", "").strip()
    data = data_directory(where)
    if endpoint:
        yield Session(Client(Address.parse(endpoint), _key(data)))
        return
    running = find_running(data)
    if running is not None:
        yield Session(Client(running, _key(data), authority=_authority(data)))
        return
    with _embedded(data) as session:
        yield session


def data_directory(where: Where) -> Path:
    """The data directory: as given, or ADDONRY_DATA, or the platform's."""
    from addonry.settings import default_data_directory

    given = where.data or os.environ.get("ADDONRY_DATA", "").strip()
    return Path(given).expanduser() if given else default_data_directory(os.environ)


def find_running(data: Path) -> Address | None:
    """The service that runs on the data directory, if one answers; a killed one leaves its file behind."""
    try:
        address = Address.parse(json.loads((data / "service.json").read_text())["address"])
    except (OSError, ValueError, KeyError, TypeError, Failed):
        return None
    return address if answers(address) else None


def answers(address: Address) -> bool:
    """Whether something speaks HTTP there. With TLS only the connection is tried: the certificate is judged later."""
    import http.client

    connection = http.client.HTTPConnection(address.host, address.port, timeout=5)
    try:
        if address.secure:
            connection.connect()
            return True
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def read_root_key(data: Path) -> Key | None:
    """The key that ``addonry serve`` writes for local commands. Raises Failed for one that cannot be read."""
    file = data / "root.key"
    try:
        read = json.loads(file.read_text())
        return Key(read["access_key_id"], read["access_key_secret"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{file} cannot be read: {type(error).__name__}.", remedy=_KEY_REMEDY) from error


_KEY_REMEDY: Final = (
    "Set ADDONRY_ACCESS_KEY_ID and ADDONRY_ACCESS_KEY_SECRET (`addonry keys create NAME` makes a pair)."
)


def _authority(data: Path) -> Path:
    """What a service with a certificate of its own wrote for local commands."""
    return data / "tls" / "ca.pem"


def _key(data: Path) -> Key:
    key_id = os.environ.get("ADDONRY_ACCESS_KEY_ID", "").strip()
    secret = os.environ.get("ADDONRY_ACCESS_KEY_SECRET", "").strip()
    if bool(key_id) is not bool(secret):
        raise Failed("Only one half of the access key is set.", remedy=_KEY_REMEDY)
    token = os.environ.get("ADDONRY_SECURITY_TOKEN", "").strip()
    key = Key(key_id, secret, token) if key_id else read_root_key(data)
    if key is None:
        raise Failed("There is no access key to sign with.", remedy=_KEY_REMEDY)
    return key


@contextlib.contextmanager
def _embedded(data: Path) -> Iterator[Session]:
    from addonry.cli.embedded import Embedded
    from addonry.model.errors import DataDirectoryBusy

    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        embedded = Embedded(data)
        try:
            address = embedded.start()
        except DataDirectoryBusy:
            # Another process holds the directory: a service that is starting, or another command's embedded one.
            running = find_running(data)
            if running is None and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            if running is None:
                raise
            yield Session(Client(running, _key(data), authority=_authority(data)))
            return
        break
    try:
        key = read_root_key(data)
        if key is None:
            raise Failed(f"{data / 'root.key'} is missing.", remedy=_KEY_REMEDY)
        yield Session(Client(Address.parse(address), key), is_embedded=True)
    finally:
        embedded.stop()


__all__ = [
    "NoAnswer",
    "Session",
    "Where",
    "answers",
    "data_directory",
    "find_running",
    "open_session",
    "read_root_key",
    "service_options",
    "where_of",
]
