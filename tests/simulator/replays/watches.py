"""What watches told: of each object the states it went through and the one it ended in.

The order of events of different objects, and how many steps a controller took, vary between two runs of one cluster.
What must be the same: which objects there were, every state that an object was in at the end of its life or of the
watch, and what was ever said of it: types of events, phases, conditions and their reasons, states of containers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from addonry.simulator.messages import Response

from .comparing import Difference, Side, differences

_TURNS: Final = 20


@dataclass
class OpenWatch:
    """A watch on the simulated cluster, and when its recorded client stopped looking: at which moment and event."""

    closed: asyncio.Event
    lines: list[dict[str, Any]] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None
    left_at: float | None = None
    seen: int | None = None

    @property
    def ended_itself(self) -> bool:
        return self.reading is None or self.reading.done()

    def read(self, response: Response) -> None:
        """Begin to collect what the watch tells."""
        self.reading = asyncio.ensure_future(self._read(response))

    async def _read(self, response: Response) -> None:
        assert response.stream is not None
        async with contextlib.aclosing(response.stream) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                self.lines += [json.loads(line) for line in piece.splitlines()]

    async def leave(self, moment: float) -> None:
        """The recorded client saw nothing of what happens from *moment* on, but for what it had brought about."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # until what happened so far was read
        self.left_at, self.seen = moment, len(self.lines)

    async def close(self) -> None:
        self.closed.set()
        if self.reading is not None:
            await self.reading

    def compared(
        self, recorded: list[dict[str, Any]], sides: tuple[Side, Side], is_own: Callable[[Any], bool]
    ) -> Iterator[Difference]:
        """How its events differ from the *recorded* ones."""
        expected = _stories([event for event in recorded if is_own(event.get("object"))], sides[0])
        actual = _stories([event for event in self.lines if is_own(event.get("object"))], sides[1])
        # Later objects come from later requests, which the recorded client did not watch any more.
        in_time = {_named(sides[1].form(event)["object"]) for event in self.lines[: self.seen]}
        missing = sorted({*expected} - {*actual})
        extra = sorted((in_time & {*actual}) - {*expected})
        if missing or extra:
            yield "objects", missing, extra
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
                tries = [list(differences(end, state, f"{name} end")) for state in other.states]
                yield from min(tries, key=len, default=[(f"{name} end", end, None)])
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
        state = {"type": event["type"], "object": shown}
        story.states.append(state)
        story.facts |= set(_facts(event["type"], shown))
        latest[str((raw.get("metadata") or {}).get("uid") or len(latest))] = (name, state)
    for name, state in latest.values():
        if state not in found[name].ends:
            found[name].ends.append(state)
    return found


def _marks_end(bookmark: Mapping[str, Any]) -> bool:
    return "k8s.io/initial-events-end" in ((bookmark["object"].get("metadata") or {}).get("annotations") or {})


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
