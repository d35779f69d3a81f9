"""Decoders at work: a topic and a payload become a sample, and the name of its device where it is another one. Pure.

Scales are exact: what a device writes in decimals is multiplied as a fraction and only then becomes a number again, so
that 4.35 kWh are 4350 Wh and not 4349.999.
"""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import msgspec

from ringmain.gateway.translate.decoder import DecoderFile, Field, TimeAt, Topic, Value, Words, check
from ringmain.gateway.translate.decoder_paths import LEAVES_MAX, Path, Template, leaves
from ringmain.gateway.translate.samples import CHANNELS_PER_MESSAGE_MAX, PayloadRefused, Sample
from ringmain.gateway.translate.senml import as_channel
from ringmain.gateway.translate.values import value_of
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.mqtt.topics import matches

PATHS_REMEMBERED = 4_096
"""Paths of one filter whose field is known: a fleet of one kind has some hundred."""

_decode = msgspec.json.Decoder().decode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUBSECOND = re.compile(r"(\.\d{6})\d+")


class Read(msgspec.Struct, frozen=True, gc=False):
    """What a payload says: readings of one moment (None: it says nothing that is one), and of which device (empty: of
    the one that signed in).
    """

    sample: Sample | None
    device: str = ""


class Decoder:
    """A file that was found sound."""

    def __init__(self, file: DecoderFile) -> None:
        check(file)
        self.name = file.decoder
        self.about = file.about
        self.speaks = any(topic.device is not None for topic in file.topics)
        self._topics = [(topic.filter, _TopicReader(topic, file.words)) for topic in file.topics]

    def takes(self, topic: str) -> bool:
        """Whether it has a filter for the topic."""
        return any(matches(pattern, topic) for pattern, _ in self._topics)

    def read(self, topic: str, payload: bytes) -> Read:
        """By the first filter that matches. PayloadRefused, DecodeError, UnicodeDecodeError or RecursionError where it
        is not what the decoder expects; then nothing of it may be taken.
        """
        for pattern, reader in self._topics:
            if matches(pattern, topic):
                return reader.read(topic.split("/"), payload)
        raise PayloadRefused(f"the decoder {self.name} has no filter for it", "unknown_topic")


class _Rule:
    """How one kind of value is read."""

    __slots__ = ("channel", "factor", "path", "value", "words")

    def __init__(self, value: Value, words: Words) -> None:
        self.value = value
        self.path = Path(value.path) if isinstance(value, Field) else None
        self.channel = Template(value.channel)
        self.factor = value.factor()
        self.words = value.words or words

    def number(self, channel: str, found: object) -> int | float | None:
        """The reading; None where there is none in it."""
        if found is None:
            return None
        if isinstance(found, str):
            if found in self.words:
                return self.words[found]
            if self.value.strings == "ignore":
                return None
            raise PayloadRefused(f"{channel}: {found[:40]!r} is no number, and no word that the decoder knows")
        if isinstance(found, bool):
            return int(found)
        assert isinstance(found, int | float), "JSON has no other leaves"
        return self._scaled(channel, found)

    def _scaled(self, channel: str, number: int | float) -> int | float:
        down = self.value.round == "down"
        if self.factor == 1 and not down:
            return number
        exact = Fraction(repr(number) if isinstance(number, float) else number) * self.factor
        if down or exact.denominator == 1:
            return math.floor(exact)
        try:
            return float(exact)
        except OverflowError as error:
            raise PayloadRefused(f"{channel}: beyond any double") from error


class _TopicReader:
    """What one filter brings."""

    def __init__(self, topic: Topic, words: Words) -> None:
        self._topic = topic
        self._value = _Rule(topic.value, words) if topic.value else None
        self._rules = [_Rule(field, words) for field in topic.fields]
        self._ignored = [Path(text) for text in topic.ignore]
        self._at = Path(topic.at) if topic.at else None
        self._under = Template(topic.under) if topic.under else None
        self._time_at = Path(topic.time.path) if topic.time else None
        self._device_at = Path(topic.device.path) if topic.device and topic.device.path else None
        self._known: dict[tuple[str, ...], tuple[_Rule, dict[str, str]] | None] = {}

    def read(self, levels: Sequence[str], payload: bytes) -> Read:
        if self._topic.drop:
            return Read(None)
        if self._value:
            return Read(self._whole(levels, payload, self._value), self._device(levels, None))
        found = _decode(payload)
        values = self._values(levels, found)
        if not values and not self._topic.may_be_empty:
            raise PayloadRefused("nothing in it is a value that the decoder knows")
        device = self._device(levels, found)
        return Read(Sample(self._time(found), values) if values else None, device)

    def _whole(self, levels: Sequence[str], payload: bytes, rule: _Rule) -> Sample | None:
        """A payload that is one value, as text."""
        channel = as_channel(rule.channel.fill(levels, {}))
        text = payload.decode().strip()
        found: object = text
        if text not in rule.words:
            try:
                found = value_of(payload)
            except PayloadRefused:
                if rule.value.strings != "ignore":
                    raise
        number = rule.number(channel, found)
        return None if number is None else Sample(None, {channel: number})

    def _values(self, levels: Sequence[str], found: object) -> dict[str, object]:
        if self._at:
            found = self._at.at(found)
        if self._under:
            found = {self._under.fill(levels, {}): found}
        if not isinstance(found, dict | list):
            return {}
        values: dict[str, object] = {}
        for count, (keys, leaf) in enumerate(leaves(found)):
            if count >= LEAVES_MAX:
                raise PayloadRefused(f"more than {LEAVES_MAX} values", "too_large")
            matched = self._known[keys] if keys in self._known else self._learn(keys)
            if matched is None:
                if self._topic.others == "refuse" and not self._is_ignored(keys):
                    raise PayloadRefused(f"{'.'.join(keys)[:80]}: the decoder does not know it")
                continue
            rule, names = matched
            channel = as_channel(rule.channel.fill(levels, names))
            number = rule.number(channel, leaf)
            if number is None:
                continue
            if channel in values:
                raise PayloadRefused(f"{channel}: two values of one payload are of this channel")
            values[channel] = number
        if len(values) > CHANNELS_PER_MESSAGE_MAX:
            raise PayloadRefused(f"{len(values)} channels in one message, the limit is {CHANNELS_PER_MESSAGE_MAX}")
        return values

    def _learn(self, keys: tuple[str, ...]) -> tuple[_Rule, dict[str, str]] | None:
        """The first field for a value, and what its names stand for. The same paths come again and again."""
        matched = None
        if not self._is_ignored(keys):
            for rule in self._rules:
                if rule.path and len(rule.path) == len(keys) and (names := rule.path.match(keys)) is not None:
                    matched = rule, names
                    break
        if len(self._known) >= PATHS_REMEMBERED:
            self._known.clear()
        self._known[keys] = matched
        return matched

    def _is_ignored(self, keys: tuple[str, ...]) -> bool:
        return any(path.match(keys) is not None for path in self._ignored)

    def _time(self, found: object) -> int | None:
        if self._time_at is None or self._topic.time is None:
            return None
        stamp = self._time_at.at(found)
        return None if stamp is None else instant_of(stamp, self._topic.time)

    def _device(self, levels: Sequence[str], found: object) -> str:
        device = self._topic.device
        if device is None:
            return ""
        name = self._device_at.at(found) if self._device_at else levels[device.level or 0]
        if not isinstance(name, str) or not name:
            raise PayloadRefused(f"{device.path} does not name its device")
        return name


def instant_of(stamp: object, time: TimeAt) -> int:
    """Milliseconds since 1970. PayloadRefused where it is no instant."""
    at_ms: int
    if isinstance(stamp, bool) or not isinstance(stamp, int | float | str):
        raise PayloadRefused(f"{time.path}: neither a number nor text")
    if isinstance(stamp, str):
        at_ms = _instant_of_text(stamp, time)
    else:
        at_ms = math.floor(Fraction(repr(stamp)) * (1000 if time.numbers == "s" else 1))
    if not 0 <= at_ms <= INSTANT_MAX:
        raise PayloadRefused(f"{time.path}: before 1970 or too late")
    return at_ms


def _instant_of_text(text: str, time: TimeAt) -> int:
    try:
        when = datetime.fromisoformat(_SUBSECOND.sub(r"\1", text[:64]))
    except ValueError as error:
        raise PayloadRefused(f"{time.path}: {text[:40]!r} is no time of ISO 8601") from error
    if when.tzinfo is None:
        if time.offset is None:
            raise PayloadRefused(f"{time.path}: {text[:40]!r} has no offset, and the decoder says none")
        hours, minutes = int(time.offset[1:3]), int(time.offset[4:6])
        ahead = timedelta(hours=hours, minutes=minutes)
        when = when.replace(tzinfo=timezone(-ahead if time.offset[0] == "-" else ahead))
    try:
        return (when - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as error:
        raise PayloadRefused(f"{time.path}: {text[:40]!r} is out of all time") from error
