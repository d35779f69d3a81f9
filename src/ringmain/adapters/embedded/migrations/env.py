"""Alembic runs this file to migrate the registry database; the connection is handed in by `database_migrate`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # The connection says BEGIN itself, so that on SQLite too a migration is done wholly or not at all.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
