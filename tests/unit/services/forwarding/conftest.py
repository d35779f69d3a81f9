"""A gateway's buffer, a platform that answers when told, and the two services between them."""

import asyncio
import contextlib
from collections import Counter

import pytest

from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.uplink import SimulatedUplink
from ringmain.model.batch import FORMAT, Batch, DeadLetter, block_of, encode_batch
from ringmain.model.bulk.codec import decode_chunk
from ringmain.model.bulk.layout import CHUNK_READINGS_MAX
from ringmain.model.gateway import GatewaySettings
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.services.forwarding.keeping import Keeper
from ringmain.services.forwarding.service import Forwarding

QUICK = GatewaySettings(send_every_ms=0, backlog_bytes_s=1_000_000_000)


class Gateway:
    """`append` takes readings of meters 1..3; `arrived` is what the platform has acknowledged, each with its count."""

    def __init__(self, settings: GatewaySettings = QUICK, buffer=None) -> None:
        self.buffer = buffer or SimulatedBuffer()
        self.clock = SimulatedClock(0)
        self.uplink = SimulatedUplink(self.platform)
        self.arrived: Counter[tuple[str, int]] = Counter()
        self.letters: list[tuple[str, bytes]] = []
        self.order: list[int] = []
        self.refuse = None
        names = {DeviceKey(key): DeviceId(f"m{key}") for key in range(1, 4)}
        self.forwarding = Forwarding(self.buffer, self.uplink, self.clock, lambda: names, settings)
        self.keeper = Keeper(
            self.buffer,
            self.uplink,
            self.clock,
            self.forwarding.lanes,
            settings,
            free=self.forwarding.free,
            gathering=self.forwarding.gathering,
            notice=self.forwarding.notice,
        )

    def platform(self, name: str, payload: bytes) -> None:
        if self.refuse:
            raise self.refuse
        assert name == "chunks"
        assert len(payload) <= self.uplink.payload_bytes_max
        for device, at_ms in readings_of(payload):
            self.arrived[device, at_ms] += 1
            self.order.append(at_ms)
        chunk = decode_chunk(payload, readings_max=CHUNK_READINGS_MAX)
        self.letters += [(chunk.names[letter.device], letter.payload) for letter in chunk.letters]

    async def append(self, *stamps: int, device: int = 1) -> None:
        block = block_of(("import_wh",), [device] * len(stamps), stamps, list(stamps), exact=True)
        await self.buffer.append(encode_batch(Batch(FORMAT, 0, (block,))))

    async def append_letters(self, *payloads: bytes, device: int = 1) -> None:
        letters = tuple(DeadLetter(DeviceKey(device), 0, "mqtt", "telemetry", each, "r", "d") for each in payloads)
        await self.buffer.append(encode_batch(Batch(FORMAT, 0, (), letters)))

    @contextlib.asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.forwarding.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, what, seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                self.clock.advance(0.01)
                await asyncio.sleep(0.001)

    def connect(self) -> None:
        self.uplink.connect()
        self.forwarding.notice()

    def cut(self, *, arrived: bool = False) -> None:
        self.uplink.cut(arrived=arrived)
        self.forwarding.notice()


def readings_of(payload: bytes) -> list[tuple[str, int]]:
    chunk = decode_chunk(payload, readings_max=CHUNK_READINGS_MAX)
    return [
        (chunk.names[index], at_ms)
        for block in chunk.blocks
        for index, at_ms in zip(block.devices.cast("q"), block.stamps.cast("q"), strict=True)
    ]


@pytest.fixture
async def gateway():
    return Gateway()
