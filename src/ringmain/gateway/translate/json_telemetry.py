"""JSON telemetry: `{"ts": ms, "values": {"channel": number}}`, a plain `{"channel": number}`, or a list of either.

A plain object may carry `ts` too. Without `ts` a reading gets the time of its arrival and is marked so. A payload is
taken whole or not at all: with one bad number in it, all of it is a dead letter that says which.

All payloads of one read are decoded in one call, as lines. That is the same as one by one only where each line is
exactly one object, and the decoder does not see to that: it takes a value over several lines, and several values on
one. So the line breaks are counted first, and those between a closing and an opening brace: where all of them are,
each begins a line that is whole.
"""

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from ringmain.gateway.columns import ChannelRefused, Column, Growing, Lane, OpenBatch, Shapes
from ringmain.model.batch import DeadLetter, Stamped
from ringmain.model.ids import DeviceKey
from ringmain.model.time import INSTANT_MAX

CHANNELS_PER_MESSAGE_MAX = 256
"""A concentrator has some hundred registers; more channels in one object is a mistake."""

READINGS_PER_PAYLOAD_MAX = 50_000
"""A day of five channels at 10 s is 43,200; a bulk upload is split by its sender."""

_Stamp = Annotated[int, msgspec.Meta(ge=0, le=INSTANT_MAX)]
_Values = dict[str, int | float]


class _Sample(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ts: _Stamp
    values: _Values


_decode_samples = msgspec.json.Decoder(_Sample).decode_lines
_decode_plain = msgspec.json.Decoder(_Values).decode_lines
_decode_sample_list = msgspec.json.Decoder(list[_Sample]).decode
_decode_plain_list = msgspec.json.Decoder(list[_Values]).decode
_decode_any = msgspec.json.Decoder().decode
_stamp_of: Callable[[object], int] = lambda value: msgspec.convert(value, _Stamp)


class JsonTelemetry:
    """Translates the payloads of all devices."""

    def __init__(self) -> None:
        self._arrivals: dict[DeviceKey, int] = {}

    def translate(
        self, batch: OpenBatch, lane: Lane, device: DeviceKey, payloads: Sequence[bytes], door: str, topic: str
    ) -> list[DeadLetter]:
        """Put the readings of `payloads` into `batch`; returns the dead letters among them, also in `batch`."""
        batch.messages += len(payloads)
        lines = b"\n".join(payloads)
        batch.payload_bytes += len(lines)
        stamps, rows = _decode_lines(lines, len(payloads))
        names = list(map(tuple, rows))
        if not names or names.count(names[0]) != len(names):
            return self._one_by_one(batch, lane, device, payloads, door, topic)
        shapes = batch.shapes(lane, Stamped.DEVICE if stamps else Stamped.ARRIVAL)
        growing = shapes.get(names[0]) or _new_shape(shapes, lane, names[0])
        try:
            if growing and stamps:
                growing.add_all(device, stamps, map(dict.values, rows))
                return []
            parts = _parts(shapes, lane, names[0], rows)
        except (TypeError, OverflowError):
            parts = []
        if not parts:
            return self._one_by_one(batch, lane, device, payloads, door, topic)
        stamps = stamps or self._arrivals_of(device, batch.received_ms, len(rows))
        for growing, column in parts:
            growing.add_all(device, stamps, (column,))
        return []

    def _one_by_one(
        self, batch: OpenBatch, lane: Lane, device: DeviceKey, payloads: Sequence[bytes], door: str, topic: str
    ) -> list[DeadLetter]:
        dead: list[DeadLetter] = []
        for payload in payloads:
            try:
                rows = self._rows(lane, device, payload, batch.received_ms)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, _PayloadError, ChannelRefused) as error:
                reason = error.reason if isinstance(error, _PayloadError | ChannelRefused) else "undecodable_payload"
                detail = str(error) or "nested too deeply"
                dead.append(DeadLetter(device, batch.received_ms, door, topic, payload, reason, detail[:500]))
                continue
            for stamped, at_ms, channels, exact, values in rows:
                shapes = batch.shapes(lane, stamped)
                growing = shapes.get(channels)
                if growing is None:
                    growing = shapes[channels] = Growing(channels, exact=exact)
                growing.add(device, at_ms, values)
        batch.dead_letters.extend(dead)
        return dead

    def _rows(
        self, lane: Lane, device: DeviceKey, payload: bytes, received_ms: int
    ) -> list[tuple[Stamped, int, tuple[str, ...], bool, list[int | float]]]:
        """Every row of one payload, checked to the last value before any of it is taken."""
        found = _decode_any(payload)
        items = found if isinstance(found, list) else [found]
        if not items:
            raise _PayloadError("an empty list carries no reading")
        if len(items) > READINGS_PER_PAYLOAD_MAX:
            raise _too_many()
        rows = []
        for item in items:
            at_ms, values = _item(item)
            stamped = Stamped.ARRIVAL if at_ms is None else Stamped.DEVICE
            if at_ms is None:
                (at_ms,) = self._arrivals_of(device, received_ms, 1)
            exact = {name: self._check(lane, name, value) for name, value in values.items()}
            for kind in (False, True):
                channels = tuple(name for name in values if exact[name] is kind)
                if channels:
                    numbers = [_number(name, values[name], exact=kind) for name in channels]
                    rows.append((stamped, at_ms, channels, kind, numbers))
        if sum(len(row[2]) for row in rows) > READINGS_PER_PAYLOAD_MAX:
            raise _too_many()
        return rows

    def _check(self, lane: Lane, name: str, value: object) -> bool:
        """Whether the channel is EXACT, once its name and value are known to be acceptable."""
        exact = lane.names.get(name)
        if exact is None:
            lane.check(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _PayloadError(f"{name}: expected a number, got {type(value).__name__}")
        return lane.learn(name) if exact is None else exact

    def _arrivals_of(self, device: DeviceKey, received_ms: int, count: int) -> list[int]:
        """Stamps for messages that have none: when they came, and never the same twice for one device."""
        first = max(received_ms, self._arrivals.get(device, 0) + 1)
        self._arrivals[device] = first + count - 1
        return list(range(first, first + count))


def _new_shape(shapes: Shapes, lane: Lane, channels: tuple[str, ...]) -> Growing | None:
    """A block for channels of one kind that have all been used before; None where that is not what they are."""
    exact = {lane.names.get(name) for name in channels}
    if len(exact) != 1 or None in exact or len(channels) > CHANNELS_PER_MESSAGE_MAX:
        return None
    growing = shapes[channels] = Growing(channels, exact=True in exact)
    return growing


def _parts(shapes: Shapes, lane: Lane, channels: tuple[str, ...], rows: list[_Values]) -> list[tuple[Growing, Column]]:
    """A block for each kind of channel, since meters send both in one message, and what goes into it. Empty where a
    channel is new, which sends them the slow way.
    """
    if len(channels) > CHANNELS_PER_MESSAGE_MAX or not all(name in lane.names for name in channels):
        return []
    parts = []
    for kind in (False, True):
        part = tuple(name for name in channels if lane.names[name] is kind)
        growing = shapes.get(part) or _new_shape(shapes, lane, part)
        if growing:
            parts.append((growing, growing.column([[row[name] for name in part] for row in rows])))
    return parts


def _decode_lines(lines: bytes, count: int) -> tuple[list[int], list[_Values]]:
    """Stamps and values of `count` objects of one form, or of those in one list, all with a stamp or (then there are no
    stamps) none; two empty lists for anything else.

    The decoder takes a value that goes on in the next line, so two halves of an object in two payloads would become
    one: every line break has to stand between a closing and an opening brace, and be one of ours.
    """
    listed = count == 1 and lines[:1] == b"["
    breaks = lines.count(b"\n")
    if not listed and (breaks != count - 1 or lines.count(b"}\n{") != breaks or lines[:1] + lines[-1:] != b"{}"):
        return [], []
    try:
        if b'"values"' in lines:
            samples = (_decode_sample_list if listed else _decode_samples)(lines)
            stamps, rows = [sample.ts for sample in samples], [sample.values for sample in samples]
        else:
            rows = (_decode_plain_list if listed else _decode_plain)(lines)
            stamps = [row.pop("ts", -1) for row in rows] if b'"ts"' in lines else []  # type: ignore[misc]
            if stamps and (set(map(type, stamps)) != {int} or min(stamps) < 0 or max(stamps) > INSTANT_MAX):
                return [], []
            if not stamps and any("ts" in row for row in rows):
                return [], []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [], []
    if sum(map(len, rows)) > READINGS_PER_PAYLOAD_MAX if listed else len(rows) != count:
        return [], []
    return stamps, rows


class _PayloadError(Exception):
    def __init__(self, detail: str, reason: str = "undecodable_payload") -> None:
        super().__init__(detail)
        self.reason = reason


def _too_many() -> _PayloadError:
    return _PayloadError(f"more than {READINGS_PER_PAYLOAD_MAX} readings in one payload", "too_large")


def _item(item: object) -> tuple[int | None, dict[str, object]]:
    """Stamp and values of one object of either form."""
    if not isinstance(item, dict):
        raise _PayloadError(f"expected an object of channels, got {type(item).__name__}")
    values: dict[str, object] = dict(item)
    ts = values.pop("ts", None)
    if isinstance(values.get("values"), dict):
        inner = values.pop("values")
        if values:
            raise _PayloadError(f"unknown member {next(iter(values))[:80]!r} beside ts and values")
        values = inner  # type: ignore[assignment]
    if not values:
        raise _PayloadError("it names no channel")
    if len(values) > CHANNELS_PER_MESSAGE_MAX:
        raise _PayloadError(f"{len(values)} channels in one message, the limit is {CHANNELS_PER_MESSAGE_MAX}")
    if ts is None:
        return None, values
    try:
        return _stamp_of(ts), values
    except msgspec.ValidationError as error:
        raise _PayloadError(f"ts: {error}; it is milliseconds since 1970 in UTC") from error


def _number(name: str, value: object, *, exact: bool) -> int | float:
    assert isinstance(value, int | float)
    if not exact:
        try:
            return float(value)
        except OverflowError as error:
            raise _PayloadError(f"{name}: {str(value)[:20]}... does not fit a double") from error
    if isinstance(value, float):
        if not value.is_integer():
            raise _PayloadError(f"{name} counts whole units, got {value}")
        value = int(value)
    if not -(1 << 63) <= value < 1 << 63:
        raise _PayloadError(f"{name}: does not fit 64 bits")
    return value
