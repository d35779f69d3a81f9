"""uvicorn's WebSocket connection (over `websockets`, sans-IO) as a door for byte streams: what one read of the socket
yields is handed on together, and nothing in it is without a limit.

Its message boundaries are not kept: whoever is served here reads a stream of bytes [MQTT-6.0.0-2].

Left out, and why: permessage-deflate (RFC 7692) would take some 45 KB of memory per connection, let a small frame grow
to the largest message, and compress secrets beside what others choose (CRIME), for payloads of a few hundred bytes.
uvicorn's own pings too: the protocol inside has a keep-alive of its own, and while it is we who do not read, a pong
would wait unread and a sound connection end for it. A peer's pings are answered.
"""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from ringmain.transports.stream import CLOSE_DEADLINE_S
from ringmain.transports.websocket import CUT

FRAMES_MAX = 16_384
"""Of one message: a packet of 1 MiB in pieces of 64 bytes. An empty frame costs its sender six bytes and us an object,
so the limit on a message's size alone is none; so many are below 1 MB."""

POLICY_VIOLATION = 1008
"""RFC 6455 §7.4.1."""


class StreamWebSocket(WebSocketsSansIOProtocol):
    """For uvicorn's `ws`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # uvicorn's own, whatever they are
        self._arrived: list[bytes] = []

    def handle_connect(self, event: Request) -> None:
        """The handshake: the endpoint may cut the socket."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][CUT] = {"now": self.transport.abort}

    def handle_cont(self, event: Frame) -> None:
        """One more piece of a message."""
        if self.close_sent:
            return
        if len(self.frames) >= FRAMES_MAX:
            self.conn.fail(POLICY_VIOLATION, f"a message of more than {FRAMES_MAX} frames")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_events(self) -> None:
        """All that one read brought."""
        super().handle_events()
        self._hand_over()

    def handle_close(self, event: Frame) -> None:
        """The peer's last word comes after its others."""
        self._hand_over()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        """The peer broke the standard: whoever still sends is told that it is gone, as when the socket is."""
        super().handle_parser_exception()
        self.disconnected = True

    def send_receive_event_to_app(self) -> None:
        """A message is complete."""
        if self.curr_msg_data_type == "text":
            self._hand_over()
            super().send_receive_event_to_app()
            return
        if not self.close_sent:
            self._arrived += self.frames
        self.frames = []

    def _hand_over(self) -> None:
        data = b"".join(self._arrived)
        self._arrived.clear()
        if not data:
            return
        self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def send(self, message: Any) -> None:
        """After our last word the peer has a moment for its own; then the socket goes, whatever it has not read."""
        await super().send(message)
        if message["type"] == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSE_DEADLINE_S, self.transport.abort)
