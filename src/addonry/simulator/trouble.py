"""What a test can do to a cluster so that its clients have a hard time.

Switches, all off at first, set from the same process. `refuse` and `hang` are about the whole cluster; `fail`, `stall`,
`hang_up`, `cut` and `stale` about the requests that match; `Chaos` picks for each request by dice, the same for the same
seed and order of requests. The server asks `meet` once for every request, and `staleness` and `until_cut` where they
matter. More kinds of trouble belong here, as a `Kind` and a line in `_befall`.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Final

from addonry.simulator import routing
from addonry.simulator.messages import JSON, Request, Response, json_response


class Reachability(StrEnum):
    FINE = auto()
    REFUSED = auto()  # the connection is closed without an answer
    HANGING = auto()  # the connection stays open, and nothing comes


class Kind(StrEnum):
    """What may befall one request."""

    CONFLICT = "409"
    TOO_MANY = "429"
    ERROR = "500"
    UNAVAILABLE = "503"
    STALLED = "hang"  # nothing comes until `recover`, or until the connection is closed at last
    HUNG_UP = "refuse"
    CUT = "cut"  # a watch ends soon after it began
    STALE = "stale"  # answered from an older version


class ConnectionRefused(Exception):
    """Close the connection without an answer."""


_STATUS: Final = {Kind.CONFLICT: 409, Kind.TOO_MANY: 429, Kind.ERROR: 500, Kind.UNAVAILABLE: 503}
_CONFLICTING: Final = ("PUT", "PATCH", "DELETE")
_STALL_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Chaos:
    """Trouble by dice: for each kind, how likely it is to befall a request that it can befall.

    A conflict befalls changes, a stale answer reads, a cut watches, the others anything; the chances of one request
    should not sum to more than one. Requests that match *spared* (a pattern of paths) are left alone.
    """

    seed: int
    rates: Mapping[Kind, float]
    spared: str = "^$"
    stall_seconds: float = 2.0
    watch_seconds: float = 0.5
    versions_behind: int = 5

    def kinds(self) -> Iterator[tuple[Kind, float]]:
        """The rates in an order of their own, so that equal rates mean equal trouble."""
        return ((kind, self.rates[kind]) for kind in Kind if kind in self.rates)


@dataclass(slots=True)
class _Rule:
    """One thing that was asked for, for the requests that match."""

    method: str = ""
    path_contains: str = ""
    path: re.Pattern[str] | None = None
    kind: Kind | None = None
    status: int = 0
    body: bytes | None = None
    times: int | None = 1  # None is for ever
    seconds: float = 0.0
    version: int = 0  # what a stale answer is as of
    retry_after: int | None = None
    fraction: float = 1.0
    dice: random.Random = field(default_factory=random.Random)

    def meets(self, request: Request) -> bool:
        if self.times == 0 or self.method not in ("", request.method) or self.path_contains not in request.path:
            return False
        if self.path is not None and not self.path.search(request.path):
            return False
        return self.fraction >= 1.0 or self.dice.random() < self.fraction

    def take(self) -> None:
        if self.times is not None:
            self.times -= 1


class Trouble:
    """The switches of one cluster. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._state = Reachability.FINE
        self._rules: list[_Rule] = []
        self._chaos: Chaos | None = None
        self._dice = random.Random(0)  # noqa: S311 - trouble, not a secret
        self._befallen: dict[Kind, int] = {}
        self._cuts = self._recoveries = 0
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> Reachability:
        return self._state

    @property
    def befallen(self) -> Mapping[Kind, int]:
        """How often chaos struck, by kind."""
        return dict(self._befallen)

    @property
    def cuts(self) -> int:
        """How often watches were cut."""
        return self._cuts

    # ------------------------------------------------------------------ the whole cluster

    def refuse(self) -> None:
        """Close every connection without an answer, also those of watches."""
        self._switch(Reachability.REFUSED)

    def hang(self) -> None:
        """Accept requests and answer none, until `recover`; then the waiting ones are answered."""
        self._switch(Reachability.HANGING)

    def recover(self) -> None:
        """Everything works again; whatever else was asked for is forgotten, chaos too."""
        self._rules.clear()
        self._chaos = None
        self._recoveries += 1
        self._switch(Reachability.FINE)

    def cut_watches(self) -> None:
        """End all watches that are open now; new ones are let in."""
        self._cuts += 1
        self._switch(self._state)

    def unleash(self, chaos: Chaos) -> None:
        """Let the dice decide about each request from now on, until `recover`."""
        self._dice = random.Random(chaos.seed)  # noqa: S311 - trouble, not a secret
        self._befallen = {}
        self._chaos = chaos

    # ------------------------------------------------------------------ chosen requests

    def fail(
        self,
        *,
        method: str = "",
        path_contains: str = "",
        path: str = "",
        status: int,
        times: int | None = 1,
        fraction: float = 1.0,
        seed: int = 0,
        body: bytes | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Answer the next *times* matching requests with *status*; without a body with a plausible `Status`.

        *path* is a regular expression; *times* None means until `recover`; of the matching ones only a *fraction* is
        hit, which ones follows from *seed*. *retry_after* is what the header of that name says; a 429 always has one.
        """
        dice = random.Random(seed)  # noqa: S311 - trouble, not a secret
        rule = _Rule(method, path_contains, _pattern(path), None, status, body, times, fraction=fraction, dice=dice)
        rule.retry_after = 1 if retry_after is None and status == 429 else retry_after
        self._rules.append(rule)

    def expire_token(self, *, times: int | None = None) -> None:
        """Credentials are no longer good: 401 for everything."""
        self.fail(status=401, times=times)

    def forbid(self, *, method: str = "", path: str, times: int | None = None) -> None:
        """The user may not do this any more: 403 in the words of RBAC."""
        self.fail(method=method, path=path, status=403, times=times)

    def stall(
        self, *, method: str = "", path: str = "", times: int | None = 1, seconds: float = _STALL_SECONDS
    ) -> None:
        """Leave matching requests, also watches, without an answer; after *seconds* they are hung up on."""
        self._add(Kind.STALLED, method, path, times, seconds=seconds)

    def hang_up(self, *, method: str = "", path: str = "", times: int | None = 1) -> None:
        """Close the connection of matching requests without an answer."""
        self._add(Kind.HUNG_UP, method, path, times)

    def cut(self, *, path: str = "", times: int | None = 1, seconds: float = 0.0) -> None:
        """Let matching watches begin, and end them after *seconds*."""
        self._add(Kind.CUT, "GET", path, times, seconds=seconds)

    def stale(self, *, path: str = "", times: int | None = 1, version: int) -> None:
        """Answer matching reads, and begin matching watches, as of an older *version* of the cluster.

        Like an API server whose cache lags behind; `SimulatedCluster.version` is the one to remember beforehand.
        """
        self._add(Kind.STALE, "GET", path, times, version=version)

    def _add(
        self, kind: Kind, method: str, path: str, times: int | None, *, seconds: float = 0.0, version: int = 0
    ) -> None:
        self._rules.append(_Rule(method, path=_pattern(path), kind=kind, times=times, seconds=seconds, version=version))

    # ------------------------------------------------------------------ for the server

    async def meet(self, request: Request) -> Response | None:
        """Wait while hanging; an answer to give instead of the real one, if any; or `ConnectionRefused`."""
        while self._state is Reachability.HANGING:
            await self._change().wait()
        if self._state is Reachability.REFUSED:
            raise ConnectionRefused
        rule = next((r for r in self._rules if r.kind not in (Kind.CUT, Kind.STALE) and r.meets(request)), None)
        if rule is not None:
            rule.take()
            if rule.kind is not None:
                return await self._befall(rule.kind, request, rule.seconds)
            headers = () if rule.retry_after is None else (("Retry-After", str(rule.retry_after)),)
            if rule.body is not None:
                return Response(rule.status, rule.body, JSON, headers)
            return _plausible(rule.status, request, headers)
        kind = self._roll(request)
        if kind is None or self._chaos is None:
            return None
        return await self._befall(kind, request, self._chaos.stall_seconds)

    def staleness(self, request: Request, version: int) -> int:
        """As of which version to answer a read; *version*, the newest, when nothing is wrong."""
        rule = next((r for r in self._rules if r.kind is Kind.STALE and r.meets(request)), None)
        if rule is not None:
            rule.take()
            return min(rule.version, version)
        if self._chaos is not None and request.trouble == Kind.STALE:
            return max(version - self._chaos.versions_behind, 1)
        return version

    def watch_seconds(self, request: Request) -> float | None:
        """After how long a watch is to be cut; None for never."""
        rule = next((r for r in self._rules if r.kind is Kind.CUT and r.meets(request)), None)
        if rule is not None:
            rule.take()
            return rule.seconds
        return self._chaos.watch_seconds if self._chaos is not None and request.trouble == Kind.CUT else None

    async def until_cut(self, cuts: int) -> None:
        """Comes back when watches are to end that began when there had been so many *cuts*."""
        while self._state is not Reachability.REFUSED and self._cuts == cuts:
            await self._change().wait()

    # ------------------------------------------------------------------ parts

    def _roll(self, request: Request) -> Kind | None:
        """What the dice say; one throw for each request, whatever it is, so that a seed repeats itself."""
        chaos = self._chaos
        if chaos is None:
            return None
        thrown = self._dice.random()
        if re.search(chaos.spared, request.path):
            return None
        for kind, rate in chaos.kinds():
            if not _can_befall(kind, request):
                continue
            if thrown < rate:
                self._befallen[kind] = self._befallen.get(kind, 0) + 1
                return kind
            thrown -= rate
        return None

    async def _befall(self, kind: Kind, request: Request, seconds: float) -> Response | None:
        match kind:
            case Kind.STALLED:
                await self._stall(seconds)
                return await self.meet(request)
            case Kind.HUNG_UP:
                raise ConnectionRefused
            case Kind.CUT | Kind.STALE:
                request.mark(kind)
                return None
            case _:
                headers = (("Retry-After", "1"),) if kind is Kind.TOO_MANY else ()
                return _plausible(_STATUS[kind], request, headers)

    async def _stall(self, seconds: float) -> None:
        recoveries = self._recoveries
        try:
            async with asyncio.timeout(seconds):
                while self._recoveries == recoveries and self._state is not Reachability.REFUSED:
                    await self._change().wait()
        except TimeoutError:
            raise ConnectionRefused from None

    def _change(self) -> asyncio.Event:
        if self._changed is None or self._changed.is_set():
            self._changed = asyncio.Event()
            self._loop = asyncio.get_running_loop()
        return self._changed

    def _switch(self, state: Reachability) -> None:
        self._state = state
        if self._changed is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)


def _pattern(path: str) -> re.Pattern[str] | None:
    return re.compile(path) if path else None


def _can_befall(kind: Kind, request: Request) -> bool:
    is_watch = request.query.get("watch", "") not in ("", "false", "0")
    match kind:
        case Kind.CONFLICT:
            return request.method in _CONFLICTING
        case Kind.CUT:
            return is_watch
        case Kind.STALE:
            return request.method == "GET"
    return True


_REASONS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: asked for by the test"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: asked for by the test"),
    503: ("ServiceUnavailable", "apiserver not ready"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def _plausible(status: int, request: Request, headers: tuple[tuple[str, str], ...]) -> Response:
    reason, message = _REASONS.get(status, ("", f"status {status} was asked for by the test"))
    if status == 403:
        message = _forbidden(request)
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return json_response(body | {"reason": reason, "code": status}, status, headers)


def _forbidden(request: Request) -> str:
    """What RBAC says, see raw-policy of the recordings."""
    route = routing.parse(request.path)
    if route is None or not route.plural:
        return f'forbidden: User "admin" cannot {request.method.lower()} path "{request.path}"'
    named = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "POST": "create"}
    unnamed = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
    verb = (named if route.name else unnamed).get(request.method, request.method.lower())
    if verb == "list" and request.query.get("watch", "") not in ("", "false", "0"):
        verb = "watch"
    qualified = f"{route.plural}.{route.group}" if route.group else route.plural
    about = f'{qualified} "{route.name}"' if route.name else qualified
    what = f"{route.plural}/{route.subresource}" if route.subresource else route.plural
    where = f'in the namespace "{route.namespace}"' if route.namespace else "at the cluster scope"
    return f'{about} is forbidden: User "admin" cannot {verb} resource "{what}" in API group "{route.group}" {where}'
