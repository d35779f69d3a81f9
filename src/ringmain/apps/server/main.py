"""`ringmain up`: own the directory, open the doors, run until a signal, drain, and leave nothing undone.

A log that broke (a sync failed) ends the process and starts it anew, at most three times in ten minutes: a fresh
process reads back what is really on the disk.
"""

import asyncio
import gc
import json
import logging
import time
from pathlib import Path

import uvloop

from ringmain import __version__
from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.apps.config import Config
from ringmain.apps.lifetime import start_anew, stop_asked, until, when_hung_up
from ringmain.apps.logs import configure_logging
from ringmain.apps.ownership import own
from ringmain.apps.server.api.app import api
from ringmain.apps.server.compose import House
from ringmain.apps.server.doors import MQTT_PATH, MQTT_SUBPROTOCOL, Sockets, http_server, with_websockets
from ringmain.apps.server.identity import Identity, load_or_create
from ringmain.apps.server.stores import open_stores
from ringmain.apps.server.tls import ServerTls
from ringmain.apps.server.tls_files import TlsFiles
from ringmain.apps.sockets import BACKLOG, unix_socket
from ringmain.ports.clock import Clock
from ringmain.transports.websocket import WebSocketEndpoint

log = logging.getLogger(__name__)

TLS_HANDSHAKE_S = 10.0


def run(config: Config) -> int:
    """Run the platform; the exit code. `RingmainError`s of the start are the caller's to print."""
    with own(config.storage_dir):
        identity = load_or_create(config.storage_dir, time.time_ns() // 1_000_000, config.tls.names)
        configure_logging(config.log, [identity.admin_token])
        for chatty in ("alembic", "uvicorn"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        sockets = Sockets(config)
        try:
            broken = uvloop.run(_serve(config, identity, sockets))
        finally:
            sockets.close()
            (config.storage_dir / "ports.json").unlink(missing_ok=True)
            config.socket_path.unlink(missing_ok=True)
    return start_anew() if broken else 0


async def _serve(config: Config, identity: Identity, sockets: Sockets) -> bool:
    """Everything between the open and the close; True where the log broke."""
    loop = asyncio.get_running_loop()
    stop = stop_asked()
    clock = EmbeddedClock()
    tls = _tls(config, identity, clock)
    house = await House(config, identity, await open_stores(config, clock), clock, tls).open(identity)
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    ports = sockets.ports()
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work, name=name) for name, work in house.work()]
            door = house.mqtt_door(tasks)
            websockets = {MQTT_PATH: WebSocketEndpoint(door.protocol, MQTT_SUBPROTOCOL)}
            app = with_websockets(api(house.context(_addresses(config, ports))), websockets)
            server = http_server(app, packet_bytes_max=config.mqtt.packet_bytes_max)
            running.append(tasks.create_task(house.quarantine.release_left_behind(), name="left-behind"))
            local = unix_socket(config.socket_path)
            running.append(tasks.create_task(tls.run(), name="tls"))
            when_hung_up(tls.ask)
            listeners = [
                await loop.create_server(door.protocol, sock=sockets.mqtt, backlog=BACKLOG),
                await loop.create_server(
                    tls.watched(door.protocol),
                    sock=sockets.mqtts,
                    backlog=BACKLOG,
                    ssl=tls.context,
                    ssl_handshake_timeout=TLS_HANDSHAKE_S,
                ),
            ]
            doors = [door]
            if sockets.open_mqtt is not None:
                doors.append(house.front.open_door(tasks))
                listeners.append(await loop.create_server(doors[-1].protocol, sock=sockets.open_mqtt, backlog=BACKLOG))
            sockets.http.listen(BACKLOG)
            serving = tasks.create_task(server.serve(sockets=[sockets.http, local]), name="http")
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
            if sockets.open_mqtt is not None:
                log.warning(
                    "mqtt.open_port: EVERY PROGRAM ON THIS MACHINE may publish and subscribe on port %d WITHOUT"
                    " CREDENTIALS, in a tenant of its own; it is for test suites, never for devices",
                    ports["open_mqtt"],
                )
            _announce(config, identity, ports)
            await until(stop, house.broken)
            house.draining = True
            for listener in listeners:
                listener.close()
            if not house.broken.is_set():
                await house.intake.drain()
            for each in doors:
                each.close_all()
            server.should_exit = True
            await serving
            for task in running:
                task.cancel()
    finally:
        await house.close()
        gc.unfreeze()
    return house.broken.is_set()


def _tls(config: Config, identity: Identity, clock: Clock) -> ServerTls:
    """The listener's TLS as configured: the operator's files, and where there are none the installation's own."""

    def named(path: str) -> Path | None:
        return Path(path).expanduser() if path else None

    files = TlsFiles(
        named(config.tls.certificate) or identity.cert_path,
        named(config.tls.key) or identity.key_path,
        named(config.tls.client_ca),
        named(config.tls.crl),
    )
    return ServerTls(files, identity.ca, clock, required=config.mqtt.tls_client_certificate == "required")


def _addresses(config: Config, ports: dict[str, int]) -> tuple[tuple[str, str], ...]:
    found = [
        ("HTTP API", f"http://{config.http.host}:{ports['http']}/api/v1"),
        ("MQTT", f"mqtt://{config.mqtt.host}:{ports['mqtt']}"),
        ("MQTT over TLS", f"mqtts://{config.mqtt.tls_host}:{ports['mqtts']}"),
        ("MQTT WebSocket", f"ws://{config.http.host}:{ports['http']}{MQTT_PATH}"),
    ]
    if "open_mqtt" in ports:
        found.append(("MQTT, OPEN", f"mqtt://{config.mqtt.open_host}:{ports['open_mqtt']}"))
    return tuple(found)


def _announce(config: Config, identity: Identity, ports: dict[str, int]) -> None:
    """Say that the doors are open: to programs in `ports.json`, to people on standard output."""
    path = config.storage_dir / "ports.json"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(ports))
    beside.replace(path)
    lines = [f"Ringmain {__version__} is up; its data is in {_shown(config.storage_dir)}"]
    lines += [f"  {what:<14} {where}" for what, where in _addresses(config, ports)]
    lines.append(f"  admin token    {_shown(identity.admin_token_path)}")
    if config.tls.certificate:
        lines.append(f"  certificate    {_shown(Path(config.tls.certificate))}   (MQTT over TLS)")
    else:
        lines.append(f"  CA certificate {_shown(identity.ca_path)}   (pin MQTT clients to it)")
    lines.append("  Ctrl-C ends it; everything acknowledged is on disk.")
    print("\n".join(lines), flush=True)  # noqa: T201 - the banner


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
