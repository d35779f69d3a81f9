"""What there is to know of the edge from outside: from its socket while it runs, from its buffer while it does not."""

import os
import socket
from pathlib import Path

from ringmain.adapters.embedded.buffer_rows import readings_held
from ringmain.apps.ownership import own
from ringmain.model.errors import Failed

ANSWER_S_MAX = 0.5
"""The view waits for it; an edge that is busy for longer is asked again."""


def held_readings(directory: Path) -> int | None:
    """What the buffer of an edge that does not run holds; None where it can not be read now. It changes nothing: to
    save what is in a damaged file is the edge's own work, at its start.
    """
    try:
        with own(directory):
            return readings_held(directory / "buffer.sqlite")
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
