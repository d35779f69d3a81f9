"""The tables of the registry database: devices, directory, credentials, claims, delegations, presence and ledger in
one file.

Written for SQLite and PostgreSQL alike. The tenant stands in every key and unique constraint, or is implied by a
device key. `migrations/` makes these tables; a test holds the two together, so that neither can move alone.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

REVISIONS = ("r0001", "r0002")
"""Every revision this version knows, oldest first; the last one is the schema below."""

Text = String().with_variant(String(collation="C"), "postgresql")
"""Compared by code point everywhere, so that pages come in the same order from both databases."""

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows itself only where the column is called INTEGER; it holds 64 bits all the same."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

sites = Table(
    "sites",
    metadata,
    Column("tenant", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("zone", Text, nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("tenant", Text, ForeignKey("tenants.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# Every channel that a profile ever named, with its kind. Rows never go: the readings do not either.
profile_channels = Table(
    "profile_channels",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("profile", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    ForeignKeyConstraint(["tenant", "profile"], ["profiles.tenant", "profiles.name"]),
)

# Rows never go and keys are AUTOINCREMENT, so that neither an id nor a key is ever given to another device.
devices = Table(
    "devices",
    metadata,
    Column("key", Serial, primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("state_since_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "id"),
    ForeignKeyConstraint(["tenant", "site"], ["sites.tenant", "sites.id"]),
    Index("ix_devices_state", "tenant", "state", "id"),
    sqlite_autoincrement=True,
)

transitions = Table(
    "transitions",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("device", BigInteger, ForeignKey("devices.key"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("seen", Text, nullable=False),
    Column("became", Text, nullable=False),
    Column("by", Text, nullable=False),
    Index("ix_transitions_device", "device", "number"),
    sqlite_autoincrement=True,
)

credentials = Table(
    "credentials",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False),
    Column("tenant", Text, ForeignKey("tenants.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("device", BigInteger, ForeignKey("devices.key")),
    Column("role", Text),
    Column("granted_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    # Of a token: what a gateway can be told of it; NULL for one granted before there were gateways.
    Column("sealed", LargeBinary),
    # Of a client certificate, and NULL for a token: its serial number in hexadecimal, itself (DER), and its end.
    Column("serial", Text),
    Column("certificate", LargeBinary),
    Column("expires_ms", BigInteger),
    sqlite_autoincrement=True,
)
# Unique over all tenants, among those in force: a token alone says who comes.
Index(
    "uq_credentials_digest",
    credentials.c.digest,
    unique=True,
    sqlite_where=credentials.c.revoked_ms.is_(None),
    postgresql_where=credentials.c.revoked_ms.is_(None),
)
Index(
    "ix_credentials_device",
    credentials.c.device,
    sqlite_where=credentials.c.revoked_ms.is_(None),
    postgresql_where=credentials.c.revoked_ms.is_(None),
)

# `request` is what the claimant named itself by when it was used up, so that the same one is answered once more.
claims = Table(
    "claims",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False),
    Column("device", BigInteger, ForeignKey("devices.key"), nullable=False),
    Column("becomes", Text, nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("replaced_ms", BigInteger),
    Column("used_ms", BigInteger),
    Column("request", LargeBinary),
    Column("serial", Text),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)
# A device has one open claim at most.
_claim_is_open = claims.c.used_ms.is_(None) & claims.c.replaced_ms.is_(None)
Index("uq_claims_device", claims.c.device, unique=True, sqlite_where=_claim_is_open, postgresql_where=_claim_is_open)

# A pair may occur more than once over time, so it is no key. `to_ms` is NULL until further notice.
delegations = Table(
    "delegations",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("gateway", BigInteger, ForeignKey("devices.key", name="fk_delegations_gateway"), nullable=False),
    Column("device", BigInteger, ForeignKey("devices.key", name="fk_delegations_device"), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_delegations_gateway", "gateway", "device"),
    Index("ix_delegations_device", "device"),
    sqlite_autoincrement=True,
)

gateway_documents = Table(
    "gateway_documents",
    metadata,
    Column("gateway", BigInteger, ForeignKey("devices.key"), primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# No foreign key: it is written behind in bulk, and one stray row must not hold up the presence of all others.
sessions = Table(
    "sessions",
    metadata,
    Column("device", BigInteger, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("connected_ms", BigInteger, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
    Column("expected_by_ms", BigInteger, nullable=False),
    Column("expected_interval_s", BigInteger, nullable=False),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# The ledger refers to nothing else here: the vertical may move to a database of its own.
records = Table(
    "records",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

bills = Table(
    "bills",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("period_start_ms", BigInteger, nullable=False),
    Column("period_end_ms", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant", "account", "period_start_ms", "period_end_ms", "sha256"),
    Index("ix_bills_account", "tenant", "account", "number"),
)
