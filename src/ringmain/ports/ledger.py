"""Ledger: where each usage point is metered, on which tariff, and every bill that was ever made."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import TenantId


class Record(msgspec.Struct, frozen=True):
    """One versioned document of the ledger (an account, usage point, installation or tariff), as its owner wrote
    it. `body` is the canonical JSON of the noun in `metering/`; the ledger does not look inside.
    """

    kind: str
    id: str
    version: int
    body: bytes


class BillRecord(msgspec.Struct, frozen=True):
    """A bill as it was issued: canonical JSON and its SHA-256. Never changed; the same bill again is the same row."""

    account: str
    number: int
    period_start_ms: int
    period_end_ms: int
    sha256: str
    body: bytes
    created_ms: int


class Ledger(Protocol):
    """Append-only truth of the vertical. A changed document is a new version; an old one is never overwritten."""

    async def put(self, tenant: TenantId, kind: str, id: str, body: bytes, at_ms: int) -> Record:
        """Write a document as its next version, the first being 1. The body of the newest version again returns that
        version; the body of an older one is a change back, and so a new version.
        """
        ...

    async def get(self, tenant: TenantId, kind: str, id: str, version: int | None = None) -> Record | None:
        """A document, newest version unless one is named."""
        ...

    async def page(self, tenant: TenantId, kind: str, *, after: str | None, limit: int) -> Sequence[Record]:
        """Newest versions in order of id, behind `after`."""
        ...

    async def add_bill(
        self, tenant: TenantId, account: str, period: tuple[int, int], sha256: str, body: bytes, at_ms: int
    ) -> BillRecord:
        """Issue a bill under the tenant's next gapless number, or return the one with the same account, period
        and hash.
        """
        ...

    async def bill(self, tenant: TenantId, number: int) -> BillRecord | None:
        """A bill by number."""
        ...

    async def bills(self, tenant: TenantId, account: str | None, *, after: int, limit: int) -> Sequence[BillRecord]:
        """Bills with a number above `after`, in order."""
        ...
