"""SenML in CBOR (RFC 8428 §6), media type `application/senml+cbor`: labels are small integers.

Of CBOR's tags only big integers and decimal fractions are taken (§6 names no others); what a tag would have us build
otherwise, a regular expression or a value that contains itself, is refused before it is built.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NoReturn

import cbor2

from ringmain.protocols.senml.json import fields_of
from ringmain.protocols.senml.records import LABELS, Record, SenmlError
from ringmain.protocols.senml.resolve import resolve

DEPTH_MAX = 8
"""A pack is an array of maps of plain values, and telemetry is nested less; unknown fields may be nested too."""

_NAMES = {number: label for label, number in LABELS.items()}
_TAGS = (0, 1, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000)
"""Everything else that the library would make an object of (its own table)."""


def decode(payload: bytes) -> list[Record]:
    """The resolved records of a pack. SenmlError for everything that is none."""
    return resolve_pack(decode_item(payload))


def resolve_pack(pack: object) -> list[Record]:
    """The records of a pack that `decode_item` decoded."""
    if not isinstance(pack, list | tuple):
        raise SenmlError("a pack is an array of records")
    return resolve([_named(raw) for raw in pack])


def is_pack(item: object) -> bool:
    """Whether a decoded item means to be a pack: an array whose first record has a name, its own or a base."""
    if not isinstance(item, list | tuple) or not item or not isinstance(item[0], Mapping):
        return False
    return any(isinstance(item[0].get(label), str) for label in (LABELS["bn"], LABELS["n"], "bn", "n"))


def decode_item(payload: bytes) -> object:
    """The one data item that the bytes are. SenmlError where they are none, or more than one."""
    stream = BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        stream,
        tag_hook=_refuse,
        semantic_decoders=dict.fromkeys(_TAGS, _refuse),
        max_depth=DEPTH_MAX,
        allow_duplicate_keys=False,
    )
    try:
        item: object = decoder.decode()
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise SenmlError(f"not CBOR: {str(error) or type(error).__name__}") from error
    if stream.tell() != len(payload):
        raise SenmlError("not CBOR: there are bytes behind the item")
    return item


def encode(records: Sequence[Record]) -> bytes:
    """A pack of resolved records."""
    fields = ({LABELS[name]: it for name, it in fields_of(record, text=False).items()} for record in records)
    return cbor2.dumps(list(fields))


def _named(raw: object) -> object:
    """Fields by their JSON labels: §6 permits those as well."""
    if not isinstance(raw, Mapping):
        return raw
    if any(isinstance(label, bool) or not isinstance(label, int | str) for label in raw):
        raise SenmlError("a label is a small integer or a string")
    # An integer that §6 does not know is a field that we do not know; none of them has to be understood.
    return {_NAMES.get(label, f"{label}") if isinstance(label, int) else label: it for label, it in raw.items()}


def _refuse(*_: object) -> NoReturn:
    raise ValueError("a tag that SenML does not use")
