"""The clients that people have, against a running service with simulated clusters: as in ``tests/scenario``."""

from tests.scenario.conftest import (
    chart_repository,
    client,
    cluster,
    install,
    nothing_is_deleted,
    service,
    simulator,
)

__all__ = ["chart_repository", "client", "cluster", "install", "nothing_is_deleted", "service", "simulator"]
