"""The first registry: directory, devices, credentials, presence and ledger."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

Text = sa.String().with_variant(sa.String(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _directory()
    _devices()
    _credentials()
    _presence()
    _ledger()


def _directory() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    op.create_table(
        "sites",
        sa.Column("tenant", Text, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("zone", Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_sites"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_sites_tenants"),
    )
    op.create_table(
        "profiles",
        sa.Column("tenant", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name", name="pk_profiles"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_profiles_tenants"),
    )
    op.create_table(
        "profile_channels",
        sa.Column("tenant", Text, nullable=False),
        sa.Column("profile", Text, nullable=False),
        sa.Column("channel", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "profile", "channel", name="pk_profile_channels"),
        sa.ForeignKeyConstraint(
            ["tenant", "profile"], ["profiles.tenant", "profiles.name"], name="fk_profile_channels_profiles"
        ),
    )


def _devices() -> None:
    op.create_table(
        "devices",
        sa.Column("key", Serial, nullable=False, autoincrement=True),
        sa.Column("tenant", Text, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("profile", Text, nullable=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("site", Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("state_since_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_devices"),
        sa.UniqueConstraint("tenant", "id", name="uq_devices_tenant_id"),
        sa.ForeignKeyConstraint(["tenant", "site"], ["sites.tenant", "sites.id"], name="fk_devices_sites"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_devices_state", "devices", ["tenant", "state", "id"])
    op.create_table(
        "transitions",
        sa.Column("number", Serial, nullable=False, autoincrement=True),
        sa.Column("device", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen", Text, nullable=False),
        sa.Column("became", Text, nullable=False),
        sa.Column("by", Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_transitions"),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name="fk_transitions_devices"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transitions_device", "transitions", ["device", "number"])


def _credentials() -> None:
    op.create_table(
        "credentials",
        sa.Column("number", Serial, nullable=False, autoincrement=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("device", sa.BigInteger),
        sa.Column("role", Text),
        sa.Column("granted_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("number", name="pk_credentials"),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.id"], name="fk_credentials_tenants"),
        sa.ForeignKeyConstraint(["device"], ["devices.key"], name="fk_credentials_devices"),
        sqlite_autoincrement=True,
    )
    in_force = sa.text("revoked_ms IS NULL")
    op.create_index(
        "uq_credentials_digest",
        "credentials",
        ["digest"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )
    op.create_index(
        "ix_credentials_device", "credentials", ["device"], sqlite_where=in_force, postgresql_where=in_force
    )


def _presence() -> None:
    op.create_table(
        "sessions",
        sa.Column("device", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("state", Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("protocol", Text, nullable=False),
        sa.Column("peer", Text, nullable=False),
        sa.Column("connected_ms", sa.BigInteger, nullable=False),
        sa.Column("last_seen_ms", sa.BigInteger, nullable=False),
        sa.Column("expected_by_ms", sa.BigInteger, nullable=False),
        sa.Column("expected_interval_s", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", name="pk_sessions"),
    )
    op.create_table(
        "counters",
        sa.Column("name", Text, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )


def _ledger() -> None:
    op.create_table(
        "records",
        sa.Column("tenant", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", "id", "version", name="pk_records"),
    )
    op.create_table(
        "bills",
        sa.Column("tenant", Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("account", Text, nullable=False),
        sa.Column("period_start_ms", sa.BigInteger, nullable=False),
        sa.Column("period_end_ms", sa.BigInteger, nullable=False),
        sa.Column("sha256", Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name="pk_bills"),
        sa.UniqueConstraint(
            "tenant",
            "account",
            "period_start_ms",
            "period_end_ms",
            "sha256",
            name="uq_bills_tenant_account_period_start_ms_period_end_ms_sha256",
        ),
    )
    op.create_index("ix_bills_account", "bills", ["tenant", "account", "number"])
