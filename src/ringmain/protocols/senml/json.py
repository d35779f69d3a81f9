"""SenML in JSON (RFC 8428 §5), media type `application/senml+json`."""

import base64
import binascii
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from ringmain.protocols.senml.records import Record, SenmlError
from ringmain.protocols.senml.resolve import resolve

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def decode(payload: bytes) -> list[Record]:
    """The resolved records of a pack. SenmlError for everything that is none."""
    try:
        pack = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SenmlError(f"not JSON: {error}") from error
    except RecursionError as error:
        raise SenmlError("not SenML: nested too deeply") from error
    if isinstance(pack, list):
        for place, raw in enumerate(pack):
            if isinstance(raw, dict) and isinstance(raw.get("vd"), str):
                raw["vd"] = _data(raw["vd"], place)
    return resolve(pack)


def encode(records: Sequence[Record]) -> bytes:
    """A pack of resolved records. Numbers are the shortest that are read as the same."""
    return _encode([fields_of(record, text=True) for record in records])


def fields_of(record: Record, *, text: bool) -> dict[str, object]:
    """A resolved record as fields by their JSON labels; `text`: data in base64url, as JSON has it."""
    fields: dict[str, object] = {"n": record.name}
    if record.unit:
        fields["u"] = record.unit
    value = record.value
    if isinstance(value, bool):
        fields["vb"] = value
    elif isinstance(value, str):
        fields["vs"] = value
    elif isinstance(value, bytes):
        fields["vd"] = base64.urlsafe_b64encode(value).rstrip(b"=").decode() if text else value
    elif value is not None:
        fields["v"] = value
    if record.sum is not None:
        fields["s"] = record.sum
    if record.time_s:
        fields["t"] = _number(record.time_s)
    return fields


def _number(exact: Decimal) -> int | float:
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def _data(text: str, place: int) -> bytes:
    """§5: base64url without padding."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SenmlError(f"record {place}: vd is not base64url") from error
