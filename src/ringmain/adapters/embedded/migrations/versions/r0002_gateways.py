"""Gateways: claims, client certificates, what can be told of a token, delegations, and the documents that go down."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"

Text = sa.String().with_variant(sa.String(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Widen the credentials and make the new tables."""
    # One ALTER TABLE each, which SQLite does in place: the table, its AUTOINCREMENT and its indexes stay as they are.
    op.add_column("credentials", sa.Column("sealed", sa.LargeBinary))
    op.add_column("credentials", sa.Column("serial", Text))
    op.add_column("credentials", sa.Column("certificate", sa.LargeBinary))
    op.add_column("credentials", sa.Column("expires_ms", sa.BigInteger))
    _claims()
    _delegations()


def _claims() -> None:
    op.create_table(
        "claims",
        sa.Column("number", Serial, nullable=False, autoincrement=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("device", sa.BigInteger, nullable=False),
        sa.Column("becomes", Text, nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        sa.Column("made_by", Text, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("replaced_ms", sa.BigInteger),
        sa.Column("used_ms", sa.BigInteger),
        sa.Column("request", sa.LargeBinary),
        sa.Column("serial", Text),
        sa.PrimaryKeyConstraint("number", name="pk_claims"),
        sa.UniqueConstraint("digest", name="uq_claims_digest"),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name="fk_claims_devices"),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("used_ms IS NULL AND replaced_ms IS NULL")
    op.create_index(
        "uq_claims_device", "claims", ["device"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )


def _delegations() -> None:
    op.create_table(
        "delegations",
        sa.Column("number", Serial, nullable=False, autoincrement=True),
        sa.Column("gateway", sa.BigInteger, nullable=False),
        sa.Column("device", sa.BigInteger, nullable=False),
        sa.Column("from_ms", sa.BigInteger, nullable=False),
        sa.Column("to_ms", sa.BigInteger),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_delegations"),
        sa.ForeignKeyConstraint(["gateway"], ["devices.key"], name="fk_delegations_gateway"),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name="fk_delegations_device"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_delegations_gateway", "delegations", ["gateway", "device"])
    op.create_index("ix_delegations_device", "delegations", ["device"])
    op.create_table(
        "gateway_documents",
        sa.Column("gateway", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("gateway", "kind", "version", name="pk_gateway_documents"),
        sa.ForeignKeyConstraint(["gateway"], ["devices.key"], name="fk_gateway_documents_devices"),
    )
