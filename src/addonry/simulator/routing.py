"""From the path of a request to what it is about."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote


class Route(NamedTuple):
    """A path of the resource API, taken apart; empty parts were not given."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse(path: str) -> Route | None:
    """The route of a path below `/api/VERSION` or `/apis/GROUP/VERSION`; None for any other."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    if not rest:
        return Route(group, version)
    # /namespaces/NS/PLURAL is a place inside, /namespaces/NS and its own subresources are the namespace itself.
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize"):
        _, namespace, plural, *more = rest
    else:
        namespace, (plural, *more) = "", rest
    if len(more) > 2:
        return None
    name, subresource = (*more, "", "")[:2]
    return Route(group, version, plural, namespace, name, subresource)
