"""Recorded scenarios as exchanges; see recordings/README.md."""

from __future__ import annotations

import base64
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of a recorded client and the answer of the real server."""

    seq: int
    step: str
    client: str
    t: float
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    request: Any
    status: int | None  # None: the server closed the connection
    answer_headers: Mapping[str, Any]
    answer: Any
    event_t: list[float] = field(default_factory=list)
    watch_end: str = ""
    note: str = ""

    @property
    def events(self) -> list[dict[str, Any]] | None:
        """What a watch told; None for everything else."""
        return self.answer.get("$watch") if isinstance(self.answer, dict) else None

    @property
    def is_write(self) -> bool:
        return self.method in ("POST", "PUT", "PATCH", "DELETE")

    def body(self, request: Any) -> bytes:
        """The body to send: *request* is the recorded one, perhaps with other versions and names in it."""
        if request is None:
            return b""
        if isinstance(request, dict) and "$base64" in request:
            return base64.b64decode(request["$base64"])
        if isinstance(request, dict) and "$text" in request:
            return str(request["$text"]).encode()
        if isinstance(request, dict) and "$filler" in request:
            return json.dumps(_filled(request["$filler"])).encode()
        return json.dumps(request).encode()


def _filled(value: Any) -> Any:
    """An oversized request, of which only the recipe was kept."""
    if isinstance(value, dict):
        if "$repeat" in value:
            return value["$repeat"] * value["times"]
        return {key: _filled(part) for key, part in value.items()}
    return [_filled(part) for part in value] if isinstance(value, list) else value


def scenarios() -> list[str]:
    return sorted(path.name.removesuffix(".jsonl.xz") for path in RECORDINGS.glob("*.jsonl.xz"))


def load(scenario: str) -> list[Exchange]:
    with lzma.open(RECORDINGS / f"{scenario}.jsonl.xz", "rt") as lines:
        return [Exchange(**json.loads(line)) for line in lines]
