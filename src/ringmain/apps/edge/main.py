"""`ringmain edge`: own the directory, open the doors for local meters, forward until a signal, leave nothing undone.

A buffer that broke (a sync failed) ends the process and starts it anew, at most three times in ten minutes, as the
platform does: a fresh process reads back what is really on the disk.
"""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import uvloop

from ringmain import __version__
from ringmain.adapters.embedded.blobs import EmbeddedBlobs
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.adapters.embedded.uplink_target import Target
from ringmain.apps.config import Config
from ringmain.apps.edge.binding import BUFFER, DOCUMENTS, bind, owner_of
from ringmain.apps.edge.compose import Dial, EdgeHouse, EdgeStores
from ringmain.apps.edge.membership import Membership, files_in, load
from ringmain.apps.edge.pace import blink
from ringmain.apps.edge.presence import EdgePresence
from ringmain.apps.lifetime import start_anew, stop_asked, until
from ringmain.apps.logs import configure_logging
from ringmain.apps.ownership import own
from ringmain.apps.sockets import BACKLOG, tcp_socket, unix_socket
from ringmain.gateway.mqtt import MqttDoor
from ringmain.model.gateway import GatewaySettings
from ringmain.protocols.mqtt.client_events import ClientSettings
from ringmain.protocols.mqtt.events import NOTHING_KEPT
from ringmain.transports.ssl_context import client_context, server_context

log = logging.getLogger(__name__)

TLS_HANDSHAKE_S = 10.0
CLOSE_S = 4.0
"""For what is open to end; then the process goes all the same, and nothing is lost by it."""


class _Listening(msgspec.Struct, frozen=True):
    mqtt: socket.socket
    mqtts: socket.socket

    def ports(self) -> dict[str, int]:
        return {"mqtt": self.mqtt.getsockname()[1], "mqtts": self.mqtts.getsockname()[1]}


def run(config: Config) -> int:
    """Run the edge; the exit code. `RingmainError`s of the start are the caller's to print."""
    edge = config.edge
    with own(edge.path):
        membership = load(edge.path)
        configure_logging(config.log, [membership.token])
        with contextlib.ExitStack() as opened:
            listening = _Listening(
                opened.enter_context(tcp_socket(edge.host, edge.port, "edge.port")),
                opened.enter_context(tcp_socket(edge.tls_host, edge.tls_port, "edge.tls_port")),
            )
            try:
                broken = uvloop.run(_serve(config, membership, listening))
            finally:
                (edge.path / "ports.json").unlink(missing_ok=True)
                (edge.path / "edge.sock").unlink(missing_ok=True)
    return start_anew() if broken else 0


@contextlib.asynccontextmanager
async def _stores(directory: Path) -> AsyncIterator[EdgeStores]:
    buffer = await EmbeddedBuffer.open(directory / BUFFER)
    try:
        yield EdgeStores(
            buffer,
            EmbeddedBlobs(directory / DOCUMENTS),
            EdgePresence(),
            lambda settings: buffer.limit(settings.buffer_bytes_max, settings.free_bytes_min),
        )
    finally:
        await buffer.close()


def dialling(directory: Path, membership: Membership) -> Dial:
    """Where the uplink goes: TLS with our own certificate, trusting the platform's CA and nothing else."""
    files = files_in(directory)
    context = client_context(files.ca)
    context.load_cert_chain(files.cert, files.key)

    def dial(settings: GatewaySettings) -> Target:
        return Target(
            settings.platform_host or membership.host,
            settings.platform_port or membership.port,
            ClientSettings(
                membership.device,
                f"{membership.tenant}/{membership.device}",
                membership.token.encode() if membership.token else None,
                keep_alive_s=settings.keep_alive_s,
                answer_s=float(settings.answer_s),
            ),
            context,
        )

    return dial


async def _serve(config: Config, membership: Membership, listening: _Listening) -> bool:
    """Everything between the open and the close; True where the buffer broke."""
    stop = stop_asked()
    directory, mqtt = config.edge.path, config.mqtt
    limits = msgspec.structs.replace(
        NOTHING_KEPT,
        packet_bytes_max=mqtt.packet_bytes_max,
        receive_maximum=mqtt.receive_maximum,
        keep_alive_s_max=mqtt.keep_alive_s_max,
        connect_deadline_s=mqtt.connect_deadline_s,
    )
    async with _stores(directory) as stores:
        rng = Random()  # noqa: S311 - jitter, no secret
        await bind(stores.blobs, owner_of(membership, files_in(directory).ca))
        dial = dialling(directory, membership)
        clock = EmbeddedClock()
        house = await EdgeHouse(membership, stores, clock, rng, dial, limits).open()
        gc.freeze()
        gc.set_threshold(20_000, 50, 50)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(work, name=name) for name, work in house.work()]
                door = house.mqtt_door(tasks)
                pace = blink(clock, lambda: house.books.messages, lambda: house.connections.count)
                running.append(tasks.create_task(pace, name="pace"))
                listeners = await _listen(house, door, directory, listening)
                _announce(directory, membership, config, listening)
                await until(stop, house.broken)
                for listener in listeners:
                    listener.close()
                if not house.broken.is_set():
                    await house.intake.drain()
                door.close_all()
                for task in running:
                    task.cancel()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await house.close()
        return house.broken.is_set()


async def _listen(
    house: EdgeHouse, door: MqttDoor, directory: Path, listening: _Listening
) -> list[asyncio.AbstractServer]:
    """The doors for meters, plain and TLS, and the local socket that tells how it is."""
    loop, files = asyncio.get_running_loop(), files_in(directory)
    tls = server_context(files.cert, files.key)

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The report to whoever asks; this user alone can."""
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(house.reports.report()) + b"\n")
            await writer.drain()
            writer.close()

    return [
        await loop.create_server(door.protocol, sock=listening.mqtt, backlog=BACKLOG),
        await loop.create_server(
            door.protocol, sock=listening.mqtts, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=TLS_HANDSHAKE_S
        ),
        await asyncio.start_unix_server(tell, sock=unix_socket(directory / "edge.sock")),
    ]


def _announce(directory: Path, membership: Membership, config: Config, listening: _Listening) -> None:
    """Say that the doors are open: to programs in `ports.json`, to people on standard output."""
    ports, edge = listening.ports(), config.edge
    _write_ports(directory / "ports.json", ports)
    lines = [
        f"Ringmain {__version__} edge gateway {membership.tenant}/{membership.device}; its data is in {directory}",
        f"  MQTT           mqtt://{edge.host}:{ports['mqtt']}",
        f"  MQTT over TLS  mqtts://{edge.tls_host}:{ports['mqtts']}",
        f"  platform       {membership.host}:{membership.port}",
        "  Ctrl-C ends it; everything acknowledged is on disk. `ringmain edge status` tells how it is.",
    ]
    print("\n".join(lines), flush=True)  # noqa: T201 - the banner


def _write_ports(path: Path, ports: dict[str, int]) -> None:
    """On a disk without room the doors are open all the same; what an ended process left there is not true any more."""
    beside = path.with_suffix(".new")
    try:
        path.unlink(missing_ok=True)
        beside.write_bytes(msgspec.json.encode(ports))
        beside.replace(path)
    except OSError as error:
        log.warning("%s could not be written: %s; the doors are open on the ports that follow", path, error)
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
