"""Statistics over many spans at once: one pass over the readings, whatever the number of spans.

Sums of EXACT channels are exact integers (HUGEINT), those of MEASURED ones are compensated (Kahan), so that they do
not depend on the order in which the rows lie in the file. Memory is bounded by the readings of one statement, not by
the spans that are asked for.
"""

from collections.abc import Iterator
from enum import StrEnum

import duckdb
import msgspec
import numpy as np

from ringmain.adapters.embedded.timeseries_check import stretches
from ringmain.adapters.embedded.timeseries_intake import Int64s
from ringmain.adapters.embedded.timeseries_schema import registered
from ringmain.ports.timeseries import Aggregate

Connection = duckdb.DuckDBPyConnection

ROWS_MAX = 2_000_000
"""Readings that one statement may pass over before it is split: the median keeps every value of its group, and two
million of them fit easily into the smallest memory limit that makes sense."""


class Kind(StrEnum):
    """Which table a series has its readings in. MIXED: a channel whose kind was changed; it sums up as doubles."""

    EXACT = "exact"
    MEASURED = "measured"
    MIXED = "mixed"


_SOURCE = {
    Kind.EXACT: "SELECT device, channel, at_ms, value FROM readings_exact WHERE {bound}",
    Kind.MEASURED: "SELECT device, channel, at_ms, value FROM readings_measured WHERE {bound}",
    Kind.MIXED: """SELECT device, channel, at_ms, value::DOUBLE AS value FROM readings_exact WHERE {bound}
        UNION ALL SELECT device, channel, at_ms, value FROM readings_measured WHERE {bound}""",
}
_SUM = {Kind.EXACT: "sum", Kind.MEASURED: "fsum", Kind.MIXED: "fsum"}

# The bucket makes the join an equality: a reading meets the one or two spans around it, not all of its series.
_STATISTICS = """
SELECT s.span, count(*), {sum}(r.value), min(r.value), max(r.value), median(r.value)
FROM ({source}) r JOIN spans s ON s.device = r.device AND s.channel = r.channel AND s.bucket = r.at_ms // {step}
WHERE r.at_ms >= s.start_ms AND r.at_ms < s.end_ms GROUP BY s.span
"""


class Spans(msgspec.Struct, frozen=True):
    """Half-open spans of series, in columns."""

    device: Int64s
    channel: Int64s
    start_ms: Int64s
    end_ms: Int64s

    def take(self, rows: Int64s) -> "Spans":
        """Some of them."""
        return Spans(self.device[rows], self.channel[rows], self.start_ms[rows], self.end_ms[rows])

    def bound(self) -> str:
        """The condition on a reading to lie near any of them."""
        return (
            f"at_ms >= {int(self.start_ms.min())} AND at_ms < {int(self.end_ms.max())}"
            f" AND device BETWEEN {int(self.device.min())} AND {int(self.device.max())}"
            f" AND channel BETWEEN {int(self.channel.min())} AND {int(self.channel.max())}"
        )


def kind_of(*, exact: bool, measured: bool) -> Kind | None:
    """Where the readings of a series are; None where there are none."""
    if exact:
        return Kind.MIXED if measured else Kind.EXACT
    return Kind.MEASURED if measured else None


def aggregate_spans(connection: Connection, kind: Kind, spans: Spans) -> dict[int, Aggregate]:
    """Statistics of each span that holds a reading, by its place in `spans`."""
    found: dict[int, Aggregate] = {}
    for low, high in stretches(spans.start_ms):
        within = np.flatnonzero((spans.start_ms >= low) & (spans.start_ms <= high))
        for rows in _statements(connection, kind, spans, within):
            found.update(_aggregate(connection, kind, spans, rows))
    return found


def _statements(connection: Connection, kind: Kind, spans: Spans, rows: Int64s) -> Iterator[Int64s]:
    """Cut the spans into statements that pass over no more than ROWS_MAX readings: by time, then by series."""
    part = spans.take(rows)
    source = _SOURCE[kind].format(bound=part.bound())
    readings = connection.execute(f"SELECT count(*) FROM ({source})").fetchall()[0][0]  # noqa: S608 - numbers only
    if not readings:
        return
    if readings <= ROWS_MAX:
        yield rows
        return
    for column in (part.start_ms, part.device, part.channel):
        middle = np.sort(column)[len(column) // 2]
        lower = column < middle
        if lower.any():
            yield from _statements(connection, kind, spans, rows[lower])
            yield from _statements(connection, kind, spans, rows[~lower])
            return
    yield rows


def _aggregate(connection: Connection, kind: Kind, spans: Spans, rows: Int64s) -> Iterator[tuple[int, Aggregate]]:
    part = spans.take(rows)
    step = max(1, int((part.end_ms - part.start_ms).mean()))
    first = part.start_ms // step
    count = np.maximum(part.end_ms - 1, part.start_ms) // step - first + 1
    place = np.repeat(np.arange(len(rows)), count)
    columns = {
        "span": rows[place],
        "device": part.device[place],
        "channel": part.channel[place],
        "start_ms": part.start_ms[place],
        "end_ms": part.end_ms[place],
        "bucket": first[place] + np.arange(len(place)) - np.repeat(np.cumsum(count) - count, count),
    }
    query = _STATISTICS.format(sum=_SUM[kind], source=_SOURCE[kind].format(bound=part.bound()), step=step)
    with registered(connection, "spans", columns):
        result = connection.execute(query).fetchall()
    for span, readings, total, least, greatest, median in result:
        start, end = int(spans.start_ms[span]), int(spans.end_ms[span])
        yield span, Aggregate(start, end, readings, total, least, greatest, total / readings, median)
