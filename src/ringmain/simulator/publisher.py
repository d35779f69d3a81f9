"""Moves the bytes of a simulated meter: one TCP or TLS connection after another, until all is acknowledged.

It must never drop what the machine still holds: a connection may fail at any time, the messages may not.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec

from ringmain.simulator.mqtt_client import ConnectRefused, MqttClient, PeerError

CONNECT_S_MAX = 5.0
"""TCP and TLS handshake together; a server on the same machine answers in milliseconds."""

BACKOFF_S, BACKOFF_S_MAX = 0.05, 2.0
"""First and greatest pause between two connections: a restarted platform is found again quickly, a missing one is
not hammered.
"""

READ_BYTES = 65_536
RETRYABLE_REFUSAL = 3
"""Server unavailable (§3.2.2.3): the only refusal that may be another one a moment later."""


class Undelivered(Exception):
    """Not everything was acknowledged; the text says why and how much is left."""


class Link(msgspec.Struct, frozen=True):
    """Where to connect. Without `ca` the link is plain TCP; with it, TLS that trusts this certificate alone."""

    host: str
    port: int
    ca: Path | None = None

    def context(self) -> ssl.SSLContext | None:
        """TLS 1.2 or newer with the server's name checked, or None for plain TCP."""
        if self.ca is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cafile=self.ca)
        return context


class Pacing(msgspec.Struct, frozen=True):
    """For a meter that takes its time. `release` hands its client what is due, `left` says how much is held back,
    `look_again` when more may be due; `note` is told after each word to or from the server.
    """

    release: Callable[[float], None] = lambda _: None
    left: Callable[[], int] = lambda: 0
    look_again: Callable[[], float] = lambda: float("inf")
    note: Callable[[], None] = lambda: None


AT_ONCE = Pacing()
"""Everything is with the client already, and nobody keeps a diary."""


async def deliver(client: MqttClient, link: Link, rng: Random, *, seconds_max: float, pacing: Pacing = AT_ONCE) -> None:
    """Connect, send, reconnect and resend until the server has acknowledged every message. Undelivered otherwise."""
    tls = link.context()
    cause = "the time was up"
    attempt = 0
    try:
        async with asyncio.timeout(seconds_max):
            while client.unacknowledged or pacing.left():
                before = client.acknowledged
                try:
                    await _connection(client, link, tls, pacing)
                except ssl.SSLCertVerificationError as error:
                    raise Undelivered(f"the server's certificate is not trusted: {error.verify_message}") from error
                except ConnectRefused as error:
                    if error.code != RETRYABLE_REFUSAL:
                        raise Undelivered(str(error)) from error
                    cause = str(error)
                except (PeerError, OSError, EOFError) as error:
                    cause = str(error) or type(error).__name__
                attempt = 0 if client.acknowledged > before else attempt + 1
                if client.unacknowledged or pacing.left():
                    await asyncio.sleep(_pause(attempt, rng))
    except TimeoutError as error:
        raise Undelivered(
            f"{client.unacknowledged + pacing.left()} messages unacknowledged after {seconds_max:g} s and"
            f" {client.connections} connections; last trouble: {cause}"
        ) from error


def _pause(attempt: int, rng: Random) -> float:
    """Exponential backoff with full jitter, so that meters which were cut together do not return together."""
    return rng.uniform(0, min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(attempt, 10)))


async def _connection(client: MqttClient, link: Link, tls: ssl.SSLContext | None, pacing: Pacing) -> None:
    """One connection from handshake to end. Returns when everything is acknowledged."""
    async with asyncio.timeout(CONNECT_S_MAX):
        reader, writer = await asyncio.open_connection(link.host, link.port, ssl=tls)
    try:
        await _converse(client, reader, writer, pacing)
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await writer.wait_closed()


async def _converse(
    client: MqttClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pacing: Pacing
) -> None:
    clock = asyncio.get_running_loop().time
    client.connect(clock())
    while client.unacknowledged or pacing.left():
        pacing.release(clock())
        writer.write(client.data_to_send(clock()))
        pacing.note()
        data = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(client.deadline(), pacing.look_again())):
                await writer.drain()
                data = await reader.read(READ_BYTES)
        if data is None:
            client.wake(clock())
        elif data:
            client.receive(data, clock())
            pacing.note()
        else:
            raise EOFError("the server closed the connection")
    writer.write(client.disconnect())
    await writer.drain()
