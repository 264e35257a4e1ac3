"""The schema's history (Alembic), and bringing a database up to date.

A migration expands first and contracts a release later, so that the release before still runs on the new schema. To
add one: a module in ``versions``, its name in HEAD. Alembic is imported only when there is something to do.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from addonry.model.errors import StoreUnavailable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0006"
"""The newest schema this code knows."""

VERSION_TABLE: Final = "addonry_schema"

ADVISORY_LOCK: Final = 0x0ADD0217
"""Any number, the same in all processes: one of them migrates a PostgreSQL database at a time."""


class SchemaTooNew(StoreUnavailable):
    """A newer Addonry wrote the database. Nothing was changed."""

    def __init__(self, version: str) -> None:
        super().__init__(
            f"The database has schema {version}, which this Addonry does not know (its newest is {HEAD}).",
            remedy="Start the Addonry that wrote it or a newer one, or restore a backup from before the update.",
        )
        self.version = version


def bring_up_to_date(connection: Connection) -> None:
    """Migrate the schema to HEAD within the caller's transaction. Raises SchemaTooNew."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    version = schema_version(connection)
    if version == HEAD:
        return
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise SchemaTooNew(version)
    command.upgrade(config, HEAD)


def schema_version(connection: Connection) -> str | None:
    """The schema the database has; None before the first migration."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def alembic_config(connection: Connection) -> "Config":
    """Alembic's settings, made here so that no alembic.ini is needed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def is_ours(name: str | None, kind: str) -> bool:
    """The engine's tables lie in the same SQLite file; Alembic would drop what it does not know."""
    return kind != "table" or (name or "").startswith("addonry_")
