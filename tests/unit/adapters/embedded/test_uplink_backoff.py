"""How soon the uplink comes again: soon where the connection before carried something, later and later where not."""

import asyncio
import contextlib
from random import Random

import pytest

from ringmain.adapters.embedded import uplink as module
from ringmain.adapters.embedded import uplink_backoff
from ringmain.adapters.embedded.uplink import MqttUplink
from ringmain.adapters.embedded.uplink_backoff import BACKOFF_S_MAX, Backoff
from ringmain.adapters.embedded.uplink_target import Target
from ringmain.model.errors import Failed
from ringmain.protocols.mqtt.client_events import ClientSettings

CONNACK, PUBACK = b"\x20\x03\x00\x00\x00", 0x40
LISTENS = ("settings",)


async def packet(reader):
    head, length = await reader.readexactly(2)
    return head, await reader.readexactly(length)


@pytest.fixture
async def world(monkeypatch):
    """An uplink to a server that lets it in, answers `acknowledges` messages of each connection, and hangs up.
    `pauses` are the failures in a row before each new attempt.
    """
    world = type("World", (), {"pauses": [], "acknowledges": 0, "accepted": 0})()

    async def serve(reader, writer):
        world.accepted += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await packet(reader)
            writer.write(CONNACK)
            _, subscribe = await packet(reader)
            writer.write(b"\x90\x04" + subscribe[:2] + b"\x00\x01")
            for _ in range(world.acknowledges):
                _, publish = await packet(reader)
                at = 2 + int.from_bytes(publish[:2], "big")
                writer.write(bytes((PUBACK, 2)) + publish[at : at + 2])
        writer.close()

    def pause_s(backoff):
        world.pauses.append(backoff.failures)
        return 0.0

    monkeypatch.setattr(Backoff, "pause_s", pause_s)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = ClientSettings("gw", answer_s=0.2)
    world.uplink = MqttUplink(
        lambda: Target("127.0.0.1", port, settings),
        "devices/gw/",
        LISTENS,
        listener=lambda *_: None,
        on_change=lambda: None,
        rng=Random(1),
    )
    running = asyncio.ensure_future(world.uplink.run())

    async def until(condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.002)

    world.until = until
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    server.close()
    await asyncio.sleep(0.05)  # both sides close what they have


def test_failures_in_a_row_make_pauses_longer_up_to_a_bound_and_no_two_uplinks_call_at_once():
    backoff, greatest = Backoff(Random(3)), []
    for _ in range(60):
        backoff.ended(carried=False, lasted_s=99.0)
        pauses = [backoff.pause_s() for _ in range(50)]
        assert len(set(pauses)) == 50
        greatest.append(max(pauses))
    assert greatest[0] <= 0.5
    assert greatest[0] < greatest[2] < greatest[4]
    assert 0.8 * BACKOFF_S_MAX < greatest[-1] <= BACKOFF_S_MAX


@pytest.mark.parametrize(("lasted_s", "failures"), [(0.0, 2), (9.9, 2), (10.1, 0)])
def test_what_carried_cuts_a_long_row_short_and_never_makes_it_longer(lasted_s, failures):
    backoff = Backoff(Random(1))
    for _ in range(9):
        backoff.ended(carried=False, lasted_s=0.0)
    backoff.ended(carried=True, lasted_s=lasted_s)
    assert backoff.failures == failures
    fresh = Backoff(Random(1))
    fresh.ended(carried=True, lasted_s=0.0)
    assert fresh.failures == 1


async def test_connections_that_are_accepted_and_lost_at_once_are_a_row_of_failures(world):
    await world.until(lambda: len(world.pauses) >= 4)
    assert world.pauses[:4] == [1, 2, 3, 4]


async def test_one_that_carried_something_cuts_the_row_short(world):
    await world.until(lambda: len(world.pauses) >= 6)
    await send_one(world)
    await world.until(lambda: 2 in world.pauses[5:])
    assert 0 not in world.pauses


async def test_one_that_carried_something_and_lasted_ends_it(world, monkeypatch):
    await world.until(lambda: len(world.pauses) >= 2)
    monkeypatch.setattr(uplink_backoff, "STEADY_S", -1.0)
    await send_one(world)
    await world.until(lambda: 0 in world.pauses)


async def send_one(world):
    world.acknowledges = 1
    while True:
        await world.uplink.up()
        try:
            return await world.uplink.send("chunks", b"x")
        except Failed:  # still a connection that hangs up at once
            await asyncio.sleep(0)


@pytest.mark.slow
async def test_a_handshake_that_takes_longer_than_an_answer_may_does_not_hang_the_uplink(world, monkeypatch):
    """The platform was stopped and goes on: the connection is there, and the answer to CONNECT would be overdue."""
    loop = asyncio.get_running_loop()
    plain = loop.create_connection

    async def slowly(factory, *args, **kwargs):
        class Handshaking(asyncio.Protocol):
            def connection_made(self, transport):
                protocol = factory()
                transport.set_protocol(protocol)
                loop.call_later(0.3, made.set_result, (transport, protocol))
                loop.call_later(0.3, protocol.connection_made, transport)

        made = loop.create_future()
        await plain(Handshaking, *args[:2])
        transport, protocol = await made
        await asyncio.sleep(0.01)  # timers that are due come first
        return transport, protocol

    monkeypatch.setattr(loop, "create_connection", slowly)
    monkeypatch.setattr(module, "CONNECT_ANSWERS", 50)
    before = world.uplink.connections
    await world.until(lambda: world.uplink.connections >= before + 3)


@pytest.mark.slow
@pytest.mark.parametrize(("answer_s", "connect_s"), [(0.02, "0.06"), (9.0, "0.1")])
async def test_a_server_that_never_answers_is_left_sooner_by_who_is_impatient(monkeypatch, answer_s, connect_s):
    async def never(*_, **__):
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    monkeypatch.setattr(module, "CONNECT_S_MAX", 0.1)
    attempts = []
    uplink = MqttUplink(
        lambda: attempts.append(1) or Target("h", 1, ClientSettings("gw", answer_s=answer_s)),
        "devices/gw/",
        LISTENS,
        listener=lambda *_: None,
        on_change=lambda: None,
        rng=Random(1),
    )
    running = asyncio.ensure_future(uplink.run())
    async with asyncio.timeout(5):
        while len(attempts) < 2:
            await asyncio.sleep(0.01)
    assert uplink.trouble == f"no connection to h:1 within {connect_s} s"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
