"""The key that seals secrets at rest."""

import multiprocessing
import stat
from pathlib import Path

import pytest

from addonry.model.errors import InvalidParameter, StoreUnavailable
from addonry.store import StoreSettings, open_store
from addonry.store.secrets import Cipher, SecretKeyWrong, given_key, key_in
from tests.builders import a_cluster

KEY = "k" * 43


def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'addonry.sqlite'}"


def test_what_is_sealed_opens_for_its_owner_only() -> None:
    cipher = Cipher(KEY)
    sealed = cipher.seal(b"secret", owner="kubeconfig/c1")
    assert b"secret" not in sealed
    assert cipher.open(sealed, owner="kubeconfig/c1") == b"secret"
    with pytest.raises(SecretKeyWrong):
        cipher.open(sealed, owner="kubeconfig/c2")
    with pytest.raises(SecretKeyWrong):
        Cipher("other").open(sealed, owner="kubeconfig/c1")


@pytest.mark.parametrize("harm", [lambda each: each[:-1], lambda each: b"\x02" + each[1:], lambda _: b""])
def test_a_damaged_secret_is_refused(harm) -> None:
    with pytest.raises(SecretKeyWrong):
        Cipher(KEY).open(harm(Cipher(KEY).seal(b"secret", owner="a")), owner="a")


def test_the_same_secret_never_looks_the_same() -> None:
    assert Cipher(KEY).seal(b"secret", owner="a") != Cipher(KEY).seal(b"secret", owner="a")


def test_the_key_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    sealed = key_in(file, may_make=True).seal(b"secret", owner="a")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_in(file, may_make=True).open(sealed, owner="a") == b"secret"
    assert [each.name for each in tmp_path.iterdir()] == ["secret.key"]


def test_a_given_key_must_be_long_enough() -> None:
    with pytest.raises(SecretKeyWrong, match="32 characters"):
        given_key("short")
    assert KEY not in repr(given_key(KEY))


async def test_another_key_is_refused_at_the_start_and_nothing_is_lost(tmp_path: Path) -> None:
    first = open_store(StoreSettings(url(tmp_path), None, KEY))
    await first.add_cluster(a_cluster(), "kubeconfig")
    await first.close()
    with pytest.raises(SecretKeyWrong, match="ADDONRY_SECRET_KEY"):
        open_store(StoreSettings(url(tmp_path), None, "x" * 43))
    again = open_store(StoreSettings(url(tmp_path), None, KEY))
    assert await again.kubeconfig(a_cluster().id) == "kubeconfig"
    await again.close()


async def test_a_lost_key_file_is_not_replaced_by_a_new_key(tmp_path: Path) -> None:
    """A new key would make every stored kubeconfig unreadable, and the message about it would come too late."""
    file = tmp_path / "secret.key"
    await open_store(StoreSettings(url(tmp_path), file)).close()
    file.unlink()
    with pytest.raises(SecretKeyWrong, match=r"secret\.key is missing"):
        open_store(StoreSettings(url(tmp_path), file))
    assert not file.exists()


def test_a_key_file_that_holds_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text("\n")
    with pytest.raises(SecretKeyWrong, match="holds no key"):
        open_store(StoreSettings(url(tmp_path), file))


def test_without_any_key_nothing_opens(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No key"):
        open_store(StoreSettings(url(tmp_path), None))


@pytest.mark.parametrize(
    "bad", ["", "sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "::hunter2::", "postgres_ql://hunter2"]
)
def test_a_database_url_that_is_none_is_refused_without_quoting_it(bad: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        open_store(StoreSettings(bad, None, KEY))
    assert "hunter2" not in str(raised.value)
    assert "sqlite:///PATH" in raised.value.remedy


def _open(directory: str) -> None:
    settings = StoreSettings(url(Path(directory)), Path(directory) / "secret.key")
    open_store(settings)._database.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_processes_that_start_at_once_agree_on_schema_and_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    starting = [context.Process(target=_open, args=(str(tmp_path),)) for _ in range(3)]
    for each in starting:
        each.start()
    for each in starting:
        each.join(60)
    assert [each.exitcode for each in starting] == [0, 0, 0]
    _open(str(tmp_path))
