"""Doors: the listening sockets. They are bound before anything else is opened, so that a taken port is the first
thing a user hears of, and they start to accept when the house is ready.
"""

import contextlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from ringmain.apps.config import Config
from ringmain.apps.server.ownership import port_error

BACKLOG = 4096
"""Connections that wait to be accepted: a street that comes back after a power cut all at once."""


class Sockets:
    """The bound sockets of one start."""

    def __init__(self, config: Config) -> None:
        mqtt, http = config.mqtt, config.http
        self._opened: list[socket.socket] = []
        try:
            self.mqtt = self._bind(mqtt.host, mqtt.port, "mqtt.port")
            self.mqtts = self._bind(mqtt.tls_host, mqtt.tls_port, "mqtt.tls_port")
            self.http = self._bind(http.host, http.port, "http.port")
        except BaseException:
            self.close()
            raise

    def _bind(self, host: str, port: int, key: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        self._opened.append(opened)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            raise port_error(error, host=host, port=port, key=key) from error
        opened.setblocking(False)
        return opened

    def ports(self) -> dict[str, int]:
        """The ports in use, by door."""
        return {
            "mqtt": self.mqtt.getsockname()[1],
            "mqtts": self.mqtts.getsockname()[1],
            "http": self.http.getsockname()[1],
        }

    def close(self) -> None:
        """Close what was bound."""
        for opened in self._opened:
            opened.close()


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


class EmbeddedUvicorn(uvicorn.Server):
    """uvicorn in our loop: signals are ours."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


def http_server(app: ASGIApp) -> EmbeddedUvicorn:
    """A server for the API and the HTTP door; start it with `serve(sockets=[...])`."""
    return EmbeddedUvicorn(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
    )
