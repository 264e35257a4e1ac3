"""Where a list in pages goes on: the `continue` token, with the form and the complaints of a real server.

A token names the version that the pages show and the last object of the page before, below what is listed.
See https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from __future__ import annotations

import base64
import binascii
import json
import posixpath
import re
from dataclasses import dataclass, replace
from typing import Any, Final

from addonry.simulator import errors
from addonry.simulator.objects import json_fault, kind_of

NEWEST: Final = -1
"""The version of a token that goes on with what is there now, whatever the pages before showed."""

_FORMAT: Final = "meta.k8s.io/v1"
_NOT_IN_TOKEN: Final = re.compile(r"[^A-Za-z0-9_\-]")
_MEMBERS: Final = (("v", str, "string"), ("rv", int, "int64"), ("start", str, "string"))
_TOO_OLD: Final = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True)
class Page:
    """The end of one page."""

    version: int
    last: tuple[str, str]  # namespace and name
    namespace: str  # to which the list is limited

    def write(self) -> str:
        """The token."""
        return _token(self, "/")

    def too_old(self) -> errors.ApiError:
        """The version is no longer known; the answer holds a token that goes on with what is there now."""
        return errors.expired(_TOO_OLD, resume=_token(replace(self, version=NEWEST), ""))


def _token(page: Page, before: str) -> str:
    namespace, name = page.last
    below = name if page.namespace or not namespace else f"{namespace}/{name}"
    token = {"v": _FORMAT, "rv": page.version, "start": f"{before}{below}\u0000"}
    text = json.dumps(token, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_page(token: str, namespace: str, *, namespaced: bool) -> Page | None:
    """The page that a token names, of a list that may be limited to a namespace; 400 for one that nobody made."""
    if not token:
        return None
    found = _decoded(token)
    version, start = found.get("rv") or 0, found.get("start") or ""
    if found.get("v") != _FORMAT:
        raise _not_valid(f"server does not recognize this encoded version {found.get('v') or ''}")
    if not version:
        raise _not_valid(f"incorrect encoded start resourceVersion (version {_FORMAT})")
    if not start:
        raise _not_valid(f"encoded start key empty (version {_FORMAT})")
    path = start if start.startswith("/") else f"/{start}"
    if posixpath.normpath(path) != path:
        raise _not_valid(start)
    before, _, name = path[1:].rstrip("\u0000").rpartition("/")
    return Page(version, (namespace or (before if namespaced else ""), name), namespace)


def _decoded(token: str) -> dict[str, Any]:
    stray = _NOT_IN_TOKEN.search(token)
    if stray or len(token) % 4 == 1:
        raise _not_valid(f"illegal base64 data at input byte {stray.start() if stray else len(token) - 1}")
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        found = json.loads(data)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise _not_valid(json_fault(data) or str(error)) from error
    if not isinstance(found, dict):
        raise _not_valid(f"json: cannot unmarshal {kind_of(found)} into Go value of type storage.continueToken")
    for member, type_, go_type in _MEMBERS:
        value = found.get(member)
        if value is not None and (not isinstance(value, type_) or isinstance(value, bool)):
            said = (
                f"json: cannot unmarshal {kind_of(value)} into Go struct field continueToken.{member} of type {go_type}"
            )
            raise _not_valid(said)
    return found


def _not_valid(why: str) -> errors.ApiError:
    return errors.bad_request(f"invalid continue token: continue key is not valid: {why}")
