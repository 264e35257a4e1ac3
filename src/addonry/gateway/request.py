"""A request as it came over the wire, before anything is decoded.

Signatures cover bytes as they were sent, so nothing here is normalised. Text is Latin-1, which keeps each byte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One HTTP request with its whole body."""

    method: str
    path: str
    """The request target up to the question mark, still percent-encoded; never empty."""
    query: str
    """The request target after the question mark, still percent-encoded."""
    headers: Mapping[str, str]
    """By lower-case name; see ``join_headers``."""
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        """The header's value; empty when it is absent."""
        return self.headers.get(name, "")


def join_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-case name, trimmed; several of one name sorted and joined by commas, as they are signed.

    Everything reads a header through this, so that what is used is what was signed.
    """
    joined: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        if name in joined:
            values = repeated.setdefault(name, [joined[name]])
            values.append(value)
            # The first value is already in the list; what is joined below replaces it.
            joined[name] = ",".join(sorted(values))
        else:
            joined[name] = value
    return joined
