"""Access keys, users and policies, in tables."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from addonry.model.access import Policy, User
from addonry.model.errors import NameTaken, NotThere
from addonry.model.keys import AccessKey, Credential
from addonry.store import tables as t
from addonry.store.connections import Database
from addonry.store.secrets import Cipher

_EXPIRED_KEPT: Final = timedelta(days=1)
"""So long a temporary key that has ended is told as such, and then as unknown."""

_KEYS: Final = select(t.access_key).order_by(t.access_key.c.number)
_KEY: Final = select(t.access_key).where(t.access_key.c.id == bindparam("which"))
_ENABLE: Final = update(t.access_key).where(t.access_key.c.id == bindparam("which")).values(enabled=bindparam("on"))
_DROP_KEY: Final = delete(t.access_key).where(t.access_key.c.id == bindparam("which"))
_DROP_KEYS_OF: Final = delete(t.access_key).where(t.access_key.c.user_name == bindparam("whose"))
_DROP_EXPIRED: Final = delete(t.access_key).where(t.access_key.c.expires_at < bindparam("moment", type_=t.Moment))
_DROP_NONCES: Final = delete(t.nonce).where(t.nonce.c.at < bindparam("moment", type_=t.Moment))
_USERS: Final = select(t.user).order_by(t.user.c.name)
_USER: Final = select(t.user).where(t.user.c.name == bindparam("which"))
_DROP_USER: Final = delete(t.user).where(t.user.c.name == bindparam("which"))
_ATTACHED: Final = select(t.attachment).order_by(t.attachment.c.user_name, t.attachment.c.policy)
_ATTACHED_TO: Final = _ATTACHED.where(t.attachment.c.user_name == bindparam("whose"))
_HOLDERS: Final = select(t.attachment.c.user_name).where(t.attachment.c.policy == bindparam("which"))
_DETACH: Final = delete(t.attachment).where(
    t.attachment.c.user_name == bindparam("whose"), t.attachment.c.policy == bindparam("which")
)
_POLICIES: Final = select(t.policy).order_by(t.policy.c.name)
_POLICY: Final = select(t.policy).where(t.policy.c.name == bindparam("which"))
_DROP_POLICY: Final = delete(t.policy).where(t.policy.c.name == bindparam("which"))


class Accounts:
    """Who may call, and what they may do. Secrets and tokens are encrypted and leave through ``credential`` only."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    # Keys

    async def add_key(
        self, key: AccessKey, secret: str, *, token: str | None = None, session_policy: Mapping[str, Any] | None = None
    ) -> None:
        """Remember an access key. Raises NotThere when its user is gone. Temporary keys that have ended are forgotten."""
        row = {
            "id": key.id,
            "name": key.name,
            "created_at": key.created_at,
            "is_root": key.is_root,
            "enabled": key.enabled,
            "secret_sealed": self._cipher.seal(secret.encode(), owner=f"access-key/{key.id}"),
            "user_name": key.user,
            "token_sealed": None if token is None else self._cipher.seal(token.encode(), owner=f"token/{key.id}"),
            "expires_at": key.expires_at,
            "session_policy": None if session_policy is None else json.dumps(session_policy),
        }

        def work(connection: Connection) -> None:
            if key.user:
                _require_user(connection, key.user)
            connection.execute(_DROP_EXPIRED, {"moment": key.created_at - _EXPIRED_KEPT})
            connection.execute(insert(t.access_key), row)

        await self._database.write(work)

    async def keys(self) -> tuple[AccessKey, ...]:
        """Oldest first, without secrets."""
        rows = await self._all(_KEYS)
        return tuple(
            AccessKey(
                row.id,
                row.name,
                row.created_at,
                is_root=row.is_root,
                enabled=row.enabled,
                user=row.user_name,
                expires_at=row.expires_at,
            )
            for row in rows
        )

    async def credential(self, key: str) -> Credential | None:
        """The key with its secret, for checking a signature; None when there is no such key."""
        rows = await self._all(_KEY, which=key)
        if not rows:
            return None
        row = rows[0]
        token = row.token_sealed
        return Credential(
            key,
            self._cipher.open(row.secret_sealed, owner=f"access-key/{key}").decode(),
            enabled=row.enabled,
            security_token=None if token is None else self._cipher.open(token, owner=f"token/{key}").decode(),
            expires_at=row.expires_at,
            user=row.user_name,
            session_policy=None if row.session_policy is None else json.loads(row.session_policy),
        )

    async def enable_key(self, key: str, *, enabled: bool) -> None:
        """Let a key be used, or not. Raises NotThere."""
        await self._change(_ENABLE, {"which": key, "on": enabled}, f"access key {key!r}")

    async def remove_key(self, key: str) -> None:
        """Forget a key. Raises NotThere."""
        await self._change(_DROP_KEY, {"which": key}, f"access key {key!r}")

    # Nonces

    @property
    def shares_nonces(self) -> bool:
        """Whether other processes may have seen a nonce that this one has not."""
        return not self._database.is_sqlite

    async def note_nonce(self, mark: bytes, at: datetime) -> bool:
        """Remember a nonce for all processes; False when one of them has seen it."""
        try:
            await self._database.write(lambda connection: connection.execute(insert(t.nonce), {"mark": mark, "at": at}))
        except IntegrityError:
            return False
        return True

    async def forget_nonces(self, before: datetime) -> None:
        """Delete those that were noted before."""
        await self._database.write(lambda connection: connection.execute(_DROP_NONCES, {"moment": before}))

    # Users

    async def add_user(self, name: str, at: datetime) -> None:
        """Raises NameTaken."""
        await self._add(t.user, {"name": name, "created_at": at}, f"user named {name!r}")

    async def users(self) -> tuple[User, ...]:
        """By name, with the policies attached to each."""
        attached: dict[str, list[str]] = {}
        for row in await self._all(_ATTACHED):
            attached.setdefault(row.user_name, []).append(row.policy)
        rows = await self._all(_USERS)
        return tuple(User(row.name, row.created_at, tuple(attached.get(row.name, ()))) for row in rows)

    async def attached(self, user: str) -> tuple[str, ...]:
        """The names of the policies attached to a user; none for one that is not there."""
        return tuple(row.policy for row in await self._all(_ATTACHED_TO, whose=user))

    async def remove_user(self, name: str) -> None:
        """Forget a user with all keys. Raises NotThere."""

        def work(connection: Connection) -> None:
            _require_user(connection, name)
            connection.execute(_DROP_KEYS_OF, {"whose": name})
            connection.execute(_DROP_USER, {"which": name})

        await self._database.write(work)

    async def attach(self, user: str, policy: str) -> None:
        """Attach a policy, which the caller knows to exist; once is enough. Raises NotThere for the user."""

        def work(connection: Connection) -> None:
            _require_user(connection, user)
            connection.execute(_DETACH, {"whose": user, "which": policy})
            connection.execute(insert(t.attachment), {"user_name": user, "policy": policy})

        await self._database.write(work)

    async def detach(self, user: str, policy: str) -> None:
        """Raises NotThere when it was not attached."""
        await self._change(_DETACH, {"whose": user, "which": policy}, f"policy {policy!r} attached to {user!r}")

    # Policies

    async def save_policy(self, policy: Policy) -> None:
        """Add a policy, or put it in place of the one of that name."""
        row = {
            "name": policy.name,
            "document": json.dumps(dict(policy.document)),
            "description": policy.description,
            "updated_at": policy.updated_at,
        }

        def work(connection: Connection) -> None:
            connection.execute(_DROP_POLICY, {"which": policy.name})
            connection.execute(insert(t.policy), row)

        await self._database.write(work)

    async def policies(self) -> tuple[Policy, ...]:
        """Those that were added, by name."""
        return tuple(_read_policy(row) for row in await self._all(_POLICIES))

    async def policy(self, name: str) -> Policy | None:
        """One that was added."""
        rows = await self._all(_POLICY, which=name)
        return _read_policy(rows[0]) if rows else None

    async def remove_policy(self, name: str) -> tuple[str, ...]:
        """Forget a policy that is attached to nobody; else nothing happens, and the users are returned.

        Raises NotThere.
        """

        def work(connection: Connection) -> tuple[str, ...]:
            holders = tuple(connection.execute(_HOLDERS, {"which": name}).scalars())
            if not holders and not connection.execute(_DROP_POLICY, {"which": name}).rowcount:
                raise NotThere(f"There is no policy {name!r}.")
            return holders

        return await self._database.write(work)

    # Within

    async def _all(self, query: Select[Any], **parameters: Any) -> list[Row[Any]]:
        return await self._database.read(lambda connection: list(connection.execute(query, parameters).all()))

    async def _add(self, table: Any, row: Mapping[str, Any], what: str) -> None:
        try:
            await self._database.write(lambda connection: connection.execute(insert(table), dict(row)))
        except IntegrityError as error:
            raise NameTaken(f"There is a {what} already.") from error

    async def _change(self, statement: Any, parameters: Mapping[str, Any], what: str) -> None:
        def work(connection: Connection) -> int:
            return int(connection.execute(statement, dict(parameters)).rowcount)

        if not await self._database.write(work):
            raise NotThere(f"There is no {what}.")


def _require_user(connection: Connection, name: str) -> None:
    if connection.execute(_USER, {"which": name}).first() is None:
        raise NotThere(f"There is no user {name!r}.")


def _read_policy(row: Row[Any]) -> Policy:
    return Policy(row.name, json.loads(row.document), row.description, row.updated_at)
