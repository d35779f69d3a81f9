"""Presence, embedded: the last known sessions in the registry database, written many at a time."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as upsert

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.database_schema import counters, sessions
from ringmain.model.ids import DeviceKey
from ringmain.model.session import Session, SessionState

EPOCHS = 2**32
"""Epochs of one start. A thousand connections a second would take 49 days to use them up."""

_save = upsert(sessions)
_save = _save.on_conflict_do_update(set_={c.name: _save.excluded[c.name] for c in sessions.c if not c.primary_key})


class Presence:
    """Home of `ports.presence.Presence`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def new_epoch_block(self) -> int:
        def work(connection: Connection) -> int:
            statement = upsert(counters).values(name="epochs", value=EPOCHS)
            statement = statement.on_conflict_do_update(set_={"value": counters.c.value + EPOCHS})
            return int(connection.execute(statement.returning(counters.c.value)).scalar_one())

        return await self._database.run(work)

    async def save(self, sessions: Sequence[Session]) -> None:
        if not sessions:
            return

        def work(connection: Connection) -> None:
            connection.execute(_save, [msgspec.structs.asdict(session) for session in sessions])

        await self._database.run(work)

    async def load(self) -> Sequence[Session]:
        statement = select(sessions).order_by(sessions.c.device)
        return await self._database.run(lambda connection: [_session(row) for row in connection.execute(statement)])

    async def get(self, device: DeviceKey) -> Session | None:
        def work(connection: Connection) -> Session | None:
            row = connection.execute(select(sessions).where(sessions.c.device == device)).first()
            return None if row is None else _session(row)

        return await self._database.run(work)


def _session(row: Sequence[Any]) -> Session:
    device, state, *rest = row
    return Session(device, SessionState(state), *rest)
