"""Bulk: a chunk of an edge gateway, which holds readings of many devices, decoded once into columns of the open batch.

The gateway signed in, but every reading is its own device's: it has to be delegated to this gateway for that event
time, and then the device's own lifecycle and profile decide. What is refused is counted on the device it names (on the
gateway where the tenant has none of that name); what does not fit its channel is set aside as a dead letter of its
device, as JSON telemetry, so that it can be looked at and replayed. Every reading of a chunk has an outcome.

Rows are judged and split as whole arrays: there is never an object for a reading. Needs numpy, which an edge does not
have: the pipeline is given this by its composition.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.gateway.columns import ChannelRefused, Growing, Lane, Lanes, OpenBatch
from ringmain.gateway.translate.bulk_named import ACCEPTED, FIRST, REASONS, Int64s, Named
from ringmain.gateway.translate.speaking import Delegates, OnSeen
from ringmain.model.batch import Block, DeadLetter
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import ChunkError, decode_chunk
from ringmain.model.bulk.layout import CHUNK_READINGS_MAX
from ringmain.model.device import Device
from ringmain.model.errors import ERRORS
from ringmain.model.ids import DeviceKey
from ringmain.model.time import INSTANT_MAX

DETAIL_MAX = 500
TOPIC_MAX = 256
DOOR_MAX = 32
"""Characters kept of what a gateway says about its dead letters."""

Values = NDArray[Any]
Bools = NDArray[np.bool_]

_UNFIT = (
    "not a number, not whole where the channel counts whole units, beyond 64 bits, or stamped before 1970 or too late"
)


class BulkTelemetry:
    """Translates the chunks of all gateways."""

    def __init__(self, delegates: Delegates, lanes: Lanes, on_seen: OnSeen) -> None:
        self._delegates = delegates
        self._lanes = lanes
        self._on_seen = on_seen

    def translate(
        self, batch: OpenBatch, gateway: Device, payloads: Sequence[bytes], door: str, topic: str
    ) -> list[DeadLetter]:
        """Put the readings of chunks into `batch`; returns the dead letters of the gateway itself, also in `batch`:
        chunks that could not be decoded, whole.
        """
        dead: list[DeadLetter] = []
        for payload in payloads:
            batch.messages += 1
            batch.payload_bytes += len(payload)
            try:
                chunk = decode_chunk(payload, readings_max=CHUNK_READINGS_MAX)
            except ChunkError as error:
                detail = str(error)[:DETAIL_MAX]
                dead.append(
                    DeadLetter(gateway.key, batch.received_ms, door, topic, payload, "undecodable_payload", detail)
                )
                continue
            named = Named(gateway, chunk.names, self._delegates, self._lanes)
            unpacking = _Unpacking(batch, named, door, topic)
            unpacking.take(chunk)
            if seen := [named.standings[place] for place in np.flatnonzero(unpacking.heard).tolist()]:
                self._on_seen(gateway, [standing for standing in seen if standing is not None])
        batch.dead_letters.extend(dead)
        return dead


class _Rows(msgspec.Struct, frozen=True, gc=False):
    """Some messages of a block: places of their devices, stamps, and a row of values for each."""

    places: Int64s
    stamps: Int64s
    values: Values

    def take(self, which: Bools | Int64s) -> "_Rows":
        return _Rows(self.places[which], self.stamps[which], self.values[which])


class _Unpacking:
    """One chunk on its way into the open batch. `heard` says of which names something was accepted."""

    def __init__(self, batch: OpenBatch, named: Named, door: str, topic: str) -> None:
        self._batch = batch
        self._named = named
        self._door = door
        self._topic = topic
        self.heard = np.zeros(len(named.keys), np.bool_)

    def take(self, chunk: Chunk) -> None:
        """All of it."""
        for block in chunk.blocks:
            rows = self._permitted(_rows(block), len(block.channels))
            if len(rows.places):
                self.heard[rows.places] = True
                for lane, part in self._by_lane(rows):
                    self._fit(block, lane, part)
        for letter in chunk.letters:
            self._letter(letter)

    def _permitted(self, rows: _Rows, width: int) -> _Rows:
        """Those rows that the gateway may bring and whose device may send; the others are counted."""
        if self._named.open:
            return rows
        verdicts = self._named.judge(rows.places, rows.stamps)
        if not verdicts.any():
            return rows
        for number in range(1, len(REASONS)):
            self._reject(rows.places[verdicts == number], REASONS[number], width)
        return rows.take(verdicts == ACCEPTED)

    def _reject(self, places: Int64s, reason: str, width: int) -> None:
        if len(places):
            counts = np.bincount(places)
            for place in np.flatnonzero(counts).tolist():
                self._batch.reject(DeviceKey(int(self._named.keys[place])), reason, int(counts[place]) * width)

    def _by_lane(self, rows: _Rows) -> Iterator[tuple[Lane, _Rows]]:
        lanes = self._named.lanes
        if len(lanes) == 1:
            yield lanes[0], rows
            return
        numbers = self._named.numbers[rows.places]
        for number in np.flatnonzero(np.bincount(numbers)).tolist():
            mine = numbers == number
            yield lanes[number], rows if mine.all() else rows.take(mine)

    def _fit(self, block: Block, lane: Lane, rows: _Rows) -> None:
        """Rows of one lane, each kind of channel by itself, as the profile says and not as the chunk does."""
        try:
            for name in block.channels:
                if name not in lane.names:
                    lane.check(name)
        except ChannelRefused as refused:
            self._set_aside(block, rows, refused.reason, str(refused))
            return
        exact = [lane.names[name] if name in lane.names else lane.learn(name) for name in block.channels]
        fit = _fitting(rows, exact, floats=not block.exact)
        if not fit.all():
            self._set_aside(block, rows.take(~fit), "undecodable_payload", _UNFIT)
            rows = rows.take(fit)
        if len(rows.places):
            self._add(block, lane, rows, exact)

    def _add(self, block: Block, lane: Lane, rows: _Rows, exact: Sequence[bool]) -> None:
        shapes = self._batch.shapes(lane, block.stamped)
        devices, stamps = _bytes(self._named.keys[rows.places]), _bytes(rows.stamps)
        for kind in (False, True):
            places = [at for at, each in enumerate(exact) if each is kind]
            if not places:
                continue
            channels = tuple(block.channels[at] for at in places)
            values = rows.values if len(places) == len(exact) else rows.values[:, places]
            growing = shapes.get(channels)
            if growing is None:
                growing = shapes[channels] = Growing(channels, exact=kind)
            growing.add_columns(devices, stamps, _bytes(values.astype(np.int64 if kind else np.float64, copy=False)))
            self._batch.payload_bytes += len(devices) + len(stamps) + len(rows.places) * len(places) * 8

    def _set_aside(self, block: Block, rows: _Rows, reason: str, detail: str) -> None:
        """A dead letter for each device, with its rows as JSON telemetry."""
        rows = rows.take(np.argsort(rows.places, kind="stable"))
        starts = np.flatnonzero(np.diff(rows.places, prepend=-1)).tolist()
        for start, end in zip(starts, [*starts[1:], len(rows.places)], strict=True):
            readings = [
                {"ts": at_ms, "values": dict(zip(block.channels, values, strict=True))}
                for at_ms, values in zip(rows.stamps[start:end].tolist(), rows.values[start:end].tolist(), strict=True)
            ]
            key = DeviceKey(int(self._named.keys[rows.places[start]]))
            self._dead(
                DeadLetter(
                    key,
                    self._batch.received_ms,
                    self._door,
                    self._topic,
                    msgspec.json.encode(readings),
                    reason,
                    detail[:DETAIL_MAX],
                )
            )

    def _letter(self, letter: DeadLetter) -> None:
        """What the gateway itself could not decode, as if its device had brought it here."""
        place = letter.device
        at_ms = min(max(letter.received_ms, 0), INSTANT_MAX)
        (verdict,) = self._named.judge(np.array([place]), np.array([at_ms])).tolist()
        key = DeviceKey(int(self._named.keys[place]))
        if verdict:
            self._batch.reject(key, REASONS[verdict], 1)
            return
        self.heard[place] = True
        self._dead(
            DeadLetter(
                key,
                at_ms,
                letter.door[:DOOR_MAX],
                letter.topic[:TOPIC_MAX],
                letter.payload,
                letter.reason if letter.reason in ERRORS else "undecodable_payload",
                letter.detail[:DETAIL_MAX],
            )
        )

    def _dead(self, letter: DeadLetter) -> None:
        self._batch.dead_letters.append(letter)
        self._batch.payload_bytes += len(letter.payload)


def _rows(block: Block) -> _Rows:
    kind: type[np.int64] | type[np.float64] = np.int64 if block.exact else np.float64
    return _Rows(
        np.frombuffer(block.devices, np.int64),
        np.frombuffer(block.stamps, np.int64),
        np.frombuffer(block.values, kind).reshape(block.messages, len(block.channels)),
    )


def _fitting(rows: _Rows, exact: Sequence[bool], *, floats: bool) -> Bools:
    """Which rows a store may take: a stamp that there can be, finite numbers, and whole ones where they are EXACT."""
    fit: Bools = (rows.stamps >= 0) & (rows.stamps <= INSTANT_MAX)
    if floats:
        fit &= np.isfinite(rows.values).all(axis=1)
        if any(exact):
            whole = rows.values[:, np.array(exact)]
            fit &= ((np.trunc(whole) == whole) & (whole >= FIRST) & (whole < -FIRST)).all(axis=1)
    return fit


def _bytes(column: Values) -> memoryview:
    """The memory of an array that is not empty."""
    return np.ascontiguousarray(column).data.cast("B")
