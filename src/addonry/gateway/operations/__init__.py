"""The operations, one module per family. To add one, declare it in its module; a new module is named here."""

from typing import Final

from addonry.gateway.operation import Operation
from addonry.gateway.operations import (
    accounts,
    catalog,
    changes,
    chart_hosts,
    checks,
    clusters,
    components,
    events,
    moves,
    plans,
    reaching,
    tags,
    tasks,
    waivers,
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *components.operations.operations,
    *changes.operations.operations,
    *plans.operations.operations,
    *catalog.operations.operations,
    *chart_hosts.operations.operations,
    *checks.operations.operations,
    *clusters.operations.operations,
    *reaching.operations.operations,
    *tags.operations.operations,
    *tasks.operations.operations,
    *moves.operations.operations,
    *events.operations.operations,
    *waivers.operations.operations,
    *accounts.operations.operations,
)

OWN: Final = "/addonry/"
"""Where the paths of Addonry's own operations begin; all others are ACK's."""

__all__ = ["OPERATIONS", "OWN"]
