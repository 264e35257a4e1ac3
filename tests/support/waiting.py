"""Wait for a condition with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], *, seconds: float = 30.0, what: str = "") -> T:
    """The first truthy value that *look* returns; fails with *what* and the last one seen after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come within {seconds} s: {what or look}; last seen: {seen!r}")
        time.sleep(0.05)
