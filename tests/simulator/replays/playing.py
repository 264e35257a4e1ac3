"""Play a recorded scenario against a simulated cluster, request by request, and say what differs.

Time is stepped: before each request the cluster is brought to the recorded moment. The real cluster's controllers and
kubelets needed a little more or less time for the same work, so an answer may match the cluster at any moment of the
second around the recorded one: an answer of the recording counts as given if the cluster gave it a moment ago, or
gives it a moment later. Of watches the set of states and the end state are compared, as their order varies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import yaml

from addonry.simulator import SimulatedCluster, SteppedClock, routing
from addonry.simulator.messages import Request, Response
from addonry.simulator.objects import Schemas, decode
from addonry.simulator.resources import ResourceKey

from .comparing import Difference, Pairs, Side, differences
from .recording import RECORDINGS, Exchange, load

SCHEMAS: Final = Schemas.load()
_REACTION: Final = 0.05
_TOLERANCE: Final = 1.5
_NODES: Final = 3
_HEADERS: Final = ("Content-Type", "Cache-Control", "Warning", "Retry-After", "Content-Encoding")
# The recorder kept no User-Agent; what field managers were called tells it.
_AGENTS: Final = {"helm": "Helm/4.2.3", "kubectl": "kubectl.1.32/v1.32.0"}
_REVISION: Final = "deployment.kubernetes.io/revision"
_CONTROLLED: Final = frozenset(("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "Pod", "Scale"))
_USERS: Final = {"lab-user": ("lab-users",)}


@dataclass
class Outcome:
    """How one exchange went; without differences it matched."""

    exchange: Exchange
    differences: list[Difference] = field(default_factory=list)

    @property
    def places(self) -> list[str]:
        return sorted({where for where, _, _ in self.differences})


@dataclass
class _OpenWatch:
    outcome: Outcome
    closed: asyncio.Event
    reading: asyncio.Task[None]
    lines: list[dict[str, Any]]
    head: Response


class Player:
    """One scenario on one cluster."""

    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        self._exchanges = load(scenario)
        self._clock = SteppedClock()
        self._cluster = SimulatedCluster(
            scenario, server="http://simulated", clock=self._clock, schemas=SCHEMAS, nodes=_NODES, require_token=True
        )
        self._tokens = {name: self._cluster.user(name, groups).token for name, groups in _USERS.items()}
        self._recorded, self._actual, self._pairs = Side(), Side(), Pairs()
        self._doubtful: list[tuple[Outcome, Request, float]] = []
        self._changes: list[tuple[float, int, ResourceKey]] = []
        # Nothing is forgotten, so that one can look back from the end.
        self._cluster._store._history = deque(self._cluster._store._history)
        self._cluster._store.subscribe(
            lambda change: self._changes.append((self._clock.elapsed(), change.version, change.record.key.resource))
        )
        self._first = self._cluster.version
        self._watches: list[_OpenWatch] = []
        self._namespaces = self._own_namespaces()

    async def play(self) -> list[Outcome]:
        outcomes = []
        await self._prepare()
        step = None
        for exchange in self._exchanges:
            if exchange.step != step and not exchange.client.startswith("raw"):
                await self._close_watches()
            step = exchange.step
            await self._advance_to(exchange.t)
            outcome = Outcome(exchange)
            outcomes.append(outcome)
            if exchange.events is not None:
                await self._open_watch(outcome)
            else:
                await self._ask(outcome)
        await self._advance_to(max([self._exchanges[-1].t, *(t for e in self._exchanges for t in e.event_t)]) + 1.0)
        await self._close_watches()
        await self._look_around()
        self._cluster.close()
        return outcomes

    # ------------------------------------------------------------------ time

    async def _prepare(self) -> None:
        """What the recorder made before the scenario began: its namespace, and a custom resource definition."""
        await self._make("/api/v1/namespaces", {"metadata": {"name": self.scenario}})
        if any("raw.example.com" in exchange.path for exchange in self._exchanges):
            definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await self._make(definitions, json.loads((RECORDINGS / "widgets.json").read_text()))
        await self._clock.advance(2.0)
        self._began = self._clock.elapsed()

    async def _make(self, path: str, obj: Any) -> None:
        headers = {"authorization": f"Bearer {self._cluster.token}", "content-type": "application/json"}
        request = Request("POST", path, "fieldManager=kubectl-create", headers, json.dumps(obj).encode())
        response = await self._cluster.respond(request, asyncio.Event().wait)
        assert response.status == 201, response.body

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
        client = exchange.client
        if " as " in client:
            headers["authorization"] = f"Bearer {self._tokens[client.partition(' as ')[2]]}"
        elif "without certificate" not in client:
            headers["authorization"] = f"Bearer {self._cluster.token}"
        if exchange.client.partition(" ")[0] in _AGENTS:
            headers["user-agent"] = _AGENTS[exchange.client.partition(" ")[0]]
        query = urlencode(
            [
                (name, self._pairs.translate(value, name))
                for name, value in parse_qsl(exchange.query, keep_blank_values=True)
            ]
        )
        path = "/".join(self._pairs.text(part) for part in exchange.path.split("/"))
        body = exchange.body(self._pairs.translate(exchange.request))
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
        outcome.differences += self._compare(exchange, response)
        if outcome.differences and exchange.status == response.status == 200 and not exchange.is_write:
            self._doubtful.append((outcome, request, self._clock.elapsed()))
        body = _parsed(response)
        if isinstance(exchange.answer, dict) and isinstance(body, dict):
            self._pairs.learn(self._own(exchange.answer), self._own(body), self._actual.plain)

    async def _look_around(self) -> None:
        """Acquit answers that the cluster gave a moment before or after they were asked for."""
        for outcome, request, at in self._doubtful:
            route = routing.parse(request.path)
            if route is None or not route.plural:
                continue
            bodies = [
                body
                for version in self._versions_around(at, route.group, route.plural)
                if isinstance(body := _parsed(await self._send(replace(request, as_of=version))), dict)
            ]
            if self._was_shown(outcome.exchange.answer, bodies):
                outcome.differences = [d for d in outcome.differences if d[0].startswith("header")]

    def _versions_around(self, at: float, group: str, plural: str) -> list[int]:
        """The versions at which objects of the resource were changed around a moment, and the one before them."""
        before = max((v for when, v, _ in self._changes if when < at - _TOLERANCE), default=self._first)
        around = (c for c in self._changes if at - _TOLERANCE <= c[0] <= at + _TOLERANCE)
        return [before, *(version for _, version, key in around if key == (group, plural))]

    def _was_shown(self, answer: Any, bodies: list[dict[str, Any]]) -> bool:
        """Whether each object of the answer, and as many of them, were shown at one of these moments."""
        if not isinstance(answer, dict):
            return False
        listed = "items" if isinstance(answer.get("items"), list) else "rows"
        if not isinstance(answer.get(listed), list):
            expected = self._recorded.form(answer)
            return any(self._actual.form(body) == expected for body in bodies)
        wanted = self._own(answer)[listed]
        shown = [self._own(body).get(listed) or [] for body in bodies]
        states = {json.dumps(self._actual.form(item), sort_keys=True) for items in shown for item in items}
        counts = [len(items) for items in shown]
        return (
            bool(counts)
            and min(counts) <= len(wanted) <= max(counts)
            and all(json.dumps(self._recorded.form(item), sort_keys=True) in states for item in wanted)
        )

    # ------------------------------------------------------------------ comparing

    def _compare(self, exchange: Exchange, response: Response) -> list[Difference]:
        found: list[Difference] = []
        if response.status != exchange.status:
            return [("status", exchange.status, (response.status, response.body[:600]))]
        found += self._compared_headers(exchange, response)
        if isinstance(exchange.answer, dict) and "$left_out" in exchange.answer:
            return found
        expected, actual = exchange.answer, _parsed(response)
        if isinstance(expected, dict) and isinstance(actual, dict):
            expected, actual = self._own(expected), self._own(actual)
            if "protobuf" in exchange.answer_headers.get("Content-Type", ""):
                expected, actual = _without_zeros(expected), _without_zeros(actual)
        if exchange.is_write and not exchange.path.endswith("/status"):
            expected, actual = _as_clients_left_it(expected), _as_clients_left_it(actual)
        expected, actual = self._recorded.form(expected), self._actual.form(actual)
        return [*found, *differences(expected, actual)]

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
                expected, actual[name] = sorted(expected or ()), sorted(actual.get(name) or ())
            if expected != actual.get(name):
                yield f"header {name}", expected, actual.get(name)

    # ------------------------------------------------------------------ what is the scenario's own

    def _own_namespaces(self) -> frozenset[str]:
        found = {self.scenario}
        for exchange in self._exchanges:
            parts = exchange.path.split("/")
            if "namespaces" in parts[:-1]:
                found.add(parts[parts.index("namespaces") + 1])
        return frozenset(found)

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
            return True
        return namespace in self._namespaces

    # ------------------------------------------------------------------ watches

    async def _open_watch(self, outcome: Outcome) -> None:
        closed = asyncio.Event()
        response = await self._cluster.respond(self._request(outcome.exchange), closed.wait)
        lines: list[dict[str, Any]] = []
        if response.stream is None:
            outcome.differences.append(("status", outcome.exchange.status, (response.status, response.body[:400])))
            return
        reading = asyncio.ensure_future(_read(response, lines))
        self._watches.append(_OpenWatch(outcome, closed, reading, lines, response))

    async def _close_watches(self) -> None:
        for watch in self._watches:
            ended_itself = watch.reading.done()
            watch.closed.set()
            await watch.reading
            exchange = watch.outcome.exchange
            found = list(self._compared_headers(exchange, watch.head))
            if exchange.watch_end == "server" and not ended_itself:
                found.append(("watch_end", "server", "client"))
            found += self._compared_events(exchange, watch.lines)
            watch.outcome.differences += found
        self._watches.clear()

    def _compared_events(self, exchange: Exchange, lines: list[dict[str, Any]]) -> Iterator[Difference]:
        assert exchange.events is not None
        expected = _stories([e for e in exchange.events if self._is_own(e.get("object"))], self._recorded)
        actual = _stories([e for e in lines if self._is_own(e.get("object"))], self._actual)
        yield from differences(sorted(expected), sorted(actual), "objects")
        for name in sorted({*expected} & {*actual}):
            yield from expected[name].compared(actual[name], name)


@dataclass
class _Story:
    """What a watch told of one object, or of several that nobody can tell apart."""

    ends: list[Any] = field(default_factory=list)
    states: list[Any] = field(default_factory=list)
    facts: set[str] = field(default_factory=set)

    def compared(self, other: _Story, name: str) -> Iterator[Difference]:
        """Every recorded end must have been reached, by the same steps."""
        for end in self.ends:
            if end not in other.states:
                closest = other.ends[-1] if other.ends else None
                yield from differences(end, closest, f"{name} end")
                return
        if lacking := self.facts - other.facts:
            yield f"{name} states", sorted(lacking), sorted(other.facts - self.facts)


def _stories(events: list[dict[str, Any]], side: Side) -> dict[str, _Story]:
    found: dict[str, _Story] = {}
    latest: dict[str, Any] = {}
    for event in events:
        if event["type"] == "BOOKMARK" and not _marks_end(event):
            continue  # a server sends them when it sees fit
        raw = event.get("object") or {}
        shown = side.form(event)["object"]
        name = _named(shown)
        story = found.setdefault(name, _Story())
        state = (event["type"], shown)
        story.states.append(state)
        story.facts |= set(_facts(event["type"], shown))
        latest[str((raw.get("metadata") or {}).get("uid") or len(latest))] = (name, state)
    for name, state in latest.values():
        if state not in found[name].ends:
            found[name].ends.append(state)
    return found


def _marks_end(bookmark: Mapping[str, Any]) -> bool:
    return bool((bookmark["object"].get("metadata") or {}).get("annotations"))


def _named(shown: Mapping[str, Any]) -> str:
    if shown.get("kind") == "Table":
        return "Table"
    if shown.get("kind") == "Event":
        about = shown.get("involvedObject") or {}
        return f"Event {about.get('kind')}/{about.get('name')} {shown.get('reason')}"
    metadata = shown.get("metadata") or {}
    return f"{shown.get('kind')} {metadata.get('name', '')}"


def _facts(event: str, shown: Mapping[str, Any]) -> Iterator[str]:
    yield event
    status = shown.get("status")
    if not isinstance(status, dict):
        return
    if "phase" in status:
        yield f"phase {status['phase']}"
    for condition in status.get("conditions") or ():
        if isinstance(condition, dict):
            yield f"{condition.get('type')}={condition.get('status')} {condition.get('reason', '')}"
    for container in status.get("containerStatuses") or ():
        for word, state in (container.get("state") or {}).items():
            yield f"{word} {state.get('reason', '')}"


async def _read(response: Response, lines: list[dict[str, Any]]) -> None:
    assert response.stream is not None
    async with contextlib.aclosing(response.stream) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            lines += [json.loads(line) for line in piece.splitlines()]


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


def _as_clients_left_it(answer: Any) -> Any:
    """The answer to a write without what controllers had got round to: that is read and watched in other exchanges."""
    if not isinstance(answer, dict) or answer.get("kind") not in _CONTROLLED:
        return answer
    metadata = dict(answer.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != _REVISION}
    if annotations:
        metadata["annotations"] = annotations
    return {**{k: v for k, v in answer.items() if k != "status"}, "metadata": metadata}


def _without_zeros(value: Any) -> Any:
    """What a recorded protobuf answer was written down as: empty members may be missing."""
    if isinstance(value, dict):
        kept = {key: _without_zeros(part) for key, part in value.items()}
        return {key: part for key, part in kept.items() if part not in ({}, [], "", 0, None, False)}
    return [_without_zeros(part) for part in value] if isinstance(value, list) else value
