"""Play a recorded scenario against a simulated cluster, request by request, and say what differs.

Time is stepped: before each request the cluster is brought to the recorded moment. What an answer shows of the work of
controllers is judged from the end (`hindsight`), what watches told when they are over (`watches`).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import yaml

from addonry.simulator import SimulatedCluster, SteppedClock, routing
from addonry.simulator.admission import completion
from addonry.simulator.messages import Request, Response
from addonry.simulator.objects import Schemas, decode
from addonry.simulator.resources import ResourceKey

from . import scene
from .comparing import Difference, Pairs, Side, differences, plain_protobuf, text_of
from .hindsight import CLIENTS_SECONDS, CONTROLLERS_SECONDS, Doubt, reading_of, remaining
from .recording import Exchange, load, scenarios
from .watches import OpenWatch

SCHEMAS: Final = Schemas.load()
_START: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
_REACTION: Final = 0.05
_PATIENCE: Final = 1.5
_HEADERS: Final = ("Content-Type", "Cache-Control", "Warning", "Retry-After", "Content-Encoding")
# The recorder kept no User-Agent; what field managers were called tells it: kubectl had another name beside Helm.
_AGENTS: Final = {"helm": "Helm/4.2.3", "kubectl": "kubectl.1.32/v1.32.0"}
_AGENTS_BESIDE_HELM: Final = {**_AGENTS, "kubectl": "kubectl/v1.32.0"}
_USERS: Final = {"lab-user": ("lab-users",)}


@dataclass
class Outcome:
    """How one exchange went; without differences it matched."""

    exchange: Exchange
    differences: list[Difference] = field(default_factory=list)

    @property
    def places(self) -> list[str]:
        return sorted({where for where, _, _ in self.differences})


class Player:
    """One scenario on one cluster."""

    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        completion._DICE.seed(scenario)  # which Pod stands for which must not depend on luck
        self._exchanges = load(scenario)
        self._clock = SteppedClock(_START)
        self._cluster = SimulatedCluster(
            scenario,
            server="http://simulated",
            clock=self._clock,
            schemas=SCHEMAS,
            nodes=scene.nodes(self._clock.now()),
            require_token=True,
        )
        self._tokens = {name: self._cluster.user(name, groups).token for name, groups in _USERS.items()}
        self._recorded, self._actual, self._pairs = Side(), Side(), Pairs()
        self._doubts: list[tuple[Outcome, Doubt]] = []
        self._changes: list[tuple[float, int, ResourceKey]] = []
        self._watches: list[tuple[Outcome, OpenWatch]] = []
        self._namespaces = scene.own_namespaces(scenario, self._exchanges)
        self._foreign = frozenset(scenarios()) - self._namespaces

    async def play(self) -> list[Outcome]:
        outcomes = []
        await self._prepare()
        step = None
        for exchange in self._exchanges:
            await self._advance_to(exchange.t)
            await self._leave_watches(exchange, is_new_step=exchange.step != step)
            step = exchange.step
            if exchange.seq in scene.COMPACTED_BEFORE.get(self.scenario, ()):
                self._cluster._store.compact()
            outcome = Outcome(exchange)
            outcomes.append(outcome)
            if exchange.events is not None:
                await self._open_watch(outcome)
            else:
                await self._ask(outcome)
        await self._advance_to(max(_end(exchange) for exchange in self._exchanges) + _PATIENCE)
        for outcome, watch in self._watches:
            await self._finish(outcome, watch)
        await self._look_back()
        self._cluster.close()
        return outcomes

    # ------------------------------------------------------------------ time

    async def _prepare(self) -> None:
        for path, obj in scene.foundations(self.scenario, self._exchanges):
            headers = {"authorization": f"Bearer {self._cluster.token}", "content-type": "application/json"}
            request = Request("POST", path, "fieldManager=kubectl-create", headers, json.dumps(obj).encode())
            response = await self._cluster.respond(request, asyncio.Event().wait)
            assert response.status == 201, response.body
        await self._clock.advance(2.0)
        # The recorded server was started anew before; and nothing that happens from here on is forgotten.
        store = self._cluster._store
        store.compact()
        store._history = deque()
        self._first = store.version
        store.subscribe(
            lambda change: self._changes.append((self._clock.elapsed(), change.version, change.record.key.resource))
        )
        self._began = self._clock.elapsed()

    async def _advance_to(self, t: float) -> None:
        left = self._began + t - self._clock.elapsed()
        # Controllers of a real cluster need a moment to see a change; requests in quick succession outrun them.
        if left >= _REACTION:
            await self._clock.advance(left)

    # ------------------------------------------------------------------ requests

    def _request(self, exchange: Exchange) -> Request:
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        if exchange.status == 304:
            headers["if-none-match"] = "*current*"
        client, _, user = exchange.client.partition(" as ")
        if user:
            headers["authorization"] = f"Bearer {self._tokens[user]}"
        elif "without certificate" not in client:
            headers["authorization"] = f"Bearer {self._cluster.token}"
        agents = _AGENTS_BESIDE_HELM if self.scenario.startswith("helm-") else _AGENTS
        if client.partition(" ")[0] in agents:
            headers["user-agent"] = agents[client.partition(" ")[0]]
        members = parse_qsl(exchange.query, keep_blank_values=True)
        query = urlencode([(name, self._pairs.translate(value, name)) for name, value in members])
        path = "/".join(self._pairs.text(part) for part in exchange.path.split("/"))
        body = scene.as_sent(self.scenario, exchange, self._pairs.translate(exchange.request))
        return Request(exchange.method, path, query if exchange.query else "", headers, body)

    async def _send(self, request: Request) -> Response:
        if request.headers.get("if-none-match") == "*current*":
            bare = Request(request.method, request.path, request.query_string, {**request.headers, "if-none-match": ""})
            tags = dict((await self._cluster.respond(bare, asyncio.Event().wait)).headers)
            request.headers["if-none-match"] = tags.get("Etag", "")  # type: ignore[index]
        return await self._cluster.respond(request, asyncio.Event().wait)

    async def _ask(self, outcome: Outcome) -> None:
        exchange = outcome.exchange
        request = self._request(exchange)
        response = await self._send(request)
        if response.status != exchange.status:
            outcome.differences.append(("status code", exchange.status, (response.status, response.body[:600])))
            return
        outcome.differences += self._compared_headers(exchange, response)
        expected, actual = self._bodies(exchange, response)
        if not isinstance(expected, dict) or not isinstance(actual, dict):
            outcome.differences += differences(self._recorded.form(expected), self._actual.form(actual))
            return
        found = list(differences(self._recorded.form(expected), self._actual.form(actual)))
        reading = reading_of(exchange, request, actual) if found and exchange.status in (200, 201) else None
        if reading is not None and _names_resource(reading.path):
            doubt = Doubt(expected, actual, reading, self._clock.elapsed(), exchange.is_write)
            self._doubts.append((outcome, doubt))
        else:
            outcome.differences += found
        self._pairs.learn(expected, actual, self._actual.plain)

    def _bodies(self, exchange: Exchange, response: Response) -> tuple[Any, Any]:
        """What was answered, without what is not compared."""
        expected = exchange.answer
        if isinstance(expected, dict) and "$left_out" in expected:
            return None, None
        return self._cleaned(exchange, expected), self._cleaned(exchange, _parsed(response))

    def _cleaned(self, exchange: Exchange, body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        if "protobuf" in exchange.answer_headers.get("Content-Type", ""):
            body = plain_protobuf(body)
        return self._own(body)

    async def _look_back(self) -> None:
        for outcome, doubt in self._doubts:
            near = await self._readings(outcome.exchange, doubt, CLIENTS_SECONDS)
            far = await self._readings(outcome.exchange, doubt, CONTROLLERS_SECONDS)
            outcome.differences += remaining(doubt, near, far, (self._recorded, self._actual))

    async def _readings(self, exchange: Exchange, doubt: Doubt, seconds: float) -> list[dict[str, Any]]:
        """What the cluster answered around the moment of the doubt."""
        route = routing.parse(doubt.reading.path)
        assert route is not None
        found = []
        for version in self._versions_around(doubt.at, seconds, (route.group, route.plural)):
            body = self._cleaned(exchange, _parsed(await self._send(replace(doubt.reading, as_of=version))))
            if isinstance(body, dict) and body.get("kind") != "Status":
                found.append(body)
        return found

    def _versions_around(self, at: float, seconds: float, resource: tuple[str, str]) -> list[int]:
        """The versions at which objects of the resource were changed around a moment, and the one before them."""
        before = max((v for when, v, _ in self._changes if when < at - seconds), default=self._first)
        around = (c for c in self._changes if at - seconds <= c[0] <= at + seconds)
        return [before, *(version for _, version, key in around if key == resource)]

    @staticmethod
    def _compared_headers(exchange: Exchange, response: Response) -> Iterator[Difference]:
        actual: dict[str, Any] = {"Content-Type": response.content_type, "Cache-Control": "no-cache, private"}
        for name, value in response.headers:
            actual[name] = [*actual[name], value] if name == "Warning" and name in actual else value
            if name == "Warning" and not isinstance(actual[name], list):
                actual[name] = [value]
        if response.status == 304:
            actual.pop("Content-Type")
        for name in _HEADERS:
            expected = exchange.answer_headers.get(name)
            if name == "Warning" and isinstance(expected, str):
                expected = [expected]
            if name == "Warning":
                expected, actual[name] = (sorted(map(text_of, said or ())) for said in (expected, actual.get(name)))
            if expected != actual.get(name):
                yield f"header {name}", expected, actual.get(name)

    # ------------------------------------------------------------------ what is the scenario's own

    def _own(self, body: dict[str, Any]) -> dict[str, Any]:
        """A body without what other scenarios, which ran at the same time, put into it."""
        if body.get("kind") in ("APIGroupDiscoveryList", "APIGroupList"):
            name = "items" if "items" in body else "groups"
            return {**body, name: [g for g in body.get(name) or () if not self._is_foreign_group(g)]}
        listed = "items" if isinstance(body.get("items"), list) else "rows"
        if not isinstance(body.get(listed), list):
            return body
        return {**body, listed: [item for item in body[listed] if self._is_own(item)]}

    def _is_foreign_group(self, group: Mapping[str, Any]) -> bool:
        name = str(group.get("name") or (group.get("metadata") or {}).get("name") or "")
        return name.endswith("example.com") and not self._cluster._served.has_group(name)

    def _is_own(self, item: Any) -> bool:
        metadata = (item.get("object") or item).get("metadata") or {} if isinstance(item, dict) else {}
        namespace = metadata.get("namespace")
        if namespace is None:
            return metadata.get("name") not in self._foreign  # their namespaces
        return namespace in self._namespaces

    # ------------------------------------------------------------------ watches

    async def _open_watch(self, outcome: Outcome) -> None:
        watch = OpenWatch(asyncio.Event())
        response = await self._cluster.respond(self._request(outcome.exchange), watch.closed.wait)
        if response.stream is None:
            outcome.differences.append(("status code", outcome.exchange.status, (response.status, response.body[:400])))
            return
        outcome.differences += self._compared_headers(outcome.exchange, response)
        watch.read(response)
        self._watches.append((outcome, watch))

    async def _leave_watches(self, exchange: Exchange, *, is_new_step: bool) -> None:
        """Note of which watches the recorded client has seen the last, and finish those left long enough ago.

        Controllers may bring a little later what the client still saw, so a watch that was left stays open a moment.
        """
        now = self._clock.elapsed()
        for outcome, watch in self._watches[:]:
            last = max(outcome.exchange.event_t, default=outcome.exchange.t)
            is_over = exchange.is_write and exchange.t > last
            is_over |= is_new_step and not exchange.client.startswith("raw")
            if watch.left_at is None and is_over:
                await watch.leave(now)
            elif watch.left_at is not None and now > watch.left_at + _PATIENCE and exchange.t > _end(outcome.exchange):
                self._watches.remove((outcome, watch))
                await self._finish(outcome, watch)

    async def _finish(self, outcome: Outcome, watch: OpenWatch) -> None:
        exchange = outcome.exchange
        assert exchange.events is not None
        if exchange.watch_end == "server" and not watch.ended_itself:
            outcome.differences.append(("watch_end", "server", "client"))
        await watch.close()
        outcome.differences += watch.compared(exchange.events, (self._recorded, self._actual), self._is_own)


def _end(exchange: Exchange) -> float:
    """The moment at which nothing more came, in seconds of the recording."""
    asked = dict(parse_qsl(exchange.query)).get("timeoutSeconds", "0") if exchange.watch_end == "server" else "0"
    return max([exchange.t + (float(asked) if asked.isdigit() else 0.0), *exchange.event_t])


def _names_resource(path: str) -> bool:
    route = routing.parse(path)
    return route is not None and bool(route.plural)


def _parsed(response: Response) -> Any:
    if not response.body:
        return None
    if response.body.startswith(b"k8s\x00"):
        return decode(response.body)
    if response.content_type.startswith("application/json"):
        return json.loads(response.body)
    if response.content_type == "application/yaml":
        return yaml.safe_load(response.body)
    try:
        return json.loads(response.body)
    except ValueError:
        return {"$text": response.body.decode("utf-8", "replace")}
