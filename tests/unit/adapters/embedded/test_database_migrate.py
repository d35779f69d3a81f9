"""The migrations make exactly the tables that the code uses, and cost nothing once they have run."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from ringmain.adapters.embedded.database_migrate import MIGRATIONS, bring_to_head
from ringmain.adapters.embedded.database_schema import REVISIONS, metadata


def test_the_revisions_known_by_heart_are_those_of_the_tree():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def _master(connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


@pytest.mark.slow
def test_migrations_and_metadata_make_the_same_tables():
    migrated, made = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.connect() as one, made.connect() as other:
        bring_to_head(one)
        assert compare_metadata(MigrationContext.configure(one), metadata) == []
        metadata.create_all(other)
        assert sorted(_master(one)) == sorted(_master(other))
        for name, sql in _master(other).items():
            # Autogenerate does not compare these, and a lost one would give ids out again or let a token be two's.
            for word in ("AUTOINCREMENT", "UNIQUE", "WHERE revoked_ms IS NULL", "WHERE used_ms IS NULL"):
                assert (word in sql) == (word in _master(one)[name]), name
            if sql.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")):
                assert sql == _master(one)[name]
    migrated.dispose()
    made.dispose()


def test_the_tenant_stands_in_every_key_that_no_device_key_or_digest_implies():
    implied = {"tenants", "devices", "transitions", "credentials", "sessions", "counters"}
    implied |= {"claims", "delegations", "gateway_documents"}
    for table in metadata.tables.values():
        columns = {column.name for column in table.primary_key}
        assert table.name in implied or "tenant" in columns, table.name


def test_the_second_revision_keeps_what_the_first_one_held():
    engine = create_engine("sqlite://")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "r0001")
        connection.exec_driver_sql("INSERT INTO tenants VALUES ('a', 1)")
        connection.exec_driver_sql("INSERT INTO credentials VALUES (7, x'01', 'a', 'ann', NULL, 'admin', 1, NULL)")
        bring_to_head(connection)
        row = connection.exec_driver_sql("SELECT * FROM credentials").one()
        assert row == (7, b"\1", "a", "ann", None, "admin", 1, None, None, None, None, None)
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    engine.dispose()


@pytest.mark.slow
def test_alembic_is_not_imported_when_there_is_nothing_to_migrate(tmp_path: Path):
    code = (
        "import asyncio, pathlib, sys\n"
        "from ringmain.adapters.embedded.database import Database\n"
        "async def main(): await (await Database.open(pathlib.Path(sys.argv[1]))).close()\n"
        "asyncio.run(main())\n"
        "print('alembic' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "registry.sqlite")]
    told = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() for _ in range(2)]
    assert told == ["True", "False"]
