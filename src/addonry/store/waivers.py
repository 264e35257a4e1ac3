"""Waivers of readiness checks, in a table."""

import uuid
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from addonry.model.errors import ClusterNotFound, NotThere
from addonry.model.ids import ClusterId, ComponentName
from addonry.model.readiness import Waiver
from addonry.model.tasks import Event
from addonry.store import codec, queries
from addonry.store import tables as t
from addonry.store.connections import Database

_WAIVERS: Final = select(t.waiver).where(t.waiver.c.cluster == bindparam("which")).order_by(t.waiver.c.number)
_DROP: Final = delete(t.waiver).where(t.waiver.c.cluster == bindparam("which"), t.waiver.c.id == bindparam("waiver"))


class Waivers:
    """What was waived, of which cluster, by whom and until when. Expired waivers stay until somebody removes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waivers(self, cluster: ClusterId) -> tuple[Waiver, ...]:
        """In the order in which they were made."""
        rows = await self._database.read(lambda connection: connection.execute(_WAIVERS, {"which": cluster}).all())
        return tuple(_read(row) for row in rows)

    async def add(self, cluster: ClusterId, waiver: Waiver, event: Event) -> None:
        """Raises ClusterNotFound."""
        row = {
            "id": waiver.id,
            "cluster": cluster,
            "check_id": waiver.check,
            "component": waiver.component or "",
            "reason": waiver.reason,
            "made_by": waiver.by,
            "made_at": waiver.made_at,
            "until": waiver.until,
        }

        def work(connection: Connection) -> None:
            _lock(connection, cluster)
            connection.execute(insert(t.waiver), row)
            _tell(connection, event)

        await self._database.write(work)

    async def remove(self, cluster: ClusterId, waiver: str, event: Event) -> None:
        """Raises ClusterNotFound, NotThere."""

        def work(connection: Connection) -> None:
            _lock(connection, cluster)
            if not connection.execute(_DROP, {"which": cluster, "waiver": waiver}).rowcount:
                raise NotThere(
                    f"There is no waiver {waiver!r} of that cluster.", remedy="List them with `addonry waivers list`."
                )
            _tell(connection, event)

        await self._database.write(work)


def _lock(connection: Connection, cluster: ClusterId) -> None:
    """Writes about one cluster follow one another, and raise its generation. Raises ClusterNotFound."""
    if not connection.execute(queries.RAISE_GENERATION, {"which": cluster}).rowcount:
        raise ClusterNotFound(cluster)


def _tell(connection: Connection, event: Event) -> None:
    connection.execute(queries.ADD_EVENT, codec.event_parameters(event, id=f"e-{uuid.uuid4()}"))


def _read(row: Row[Any]) -> Waiver:
    return Waiver(
        check=row.check_id,
        component=ComponentName(row.component) if row.component else None,
        reason=row.reason,
        by=row.made_by,
        until=row.until,
        made_at=row.made_at,
        id=row.id,
    )
