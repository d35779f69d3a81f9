"""What there is to know of the edge from outside: from its socket while it runs, from its buffer while it does not."""

import asyncio
import os
import socket
from pathlib import Path

from ringmain.apps.ownership import own
from ringmain.model.errors import Failed

ANSWER_S_MAX = 0.5
"""The view waits for it; an edge that is busy for longer is asked again."""


def held_readings(directory: Path) -> int | None:
    """What the buffer of an edge that does not run holds; None where it can not be read now."""
    from ringmain.adapters.embedded.buffer import EmbeddedBuffer  # noqa: PLC0415 - only after a kill

    async def count() -> int:
        buffer = await EmbeddedBuffer.open(directory / "buffer.sqlite")
        try:
            return buffer.status().readings
        finally:
            await buffer.close()

    try:
        with own(directory):
            return asyncio.run(count())
    except Failed:
        return None


def ask_edge(directory: Path) -> bytes | None:
    """What the edge says of itself on its local socket; None where it does not answer."""
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(ANSWER_S_MAX)
            opened.connect(f"/proc/self/fd/{folder}/edge.sock")
            return b"".join(iter(lambda: opened.recv(65_536), b""))
    except OSError:
        return None
    finally:
        os.close(folder)
