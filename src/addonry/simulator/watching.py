"""Lists and watches: what is there, and what happens to it.

A watch subscribes to the store and turns each change into one line of JSON, in the form its client asked for (whole
objects, only metadata, or table rows). Versions too old to resume from end in the ERROR event a real server sends.
See https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from addonry.simulator import conversion, errors, selectors, tables
from addonry.simulator.clock import Clock, Timer
from addonry.simulator.messages import is_number
from addonry.simulator.negotiation import Form
from addonry.simulator.paging import Page, read_page
from addonry.simulator.resources import Resource
from addonry.simulator.storage import Change, ChangeType, Expired, Record, Store

_encode = msgspec.json.Encoder().encode
# How long a watch lives when its client does not say; a real server takes 30 to 60 minutes.
_WATCH_SECONDS: Final = 1800.0
# How often an idle watch that asked for bookmarks gets one, and how long before its end the last comes.
_BOOKMARK_SECONDS: Final = 60.0
_LAST_BOOKMARK_SECONDS: Final = 1.5
_TOO_OLD: Final = "The resourceVersion for the provided list is too old."
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a list or watch is about."""

    resource: Resource
    namespace: str
    labels: selectors.LabelSelector
    fields: selectors.FieldSelector

    def has(self, record: Record | None) -> bool:
        if record is None or (self.namespace and record.key.namespace != self.namespace):
            return False
        if self.labels and not selectors.matches(self.labels, record.labels):
            return False
        return not self.fields or selectors.fields_match(
            self.fields, record.key.name, record.key.namespace, record.decode
        )

    def records(self, store: Store) -> list[Record]:
        return [r for r in store.records(self.resource.key, self.namespace) if self.has(r)]


def select(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """The selection of a request; raises a 400 for selectors that cannot be read."""
    return Selection(
        resource,
        namespace,
        selectors.parse_labels(query.get("labelSelector", "")),
        selectors.parse_fields(query.get("fieldSelector", ""), resource),
    )


# ---------------------------------------------------------------------- lists


def list_objects(
    store: Store, clock: Clock, selection: Selection, form: Form, query: Mapping[str, str], *, as_of: int = 0
) -> bytes:
    """The body of a list answer; *as_of* an older version when the server is to lag behind."""
    limit = _limit(query)
    _check_list_version(as_of or store.version, query)
    resource, namespace = selection.resource, selection.namespace
    page = read_page(query.get("continue", ""), namespace, namespaced=resource.namespaced)
    exact = _exact(query, limit)
    wanted = max(page.version, 0) if page else exact
    try:
        records = _as_of(store, selection, wanted or as_of)
    except Expired as expired:
        raise page.too_old() if page else errors.expired(_TOO_OLD) from expired
    version = wanted or as_of or store.version
    if page:
        records = [r for r in records if (r.key.namespace, r.key.name) > page.last]
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if resource.is_custom and form is Form.OBJECT:
        metadata["continue"] = ""  # lists of custom resources are maps, in which it is set in any case
    # A list at resourceVersion 0 comes from the server's cache, which does not cut it: see raw-list-watch.
    if 0 < limit < len(records) and query.get("resourceVersion") != "0":
        last = records[limit - 1].key
        metadata["continue"] = Page(version, (last.namespace, last.name), namespace).write()
        if not selection.labels and not selection.fields:
            metadata["remainingItemCount"] = len(records) - limit
        records = records[:limit]
    return _list_body(resource, records, metadata, form, clock, query.get("includeObject", "Metadata"))


def _list_body(
    resource: Resource, records: list[Record], metadata: Mapping[str, Any], form: Form, clock: Clock, include: str
) -> bytes:
    match form:
        case Form.TABLE:
            return table(resource, records, metadata, clock, include)
        case Form.PARTIAL_LIST:
            items = [tables.partial(record.decode()) for record in records]
            head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
            return _encode({**head, "items": items})
        case _:
            head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
            records = [conversion.shown(resource, record) for record in records]
            # Items of built-in lists carry no kind of their own, those of custom ones do.
            bodies = (
                (r.encode(resource.api_version, resource.kind) for r in records)
                if resource.is_custom
                else (r.body for r in records)
            )
            return _encode(head)[:-1] + b',"items":[' + b",".join(bodies) + b"]}"


def table(resource: Resource, records: list[Record], metadata: Mapping[str, Any], clock: Clock, include: str) -> bytes:
    """Objects as a Table."""
    now = clock.now()
    return _encode(
        {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "columnDefinitions": tables.columns_of(resource),
            "rows": [tables.row_of(resource, record.decode(), now, include=include) for record in records],
        }
    )


def _as_of(store: Store, selection: Selection, version: int) -> list[Record]:
    """The selection as it was at *version*, 0 being now: later changes are undone from the history.

    Raises `Expired` when that is no longer known.
    """
    records = selection.records(store)
    if version <= 0:
        return records
    then: dict[Any, Record | None] = {record.key: record for record in records}
    for change in reversed(store.since(version)):
        if change.record.key.resource == selection.resource.key:
            then[change.record.key] = change.previous
    return sorted((r for r in then.values() if selection.has(r) and r), key=lambda r: (r.key.namespace, r.key.name))


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    try:
        return int(text or 0)
    except ValueError:
        raise errors.no_number(text) from None


def _check_list_version(newest: int, query: Mapping[str, str]) -> None:
    text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not text:
        raise _forbidden_match("resourceVersionMatch is forbidden unless resourceVersion is provided")
    if not text:
        return
    if not is_number(text):
        said = f'invalid resource version: resourceVersion: Invalid value: "{text}": {_unparsed(text)}'
        raise errors.bad_request(said)
    if int(text) > newest:
        raise errors.from_the_future(int(text), newest)


def _exact(query: Mapping[str, str], limit: int) -> int:
    """The version that a list is to show and no other, if any; a limit asks for it without saying so."""
    text, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    return int(text or 0) if match == "Exact" or (not match and limit > 0) else 0


def _unparsed(text: str) -> str:
    return f'strconv.ParseUint: parsing "{text}": invalid syntax'


def _forbidden_match(why: str) -> errors.ApiError:
    return errors.invalid_options("ListOptions", "FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")


# ---------------------------------------------------------------------- watches


def watch(
    store: Store,
    clock: Clock,
    selection: Selection,
    form: Form,
    query: Mapping[str, str],
    ended: Callable[[], Any],
    *,
    as_of: int = 0,
) -> AsyncIterator[bytes]:
    """The lines of a watch, until its time is over or *ended* (a function that waits) comes back.

    The query is checked and the subscription made before this returns, so nothing between the answer's head and its
    first line is lost.
    """
    seconds = _seconds(query)
    wants_initial = query.get("sendInitialEvents", "") == "true"
    if wants_initial and query.get("resourceVersionMatch") != "NotOlderThan":
        raise _forbidden_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
    version = query.get("resourceVersion", "")
    if version and not is_number(version):
        said = f'resourceVersion: Invalid value: "{version}": {_unparsed(version)}'
        raise errors.ApiError(500, "", said)
    stream = _Watch(store, clock, selection, form, include=query.get("includeObject", "Metadata"))
    bookmarks = query.get("allowWatchBookmarks", "") in ("true", "1")
    initial = wants_initial or version in ("", "0")
    stream.begin(initial=initial, since=as_of if initial else int(version), mark_end=wants_initial and bookmarks)
    return stream.lines(seconds, bookmarks=bookmarks, ended=ended)


class _Watch:
    def __init__(self, store: Store, clock: Clock, selection: Selection, form: Form, *, include: str) -> None:
        self._store, self._clock, self._selection, self._form = store, clock, selection, form
        self._include = include
        self._lines: list[bytes] = []
        self._arrived = asyncio.Event()
        self._columns_sent = False
        self._over = False
        self._next_mark: Timer | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    def begin(self, *, initial: bool, since: int, mark_end: bool) -> None:
        if initial:
            for record in _as_of(self._store, self._selection, since):
                self._add(ChangeType.ADDED, record)
            if mark_end:
                self._bookmark({_INITIAL_EVENTS_END: "true"})
            # A server that lagged behind catches up at once; `since` is 0 where nothing lags.
            for change in self._store.since(since) if since else ():
                self._take(change)
        else:
            try:
                for change in self._store.since(since):
                    self._take(change)
            except Expired as expired:
                error = errors.expired(f"too old resource version: {since} ({expired.oldest})")
                self._lines.append(_encode({"type": "ERROR", "object": error.status()}) + b"\n")
                self._over = True
        self._arrived.set()
        self._unsubscribe = self._store.subscribe(self._take)

    async def lines(self, seconds: float, *, bookmarks: bool, ended: Callable[[], Any]) -> AsyncIterator[bytes]:
        end = self._clock.call_later_for_client(seconds, self._end)
        if bookmarks:
            self._mark_later(seconds)
        ending = asyncio.ensure_future(ended())
        ending.add_done_callback(lambda _: self._end())
        try:
            while True:
                if self._lines:
                    batch, self._lines = b"".join(self._lines), []
                    yield batch
                if self._over:
                    return
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._unsubscribe()
            end.cancel()
            if self._next_mark is not None:
                self._next_mark.cancel()
            ending.cancel()
            with suppress(asyncio.CancelledError):
                await ending

    def _end(self) -> None:
        self._over = True
        self._arrived.set()

    def _mark_later(self, left: float) -> None:
        """Have a bookmark sent every minute, and one shortly before the end, which is so many seconds away."""
        last = max(left - _LAST_BOOKMARK_SECONDS, 0.0)
        wait = min(_BOOKMARK_SECONDS, last)

        def mark() -> None:
            self._bookmark({})
            self._arrived.set()
            if wait < last:
                self._mark_later(left - wait)

        self._next_mark = self._clock.call_later_for_client(wait, mark)

    def _take(self, change: Change) -> None:
        if change.record.key.resource != self._selection.resource.key:
            return
        is_in = change.type is not ChangeType.DELETED and self._selection.has(change.record)
        was_in = self._selection.has(change.previous)
        if is_in:
            self._add(ChangeType.MODIFIED if was_in else ChangeType.ADDED, change.record)
        elif was_in and change.previous is not None:
            # An object that leaves the selection is shown as it was, with the version of the change.
            self._add(ChangeType.DELETED, _with_version(change.previous, change.version))
        else:
            return
        self._arrived.set()

    def _add(self, event: ChangeType, record: Record) -> None:
        self._lines.append(b'{"type":"' + event.value.encode() + b'","object":' + self._shown(record) + b"}\n")

    def _shown(self, record: Record) -> bytes:
        resource = self._selection.resource
        match self._form:
            case Form.OBJECT:
                return conversion.shown(resource, record).encode(resource.api_version, resource.kind)
            case Form.PARTIAL | Form.PARTIAL_LIST:
                return _encode(tables.partial(record.decode()))
        row = tables.row_of(resource, record.decode(), self._clock.now(), include=self._include)
        columns = None if self._columns_sent else tables.columns_of(resource)
        self._columns_sent = True
        head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": str(record.version)}}
        return _encode({**head, "columnDefinitions": columns, "rows": [row]})

    def _bookmark(self, annotations: Mapping[str, str]) -> None:
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.version)}
        if annotations:
            metadata["annotations"] = annotations
        resource = self._selection.resource
        kind, version = (
            (resource.kind, resource.api_version) if self._form is Form.OBJECT else (self._form, "meta.k8s.io/v1")
        )
        marked = {"kind": kind, "apiVersion": version, "metadata": metadata}
        self._lines.append(_encode({"type": "BOOKMARK", "object": marked}) + b"\n")


def _with_version(record: Record, version: int) -> Record:
    obj = record.decode()
    obj["metadata"]["resourceVersion"] = str(version)
    return Record(record.key, record.uid, version, record.labels, record.owners, _encode(obj))


def _seconds(query: Mapping[str, str]) -> float:
    text = query.get("timeoutSeconds", "")
    try:
        return float(int(text)) if text and int(text) > 0 else _WATCH_SECONDS
    except ValueError:
        raise errors.no_number(text) from None
