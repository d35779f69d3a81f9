"""Time: UTC instants in whole milliseconds, and half-open intervals of them.

Event time is the device's, receive time the log's. Nothing here reads a clock: `now` is always an argument.
"""

from datetime import UTC, datetime, timedelta
from typing import NewType

import msgspec

Instant = NewType("Instant", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

SECOND_MS = 1_000
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

INSTANT_MAX = Instant(4_102_444_799_999)
"""2099-12-31T23:59:59.999Z. Later stamps are refused: a device that sends microseconds for milliseconds
lands far beyond it, and below it (device, stamp) packs into one 64-bit sort key."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Interval(msgspec.Struct, frozen=True, order=True):
    """Half-open: `start` belongs to it, `end` does not. Both are instants in UTC."""

    start: Instant
    end: Instant

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"interval ends ({self.end}) before it starts ({self.start})")

    def holds(self, instant: int) -> bool:
        """Whether `instant` lies within [start, end)."""
        return self.start <= instant < self.end


def instant_of(moment: datetime) -> Instant:
    """The instant of an aware datetime, rounded down to the millisecond. A naive one is a ValueError."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is not an instant")
    return Instant((moment - _EPOCH) // _MILLISECOND)


def utc(instant: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return _EPOCH + timedelta(milliseconds=instant)


def format_rfc3339(instant: int) -> str:
    """`2013-01-01T00:30:00Z`; milliseconds are written only where there are any (RFC 3339 §5.6)."""
    text = utc(instant).isoformat(timespec="milliseconds" if instant % SECOND_MS else "seconds")
    return text.replace("+00:00", "Z")


def parse_rfc3339(text: str) -> Instant:
    """The instant of an RFC 3339 date-time. ValueError where it is none, or has no zone."""
    return instant_of(datetime.fromisoformat(text))
