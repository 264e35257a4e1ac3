"""Wires the parts together; the one module that knows them all.

``open_app`` builds a working Addonry on a data directory, ``serve`` runs it behind a socket. The clock, ids and dice
come from here and nowhere else.
"""

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import random
import secrets
import shutil
import socket
import string
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Final

from addonry.catalogs import Catalog, CatalogSettings, open_catalog
from addonry.engine import SHARE_OF_LIFE, EngineSettings, Lease, Pulse, open_engine
from addonry.gateway import GatewaySettings, build_gateway
from addonry.gateway.origin import read_networks
from addonry.gateway.throttle import Rate
from addonry.kube import KubeSettings, open_cluster
from addonry.lifecycle.access import Access
from addonry.lifecycle.discover import Scanner
from addonry.lifecycle.service import Service
from addonry.lifecycle.steps import steps_in
from addonry.lifecycle.world import Connections, Ids, Patience, World
from addonry.model.errors import AddonryError, DataDirectoryBusy, InvalidParameter, StoreUnavailable
from addonry.model.ids import ClusterId, TaskId
from addonry.model.keys import AccessKey
from addonry.settings import Settings
from addonry.store import StoreSettings, open_store

log = logging.getLogger(__name__)

KEY_ALPHABET: Final = string.ascii_letters + string.digits
ROOT_KEY_NAME: Final = "root"
FIRST_READING: Final = 10.0
"""Seconds that the first scans wait for the chart repositories."""
_LISTEN_REMEDY: Final = "Give another address with --listen HOST:PORT."


class AddressTaken(Exception):
    """The address to serve on cannot be had: another process listens there, or it is not this machine's."""


@dataclass(frozen=True, slots=True)
class App:
    """A working Addonry: what can be asked of it, and the wire in front of it."""

    service: Service
    asgi: Callable[..., object]


def make_ids() -> Ids:
    """Ids as ack-api 01, section 8 shapes them."""
    return Ids(
        cluster=lambda: ClusterId(f"c{uuid.uuid4().hex}"),
        task=lambda: TaskId(f"T-{int(datetime.now(UTC).timestamp()):08x}{secrets.token_hex(8)}"),
        key=lambda: (f"ADDONRY{_random_text(17)}", _random_text(40)),
        waiver=lambda: f"w-{secrets.token_hex(4)}",
        check=lambda cluster: f"{time.time_ns()}-{cluster}-clustercheck-{_random_text(5, string.ascii_lowercase)}",
    )


def gateway_settings(settings: Settings) -> GatewaySettings:
    """How the gateway works."""
    rate = settings.requests_per_second
    return GatewaySettings(
        legacy_signatures=settings.legacy_signatures,
        legacy_uncovered_bodies=settings.legacy_uncovered_bodies,
        rate=Rate(rate, max(1, round(2 * rate))),
        trusted_proxies=read_networks(settings.trusted_proxies or ""),
    )


def kube_settings(
    settings: Settings, work_directory: Path, *, may_run_plugins: bool = False, lease: Lease | None = None
) -> KubeSettings:
    """How to speak to clusters; plugins only for a user's own kubeconfig on the command line."""
    return KubeSettings(
        work_directory=work_directory,
        helm_binary=settings.helm_binary,
        request_seconds=settings.request_seconds,
        helm_seconds=settings.helm_seconds,
        stall_seconds=settings.stall_seconds,
        may_run_plugins=may_run_plugins,
        before_write=lease.check if lease else _may_write,
        # Before others may take its work over: they wait for the whole of it after the last beat.
        helm_silence=settings.worker_seconds / 2 if lease else 0.0,
    )


def _may_write() -> None:
    """Without other workers nobody can have taken a task over."""


def catalog_settings(settings: Settings, cache: Path | None) -> CatalogSettings:
    """Where the catalog comes from."""
    own = settings.catalog_directory
    return CatalogSettings(
        directories=(own,) if own else (),
        mirror=settings.chart_mirror,
        mirrors=settings.chart_mirrors,
        credentials=settings.chart_credentials,
        own=settings.data_directory / "components",
        snapshot=settings.data_directory / "snapshot",
        offline=settings.offline,
        cache=cache,
    )


@contextlib.asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """A working Addonry on the settings' data directory, until the context ends.

    Raises DataDirectoryBusy when another process works on it. Tasks that a killed process left are taken up at once.
    """
    async with _open_world(settings) as world:
        scanner = Scanner(world, period=settings.scan_seconds, dice=random.Random())  # noqa: S311 - jitter only
        access = Access(
            world.store,
            now=_now,
            new_key=world.ids.key,
            new_token=lambda: _random_text(64),
            audit_kept=timedelta(days=settings.audit_days),
        )
        service = Service(world, scanner, access)
        await _ensure_root_key(world, settings.root_key_file)
        trimming = asyncio.create_task(access.trim_forever())
        reading = asyncio.create_task(read_catalog_forever(world.catalog, settings.catalog_seconds, scanner))
        try:
            yield App(service, build_gateway(service, gateway_settings(settings)))
        finally:
            reading.cancel()
            trimming.cancel()
            await asyncio.gather(reading, trimming, return_exceptions=True)
            await scanner.stop()
            await access.close()


async def work(settings: Settings, *, on_ready: Callable[[], None], until: asyncio.Event) -> None:
    """Carry tasks out, without an API and without looking at clusters otherwise, until *until* is set.

    Raises DataDirectoryBusy when another process works on the same SQLite file.
    """
    async with _open_world(settings) as world:
        reading = asyncio.create_task(read_catalog_forever(world.catalog, settings.catalog_seconds, None))
        try:
            on_ready()
            await until.wait()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@contextlib.asynccontextmanager
async def _open_world(settings: Settings) -> AsyncIterator[World]:
    """The rooms, opened and brought together, with the engine at work."""
    data = settings.data_directory
    if settings.helm_binary is not None and shutil.which(settings.helm_binary) is None:
        raise InvalidParameter(
            "ADDONRY_HELM",
            f"there is no command {settings.helm_binary!r}",
            remedy="Name a helm command, or unset it to use the packaged Helm.",
        )
    with _exclusive(data) if settings.is_alone else _shared(data):
        store = open_store(
            StoreSettings(settings.database_url, secret_key_file=data / "secret.key", secret_key=settings.secret_key)
        )
        pulse = Pulse(settings.beat_seconds, settings.worker_seconds, settings.beat_seconds)
        lease = Lease(settings.worker_seconds * SHARE_OF_LIFE) if store.roll else None
        engine = open_engine(
            EngineSettings(settings.database_url, concurrency=settings.concurrency, pulse=pulse),
            roll=store.roll,
            lease=lease,
        )
        catalog = open_catalog(catalog_settings(settings, data / "charts"), store, now=_now)
        await catalog.restore()
        reaching = kube_settings(settings, data / "work", lease=lease)
        connections = Connections(store, partial(open_cluster, settings=reaching))
        world = World(
            store=store,
            engine=engine,
            catalog=catalog,
            connections=connections,
            now=_now,
            ids=make_ids(),
            patience=Patience(rollout=settings.rollout_seconds),
            region=settings.region,
        )
        await engine.start(store, steps_in(world))
        try:
            yield world
        finally:
            await engine.stop()
            await connections.close()
            await catalog.close()
            await store.close()


async def serve(settings: Settings, *, on_ready: Callable[[str], None], until: asyncio.Event | None = None) -> None:
    """Serve the API on the settings' address until *until* is set or the process is told to stop.

    Calls *on_ready* with the address once requests are answered. Raises DataDirectoryBusy, InvalidParameter for an
    address or a certificate that makes no sense, and AddressTaken.
    """
    import uvicorn

    class Server(uvicorn.Server):
        """Leaves signals to the caller.

        Uvicorn would take them over, and raise them again once it has stopped, before the rest is tidied up.
        """

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    _refuse_open_door(settings)
    settings = _with_certificate(settings)
    _check_certificate(settings)
    listening = _listen(settings.listen)
    with contextlib.closing(listening):
        async with open_app(settings) as app:
            config = uvicorn.Config(
                app.asgi,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # The gateway takes nothing from such headers; a caller could write them.
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
            server = Server(config)
            address = f"{'https' if settings.tls_cert else 'http'}://{_host_and_port(listening)}"
            settings.service_file.write_text(json.dumps({"address": address, "pid": os.getpid()}))
            running = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                while not server.started and not running.done():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # uvicorn tells of its start by a flag only
                if not running.done():
                    on_ready(address)
                if until is not None:
                    waiting = asyncio.create_task(until.wait())
                    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    server.should_exit = True
                await running
            finally:
                settings.service_file.unlink(missing_ok=True)


def _refuse_open_door(settings: Settings) -> None:
    """Only loopback is served in the clear; anything else needs TLS, or a proxy that does it (design, section 8)."""
    if bool(settings.tls_cert) is not bool(settings.tls_key):
        raise InvalidParameter("tls", "a certificate needs its key", remedy="Give both --tls-cert and --tls-key.")
    host = settings.listen.rpartition(":")[0].strip("[]") or "127.0.0.1"
    if host == "localhost" or settings.tls_cert or settings.tls_self_signed or settings.behind_proxy:
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    raise InvalidParameter(
        "listen",
        f"{host} can be reached from outside, and nothing would encrypt what is sent there",
        remedy="Give --tls-cert and --tls-key, --tls-self-signed, or --behind-proxy when a proxy in front speaks TLS.",
    )


def _with_certificate(settings: Settings) -> Settings:
    if not settings.tls_self_signed or settings.tls_cert is not None:
        return settings
    from addonry.gateway.certificates import certificates_in

    host = settings.listen.rpartition(":")[0].strip("[]") or "127.0.0.1"
    files = certificates_in(settings.tls_directory, host, now=_now())
    return replace(settings, tls_cert=files.chain, tls_key=files.key)


def _check_certificate(settings: Settings) -> None:
    """Before anything starts, and with words that name the files, which those of the ssl module do not."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    import ssl

    remedy = "Give a PEM chain with --tls-cert and its unencrypted private key with --tls-key."
    for file in (settings.tls_cert, settings.tls_key):
        try:
            file.open("rb").close()
        except OSError as error:
            raise InvalidParameter("tls", f"{file} cannot be read: {error.strerror}", remedy=remedy) from error
    try:
        # Without the empty password an encrypted key would be asked about on the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_cert, settings.tls_key, password=""
        )
    except ssl.SSLError as error:
        what = f"{settings.tls_cert} and {settings.tls_key} are no certificate and its key"
        raise InvalidParameter("tls", f"{what} ({error.reason or 'no PEM'})", remedy=remedy) from error


def _now() -> datetime:
    return datetime.now(UTC)


def _random_text(length: int, alphabet: str = KEY_ALPHABET) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


async def read_catalog_forever(
    catalog: Catalog, period: float, scanner: Scanner | None, *, patience: float = FIRST_READING
) -> None:
    """Read the chart repositories on a period.

    The first scans wait for the first reading, so that they know versions; but no longer than *patience* seconds,
    because one of many repositories may not answer, and a scan without versions is better than none.
    """
    started = False
    while True:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(_read_catalog(catalog))
            if scanner is not None and not started:
                await asyncio.wait((reading,), timeout=patience)
                scanner.start()
                started = True
        await asyncio.sleep(period)


async def _read_catalog(catalog: Catalog) -> None:
    try:
        await catalog.refresh()
    except AddonryError as error:
        log.warning("chart repositories could not be read: %s", error.message)
    except Exception:
        log.exception("reading the chart repositories failed")


async def _ensure_root_key(world: World, file: Path) -> None:
    """Make the root key on the first start of a data directory, and write it where local commands find it.

    A file that was lost is written again: whoever has the data directory has the key that opens everything in it.
    """
    known = next((key.id for key in await world.store.accounts.keys() if key.is_root), None)
    if known is not None and file.exists():  # noqa: ASYNC240 - before anything else runs on the loop
        return
    credential = await world.store.accounts.credential(known) if known else None
    key, secret = (credential.id, credential.secret) if credential else world.ids.key()
    text = json.dumps({"access_key_id": key, "access_key_secret": secret}, indent=2)
    # The file first: a process that dies in between makes another key, instead of one that nobody knows.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text + "\n")
    if credential is None:
        await world.store.accounts.add_key(AccessKey(key, ROOT_KEY_NAME, world.now(), is_root=True), secret)


@contextlib.contextmanager
def _exclusive(data: Path) -> Iterator[None]:
    """Hold the data directory, alone. The lock goes with the process, however that ends."""
    import fcntl

    with _lock_file(data) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirectoryBusy(f"Another Addonry works on {data}.") from None
        yield


@contextlib.contextmanager
def _shared(data: Path) -> Iterator[None]:
    """Use the data directory beside others: what it holds then is keys and caches."""
    with _lock_file(data):
        yield


def _lock_file(data: Path) -> IO[str]:
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        return (data / "lock").open("w")
    except OSError as error:
        raise StoreUnavailable(
            f"The data directory {data} cannot be used: {error.strerror}.",
            remedy="Give another with --data or ADDONRY_DATA, or make this one writable.",
        ) from error


def _listen(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise InvalidParameter("listen", f"{address!r} is not HOST:PORT", remedy=_LISTEN_REMEDY)
    host = host.strip("[]") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, int(port)))
    except OSError as error:
        listening.close()
        raise AddressTaken(f"Cannot listen on {address}: {error.strerror}.") from error
    listening.listen(512)
    return listening


def _host_and_port(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
