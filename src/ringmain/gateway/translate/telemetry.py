"""Telemetry: the one translator of what a device says of itself, in whichever form it says it.

Plain JSON of one shape, which is nearly all there is, goes the fast way, a whole read at once (`json_lines`). The rest
is read one by one: its form is found (`forms`), its bytes become samples, and the samples rows of the batch
(`placing`). A payload is taken whole or not at all: with one bad number in it, all of it is a dead letter that says
which.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from ringmain.gateway.columns import ChannelRefused, Lane, OpenBatch
from ringmain.gateway.translate.forms import UNSAID, Form, Spelling, form_of, media_of
from ringmain.gateway.translate.json_lines import take_lines
from ringmain.gateway.translate.placing import Arrivals, place, rows_of
from ringmain.gateway.translate.samples import PayloadRefused, Sample, samples_of
from ringmain.gateway.translate.senml import samples_of_records
from ringmain.gateway.translate.values import value_of
from ringmain.model.batch import DeadLetter
from ringmain.model.device import Device, Profile
from ringmain.protocols.senml.json import decode as decode_senml_json
from ringmain.protocols.senml.records import SenmlError

DETAIL_MAX = 500
"""Characters of a dead letter's detail."""

NOT_DECODED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, PayloadRefused, ChannelRefused, SenmlError)
"""What reading one payload may raise; all of it is the sender's doing."""

_SENML_CBOR = Spelling(Form.SENML_CBOR)
_PLAIN = {Form.UNSAID, Form.JSON}
_decode_json = msgspec.json.Decoder().decode
_decode_msgpack = msgspec.msgpack.Decoder().decode


class TelemetryTranslator:
    """Translates the payloads of all devices."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()

    def translate(
        self,
        batch: OpenBatch,
        lane: Lane,
        device: Device,
        payloads: Sequence[bytes],
        door: str,
        topic: str,
        *,
        spelling: Spelling = UNSAID,
        content_types: Sequence[str] | None = None,
    ) -> list[DeadLetter]:
        """Put the readings of `payloads` into `batch`; returns the dead letters among them, also in `batch`.
        `content_types` has one for each payload, empty where it has none.
        """
        batch.messages += len(payloads)
        if spelling is UNSAID and (content_types is None or _PLAIN.issuperset(map(media_of, content_types))):
            if take_lines(batch, lane, device.key, payloads, self.arrivals):
                return []
        else:
            batch.payload_bytes += sum(map(len, payloads))
        return self.one_by_one(batch, lane, device, payloads, door, topic, spelling, content_types)

    def one_by_one(
        self,
        batch: OpenBatch,
        lane: Lane,
        device: Device,
        payloads: Sequence[bytes],
        door: str,
        topic: str,
        spelling: Spelling = UNSAID,
        content_types: Sequence[str] | None = None,
    ) -> list[DeadLetter]:
        """The slow way, which takes every form; messages and bytes are counted already."""
        dead: list[DeadLetter] = []
        for at, payload in enumerate(payloads):
            try:
                form = form_of(payload, spelling, content_types[at] if content_types else "")
                samples = _READERS[form](payload, device, lane.profile, spelling)
                rows = rows_of(lane, device.key, samples, self.arrivals, batch.received_ms)
            except NOT_DECODED as error:
                dead.append(letter_of(error, batch, device, payload, door, topic))
                continue
            place(batch, lane, device.key, rows)
        batch.dead_letters.extend(dead)
        return dead


def letter_of(error: Exception, batch: OpenBatch, device: Device, payload: bytes, door: str, topic: str) -> DeadLetter:
    """The dead letter of a payload that could not be read."""
    reason = error.reason if isinstance(error, PayloadRefused | ChannelRefused) else "undecodable_payload"
    detail = str(error) or "nested too deeply"
    return DeadLetter(device.key, batch.received_ms, door, topic, payload, reason, detail[:DETAIL_MAX])


def _read_json(payload: bytes, device: Device, profile: Profile, _: Spelling) -> list[Sample]:
    found = _decode_json(payload)
    if _is_senml(found):
        return _read_senml_json(payload, device, profile, _)
    return samples_of(found)


def _read_senml_json(payload: bytes, device: Device, profile: Profile, _: Spelling) -> list[Sample]:
    return samples_of_records(decode_senml_json(payload), device.id, profile)


def _read_cbor(payload: bytes, device: Device, profile: Profile, spelling: Spelling) -> list[Sample]:
    """SenML, or the shapes that JSON has. cbor2 comes with the platform: an edge may be without it."""
    try:
        from ringmain.protocols.senml import cbor  # noqa: PLC0415
    except ImportError as error:
        raise PayloadRefused("this gateway reads no CBOR; the platform does", "not_supported") from error
    found = cbor.decode_item(payload)
    if spelling.form is Form.SENML_CBOR or cbor.is_pack(found):
        return samples_of_records(cbor.resolve_pack(found), device.id, profile)
    return samples_of(found)


def _read_msgpack(payload: bytes, _: Device, __: Profile, ___: Spelling) -> list[Sample]:
    return samples_of(_decode_msgpack(payload))


def _read_value(payload: bytes, _: Device, __: Profile, spelling: Spelling) -> list[Sample]:
    return [Sample(None, {spelling.channel: value_of(payload)})]


def _is_senml(found: object) -> bool:
    """A list of records: the first one has a name, and names are strings."""
    if not isinstance(found, list | tuple) or not found or not isinstance(found[0], Mapping):
        return False
    return isinstance(found[0].get("bn", found[0].get("n")), str)


_READERS: Mapping[Form, Callable[[bytes, Device, Profile, Spelling], list[Sample]]] = {
    Form.JSON: _read_json,
    Form.SENML_JSON: _read_senml_json,
    Form.SENML_CBOR: lambda payload, device, profile, _: _read_cbor(payload, device, profile, _SENML_CBOR),
    Form.CBOR: _read_cbor,
    Form.MSGPACK: _read_msgpack,
    Form.VALUE: _read_value,
}
