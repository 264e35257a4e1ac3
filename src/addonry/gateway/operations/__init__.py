"""The operations, one module per family. To add one, declare it in its module; a new module is named here."""

from typing import Final

from addonry.gateway.operation import Operation
from addonry.gateway.operations import catalog, changes, clusters, components, events, keys, moves, tasks
from addonry.gateway.operations.published import PUBLISHED

OPERATIONS: Final[tuple[Operation, ...]] = (
    *components.operations.operations,
    *changes.operations.operations,
    *catalog.operations.operations,
    *clusters.operations.operations,
    *tasks.operations.operations,
    *moves.operations.operations,
    *events.operations.operations,
    *keys.operations.operations,
)

UNSERVED: Final = tuple(
    each for each in PUBLISHED if (each.method, each.name) not in {(own.method, own.name) for own in OPERATIONS}
)
"""Of the published operations, those that nothing here answers."""

__all__ = ["OPERATIONS", "PUBLISHED", "UNSERVED"]
