"""One simulated cluster: its objects, its API, the controllers that make them live, and its troubles."""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.clock import Clock
from addonry.simulator.discovery import Discovery
from addonry.simulator.handlers import Api
from addonry.simulator.kubeconfig import kubeconfig
from addonry.simulator.life.controllers import start_life
from addonry.simulator.messages import Request, Response, json_response
from addonry.simulator.objects import Schemas
from addonry.simulator.population import DEFAULT_NODES, DEFAULT_VERSION, populate
from addonry.simulator.resources import Served, built_in
from addonry.simulator.storage import ObjectKey, Store, new_uid
from addonry.simulator.trouble import Trouble
from addonry.simulator.writing import Writer

_LOGGED_REQUESTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the cluster saw it; tests assert on these. Bodies and credentials are not kept."""

    method: str
    path: str
    query: str
    user_agent: str
    content_type: str
    status: int  # 0 while hanging or when the connection was closed without an answer


class SimulatedCluster:
    """A cluster. All of it runs on the loop of its simulator; `trouble`, `requests` and `kubeconfig` serve any thread."""

    def __init__(
        self,
        name: str,
        *,
        server: str,
        clock: Clock,
        schemas: Schemas,
        kubernetes_version: str = DEFAULT_VERSION,
        nodes: int = DEFAULT_NODES,
        require_token: bool = False,
        certificate_authority: bytes | None = None,
        snapshot: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.server = server
        self.kubernetes_version = kubernetes_version
        self.trouble = Trouble()
        self._log: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)
        self._token = secrets.token_urlsafe(24)
        self._require_token = require_token
        self._certificate_authority = certificate_authority
        self._clock = clock
        self._store = Store()
        self._served = Served()
        self._writer = Writer(self._store, self._served, schemas, clock)
        address = server.partition("//")[2].partition("/")[0]
        discovery = Discovery(self._served, schemas, self._writer.schema_of, address=address)
        self._api = Api(store=self._store, served=self._served, writer=self._writer, discovery=discovery, clock=clock)
        self._api.kubernetes_version = kubernetes_version
        self._life = start_life(self._store, self._served, clock)
        if snapshot is None:
            populate(self._store, now=clock.now(), kubernetes_version=kubernetes_version, nodes=nodes)
        else:
            self.load(snapshot)

    # ------------------------------------------------------------------ for tests and commands

    def kubeconfig(self) -> str:
        """A kubeconfig with which kubectl, Helm and Addonry reach this cluster."""
        return kubeconfig(
            name=self.name,
            server=self.server,
            token=self._token,
            certificate_authority=self._certificate_authority,
        )

    @property
    def token(self) -> str:
        """The bearer token of the one user."""
        return self._token

    @property
    def requests(self) -> list[LoggedRequest]:
        """The latest requests, oldest first."""
        return list(self._log)

    def forget_requests(self) -> None:
        self._log.clear()

    def export(self) -> dict[str, Any]:
        """A snapshot of all objects, to `load` into other clusters; it shares memory with this one."""
        settled = self._life.is_idle
        return {"kubernetes_version": self.kubernetes_version, "settled": settled, **self._store.export()}

    def load(self, snapshot: Mapping[str, Any]) -> None:
        """Become a copy of the cluster in the snapshot."""
        self.kubernetes_version = self._api.kubernetes_version = snapshot["kubernetes_version"]
        self._store.load(snapshot)
        self._renew_identity()
        self._life.resume(settled=snapshot["settled"])

    def _renew_identity(self) -> None:
        """Give the copy an identity: the uid of kube-system is what tools tell clusters apart by."""
        namespaces = built_in("", "namespaces")
        record = self._store.get(ObjectKey(namespaces.key, "", "kube-system"))
        if record is not None:
            namespace = record.decode()
            namespace["metadata"]["uid"] = new_uid()
            self._store.put(namespaces, namespace)
            self._store.compact()

    # ------------------------------------------------------------------ for the server

    async def respond(self, request: Request, ended: Callable[[], Awaitable[Any]]) -> Response:
        """The answer, after whatever trouble was asked for; may raise `ConnectionRefused`."""
        try:
            response = await self.trouble.meet(request)
        except BaseException:
            self._remember(request, 0)
            raise
        if response is None:
            response = self._answer(request, ended)
        self._remember(request, response.status)
        return response

    def close(self) -> None:
        """Stop the controllers."""
        self._life.stop()

    def _answer(self, request: Request, ended: Callable[[], Awaitable[Any]]) -> Response:
        if not self._may_enter(request):
            error = errors.unauthorized()
            return json_response(error.status(), error.code)
        return self._api.respond(request, ended)

    def _may_enter(self, request: Request) -> bool:
        """A wrong token is refused everywhere, a missing one where the client would have sent it.

        client-go, and with it kubectl and Helm, sends no credentials over plain HTTP, see clientcmd's
        `IsConfigTransportTLS`: https://github.com/kubernetes/client-go/blob/master/tools/clientcmd/client_config.go
        """
        given = request.headers.get("authorization", "")
        if not given:
            return not self._require_token
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    def _remember(self, request: Request, status: int) -> None:
        self._log.append(
            LoggedRequest(
                request.method,
                request.path,
                request.query_string,
                request.user_agent,
                request.content_type,
                status,
            )
        )
