"""One driver for every machine on a byte stream (TCP, TLS, Unix): bytes in, bytes out, one timer.

It never looks into the bytes. Back-pressure has two reasons and both stop the reading of the socket: the owner says
`hold` (the log is behind, or a sign-in is being checked), or the peer does not read what we write.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar, cast

from ringmain.transports.progress import progress

EventT_co = TypeVar("EventT_co", covariant=True)
EventT = TypeVar("EventT")

WRITE_BUFFER_BYTES_MAX = 256 * 1024
"""Unread answers before we stop reading from that peer; an acknowledgement has four bytes."""

CLOSE_DEADLINE_S = 5.0
"""For a peer to take our last bytes. One that does not read would keep its closed socket open for ever."""

LINGER_S = 1.0
"""For a peer to read our last words and close, too. Had we closed at once, what it sends meanwhile would be answered
with a reset, and that takes our last words from it where it has not read them yet.
"""

EXCUSED_S = 1.0
"""While it is we who do not listen, the peer's silence is looked at again after this time."""

_UNREAD = "unread answers"


class Machine(Protocol[EventT_co]):
    """The four verbs of a protocol machine, and the news that the socket is gone."""

    def receive(self, data: bytes, now: float) -> Sequence[EventT_co]: ...
    def data_to_send(self) -> bytes: ...
    def deadline(self) -> float | None: ...
    def wake(self, now: float) -> Sequence[EventT_co]: ...
    def lost(self) -> Sequence[EventT_co]: ...


class StreamDriver(asyncio.Protocol, Generic[EventT]):
    """Runs one machine on one connection. The owner gets each non-empty list of events, and then the driver sends
    what the machine has to say.
    """

    def __init__(
        self,
        machine: Machine[EventT],
        owner: Callable[["StreamDriver[EventT]", Sequence[EventT]], None],
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_open` is told when there is a connection: with TLS, one whose handshake failed never was."""
        self.machine = machine
        self.peer = ""
        self.on_drained: Callable[[], None] = _nothing
        """Told when a peer that left our answers unread has read them."""
        self._owner = owner
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last_call: asyncio.TimerHandle | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._holds: dict[str, bool] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from asyncio's
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self.peer = _peer(transport)
        self._arm()
        self._on_open()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes."""
        if self._last_call:
            return  # we are done; it has not read that yet
        events = self.machine.receive(data, self._loop.time())
        if events:
            self._owner(self, events)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """asyncio: the socket is gone."""
        self._transport = None
        for timer in (self._timer, self._linger, self._last_call):
            if timer:
                timer.cancel()
        events = self.machine.lost()
        if events:
            self._owner(self, events)

    def pause_writing(self) -> None:
        """asyncio: the peer does not read."""
        self.hold(_UNREAD)

    def resume_writing(self) -> None:
        """asyncio: it reads again."""
        self.release(_UNREAD)
        self.on_drained()

    def flush(self) -> None:
        """Write what the machine has to say."""
        data = self.machine.data_to_send()
        if data and self._transport:
            self._transport.write(data)

    def hold(self, reason: str, *, excuses: bool = False) -> None:
        """Stop reading this socket until every reason is released. One that `excuses` is our fault: the machine's
        deadline does not pass meanwhile.
        """
        self._holds[reason] = excuses
        if self._transport and not self._last_call and self._transport.is_reading():
            self._transport.pause_reading()

    def release(self, reason: str) -> None:
        """Take a reason to hold away."""
        self._holds.pop(reason, None)
        if not self._holds and self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self, *, linger: bool = True) -> None:
        """Send what is left and close, at the latest after `CLOSE_DEADLINE_S`; nothing more is heard. Without `linger`
        at once: strangers are too many to wait for.
        """
        self.flush()
        transport = self._transport
        if not transport or self._last_call:
            return
        self._last_call = self._loop.call_later(CLOSE_DEADLINE_S, self.abort)
        if (
            not linger or transport.is_closing() or not transport.can_write_eof()
        ):  # TLS has no half that could be closed
            transport.close()
            return
        transport.write_eof()
        transport.resume_reading()
        self._linger = self._loop.call_later(LINGER_S, transport.close)

    def abort(self) -> None:
        """Close at once; what was not sent is gone."""
        if self._transport:
            self._transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether there still is a socket."""
        return self._transport is not None

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate (DER) where TLS has asked for one, got it and found it valid; None otherwise."""
        secure = self._transport and self._transport.get_extra_info("ssl_object")
        der: bytes | None = secure.getpeercert(binary_form=True) if secure else None
        return der

    @property
    def is_choked(self) -> bool:
        """Whether the peer leaves our answers unread."""
        return _UNREAD in self._holds

    def progress(self) -> tuple[int, int]:
        """Bytes that have left, of any beginning, and bytes that have not; see `progress.py`."""
        return progress(self._transport) if self._transport else (0, 0)

    def now(self) -> float:
        """The time of the machine: what its deadlines are counted in."""
        return self._loop.time()

    def rearm(self) -> None:
        """The machine's deadline came nearer (it is looked at again only when the old one has passed)."""
        if self._timer:
            self._timer.cancel()
        self._arm()

    def _arm(self) -> None:
        self._timer = None
        deadline = self.machine.deadline()
        if deadline is not None and self._transport:
            self._timer = self._loop.call_at(deadline, self._wake)

    def _wake(self) -> None:
        if any(self._holds.values()):
            self._timer = self._loop.call_later(EXCUSED_S, self._wake)
            return
        events = self.machine.wake(self._loop.time())
        if events:
            self._owner(self, events)
        self.flush()
        self._arm()


def _nothing() -> None:
    """Nobody is told."""


def _peer(transport: asyncio.Transport) -> str:
    name = transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "local"
