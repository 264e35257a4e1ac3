"""How to get into the hosts of charts, in a table, sealed."""

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select

from addonry.model.catalog import ChartCredential
from addonry.store import tables as t
from addonry.store.connections import Database
from addonry.store.secrets import Cipher

_ALL: Final = select(t.chart_host).order_by(t.chart_host.c.host)
_DROP: Final = delete(t.chart_host).where(t.chart_host.c.host == bindparam("which"))
_ADD: Final = insert(t.chart_host)
_CREDENTIAL: Final = msgspec.json.Decoder(ChartCredential)
_ENCODER: Final = msgspec.json.Encoder()


class ChartHosts:
    """Credentials by host."""

    def __init__(self, database: Database, cipher: Cipher) -> None:
        self._database = database
        self._cipher = cipher

    async def all(self) -> Mapping[str, ChartCredential]:
        """Every host that somebody logged in to."""
        rows = await self._database.read(lambda connection: connection.execute(_ALL).all())
        return {
            row.host: _CREDENTIAL.decode(self._cipher.open(row.credential_sealed, owner=f"chart-host/{row.host}"))
            for row in rows
        }

    async def save(self, host: str, credential: ChartCredential) -> None:
        """Keep it, in place of the one before."""
        sealed = self._cipher.seal(_ENCODER.encode(credential), owner=f"chart-host/{host}")

        def work(connection: Connection) -> None:
            connection.execute(_DROP, {"which": host})
            connection.execute(_ADD, {"host": host, "credential_sealed": sealed})

        await self._database.write(work)

    async def drop(self, host: str) -> bool:
        """Forget it; False when it was not known."""
        return await self._database.write(lambda connection: connection.execute(_DROP, {"which": host}).rowcount > 0)
