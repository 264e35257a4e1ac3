"""The objects of one cluster, their versions, and what happened to them lately.

Objects are kept as JSON bytes without `kind` and `apiVersion`, with a little metadata beside them: answers are put
together without decoding, versions of one resource differ only in the prefix, and clones of a cluster share the
bytes. Everything runs on one event loop, so nothing here locks; a change is told to subscribers before the call
returns. Only this module knows how objects are held.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from addonry.simulator.resources import Resource, ResourceKey

Object = dict[str, Any]

# Events kept for watches that resume; older ones get 410, as after a compaction of the real store.
HISTORY_LENGTH: Final = 1000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class ObjectKey(NamedTuple):
    """Which object; the namespace is empty for cluster-wide ones."""

    resource: ResourceKey
    namespace: str
    name: str


class ChangeType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Record:
    """One object in one version. Immutable, so that history, watches and clones may share it."""

    key: ObjectKey
    uid: str
    version: int
    labels: Mapping[str, str] | None
    owners: tuple[str, ...]
    body: bytes

    def decode(self) -> Object:
        """A fresh copy to read or change, without kind and apiVersion."""
        obj: Object = _decode(self.body)
        return obj

    def encode(self, api_version: str, kind: str) -> bytes:
        """The whole object as JSON."""
        prefix = f'{{"kind":"{kind}","apiVersion":"{api_version}",'.encode()
        return prefix + self.body[1:]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history."""

    type: ChangeType
    version: int
    record: Record
    previous: Record | None


class Expired(Exception):
    """The history no longer reaches back that far."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"history begins at {oldest}")
        self.oldest = oldest


Listener = Callable[[Change], None]


class Store:
    """The objects of one cluster."""

    def __init__(self, *, history: int = HISTORY_LENGTH) -> None:
        self._version = 1
        self._buckets: dict[ResourceKey, dict[tuple[str, str], Record]] = {}
        # Which buckets still are those of a snapshot that others loaded as well; copied before the first change.
        self._borrowed: set[ResourceKey] = set()
        self._dependents: dict[str, dict[ObjectKey, None]] = {}
        self._history: deque[Change] = deque(maxlen=history)
        self._compacted = 1
        self._listeners: dict[int, Listener] = {}
        self._next_listener = 0

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._version

    # ------------------------------------------------------------------ reading

    def get(self, key: ObjectKey) -> Record | None:
        bucket = self._buckets.get(key.resource)
        return None if bucket is None else bucket.get((key.namespace, key.name))

    def records(self, resource: ResourceKey, namespace: str = "") -> Iterable[Record]:
        """Objects of one resource in the order the API lists them; an empty namespace means all."""
        bucket = self._buckets.get(resource)
        if not bucket:
            return []
        if namespace:
            return [bucket[at] for at in sorted(at for at in bucket if at[0] == namespace)]
        return [bucket[at] for at in sorted(bucket)]

    @property
    def oldest(self) -> int:
        """The oldest version that can still be looked back at."""
        return self._compacted

    def get_as_of(self, key: ObjectKey, version: int) -> Record | None:
        """The object as it was at an older *version*; raises `Expired` when that is no longer known."""
        changes = (change for change in self.since(version) if change.record.key == key)
        later = next(changes, None)
        return self.get(key) if later is None else later.previous

    def has_any(self, resource: ResourceKey) -> bool:
        """Whether there is any object of the resource; costs nothing, unlike listing them."""
        return bool(self._buckets.get(resource))

    def dependents(self, uid: str) -> list[Record]:
        """Objects that name *uid* in their owner references."""
        found = (self.get(key) for key in self._dependents.get(uid, ()))
        return [record for record in found if record is not None]

    def everything(self) -> Iterator[Record]:
        for bucket in self._buckets.values():
            yield from list(bucket.values())

    def count(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    # ------------------------------------------------------------------ writing

    def put(self, resource: Resource, obj: Object) -> Record:
        """Create or replace the object; one that changes nothing keeps its version and tells nobody."""
        metadata = obj["metadata"]
        key = ObjectKey(resource.key, metadata.get("namespace", ""), metadata["name"])
        previous = self.get(key)
        if previous is not None:
            metadata["resourceVersion"] = str(previous.version)
            if _body(obj) == previous.body or _same(obj, previous):
                return previous
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        record = self._record(key, obj, self._version)
        if previous is not None:
            self._forget_owners(previous)
        self._keep(record)
        self._tell(Change(ChangeType.MODIFIED if previous else ChangeType.ADDED, self._version, record, previous))
        return record

    def remove(self, key: ObjectKey) -> Record | None:
        """Drop the object; the record that comes back, and goes to watches, has the version of the deletion."""
        previous = self.get(key)
        if previous is None:
            return None
        self._version += 1
        obj = previous.decode()
        obj["metadata"]["resourceVersion"] = str(self._version)
        record = self._record(key, obj, self._version)
        del self._own_bucket(key.resource)[key.namespace, key.name]
        self._forget_owners(previous)
        self._tell(Change(ChangeType.DELETED, self._version, record, previous))
        return record

    # ------------------------------------------------------------------ following

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell *listener* of every change from now on, until the returned function is called."""
        number = self._next_listener
        self._next_listener += 1
        self._listeners[number] = listener

        def unsubscribe() -> None:
            self._listeners.pop(number, None)

        return unsubscribe

    def since(self, version: int) -> list[Change]:
        """What happened after *version*; raises `Expired` when that is no longer known."""
        if version < self._compacted:
            raise Expired(self._compacted)
        return [change for change in self._history if change.version > version]

    def compact(self) -> None:
        """Forget the history: watches and pages from before get 410."""
        self._history.clear()
        self._compacted = self._version

    # ------------------------------------------------------------------ cloning

    def export(self) -> dict[str, Any]:
        """All objects; records are immutable, so a snapshot costs only references."""
        buckets = {resource: dict(bucket) for resource, bucket in self._buckets.items() if bucket}
        return {"version": self._version, "buckets": buckets}

    def load(self, snapshot: Mapping[str, Any]) -> None:
        """Become the cluster of the *snapshot*; without history, so older versions are expired."""
        self._buckets = dict(snapshot["buckets"])
        self._borrowed = set(self._buckets)
        self._dependents.clear()
        self._version = snapshot["version"]
        for record in self.everything():
            self._know_owners(record)
        self.compact()

    # ------------------------------------------------------------------ parts

    def _keep(self, record: Record) -> None:
        key = record.key
        self._own_bucket(key.resource)[key.namespace, key.name] = record
        self._know_owners(record)

    def _own_bucket(self, resource: ResourceKey) -> dict[tuple[str, str], Record]:
        """The bucket, no longer shared with anybody."""
        if resource in self._borrowed:
            self._borrowed.discard(resource)
            self._buckets[resource] = dict(self._buckets[resource])
        return self._buckets.setdefault(resource, {})

    def _know_owners(self, record: Record) -> None:
        for owner in record.owners:
            self._dependents.setdefault(owner, {})[record.key] = None

    def _forget_owners(self, record: Record) -> None:
        for owner in record.owners:
            known = self._dependents.get(owner)
            if known is not None:
                known.pop(record.key, None)
                if not known:
                    del self._dependents[owner]

    @staticmethod
    def _record(key: ObjectKey, obj: Object, version: int) -> Record:
        metadata = obj["metadata"]
        owners = tuple(owner["uid"] for owner in metadata.get("ownerReferences", ()))
        return Record(key, metadata["uid"], version, metadata.get("labels") or None, owners, _body(obj))

    def _tell(self, change: Change) -> None:
        if len(self._history) == self._history.maxlen:
            self._compacted = self._history[0].version
        self._history.append(change)
        for listener in list(self._listeners.values()):
            listener(change)


def _body(obj: Object) -> bytes:
    return _encode({key: value for key, value in obj.items() if key not in ("kind", "apiVersion")})


def _same(obj: Object, record: Record) -> bool:
    """Whether only the order of members differs, or the times of managers that changed nothing."""
    old = record.decode()
    return {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} == old


def new_uid() -> str:
    return str(uuid.uuid4())
