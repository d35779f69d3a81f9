"""Single readings in columns, in order of arrival: the form in which readings are looked up, quarantined and released.

The fast path of an append never builds it; see `timeseries_append`.
"""

from collections.abc import Sequence

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.adapters.embedded.timeseries_intake import Bools, Floats, Group, Int64s
from ringmain.adapters.embedded.timeseries_schema import insert

Connection = duckdb.DuckDBPyConnection


class Columns(msgspec.Struct, frozen=True):
    """Single readings in order of arrival. `exact` says which of the two values counts."""

    device: Int64s
    channel: Int64s
    at_ms: Int64s
    exact: Bools
    exact_value: Int64s
    measured_value: Floats
    arrival: Bools
    received_ms: Int64s

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: Int64s | Bools) -> "Columns":
        """Some of them, in the order of `rows`."""
        return Columns(*(getattr(self, name)[rows] for name in self.__struct_fields__))


def empty() -> Columns:
    """No readings."""
    none, no = np.empty(0, np.int64), np.empty(0, np.bool_)
    return Columns(none, none, none, no, none, np.empty(0, np.float64), no, none)


def of_groups(groups: Sequence[tuple[Group, tuple[int, ...], Int64s]]) -> Columns:
    """The readings of groups, each with the numbers of its channels and when its messages were received; put in
    order of arrival.
    """
    if not groups:
        return empty()
    parts = [_of_group(*each) for each in groups]
    if len(parts) == 1:
        return parts[0]
    joined = Columns(*(np.concatenate([getattr(part, name) for part in parts]) for name in Columns.__struct_fields__))
    order = np.concatenate([np.repeat(group.order, len(channels)) for group, channels, _ in groups])
    return joined.take(np.argsort(order, kind="stable"))


def _of_group(group: Group, channels: tuple[int, ...], received_ms: Int64s) -> Columns:
    n, k = group.messages, len(channels)
    values: NDArray[np.generic] = group.values.ravel()
    none = np.zeros(n * k, np.float64 if group.exact else np.int64)
    return Columns(
        device=np.repeat(group.devices, k),
        channel=np.tile(np.array(channels, np.int64), n),
        at_ms=np.repeat(group.stamps, k),
        exact=np.full(n * k, group.exact),
        exact_value=np.asarray(values if group.exact else none, np.int64),
        measured_value=np.asarray(none if group.exact else values, np.float64),
        arrival=np.full(n * k, group.arrival),
        received_ms=np.repeat(received_ms, k),
    )


def write_quarantine(connection: Connection, columns: Columns) -> None:
    """Keep readings apart until their device is active."""
    insert(
        connection,
        "quarantine",
        {
            "device": columns.device,
            "channel": columns.channel,
            "at_ms": columns.at_ms,
            "exact": np.ma.masked_array(columns.exact_value, ~columns.exact),
            "measured": np.ma.masked_array(columns.measured_value, columns.exact),
            "arrival": columns.arrival,
            "received_ms": columns.received_ms,
        },
    )


def read_quarantine(connection: Connection, device: int) -> Columns:
    """A device's quarantined readings, in the order in which they arrived."""
    found = connection.execute(
        "SELECT device, channel, at_ms, exact IS NOT NULL AS is_exact, coalesce(exact, 0) AS exact,"
        # Neither value: DuckDB took a NaN out of numpy for NULL.
        " coalesce(measured, 'nan'::DOUBLE) AS measured, arrival, received_ms FROM quarantine"
        " WHERE device = ? ORDER BY rowid",
        [device],
    ).fetchnumpy()
    return Columns(
        device=np.asarray(found["device"], np.int64),
        channel=np.asarray(found["channel"], np.int64),
        at_ms=np.asarray(found["at_ms"], np.int64),
        exact=np.asarray(found["is_exact"], np.bool_),
        exact_value=np.asarray(found["exact"], np.int64),
        measured_value=np.asarray(found["measured"], np.float64),
        arrival=np.asarray(found["arrival"], np.bool_),
        received_ms=np.asarray(found["received_ms"], np.int64),
    )
