"""A signed request is good for one use."""

from datetime import UTC, datetime, timedelta

from addonry.gateway.nonces import KEPT, Nonces, mark_of
from tests.wire.fakes import KEY

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)


def test_a_nonce_is_new_once_for_each_key():
    nonces = Nonces()
    assert nonces.remember("k", "n", now=NOW)
    assert not nonces.remember("k", "n", now=NOW + timedelta(minutes=29))
    assert nonces.remember("other", "n", now=NOW)
    assert nonces.remember("k", "other", now=NOW)


def test_key_and_nonce_are_kept_apart():
    nonces = Nonces()
    assert nonces.remember("ab", "c", now=NOW)
    assert nonces.remember("a", "bc", now=NOW)


def test_what_the_date_check_refuses_anyway_is_forgotten():
    nonces = Nonces()
    for minute in range(100):
        assert nonces.remember("k", str(minute), now=NOW + timedelta(minutes=minute))
    assert len(nonces) <= 32
    assert nonces.remember("k", "0", now=NOW + timedelta(minutes=100))


def test_a_nonce_is_kept_for_the_whole_of_its_time():
    nonces = Nonces()
    nonces.remember("k", "n", now=NOW)
    assert not nonces.remember("k", "n", now=NOW + KEPT)


def test_a_full_memory_says_so_and_frees_itself():
    nonces = Nonces(capacity=2)
    nonces.remember("k", "1", now=NOW)
    assert not nonces.is_full(now=NOW)
    nonces.remember("k", "2", now=NOW)
    assert nonces.is_full(now=NOW)
    assert not nonces.is_full(now=NOW + timedelta(minutes=32))


async def test_a_nonce_that_another_process_has_seen_is_refused(client, lifecycle):
    lifecycle.access.elsewhere.add(mark_of(KEY, "nonce-0"))
    assert (await client.get("/regions")).json["Code"] == "SignatureNonceUsed"
    assert (await client.get("/regions")).status == 200
