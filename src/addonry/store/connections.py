"""Connections: how statements reach the database, and what becomes of its errors.

The only module with lines for one database or the other. On SQLite reads run inline in the event loop (0.1 ms in WAL
mode, where readers wait for nobody) and writes one at a time in a thread of their own; on PostgreSQL both run in
threads.
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from addonry.model.errors import InvalidParameter, StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.05
BUSY_MILLISECONDS: Final = 10_000
STANDSTILL_MILLISECONDS: Final = 5_000
"""How long a transaction may stand still between two statements before PostgreSQL ends it."""
THREADS: Final = 8


class Database:
    """A database that can be read and written."""

    def __init__(self, url: URL) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.writes = 0
        """Counted after each commit: whoever noted it before a read knows whether that is still the last word."""
        if self.is_sqlite:
            self._writing = _sqlite_engine(url, begin="BEGIN IMMEDIATE")
            self._reading = _sqlite_engine(url, begin=None)
        else:
            self._writing = _postgres_engine(url)
            self._reading = self._writing.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = ThreadPoolExecutor(1 if self.is_sqlite else THREADS, thread_name_prefix="store")

    @classmethod
    def at(cls, database_url: str) -> "Database":
        """The database at a SQLAlchemy URL. Raises InvalidParameter for a URL that is none."""
        return cls(_read_url(database_url))

    def prepare(self) -> None:
        """Set what must be set before anyone else opens the database. Raises StoreUnavailable."""
        if self.is_sqlite:
            with translated():
                _set_write_ahead(self._writing)

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction, here and now; again when the database was locked or the connection lost."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with translated(), self._writing.begin() as connection:
                    result = work(connection)
                self.writes += 1
                return result
            except StoreUnavailable as error:
                if attempt == ATTEMPTS or not _may_heal(error.__cause__):
                    raise
                # In a thread that belongs to the store; the event loop is not held up.
                time.sleep(FIRST_PAUSE * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction, off the event loop. Raises StoreUnavailable, and then nothing is written."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.write_now, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Do *work*, which only reads. Raises StoreUnavailable."""
        if self.is_sqlite:
            return self.read_now(work)
        return await asyncio.get_running_loop().run_in_executor(self._threads, self.read_now, work)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Do *work*, which only reads, here and now."""
        with translated(), self._reading.connect() as connection:
            return work(connection)

    def close(self) -> None:
        """Finish writes under way and give up all connections."""
        self._threads.shutdown(wait=True)
        self._writing.dispose()
        self._reading.dispose()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what the database says of itself into StoreUnavailable; conflicts between rows stay IntegrityError."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        # Only the driver's words: the statement's parameters may be secrets.
        raise _unavailable(error.orig) from error
    except sqlite3.Error as error:
        # Raised bare where a connection is set up.
        raise _unavailable(error) from error
    except PoolTimeout as error:
        raise StoreUnavailable("The database cannot be used: all connections are taken.") from error


def _unavailable(reason: BaseException | None) -> StoreUnavailable:
    lines = str(reason).strip().splitlines() or ["no reason given"]
    return StoreUnavailable(f"The database cannot be used: {lines[0]}.")


def _may_heal(error: BaseException | None) -> bool:
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or "database is locked" in str(error)


def _read_url(database_url: str) -> URL:
    remedy = "Give sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE."
    try:
        url = make_url(database_url)
    except ArgumentError:
        # Without its cause: it quotes the URL, and that may hold a password.
        raise InvalidParameter("database-url", "is not a database URL", remedy=remedy) from None
    backend = url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or url.database in {None, "", ":memory:"}:
        raise InvalidParameter("database-url", "names neither a SQLite file nor a PostgreSQL database", remedy=remedy)
    return url


def _sqlite_engine(url: URL, *, begin: str | None) -> Engine:
    engine = create_engine(url, hide_parameters=True, **({} if begin else {"isolation_level": "AUTOCOMMIT"}))

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin late and not before DDL; ours begin where we say
        # (https://docs.sqlalchemy.org/en/21/dialects/sqlite.html, "Serializable isolation / Savepoints").
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")

    if begin:

        @event.listens_for(engine, "begin")
        def begin_at_once(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

    return engine


def _postgres_engine(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, pool_size=THREADS)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: Any) -> None:
        # A process that stands still within a transaction would keep its locks until it goes on, and nobody could take
        # its work over. Not as a start-up option, which poolers refuse.
        with connection.cursor() as cursor:
            cursor.execute(f"SET idle_in_transaction_session_timeout = {STANDSTILL_MILLISECONDS}")
        connection.commit()

    return engine


def _set_write_ahead(engine: Engine) -> None:
    # The mode is kept in the file; the engine's library leaves it as it finds it (a third of the speed without).
    path = Path(str(engine.url.database))
    with contextlib.suppress(FileExistsError, OSError):
        # Made here for its mode: SQLite would make it readable for everyone.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    raw = engine.raw_connection()
    try:
        mode = raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()
    finally:
        raw.close()
    if mode is None or mode[0] != "wal":
        log.warning("%s cannot be used in WAL mode; a local disk makes Addonry faster", path)
