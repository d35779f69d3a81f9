"""A TCP relay that misbehaves on command: it cuts, refuses, delays, half-opens and black-holes what runs through it.

`python -m ringmain.apps.lab.relay --listen-port 0 --to HOST:PORT [--seed N]` prints one line of JSON with its port,
then takes one command a line on standard input and answers each with one line of JSON. It ends with its input.

| command | |
|---|---|
| `pass` | everything is forwarded, at once |
| `delay MS [JITTER_MS]` | both directions come late by MS to MS + JITTER_MS, in order |
| `black-hole` | connections stay open, new ones are accepted, and what either side says is read and lost |
| `half-open up`, `half-open down` | one direction is lost, the other goes on |
| `refuse` | new connections are reset, open ones go on |
| `cut` | all connections are reset on both sides, now; what happens to new ones stays as it was |
| `stats` | nothing; every answer carries the figures |

After `pass`, a connection that was black-holed or half-opened stays so until its peers find out: bytes are missing in
it. It must never drop a byte that it was not told to drop, nor listen beyond this machine unless it is told to.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from random import Random
from types import TracebackType

import msgspec

from ringmain.apps.lab.direction import Weather
from ringmain.apps.lab.link import Link
from ringmain.apps.lab.relay_mode import DOWN, UP, CommandRefused, mode_of

LINKS_MAX = 1_024
"""Open at once, dead ones included. With more, a client comes again in a loop: it is reset and counted as refused."""

DIAL_S_MAX = 5.0
"""For the way to the server, which is on the same machine or not there at all."""

BACKLOG = 128
"""Connections that wait to be accepted; more of them come back by themselves."""


class Stats(msgspec.Struct, frozen=True):
    """`open`, `dead` (open, with a direction that is lost) and `buffered_bytes` are of now, the rest of all time."""

    mode: str
    open: int
    dead: int
    buffered_bytes: int
    accepted: int
    refused: int
    unreachable: int
    cut: int
    bytes_up: int
    bytes_down: int
    lost_bytes_up: int
    lost_bytes_down: int


class Listening(msgspec.Struct, frozen=True):
    """The first line of the process."""

    port: int


class Refusal(msgspec.Struct, frozen=True):
    """The answer to what is no command."""

    error: str


class Relay:
    """Listens on `port` (0: any free one) while its context is entered, and forwards to `to`."""

    def __init__(self, to: tuple[str, int], *, port: int = 0, host: str = "127.0.0.1", seed: int = 0) -> None:
        self.port = port
        self._host, self._to = host, to
        self._weather = Weather(Random(seed))  # noqa: S311 - jitter, and the same seed is to give the same
        self._links: set[Link] = set()
        self._dials = asyncio.TaskGroup()
        self._dialling: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._accepted = self._refused = self._unreachable = self._cut = 0

    async def __aenter__(self) -> "Relay":
        await self._dials.__aenter__()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_client, self._host, self.port, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
        for dial in self._dialling:
            dial.cancel()
        for link in list(self._links):
            link.reset()
        await self._dials.__aexit__(kind, error, trace)
        await asyncio.sleep(0)  # transports close their sockets in the loop's next round

    def command(self, line: str) -> Stats:
        """Obey one line, and say how things are. CommandRefused where it is no command: nothing has changed."""
        word = line.strip()
        if word == "cut":
            self.cut()
        elif word != "stats":
            self._weather.mode = mode_of(line)
            for link in self._links:
                link.lose(self._weather.mode.lost)
        return self.stats()

    def cut(self) -> int:
        """RST to both sides of every connection; how many there were."""
        links = list(self._links)
        for link in links:
            link.reset()
        self._cut += len(links)
        return len(links)

    def stats(self) -> Stats:
        """The figures."""
        weather = self._weather
        return Stats(
            mode=weather.mode.name,
            open=len(self._links),
            dead=sum(link.dead for link in self._links),
            buffered_bytes=sum(link.buffered_bytes for link in self._links),
            accepted=self._accepted,
            refused=self._refused,
            unreachable=self._unreachable,
            cut=self._cut,
            bytes_up=weather.passed_bytes[UP],
            bytes_down=weather.passed_bytes[DOWN],
            lost_bytes_up=weather.lost_bytes[UP],
            lost_bytes_down=weather.lost_bytes[DOWN],
        )

    def _new_client(self) -> asyncio.Protocol:
        return Link(self._weather, self._on_client, self._links.discard).client

    def _on_client(self, link: Link) -> None:
        mode = self._weather.mode
        if mode.refuses or len(self._links) >= LINKS_MAX:
            self._refused += 1
            link.reset()
            return
        self._accepted += 1
        self._links.add(link)
        link.lose(mode.lost)
        if UP in mode.lost and DOWN in mode.lost:
            return  # the modem is dead: the server never hears of this client
        link.dialling = True
        task = self._dials.create_task(self._dial(link))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, link: Link) -> None:
        try:
            async with asyncio.timeout(DIAL_S_MAX):
                await asyncio.get_running_loop().create_connection(lambda: link.server, *self._to)
        except OSError:  # TimeoutError is one
            self._unreachable += 1
            link.unreachable()
        finally:
            link.dialling = False
            if not link.open:
                self._links.discard(link)


async def serve(relay: Relay, lines: asyncio.StreamReader, say: Callable[[bytes], None]) -> None:
    """The process's life: say the port, obey each line, until there are no more."""
    async with relay:
        say(msgspec.json.encode(Listening(relay.port)) + b"\n")
        while line := await lines.readline():
            answer: Stats | Refusal
            try:
                answer = relay.command(line.decode(errors="replace"))
            except CommandRefused as error:
                answer = Refusal(str(error))
            say(msgspec.json.encode(answer) + b"\n")


def _destination(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="relay", description="Relay TCP connections, and misbehave on command.")
    parser.add_argument("--listen-port", type=int, default=0, help="0: any free port; it is printed")
    parser.add_argument("--listen-host", default="127.0.0.1")
    parser.add_argument("--to", type=_destination, required=True, help="HOST:PORT of the server")
    parser.add_argument("--seed", type=int, default=0, help="decides the jitter of delays")
    return parser.parse_args(argv)


async def _run(arguments: argparse.Namespace) -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)

    def say(line: bytes) -> None:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    relay = Relay(arguments.to, port=arguments.listen_port, host=arguments.listen_host, seed=arguments.seed)
    await serve(relay, lines, say)


def main(argv: Sequence[str] | None = None) -> int:
    """The process."""
    asyncio.run(_run(_arguments(sys.argv[1:] if argv is None else argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
