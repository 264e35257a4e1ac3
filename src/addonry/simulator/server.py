"""The simulated clusters on the network.

`SimulatorApp` is a raw ASGI application that serves many clusters by path, `/clusters/NAME/...`, and a chart
repository below `/charts/`. `Simulator` runs it on a thread with a loop of its own, so that tests and commands of any
kind can start it with a `with` statement. Everything of one simulator happens on that one loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

import uvicorn
import uvloop

from addonry.simulator import populations
from addonry.simulator.clock import Clock, RealClock, SteppedClock
from addonry.simulator.cluster import SimulatedCluster
from addonry.simulator.messages import ClientCertificate, Request, Response, text_response
from addonry.simulator.objects import Schemas
from addonry.simulator.population import DEFAULT_NODES
from addonry.simulator.populations import Population
from addonry.simulator.storage import Object
from addonry.simulator.tls import LIFE, Certificates, read_certificate
from addonry.simulator.trouble import ConnectionRefused
from addonry.simulator.versions import DEFAULT_VERSION

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
T = TypeVar("T")

_START_SECONDS: Final = 30.0
_BODY_LIMIT: Final = 4 * 1024 * 1024  # above the API's own limit, which answers properly


class Charts(Protocol):
    """A chart repository, see `charts.ChartRepository`."""

    def respond(self, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]: ...


class SimulatorApp:
    """The ASGI application."""

    def __init__(self, *, charts: Charts | None = None) -> None:
        self.clusters: dict[str, SimulatedCluster] = {}
        self._charts = charts
        self._stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = replace(await _read(scope, receive), certificate=_certificate(send))
        ended = _Ending(receive, self._stopping)
        try:
            response, cluster = await self._respond(request, ended)
        except ConnectionRefused:
            _close_connection(send)
            return
        if response.stream is None:
            await _send(response, send)
        else:
            await self._stream(response, cluster, send)

    def stop(self) -> None:
        """End all watches, so that the server can close."""
        self._stopping.set()

    async def _respond(self, request: Request, ended: _Ending) -> tuple[Response, SimulatedCluster | None]:
        parts = request.path.split("/", 3)
        if len(parts) > 2 and parts[1] == "clusters" and (cluster := self.clusters.get(parts[2])):
            inner = replace(request, path=f"/{parts[3] if len(parts) > 3 else ''}")
            ended.cluster, ended.cuts = cluster, cluster.trouble.cuts
            return await cluster.respond(inner, ended.wait), cluster
        if self._charts is not None and request.path.startswith("/charts/"):
            status, headers, body = self._charts.respond(request.path.removeprefix("/charts/"), request.headers)
            content_type = headers.get("Content-Type", "application/octet-stream")
            rest = ((name, value) for name, value in headers.items() if name not in ("Content-Type", "Content-Length"))
            return Response(status, body, content_type, tuple(rest)), None
        return text_response("404 page not found\n", 404), None

    @staticmethod
    async def _stream(response: Response, cluster: SimulatedCluster | None, send: Send) -> None:
        assert response.stream is not None
        await send(_head(response))
        async with contextlib.aclosing(response.stream) as lines:  # type: ignore[type-var]
            # An empty piece makes the server send the head at once; a watch may have nothing to say for minutes.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        if cluster is not None and cluster.trouble.state == "refused":
            _close_connection(send)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Ending:
    """Waits for what ends a watch from outside: the client goes, the simulator stops, or the cluster is cut off."""

    def __init__(self, receive: Receive, stopping: asyncio.Event) -> None:
        self._receive, self._stopping = receive, stopping
        self.cluster: SimulatedCluster | None = None
        self.cuts = 0

    async def wait(self) -> None:
        waits: list[Coroutine[Any, Any, Any]] = [self._disconnected(), self._stopping.wait()]
        if self.cluster is not None:
            waits.append(self.cluster.trouble.until_cut(self.cuts))
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _read(scope: Scope, receive: Receive) -> Request:
    headers: dict[str, str] = {}
    for encoded, value in scope["headers"]:
        name, text = encoded.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    body = b""
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        pieces, size, more = [], 0, True
        while more and size <= _BODY_LIMIT:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            more = message.get("more_body", False)
        body = b"".join(pieces)
    # The raw path keeps an escaped slash inside a name apart from a real one.
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
    return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body)


def _head(response: Response) -> Message:
    headers = [(b"content-type", response.content_type.encode())]
    names = {name.lower() for name, _ in response.headers}
    if "cache-control" not in names:
        headers.append((b"cache-control", b"no-cache, private"))
    headers += [(name.encode(), value.encode()) for name, value in response.headers]
    if response.stream is None:
        headers.append((b"content-length", str(len(response.body)).encode()))
    return {"type": "http.response.start", "status": response.status, "headers": headers}


async def _send(response: Response, send: Send) -> None:
    await send(_head(response))
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


def _certificate(send: Send) -> ClientCertificate | None:
    """The certificate that the client of a connection showed, if any; see `_close_connection` on how to get at it."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    encoded = connection.getpeercert(binary_form=True) if connection is not None else None
    return read_certificate(encoded) if encoded else None


def _close_connection(send: Send) -> None:
    # ASGI has no way to hang up without an answer. uvicorn hands its cycle's own method as `send`, and the cycle holds
    # the transport; the server below is always uvicorn with httptools and nothing wrapped around the application.
    cycle = getattr(send, "__self__", None)
    if cycle is None:
        raise RuntimeError("Connections can only be refused when the simulator runs on uvicorn; use Simulator.")
    cycle.disconnected = True
    cycle.transport.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals belong to the program that started the simulator.
        yield


class Simulator:
    """Simulated clusters on an address of this machine, for as long as the `with` block lasts.

    `clusters` is their number (named `sim-1`, `sim-2`, ...); `speed` shortens every simulated wait; a clock given
    instead is used as it is. Each cluster starts empty but for its nodes and namespaces. With `tls` they have
    certificates of an authority of their own and insist on their token; without, clients may leave it out, see
    `SimulatedCluster`. A negative `certificate_life` serves a certificate that has expired.
    """

    def __init__(
        self,
        *,
        clusters: int = 1,
        listen: str = "127.0.0.1:0",
        charts: Charts | None = None,
        clock: Clock | None = None,
        speed: float = 1.0,
        kubernetes_version: str = DEFAULT_VERSION,
        nodes: int = DEFAULT_NODES,
        tls: bool = False,
        certificate_life: timedelta = LIFE,
    ) -> None:
        self._count = clusters
        self._listen = listen
        self._charts = charts
        self.clock = clock or RealClock(speed)
        self._version, self._nodes = kubernetes_version, nodes
        self._tls, self._certificate_life = tls, certificate_life
        self._certificates: Certificates | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._app: SimulatorApp | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._schemas = Schemas.load()
        self._templates: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.url = ""

    # ------------------------------------------------------------------ lifetime

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._main, name="simulator", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_SECONDS):
            raise TimeoutError("The simulator did not start in time.")
        if self._failure is not None:
            self._thread.join()
            raise RuntimeError(f"The simulator could not start on {self._listen}.") from self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; open watches end, waiting requests are dropped."""
        if self._loop is not None and self._server is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)
        if self._thread is not None:
            self._thread.join()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.__enter__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # ------------------------------------------------------------------ clusters

    @property
    def clusters(self) -> tuple[SimulatedCluster, ...]:
        return tuple(self._running_app().clusters.values())

    def cluster(self, name: str) -> SimulatedCluster:
        """The cluster of that name."""
        try:
            return self._running_app().clusters[name]
        except KeyError:
            known = ", ".join(self._running_app().clusters)
            raise KeyError(f"There is no simulated cluster {name!r}; there are {known}.") from None

    def add(
        self, name: str, *, kubernetes_version: str = "", snapshot: Mapping[str, Any] | None = None
    ) -> SimulatedCluster:
        """One more cluster, empty or a copy of the one a snapshot was taken of; the version is that of the snapshot."""
        return self.call(lambda: self._add(name, kubernetes_version, snapshot))

    def template(self, population: str | Population, kubernetes: str = "") -> Mapping[str, Any]:
        """A snapshot of a population (`populations.names`, or one of your own), for `add`; built once for each version.

        Raises KeyError for an unknown population, ValueError for a version that is not simulated.
        """
        known = populations.read(population) if isinstance(population, str) else population
        version = known.version(kubernetes or self._version)
        if (known.name, version) not in self._templates:
            self._templates[known.name, version] = self._wait(populations.build(known, version, self._blank))
        return self._templates[known.name, version]

    def call(self, action: Callable[[], T]) -> T:
        """Run *action* on the simulator's loop; the way to touch the inside of a cluster from another thread."""

        async def run() -> T:
            return action()

        return self._wait(run())

    def snapshot(self, name: str) -> dict[str, Any]:
        """The objects of a cluster, for `add`."""
        return self.call(self.cluster(name).export)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass; only with a `SteppedClock`."""
        if not isinstance(self.clock, SteppedClock):
            raise TypeError("Only a simulator with a SteppedClock can be advanced; real time passes by itself.")
        self._wait(self.clock.advance(seconds))

    # ------------------------------------------------------------------ the thread

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _running_app(self) -> SimulatorApp:
        if self._app is None:
            raise RuntimeError("The simulator is not running; use it in a `with` statement.")
        return self._app

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in __enter__
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        with _bound(self._listen) as listener, TemporaryDirectory(prefix="addonry-simulator-") as directory:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self.url = f"{'https' if self._tls else 'http'}://{shown}:{port}"
            if self._tls:
                self._certificates = Certificates(Path(directory), host, life=self._certificate_life)
            self._loop = asyncio.get_running_loop()
            self._app = SimulatorApp(charts=self._charts)
            config = uvicorn.Config(
                self._app,
                http="httptools",
                ws="none",
                loop="none",
                lifespan="off",
                interface="asgi3",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="error",
                ssl_certfile=self._certificates.file if self._certificates else None,
                timeout_keep_alive=300,
                timeout_graceful_shutdown=2,
            )
            if self._certificates:
                config.load()
                assert config.ssl is not None
                self._certificates.take_clients(config.ssl)
                config.ssl.sni_callback = self._certificates.choose
            self._server = _Server(config)
            for number in range(1, self._count + 1):
                self._add(f"sim-{number}")
            try:
                serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))
                while not self._server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.005)
                self._started.set()
                await serving
            finally:
                for cluster in self._app.clusters.values():
                    cluster.close()

    def _stop(self) -> None:
        assert self._server is not None
        assert self._app is not None
        for cluster in self._app.clusters.values():
            cluster.trouble.refuse()
        self._app.stop()
        self._server.should_exit = True

    def _add(
        self, name: str, kubernetes_version: str = "", snapshot: Mapping[str, Any] | None = None
    ) -> SimulatedCluster:
        app = self._running_app()
        if name in app.clusters:
            raise ValueError(f"There is a simulated cluster {name!r} already; choose another name.")
        cluster = app.clusters[name] = SimulatedCluster(
            name,
            server=f"{self.url}/clusters/{name}",
            clock=self.clock,
            schemas=self._schemas,
            kubernetes_version=kubernetes_version or self._version,
            nodes=self._nodes,
            require_token=self._tls,
            authority=self._certificates.authority(name) if self._certificates else None,
            snapshot=snapshot,
        )
        return cluster

    def _blank(self, clock: SteppedClock, version: str, nodes: Sequence[Object], services: str) -> SimulatedCluster:
        """A cluster that nobody can reach, for a template to be made in."""
        return SimulatedCluster(
            "template",
            server=f"{self.url}/clusters/template",
            clock=clock,
            schemas=self._schemas,
            kubernetes_version=version,
            nodes=nodes,
            services=services,
        )


def _bound(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]") or "127.0.0.1", int(port)))
        listener.listen(2048)
    except BaseException:
        listener.close()
        raise
    return listener
