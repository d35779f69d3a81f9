"""A fleet against a scripted MQTT server on a loopback socket: nothing is forgotten, whatever the server does."""

import asyncio
import contextlib
import json
import time

import msgspec
import numpy as np
import pytest

from ringmain.simulator import fleet_calls, fleet_end
from ringmain.simulator.fleet import Fleet, Manner
from ringmain.simulator.fleet_meter import Identity, Meter, Span
from ringmain.simulator.fleet_report import FleetReport
from ringmain.simulator.meters import MeterBank
from ringmain.simulator.mqtt_client import Settings
from ringmain.simulator.payload import Form, encoder
from ringmain.simulator.publisher import Link
from ringmain.simulator.virtual_time import VirtualTime

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours

ACCEPTED = b"\x20\x02\x00\x00"
EVERY_MS = 1000


class Steady:
    rows = 40
    initial_wh = (np.arange(40), np.zeros(40, dtype=np.int64))
    exporting = np.zeros(40, dtype=np.bool_)

    def counted_mj(self, at_ms):
        return at_ms * 3_600_000, at_ms * 0  # 1 kWh a second: every reading differs


class Server:
    """An MQTT 3.1.1 server that keeps what it was told. `trouble` says what a connection does: "serve", "hang up",
    "silent" (no PUBACK), "slow" (five PUBACKs, then none), a number to refuse with, or ("cut", n): hang up
    before the n-th PUBACK.
    """

    def __init__(self, *trouble):
        self.trouble = list(trouble)
        self.published, self.users, self.goodbyes, self.now, self.most = [], [], 0, 0, 0
        self.writers = set()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for writer in self.writers:
            writer.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        self.now += 1
        self.most = max(self.most, self.now)
        self.writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.converse(reader, writer)
        self.now -= 1
        self.writers.discard(writer)
        writer.close()

    async def converse(self, reader, writer):
        mode = self.trouble.pop(0) if self.trouble else "serve"
        _, connect = await self.packet(reader)
        self.users.append(connect[12:])
        if mode == "hang up":
            return
        writer.write(bytes((0x20, 2, 0, mode)) if isinstance(mode, int) else ACCEPTED)
        count = 0
        while True:
            head, body = await self.packet(reader)
            if head == 0xE0:
                self.goodbyes += 1
                return
            if head == 0xC0:
                writer.write(b"\xd0\x00")
                continue
            end = 2 + int.from_bytes(body[:2], "big")
            qos = head >> 1 & 3
            self.published.append((head, body[2:end].decode(), body[end + 2 * qos :]))
            count += 1
            if isinstance(mode, tuple) and count == mode[1]:
                return
            if qos and mode != "silent" and not (mode == "slow" and count > 5):
                writer.write(b"\x40\x02" + body[end : end + 2])

    @staticmethod
    async def packet(reader):
        head = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return head, await reader.readexactly(length)

    def stamps(self, topic="t/m0"):
        found = []
        for _, name, payload in self.published:
            if name == topic:
                content = json.loads(payload)
                found += [each["ts"] for each in (content if isinstance(content, list) else [content])]
        return found


def fleet_of(port, *, meters=1, intervals=20, speed=1000.0, form=Form.OBJECT, rows=1, stall_s=10.0, window=4, **manner):
    bank = MeterBank(Steady(), 1, 0, EVERY_MS)
    encode = encoder(form, ("energy_wh", "import_wh"), exporting=False)
    made = [
        Meter(
            place,
            Settings(f"m{place}", f"u{place}", "p", window=window, stall_s=stall_s),
            f"t/m{place}",
            bank,
            place,
            Span(0, intervals),
            place * 7,
            encode,
            rows,
        )
        for place in range(meters)
    ]
    clock = VirtualTime(0, speed, then_real_time=False, monotonic_s=time.monotonic, wall_ms=lambda: 0)
    said = []
    settings = {"ramp_per_s": 1000.0, "window": window, **manner}
    fleet = Fleet(made, [bank], clock, Manner(Link("127.0.0.1", port), **settings), said.append)
    fleet.said = said
    return fleet


async def run(fleet, stop=None):
    async with asyncio.timeout(20):
        return await fleet.run(stop or asyncio.Event())


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fleet_end, "GOODBYE_S", 0.2)
    monkeypatch.setattr(fleet_calls, "BACKOFF_S", 0.01)
    monkeypatch.setattr(fleet_calls, "BACKOFF_S_MAX", 0.05)
    monkeypatch.setattr(fleet_calls, "REBOOT_S", (0.01, 0.05))


async def test_every_interval_is_said_once_in_order_by_each_meter():
    async with Server() as server:
        report = await run(fleet_of(server.port, meters=5))
        assert server.goodbyes == 5
    for place in range(5):
        assert server.stamps(f"t/m{place}") == [number * EVERY_MS for number in range(20)]
    assert (report.published, report.readings, report.acknowledged, report.unacknowledged) == (100, 100, 100, 0)
    assert (report.connections, report.cuts, report.resent, report.behind, report.ended) == (5, 0, 0, 0, "done")
    assert report.connected == 5


async def test_what_a_meter_says_is_its_register():
    async with Server() as server:
        await run(fleet_of(server.port, intervals=3))
    assert [json.loads(payload)["values"] for _, _, payload in server.published] == [
        {"energy_wh": 1000, "import_wh": number * 1000} for number in range(3)
    ]


async def test_a_cut_loses_nothing_and_repeats_what_was_not_acknowledged():
    async with Server(("cut", 3), ("cut", 2), "hang up") as server:
        report = await run(fleet_of(server.port))
    assert sorted(set(server.stamps())) == [number * EVERY_MS for number in range(20)]
    assert report.acknowledged == report.published == 20
    assert report.resent >= 2
    assert report.cuts == 3
    assert report.connections == 4
    repeated = [json.loads(payload) for head, _, payload in server.published if head & 8]
    assert repeated
    for said in repeated:  # the same as it was, or would have been
        assert said["values"] == {"energy_wh": 1000, "import_wh": said["ts"]}


async def test_a_server_that_comes_late_gets_everything():
    async with Server() as server:
        port = server.port
    fleet = fleet_of(port)
    running = asyncio.ensure_future(run(fleet))
    await asyncio.sleep(0.2)
    late = Server()
    late.server = await asyncio.start_server(late.serve, "127.0.0.1", port)
    late.port = port
    report = await running
    await late.__aexit__()
    assert late.stamps() == [number * EVERY_MS for number in range(20)]
    assert report.acknowledged == 20
    assert "Connect" in report.trouble or "refused" in report.trouble


async def test_a_refusal_is_counted_and_tried_again():
    async with Server(5, 5) as server:
        report = await run(fleet_of(server.port, intervals=3))
    assert (report.refused, report.acknowledged) == (2, 3)
    assert "not authorised" in report.trouble


async def test_a_silent_server_is_left():
    async with Server("silent") as server:
        report = await run(fleet_of(server.port, stall_s=0.2, intervals=6))
    assert report.acknowledged == 6
    assert report.cuts == 1
    assert "nothing was acknowledged" in report.trouble


async def test_a_server_that_breaks_the_rules_is_left_and_nothing_is_lost():
    async with Server() as server:
        fleet = fleet_of(server.port, intervals=8)
        running = asyncio.ensure_future(run(fleet))
        while not server.published:
            await asyncio.sleep(0.005)
        for writer in list(server.writers):
            writer.write(b"\x40\x02\xff\xff")  # acknowledges what was never said
        report = await running
    assert sorted(set(server.stamps())) == [number * EVERY_MS for number in range(8)]
    assert report.acknowledged == 8


async def test_at_most_once_says_everything_once_and_expects_nothing():
    async with Server() as server:
        report = await run(fleet_of(server.port, qos=0))
        await asyncio.sleep(0.05)
    assert server.stamps() == [number * EVERY_MS for number in range(20)]
    assert {head for head, _, _ in server.published} == {0x30}
    assert (report.published, report.acknowledged, report.unacknowledged) == (20, 0, 0)


async def test_a_backlog_leaves_in_lists():
    async with Server() as server:
        report = await run(fleet_of(server.port, form=Form.LIST, rows=8, speed=100_000.0, intervals=50))
    assert server.stamps() == [number * EVERY_MS for number in range(50)]
    assert report.readings == 50
    assert report.published < 25
    assert max(len(json.loads(payload)) for _, _, payload in server.published) <= 8


async def test_no_more_are_unacknowledged_than_the_window_allows():
    async with Server("silent") as server:
        fleet = fleet_of(server.port, window=3, stall_s=5.0, drain_s=0.2, seconds_max=0.3)
        report = await run(fleet)
    assert len(server.published) == 3
    assert report.unacknowledged == 3
    assert report.behind == 17
    assert report.ended == "not drained"


async def test_nothing_is_taken_out_before_it_can_be_sent():
    async with Server("slow") as server:
        fleet = fleet_of(server.port, window=3, stall_s=5.0, drain_s=0.2, seconds_max=0.3)
        report = await run(fleet)
    assert report.published == len(server.published) == 8
    assert (report.acknowledged, report.unacknowledged, report.behind) == (5, 3, 12)


async def test_meters_call_a_few_at_a_time():
    async with Server() as server:
        fleet = fleet_of(server.port, meters=40, intervals=600, ramp_per_s=50.0, seconds_max=0.4, drain_s=0.0)
        report = await run(fleet)
    assert 5 <= report.connections <= 30


async def test_a_restart_is_a_silence_and_no_loss():
    async with Server() as server:
        fleet = fleet_of(server.port, meters=3, intervals=400, speed=500.0, reboot_every_h=0.15 / 3600)
        report = await run(fleet)
    assert report.reboots >= 1
    assert report.cuts == 0
    assert report.connections >= max(3, report.reboots)
    assert report.resent > 0
    for place in range(3):
        assert sorted(set(server.stamps(f"t/m{place}"))) == [number * EVERY_MS for number in range(400)]
    assert report.acknowledged == 1200


async def test_a_stop_ends_it_with_goodbyes():
    stop = asyncio.Event()
    async with Server() as server:
        running = asyncio.ensure_future(run(fleet_of(server.port, meters=10, intervals=100_000), stop))
        while len(server.published) < 50:
            await asyncio.sleep(0.005)
        stop.set()
        report = await running
        await asyncio.sleep(0.05)
        assert server.goodbyes == 10
        assert server.now == 0
    assert report.ended == "stopped"
    assert report.acknowledged == report.published
    assert report.unacknowledged == 0


async def test_a_stop_while_nobody_answers_ends_it_too():
    stop = asyncio.Event()
    async with Server("silent", "silent") as server:
        running = asyncio.ensure_future(run(fleet_of(server.port, meters=2), stop))
        while len(server.published) < 2:
            await asyncio.sleep(0.005)
        stop.set()
        report = await running
    assert report.ended == "stopped"
    assert report.unacknowledged > 0


async def test_its_time_ends_it_with_all_that_was_due():
    async with Server() as server:
        report = await run(fleet_of(server.port, intervals=1_000_000, seconds_max=0.3))
    assert report.ended == "done"
    assert report.behind == 0
    assert report.published == report.acknowledged == len(server.stamps())
    assert report.seconds >= 0.3


@pytest.mark.slow
async def test_progress_is_written_and_trouble_told(tmp_path):
    path = tmp_path / "progress.json"
    async with Server(5) as server:
        fleet = fleet_of(server.port, intervals=2500, progress=path)
        report = await run(fleet)
    assert fleet.said == ["connection refused: not authorised (return code 5)"]
    assert msgspec.json.decode(path.read_bytes(), type=FleetReport) == report
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
async def test_idle_connections_are_kept_alive():
    async with Server() as server:
        bank = MeterBank(Steady(), 1, 0, EVERY_MS)
        encode = encoder(Form.OBJECT, ("energy_wh",), exporting=False)
        settings = Settings("m0", "", "", keep_alive_s=1, stall_s=1.0)
        meter = Meter(0, settings, "t/m0", bank, 0, Span(0, None), 0, encode, 1)
        clock = VirtualTime(0, 0.001, then_real_time=False, monotonic_s=time.monotonic, wall_ms=lambda: 0)
        report = await run(Fleet([meter], [bank], clock, Manner(Link("127.0.0.1", server.port), seconds_max=3.2)))
    assert (report.connections, report.cuts, report.published) == (1, 0, 0)


def test_an_identity_may_be_anonymous():
    assert Identity("m") == Identity("m", "", "")
