"""The prediction beside the real thing: a buffer file with sealed chunks of each kind of values."""

from array import array
from pathlib import Path
from random import Random

import pytest

from ringmain.adapters.embedded import buffer_room
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.bulk.codec import encode_chunk
from ringmain.model.bulk.gather import chunk_of
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.planning import edge_buffer
from ringmain.planning.edge_buffer import CHUNK_READINGS, Load, size
from ringmain.ports.buffer import SealedRow

CHUNKS = 10
START_MS = 1_764_547_200_000
WITHIN = 0.2

LOADS = [
    Load(200, 1.0, jitter=False),
    Load(200, 1.0, jitter=True),
    Load(200, 1.0, registers=1, decimals=1, jitter=True),
    Load(200, 1.0, registers=0, decimals=2, jitter=False),
    Load(200, 1.0, registers=0, fulls=1, jitter=True),
    Load(20, 1.0, registers=2, decimals=1, fulls=1, jitter=False),
    Load(1000, 10.0, jitter=False),
    Load(4000, 30.0, jitter=True),
]


class Meters:
    """The load, chunk by chunk."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rng = Random(7)
        self._registers = [[self._rng.randrange(10**7) for _ in range(load.registers)] for _ in range(load.meters)]
        self._names = {DeviceKey(key): DeviceId(f"meter-{key:04d}") for key in range(load.meters)}
        self._at_ms = START_MS

    def _growth(self) -> int:
        """Watt-hours of a kilowatt, more or less."""
        every_s = self._load.every_s
        if every_s <= 1:
            return int(self._rng.random() < 0.3)
        return max(0, round(self._rng.gauss(0.3 * every_s, 0.1 * every_s)))

    def chunk(self) -> bytes:
        load, rng = self._load, self._rng
        devices, stamps = array("q"), array("q")
        exact, measured = array("q"), array("d")
        while len(devices) * load.channels < CHUNK_READINGS:
            for key in range(load.meters):
                devices.append(key)
                stamps.append(self._at_ms + (rng.randrange(1000) if load.jitter else 0))
                registers = self._registers[key]
                for at in range(load.registers):
                    registers[at] += self._growth()
                exact.extend(registers)
                measured.extend(round(rng.gauss(230, 3), 2) for _ in range(load.decimals))
                measured.extend(rng.gauss(230, 3) for _ in range(load.fulls))
            self._at_ms += round(load.every_s * 1000)
        blocks = []
        if load.registers:
            names = tuple(f"register_{at}" for at in range(load.registers))
            blocks.append(block_of(names, devices, stamps, exact, exact=True))
        if load.decimals or load.fulls:
            names = tuple(f"value_{at}" for at in range(load.decimals + load.fulls))
            blocks.append(block_of(names, devices, stamps, measured, exact=False))
        return encode_chunk(chunk_of([Batch(FORMAT, self._at_ms, tuple(blocks))], self._names))


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS, ids=str)
async def test_the_prediction_is_within_a_fifth_of_the_file(load: Load, tmp_path: Path) -> None:
    meters = Meters(load)
    buffer = await EmbeddedBuffer.open(tmp_path / "buffer.sqlite")
    row = await buffer.append(encode_batch(Batch(FORMAT, 0)))
    chunks = [SealedRow(CHUNK_READINGS, 0, 0, meters.chunk()) for _ in range(CHUNKS)]
    await buffer.replace([row], chunks, [])
    status = buffer.status()
    on_disk = status.file_bytes + (tmp_path / "buffer.sqlite.reserve").stat().st_size
    await buffer.close()
    hours = CHUNKS * CHUNK_READINGS / load.readings_s / 3600
    predicted = size(load, hours)
    assert predicted.chunk_bytes == pytest.approx(status.sealed_bytes, rel=WITHIN)
    assert predicted.file_bytes == pytest.approx(on_disk, rel=WITHIN)
    grows = size(load, 2 * hours).file_bytes - predicted.file_bytes
    assert grows == pytest.approx(status.used_bytes - edge_buffer.FILE_BYTES, rel=WITHIN), "without what is fixed"


def test_what_is_fixed_is_what_the_buffer_allocates() -> None:
    assert edge_buffer.LOG_BYTES == buffer_room.LOG_BYTES
    assert edge_buffer.RESERVE_BYTES == buffer_room.RESERVE_BYTES
    assert edge_buffer.AHEAD_BYTES * 2 == buffer_room.GROW_BYTES
    assert edge_buffer.PAGE_BYTES == buffer_room.PAGE_BYTES
