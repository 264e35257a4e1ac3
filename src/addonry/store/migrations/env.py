"""Run by Alembic for each command; see ``migrations.alembic_config``."""

from typing import Any

from alembic import context

from addonry.store.migrations import VERSION_TABLE, is_ours
from addonry.store.tables import metadata


def include_object(_thing: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:  # noqa: FBT001
    """Alembic's question about each thing it sees, asked with positional arguments."""
    return is_ours(name, kind)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    include_object=include_object,
)
with context.begin_transaction():
    context.run_migrations()
