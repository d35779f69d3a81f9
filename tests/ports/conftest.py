"""A registry database is migrated once; every further empty one of these suites is given the same statements.

Migrating takes 65 ms, most of it Alembic, and some hundred tests want an empty registry of their own. What the
migrations do is tested beside them (tests/unit/adapters/embedded/test_database_migrate.py).
"""

import sqlite3
from typing import cast

import pytest
from sqlalchemy import Connection, inspect

from ringmain.adapters.embedded import database_migrate

_STATEMENTS: list[str] = []


@pytest.fixture(autouse=True)
def migrated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    really = database_migrate._upgrade

    def upgrade(connection: Connection) -> None:
        if inspect(connection).get_table_names():
            really(connection)
        elif _STATEMENTS:
            for statement in _STATEMENTS:
                connection.exec_driver_sql(statement)
        else:
            really(connection)
            raw = cast("sqlite3.Connection", connection.connection.dbapi_connection)
            _STATEMENTS.extend(line for line in raw.iterdump() if line not in {"BEGIN TRANSACTION;", "COMMIT;"})

    monkeypatch.setattr(database_migrate, "_upgrade", upgrade)
