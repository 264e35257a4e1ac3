"""Which nonces were seen: a signed request is good for one use.

One instance per gateway, in memory. Several processes on one database ask each other through it
(``lifecycle.access.note_nonce``). Of one process alone a restart forgets, so for the fifteen minutes around it a recorded
request could be sent again.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

KEPT: Final = timedelta(minutes=30)
"""Twice the window of the date check (ack-gateway, section 4): an older request is refused by its date."""

_SLICE: Final = 60.0
"""Seconds of arrival that share one set, so that forgetting drops whole sets."""


def mark_of(key: str, nonce: str) -> bytes:
    """What is remembered of a pair: a digest bounds it, whatever the caller sends."""
    # The length keeps ("a", "bc") from ("ab", "c").
    return hashlib.blake2b(f"{len(key)}:{key}{nonce}".encode(), digest_size=16).digest()


class Nonces:
    """A bounded memory of pairs of key id and nonce."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        self._capacity = capacity
        self._count = 0
        self._slices: dict[int, set[bytes]] = {}

    def __len__(self) -> int:
        return self._count

    def is_full(self, *, now: datetime) -> bool:
        """Whether nothing more can be remembered. The caller then refuses: to forget would let requests be replayed."""
        self._forget(now)
        return self._count >= self._capacity

    def remember(self, key: str, nonce: str, *, now: datetime) -> bool:
        """Note the pair; False when it was noted before. Call it only once the signature was accepted."""
        self._forget(now)
        mark = mark_of(key, nonce)
        if any(mark in seen for seen in self._slices.values()):
            return False
        self._slices.setdefault(int(now.timestamp() // _SLICE), set()).add(mark)
        self._count += 1
        return True

    def _forget(self, now: datetime) -> None:
        oldest = int((now - KEPT).timestamp() // _SLICE)
        for slot in [slot for slot in self._slices if slot < oldest]:
            self._count -= len(self._slices.pop(slot))
