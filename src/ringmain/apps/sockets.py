"""Sockets: bound before anything else is opened, so that a taken port is the first thing a user hears of."""

import os
import socket
from pathlib import Path

from ringmain.apps.ownership import port_error

BACKLOG = 4096
"""Connections that wait to be accepted: a street that comes back after a power cut all at once."""


def tcp_socket(host: str, port: int, key: str) -> socket.socket:
    """A bound TCP socket that does not listen yet; `key` is the configuration key of its port. `Failed` in words."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise port_error(error, host=host, port=port, key=key) from error
    opened.setblocking(False)
    return opened


def unix_socket(path: Path) -> socket.socket:
    """The local socket of the API, for this user only. One left by an earlier process is replaced: the lock on the
    directory says that nobody owns it.
    """
    path.unlink(missing_ok=True)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Through the directory's descriptor: the address of a Unix socket has 107 octets at most (unix(7)).
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        opened.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
    path.chmod(0o600)
    opened.listen(BACKLOG)
    opened.setblocking(False)
    return opened
