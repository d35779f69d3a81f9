"""Forms: in which of its spellings a payload of telemetry is written, by what the door says of it, by its topic, and
last from its own first bytes. Pure.

| topic | form |
|---|---|
| `telemetry` | whatever the bytes are |
| `telemetry/senml` | SenML, JSON or CBOR |
| `telemetry/msgpack` | MessagePack |
| `telemetry/value/{channel}` | a number as text |
"""

from enum import StrEnum

import msgspec


class Form(StrEnum):
    """How telemetry may be written. UNSAID: nobody said."""

    UNSAID = "unsaid"
    JSON = "json"
    SENML = "senml"
    SENML_JSON = "senml+json"
    SENML_CBOR = "senml+cbor"
    CBOR = "cbor"
    MSGPACK = "msgpack"
    VALUE = "value"


class Spelling(msgspec.Struct, frozen=True, gc=False):
    """What a topic says of its payloads: their form, and the channel where it is a plain value."""

    form: Form = Form.UNSAID
    channel: str = ""


UNSAID = Spelling()

MEDIA = {
    "application/json": Form.JSON,
    "application/senml+json": Form.SENML_JSON,
    "application/sensml+json": Form.SENML_JSON,
    "application/senml+cbor": Form.SENML_CBOR,
    "application/sensml+cbor": Form.SENML_CBOR,
    "application/cbor": Form.CBOR,
    "application/msgpack": Form.MSGPACK,
    "application/x-msgpack": Form.MSGPACK,
    "application/vnd.msgpack": Form.MSGPACK,
    "text/plain": Form.VALUE,
}
"""Media types (RFC 8428 §12.3, RFC 8949 §9.5, the registration of vnd.msgpack); others say nothing: clients send
`application/octet-stream` or a form's type without meaning it."""

_TOPICS = {"senml": Spelling(Form.SENML), "msgpack": Spelling(Form.MSGPACK)}
_VALUE = "value/"


def spelling_of(name: str) -> Spelling | None:
    """What a topic's name behind the device's own part says, if it is one of telemetry."""
    if name == "telemetry":
        return UNSAID
    if not name.startswith("telemetry/"):
        return None
    rest = name.removeprefix("telemetry/")
    if rest.startswith(_VALUE) and len(rest) > len(_VALUE):
        return Spelling(Form.VALUE, rest.removeprefix(_VALUE))
    return _TOPICS.get(rest)


def media_of(content_type: str) -> Form:
    """The form that a content type names, its parameters left aside."""
    return MEDIA.get(content_type.partition(";")[0].strip().lower(), Form.UNSAID)


def form_of(payload: bytes, spelling: Spelling = UNSAID, content_type: str = "") -> Form:
    """The form of one payload: by its content type, else by its topic, else by its bytes. Never UNSAID, SENML or (where
    the topic names no channel) VALUE.
    """
    form = media_of(content_type) if content_type else Form.UNSAID
    if spelling.channel and form in (Form.UNSAID, Form.JSON, Form.VALUE):
        return Form.VALUE  # a number in JSON is the same text
    if form in (Form.UNSAID, Form.VALUE):
        form = spelling.form
    if form is Form.SENML:
        return Form.SENML_CBOR if payload[:1] >= b"\x80" else Form.SENML_JSON
    return _form_of_bytes(payload) if form is Form.UNSAID else form


def _form_of_bytes(payload: bytes) -> Form:
    """Text is JSON. Of the two that are not text, a CBOR array of maps whose labels are integers is SenML: read as
    MessagePack its first channel would begin with a character that no channel begins with.
    """
    if payload[:1] < b"\x80":
        return Form.JSON
    if _is_senml_cbor(payload.removeprefix(b"\xd9\xd9\xf7")):
        return Form.SENML_CBOR
    return Form.MSGPACK if payload[0] <= 0x9F or payload[0] in (0xDC, 0xDD, 0xDE, 0xDF) else Form.JSON


def _is_senml_cbor(payload: bytes) -> bool:
    """RFC 8949 §3: an array's head, a map's head, and an integer (major types 0 and 1)."""
    heads = {0x98: 2, 0x99: 3, 0x9A: 5, 0x9F: 1}
    first = payload[0] if payload else 0
    at = 1 if 0x81 <= first <= 0x97 else heads.get(first, 0)
    if not at or len(payload) < at + 2:
        return False
    inner = payload[at]
    return (0xA1 <= inner <= 0xB7 or inner == 0xBF) and payload[at + 1] <= 0x3B
