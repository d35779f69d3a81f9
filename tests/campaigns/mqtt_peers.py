"""Publishers and subscribers for the campaigns: MQTT 5 and 3.1.1 over a bare socket, with the client's half of a
session (§4.1): what is unacknowledged is sent again on the next connection, and what was received at QoS 2 is
remembered until its PUBREL. They share no code with the platform, and keep books of what was acknowledged to them and
of what they heard.
"""

import asyncio
import contextlib
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence

import msgspec

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT = 2, 3, 4, 5, 6, 7, 9, 11, 14
ANSWER_S_MAX = 20.0
AGAIN_S = 0.05
"""Between attempts to connect, and before something that was refused is sent again."""


class Lost(ConnectionError):
    """The connection ended, or was refused with this code."""

    def __init__(self, code: int = -1) -> None:
        super().__init__(f"lost, code {code}")
        self.code = code


class Will(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    qos: int
    retain: bool = False


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes) -> bytes:
    """A packet with its remaining length (§1.5.5)."""
    length, left = bytearray(), len(body)
    while True:
        left, octet = left >> 7, left & 0x7F
        length.append(octet | (0x80 if left else 0))
        if not left:
            return bytes((first,)) + bytes(length) + body


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """(first byte, body) of the packets that are whole; they leave the buffer."""
    while len(buffer) >= 2:
        length, shift, at = 0, 0, 1
        while at < len(buffer):
            length |= (buffer[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not buffer[at - 1] & 0x80:
                break
        else:
            return
        if len(buffer) < at + length:
            return
        first, body = buffer[0], bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield first, body


def connect(
    client: str, level: int, *, clean: bool, expiry_s: int, user: str = "", password: str = "", will: Will | None = None
) -> bytes:
    flags = (2 if clean else 0) | (0xC0 if user else 0)
    found = b""
    if level == 5:
        found = b"\x05\x11" + expiry_s.to_bytes(4, "big") if expiry_s else b"\x00"
    if will:
        flags |= 4 | will.qos << 3 | will.retain << 5
    body = text("MQTT") + bytes((level, flags)) + b"\x00\x3c" + found + text(client)
    if will:
        body += (b"\x00" if level == 5 else b"") + text(will.topic) + text(will.payload)
    return packet(0x10, body + (text(user) + text(password) if user else b""))


class Peer:
    """One client. `run` keeps it connected until `leave`; what it says and hears is up to those who derive from it."""

    def __init__(
        self,
        port: Callable[[], int],
        client: str,
        level: int = 5,
        *,
        user: str = "",
        password: str = "",
        expiry_s: int = 7200,
        will: Will | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.client, self.level = client, level
        self.connected = asyncio.Event()
        self.connections = 0
        self.is_present = False
        self.sessions_lost = 0
        self.ends: Counter[int] = Counter()
        self._port, self._user, self._password = port, user, password
        self._expiry_s, self._will, self._tls = expiry_s, will, tls
        self._leaving = False
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._leaving = False
        self.connected.clear()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def up(self) -> None:
        await asyncio.wait_for(self.connected.wait(), ANSWER_S_MAX)

    async def leave(self) -> None:
        """DISCONNECT, and no further connection; the session stays."""
        self._leaving = True
        if self._writer and self.connected.is_set():
            self._writer.write(packet(0xE0, b""))
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()
        await self.drop()

    async def drop(self) -> None:
        """Close without a word."""
        self._leaving = True
        if self._writer:
            self._writer.close()
        if self._task:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.connected.clear()

    async def _run(self) -> None:
        while not self._leaving:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._once()
            self.connected.clear()
            if self._writer:
                self._writer.close()
                self._writer = None
            await asyncio.sleep(AGAIN_S)

    async def _once(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port(), ssl=self._tls)
        self._writer = writer
        writer.write(
            connect(
                self.client,
                self.level,
                clean=self._expiry_s == 0,
                expiry_s=self._expiry_s,
                user=self._user,
                password=self._password,
                will=self._will,
            )
        )
        buffer = bytearray()
        while data := await reader.read(65536):
            buffer += data
            for first, body in packets(buffer):
                self._take(first, body)

    def _take(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == CONNACK:
            if body[1]:
                raise Lost(body[1])
            self.is_present = bool(body[0] & 1)
            if self.connections and self._expiry_s and not self.is_present:
                self.sessions_lost += 1
            self.connections += 1
            self.connected.set()
            self.on_connected()
        elif kind == DISCONNECT:
            self.ends[body[0] if body else 0] += 1
            raise Lost(body[0] if body else 0)
        elif kind == PUBLISH:
            self._heard(first, body)
        else:
            identifier = int.from_bytes(body[:2], "big")
            code = body[2] if self.level == 5 and len(body) > 2 and kind < SUBACK else 0
            self.on_answer(kind, identifier, code, body)

    def _heard(self, first: int, body: bytes) -> None:
        length = int.from_bytes(body[:2], "big")
        topic, at = body[2 : 2 + length].decode(), 2 + length
        qos, identifier = first >> 1 & 3, 0
        if qos:
            identifier, at = int.from_bytes(body[at : at + 2], "big"), at + 2
        if self.level == 5:
            assert body[at] < 0x80, "properties of more than 127 bytes are not read here"
            at += 1 + body[at]
        self.on_message(topic, body[at:], qos, identifier, first)

    def send(self, data: bytes) -> None:
        if self._writer and self.connected.is_set() and not self._writer.transport.is_closing():
            self._writer.write(data)

    def answer(self, kind: int, identifier: int) -> None:
        self.send(packet(kind << 4 | (2 if kind == PUBREL else 0), identifier.to_bytes(2, "big")))

    # -- for those who derive -------------------------------------------------------------------------------

    def on_connected(self) -> None: ...

    def on_answer(self, kind: int, identifier: int, code: int, body: bytes) -> None: ...

    def on_message(self, topic: str, payload: bytes, qos: int, identifier: int, first: int) -> None: ...


class Sent(msgspec.Struct):
    """A message on its way. `received` is whether PUBREC came (QoS 2)."""

    key: str
    topic: str
    payload: bytes
    qos: int
    retain: bool
    received: bool = False


class Publisher(Peer):
    """Sends `next_message` after `next_message`, `window` at a time, and repeats on each connection what is not
    acknowledged. `acked` are the keys whose PUBACK, or PUBREC at QoS 2, said yes.
    """

    def __init__(
        self,
        port: Callable[[], int],
        client: str,
        next_message: Callable[[int], Sent],
        *,
        window: int = 8,
        pause_s: float = 0.0,
        level: int = 5,
        user: str = "",
        password: str = "",
        limit: int = 10**9,
    ) -> None:
        super().__init__(port, client, level, user=user, password=password)
        self.acked: list[str] = []
        self.sent = self.refused = self.resent = 0
        self.refusals: Counter[int] = Counter()
        self.wants = True
        self._limit = limit
        self._next, self._window, self._pause_s = next_message, window, pause_s
        self._flight: dict[int, Sent] = {}
        self._again: deque[Sent] = deque()
        self._identifier = 0

    @property
    def unacknowledged(self) -> int:
        return len(self._flight) + len(self._again)

    async def drain(self, seconds: float = ANSWER_S_MAX) -> None:
        """Send nothing new, and wait until everything is over."""
        self.wants = False
        until = time.monotonic() + seconds
        while self.unacknowledged:
            assert time.monotonic() < until, f"{self.client}: {self.unacknowledged} messages are not acknowledged"
            await asyncio.sleep(0.01)

    def on_connected(self) -> None:
        for identifier, message in self._flight.items():
            self.resent += 1
            if message.received:
                self.answer(PUBREL, identifier)
            else:
                self.send(self._packet(identifier, message, dup=True))
        self._fill()

    def on_answer(self, kind: int, identifier: int, code: int, body: bytes) -> None:
        message = self._flight.get(identifier)
        if message is None:
            return
        if code >= 0x80 and kind in (PUBACK, PUBREC):
            self.refusals[code] += 1
            del self._flight[identifier]
            self._again.append(message)
            asyncio.get_running_loop().call_later(AGAIN_S, self._fill)
            return
        if kind == PUBACK or (kind == PUBREC and not message.received):
            self.acked.append(message.key)
        if kind == PUBREC:
            message.received = True
            self.answer(PUBREL, identifier)
        elif kind in (PUBACK, PUBCOMP):
            del self._flight[identifier]
            if self._pause_s:
                asyncio.get_running_loop().call_later(self._pause_s, self._fill)
            else:
                self._fill()

    def _fill(self) -> None:
        while self.connected.is_set() and len(self._flight) < self._window:
            if self._again:
                message = self._again.popleft()
            elif self.wants and self.sent < self._limit:
                message = self._next(self.sent)
                self.sent += 1
            else:
                return
            while True:
                self._identifier = self._identifier % 60_000 + 1
                if self._identifier not in self._flight:
                    break
            self._flight[self._identifier] = message
            self.send(self._packet(self._identifier, message, dup=False))

    def _packet(self, identifier: int, message: Sent, *, dup: bool) -> bytes:
        first = 0x30 | message.qos << 1 | message.retain | (8 if dup else 0)
        found = b"\x00" if self.level == 5 else b""
        return packet(first, text(message.topic) + identifier.to_bytes(2, "big") + found + message.payload)


class Subscriber(Peer):
    """Hears `filters`, and counts every payload: `heard` is how often."""

    def __init__(
        self,
        port: Callable[[], int],
        client: str,
        filters: Sequence[tuple[str, int]],
        *,
        level: int = 5,
        user: str = "",
        password: str = "",
        expiry_s: int = 7200,
    ) -> None:
        super().__init__(port, client, level, user=user, password=password, expiry_s=expiry_s)
        self.heard: Counter[bytes] = Counter()
        self.retained: dict[str, bytes] = {}
        self.granted = asyncio.Event()
        self.codes: bytes = b""
        self._filters = filters
        self._open: set[int] = set()

    def on_connected(self) -> None:
        if self.granted.is_set() and self.is_present:
            return  # the session has them: that is what is tried
        body = b"\x00\x01" + (b"\x00" if self.level == 5 else b"")
        self.send(packet(0x82, body + b"".join(text(each) + bytes((qos,)) for each, qos in self._filters)))

    async def ready(self) -> None:
        await asyncio.wait_for(self.granted.wait(), ANSWER_S_MAX)
        assert all(code < 0x80 for code in self.codes), self.codes

    def on_answer(self, kind: int, identifier: int, code: int, body: bytes) -> None:
        if kind == SUBACK:
            self.codes = body[-len(self._filters) :]
            self.granted.set()
        elif kind == PUBREL:
            self._open.discard(identifier)
            self.answer(PUBCOMP, identifier)

    def on_message(self, topic: str, payload: bytes, qos: int, identifier: int, first: int) -> None:
        if first & 1:
            self.retained[topic] = payload
        if qos == 2 and identifier in self._open:
            self.answer(PUBREC, identifier)
            return
        self.heard[payload] += 1
        if qos == 1:
            self.answer(PUBACK, identifier)
        elif qos == 2:
            self._open.add(identifier)
            self.answer(PUBREC, identifier)

    async def hears(self, wanted: Callable[[], bool], what: str, seconds: float = ANSWER_S_MAX) -> None:
        until = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < until, what
            await asyncio.sleep(0.01)
