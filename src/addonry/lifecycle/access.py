"""Who may call, and what they may do: access keys, users, policies, sessions, and the record of every call."""

import asyncio
import contextlib
import hmac
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from addonry.model.access import AuditRecord, Grants, Policy, User
from addonry.model.errors import AddonryError, InvalidParameter, NotNow, NotThere
from addonry.model.keys import AccessKey, Credential
from addonry.rules.access import SYSTEM_POLICIES, read
from addonry.store import Store

log = logging.getLogger(__name__)

KEPT: Final = timedelta(seconds=5)
"""How long a change to a key, a user or a policy may go unnoticed by another process; this one knows at once."""

REMEMBERED: Final = 10_000
"""Keys about which something is remembered at a time."""

LABEL_LIMIT: Final = 64
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Of users and policies."""

SHORTEST_SESSION: Final = timedelta(minutes=15)
LONGEST_SESSION: Final = timedelta(hours=12)
"""As STS has them (AssumeRole, DurationSeconds)."""
SESSION_PREFIX: Final = "STS."
SEPARATOR: Final = ":"
SESSION_POLICY: Final = "session-policy"

FLUSH_SECONDS: Final = 0.5
"""How long records of calls that change nothing are gathered before they are written."""
NONCES_KEPT: Final = timedelta(hours=1)
"""Longer than a request is good by its date."""
TRIM_SECONDS: Final = 3600.0
GATHERED_AT_MOST: Final = 10_000


class Access:
    """The use cases. Every method raises the errors of ``model.errors``."""

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], datetime],
        new_key: Callable[[], tuple[str, str]],
        new_token: Callable[[], str],
        audit_kept: timedelta,
    ) -> None:
        self._accounts = store.accounts
        self._log = store.audit
        self._now = now
        self._new_key = new_key
        self._new_token = new_token
        self._audit_kept = audit_kept
        self._credentials: dict[str, tuple[datetime, Credential]] = {}
        self._granted: dict[str, tuple[datetime, Grants]] = {}
        self._gathered: list[AuditRecord] = []
        self._writer: asyncio.Task[None] | None = None

    # Keys

    async def create_key(self, name: str, *, user: str = "") -> Credential:
        """A new access key; its secret is shown this once. Without *user* it is the account's own and may do everything.

        Raises InvalidParameter, NotThere for the user.
        """
        name = name.strip()
        if not name or len(name) > LABEL_LIMIT or not name.isprintable():
            raise InvalidParameter("name", f"must have 1 to {LABEL_LIMIT} printable characters")
        key, secret = self._new_key()
        await self._accounts.add_key(AccessKey(key, name, self._now(), user=user), secret)
        return Credential(key, secret, user=user)

    async def create_session(
        self, name: str, *, of: Credential, lasting: timedelta, policy: Mapping[str, Any] | None = None
    ) -> Credential:
        """A temporary key with a token, for whoever holds *of*: it may do what its user may, within *policy* too.

        Raises InvalidParameter, NotNow for a caller who has a temporary key himself.
        """
        if of.security_token is not None:
            raise NotNow("A temporary key makes no further ones.", remedy="Ask with a key that stays.")
        if not NAME.fullmatch(name):
            raise _wrong_name("name")
        if not SHORTEST_SESSION <= lasting <= LONGEST_SESSION:
            raise InvalidParameter("duration_seconds", "must be 900 to 43200 seconds")
        if policy is not None:
            read(policy)
        key, secret = self._new_key()
        now = self._now()
        made = AccessKey(f"{SESSION_PREFIX}{key}", name, now, user=of.user, expires_at=now + lasting)
        token = f"{made.id}{SEPARATOR}{self._new_token()}"
        await self._accounts.add_key(made, secret, token=token, session_policy=policy)
        return Credential(made.id, secret, security_token=token, expires_at=made.expires_at, user=of.user)

    async def keys(self) -> tuple[AccessKey, ...]:
        """Oldest first, without secrets."""
        return await self._accounts.keys()

    async def enable_key(self, key: str, *, enabled: bool) -> None:
        """Let a key be used again, or not for now. Raises NotThere, NotNow for the root key."""
        await self._refuse_root(key)
        await self._accounts.enable_key(key, enabled=enabled)
        self._forget()

    async def delete_key(self, key: str) -> None:
        """Revoke a key for good. Raises NotThere, NotNow for the root key."""
        await self._refuse_root(key)
        await self._accounts.remove_key(key)
        self._forget()

    async def _refuse_root(self, key: str) -> None:
        if any(each.id == key and each.is_root for each in await self._accounts.keys()):
            raise NotNow(
                "This is the root key; local commands on the data directory work with it.",
                remedy="Delete another key; the root key leaves with the data directory.",
            )

    async def credential(self, key: str) -> Credential | None:
        """For checking a signature. What is known is believed for a few seconds: every request asks."""
        now = self._now()
        kept = self._credentials.get(key)
        if kept is not None and abs(now - kept[0]) < KEPT:
            return kept[1]
        credential = await self._accounts.credential(key)
        self._credentials.pop(key, None)
        if credential is not None:
            if len(self._credentials) >= REMEMBERED:
                self._credentials.clear()
            self._credentials[key] = (now, credential)
        return credential

    async def bearer(self, token: str) -> Credential | None:
        """The temporary key whose token this is; None when there is none."""
        # The token begins with the id of its key.
        credential = await self.credential(token.partition(SEPARATOR)[0])
        if credential is None or credential.security_token is None:
            return None
        is_right = hmac.compare_digest(credential.security_token.encode(), token.encode("utf-8", "replace"))
        return credential if is_right else None

    async def grants(self, credential: Credential) -> Grants | None:
        """What the holder of *credential* may do; None for the account itself, to which policies do not apply."""
        if not credential.user and credential.session_policy is None:
            return None
        now = self._now()
        kept = self._granted.get(credential.id)
        if kept is not None and abs(now - kept[0]) < KEPT:
            return kept[1]
        layers = [await self._policies_of(credential.user)] if credential.user else []
        if credential.session_policy is not None:
            layers.append((Policy(SESSION_POLICY, credential.session_policy),))
        grants = Grants(tuple(layers))
        if len(self._granted) >= REMEMBERED:
            self._granted.clear()
        self._granted[credential.id] = (now, grants)
        return grants

    async def _policies_of(self, user: str) -> tuple[Policy, ...]:
        found = [await self._find(name) for name in await self._accounts.attached(user)]
        return tuple(each for each in found if each is not None)

    async def _find(self, name: str) -> Policy | None:
        return SYSTEM_POLICIES.get(name) or await self._accounts.policy(name)

    def _forget(self) -> None:
        self._credentials.clear()
        self._granted.clear()

    async def note_nonce(self, mark: bytes) -> bool:
        """Whether no other process on the same database has seen a request with that nonce; it is noted for all."""
        if not self._accounts.shares_nonces:
            return True
        return await self._accounts.note_nonce(mark, self._now())

    # Users

    async def create_user(self, name: str) -> None:
        """A user who may do nothing yet. Raises InvalidParameter, NameTaken."""
        if not NAME.fullmatch(name):
            raise _wrong_name("name")
        await self._accounts.add_user(name, self._now())

    async def users(self) -> tuple[User, ...]:
        """By name."""
        return await self._accounts.users()

    async def delete_user(self, name: str) -> None:
        """Forget a user with all access keys. Raises NotThere."""
        await self._accounts.remove_user(name)
        self._forget()

    async def attach(self, user: str, policy: str) -> None:
        """Let a policy decide for a user, beside those attached already. Raises NotThere for either."""
        await self.policy(policy)
        await self._accounts.attach(user, policy)
        self._forget()

    async def detach(self, user: str, policy: str) -> None:
        """Raises NotThere when it was not attached."""
        await self._accounts.detach(user, policy)
        self._forget()

    # Policies

    async def save_policy(self, name: str, document: Mapping[str, Any], description: str = "") -> None:
        """Add a policy, or put it in place of the one of that name; who has it, has the new one.

        Raises InvalidParameter for a document that is none, NotNow for a system policy.
        """
        if not NAME.fullmatch(name):
            raise _wrong_name("name")
        _refuse_system(name)
        read(document)
        await self._accounts.save_policy(Policy(name, document, description, self._now()))
        self._forget()

    async def policies(self) -> tuple[Policy, ...]:
        """The system policies, and then those that were added, by name."""
        return (*SYSTEM_POLICIES.values(), *await self._accounts.policies())

    async def policy(self, name: str) -> Policy:
        """Raises NotThere."""
        found = await self._find(name)
        if found is None:
            raise NotThere(f"There is no policy {name!r}.", remedy="List them with `addonry policies list`.")
        return found

    async def delete_policy(self, name: str) -> None:
        """Raises NotThere, NotNow for a system policy and one that users have."""
        _refuse_system(name)
        holders = await self._accounts.remove_policy(name)
        if holders:
            raise NotNow(
                f"Policy {name} is attached to {', '.join(holders)}.",
                remedy=f"Detach it first: addonry policies detach {name} {holders[0]}",
            )
        self._forget()

    # Audit

    async def record(self, record: AuditRecord, *, at_once: bool) -> None:
        """Note a call: now (of one that changes something), or within half a second.

        A database that is away does not take the answer from the caller; then the log has the record.
        """
        if at_once:
            await self._write([record])
            return
        self._gathered.append(record)
        if len(self._gathered) >= GATHERED_AT_MOST:
            await self._flush()
        elif self._writer is None:
            self._writer = asyncio.create_task(self._flush_soon(), name="audit")

    async def audit(
        self,
        *,
        operation: str = "",
        key: str = "",
        user: str = "",
        cluster: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[AuditRecord, ...], int]:
        """Newest first, and how many there are; an empty filter lets everything pass."""
        await self._flush()
        return await self._log.records(
            operation=operation, key=key, user=user, cluster=cluster, offset=offset, limit=limit
        )

    async def trim_forever(self) -> None:
        """Delete records and nonces that are old enough, once an hour."""
        while True:
            try:
                await self._log.forget(self._now() - self._audit_kept)
                await self._accounts.forget_nonces(self._now() - NONCES_KEPT)
            except AddonryError as error:
                log.warning("old audit records and nonces could not be deleted: %s", error.message)
            await asyncio.sleep(TRIM_SECONDS)

    async def close(self) -> None:
        """Write what was gathered."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        await self._flush()

    async def _flush_soon(self) -> None:
        await asyncio.sleep(FLUSH_SECONDS)
        self._writer = None
        await self._flush()

    async def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        await self._write(gathered)

    async def _write(self, records: Sequence[AuditRecord]) -> None:
        try:
            await self._log.add(records)
        except AddonryError as error:
            log.warning("%d records are not in the audit log: %s", len(records), error.message)
            for each in records:
                log.warning("not in the audit log: %s", each)


def _refuse_system(name: str) -> None:
    if name in SYSTEM_POLICIES:
        raise NotNow(f"{name} is a system policy.", remedy="Write a policy of your own under another name.")


def _wrong_name(parameter: str) -> InvalidParameter:
    return InvalidParameter(parameter, "must have 1 to 64 letters, digits, dots, hyphens and underscores")
