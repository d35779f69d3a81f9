"""The network's simulated twin: hosts, the lines between them, and TCP connections that suffer what real ones do.

Within a connection bytes keep their order, and arrive in pieces that nobody chose; across connections nothing keeps
any order. What one can do to it: slow a line down or block it (bytes are late, not lost: that is TCP), `cut` a
connection (both ends hear of it), `mute` it (nobody hears of it: a NAT that forgot), take a host down, with or without
its kernel.

It must never deliver a byte twice, out of order, or to a connection that is over.
"""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from random import Random
from zlib import crc32

from ringmain.transports.simulated_line import RETRANSMIT_S, Conditions, Line
from ringmain.transports.simulated_stream import Endpoint

SYN_TIMEOUT_S = 127.0
"""How long Linux tries to connect to nobody (tcp_syn_retries = 6)."""

Factory = Callable[[], asyncio.BaseProtocol]
Note = Callable[[str], None]

CALLER: ContextVar["Host"] = ContextVar("CALLER")
"""The host on which the running code runs."""


class Listener(asyncio.AbstractServer):
    """A listening port of a host."""

    def __init__(self, host: "Host", port: int, factory: Factory) -> None:
        self.factory = factory
        self.context = copy_context()
        self._host, self._port = host, port

    def close(self) -> None:
        """Take no more connections; open ones stay."""
        if self._host.listeners.get(self._port) is self:
            del self._host.listeners[self._port]

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it was made in."""
        return asyncio.get_running_loop()

    async def start_serving(self) -> None:
        """It does since it was made."""

    async def serve_forever(self) -> None:
        """Until cancelled."""
        await asyncio.get_running_loop().create_future()

    def is_serving(self) -> bool:
        """Whether it takes connections."""
        return self._host.listeners.get(self._port) is self

    async def wait_closed(self) -> None:
        """There is nothing to wait for."""


class Host:
    """A machine: its listeners and the ends of its connections."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_up = True
        self.listeners: dict[int, Listener] = {}
        self.endpoints: dict[Endpoint, None] = {}

    def end_process(self) -> None:
        """The process died and its kernel tidies up: what was written still leaves, then every peer is told."""
        self.listeners.clear()
        for endpoint in list(self.endpoints):
            endpoint.orphan()
        self.endpoints.clear()

    def lose_power(self, chance: Random) -> None:
        """Everything is gone, and nobody tells the peers; only part of what was written has left."""
        self.is_up = False
        self.listeners.clear()
        for endpoint in list(self.endpoints):
            endpoint.forget(chance)
        self.endpoints.clear()


class SimulatedNetwork:
    """All hosts and lines. Implements `simulated_loop.Network` for whoever is `CALLER`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Random, note: Note, conditions: Conditions) -> None:
        self.loop = loop
        self.chance = chance
        self.note = note
        self.conditions = conditions
        self.context = copy_context()
        self.hosts: dict[str, Host] = {}
        self._lines: dict[tuple[str, str], Line] = {}
        self._connections = 0

    def host(self, name: str) -> Host:
        """The host of that name, made when it is first asked for."""
        return self.hosts.setdefault(name, Host(name))

    def line(self, source: str, target: str) -> Line:
        """One direction between two hosts."""
        found = self._lines.get((source, target))
        if found is None:
            found = self._lines[source, target] = Line()
        return found

    def lines(self) -> list[Line]:
        """All that were ever used."""
        return list(self._lines.values())

    def connections(self) -> list[Endpoint]:
        """The ends that opened a connection which is still open there, oldest first."""
        found = [it for host in self.hosts.values() for it in host.endpoints if it.is_opener]
        return sorted(found, key=lambda it: it.number)

    async def listen(self, factory: Factory, port: int) -> Listener:
        """See `simulated_loop.Network`."""
        host = CALLER.get()
        if port in host.listeners:
            raise OSError(98, f"port {port} of {host.name} is in use")
        host.listeners[port] = listener = Listener(host, port, factory)
        return listener

    async def connect(self, factory: Factory, host: str, port: int) -> tuple[Endpoint, asyncio.BaseProtocol]:
        """See `simulated_loop.Network`. Hangs as long as a real one would where nobody answers."""
        here, there = CALLER.get(), self.host(host)
        try:
            async with asyncio.timeout(SYN_TIMEOUT_S):
                await self._cross(here, there)
                listener = there.listeners.get(port)
                served = self._serve(here, there, listener) if listener else None
                try:
                    await self._cross(there, here)
                except BaseException:
                    if served:
                        served.peer.orphan()
                    raise
        except TimeoutError as error:
            raise TimeoutError(110, f"no answer from {host}:{port}") from error
        if served is None:
            raise ConnectionRefusedError(111, f"{host}:{port} refused the connection")
        protocol = factory()
        served.peer.attach(protocol, copy_context())
        return served.peer, protocol

    async def _cross(self, source: Host, target: Host) -> None:
        """A packet's way; one that finds nobody is sent again."""
        line = self.line(source.name, target.name)
        await asyncio.sleep(self.chance.uniform(*line.latency_s))
        while line.blocked or not target.is_up:
            await line.opened()
            await asyncio.sleep(self.chance.uniform(*RETRANSMIT_S))

    def _serve(self, here: Host, there: Host, listener: Listener) -> Endpoint:
        """The accepting end, at work at once; its peer is not attached yet."""
        self._connections += 1
        number = self._connections
        opener = Endpoint(self, here, there, number, is_opener=True)
        server = Endpoint(self, there, here, number, is_opener=False)
        opener.peer, server.peer = server, opener
        self.note(f"open {number} {here.name}>{there.name}")
        context = listener.context.copy()
        context.run(server.attach, context.run(listener.factory), context)
        return server

    def cut(self, endpoint: Endpoint) -> None:
        """Reset a connection somewhere on its way: both ends hear of it, neither knows what has arrived."""
        for end in (endpoint, endpoint.peer):
            end.drop_outgoing(self.chance)
        for end in (endpoint, endpoint.peer):
            end.reset_in(self.chance.uniform(0, 0.5))

    def arrived(self, source: Endpoint, data: bytes) -> None:
        """For the trace: what arrived."""
        self.note(f"{source.number}{'>' if source.is_opener else '<'}{len(data)}:{crc32(data):08x}")
