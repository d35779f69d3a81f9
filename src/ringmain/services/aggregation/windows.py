"""Windows: their definitions, where each begins and ends, and the life of one.

Two families. *Tumbling* windows (`15m`, `30m`, `1h`, ...) are aligned to the UTC epoch and have one length.
*Calendar* windows (`day`, `week`, `month`) begin at local midnight of the site and have the length that civil time
gives them: a day has 23, 24 or 25 hours. Weeks begin on Monday (ISO 8601). Pure: no clock, no store.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec

from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.model.site import local, start_of_day
from ringmain.model.time import DAY_MS, MINUTE_MS, Instant, Interval

GRAIN_MS = 15 * MINUTE_MS
"""The grain of civil time, which the plan promises (`ports.windows.WindowPlan`): no window is finer."""

SIZES_MAX = 8
"""Maintained sizes. Each costs every reading one look-up and every channel one open window; a meter data system
offers about five (quarter-hour, hour, day, week, month)."""

WINDOWS_MAX = 100_000
"""Windows in one answer: eleven years of hours. More is refused, not cut."""

_TUMBLING = re.compile(r"([1-9][0-9]?)([mh])\Z")
_CALENDAR = ("day", "week", "month")
DEFAULT_SIZES = ("30m", "1h", "day", "month")


class WindowState(StrEnum):
    """Where a window stands. `REVISED` closed before and was computed again because late data came."""

    OPEN = "open"
    CLOSED = "closed"
    REVISED = "revised"


class WindowEvent(StrEnum):
    """What happens to a window: a reading in it is stored, or it is settled (computed and written)."""

    READING = "reading"
    SETTLED = "settled"


WINDOW: dict[tuple[WindowState, WindowEvent], WindowState] = {
    (WindowState.OPEN, WindowEvent.READING): WindowState.OPEN,
    (WindowState.OPEN, WindowEvent.SETTLED): WindowState.CLOSED,
    (WindowState.CLOSED, WindowEvent.READING): WindowState.CLOSED,
    (WindowState.CLOSED, WindowEvent.SETTLED): WindowState.REVISED,
    (WindowState.REVISED, WindowEvent.READING): WindowState.REVISED,
    (WindowState.REVISED, WindowEvent.SETTLED): WindowState.REVISED,
}


def state_of(revision: int | None) -> WindowState:
    """The state of a window whose newest revision this is; None where it was never settled."""
    state = WindowState.OPEN
    for _ in range(0 if revision is None else min(revision, 1) + 1):
        state = WINDOW[state, WindowEvent.SETTLED]
    return state


class WindowSize(msgspec.Struct, frozen=True):
    """One definition. `length_ms` is 0 for a calendar window: its length depends on where and when."""

    name: str
    length_ms: int = 0


@lru_cache(maxsize=256)  # every name there is (47) and some wrong ones
def parse_size(name: str) -> WindowSize:
    """The definition of a name. `Refused("invalid_request")` where it is none, or would be a second name for one."""
    if name in _CALENDAR:
        return WindowSize(name)
    match = _TUMBLING.match(name)
    if match:
        number, unit = int(match[1]), match[2]
        length_ms = number * MINUTE_MS * (60 if unit == "h" else 1)
        canonical = unit == "h" or number < 60
        if canonical and length_ms % GRAIN_MS == 0 and DAY_MS % length_ms == 0:
            return WindowSize(name, length_ms)
    raise Refused(
        "invalid_request",
        f"{name!r} is not a window size",
        "Use 15m, 30m or 45m, whole hours that divide a day (1h, 2h, 3h, 4h, 6h, 8h, 12h, 24h), day, week or month.",
    )


def parse_sizes(names: Sequence[str]) -> tuple[WindowSize, ...]:
    """Definitions of a configured list; each once, at most `SIZES_MAX`."""
    if len(set(names)) != len(names):
        raise Refused("invalid_request", f"a window size stands twice in {list(names)}", "Name each size once.")
    if len(names) > SIZES_MAX:
        raise Refused("invalid_request", f"{len(names)} window sizes, at most {SIZES_MAX}", "Leave some out.")
    return tuple(parse_size(name) for name in names)


def window_at(size: WindowSize, at_ms: int, zone: str) -> Interval:
    """The one window of this size that holds `at_ms`. Windows of a size neither overlap nor leave a gap."""
    if size.length_ms:
        start = at_ms - at_ms % size.length_ms
        return Interval(Instant(start), Instant(start + size.length_ms))
    first, behind = _calendar(size.name, _day_of(at_ms, zone))
    return Interval(_midnight(first, zone), _midnight(behind, zone))


def windows_between(size: WindowSize, span: Interval, zone: str) -> Iterator[Interval]:
    """Windows that *start* in `span`, ascending. `Refused` where there would be more than `WINDOWS_MAX`."""
    shortest_ms = size.length_ms or DAY_MS
    if (span.end - span.start) // shortest_ms > WINDOWS_MAX:
        raise Refused(
            "invalid_request", f"more than {WINDOWS_MAX} windows of {size.name}", "Ask for a shorter span of time."
        )
    return _windows_between(size, span, zone)


def _windows_between(size: WindowSize, span: Interval, zone: str) -> Iterator[Interval]:
    at = span.start
    while at < span.end:
        window = window_at(size, at, zone)
        if window.start >= span.start:
            yield window
        at = window.end


def _day_of(at_ms: int, zone: str) -> date:
    """The day whose [start, next start) holds the instant. Not always the date on the clock: where clocks are set
    back over midnight (Newfoundland, until 2011), the date returns for an hour; the day that began stays begun.
    """
    day = local(at_ms, zone).date()
    while at_ms >= _midnight(day + timedelta(days=1), zone):
        day += timedelta(days=1)
    return day


@lru_cache(maxsize=4096)  # eleven years of one zone's days: each is asked for by every quarter of an hour of a day
def _midnight(day: date, zone: str) -> Instant:
    return start_of_day(day, zone)


def _calendar(unit: str, day: date) -> tuple[date, date]:
    """The first day of the calendar window that holds `day`, and the first day behind it."""
    if unit == "day":
        return day, day + timedelta(days=1)
    if unit == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)


# 8192 quarters of an hour in up to a few zones: twelve weeks of live data of every device of a zone, 5 MB at most.
@lru_cache(maxsize=8192)
def _planned(sizes: tuple[WindowSize, ...], quarter: int, zone: str) -> tuple[tuple[str, int, int], ...]:
    windows = ((size.name, window_at(size, quarter * GRAIN_MS, zone)) for size in sizes)
    return tuple((name, window.start, window.end) for name, window in windows)


class SitePlan:
    """`ports.windows.WindowPlan`: the maintained sizes, and calendar days of the site where a device stands."""

    def __init__(self, sizes: Sequence[str], zone_of_device: Callable[[DeviceKey], str]) -> None:
        """`zone_of_device` answers from memory, for every device that can have a reading."""
        self._sizes = parse_sizes(sizes)
        self._zone_of_device = zone_of_device

    @property
    def sizes(self) -> tuple[str, ...]:
        """The maintained sizes, by name."""
        return tuple(size.name for size in self._sizes)

    def windows(self, device: DeviceKey, at_ms: int) -> Sequence[tuple[str, int, int]]:
        """(size, start_ms, end_ms) of every maintained window that holds `at_ms` for `device`."""
        return _planned(self._sizes, at_ms // GRAIN_MS, self._zone_of_device(device))
