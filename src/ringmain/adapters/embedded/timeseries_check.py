"""The careful half of an append: readings that may already be there are looked up in the file and sorted out.

Deterministic: in order of arrival the first value of a key wins; equal again is a duplicate, another value a
conflict. A key is (device, channel, event time) whatever its kind, so that a channel whose kind was changed does not
store an interval twice. Look-ups are bounded by the readings' own stamps, cut where those lie far apart.
"""

from collections.abc import Iterator

import duckdb
import msgspec
import numpy as np

from ringmain.adapters.embedded.timeseries_columns import Columns
from ringmain.adapters.embedded.timeseries_intake import Bools, Floats, Int64s
from ringmain.adapters.embedded.timeseries_schema import registered
from ringmain.model.time import DAY_MS

Connection = duckdb.DuckDBPyConnection

GAP_MS = 7 * DAY_MS
"""Stamps further apart than this are looked up in statements of their own: a file is ordered roughly by time, and a
bound that reaches over an empty week reads rows for nothing."""

LOOKUPS_MAX = 8
"""Statements per look-up: beyond it the nearest stretches share one, because each costs about a millisecond."""

_LOOK_UP = """
SELECT n.needle, r.value FROM needles n
JOIN {table} r ON r.device = n.device AND r.channel = n.channel AND r.at_ms = n.at_ms
WHERE r.at_ms BETWEEN $1 AND $2 AND n.at_ms BETWEEN $1 AND $2
"""


class Checked(msgspec.Struct, frozen=True):
    """What the readings came to, as masks over them. `stored_*` is what the key holds already, for conflicts."""

    new: Bools
    duplicate: Bools
    conflict: Bools
    stored_is_exact: Bools
    stored_exact: Int64s
    stored_measured: Floats


def check(connection: Connection, columns: Columns, kinds: tuple[bool, bool]) -> Checked:
    """Sort out readings against the file and against each other. `kinds` tells which tables, (exact, measured),
    have readings of any of these channels.
    """
    count = len(columns)
    found = np.zeros(count, np.bool_)
    is_exact = columns.exact.copy()
    exact_value = columns.exact_value.copy()
    measured_value = columns.measured_value.copy()
    if kinds[1]:
        rows, values = _look_up(connection, "readings_measured", columns)
        found[rows], is_exact[rows], measured_value[rows] = True, False, values
    if kinds[0]:
        rows, exact_values = _look_up(connection, "readings_exact", columns)
        found[rows], is_exact[rows], exact_value[rows] = True, True, exact_values

    order = np.lexsort((np.arange(count), columns.at_ms, columns.channel, columns.device))
    first = np.ones(count, np.bool_)
    first[1:] = (
        (columns.device[order][1:] != columns.device[order][:-1])
        | (columns.channel[order][1:] != columns.channel[order][:-1])
        | (columns.at_ms[order][1:] != columns.at_ms[order][:-1])
    )
    # The row whose value a key has: the first of its readings, with the stored value put in its place above.
    holder = np.empty(count, np.int64)
    holder[order] = order[first][np.cumsum(first) - 1]
    is_first = holder == np.arange(count)
    stored_is_exact, stored_exact = is_exact[holder], exact_value[holder]
    stored_measured = measured_value[holder]
    new = is_first & ~found
    same = _equal(columns, stored_is_exact, stored_exact, stored_measured)
    return Checked(new, ~new & same, ~new & ~same, stored_is_exact, stored_exact, stored_measured)


def stretches(starts: Int64s, gap_ms: int = GAP_MS, count_max: int = LOOKUPS_MAX) -> Iterator[tuple[int, int]]:
    """[least, greatest] of each run of instants that have no wide gap between them; at most `count_max` runs."""
    ordered = np.sort(starts)
    gaps = np.diff(ordered)
    cuts = np.flatnonzero(gaps > gap_ms)
    if len(cuts) >= count_max:
        cuts = np.sort(cuts[np.argsort(gaps[cuts])[len(cuts) - count_max + 1 :]])
    begin = 0
    for cut in [*cuts.tolist(), len(ordered) - 1]:
        yield int(ordered[begin]), int(ordered[cut])
        begin = cut + 1


def _look_up(connection: Connection, table: str, columns: Columns) -> tuple[Int64s, Int64s | Floats]:
    rows, values = [], []
    needles = {
        "needle": np.arange(len(columns)),
        "device": columns.device,
        "channel": columns.channel,
        "at_ms": columns.at_ms,
    }
    with registered(connection, "needles", needles):
        for low, high in stretches(columns.at_ms):
            found = connection.execute(_LOOK_UP.format(table=table), [low, high]).fetchnumpy()
            rows.append(np.asarray(found["needle"], np.int64))
            values.append(np.asarray(found["value"]))
    return np.concatenate(rows), np.concatenate(values)


def _equal(columns: Columns, stored_is_exact: Bools, stored_exact: Int64s, stored_measured: Floats) -> Bools:
    """IS NOT DISTINCT FROM: a NaN equals a NaN. Between kinds the numbers are compared."""
    ours = np.where(columns.exact, columns.exact_value, columns.measured_value)
    theirs = np.where(stored_is_exact, stored_exact, stored_measured)
    as_numbers = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    as_integers = columns.exact_value == stored_exact
    result: Bools = np.where(columns.exact & stored_is_exact, as_integers, as_numbers)
    return result
