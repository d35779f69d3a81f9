"""One end of a simulated TCP connection, as an asyncio transport.

The kernel's side (bytes on their way, resets, a peer that is no more) and the program's side (what the protocol is
told, and in which context it runs) are kept apart: a program that died leaves its kernel to answer.
"""

import asyncio
from collections import deque
from contextvars import Context
from random import Random
from typing import Any, Protocol, cast

from ringmain.transports.simulated_line import Conditions, Line

HIGH_WATER_BYTES = 64 * 1024
"""Unread bytes at which a writer is told to pause, unless it sets another limit: asyncio's own."""

_EOF, _RESET = "eof", "reset"
Segment = bytes | str


class Machine(Protocol):
    """The host of an end."""

    name: str
    is_up: bool
    endpoints: "dict[Endpoint, None]"


class Wires(Protocol):
    """The network that an end belongs to. Its own work is done in `context`."""

    loop: asyncio.AbstractEventLoop
    chance: Random
    conditions: Conditions
    context: Context

    def line(self, source: str, target: str) -> Line:
        """One direction between two hosts."""
        ...

    def arrived(self, source: "Endpoint", data: bytes) -> None:
        """For the trace: what came out at the other end."""
        ...


class Endpoint(asyncio.Transport):
    """An end. `peer` is the other one."""

    peer: "Endpoint"

    def __init__(self, network: Wires, host: Machine, other: Machine, number: int, *, is_opener: bool) -> None:
        super().__init__({"peername": (other.name, number), "sockname": (host.name, number)})
        self.number, self.is_opener = number, is_opener
        self.host = host
        self._network = network
        self._loop = network.loop
        self._line = network.line(host.name, other.name)
        self._protocol: asyncio.Protocol | None = None
        self._context: Context = network.context
        self._outgoing: deque[tuple[float, Segment]] = deque()
        self._inbox: deque[Segment] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._closing = self._gone = self._muted = self._severed = self._writing_paused = False
        self._unread = 0
        self._high_water = HIGH_WATER_BYTES
        host.endpoints[self] = None

    # -- the program's side ---------------------------------------------------------------------------------

    def attach(self, protocol: asyncio.BaseProtocol, context: Context) -> None:
        """Give it to a program; called in its context."""
        self._protocol, self._context = cast("asyncio.Protocol", protocol), context
        protocol.connection_made(self)
        if self._gone:  # a reset was faster
            lost = ConnectionResetError(104, "connection reset by peer")
            self._loop.call_soon(self._call, self._protocol.connection_lost, lost, context=self._network.context)
        elif self._inbox:
            self._loop.call_soon(self._read, context=self._network.context)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.Protocol", self._protocol)

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        """There is no half of it that could be closed."""
        return False

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading and not self._closing:
            self._reading = True
            if self._inbox:
                self._loop.call_soon(self._read, context=self._network.context)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        self._high_water = HIGH_WATER_BYTES if high is None else high

    def get_write_buffer_size(self) -> int:
        return self._unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        for piece in self._network.conditions.pieces(bytes(data), self._network.chance):
            self._send(piece)
        self._unread += len(data)
        if self._unread > self._high_water and not self._writing_paused and self._protocol:
            self._writing_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """What was written still leaves. Unread bytes, now or later, make it a reset, as Linux does."""
        if not self._closing:
            last = _RESET if self._inbox else _EOF
            self._end(None)
            self._send(last)

    def abort(self) -> None:
        """At once; what has not left is gone."""
        if not self._closing:
            self._outgoing.clear()
            self._end(None)
            self._send(_RESET)

    def _end(self, exc: Exception | None) -> None:
        self._closing = self._gone = True
        self._inbox = deque()
        self.host.endpoints.pop(self, None)
        if self._protocol:
            self._loop.call_soon(self._call, self._protocol.connection_lost, exc, context=self._network.context)

    def _call(self, method: Any, *args: object) -> None:
        """Run a method of the protocol as the program it belongs to."""
        if self._protocol is None:
            return
        try:
            self._context.run(method, *args)
        except Exception as error:  # noqa: BLE001 - as asyncio's own transports do
            self._loop.call_exception_handler(
                {"message": "a protocol raised", "exception": error, "protocol": self._protocol, "transport": self}
            )
            self.abort()

    def _read(self) -> None:
        while self._inbox and self._reading and not self._closing and self._protocol:
            data = b""
            while self._inbox and isinstance(self._inbox[0], bytes):
                data += self._inbox.popleft()  # type: ignore[operator]
            if data:
                self.peer.was_read(len(data))
                self._call(self._protocol.data_received, data)
            elif self._inbox.popleft() == _EOF:
                self._call(self._protocol.eof_received)
                self.close()

    # -- the kernel's side ----------------------------------------------------------------------------------

    def mute(self) -> None:
        """From now on nothing that this end sends arrives, and nobody is told."""
        self._muted = True

    def orphan(self) -> None:
        """The program is gone, its kernel closes."""
        unread = bool(self._inbox)
        self._protocol = None
        self._closing = self._gone = True
        self._inbox.clear()
        self._send(_RESET if unread else _EOF)

    def forget(self, chance: Random) -> None:
        """The whole machine is gone; of what was written, a part has left."""
        self._protocol = None
        self._closing = self._gone = True
        self._inbox.clear()
        self.drop_outgoing(chance)

    def drop_outgoing(self, chance: Random) -> None:
        """Of what is on its way, only the front still arrives; and nothing that is sent later."""
        self._severed = True
        keep = chance.randint(0, len(self._outgoing))
        while len(self._outgoing) > keep:
            self._outgoing.pop()

    def reset_in(self, seconds: float) -> None:
        """Have a reset arrive here, from whomever."""
        self._loop.call_later(seconds, self._arrive, _RESET, context=self._network.context)

    def pump_in(self, seconds: float) -> None:
        """Try again later to send what waits."""
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._pump, context=self._network.context)

    def was_read(self, count: int) -> None:
        """The peer's program took so many bytes."""
        self._unread -= count
        if self._writing_paused and self._unread <= self._high_water // 4 and self._protocol and not self._closing:
            self._writing_paused = False
            self._loop.call_soon(self._call, self._protocol.resume_writing, context=self._network.context)

    def _send(self, segment: Segment) -> None:
        if self._severed and segment != _RESET:
            return
        due = self._loop.time() + self._network.chance.uniform(*self._line.latency_s)
        if self._outgoing:
            due = max(due, self._outgoing[-1][0])
        self._outgoing.append((due, segment))
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._pump, context=self._network.context)

    def _pump(self) -> None:
        self._timer = None
        while self._outgoing:
            due, segment = self._outgoing[0]
            if due > self._loop.time():
                self._timer = self._loop.call_at(due, self._pump, context=self._network.context)
                return
            if self._line.blocked:
                self._line.stall(self)
                return
            self._outgoing.popleft()
            if not self._muted:
                self.peer._arrive(segment)  # noqa: SLF001 - the other half of this class

    def _arrive(self, segment: Segment) -> None:
        """The network brings something."""
        if self._gone:
            if isinstance(segment, bytes) and self.host.is_up:
                self._send(_RESET)
            return
        if segment == _RESET:
            self._outgoing.clear()
            self._end(ConnectionResetError(104, "connection reset by peer"))
            return
        if isinstance(segment, bytes):
            self._network.arrived(self.peer, segment)
        self._inbox.append(segment)
        self._read()
