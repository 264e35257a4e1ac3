"""The Events of controllers, written as client-go's recorders do: so that many of a kind become few.

An Event that says the same once more counts up; from the tenth of one reason about an object on, those that differ only
in their words are told in one; and after 25 about an object, one reporter has to wait. The scheduler is a step further:
it reports by events.k8s.io, with a moment of its own and what it did, and combines nothing.
See https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/client-go/tools/record/events_cache.go
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final, NamedTuple, TypeVar

from addonry.simulator.clock import Clock, Timer, timestamp
from addonry.simulator.objects import kept_event
from addonry.simulator.resources import Resource, built_in
from addonry.simulator.storage import Object, ObjectKey, Store

EVENTS: Final = built_in("", "events")
_LIFE: Final = 3600.0
# From how many different messages on they are told in one, and how long a reason must rest to be new again.
_COMBINED_FROM: Final = 10
_REST: Final = 600.0
# How many Events a reporter may write about an object at once, and how often one more.
_BURST: Final = 25
_REFILL: Final = 300.0
_REMEMBERED: Final = 4096
K = TypeVar("K")
V = TypeVar("V")


class Reporter(NamedTuple):
    """Who tells."""

    component: str
    host: str = ""
    """Of a kubelet: its node."""
    instance: str = ""
    """Of a reporter by events.k8s.io: which one it is."""


@dataclass(slots=True)
class _Told:
    """An Event that counts up."""

    key: ObjectKey
    first: str
    count: int = 0
    expiry: Timer | None = None


@dataclass(slots=True)
class _Similar:
    messages: set[str] = field(default_factory=set)
    last: float = 0.0


@dataclass(slots=True)
class _Budget:
    left: float
    at: float


@dataclass
class Recorder:
    """Writes the Events of one cluster's controllers."""

    store: Store
    clock: Clock
    create: Callable[[Resource, Object], Object]
    _told: dict[tuple[str, ...], _Told] = field(default_factory=dict)
    _similar: dict[tuple[str, ...], _Similar] = field(default_factory=dict)
    _budgets: dict[tuple[str, ...], _Budget] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def tell(self, about: Object, reason: str, message: str, *, by: Reporter, warning: bool, action: str = "") -> None:
        """Write what happened to the object that the reference *about* names; an *action* is for events.k8s.io."""
        kind = "Warning" if warning else "Normal"
        if action:
            self._write(about, {"reason": reason, "message": message, "type": kind, **self._singular(by, action)})
            return
        source = {"component": by.component, **({"host": by.host} if by.host else {})}
        group: tuple[str, ...] = (*by, about["uid"], kind, reason)
        said: dict[str, Any] = {"reportingComponent": by.component, "reportingInstance": by.host}
        alike: tuple[str, ...] = (*group, about.get("fieldPath", ""), message)
        if self._is_one_of_many(group, message):
            alike, message, said = group, f"(combined from similar events): {message}", {}
        told = _remembered(self._told, alike, lambda: _Told(self._key(about), timestamp(self.clock.now())))
        told.count += 1
        if not self._may_tell((*by, about["uid"])):
            return
        said |= {"reason": reason, "message": message, "type": kind, "source": source}
        self._count(about, told, said)

    # ------------------------------------------------------------------ parts

    def _is_one_of_many(self, group: tuple[str, ...], message: str) -> bool:
        now = self.clock.elapsed()
        similar = _remembered(self._similar, group, _Similar)
        if now - similar.last > _REST:
            similar.messages.clear()
        similar.messages.add(message)
        similar.last = now
        if len(similar.messages) < _COMBINED_FROM:
            return False
        similar.messages.pop()
        return True

    def _may_tell(self, whom: tuple[str, ...]) -> bool:
        now = self.clock.elapsed()
        budget = _remembered(self._budgets, whom, lambda: _Budget(_BURST, now))
        budget.left, budget.at = min(budget.left + (now - budget.at) / _REFILL, _BURST), now
        if budget.left < 1:
            return False
        budget.left -= 1
        return True

    def _count(self, about: Object, told: _Told, said: Object) -> None:
        now = timestamp(self.clock.now())
        record = self.store.get(told.key)
        if record is None:
            counted = {"firstTimestamp": told.first, "lastTimestamp": now, "count": told.count}
            told.key, told.expiry = self._write(about, {**said, **counted}, told.key.name)
            return
        if told.expiry is not None:
            told.expiry.cancel()
        newer = {"message": said["message"], "lastTimestamp": now, "count": told.count}
        self.store.put(EVENTS, {**record.decode(), **newer})
        told.expiry = self._expire(told.key)

    def _singular(self, by: Reporter, action: str) -> dict[str, Any]:
        moment = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        who = {"reportingComponent": by.component, "reportingInstance": by.instance}
        return {"action": action, "eventTime": moment, **who}

    def _key(self, about: Object) -> ObjectKey:
        """Where an Event of now about the object will be."""
        number = int(self.clock.now().timestamp() * 1e9) + next(self._numbers)
        return ObjectKey(EVENTS.key, about.get("namespace", "default"), f"{about['name']}.{number:x}")

    def _write(self, about: Object, said: Object, name: str = "") -> tuple[ObjectKey, Timer]:
        key = self._key(about)
        key = key._replace(name=name) if name else key
        metadata = {"name": key.name, "namespace": key.namespace}
        self.create(EVENTS, kept_event({"metadata": metadata, "involvedObject": about, **said}))
        return key, self._expire(key)

    def _expire(self, key: ObjectKey) -> Timer:
        def expire() -> None:
            self.store.remove(key)

        return self.clock.call_later(_LIFE, expire)


def _remembered(known: dict[K, V], key: K, new: Callable[[], V]) -> V:
    """What is known under the key, which becomes the newest; what was not asked for the longest is forgotten."""
    value = known.pop(key) if key in known else new()
    known[key] = value
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]
    return value
