"""Troubles of a simulated cluster that begin at one moment of Helm's work."""

from collections.abc import Callable
from typing import Any


def at_first_write(cluster: Any, switch: Callable[[], None]) -> None:
    """Throw *switch* when Helm first writes."""
    meet = cluster.trouble.meet

    async def meet_and_switch(request: Any) -> Any:
        if request.method in {"POST", "PATCH"} and not request.headers.get("user-agent", "").startswith("addonry"):
            switch()
        return await meet(request)

    cluster.trouble.meet = meet_and_switch


def heal(cluster: Any) -> None:
    del cluster.trouble.meet
