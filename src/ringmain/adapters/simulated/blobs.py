"""Blobs, simulated: a dict. `fault` is what the next writes meet."""

from ringmain.model.errors import Failed


class SimulatedBlobs:
    """Home of `ports.blobs.Blobs`."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.fault: Failed | None = None

    async def get(self, name: str) -> bytes | None:
        """See `ports.blobs`."""
        return self.documents.get(name)

    async def put(self, name: str, body: bytes) -> None:
        """See `ports.blobs`."""
        if self.fault:
            raise self.fault
        self.documents[name] = bytes(body)

    async def remove(self, name: str) -> None:
        """See `ports.blobs`."""
        self.documents.pop(name, None)
