"""Secrets at rest: sealed with AES-256-GCM under one key, from a file (DATA/secret.key) or given.

Each secret is sealed for its owner (``kubeconfig/c...``), under a key derived for that owner, so a sealed value copied
to another row does not open there, and the number of random nonces under one key stays far below the limit of
AES-GCM (NIST SP 800-38D, section 8.3).
"""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from addonry.model.errors import StoreUnavailable

SHORTEST_KEY: Final = 32
"""Characters of a given key; ``openssl rand -base64 32`` prints 44."""

_FORMAT: Final = b"\x01"
_NONCE: Final = 12


class SecretKeyWrong(StoreUnavailable):
    """The key does not open what is stored. Nothing was changed."""


class Cipher:
    """Seals and opens. Has no repr beyond its type, so that the key is never logged."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(b"addonry secrets\0" + key.encode()).digest()

    def seal(self, secret: bytes, *, owner: str) -> bytes:
        """The secret, readable only with this key and for this owner."""
        nonce = os.urandom(_NONCE)
        return _FORMAT + nonce + self._for(owner).encrypt(nonce, secret, None)

    def open(self, sealed: bytes, *, owner: str) -> bytes:
        """What was sealed. Raises SecretKeyWrong for another key or owner."""
        nonce, rest = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        try:
            if sealed[:1] != _FORMAT:
                raise InvalidTag
            return self._for(owner).decrypt(nonce, rest, None)
        except InvalidTag as error:
            raise SecretKeyWrong(
                f"A stored secret ({owner.partition('/')[0]}) cannot be opened with this key.",
                remedy="Start with the key it was stored under (DATA/secret.key or ADDONRY_SECRET_KEY).",
            ) from error

    def _for(self, owner: str) -> AESGCM:
        return AESGCM(hmac.digest(self._key, owner.encode(), "sha256"))


def given_key(key: str) -> Cipher:
    """The cipher of a key that the settings give. Raises SecretKeyWrong when it is too short to be one."""
    if len(key.strip()) < SHORTEST_KEY:
        raise SecretKeyWrong(
            f"ADDONRY_SECRET_KEY is too short: {SHORTEST_KEY} characters are the least.",
            remedy="Make one with: openssl rand -base64 32",
        )
    return Cipher(key.strip())


def key_in(file: Path, *, may_make: bool) -> Cipher:
    """The cipher of the key in *file*, made on first use with mode 0600.

    Raises SecretKeyWrong when there is none and *may_make* is false: a new key would not open what is stored.
    """
    with contextlib.suppress(FileNotFoundError):
        return _read(file)
    if not may_make:
        raise SecretKeyWrong(
            f"{file} is missing, and what is stored was sealed with the key in it.",
            remedy=f"Put {file} back from your backup, or give the key in ADDONRY_SECRET_KEY.",
        )
    try:
        _make(file)
    except OSError as error:
        raise StoreUnavailable(f"{file} cannot be written: {error.strerror}.") from error
    return _read(file)


def _read(file: Path) -> Cipher:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise SecretKeyWrong(
            f"{file} cannot be read.", remedy="Check who owns it; it must be readable here."
        ) from error
    if len(text) < SHORTEST_KEY:
        raise SecretKeyWrong(f"{file} holds no key.", remedy="Put it back from your backup.")
    return Cipher(text)


def _make(file: Path) -> None:
    # Written aside and linked into place: a second process that starts now finds a whole key or none, and of two
    # that both make one, the first to link wins.
    aside = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as out:
            out.write(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, file)
    finally:
        aside.unlink()
