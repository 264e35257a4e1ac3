"""The schema and its migrations."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ClauseElement

from addonry.store import StoreSettings, open_store, queries
from addonry.store.connections import Database
from addonry.store.migrations import HEAD, VERSION_TABLE, SchemaTooNew, alembic_config, bring_up_to_date, is_ours
from addonry.store.tables import metadata

KEY = "k" * 43


def a_database(directory: Path) -> Database:
    database = Database.at(f"sqlite:///{directory / 'addonry.sqlite'}")
    database.prepare()
    return database


def test_the_migrations_make_the_tables_the_code_speaks_of(tmp_path: Path) -> None:
    database = a_database(tmp_path)
    database.write_now(bring_up_to_date)

    def differences(connection):
        def ours(_thing, name, kind, _reflected, _to) -> bool:
            return is_ours(name, kind)

        options = {"include_object": ours, "compare_type": True, "version_table": VERSION_TABLE}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    assert database.read_now(differences) == []
    database.close()


def test_head_is_the_newest_migration(tmp_path: Path) -> None:
    database = a_database(tmp_path)
    heads = database.read_now(lambda connection: ScriptDirectory.from_config(alembic_config(connection)).get_heads())
    assert heads == [HEAD]
    database.close()


def test_migrating_twice_changes_nothing_and_leaves_the_engines_tables_alone(tmp_path: Path) -> None:
    database = a_database(tmp_path)
    database.write_now(lambda connection: connection.execute(text("CREATE TABLE workflow_status (id TEXT)")))
    for _ in range(2):
        database.write_now(bring_up_to_date)
    names = database.read_now(
        lambda connection: set(connection.execute(text("SELECT name FROM sqlite_master WHERE type='table'")).scalars())
    )
    assert "workflow_status" in names
    assert all(name.startswith(("addonry_", "sqlite_")) for name in names - {"workflow_status"})
    database.close()


def test_a_schema_from_the_future_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    settings = StoreSettings(f"sqlite:///{tmp_path / 'addonry.sqlite'}", None, KEY)
    database = a_database(tmp_path)
    database.write_now(bring_up_to_date)
    database.write_now(lambda connection: connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num='9999'")))
    with pytest.raises(SchemaTooNew, match="9999") as raised:
        open_store(settings)
    assert "newer" in raised.value.remedy
    version = text(f"SELECT version_num FROM {VERSION_TABLE}")
    assert database.read_now(lambda connection: connection.execute(version).scalar()) == "9999"
    database.close()


def test_the_file_is_in_wal_mode_and_its_owners_alone(tmp_path: Path) -> None:
    a_database(tmp_path).close()
    file = tmp_path / "addonry.sqlite"
    assert file.stat().st_mode & 0o777 == 0o600
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()


STATEMENTS = {name: each for name, each in vars(queries).items() if isinstance(each, ClauseElement) and name.isupper()}


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_every_statement_can_be_said_to_both_databases(name: str, dialect) -> None:
    assert str(STATEMENTS[name].compile(dialect=dialect))
