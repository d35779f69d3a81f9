"""One suite over every home of the outcomes port: the books, and what did not become a reading."""

import pytest

from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.model.batch import FORMAT, Batch, DeadLetter, Rejection, block_of, encode_batch
from ringmain.ports.outcomes import StoredDeadLetter, Tally
from ringmain.ports.queue import Entry

T0 = 1_700_000_000_000


class NoWindows:
    """Nobody aggregates here."""

    def windows(self, device, at_ms):
        return ()


@pytest.fixture(params=["embedded", "simulated"])
async def store(request, tmp_path):
    if request.param == "simulated":
        store = SimulatedTimeSeries(NoWindows(), SimulatedClock())
    else:
        store = await open_timeseries(tmp_path, NoWindows(), SimulatedClock(), memory_mib=128, threads=1)
    yield store
    await store.close()


def readings(offset, rows, *, quarantined=False):
    devices, stamps, values = zip(*rows, strict=True)
    block = block_of(("energy_wh",), devices, stamps, values, exact=True, quarantined=quarantined)
    return Entry(offset, encode_batch(Batch(FORMAT, T0, (block,))))


def letters(offset, *found):
    return Entry(offset, encode_batch(Batch(FORMAT, T0, dead_letters=found)))


def letter(device, payload=b"{oops", topic="t/1"):
    return DeadLetter(device, T0 + 5, "mqtt", topic, payload, "undecodable_payload", "expected a number")


async def test_empty_books(store):
    assert list(await store.outcomes.tally(None)) == []
    assert list(await store.outcomes.tally([])) == []
    assert list(await store.outcomes.conflicts(None, after=0, limit=10)) == []
    assert list(await store.outcomes.dead_letters(None, after=0, limit=10)) == []


async def test_no_devices_is_not_all_devices(store):
    await store.append([readings(1, [(7, T0, 1), (7, T0, 2)]), letters(2, letter(7))])
    assert list(await store.outcomes.tally([])) == []
    assert list(await store.outcomes.conflicts([], after=0, limit=10)) == []
    assert list(await store.outcomes.dead_letters([], after=0, limit=10)) == []


async def test_every_outcome_stands_in_the_books_of_its_device(store):
    await store.append([readings(1, [(7, T0, 1), (7, T0 + 1, 1), (8, T0, 1)])])
    await store.append([readings(2, [(7, T0, 1), (7, T0, 2)]), readings(3, [(7, T0 + 9, 1)], quarantined=True)])
    rejected = (
        Rejection(7, "device_suspended", 4),
        Rejection(7, "foreign_device", 1),
        Rejection(8, "foreign_device", 2),
    )
    await store.append([Entry(4, encode_batch(Batch(FORMAT, T0, rejections=rejected))), letters(5, letter(7))])
    assert list(await store.outcomes.tally([7])) == [
        Tally("conflict", "", 1),
        Tally("dead_letter", "undecodable_payload", 1),
        Tally("duplicate", "", 1),
        Tally("quarantined", "", 1),
        Tally("received", "", 11),
        Tally("rejected", "device_suspended", 4),
        Tally("rejected", "foreign_device", 1),
        Tally("stored", "", 2),
    ]
    everyone = {(tally.outcome, tally.reason): tally.count for tally in await store.outcomes.tally(None)}
    assert everyone["rejected", "foreign_device"] == 3
    assert everyone["received", ""] == 14


@pytest.mark.slow
async def test_a_checkpoint_changes_nothing_in_the_books(store):
    for offset in range(1, 20):
        await store.append(
            [
                readings(offset, [(7, T0 + offset, 1), (8, T0, offset % 3)]),
            ]
        )
    before = [await store.outcomes.tally(devices) for devices in (None, [7], [8])]
    assert await store.checkpoint() == 19
    assert await store.checkpoint() == 19
    assert [await store.outcomes.tally(devices) for devices in (None, [7], [8])] == before


async def test_dead_letters_come_in_pages_as_they_were(store):
    payloads = [bytes([0, 255, n]) for n in range(4)] + [b""]
    await store.append([letters(3, *(letter(7, payload) for payload in payloads[:2]), letter(8, b"x"))])
    await store.append([letters(9, *(letter(7, payload, "ünicode/\x01") for payload in payloads[2:]))])
    found, after = [], 0
    while page := await store.outcomes.dead_letters([7], after=after, limit=2):
        assert len(page) <= 2
        found.extend(page)
        after = page[-1].id
    assert [each.payload for each in found] == payloads
    assert found[-1] == StoredDeadLetter(
        found[-1].id, 9, 7, T0 + 5, "mqtt", "ünicode/\x01", b"", "undecodable_payload", "expected a number"
    )
    assert len(await store.outcomes.dead_letters(None, after=0, limit=100)) == 6


async def test_conflicts_come_in_pages(store):
    await store.append([readings(1, [(7, T0 + n, 1) for n in range(5)])])
    await store.append([readings(2, [(7, T0 + n, 2) for n in range(5)])])
    first = await store.outcomes.conflicts([7, 8], after=0, limit=3)
    rest = await store.outcomes.conflicts([7, 8], after=first[-1].id, limit=3)
    assert [each.at_ms - T0 for each in (*first, *rest)] == [0, 1, 2, 3, 4]
    assert list(await store.outcomes.conflicts([8], after=0, limit=3)) == []
