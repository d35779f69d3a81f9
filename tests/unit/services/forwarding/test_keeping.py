"""Sealing loses nothing; a full buffer acts by its declared policy, and every reading that goes is counted."""

import asyncio
from random import Random

import msgspec
import pytest
from tests.unit.services.forwarding.conftest import QUICK, Gateway, readings_of

from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.model.batch import DeadLetter, block_of
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import decode_chunk, encode_chunk
from ringmain.model.bulk.layout import CHUNK_READINGS_MAX
from ringmain.model.errors import Failed
from ringmain.model.gateway import DropPolicy, GatewaySettings
from ringmain.model.ids import DeviceKey, Offset
from ringmain.ports.buffer import DROPPED_LETTERS, SealedRow
from ringmain.services.forwarding import keeping

FAR = 1 << 30


async def kept(gateway) -> set[tuple[str, int]]:
    return {
        reading for row in await gateway.buffer.read(Offset(0), FAR, sealed=True) for reading in readings_of(row.body)
    }


async def late(gateway) -> None:
    """Seal whatever waits, as if a minute had passed."""
    await gateway.keeper.seal()
    gateway.clock.advance(keeping.SEAL_AFTER_S)
    await gateway.keeper.seal()


async def test_few_readings_wait_for_company_and_then_for_no_longer_than_a_minute(gateway):
    await gateway.append(1, 2)
    await gateway.append(3, device=2)
    await gateway.keeper.seal()
    gateway.clock.advance(keeping.SEAL_AFTER_S - 1)
    await gateway.keeper.seal()
    assert gateway.buffer.status().sealed_rows == 0
    gateway.clock.advance(1)
    await gateway.keeper.seal()
    status = gateway.buffer.status()
    assert (status.rows, status.sealed_rows, status.sealed_readings) == (1, 1, 3)
    assert await kept(gateway) == {("m1", 1), ("m1", 2), ("m2", 3)}
    (row,) = await gateway.buffer.read(Offset(0), FAR)
    assert (row.first_ms, row.last_ms) == (1, 3)


async def test_enough_readings_are_sealed_at_once(gateway, monkeypatch):
    monkeypatch.setattr(keeping, "SEAL_READINGS", 10)
    for at in range(25):
        await gateway.append(at)
    await gateway.keeper.seal()
    status = gateway.buffer.status()
    assert (status.sealed_rows, status.sealed_readings, status.rows) == (2, 20, 7)


@pytest.mark.slow
async def test_no_sealed_row_has_more_letters_or_readings_than_the_platform_takes(gateway):
    """Letters do not count as readings, so nothing but their own limit bounds them; and one row may be a large one."""
    for at in range(3):
        await gateway.append_letters(*(b"%d %d" % (at, each) for each in range(3000)))
    await gateway.append(*range(11_900))
    await gateway.append(*range(43_200), device=2)
    await late(gateway)
    status = gateway.buffer.status()
    assert (status.rows, status.readings) == (status.sealed_rows, 55_100)
    chunks = [
        decode_chunk(row.body, readings_max=CHUNK_READINGS_MAX) for row in await gateway.buffer.read(Offset(0), FAR)
    ]
    assert sum(len(chunk.letters) for chunk in chunks) == 9000
    assert len({letter.payload for chunk in chunks for letter in chunk.letters}) == 9000
    assert len(await kept(gateway)) == 55_100


async def test_at_the_end_everything_is_sealed_that_can_be(gateway):
    await gateway.append(1)
    plain = gateway.buffer.replace

    async def no_room(*_):
        raise Failed("storage_full", "no room")

    gateway.buffer.replace = no_room
    await gateway.keeper.close()
    assert gateway.buffer.status().sealed_rows == 0
    gateway.buffer.replace = plain
    await gateway.keeper.close()
    assert await kept(gateway) == {("m1", 1)}


async def test_a_row_that_can_not_be_sealed_holds_up_no_other(gateway, monkeypatch):
    monkeypatch.setattr(keeping, "SEAL_BYTES_MAX", 100)
    for at in range(5):
        await gateway.append(at, device=9)
    await gateway.append(7)
    await late(gateway)
    assert await kept(gateway) == {("m1", 7)}
    assert gateway.buffer.status().readings == 6


async def test_live_rows_are_not_sealed_while_the_uplink_takes_them(gateway):
    async with gateway.running():
        gateway.uplink.held = True
        gateway.connect()
        await gateway.until(gateway.forwarding._is_connected)
        await gateway.append(1)
        await gateway.until(lambda: gateway.uplink.waiting)
        await gateway.append(2)
        await late(gateway)
        assert gateway.buffer.status().sealed_rows == 0
        gateway.cut()
        await asyncio.sleep(0.01)
        await late(gateway)
        assert await kept(gateway) == {("m1", 1), ("m1", 2)}


async def test_a_row_that_is_settled_meanwhile_is_not_sealed(gateway):
    await gateway.append(1)
    plain = gateway.buffer.replace

    async def settled_first(offsets, rows, dropped):
        await gateway.buffer.settle(offsets)
        return await plain(offsets, rows, dropped)

    gateway.buffer.replace = settled_first
    await late(gateway)
    assert gateway.buffer.status().rows == 0
    assert gateway.forwarding.lanes.in_flight == 0


def full(policy: DropPolicy, bytes_max: int = 1_048_576, **more) -> Gateway:
    settings = GatewaySettings(send_every_ms=0, policy=policy, buffer_bytes_max=bytes_max, free_bytes_min=0, **more)
    return Gateway(settings)


async def fill(gateway, rows: int, *, each: int = 500) -> int:
    for at in range(rows):
        await gateway.append(*((at * each + step) * 1000 + step * step % 977 for step in range(each)))
        await late(gateway)
    return rows * each


async def test_reject_gives_nothing_up():
    gateway = full(DropPolicy.REJECT)
    taken = await fill(gateway, 5)
    gateway.keeper.settings = GatewaySettings(policy=DropPolicy.REJECT, buffer_bytes_max=1_048_576)
    gateway.buffer.bytes_max = gateway.buffer.status().bytes
    await gateway.keeper.make_room()
    with pytest.raises(Failed):
        await gateway.append(1)
    status = gateway.buffer.status()
    assert (status.readings, status.dropped) == (taken, ())


class Tight(SimulatedBuffer):
    """Says that its bytes are a hundred times what they are, so that the least limit is a small one."""

    def status(self):
        status = super().status()
        return msgspec.structs.replace(status, used_bytes=status.bytes * 100)


async def test_the_oldest_go_and_are_counted():
    gateway = full(DropPolicy.DROP_OLDEST)
    gateway.buffer = Tight()
    gateway = _around(gateway, DropPolicy.DROP_OLDEST)
    taken = await fill(gateway, 40, each=150)
    before = await kept(gateway)
    await gateway.keeper.make_room()
    after = await kept(gateway)
    status = gateway.buffer.status()
    assert status.used_bytes <= 1_048_576 - keeping.ROOM_BYTES
    assert {(each.device, each.reason) for each in status.dropped} == {("m1", "drop_oldest")}
    assert sum(each.count for each in status.dropped) == len(before) - len(after) == taken - status.readings
    assert max(at for _, at in before - after) < min(at for _, at in after), "the oldest, and no others"
    assert after


async def test_letters_that_go_with_the_oldest_are_counted_apart_from_readings():
    gateway = _around(Gateway(buffer=Tight()), DropPolicy.DROP_OLDEST)
    await gateway.append(1, 2)
    await gateway.append_letters(b"{", b"}", device=1)
    await gateway.append_letters(b"[", device=2)
    await gateway.keeper.seal(now=True)
    assert await gateway.keeper._give_up()
    counts = {(each.device, each.reason): each.count for each in gateway.buffer.status().dropped}
    assert counts == {("m1", "drop_oldest"): 2, ("m1", DROPPED_LETTERS): 2, ("m2", DROPPED_LETTERS): 1}


def _around(gateway: Gateway, policy: DropPolicy, **more) -> Gateway:
    settings = GatewaySettings(send_every_ms=0, policy=policy, buffer_bytes_max=1_048_576, free_bytes_min=0, **more)
    return Gateway(settings, buffer=gateway.buffer)


async def test_downsampling_thins_before_anything_old_goes():
    gateway = _around(Gateway(buffer=Tight()), DropPolicy.DOWNSAMPLE, downsample_s=10)
    taken = await fill(gateway, 12)
    before = await kept(gateway)
    await gateway.keeper.make_room()
    after = await kept(gateway)
    status = gateway.buffer.status()
    assert {each.reason for each in status.dropped} == {"downsampled"}
    assert sum(each.count for each in status.dropped) == taken - len(after)
    assert after < before
    steps = {at // (gateway.keeper.step_s * 1000) for _, at in before}
    assert {at // (gateway.keeper.step_s * 1000) for _, at in after} == steps, "no step is lost, the oldest neither"


async def test_when_nothing_is_left_to_thin_the_oldest_go():
    gateway = _around(Gateway(buffer=Tight()), DropPolicy.DOWNSAMPLE, downsample_s=86_400)
    for at in range(12):
        for device in (1, 2, 3):
            await gateway.append(at * 90_000_000, device=device)
        await late(gateway)
    while gateway.buffer.status().used_bytes <= 1_048_576:
        await fill(gateway, 1, each=1)
    before = gateway.buffer.status().readings
    await gateway.keeper.make_room()
    reasons = {each.reason for each in gateway.buffer.status().dropped}
    assert "drop_oldest" in reasons
    assert gateway.buffer.status().readings + sum(each.count for each in gateway.buffer.status().dropped) == before


async def test_what_is_on_its_way_is_never_given_up():
    gateway = _around(Gateway(buffer=Tight()), DropPolicy.DROP_OLDEST)
    await fill(gateway, 12)
    offsets = [row.offset for row in await gateway.buffer.read(Offset(0), FAR)]
    gateway.forwarding.lanes.take(offsets)
    await gateway.keeper.make_room()
    assert gateway.buffer.status().dropped == ()
    gateway.forwarding.lanes.land(offsets, settled=False)
    await gateway.keeper.make_room()
    assert gateway.buffer.status().dropped != ()


@pytest.mark.slow
@pytest.mark.parametrize("policy", [DropPolicy.DROP_OLDEST, DropPolicy.DOWNSAMPLE])
async def test_on_a_disk_that_is_a_little_short_no_more_goes_than_new_rows_need(tmp_path, monkeypatch, policy):
    """What goes becomes free pages of the file, and the disk gains nothing by it; it never will have enough."""
    buffer = await EmbeddedBuffer.open(tmp_path / "buffer.sqlite")
    monkeypatch.setattr(buffer, "_free", lambda: (1 << 30) - 65_536)
    gateway = Gateway(GatewaySettings(policy=policy, free_bytes_min=1 << 30), buffer=buffer)
    noise = Random(7).randbytes(60_000)
    for at in range(120):
        await gateway.append(at)
        (row,) = await buffer.read(Offset(0), FAR, sealed=False)
        chunk = Chunk(("m1",), (block_of(("import_wh",), [0] * 3, (at, at + 1, at + 2), (1, 2, 3), exact=True),))
        letter = DeadLetter(DeviceKey(0), 0, "mqtt", "t", noise, "r", "d")
        body = encode_chunk(msgspec.structs.replace(chunk, letters=(letter,)))
        await buffer.replace([row.offset], [SealedRow(3, at, at + 2, body)], ())
    await gateway.keeper.make_room()
    status = buffer.status()
    assert keeping.DISK_ROOM_BYTES <= status.free_page_bytes < 1.5 * keeping.DISK_ROOM_BYTES, "enough for the doors"
    assert 60 < status.sealed_rows < 120, "and no more"
    buffer.limit(0, 1 << 30)
    await gateway.append(1)
    await buffer.close()


async def test_a_disk_that_fills_up_counts_as_full(monkeypatch):
    gateway = Gateway(GatewaySettings(policy=DropPolicy.DROP_OLDEST, free_bytes_min=1 << 30))
    await fill(gateway, 2)
    await gateway.keeper.make_room()
    assert gateway.buffer.status().dropped == ()
    status = gateway.buffer.status()
    monkeypatch.setattr(gateway.buffer, "status", lambda: msgspec.structs.replace(status, free_bytes=(1 << 30) - 1))
    assert await gateway.keeper._give_up()
    monkeypatch.undo()
    assert sum(each.count for each in gateway.buffer.status().dropped) == 1000
    assert QUICK.policy is DropPolicy.REJECT
