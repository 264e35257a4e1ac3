"""Answers that show what controllers do, judged from the end: was this seen, a moment sooner or later?

Controllers and kubelets of the real cluster needed a little more or less time for the same work, and were held back by
other scenarios now and then. So an object counts as given if what clients wrote is the same as now, and if what
controllers wrote (its status, the revision of a Deployment, the cells of a table) was there within some seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from addonry.simulator.messages import Request

from .comparing import Difference, Side, differences
from .recording import Exchange

CLIENTS_SECONDS: Final = 1.5
CONTROLLERS_SECONDS: Final = 3.0
_REVISION: Final = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An answer that was not the recorded one when it came; `reading` reads the same once more, as of any version."""

    recorded: Mapping[str, Any]
    answer: Mapping[str, Any]
    reading: Request
    at: float
    is_write: bool


def reading_of(exchange: Exchange, request: Request, answer: Mapping[str, Any]) -> Request | None:
    """The request that reads what *request* asked for or has written; None where that cannot be read."""
    if not exchange.is_write:
        return request
    if not isinstance(answer.get("status"), Mapping):
        return None
    path = request.path
    if request.method == "POST":
        name = (answer.get("metadata") or {}).get("name")
        if not name:
            return None
        path = f"{path}/{name}"
    headers = {name: value for name, value in request.headers.items() if name != "content-type"}
    return Request("GET", path, "", headers, b"")


def remaining(
    doubt: Doubt, near: list[dict[str, Any]], far: list[dict[str, Any]], sides: tuple[Side, Side]
) -> list[Difference]:
    """What still differs when the answer is compared with those given *near* and *far* from its moment."""
    listed = next((name for name in ("items", "rows") if isinstance(doubt.recorded.get(name), list)), "")
    recorded, actual = sides
    if not listed:
        clients = [actual.form(doubt.answer)] if doubt.is_write else [actual.form(body) for body in near]
        controllers = [actual.form(body) for body in (*far, doubt.answer)]
        return list(_closest(recorded.form(doubt.recorded), clients, controllers, ""))
    head, answered = ({k: v for k, v in body.items() if k != listed} for body in (doubt.recorded, doubt.answer))
    found: list[Difference] = list(differences(recorded.form(head), actual.form(answered)))
    wanted = [recorded.form(item) for item in doubt.recorded[listed]]
    counts = [len(body.get(listed) or ()) for body in far]
    if not counts or not min(counts) <= len(wanted) <= max(counts):
        found.append((listed, f"{len(wanted)} of them", f"{min(counts, default=0)} to {max(counts, default=0)}"))
    shown = [
        _distinct(actual.form(item) for body in bodies for item in body.get(listed) or ()) for bodies in (near, far)
    ]
    for item in wanted:
        found += _closest(item, *([o for o in objs if _name(o) == _name(item)] for objs in shown), f"{listed}[]")
    return found


def _closest(wanted: Mapping[str, Any], clients: list[Any], controllers: list[Any], where: str) -> Iterator[Difference]:
    """The differences from the nearest of each part."""
    for part, candidates in ((_clients, clients), (_controllers, controllers), (_owners_of_status, controllers)):
        tries = [list(differences(part(wanted), part(candidate), where)) for candidate in candidates]
        yield from min(tries, key=len, default=[(where or "object", wanted, "(absent)")])


def _clients(shown: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in shown.items() if key not in ("status", "cells", "metadata", "object")}
    if isinstance(shown.get("object"), Mapping):
        kept["object"] = {**shown["object"], "metadata": _clients_metadata(_metadata(shown))}
    elif isinstance(shown.get("metadata"), Mapping):
        kept["metadata"] = _clients_metadata(_metadata(shown))
    return kept


def _clients_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != _REVISION}
    managers = [entry for entry in metadata.get("managedFields") or () if entry.get("subresource") != "status"]
    kept = {key: value for key, value in metadata.items() if key not in ("annotations", "managedFields")}
    return (
        kept | ({"annotations": annotations} if annotations else {}) | ({"managedFields": managers} if managers else {})
    )


def _controllers(shown: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in shown.items() if key in ("status", "cells")}
    return {**kept, "revision": (_metadata(shown).get("annotations") or {}).get(_REVISION)}


def _owners_of_status(shown: Mapping[str, Any]) -> dict[str, Any]:
    # Whoever owns a part of the status loses it to the controller that writes it next.
    owners = [entry for entry in _metadata(shown).get("managedFields") or () if entry.get("subresource") == "status"]
    return {"owners of status": owners}


def _distinct(shown: Iterator[Any]) -> list[Any]:
    return list({json.dumps(each, sort_keys=True): each for each in shown}.values())


def _metadata(shown: Mapping[str, Any]) -> Mapping[str, Any]:
    return shown.get("metadata") or (shown.get("object") or {}).get("metadata") or {}


def _name(shown: Mapping[str, Any]) -> str:
    return str(_metadata(shown).get("name", ""))
