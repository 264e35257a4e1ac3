"""One simulated cluster: its objects, its API, the controllers that make them live, and its troubles."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from addonry.simulator import routing, watching
from addonry.simulator.access.users import Users
from addonry.simulator.admission.webhooks import Answer, AnswerNeeded, ask
from addonry.simulator.aggregation import aggregated
from addonry.simulator.clock import Clock
from addonry.simulator.discovery import Discovery
from addonry.simulator.errors import ApiError
from addonry.simulator.handlers import Api, refusal
from addonry.simulator.kubeconfig import kubeconfig
from addonry.simulator.life.controllers import start_life
from addonry.simulator.messages import JSON, Request, Response
from addonry.simulator.nodes import joining, node_key, set_ready
from addonry.simulator.objects import Schemas
from addonry.simulator.population import DEFAULT_NODES, DEFAULT_SERVICES, populate
from addonry.simulator.resources import Served, built_in
from addonry.simulator.storage import Object, ObjectKey, Store, new_uid
from addonry.simulator.tls import Authority
from addonry.simulator.trouble import Trouble
from addonry.simulator.versions import DEFAULT_VERSION
from addonry.simulator.writing import APPLY, WriteOptions, Writer

_LOGGED_REQUESTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """An object that a request was to delete, as it was at that moment."""

    kind: str
    namespace: str
    name: str
    uid: str
    created: str  # its creationTimestamp


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request as the cluster saw it; tests assert on these. Bodies and credentials are not kept."""

    method: str
    path: str
    query: str
    user_agent: str
    content_type: str
    status: int  # 0 while hanging or when the connection was closed without an answer
    at: datetime  # when the answer was known
    body_kind: str = ""  # of a JSON body that says so
    targets: tuple[Target, ...] = ()
    """What a DELETE or an eviction was about, whether it was let through or not; empty if nothing was there."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of one cluster besides the administrator."""

    name: str
    token: str
    kubeconfig: str
    expire: Callable[[], None]
    """From now on the token is answered with 401."""


class _Kind(msgspec.Struct):
    kind: str = ""


_decode_kind = msgspec.json.Decoder(_Kind).decode


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
        nodes: int | Sequence[Object] = DEFAULT_NODES,
        services: str = DEFAULT_SERVICES,
        require_token: bool = False,
        authority: Authority | None = None,
        snapshot: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.server = server
        self.kubernetes_version = kubernetes_version
        self.trouble = Trouble()
        self._log: deque[LoggedRequest] = deque(maxlen=_LOGGED_REQUESTS)
        self._recorders: list[Callable[[LoggedRequest], None]] = []
        self._forgotten = 0
        self._token = secrets.token_urlsafe(24)
        self._users = Users(administrators_token=self._token, open_door=not require_token)
        self._authority = authority
        self._clock = clock
        self._store = Store()
        self._served = Served(kubernetes_version)
        self._writer = Writer(self._store, self._served, schemas, clock)
        address = server.partition("//")[2].partition("/")[0]
        discovery = Discovery(self._served, schemas, partial(aggregated, self._store), address=address)
        self._api = Api(
            store=self._store,
            served=self._served,
            writer=self._writer,
            discovery=discovery,
            clock=clock,
            users=self._users,
        )
        self._api.kubernetes_version = kubernetes_version
        self._life = start_life(self._store, self._served, clock)
        if snapshot is None:
            populate(
                self._store, now=clock.now(), kubernetes_version=kubernetes_version, nodes=nodes, services=services
            )
        else:
            self.load(snapshot)

    # ------------------------------------------------------------------ for tests and commands

    def kubeconfig(self) -> str:
        """A kubeconfig with which kubectl, Helm and Addonry reach this cluster."""
        return self._kubeconfig({"token": self._token})

    @property
    def token(self) -> str:
        """The bearer token of the administrator."""
        return self._token

    def user(self, name: str, groups: Iterable[str] = ()) -> User:
        """Somebody who may do what roles are bound to the name and the *groups*, at first next to nothing.

        kubectl and Helm send no token over plain HTTP, and who sends none there is the administrator; give them the
        kubeconfig of a cluster with TLS.
        """
        token = self._users.add(name, groups)
        return User(name, token, self._kubeconfig({"token": token}, name), lambda: self._users.forget(token))

    def certified_user(self, name: str, groups: Iterable[str] = (), *, seconds: float = 86400.0) -> str:
        """The kubeconfig of a user who is known by a client certificate, good for so long; only with TLS."""
        if self._authority is None:
            raise ValueError(f"Cluster {self.name} has no TLS, so it sees no certificates; start it with tls=True.")
        ends_at = self._clock.now() + timedelta(seconds=seconds)
        issued = self._authority.certify(name, tuple(groups), ends_at=ends_at)
        credentials = {
            "client-certificate-data": base64.b64encode(issued.certificate).decode(),
            "client-key-data": base64.b64encode(issued.key).decode(),
        }
        return self._kubeconfig(credentials, name)

    def _kubeconfig(self, credentials: Mapping[str, str], user: str = "") -> str:
        return kubeconfig(
            name=self.name,
            server=self.server,
            credentials=credentials,
            user=user,
            authority=self._authority,
        )

    @property
    def requests(self) -> list[LoggedRequest]:
        """The latest requests, oldest first; `forgotten` says how many more there were."""
        return list(self._log)

    @property
    def forgotten(self) -> int:
        """How many requests were pushed out of the log; a test that must see all asks for zero, or uses `record`."""
        return self._forgotten

    def forget_requests(self) -> None:
        self._log.clear()
        self._forgotten = 0

    def record(self, recorder: Callable[[LoggedRequest], None]) -> None:
        """Tell *recorder* of every request from now on, on the loop of the simulator."""
        self._recorders.append(recorder)

    def say(self, image_contains: str, text: str) -> None:
        """Let containers whose image's name contains the word log *text*."""
        self._api.said[image_contains] = text

    @property
    def version(self) -> int:
        """The newest resourceVersion, to ask for stale answers with."""
        return self._store.version

    def write(self, obj: Object, *, manager: str, applied: bool) -> None:
        """Create an object, or apply it with force, as a client of that name would; webhooks must not be in its way.

        Raises ApiError as the client would be refused, and ValueError for a kind that is not served.
        """
        resource = next((r for r in self._served if (r.api_version, r.kind) == (obj["apiVersion"], obj["kind"])), None)
        if resource is None:
            raise ValueError(f"No {obj['kind']} of {obj['apiVersion'] or 'an unnamed version'} is served.")
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        options = WriteOptions(manager=manager, force=applied)
        if applied:
            self._writer.patch(resource, ObjectKey(resource.key, namespace, name), obj, APPLY, options)
        else:
            self._writer.create(resource, namespace, obj, options)

    def add_node(self, name: str, **room: str) -> None:
        """A node joins, made like the first one; *room* sets what it has to give, as in `cpu="2"`."""
        joining(self._store, name, room, now=self._clock.now())

    def lose_node(self, name: str) -> None:
        """The kubelet of a node falls silent: its Pods run on unseen, and are driven out in time."""
        set_ready(self._store, name, "Unknown", now=self._clock.now())

    def recover_node(self, name: str) -> None:
        """The kubelet is back."""
        set_ready(self._store, name, "True", now=self._clock.now())

    def remove_node(self, name: str) -> None:
        """The node is no more; its Pods are collected after a while."""
        self._store.remove(node_key(name))

    def export(self) -> dict[str, Any]:
        """A snapshot of all objects, to `load` into other clusters; it shares memory with this one."""
        settled = self._life.is_idle
        return {"kubernetes_version": self.kubernetes_version, "settled": settled, **self._store.export()}

    def load(self, snapshot: Mapping[str, Any]) -> None:
        """Become a copy of the cluster in the snapshot."""
        self.kubernetes_version = self._api.kubernetes_version = snapshot["kubernetes_version"]
        self._served.become(self.kubernetes_version)
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

    def compact(self) -> None:
        """Forget what happened so far: watches, pages and lists of older versions get 410."""
        self._store.compact()

    # ------------------------------------------------------------------ for the server

    async def respond(self, request: Request, ended: Callable[[], Awaitable[Any]]) -> Response:
        """The answer, after whatever trouble was asked for; may raise `ConnectionRefused`."""
        try:
            response = await self.trouble.meet(request)
        except BaseException:
            self._remember(request, 0, self._targets(request))
            raise
        targets = self._targets(request)
        if response is None:
            response = await self._answer(request, ended)
        self._remember(request, response.status, targets)
        return response

    def close(self) -> None:
        """Stop the controllers."""
        self._life.stop()

    async def _answer(self, request: Request, ended: Callable[[], Awaitable[Any]]) -> Response:
        try:
            who = self._users.identify(request, self._clock.now())
        except ApiError as error:
            return refusal(error)
        if request.method == "GET":
            version = self.trouble.staleness(request, self._store.version)
            if version < self._store.version:
                request = replace(request, as_of=max(version, self._store.oldest))
            if "watch=" in request.query_string:
                ended = self._cut_short(request, ended)
        answers: dict[tuple[str, ...], Answer] = {}
        while True:
            # Set before each attempt: other requests and their answers come in between.
            self._writer.webhooks.answers = answers
            try:
                return self._api.respond(request, ended, who)
            except AnswerNeeded as needed:
                answers[needed.call.id] = await ask(needed.call)

    def _cut_short(self, request: Request, ended: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """What ends a watch, with the trouble that was asked for it."""
        seconds = self.trouble.watch_seconds(request)
        if seconds is None:
            return ended

        async def wait() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended(), seconds)

        return wait

    def _targets(self, request: Request) -> tuple[Target, ...]:
        """What the request is about to delete; looked up only for requests that delete."""
        if request.method != "DELETE" and not request.path.endswith("/eviction"):
            return ()
        route = routing.parse(request.path)
        resource = self._served.find(route.group, route.version, route.plural) if route and route.plural else None
        if route is None or resource is None:
            return ()
        namespace = route.namespace if resource.namespaced else ""
        if route.name:
            found = [self._store.get(ObjectKey(resource.key, namespace, route.name))]
        else:
            try:
                found = [*watching.select(resource, namespace, request.query).records(self._store)]
            except ApiError:
                return ()  # a selector that cannot be read deletes nothing
        return tuple(
            Target(
                resource.kind,
                record.key.namespace,
                record.key.name,
                record.uid,
                record.decode()["metadata"]["creationTimestamp"],
            )
            for record in found
            if record is not None
        )

    def _remember(self, request: Request, status: int, targets: tuple[Target, ...]) -> None:
        logged = LoggedRequest(
            request.method,
            request.path,
            request.query_string,
            request.user_agent,
            request.content_type,
            status,
            self._clock.now(),
            _kind_of(request),
            targets,
        )
        self._forgotten += len(self._log) == self._log.maxlen
        self._log.append(logged)
        for recorder in self._recorders:
            recorder(logged)


def _kind_of(request: Request) -> str:
    """The kind a JSON body names; others are not read for it."""
    if not request.body or request.content_type not in (JSON, "application/merge-patch+json", APPLY):
        return ""
    try:
        return _decode_kind(request.body).kind
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
