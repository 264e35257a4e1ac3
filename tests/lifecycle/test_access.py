"""Users, policies, keys, sessions and the audit log as use cases, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from addonry.lifecycle.access import Access
from addonry.model.access import AuditRecord
from addonry.model.errors import InvalidParameter, NameTaken, NotNow, NotThere, StoreUnavailable
from addonry.model.keys import AccessKey
from addonry.rules.access import Question, decide
from tests.builders import NOW

READ = Question(("cs:DescribeClusterDetail",), "acs:cs:local:1:cluster/c1")
WRITE = Question(("cs:DeleteCluster",), "acs:cs:local:1:cluster/c1")
DOCUMENT = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cs:Delete*", "Resource": "*"}]}


class Clock:
    now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def access(store, clock):
    numbers = iter(range(1, 100))
    made = Access(
        store,
        now=clock,
        new_key=lambda: (f"AK{next(numbers)}", "secret"),
        new_token=lambda: "t0ken",
        audit_kept=timedelta(days=90),
    )
    yield made
    await made.close()


async def may(access, credential, question):
    grants = await access.grants(await access.credential(credential.id))
    return grants is None or decide(grants, question).allowed


async def test_the_accounts_own_key_may_do_everything_and_a_users_what_is_attached(access):
    own = await access.create_key(" ci ")
    assert await may(access, own, WRITE)
    await access.create_user("ann")
    anns = await access.create_key("laptop", user="ann")
    assert not await may(access, anns, READ)
    await access.attach("ann", "AliyunCSReadOnlyAccess")
    assert await may(access, anns, READ)
    assert not await may(access, anns, WRITE)
    await access.save_policy("delete", DOCUMENT)
    await access.attach("ann", "delete")
    await access.attach("ann", "delete")
    assert await may(access, anns, WRITE)
    assert [each.policies for each in await access.users()] == [("AliyunCSReadOnlyAccess", "delete")]
    await access.detach("ann", "delete")
    assert not await may(access, anns, WRITE)


async def test_a_policy_is_replaced_and_counts_at_once(access):
    await access.create_user("ann")
    anns = await access.create_key("laptop", user="ann")
    await access.save_policy("p", DOCUMENT)
    await access.attach("ann", "p")
    assert await may(access, anns, WRITE)
    other = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": "cs:Describe*", "Resource": "*"}]}
    await access.save_policy("p", other, "Reads.")
    assert not await may(access, anns, WRITE)
    told = await access.policy("p")
    assert (told.document, told.description, told.is_system) == (other, "Reads.", False)


async def test_policies_that_are_in_use_or_come_with_addonry_stay(access):
    await access.create_user("ann")
    await access.save_policy("p", DOCUMENT)
    await access.attach("ann", "p")
    with pytest.raises(NotNow, match="attached to ann"):
        await access.delete_policy("p")
    await access.detach("ann", "p")
    await access.delete_policy("p")
    with pytest.raises(NotThere):
        await access.policy("p")
    for change in (
        access.delete_policy("AliyunCSFullAccess"),
        access.save_policy("AliyunCSFullAccess", DOCUMENT),
    ):
        with pytest.raises(NotNow, match="system policy"):
            await change


async def test_what_makes_no_sense_is_refused_and_nothing_kept(access):
    for change in (
        access.create_user("no blanks"),
        access.save_policy("p", {"Version": "1", "Statement": []}),
        access.save_policy("../p", DOCUMENT),
        *(access.create_key(name) for name in ("", "  ", "x" * 65, "a\nb")),
    ):
        with pytest.raises(InvalidParameter):
            await change
    await access.create_user("ann")
    with pytest.raises(NameTaken):
        await access.create_user("ann")
    for change in (
        access.create_key("k", user="bob"),
        access.attach("bob", "AliyunCSFullAccess"),
        access.attach("ann", "nothing"),
        access.detach("ann", "AliyunCSFullAccess"),
        access.delete_user("bob"),
        access.delete_key("AK99"),
        access.delete_policy("nothing"),
    ):
        with pytest.raises(NotThere):
            await change
    assert await access.keys() == ()
    assert [each.name for each in await access.policies()] == [
        "AdministratorAccess",
        "AliyunCSFullAccess",
        "AliyunCSReadOnlyAccess",
    ]


async def test_a_key_that_is_disabled_or_revoked_is_so_at_once(access):
    made = await access.create_key("ci")
    assert (await access.credential(made.id)).enabled
    await access.enable_key(made.id, enabled=False)
    assert not (await access.credential(made.id)).enabled
    await access.enable_key(made.id, enabled=True)
    assert (await access.credential(made.id)).enabled
    await access.delete_key(made.id)
    assert await access.credential(made.id) is None


async def test_the_root_key_is_neither_disabled_nor_revoked(access, store):
    await store.accounts.add_key(AccessKey("ROOT", "root", NOW, is_root=True), "s")
    for change in (access.delete_key("ROOT"), access.enable_key("ROOT", enabled=False)):
        with pytest.raises(NotNow, match="root key"):
            await change


async def test_a_user_who_goes_takes_the_keys_along(access):
    await access.create_user("ann")
    anns, own = await access.create_key("laptop", user="ann"), await access.create_key("ci")
    await access.attach("ann", "AliyunCSFullAccess")
    await access.delete_user("ann")
    assert await access.credential(anns.id) is None
    assert [each.id for each in await access.keys()] == [own.id]
    # Somebody else of that name begins with nothing.
    await access.create_user("ann")
    assert (await access.users())[0].policies == ()


async def test_a_session_may_do_what_its_user_may_within_its_own_policy(access, clock):
    await access.create_user("ann")
    await access.attach("ann", "AliyunCSReadOnlyAccess")
    anns = await access.credential((await access.create_key("laptop", user="ann")).id)
    wide = await access.create_session("wide", of=anns, lasting=timedelta(hours=1))
    narrow = await access.create_session("narrow", of=anns, lasting=timedelta(hours=1), policy=DOCUMENT)
    assert wide.id.startswith("STS.")
    assert await may(access, wide, READ)
    assert not await may(access, narrow, READ)
    assert not await may(access, narrow, WRITE)
    assert (await access.bearer(wide.security_token)).id == wide.id
    assert await access.bearer(wide.security_token + "x") is None
    assert await access.bearer("") is None
    assert await access.bearer(anns.id) is None
    with pytest.raises(NotNow, match="temporary key"):
        await access.create_session("more", of=wide, lasting=timedelta(hours=1))
    for lasting in (timedelta(minutes=14), timedelta(hours=13)):
        with pytest.raises(InvalidParameter):
            await access.create_session("n", of=anns, lasting=lasting)
    # Once it has ended it is told as such for a day, and forgotten after.
    clock.now = NOW + timedelta(hours=2)
    await access.create_key("later")
    assert (await access.credential(wide.id)).expires_at == NOW + timedelta(hours=1)
    clock.now = NOW + timedelta(days=2)
    await access.create_key("much later")
    assert await access.credential(wide.id) is None


async def test_a_session_of_the_account_is_confined_by_its_policy_alone(access):
    own = await access.credential((await access.create_key("ci")).id)
    free = await access.create_session("free", of=own, lasting=timedelta(hours=1))
    confined = await access.create_session("confined", of=own, lasting=timedelta(hours=1), policy=DOCUMENT)
    assert await may(access, free, READ)
    assert await may(access, confined, WRITE)
    assert not await may(access, confined, READ)


def a_record(number=1, **more):
    record = AuditRecord(
        f"R{number}", NOW, "DeleteCluster", "DELETE", "/clusters/c1", "c1", "AK1", "ann", "192.0.2.1", 202, ""
    )
    return replace(record, **more)


async def test_the_audit_log_is_read_newest_first_and_filtered(access):
    await access.record(a_record(1), at_once=True)
    await access.record(a_record(2, operation="ListUsers", user="", cluster=""), at_once=False)
    await access.record(a_record(3, key="AK2", verdict="p#1", code="StatusForbidden", status=403), at_once=False)
    records, total = await access.audit(limit=2)
    assert ([each.request_id for each in records], total) == (["R3", "R2"], 3)
    assert records[0] == a_record(3, key="AK2", verdict="p#1", code="StatusForbidden", status=403)
    for wanted, found in [
        ({"operation": "ListUsers"}, ["R2"]),
        ({"user": "ann"}, ["R3", "R1"]),
        ({"key": "AK2"}, ["R3"]),
        ({"cluster": "c1", "key": "AK1"}, ["R1"]),
        ({"offset": 2}, ["R1"]),
    ]:
        assert [each.request_id for each in (await access.audit(**wanted))[0]] == found


async def test_what_was_gathered_is_written_at_the_end(access, store):
    await access.record(a_record(1), at_once=False)
    await access.close()
    assert (await store.audit.records())[1] == 1


async def test_a_database_that_is_away_takes_no_answer_from_the_caller_and_the_log_has_the_record(
    access, store, caplog, monkeypatch
):
    async def fail(_records):
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(store.audit, "add", fail)
    await access.record(a_record(7), at_once=True)
    assert "The disk is full" in caplog.text
    assert "R7" in caplog.text


async def test_old_records_are_forgotten(store):
    await store.audit.add([a_record(1), a_record(2, at=NOW - timedelta(days=91))])
    assert await store.audit.forget(NOW - timedelta(days=90)) == 1
    assert [each.request_id for each in (await store.audit.records())[0]] == ["R1"]


async def test_a_nonce_is_known_to_all_processes_on_one_database(access, store):
    first, second = b"1" * 16, b"2" * 16
    assert await access.note_nonce(first)
    # One process alone remembers in memory, which is the gateway's part.
    assert await access.note_nonce(first) is not store.accounts.shares_nonces
    assert await access.note_nonce(second)
    await store.accounts.forget_nonces(NOW + timedelta(seconds=1))
    assert await access.note_nonce(first)
