"""One connection through the relay: a socket to the client, one to the server, and the two directions between them.

It must never tell one peer of the other's end by a direction that is dead: who is cut off finds out by himself.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import cast

from ringmain.apps.lab.direction import END, RESET, Direction, Weather
from ringmain.apps.lab.relay_mode import DOWN, UP

_LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER of no time: closing sends RST instead of FIN."""


class Side(asyncio.Protocol):
    """One socket of a link. `says` is the direction that starts here, `hears` the one that ends here."""

    def __init__(self, says: Direction, hears: Direction, on_open: Callable[[], None]) -> None:
        self.says, self.hears = says, hears
        says.source = self
        self._on_open = on_open
        self.on_gone: Callable[[], None] = lambda: None
        self._transport: asyncio.Transport | None = None
        self._listening = True

    @property
    def open(self) -> bool:
        """Whether there is a socket."""
        return self._transport is not None

    @property
    def unsent_bytes(self) -> int:
        """Written here, and not yet taken by the kernel."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=0)  # we hear when the last byte has left
        self.hears.sink = self
        self._on_open()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes."""
        self.says.take(data)

    def eof_received(self) -> bool:
        """asyncio: the peer says no more; it may still listen, so the socket stays."""
        self.says.take(END)
        self.close_if_done()
        return True

    def resume_writing(self) -> None:
        """asyncio: the kernel has taken all that was written."""
        self.hears.balance()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone. The other side hears of it if this direction is alive, after the bytes."""
        self._transport = None
        if exc is not None or not self.says.ended:
            self.says.take(RESET)
        self.hears.kill()
        self.on_gone()

    def listen(self, *, wanted: bool) -> None:
        """Read this socket, or leave what comes with the kernel."""
        if self._transport and wanted != self._listening and not self._transport.is_closing():
            self._listening = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def write(self, data: bytes) -> None:
        """Bytes for this peer."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """No more for this peer."""
        if self._transport and not self._transport.is_closing():
            self._transport.write_eof()
            self.close_if_done()

    def reset(self) -> None:
        """RST, now."""
        if self._transport:
            raw = cast("socket.socket", self._transport.get_extra_info("socket"))
            with contextlib.suppress(OSError):  # it may be gone, and we be told in a moment
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    def close_if_done(self) -> None:
        """A peer that has said its last, and hears nothing any more, is kept for nothing."""
        if self._transport and self.says.ended and (self.hears.dead or self.hears.finished):
            self._transport.close()


class Link:
    """A connection from a client to the server, from `accept` until both sockets are gone."""

    def __init__(
        self, weather: Weather, on_client: Callable[["Link"], None], on_gone: Callable[["Link"], None]
    ) -> None:
        self.up, self.down = Direction(UP, weather), Direction(DOWN, weather)
        self.client = Side(self.up, self.down, lambda: self._accepted(on_client))
        self.server = Side(self.down, self.up, self._joined)
        self.dialling = False
        self._cut = False
        for side in (self.client, self.server):
            side.on_gone = lambda: None if self.open else on_gone(self)

    @property
    def open(self) -> bool:
        """Whether any of it is left, or may still come."""
        return self.dialling or self.client.open or self.server.open

    @property
    def dead(self) -> bool:
        """Whether a direction has lost what came."""
        return self.up.dead or self.down.dead

    @property
    def buffered_bytes(self) -> int:
        """Read, and not yet with a kernel."""
        return self.up.buffered_bytes + self.down.buffered_bytes

    def lose(self, directions: tuple[str, ...]) -> None:
        """From now on these directions lose what comes, for good."""
        for direction in (self.up, self.down):
            if direction.name in directions and not direction.dead:
                direction.kill()
        for side in (self.client, self.server):
            side.close_if_done()

    def reset(self) -> None:
        """RST to both sides; what waited is lost."""
        self._cut = True
        for direction in (self.up, self.down):
            direction.kill()
        self.client.reset()
        self.server.reset()

    def unreachable(self) -> None:
        """There is no server: the client is reset, unless the way down to it is dead and nothing can tell it."""
        if not self.down.dead:
            self.client.reset()

    def _accepted(self, on_client: Callable[["Link"], None]) -> None:
        on_client(self)
        self.up.balance()

    def _joined(self) -> None:
        if self._cut:
            self.server.reset()
        self.up.balance()
