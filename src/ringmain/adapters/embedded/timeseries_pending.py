"""Which windows have readings that no revision covers yet: marked in the transaction of those readings.

The plan is asked once for a quarter of an hour of a device, not once for a reading: that is the grain of every civil
time, and the port promises the same answer within it.
"""

from collections.abc import Iterable, Sequence

import duckdb
import numpy as np

from ringmain.adapters.embedded.timeseries_intake import Int64s
from ringmain.adapters.embedded.timeseries_schema import PENDING, Names, insert
from ringmain.model.ids import DeviceKey
from ringmain.model.time import MINUTE_MS
from ringmain.ports.windows import WindowKey, WindowPlan

Connection = duckdb.DuckDBPyConnection

QUARTER_MS = 15 * MINUTE_MS
QUARTER_BITS = 23
"""`INSTANT_MAX` holds 4.6 million quarters of an hour, so (slot, quarter) packs into one 64-bit number."""

SEEN_MAX = 200_000
"""Remembered quarters. Forgetting one costs a call of the plan, some microseconds; remembering it about 100 bytes."""


class Pending:
    """The marks, in memory as they stand in the table. Only the writer thread changes them."""

    def __init__(self, connection: Connection, plan: WindowPlan, channels: Names, sizes: Names) -> None:
        self._plan = plan
        self._channels = channels
        self._sizes = sizes
        self._seen: set[tuple[tuple[int, ...], int]] = set()
        rows = connection.execute(PENDING).fetchall()
        self._keys = {
            WindowKey(DeviceKey(device), channels.name(channel), sizes.name(size), start, end): None
            for device, channel, size, start, end, _ in rows
        }
        self._fresh: list[WindowKey] = []

    def keys(self) -> Sequence[WindowKey]:
        """All pending windows. A dictionary is copied in one step, so that any thread may ask."""
        return list(self._keys)

    def has(self, key: WindowKey) -> bool:
        """Whether a window is pending."""
        return key in self._keys

    def touch(self, channels: tuple[int, ...], keys: Int64s, slots: Int64s, stamps: Int64s) -> None:
        """Readings of these channels are being stored: `keys[slot]` is the device of each stamp."""
        pairs = np.unique((slots << QUARTER_BITS) | (stamps // QUARTER_MS))
        for pair in pairs.tolist():
            if (channels, pair) in self._seen:
                continue
            self._seen.add((channels, pair))
            device = DeviceKey(int(keys[pair >> QUARTER_BITS]))
            start = (pair & ((1 << QUARTER_BITS) - 1)) * QUARTER_MS
            for size, start_ms, end_ms in self._plan.windows(device, start):
                for channel in channels:
                    key = WindowKey(device, self._channels.name(channel), size, start_ms, end_ms)
                    if key not in self._keys:
                        self._keys[key] = None
                        self._fresh.append(key)
        if len(self._seen) > SEEN_MAX:
            self._seen.clear()

    def write(self, connection: Connection) -> None:
        """Write the marks of what was touched since the last call."""
        if self._fresh:
            self._insert(connection, self._fresh, 1)
            self._fresh = []

    def write_settled(self, connection: Connection, keys: Sequence[WindowKey]) -> None:
        """Write that these windows are covered."""
        self._insert(connection, keys, -1)

    def forget(self, keys: Iterable[WindowKey]) -> None:
        """These windows are covered, and that is committed: the next reading marks them again."""
        for key in keys:
            del self._keys[key]
        self._seen.clear()

    def _insert(self, connection: Connection, keys: Sequence[WindowKey], mark: int) -> None:
        columns = window_columns(connection, keys, self._channels, self._sizes)
        insert(connection, "windows_pending", {**columns, "mark": np.full(len(keys), mark, np.int32)})


def window_columns(
    connection: Connection, keys: Sequence[WindowKey], channels: Names, sizes: Names
) -> dict[str, Int64s]:
    """Windows as the columns that the tables have in common."""
    return {
        "device": np.array([key.device for key in keys], np.int64),
        "channel": np.array([channels.id_of(connection, key.channel) for key in keys], np.int64),
        "size": np.array([sizes.id_of(connection, key.size) for key in keys], np.int64),
        "start_ms": np.array([key.start_ms for key in keys], np.int64),
        "end_ms": np.array([key.end_ms for key in keys], np.int64),
    }
