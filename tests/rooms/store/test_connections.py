"""Connections to PostgreSQL: what becomes of a process that stands still."""

import threading

import pytest
from sqlalchemy import text

from addonry.store import connections
from addonry.store.connections import Database
from tests.support.waiting import until

LOCK = text("SELECT pg_try_advisory_xact_lock(4711)")


@pytest.mark.slow
def test_what_stands_still_in_a_transaction_keeps_no_lock(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that froze while it held the reaper's lock was never taken over: nobody else could reap."""
    monkeypatch.setattr(connections, "STANDSTILL_MILLISECONDS", 200)
    frozen, other = Database.at(postgres_url), Database.at(postgres_url)
    thawed, has_lock = threading.Event(), threading.Event()
    attempts: list[bool] = []

    def stand_still(connection):
        attempts.append(connection.execute(LOCK).scalar_one())
        has_lock.set()
        thawed.wait(30)
        connection.execute(text("SELECT 1"))

    standing = threading.Thread(target=lambda: frozen.write_now(stand_still))
    standing.start()
    try:
        assert has_lock.wait(30)
        until(lambda: other.write_now(lambda connection: connection.execute(LOCK).scalar_one()), what="the lock")
    finally:
        thawed.set()
        standing.join(30)
        frozen.close()
        other.close()
    assert attempts == [True, True], "once it goes on it begins anew, as after any lost connection"
