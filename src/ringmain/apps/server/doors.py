"""Doors: the listening sockets. They are bound before anything else is opened, so that a taken port is the first
thing a user hears of, and they start to accept when the house is ready.
"""

import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

from ringmain.apps.config import Config
from ringmain.apps.sockets import BACKLOG, tcp_socket


class Sockets:
    """The bound sockets of one start."""

    def __init__(self, config: Config) -> None:
        mqtt, http = config.mqtt, config.http
        self._opened: list[socket.socket] = []
        try:
            self.mqtt = self._bind(mqtt.host, mqtt.port, "mqtt.port")
            self.mqtts = self._bind(mqtt.tls_host, mqtt.tls_port, "mqtt.tls_port")
            self.open_mqtt = (
                None if mqtt.open_port is None else self._bind(mqtt.open_host, mqtt.open_port, "mqtt.open_port")
            )
            self.http = self._bind(http.host, http.port, "http.port")
        except BaseException:
            self.close()
            raise

    def _bind(self, host: str, port: int, key: str) -> socket.socket:
        opened = tcp_socket(host, port, key)
        self._opened.append(opened)
        return opened

    def ports(self) -> dict[str, int]:
        """The ports in use, by door."""
        sockets = {"mqtt": self.mqtt, "mqtts": self.mqtts, "open_mqtt": self.open_mqtt, "http": self.http}
        return {name: each.getsockname()[1] for name, each in sockets.items() if each is not None}

    def close(self) -> None:
        """Close what was bound."""
        for opened in self._opened:
            opened.close()


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
