"""Doors: the listening sockets. They are bound before anything else is opened, so that a taken port is the first
thing a user hears of, and they start to accept when the house is ready.
"""

import contextlib
import socket
from collections.abc import Generator, Mapping

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ringmain.apps.config import Config
from ringmain.apps.server.websocket_server import StreamWebSocket
from ringmain.apps.sockets import BACKLOG, tcp_socket

MQTT_PATH = "/mqtt"
"""Where MQTT clients look for a WebSocket unless they are told otherwise."""

MQTT_SUBPROTOCOL = "mqtt"
"""[MQTT-6.0.0-3], 3.1.1 and 5 alike. `mqttv3.1` is another protocol, which is not spoken here."""

FIXED_HEADER_BYTES_MAX = 5
"""MQTT 5 §2.1: the type and at most four bytes of length, before what `packet_bytes_max` bounds at the least."""


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


def with_websockets(app: ASGIApp, websockets: Mapping[str, ASGIApp]) -> ASGIApp:
    """The app, and at each path of `websockets` another one, which gets everything that comes there."""

    async def at_path(scope: Scope, receive: Receive, send: Send) -> None:
        await websockets.get(scope.get("path", ""), app)(scope, receive, send)

    return at_path


def http_server(app: ASGIApp, *, packet_bytes_max: int) -> EmbeddedUvicorn:
    """A server for the API, the HTTP door and the WebSockets of MQTT; start it with `serve(sockets=[...])`. A message
    of a WebSocket is as large as the largest packet at most, and is refused (1009) by its header: one that holds more
    than that is a client's own choice, which may cut its stream into frames anywhere.
    """
    return EmbeddedUvicorn(
        uvicorn.Config(
            app,
            http="httptools",
            ws=StreamWebSocket,
            ws_max_size=packet_bytes_max + FIXED_HEADER_BYTES_MAX,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
        )
    )
