"""The append: entries of the log become rows, with their offset, their outcomes and the marks of their windows, in
one transaction.

The recipe: put blocks together in columns; store at once what is newer than the newest of its series; look up the
rest. The first is nearly everything that a fleet sends, and its cost does not depend on what is stored.
"""

from collections.abc import Sequence

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.adapters.embedded.timeseries_check import check
from ringmain.adapters.embedded.timeseries_columns import Columns, of_groups, read_quarantine, write_quarantine
from ringmain.adapters.embedded.timeseries_intake import Group, Intake, joined
from ringmain.adapters.embedded.timeseries_latest import Newer, pack
from ringmain.adapters.embedded.timeseries_outcomes import (
    CONFLICT,
    DEAD_LETTER,
    DUPLICATE,
    QUARANTINED,
    RECEIVED,
    REJECTED,
    STORED,
    Books,
    write_conflicts,
    write_dead_letters,
)
from ringmain.adapters.embedded.timeseries_schema import insert
from ringmain.adapters.embedded.timeseries_state import READING_TABLES, State
from ringmain.ports.timeseries import Appended

Connection = duckdb.DuckDBPyConnection


class Stored(msgspec.Struct, frozen=True):
    """What became of readings that were looked up."""

    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0


class Writing:
    """One transaction's worth of work on the tables. `newer` is for `finish`, after the commit."""

    def __init__(self, connection: Connection, state: State) -> None:
        self._connection = connection
        self._state = state
        self._books = Books()
        self._newer: list[Newer] = []

    def append(self, intake: Intake) -> Appended:
        """Write everything that the entries hold."""
        fresh, checked = self._divide([group for group in intake.groups if not group.quarantined])
        stored = sum(group.readings for group in fresh)
        self._store_fresh(fresh)
        looked_up = self._store_checked(self._columns(checked, intake))
        quarantined = self._store_quarantined(
            self._columns([group for group in intake.groups if group.quarantined], intake)
        )
        self._write_refused(intake)
        for group in intake.groups:
            self._books.count(RECEIVED, group.devices, len(group.channels))
        self._state.pending.write(self._connection)
        self._books.write(self._connection, self._state.outcomes)
        self._connection.execute("INSERT INTO offsets VALUES (?)", [intake.offset])
        return Appended(
            offset=intake.offset,
            received=sum(group.readings for group in intake.groups),
            stored=stored + looked_up.stored,
            duplicates=looked_up.duplicates,
            conflicts=looked_up.conflicts,
            quarantined=quarantined,
            rejected=sum(refusal.count for refusal in intake.refusals),
            dead_letters=len(intake.dead_letters),
        )

    def release(self, device: int) -> int:
        """Move a device's quarantined readings into the store; how many were stored."""
        columns = read_quarantine(self._connection, device)
        if not len(columns):
            return 0
        result = self._store_checked(columns)
        self._connection.execute("DELETE FROM quarantine WHERE device = ?", [device])
        self._books.add(QUARANTINED, device, -len(columns))
        self._state.pending.write(self._connection)
        self._books.write(self._connection, self._state.outcomes)
        return result.stored

    def finish(self) -> None:
        """The transaction is committed: the newest readings may be known."""
        for each in self._newer:
            self._state.latest.apply(each)

    def _divide(self, groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
        """Messages that can only be new, and those that must be looked up: not newer than the newest of their
        series, or with a (device, stamp) that stands in this intake more than once.
        """
        latest = self._state.latest
        packed, masks = [], []
        for group in groups:
            slots = latest.slots(group.devices)
            packed.append(pack(slots, group.stamps))
            masks.append(group.stamps > latest.newest_at(self._channels(group), slots))
        if packed:
            ordered = np.sort(np.concatenate(packed))
            twice = ordered[1:][ordered[1:] == ordered[:-1]]
            if len(twice):
                masks = [mask & ~np.isin(keys, twice) for mask, keys in zip(masks, packed, strict=True)]
        fresh, checked = [], []
        for group, mask in zip(groups, masks, strict=True):
            if len(set(group.channels)) < len(group.channels) or not mask.any():
                checked.append(group)
                continue
            fresh.append(group.take(mask))
            if not mask.all():
                checked.append(group.take(~mask))
        return fresh, checked

    def _channels(self, group: Group) -> tuple[int, ...]:
        return tuple(self._state.channels.id_of(self._connection, name) for name in group.channels)

    def _store_fresh(self, groups: Sequence[Group]) -> None:
        for exact, table in READING_TABLES:
            rows = [self._fresh_rows(group) for group in groups if group.exact is exact]
            if rows:
                insert(self._connection, table, {name: joined([each[name] for each in rows]) for name in rows[0]})

    def _fresh_rows(self, group: Group) -> dict[str, NDArray[np.generic]]:
        channels = self._channels(group)
        n, k = group.messages, len(channels)
        slots = self._state.latest.slots(group.devices)
        self._state.pending.touch(channels, self._state.latest.devices.keys, slots, group.stamps)
        self._books.count(STORED, group.devices, k)
        arrival = np.full(n, group.arrival)
        self._newer.append(Newer(channels, group.exact, slots, group.stamps, group.values, arrival))
        # Channel by channel, not message by message: equal neighbours compress to almost nothing.
        return {
            "device": np.tile(group.devices, k),
            "channel": np.repeat(np.array(channels, np.int32), n),
            "at_ms": np.tile(group.stamps, k),
            "value": group.values.T.ravel(),
            "arrival": np.tile(arrival, k),
        }

    def _columns(self, groups: Sequence[Group], intake: Intake) -> Columns:
        return of_groups([(group, self._channels(group), intake.received(group.order)) for group in groups])

    def _store_checked(self, columns: Columns) -> Stored:
        if not len(columns):
            return Stored()
        state, latest = self._state, self._state.latest
        channels = np.unique(columns.channel).tolist()
        kinds = tuple(any(latest.has_kind(channel, exact=exact) for channel in channels) for exact in (True, False))
        checked = check(self._connection, columns, (kinds[0], kinds[1]))
        new = columns.take(checked.new)
        for exact, table in READING_TABLES:
            self._store_new(new.take(new.exact == exact), table, exact=exact)
        state.next_conflict = write_conflicts(self._connection, columns, checked, state.next_conflict)
        self._books.count(STORED, new.device)
        self._books.count(DUPLICATE, columns.device[checked.duplicate])
        self._books.count(CONFLICT, columns.device[checked.conflict])
        return Stored(len(new), int(checked.duplicate.sum()), int(checked.conflict.sum()))

    def _store_new(self, new: Columns, table: str, *, exact: bool) -> None:
        if not len(new):
            return
        values = new.exact_value if exact else new.measured_value
        slots = self._state.latest.slots(new.device)
        insert(
            self._connection,
            table,
            {
                "device": new.device,
                "channel": new.channel,
                "at_ms": new.at_ms,
                "value": values,
                "arrival": new.arrival,
            },
        )
        for channel in np.unique(new.channel).tolist():
            rows = new.channel == channel
            self._state.pending.touch((channel,), self._state.latest.devices.keys, slots[rows], new.at_ms[rows])
            at_ms, value = new.at_ms[rows], values[rows].reshape(-1, 1)
            self._newer.append(Newer((channel,), exact, slots[rows], at_ms, value, new.arrival[rows]))

    def _store_quarantined(self, columns: Columns) -> int:
        if len(columns):
            write_quarantine(self._connection, columns)
            self._books.count(QUARANTINED, columns.device)
        return len(columns)

    def _write_refused(self, intake: Intake) -> None:
        state = self._state
        state.next_dead_letter = write_dead_letters(self._connection, intake.dead_letters, state.next_dead_letter)
        for _, letter in intake.dead_letters:
            self._books.add(RECEIVED, letter.device, 1)
            self._books.add(DEAD_LETTER, letter.device, 1, letter.reason)
        for refusal in intake.refusals:
            self._books.add(RECEIVED, refusal.device, refusal.count)
            self._books.add(REJECTED, refusal.device, refusal.count, refusal.reason)
