"""What appending to the embedded time-series store costs, by batch size, on an empty and on a filled store, and how
memory behaves. `per core` divides by processor time instead of the clock's: the figure to compare on a busy machine.
Usage: python bench/store.py [--rows 20000000] [--threads 1] [--memory-mib 256]

One process, one writer thread; batches are made beforehand, as the ingest log holds them. Takes under a minute.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from ringmain.adapters.embedded.timeseries import EmbeddedTimeSeries, open_timeseries
from ringmain.model.batch import FORMAT, Batch, Block, Stamped, encode_batch
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import DAY_MS, HOUR_MS
from ringmain.ports.queue import Entry

CHANNELS = ("energy_kwh", "voltage_v", "current_a")
DEVICES = 100
START_MS = 1_700_000_000_000


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class HoursAndDays:
    def windows(self, device, at_ms):  # noqa: ARG002 - the port asks with a device
        hour, day = at_ms - at_ms % HOUR_MS, at_ms - at_ms % DAY_MS
        return ("1h", hour, hour + HOUR_MS), ("day", day, day + DAY_MS)


class Fleet:
    """Messages of three values, one a second and device, device by device: every stamp is fresh."""

    def __init__(self) -> None:
        self.messages = 0
        self.offset = 0
        self._random = np.random.default_rng(1)

    def entry(self, messages: int) -> Entry:
        place = np.arange(self.messages, self.messages + messages, dtype=np.int64)
        block = Block(
            CHANNELS,
            exact=False,
            stamped=Stamped.DEVICE,
            quarantined=False,
            devices=memoryview(1 + place % DEVICES).cast("B"),
            stamps=memoryview(START_MS + 1000 * (place // DEVICES)).cast("B"),
            values=memoryview(self._random.random(messages * 3).round(3)).cast("B"),
        )
        self.messages += messages
        self.offset += 1
        return Entry(Offset(self.offset), encode_batch(Batch(FORMAT, START_MS, (block,))))

    def stale_entry(self, entry: Entry) -> Entry:
        self.offset += 1
        return Entry(Offset(self.offset), entry.body)


async def rate(store: EmbeddedTimeSeries, fleet: Fleet, readings: int, batches: int, label: str) -> None:
    messages = max(1, readings // 3)
    entries = [fleet.entry(messages) for _ in range(batches)]
    times, cpu = [], time.process_time()
    for entry in entries:
        begun = time.perf_counter()
        await store.append([entry])
        times.append(time.perf_counter() - begun)
    cpu = time.process_time() - cpu
    times.sort()
    total = sum(times)
    stored = messages * 3 * batches
    print(
        f"{label:6} {readings:>7} readings/batch: {stored / total:>11,.0f} readings/s, "
        f"{stored / cpu:>11,.0f} per core, "
        f"p50 {times[len(times) // 2] * 1e3:7.2f} ms, max {times[-1] * 1e3:7.2f} ms"
    )


async def rates(store: EmbeddedTimeSeries, fleet: Fleet, label: str) -> None:
    for readings, batches in ((100_000, 15), (50_000, 30), (10_000, 60), (1_000, 100), (20, 200)):
        await rate(store, fleet, readings, batches, label)


async def fill(store: EmbeddedTimeSeries, fleet: Fleet, rows: int) -> None:
    """Batches of 10,000 messages, with the memory after every 3 million readings."""
    process, next_report = psutil.Process(), 0
    begun, cpu, first = time.perf_counter(), process.cpu_times(), fleet.messages
    while fleet.messages * 3 < rows:
        await store.append([fleet.entry(10_000)])
        if fleet.messages * 3 >= next_report:
            print(
                f"fill   {fleet.messages * 3 / 1e6:5.1f} M readings: {process.memory_info().rss / 2**20:6.1f} MiB RSS"
            )
            next_report += 3_000_000
    seconds, used = time.perf_counter() - begun, process.cpu_times()
    print(
        f"fill   {(fleet.messages - first) * 3 / seconds:,.0f} readings/s with their making and checkpoints, "
        f"{(used.user + used.system - cpu.user - cpu.system) / seconds:.2f} cores"
    )


async def repeats(store: EmbeddedTimeSeries, fleet: Fleet) -> None:
    """The same batch again: every reading is looked up and found."""
    entry = fleet.entry(10_000)
    await store.append([entry])
    begun = time.perf_counter()
    again = await store.append([fleet.stale_entry(entry)])
    print(f"repeat {again.duplicates} duplicates in {(time.perf_counter() - begun) * 1e3:.1f} ms")


async def reads(store: EmbeddedTimeSeries) -> None:
    keys = await store.windows.pending()
    begun = time.perf_counter()
    settled = await store.windows.settle(keys, START_MS)
    print(f"settle {len(settled)} windows in {(time.perf_counter() - begun) * 1e3:.0f} ms")
    begun = time.perf_counter()
    offset = await store.checkpoint()
    print(f"checkpoint at offset {offset} in {(time.perf_counter() - begun) * 1e3:.0f} ms")
    marks = await store.windows.watermarks()
    print(f"watermarks of {len(marks)} devices; latest of one: {await store.latest(DeviceKey(1))}")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-mib", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as directory:
        store = await open_timeseries(
            Path(directory), HoursAndDays(), SystemClock(), memory_mib=options.memory_mib, threads=options.threads
        )
        fleet = Fleet()
        await rates(store, fleet, "empty")
        await fill(store, fleet, options.rows)
        await rates(store, fleet, "filled")
        await repeats(store, fleet)
        await reads(store)
        await store.close()
        begun = time.perf_counter()
        store = await open_timeseries(
            Path(directory), HoursAndDays(), SystemClock(), memory_mib=options.memory_mib, threads=options.threads
        )
        print(f"open   {(time.perf_counter() - begun) * 1e3:.0f} ms with {fleet.messages * 3 / 1e6:.1f} M readings")
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
