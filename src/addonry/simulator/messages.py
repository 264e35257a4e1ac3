"""A request as the API sees it and an answer as it leaves it, without anything of ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Whom a client's certificate names; that our authority signed it was checked with the connection."""

    name: str
    groups: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks; the path begins below the cluster's prefix."""

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""
    as_of: int = 0  # answer as of this older version; 0 is now
    certificate: ClientCertificate | None = None
    _marks: list[str] = field(default_factory=list, compare=False, repr=False)

    @property
    def trouble(self) -> str:
        """What is to befall the answer, if anything."""
        return self._marks[-1] if self._marks else ""

    def mark(self, trouble: str) -> None:
        self._marks.append(trouble)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters; of one given twice the first counts, as in Go."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def accept(self) -> str:
        return self.headers.get("accept", "")

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def user_agent(self) -> str:
        return self.headers.get("user-agent", "")


@dataclass(frozen=True, slots=True)
class Response:
    """What it gets: a body, or a stream of pieces for as long as it listens."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    stream: AsyncIterator[bytes] | None = None


def is_number(text: str) -> bool:
    """Whether a query parameter is a whole number that is not negative; Python alone would take digits of any script."""
    return text.isascii() and text.isdigit()


def json_response(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, _encode(value), headers=headers)


def text_response(text: str, status: int = 200) -> Response:
    nosniff = (("X-Content-Type-Options", "nosniff"),)
    return Response(status, text.encode(), TEXT, nosniff)
