"""Brings the registry database to the schema of this version, once, when it is opened.

Alembic is imported only where there is something to do: a database at head answers with one SELECT.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ringmain.adapters.embedded.database_schema import REVISIONS
from ringmain.model.errors import Failed

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_to_head(connection: Connection) -> None:
    """Migrate within the connection's transaction. `Failed("storage_failed")` where the schema is not ours."""
    revision = _revision(connection)
    if revision == REVISIONS[-1]:
        return
    if revision is not None and revision not in REVISIONS:
        raise Failed(
            "storage_failed",
            f"The registry has schema {revision}, which this version does not know (it knows up to {REVISIONS[-1]}). "
            "Nothing was changed.",
            "It was written by a newer version: start that one, or restore a backup made before the upgrade.",
        )
    _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    names = inspect(connection).get_table_names()
    if not names:
        return None
    if "alembic_version" not in names:
        raise Failed(
            "storage_failed",
            "The file holds a database that is not a registry. Nothing was changed.",
            "Point storage.dir to a directory of its own.",
        )
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - takes a quarter of a second, and is needed once per schema
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
