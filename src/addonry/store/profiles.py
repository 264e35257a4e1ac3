"""What people have set of clusters, and the checks they ran, in tables.

Beside the cluster's own row, because every scan writes that one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from addonry.model.checks import CheckOutcome, ClusterCheck
from addonry.model.clusters import Profile
from addonry.model.errors import ClusterNotFound, NotThere
from addonry.model.ids import ClusterId
from addonry.store import queries
from addonry.store import tables as t
from addonry.store.connections import Database

_PROFILES: Final = select(t.profile)
_PROFILE: Final = _PROFILES.where(t.profile.c.cluster == bindparam("which"))
_DROP_PROFILE: Final = delete(t.profile).where(t.profile.c.cluster == bindparam("which"))
_CHECKS: Final = (
    select(t.cluster_check)
    .where(t.cluster_check.c.cluster == bindparam("which"))
    .order_by(t.cluster_check.c.number.desc())
)
_CHECK: Final = _CHECKS.where(t.cluster_check.c.id == bindparam("check"))
_DROP_CHECK: Final = delete(t.cluster_check).where(t.cluster_check.c.id == bindparam("check"))
_OLD: Final = (
    select(t.cluster_check.c.id)
    .where(t.cluster_check.c.cluster == bindparam("which"))
    .order_by(t.cluster_check.c.number.desc())
    .offset(bindparam("kept"))
    .limit(1000)
)

CHECKS_KEPT: Final = 200
"""Of each cluster; the oldest go first."""

_PROFILE_TYPE: Final = msgspec.json.Decoder(Profile)
_OUTCOME: Final = msgspec.json.Decoder(CheckOutcome)
_ENCODER: Final = msgspec.json.Encoder()


class Profiles:
    """What people have set of clusters, and the checks they ran."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def profile(self, cluster: ClusterId) -> Profile:
        """Empty when nothing was ever set."""
        rows = await self._all(_PROFILE, which=cluster)
        return _PROFILE_TYPE.decode(rows[0].profile) if rows else Profile()

    async def profiles(self) -> Mapping[ClusterId, Profile]:
        """Of every cluster of which anything was set."""
        return {ClusterId(row.cluster): _PROFILE_TYPE.decode(row.profile) for row in await self._all(_PROFILES)}

    async def change(self, cluster: ClusterId, change: Callable[[Profile], Profile]) -> Profile:
        """Read, change and write in one transaction. Raises ClusterNotFound, and what *change* raises."""

        def work(connection: Connection) -> Profile:
            _lock(connection, cluster)
            row = connection.execute(_PROFILE, {"which": cluster}).first()
            changed = change(_PROFILE_TYPE.decode(row.profile) if row else Profile())
            connection.execute(_DROP_PROFILE, {"which": cluster})
            text = _ENCODER.encode(changed).decode()
            connection.execute(insert(t.profile), {"cluster": cluster, "profile": text})
            return changed

        return await self._database.write(work)

    async def add_check(self, check: ClusterCheck) -> None:
        """Remember a check, or what came of it. Raises ClusterNotFound."""
        row = {
            "id": check.id,
            "cluster": check.cluster,
            "type": check.type,
            "target": check.target,
            "outcome": _ENCODER.encode(check.outcome).decode(),
        }

        def work(connection: Connection) -> None:
            _lock(connection, check.cluster)
            connection.execute(insert(t.cluster_check), row)
            old = {"which": check.cluster, "kept": CHECKS_KEPT}
            for each in connection.execute(_OLD, old).scalars().all():
                connection.execute(_DROP_CHECK, {"check": each})

        await self._database.write(work)

    async def checks(self, cluster: ClusterId) -> tuple[ClusterCheck, ...]:
        """Newest first."""
        return tuple(_read_check(row) for row in await self._all(_CHECKS, which=cluster))

    async def check(self, cluster: ClusterId, check: str) -> ClusterCheck:
        """Raises NotThere."""
        rows = await self._all(_CHECK, which=cluster, check=check)
        if not rows:
            raise NotThere(f"There is no check {check!r} of that cluster.")
        return _read_check(rows[0])

    async def _all(self, query: Any, **parameters: Any) -> list[Row[Any]]:
        return await self._database.read(lambda connection: list(connection.execute(query, parameters).all()))


def _lock(connection: Connection, cluster: ClusterId) -> None:
    """Writes about one cluster follow one another. Raises ClusterNotFound."""
    if not connection.execute(queries.RAISE_GENERATION, {"which": cluster}).rowcount:
        raise ClusterNotFound(cluster)


def _read_check(row: Row[Any]) -> ClusterCheck:
    return ClusterCheck(row.id, ClusterId(row.cluster), row.type, row.target, _OUTCOME.decode(row.outcome))
