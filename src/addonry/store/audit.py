"""The audit log, in a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from addonry.model.access import AuditRecord
from addonry.store import tables as t
from addonry.store.connections import Database

_RECORDS: Final = select(t.audit).order_by(t.audit.c.number.desc())
_COUNT: Final = select(func.count()).select_from(t.audit)
_FORGET: Final = delete(t.audit).where(t.audit.c.at < bindparam("before", type_=t.Moment))


class AuditLog:
    """One record for each call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, records: Sequence[AuditRecord]) -> None:
        """Write them, in their order, all or none."""
        rows = [_row(record) for record in records]
        if rows:
            await self._database.write(lambda connection: connection.execute(insert(t.audit), rows))

    async def records(
        self,
        *,
        operation: str = "",
        key: str = "",
        user: str = "",
        cluster: str = "",
        offset: int = 0,
        limit: int = 50,
    ) -> tuple[tuple[AuditRecord, ...], int]:
        """Newest first, and how many there are."""
        columns = {"operation": operation, "access_key": key, "user_name": user, "cluster": cluster}
        wanted = [t.audit.c[name] == value for name, value in columns.items() if value]

        def work(connection: Connection) -> tuple[tuple[AuditRecord, ...], int]:
            count = connection.execute(_COUNT.where(*wanted)).scalar_one()
            rows = connection.execute(_RECORDS.where(*wanted).offset(offset).limit(limit)).all()
            return tuple(_read(row) for row in rows), count

        return await self._database.read(work)

    async def forget(self, before: datetime) -> int:
        """Delete what is older; how many."""
        return await self._database.write(
            lambda connection: int(connection.execute(_FORGET, {"before": before}).rowcount)
        )


def _row(record: AuditRecord) -> dict[str, Any]:
    return {
        "at": record.at,
        "request_id": record.request_id,
        "operation": record.operation,
        "method": record.method,
        "path": record.path,
        "cluster": record.cluster,
        "access_key": record.key,
        "user_name": record.user,
        "source": record.source,
        "status": record.status,
        "code": record.code,
        "verdict": record.verdict,
        "milliseconds": record.milliseconds,
    }


def _read(row: Row[Any]) -> AuditRecord:
    return AuditRecord(
        row.request_id,
        row.at,
        row.operation,
        row.method,
        row.path,
        row.cluster,
        row.access_key,
        row.user_name,
        row.source,
        row.status,
        row.code,
        row.verdict,
        row.milliseconds,
    )
