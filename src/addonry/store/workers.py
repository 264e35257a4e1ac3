"""The register of workers in the database: ``engine.membership.Roll``.

On PostgreSQL only; SQLite has one worker, which needs no register. Times are taken from the database's clock in the
statement itself, because the clocks of many machines differ.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import BigInteger, Connection, bindparam, cast, delete, func, insert, select, text, update

from addonry.store.connections import Database
from addonry.store.tables import worker

REAPER_LOCK: Final = 0x0ADD0218
"""Any number, the same in all processes, and another than that of the migrations."""

_NOW: Final = cast(func.extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
"""Microseconds since 1970, as ``tables.Moment`` keeps a moment."""

_BEAT: Final = update(worker).where(worker.c.id == bindparam("which")).values(beat_at=_NOW)
_ENTER: Final = insert(worker).values(id=bindparam("which"), host=bindparam("where"), started_at=_NOW, beat_at=_NOW)
_LEAVE: Final = delete(worker).where(worker.c.id == bindparam("which"))
_BURY: Final = delete(worker).where(cast(worker.c.beat_at, BigInteger) < _NOW - bindparam("life", type_=BigInteger))
_LIVING: Final = select(worker.c.id)


class WorkerRoll:
    """See ``engine.membership.Roll``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(self, name: str, host: str) -> None:
        """See ``Roll``."""

        def work(connection: Connection) -> None:
            if not connection.execute(_BEAT, {"which": name}).rowcount:
                connection.execute(_ENTER, {"which": name, "where": host})

        await self._database.write(work)

    async def beat(self, name: str) -> bool:
        """See ``Roll``."""
        return await self._database.write(lambda connection: bool(connection.execute(_BEAT, {"which": name}).rowcount))

    async def leave(self, name: str) -> None:
        """See ``Roll``."""
        await self._database.write(lambda connection: connection.execute(_LEAVE, {"which": name}))

    async def alone(self, work: Callable[[Callable[[timedelta], frozenset[str]]], None]) -> bool:
        """See ``Roll``. The lock goes with the transaction, however the process ends."""

        def locked(connection: Connection) -> bool:
            won = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": REAPER_LOCK}).scalar_one()
            if won:
                work(lambda life: _living(connection, life))
            return bool(won)

        return await self._database.write(locked)


def _living(connection: Connection, time_to_live: timedelta) -> frozenset[str]:
    connection.execute(_BURY, {"life": time_to_live // timedelta(microseconds=1)})
    return frozenset(connection.execute(_LIVING).scalars())
