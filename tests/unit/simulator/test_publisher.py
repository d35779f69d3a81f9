"""The meter's connections, against a scripted server on a loopback socket."""

import asyncio
import contextlib
from random import Random

import pytest

from ringmain.simulator.mqtt_client import MqttClient, Settings
from ringmain.simulator.publisher import Link, Pacing, Undelivered, deliver

ACCEPTED = b"\x20\x02\x00\x00"


class Server:
    """Acknowledges PUBLISH packets with one-byte lengths; `script` says what each connection does."""

    def __init__(self, *script):
        self.script = list(script)
        self.published = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        mode = self.script.pop(0) if self.script else "serve"
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.packet(reader)
            if mode != "hang up":
                writer.write(bytes((0x20, 2, 0, mode)) if isinstance(mode, int) else ACCEPTED)
                await self.acknowledge(reader, writer, mode)
        writer.close()

    async def acknowledge(self, reader, writer, mode):
        count = 0
        while True:
            head, body = await self.packet(reader)
            if head == 0xE0:
                return
            topic_end = 2 + int.from_bytes(body[:2], "big")
            packet_id, payload = body[topic_end : topic_end + 2], body[topic_end + 2 :]
            self.published.append((head, payload))
            count += 1
            if mode == "cut after 3" and count == 3:
                return
            if mode != "silent":
                writer.write(b"\x40\x02" + packet_id)

    @staticmethod
    async def packet(reader):
        head, length = await reader.readexactly(2)
        return head, await reader.readexactly(length)


def loaded(count, **changes):
    client = MqttClient(Settings("m", "u", "p", **{"window": 4, **changes}))
    for number in range(count):
        client.publish("t", b"%d" % number)
    return client


async def test_all_is_delivered_in_order():
    async with Server() as server:
        client = loaded(50)
        await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10)
    assert [payload for _, payload in server.published] == [b"%d" % number for number in range(50)]
    assert (client.acknowledged, client.resent, client.connections) == (50, 0, 1)


async def test_what_a_cut_left_unacknowledged_comes_again_with_dup():
    async with Server("cut after 3") as server:
        client = loaded(10)
        await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10)
    assert client.acknowledged == 10
    assert client.resent >= 1
    assert (0x3A, b"2") in server.published
    assert {payload for _, payload in server.published} == {b"%d" % number for number in range(10)}


@pytest.mark.parametrize("trouble", ["hang up", 3])
async def test_a_server_that_is_not_ready_is_tried_again(trouble):
    async with Server(trouble, trouble) as server:
        client = loaded(3)
        await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10)
    assert (client.acknowledged, client.connections) == (3, 3)


async def test_a_server_that_goes_silent_is_left():
    async with Server("silent") as server:
        client = loaded(3, stall_s=0.1)
        await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10)
    assert (client.acknowledged, client.resent, client.connections) == (3, 3, 2)


async def test_wrong_credentials_are_not_tried_twice():
    async with Server(5) as server:
        client = loaded(3)
        with pytest.raises(Undelivered, match="not authorised"):
            await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10)
    assert client.connections == 1


@pytest.mark.slow
async def test_time_runs_out_with_what_is_left_and_why():
    async with Server(*["hang up"] * 1000) as server:
        with pytest.raises(Undelivered, match=r"3 messages unacknowledged after 0\.3 s .* closed the connection"):
            await deliver(loaded(3), Link("127.0.0.1", server.port), Random(1), seconds_max=0.3)


@pytest.mark.slow
async def test_nobody_at_the_port_is_named():
    async with Server() as server:
        port = server.port
    with pytest.raises(Undelivered, match="Connect call failed"):
        await deliver(loaded(1), Link("127.0.0.1", port), Random(1), seconds_max=0.3)


async def test_nothing_to_say_connects_nowhere():
    client = loaded(0)
    await deliver(client, Link("127.0.0.1", 1), Random(1), seconds_max=1)
    assert client.connections == 0


async def test_what_is_held_back_is_delivered_when_it_is_due_over_a_cut():
    async with Server("cut after 3") as server:
        client = loaded(2)
        held, notes = [b"%d" % number for number in range(2, 8)], []

        def release(_):
            if held:
                client.publish("t", held.pop(0))

        def note():
            notes.append((client.connections, client.connected, client.in_flight, client.acknowledged))

        pacing = Pacing(release, lambda: len(held), lambda: asyncio.get_running_loop().time() + 0.005, note)
        await deliver(client, Link("127.0.0.1", server.port), Random(1), seconds_max=10, pacing=pacing)
    assert client.acknowledged == 8
    assert {payload for _, payload in server.published} == {b"%d" % number for number in range(8)}
    assert notes[0] == (1, False, 0, 0)
    assert notes[-1] == (2, True, 0, 8)


async def test_what_is_held_back_counts_as_undelivered():
    async with Server() as server:
        pacing = Pacing(left=lambda: 7, look_again=lambda: asyncio.get_running_loop().time() + 0.01)
        with pytest.raises(Undelivered, match="7 messages unacknowledged"):
            await deliver(loaded(3), Link("127.0.0.1", server.port), Random(1), seconds_max=0.2, pacing=pacing)
