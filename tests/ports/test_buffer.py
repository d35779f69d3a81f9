"""The buffer's contract, over every home: durable rows, settled or replaced, never lost, every drop counted."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, Offset
from ringmain.ports.buffer import Dropped, SealedRow

FAR = 1 << 30


def body(*stamps: int) -> bytes:
    return encode_batch(
        Batch(FORMAT, 0, (block_of(("a_wh", "b_wh"), [1] * len(stamps), stamps, [7] * 2 * len(stamps), exact=True),))
    )


def sealed(readings: int, text: bytes = b"chunk") -> SealedRow:
    return SealedRow(readings, 5, 9, text)


@pytest.fixture(params=["embedded", "simulated"])
async def buffer(request, tmp_path):
    home = await EmbeddedBuffer.open(tmp_path / "buffer.sqlite") if request.param == "embedded" else SimulatedBuffer()
    yield home
    await home.close()


async def test_what_was_appended_is_read_in_order(buffer):
    bodies = [body(10, 30), body(20), body()]
    offsets = [await buffer.append(each) for each in bodies]
    assert offsets == sorted(set(offsets))
    rows = await buffer.read(Offset(0), FAR)
    assert [row.body for row in rows] == bodies
    assert [(row.offset, row.sealed, row.readings, row.first_ms, row.last_ms) for row in rows] == [
        (offsets[0], False, 4, 10, 30),
        (offsets[1], False, 2, 20, 20),
        (offsets[2], False, 0, 0, 0),
    ]
    assert [row.offset for row in await buffer.read(offsets[0], FAR)] == offsets[1:]
    assert list(await buffer.read(offsets[2], FAR)) == []


async def test_a_read_ends_when_it_is_large_enough_and_has_at_least_one_row(buffer):
    offsets = [await buffer.append(body(at)) for at in range(5)]
    assert [row.offset for row in await buffer.read(Offset(0), 1)] == offsets[:1]
    assert [row.offset for row in await buffer.read(Offset(0), 2 * len(body(0)))] == offsets[:2]


async def test_settled_rows_are_gone_and_counted_and_may_be_settled_again(buffer):
    offsets = [await buffer.append(body(at)) for at in range(4)]
    await buffer.settle([offsets[1], offsets[2]])
    await buffer.settle([offsets[1], Offset(999)])
    assert [row.offset for row in await buffer.read(Offset(0), FAR)] == [offsets[0], offsets[3]]
    status = buffer.status()
    assert (status.taken, status.settled, status.readings, status.rows) == (8, 4, 4, 2)
    assert (status.first, status.last) == (offsets[0], offsets[3])


async def test_replacing_is_one_act(buffer):
    offsets = [await buffer.append(body(at)) for at in range(4)]
    fresh = await buffer.replace(
        offsets[:3], [sealed(4), sealed(2, b"more")], [Dropped(DeviceId("m1"), "downsampled", 1)]
    )
    assert len(fresh) == 2
    assert min(fresh) > offsets[3]
    assert [row.body for row in await buffer.read(Offset(0), FAR, sealed=True)] == [b"chunk", b"more"]
    assert [row.offset for row in await buffer.read(Offset(0), FAR, sealed=False)] == [offsets[3]]
    assert [row.offset for row in await buffer.read(Offset(0), FAR)] == [offsets[3], *fresh]
    status = buffer.status()
    assert (status.sealed_rows, status.sealed_readings, status.sealed_bytes) == (2, 6, 9)
    assert status.dropped == (Dropped(DeviceId("m1"), "downsampled", 1),)
    assert status.readings == 8


async def test_rows_that_are_gone_replace_nothing(buffer):
    offsets = [await buffer.append(body(at)) for at in range(2)]
    await buffer.settle(offsets[:1])
    with pytest.raises(Refused):
        await buffer.replace(offsets, [sealed(4)], [Dropped(DeviceId("m1"), "drop_oldest", 4)])
    assert [row.offset for row in await buffer.read(Offset(0), FAR)] == [offsets[1]]
    assert buffer.status().dropped == ()


async def test_drops_add_up_by_device_and_reason(buffer):
    for reason in ("drop_oldest", "drop_oldest", "downsampled"):
        offset = await buffer.append(body(1))
        await buffer.replace([offset], [], [Dropped(DeviceId("m1"), reason, 2), Dropped(DeviceId("m2"), reason, 1)])
    assert {(each.device, each.reason): each.count for each in buffer.status().dropped} == {
        ("m1", "drop_oldest"): 4,
        ("m2", "drop_oldest"): 2,
        ("m1", "downsampled"): 2,
        ("m2", "downsampled"): 1,
    }


async def test_raw_readings_are_those_of_raw_rows_behind_an_offset(buffer):
    offsets = [await buffer.append(body(*range(at))) for at in range(1, 5)]
    assert [buffer.raw_readings(Offset(after)) for after in (0, *offsets)] == [20, 18, 14, 8, 0]
    await buffer.settle([offsets[2]])
    await buffer.replace([offsets[0]], [sealed(2)], [])
    assert buffer.raw_readings(Offset(0)) == 12
    assert buffer.raw_readings(offsets[3]) == 0


async def test_waiting_ends_with_a_raw_row_and_not_with_a_sealed_one(buffer):
    first = await buffer.append(body(1))
    await asyncio.wait_for(buffer.wait(Offset(0)), 1)
    waiting = asyncio.ensure_future(buffer.wait(first))
    await buffer.replace([first], [sealed(2)], [])
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await buffer.append(body(2))
    await asyncio.wait_for(waiting, 1)


async def test_at_its_limit_it_takes_nothing_and_goes_on_when_there_is_room(buffer):
    offset = await buffer.append(body(*range(50)))
    if isinstance(buffer, EmbeddedBuffer):
        buffer.limit(buffer.status().used_bytes, 0)
    else:
        buffer.bytes_max = buffer.status().used_bytes
    with pytest.raises(Failed) as failed:
        await buffer.append(body(*range(2000)))
    assert failed.value.code == "storage_full"
    assert buffer.status().taken == 100
    await buffer.settle([offset])
    if isinstance(buffer, EmbeddedBuffer):
        buffer.limit(0, 0)
    else:
        buffer.bytes_max = FAR
    await buffer.append(body(*range(2000)))
    assert buffer.status().taken == 4100


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["append", "settle", "seal", "drop"]), st.integers(0, 9)), max_size=25))
async def test_nothing_vanishes_uncounted(buffer, steps):
    """`taken = readings + settled + dropped`, whatever is done to it."""
    for step, at in steps:
        rows = list(await buffer.read(Offset(0), FAR))
        if step == "append" or not rows:
            await buffer.append(body(*range(at)))
            continue
        row = rows[at % len(rows)]
        if step == "settle":
            await buffer.settle([row.offset])
        elif step == "seal":
            await buffer.replace([row.offset], [sealed(row.readings)], [])
        else:
            await buffer.replace([row.offset], [], [Dropped(DeviceId("m"), "drop_oldest", row.readings)])
    status = buffer.status()
    rows = await buffer.read(Offset(0), FAR)
    assert status.taken == status.readings + status.settled + sum(each.count for each in status.dropped)
    assert status.readings == sum(row.readings for row in rows)
    assert status.bytes == sum(len(row.body) for row in rows)
    assert status.rows == len(rows)
