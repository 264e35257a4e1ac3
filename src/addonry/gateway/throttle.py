"""How many requests one access key may make: a token bucket for each."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from addonry.gateway.errors import Refusal

REMEMBERED: Final = 10_000
"""Keys whose bucket is not full; one that is forgotten starts with a full bucket."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What one key may do."""

    per_second: float
    burst: int


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Throttle:
    """Counts requests by key. Its own process only: with several, each allows the rate."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, *, now: float) -> None:
        """Count one request at *now* (seconds). Raises Refusal, with the headers that clients wait by, when it is one
        too many.
        """
        rate = self._rate
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(float(rate.burst), now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            bucket.left = min(float(rate.burst), bucket.left + max(0.0, now - bucket.at) * rate.per_second)
            bucket.at = now
        if bucket.left >= 1.0:
            bucket.left -= 1.0
            return
        wait = max(1, math.ceil((1.0 - bucket.left) / rate.per_second * 1000))
        raise Refusal(
            "Throttling.User",
            headers=(
                ("x-acs-retry-after", str(wait)),
                ("x-ratelimit-user", f"Limit:{rate.burst},Remain:0,TimeLeft:{wait}"),
            ),
        )
