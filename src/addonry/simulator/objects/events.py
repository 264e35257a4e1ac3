"""Events, which two API groups show: the core one, in whose form they are kept, and events.k8s.io.

The newer group has other names for the same fields, and asks more of an Event that is written through it. What is
wrong is told in the names of the core group in both, as the real server does.
See https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .faults import FieldError, invalid, required
from .names import key_errors
from .patching import same

Object = Mapping[str, Any]

# What a field of the core group is called by events.k8s.io.
_NAMES: Final = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_KEPT: Final = {new: old for old, new in _NAMES.items()}
# What the server writes even where there is nothing to say.
_ALWAYS: Final[Object] = {
    "involvedObject": {},
    "source": {},
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
    "reportingComponent": "",
    "reportingInstance": "",
}
_NEWER: Final = "events.k8s.io/v1"
_LONGEST: Final = 128
_LONGEST_MESSAGE: Final = 1024
# What an Event of the newer group never changes once it is there, in the order in which it is said.
_LASTING: Final = (
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "reason",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
)


def viewed_event(event: Object) -> dict[str, Any]:
    """An Event as it is kept, in the form of events.k8s.io."""
    shown = {_NAMES.get(member, member): value for member, value in event.items()}
    for member in ("reportingController", "reportingInstance"):
        if not shown.get(member):
            shown.pop(member, None)
    return shown


def kept_event(event: Object) -> dict[str, Any]:
    """An Event of either group in the form in which it is kept."""
    return {**_ALWAYS, **{_KEPT.get(member, member): value for member, value in event.items()}}


def event_errors(event: Object) -> Iterator[FieldError]:
    """What is wrong with an Event in itself."""
    is_newer, event = event.get("apiVersion") == _NEWER, kept_event(event)
    yield from _whereabouts(event)
    if event["eventTime"]:
        yield from _reported(event)
    # One that is there already has a uid; what may change of it is checked by `event_changes`.
    if is_newer and not event["metadata"].get("uid"):
        yield from _series(event)
        yield from _of_the_newer(event)


def event_changes(old: Object, new: Object) -> Iterator[FieldError]:
    """What a client of events.k8s.io changes although it must not."""
    old, new = kept_event(old), kept_event(new)
    if not same(old.get("series"), new.get("series")):
        yield from _series(new)
    for member in _LASTING:
        if not same(old.get(member), new.get(member)):
            named = "reportingController" if member == "reportingComponent" else member
            yield invalid(named, new.get(member), "field is immutable")


def _whereabouts(event: Object) -> Iterator[FieldError]:
    """The namespace of the Event is that of the object it is about; for one without, it is a common one."""
    own, about = event["metadata"].get("namespace", ""), event["involvedObject"].get("namespace", "")
    common = ("default", "kube-system") if event["eventTime"] else ("default",)
    wrong = own not in common if not about else own != about and not event["eventTime"]
    if wrong:
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def _reported(event: Object) -> Iterator[FieldError]:
    """An Event with a time of its own says who reported it, and what was done."""
    controller = event["reportingComponent"]
    if not controller:
        yield required("reportingController")
    yield from key_errors("reportingController", controller)
    for member in ("reportingInstance", "action", "reason"):
        if not event.get(member):
            yield required(member)
        elif len(event[member].encode()) > _LONGEST:
            yield invalid(member, "", f"can have at most {_LONGEST} characters")
    if len((event.get("message") or "").encode()) > _LONGEST_MESSAGE:
        yield invalid("message", "", f"can have at most {_LONGEST_MESSAGE} characters")


def _series(event: Object) -> Iterator[FieldError]:
    series = event.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            yield invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            yield required("series.lastObservedTime")


def _of_the_newer(event: Object) -> Iterator[FieldError]:
    if not event["eventTime"]:
        yield required("eventTime")
    if event.get("type") not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {event.get('type', '')}")
    for member in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(member):
            yield invalid(member, "", "needs to be unset")
    if any(event["source"].get(member) for member in ("component", "host")):
        yield invalid("source", "", "needs to be unset")
