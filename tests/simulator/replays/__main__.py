"""Print how the recordings compare: `python -m tests.simulator.replays [SCENARIO...]`."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

from .known import reasons
from .playing import Player
from .recording import scenarios


async def _main(names: list[str]) -> None:
    known = reasons()
    total = matched = 0
    places: Counter[str] = Counter()
    for name in names or scenarios():
        outcomes = await Player(name).play()
        good = sum(not outcome.differences for outcome in outcomes)
        total, matched = total + len(outcomes), matched + good
        print(f"{name}: {good} of {len(outcomes)}")
        for outcome in outcomes:
            if outcome.differences:
                exchange = outcome.exchange
                print(f"  {exchange.seq} {exchange.step!r} {exchange.method} {exchange.path}?{exchange.query[:60]}")
                for where, expected, actual in outcome.differences[:6]:
                    print(f"      {where}: {str(expected)[:300]!r} | {str(actual)[:300]!r}")
                for place in outcome.places:
                    why = [r.why for r in known if r.explains(name, exchange.seq, place)]
                    places[f"{why[0][:90]}..." if why else f"UNEXPLAINED {place}"] += 1
    for what, count in places.most_common():
        print(count, what)
    print(f"replays: {matched:,} of {total:,} exchanges match ({matched / total:.1%})")


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
