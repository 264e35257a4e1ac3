"""What a test can do to a cluster so that its clients have a hard time.

Switches, all off at first, set from the same process. More kinds of trouble belong here, as methods that set a switch
and a line in `meet`; the server asks once for every request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum, auto

from addonry.simulator.messages import JSON, Request, Response, json_response


class Reachability(StrEnum):
    FINE = auto()
    REFUSED = auto()  # the connection is closed without an answer
    HANGING = auto()  # the connection stays open, and nothing comes


class ConnectionRefused(Exception):
    """Close the connection without an answer."""


@dataclass(slots=True)
class _Failure:
    method: str
    path_contains: str
    status: int
    times: int
    body: bytes | None

    def meets(self, request: Request) -> bool:
        return self.times > 0 and self.method in ("", request.method) and self.path_contains in request.path


class Trouble:
    """The switches of one cluster. Methods may be called from any thread."""

    def __init__(self) -> None:
        self._state = Reachability.FINE
        self._failures: list[_Failure] = []
        self._changed: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> Reachability:
        return self._state

    def refuse(self) -> None:
        """Close every connection without an answer, also those of watches."""
        self._switch(Reachability.REFUSED)

    def hang(self) -> None:
        """Accept requests and answer none, until `recover`; then the waiting ones are answered."""
        self._switch(Reachability.HANGING)

    def recover(self) -> None:
        """Everything works again; failures that were asked for are forgotten."""
        self._failures.clear()
        self._switch(Reachability.FINE)

    def fail(
        self, *, method: str = "", path_contains: str = "", status: int, times: int = 1, body: bytes | None = None
    ) -> None:
        """Answer the next *times* matching requests with *status*; without a body with a plausible `Status`."""
        self._failures.append(_Failure(method, path_contains, status, times, body))

    async def meet(self, request: Request) -> Response | None:
        """Wait while hanging; an answer to give instead of the real one, if any; or `ConnectionRefused`."""
        while self._state is Reachability.HANGING:
            await self._change().wait()
        if self._state is Reachability.REFUSED:
            raise ConnectionRefused
        failure = next((failure for failure in self._failures if failure.meets(request)), None)
        if failure is None:
            return None
        failure.times -= 1
        if failure.body is not None:
            return Response(failure.status, failure.body, JSON)
        return _plausible(failure.status)

    async def until_unreachable(self) -> None:
        """Comes back when connections are to be cut."""
        while self._state is not Reachability.REFUSED:
            await self._change().wait()

    def _change(self) -> asyncio.Event:
        if self._changed is None or self._changed.is_set():
            self._changed = asyncio.Event()
            self._loop = asyncio.get_running_loop()
        return self._changed

    def _switch(self, state: Reachability) -> None:
        self._state = state
        if self._changed is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)


_REASONS = {
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden: asked for by the test"),
    409: ("Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: asked for by the test"),
    503: ("ServiceUnavailable", "apiserver not ready"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


def _plausible(status: int) -> Response:
    reason, message = _REASONS.get(status, ("", f"status {status} was asked for by the test"))
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    headers = (("Retry-After", "1"),) if status == 429 else ()
    return json_response(body | {"reason": reason, "code": status}, status, headers)
