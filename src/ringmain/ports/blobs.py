"""Blobs: small named documents, each replaced as a whole: a crash leaves the old one or the new one, never a part."""

from typing import Protocol


class Blobs(Protocol):
    """Names are 1-64 of `a-z0-9._-`. `Failed("storage_failed" | "storage_full")` on trouble: the old one stands."""

    async def get(self, name: str) -> bytes | None:
        """The document, or None."""
        ...

    async def put(self, name: str, body: bytes) -> None:
        """Replace it; synced when this returns."""
        ...

    async def remove(self, name: str) -> None:
        """It may be there or not; afterwards it is not."""
        ...
