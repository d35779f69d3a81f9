"""48 hours without an uplink, meters at 1 Hz: nothing lost, drained with live readings first, the disk as predicted.

The gateway's own services over its real buffer file; time is the test's. `make test` has four meters, `make prove` the
two hundred of the promise: 34.56 million readings on a real disk.
"""

import asyncio
import contextlib
import time
from array import array
from pathlib import Path
from random import Random

import pytest
from tests.campaigns.evidence import PROVE, record

from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.uplink import SimulatedUplink
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.bulk.codec import decode_chunk
from ringmain.model.errors import Failed
from ringmain.model.gateway import DropPolicy, GatewaySettings
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.planning.edge_buffer import Load, size
from ringmain.services.forwarding.keeping import Keeper
from ringmain.services.forwarding.service import Forwarding

METERS = 200 if PROVE else 4
HOURS = 48
MINUTE_S = 60
START_MS = 1_764_547_200_000
LIVE_MINUTES = 60
"""So many minutes of live readings come while the backlog drains."""


class Meters:
    """Registers of whole watt-hours at 1 Hz; or `volts`, which are noise and do not shrink so well."""

    def __init__(self, count: int, *, volts: bool = False) -> None:
        self._rng = Random(48)
        self._volts = volts
        self.registers = [self._rng.randrange(10**7) for _ in range(count)]
        self.names = {DeviceKey(key): DeviceId(f"meter-{key:04d}") for key in range(count)}

    def minute(self, minute: int) -> bytes:
        """A minute of all meters as one raw row, as the intake would have written some hundred."""
        devices, stamps, values = array("q"), array("q"), array("q")
        rng, at_ms = self._rng, START_MS + minute * MINUTE_S * 1000
        for key in range(len(self.registers)):
            register = self.registers[key]
            for second in range(MINUTE_S):
                register += rng.random() < 0.3
                stamps.append(at_ms + second * 1000)
                values.append(register)
            self.registers[key] = register
            devices.extend(array("q", (key,)) * MINUTE_S)
        if self._volts:
            noise = [round(230 + rng.gauss(0, 3), 2) for _ in stamps]
            block = block_of(("voltage_v",), devices, stamps, noise, exact=False)
        else:
            block = block_of(("import_wh",), devices, stamps, values, exact=True)
        return encode_batch(Batch(FORMAT, at_ms, (block,)))


class Platform:
    """Counts each reading in a byte of its own, and in which order live and old ones came."""

    def __init__(self, meters: int, minutes: int) -> None:
        self._seconds = minutes * MINUTE_S
        self.seen = [bytearray(self._seconds) for _ in range(meters)]
        self.backlog_from = START_MS + HOURS * 3_600_000
        self.live_first = 0
        self.backlog_left = True

    def take(self, _: str, payload: bytes) -> None:
        chunk = decode_chunk(payload, readings_max=10_000_000)
        for block in chunk.blocks:
            devices, stamps = block.devices.cast("q"), block.stamps.cast("q")
            if self.backlog_left and stamps[0] >= self.backlog_from:
                self.live_first += len(stamps)
            for index, at_ms in zip(devices, stamps, strict=True):
                seen = self.seen[int(chunk.names[index][6:])]
                at = (at_ms - START_MS) // 1000
                seen[at] = min(255, seen[at] + 1)

    def counts(self) -> tuple[int, int]:
        """Missing, and more than once."""
        missing = sum(seen.count(0) for seen in self.seen)
        return missing, sum(self._seconds - seen.count(0) - seen.count(1) for seen in self.seen)


class Gateway:
    """The gateway's services over a real buffer."""

    def __init__(self, buffer: EmbeddedBuffer, meters: Meters, platform: Platform, settings: GatewaySettings) -> None:
        self.buffer = buffer
        self.clock = SimulatedClock(START_MS)
        self.uplink = SimulatedUplink(platform.take)
        self.forwarding = Forwarding(buffer, self.uplink, self.clock, lambda: meters.names, settings)
        self.keeper = Keeper(
            buffer,
            self.uplink,
            self.clock,
            self.forwarding.lanes,
            settings,
            free=self.forwarding.free,
            gathering=self.forwarding.gathering,
            notice=self.forwarding.notice,
        )
        self.turned_away = 0
        buffer.limit(settings.buffer_bytes_max, settings.free_bytes_min)

    async def take(self, body: bytes) -> None:
        """As an intake does: what is not taken is not acknowledged, and the meters come again."""
        began = self.turned_away
        while not await self._taken(body):
            self.turned_away += 1
            assert self.turned_away < began + 500, "the doors stay closed although something could go"
            await self.keeper.make_room()
            await asyncio.sleep(0.002)

    async def _taken(self, body: bytes) -> bool:
        try:
            await self.buffer.append(body)
        except Failed as failed:
            if failed.code != "storage_full":
                raise
            return False
        return True

    async def minute(self, body: bytes) -> None:
        await self.take(body)
        self.clock.advance(MINUTE_S)
        await self.keeper.seal()
        await self.keeper.make_room()


async def offline(
    path: Path, settings: GatewaySettings, minutes: int, *, volts: bool = False
) -> tuple[Gateway, Meters, Platform]:
    meters = Meters(METERS, volts=volts)
    platform = Platform(METERS, minutes + LIVE_MINUTES)
    gateway = Gateway(await EmbeddedBuffer.open(path), meters, platform, settings)
    for minute in range(minutes):
        await gateway.minute(meters.minute(minute))
    gateway.clock.advance(MINUTE_S)
    await gateway.keeper.seal()
    return gateway, meters, platform


async def drain(gateway: Gateway, meters: Meters, platform: Platform, minutes: int) -> float:
    """Bring the uplink back; live readings come meanwhile. The clock's seconds that it took."""
    began_s = gateway.clock.monotonic_s()
    task = asyncio.ensure_future(gateway.forwarding.run())
    gateway.uplink.connect()
    gateway.forwarding.notice()
    live = 0
    while gateway.buffer.status().rows or live < LIVE_MINUTES:
        if live < LIVE_MINUTES:
            await gateway.take(meters.minute(minutes + live))
            live += 1
        gateway.clock.advance(0.5)
        platform.backlog_left = gateway.buffer.status().sealed_rows > 0
        await asyncio.sleep(0.002)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return gateway.clock.monotonic_s() - began_s


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(3000)
async def test_two_days_without_an_uplink(tmp_path):
    began_s = time.monotonic()
    minutes = HOURS * 60
    settings = GatewaySettings(send_every_ms=0, backlog_bytes_s=2_000_000)
    gateway, meters, platform = await offline(tmp_path / "buffer.sqlite", settings, minutes)
    full = gateway.buffer.status()
    readings = METERS * minutes * MINUTE_S
    assert full.readings == readings
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    predicted = size(Load(METERS, 1.0, jitter=False), HOURS).file_bytes
    assert 0.8 < predicted / on_disk < 1.25, f"`ringmain edge size` says {predicted:,}, the disk {on_disk:,}"
    took_s = await drain(gateway, meters, platform, minutes)
    missing, twice = platform.counts()
    status = gateway.buffer.status()
    await gateway.buffer.close()
    assert (missing, twice) == (0, 0)
    assert status.settled == status.taken == METERS * (minutes + LIVE_MINUTES) * MINUTE_S
    assert status.dropped == ()
    assert platform.live_first > 0, "live readings arrived while there still was a backlog"
    record(
        "edge_offline",
        meters=METERS,
        hours=HOURS,
        readings=readings,
        missing=missing,
        twice=twice,
        disk_bytes=on_disk,
        predicted_bytes=predicted,
        bytes_per_reading=round(on_disk / readings, 2),
        live_before_the_backlog_was_gone=platform.live_first,
        drain_virtual_s=round(took_s),
        seconds=round(time.monotonic() - began_s, 1),
    )


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("policy", [DropPolicy.DROP_OLDEST, DropPolicy.DOWNSAMPLE])
async def test_with_the_disk_too_small_the_policy_acts_and_counts(tmp_path, policy):
    minutes = HOURS * 60 // 4
    limit = METERS * minutes * MINUTE_S  # one byte a reading, where noise takes more than two
    settings = GatewaySettings(
        send_every_ms=0, backlog_bytes_s=2_000_000, policy=policy, buffer_bytes_max=limit, free_bytes_min=0
    )
    gateway, meters, platform = await offline(tmp_path / "buffer.sqlite", settings, minutes, volts=True)
    await drain(gateway, meters, platform, minutes)
    status = gateway.buffer.status()
    await gateway.buffer.close()
    dropped = sum(each.count for each in status.dropped)
    missing, twice = platform.counts()
    assert dropped > 0
    assert (missing, twice) == (dropped, 0), "every reading that is missing was counted, and no other"
    assert status.taken == status.settled + dropped
    by_device = {each.device: 0 for each in status.dropped}
    for each in status.dropped:
        by_device[each.device] += each.count
    for key, name in meters.names.items():
        assert platform.seen[key].count(0) == by_device.get(name, 0), name
    record(f"edge_small_disk_{policy.value}", meters=METERS, limit_bytes=limit, dropped=dropped, missing=missing)
