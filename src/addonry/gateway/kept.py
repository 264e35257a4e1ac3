"""Encodings of what did not change: ``Lifecycle.status`` hands out the same object until something did."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

CAPACITY: Final = 16 * 1024 * 1024
"""Bytes kept in all: a thousand clusters with two questions each."""


@dataclass(slots=True)
class _Entry:
    source: object
    encodings: dict[Hashable, bytes] = field(default_factory=dict)
    size: int = 0


class Kept:
    """Encoded answers by cluster, each good for as long as the object it was made from is the current one."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._size

    def find(self, owner: str, source: object, variant: Hashable) -> bytes | None:
        """The encoding of *variant* made from *source*; None when there is none."""
        entry = self._entries.get(owner)
        # Identity, not equality: the kept reference also stops another object from taking the same address.
        if entry is None or entry.source is not source:
            return None
        self._entries.move_to_end(owner)
        return entry.encodings.get(variant)

    def keep(self, owner: str, source: object, variant: Hashable, encoded: bytes) -> None:
        """Remember *encoded*, made from *source*; what was made from another object of *owner* is forgotten."""
        entry = self._entries.get(owner)
        if entry is None or entry.source is not source:
            self._forget(owner)
            entry = self._entries[owner] = _Entry(source)
        if variant not in entry.encodings:
            entry.encodings[variant] = encoded
            entry.size += len(encoded)
            self._size += len(encoded)
        self._entries.move_to_end(owner)
        while self._size > self._capacity:
            self._forget(next(iter(self._entries)))

    def _forget(self, owner: str) -> None:
        entry = self._entries.pop(owner, None)
        if entry is not None:
            self._size -= entry.size
