"""Decoders as they are written: what a page of YAML may say. `docs/protocols/decoders.md` explains it to people.

Strict: a key that is not here is an error that names its path, so that a slip of the pen is no silence.
"""

from fractions import Fraction
from typing import Annotated, Literal

import msgspec

from ringmain.gateway.translate.decoder_paths import DecoderError, Path, Template
from ringmain.protocols.mqtt.reasons import ProtocolViolation
from ringmain.protocols.mqtt.topics import topic_filter

TOPICS_MAX = 64
"""Filters of one decoder: Shelly's first generation, with a topic for each value, needs 40."""

FIELDS_MAX = 128
"""Fields of one filter: Shelly's second generation, the widest, has 50."""

Words = dict[str, int | float]
"""What words are as numbers: `{"on": 1, "off": 0}`."""


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one value becomes a reading. `scale` is exact: a number in decimals, or a fraction such as `1/60`.

    `round: down` cuts to a whole number, which is how a register counts: 2067.124 Wh are 2067 Wh. Without it a value
    that is not whole is refused by a channel that is EXACT. `strings` says what to do with a word that is not listed.
    """

    channel: str
    scale: int | float | str = 1
    round: Literal["no", "down"] = "no"
    words: Words = {}
    strings: Literal["refuse", "ignore"] = "refuse"

    def factor(self) -> Fraction:
        """The scale. DecoderError where it is none."""
        try:
            factor = Fraction(str(self.scale))
        except (ValueError, ZeroDivisionError) as error:
            raise DecoderError(f"scale {self.scale!r} is no number and no fraction") from error
        if not factor:
            raise DecoderError("scale 0 makes everything nothing")
        return factor


class Field(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A value in a JSON payload, found by its path."""

    path: str


class TimeAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the time stamp is. Text is ISO 8601; without an offset it needs ours. Numbers are since 1970. Where there
    is none in a payload, its readings are stamped on arrival.
    """

    path: str
    numbers: Literal["s", "ms"] = "s"
    offset: Annotated[str, msgspec.Meta(pattern=r"^[+-]\d\d:\d\d\Z")] | None = None


class DeviceAt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which device a payload is of, where it is not that which signed in: a level of the topic, or a path."""

    level: Annotated[int, msgspec.Meta(ge=0, le=7)] | None = None
    path: str | None = None


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is published on a filter: one of `value` (the payload as a whole), `fields` (JSON) or `drop` (nothing).

    Fields are tried in order; `ignore` has paths that are left out with all below them. `at` leads to the object whose
    paths are meant, `under` is a key to imagine above it. `others`: what no field takes.
    """

    filter: str
    drop: bool = False
    value: Value | None = None
    fields: Annotated[tuple[Field, ...], msgspec.Meta(max_length=FIELDS_MAX)] = ()
    ignore: Annotated[tuple[str, ...], msgspec.Meta(max_length=FIELDS_MAX)] = ()
    at: str | None = None
    under: str | None = None
    time: TimeAt | None = None
    device: DeviceAt | None = None
    others: Literal["ignore", "refuse"] = "ignore"
    may_be_empty: bool = False


class DecoderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. `decoder` is its name, as profiles say it; `words` hold for every value that has none of its own."""

    decoder: str
    about: str
    topics: Annotated[tuple[Topic, ...], msgspec.Meta(min_length=1, max_length=TOPICS_MAX)]
    words: Words = {}


def check(file: DecoderFile) -> None:
    """DecoderError where something in it can not work, with the path to it."""
    for place, topic in enumerate(file.topics):
        try:
            _check_topic(topic)
        except DecoderError as error:
            raise DecoderError(f"$.topics[{place}]: {error}") from error


def _check_topic(topic: Topic) -> None:
    try:
        topic_filter(topic.filter.encode())
    except (ProtocolViolation, UnicodeEncodeError) as error:
        raise DecoderError(f"filter {topic.filter!r}: {error}") from error
    levels = topic.filter.split("/")
    if levels[0] in ("devices", "#"):
        raise DecoderError(f"filter {topic.filter!r}: the tree `devices` is ours, and `#` is everybody's")
    if (topic.value is not None) + bool(topic.fields) + topic.drop != 1:
        raise DecoderError("it has to have one of value, fields and drop")
    if not topic.fields and (topic.ignore or topic.at or topic.under or topic.time):
        raise DecoderError("ignore, at, under and time go with fields")
    known = len(levels) - (levels[-1] == "#")
    for value in (*topic.fields, *([topic.value] if topic.value else [])):
        value.factor()
        names = Path(value.path).names if isinstance(value, Field) else frozenset[str]()
        Template(value.channel).check(known, names)
    for text in topic.ignore:
        Path(text)
    if topic.under:
        Template(topic.under).check(known, frozenset())
    plain = (topic.at, topic.time.path if topic.time else None, topic.device.path if topic.device else None)
    for path in plain:
        if path is not None and Path(path).names:
            raise DecoderError(f"{path!r}: no {{name}} can stand here")
    if topic.device:
        _check_device(topic.device, known, json=bool(topic.fields))


def _check_device(device: DeviceAt, levels: int, *, json: bool) -> None:
    if (device.level is None) == (device.path is None):
        raise DecoderError("device: it has to have one of level and path")
    if device.level is not None and device.level >= levels:
        raise DecoderError(f"device: the filter has no level {device.level}; the first one is 0")
    if device.path is not None and not json:
        raise DecoderError("device: a path goes with fields")
