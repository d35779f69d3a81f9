"""Types that parameters, bodies and answers share, with the words their schemas use for them."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from ringmain.model.time import INSTANT_MAX, Instant, Interval, instant_of

INT64_MAX = 2**63 - 1
"""Ids and cursors are 64-bit in every store; beyond it a number is refused at the door."""

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@~-]{0,63}$(?!\n)",  # `$(?!\n)`: Python's `$` lets a last newline pass
        description="1-64 of `A-Z a-z 0-9 . _ : @ ~ -`, starting with a letter or digit.",
    ),
]
ChannelName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_.:/ -]{0,63}$(?!\n)",
        description="1-64 characters, starting with a letter or `_`, such as `energy_wh`.",
    ),
]
Cursor = Annotated[
    str, msgspec.Meta(max_length=256, description="The `next` of the page before; leave it out for the first page.")
]
Serial = Annotated[int, msgspec.Meta(ge=1, le=INT64_MAX)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1000, description="Items of one page, at most 1000.")]
Timestamp = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, in UTC.")]
Statistic = int | float | None
"""A number of a channel; null where it is none (beyond a double), because JSON cannot say so."""

LIMIT = 100
"""Items of a page where the caller names no number: a screen or two, as most public APIs choose."""


_EXPECTED = "Expected an RFC 3339 date-time such as `2013-01-01T00:00:00Z`"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+ -]\d\d:\d\d)\Z", re.ASCII)


class Moment(int):
    """An instant that arrived as an RFC 3339 date-time with its offset. Milliseconds since 1970."""

    __slots__ = ()


def decode_word(kind: type, value: Any) -> Any:
    """The hook of msgspec for `Moment`. ValueError, which msgspec answers with the place, where it is no such time."""
    if kind is not Moment:
        raise NotImplementedError(kind)  # what msgspec asks of a hook for a type that it does not know
    if not isinstance(value, str) or _RFC_3339.match(value) is None:
        raise ValueError(_EXPECTED)
    try:
        # A `+` that was not written as %2B arrives as a space; no other reading of that place is possible.
        return Moment(instant_of(datetime.fromisoformat(value.upper().replace(" ", "+"))))
    except ValueError as error:
        raise ValueError(f"{_EXPECTED} ({error})") from error


def describe_word(kind: type) -> dict[str, Any]:
    """The hook of msgspec for the schema of `Moment`."""
    if kind is not Moment:
        raise NotImplementedError(kind)  # what msgspec asks of a hook for a type that it does not know
    return {"type": "string", "format": "date-time", "description": "RFC 3339 with an offset, or `Z`."}


def span_of(start: Moment | None, end: Moment | None) -> Interval:
    """[from, to) as far as readings can lie in it; open ends reach to the first and the last stamp there can be.
    ValueError where it ends before it starts.
    """
    latest = INSTANT_MAX + 1
    first = 0 if start is None else min(max(start, 0), latest)
    last = latest if end is None else min(max(end, 0), latest)
    if start is not None and end is not None and end < start:
        raise ValueError("`to` lies before `from`")
    return Interval(Instant(first), Instant(last))
