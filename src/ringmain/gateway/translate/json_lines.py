"""JSON lines: the fast way of plain telemetry. All payloads of one read are decoded in one call, as lines.

    {"ts": ms, "values": {"channel": number}}      {"channel": number}      a list of either

That is the same as one by one only where each line is exactly one object, and the decoder does not see to that: it
takes a value over several lines, and several values on one. So the line breaks are counted first, and those between a
closing and an opening brace: where all of them are, each begins a line that is whole.

What is anything else, or wrong anywhere, is not taken here at all: `telemetry` reads it one by one.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from ringmain.gateway.columns import Column, Growing, Lane, OpenBatch, Shapes
from ringmain.gateway.translate.placing import Arrivals
from ringmain.gateway.translate.samples import CHANNELS_PER_MESSAGE_MAX, READINGS_PER_PAYLOAD_MAX
from ringmain.model.batch import Stamped
from ringmain.model.ids import DeviceKey
from ringmain.model.time import INSTANT_MAX

_Stamp = Annotated[int, msgspec.Meta(ge=0, le=INSTANT_MAX)]
_Values = dict[str, int | float]


class _Sample(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ts: _Stamp
    values: _Values


_decode_samples = msgspec.json.Decoder(_Sample).decode_lines
_decode_plain = msgspec.json.Decoder(_Values).decode_lines
_decode_sample_list = msgspec.json.Decoder(list[_Sample]).decode
_decode_plain_list = msgspec.json.Decoder(list[_Values]).decode


def take_lines(batch: OpenBatch, lane: Lane, device: DeviceKey, payloads: Sequence[bytes], arrivals: Arrivals) -> bool:
    """Put the readings of all `payloads` into `batch`, or none: then False. Their bytes are counted either way."""
    lines = b"\n".join(payloads)
    batch.payload_bytes += len(lines)
    stamps, rows = _decode_lines(lines, len(payloads))
    names = list(map(tuple, rows))
    if not names or names.count(names[0]) != len(names):
        return False
    shapes = batch.shapes(lane, Stamped.DEVICE if stamps else Stamped.ARRIVAL)
    growing = shapes.get(names[0]) or _new_shape(shapes, lane, names[0])
    try:
        if growing and stamps:
            growing.add_all(device, stamps, map(dict.values, rows))
            return True
        parts = _parts(shapes, lane, names[0], rows)
    except (TypeError, OverflowError):
        return False
    if not parts:
        return False
    stamps = stamps or arrivals.of(device, batch.received_ms, len(rows))
    for growing, column in parts:
        growing.add_all(device, stamps, (column,))
    return True


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
