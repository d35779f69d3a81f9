"""The judge's own reading of the data file: every row of one year, as the file has it.

Written with the standard library alone, apart from the platform's importer and its model, so that a mistake there
is not repeated here. It must never repair anything: what is odd is counted or refused with its line.
"""

import csv
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

STEP_MS = 1_800_000
"""The file holds half hours."""

_GZIP = b"\x1f\x8b"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SourceError(ValueError):
    """The file cannot be read as `start,value`; the text names line and field."""


class Year(msgspec.Struct, frozen=True):
    """A civil year of a zone as instants: [start_ms, end_ms)."""

    start_ms: int
    end_ms: int

    @property
    def intervals(self) -> int:
        """How many half hours it has."""
        return (self.end_ms - self.start_ms) // STEP_MS


class Source(msgspec.Struct, frozen=True):
    """What a store that loses nothing must hold of one year. The first value of a stamp counts; the same value
    again is a duplicate, another one a conflict (stamp, first, other).
    """

    rows: int
    values: dict[int, int]
    duplicates: int
    conflicts: tuple[tuple[int, int, int], ...]

    @property
    def energy_wh(self) -> int:
        """Whole Wh over all stamps."""
        return sum(self.values.values())


def civil_year(year: int, zone: str) -> Year:
    """From local midnight of 1 January to the next."""
    start, end = (datetime(number, 1, 1, tzinfo=ZoneInfo(zone)) for number in (year, year + 1))
    return Year(_milliseconds(start), _milliseconds(end))


def read_source(path: Path, year: Year) -> Source:
    """The rows of `path` that start within `year`. Stamps are interval starts in UTC, values kWh."""
    values: dict[int, int] = {}
    rows = duplicates = 0
    conflicts: list[tuple[int, int, int]] = []
    lines = csv.reader(_text(path).splitlines())
    header = next(lines, [])
    if header != ["start", "value"]:
        raise SourceError(f"{path}: line 1: expected the columns start,value, found {','.join(header) or 'nothing'}")
    for fields in lines:
        at_ms, energy_wh = _row(path, lines.line_num, fields)
        if not year.start_ms <= at_ms < year.end_ms:
            continue
        rows += 1
        if at_ms not in values:
            values[at_ms] = energy_wh
        elif values[at_ms] == energy_wh:
            duplicates += 1
        else:
            conflicts.append((at_ms, values[at_ms], energy_wh))
    return Source(rows, values, duplicates, tuple(conflicts))


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return (gzip.decompress(data) if data.startswith(_GZIP) else data).decode()
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path}: not text, nor gzip of it: {error}") from error


def _row(path: Path, line: int, fields: list[str]) -> tuple[int, int]:
    if len(fields) != 2:
        raise SourceError(f"{path}: line {line}: {len(fields)} fields where start,value are two")
    start, value = fields
    try:
        at = datetime.fromisoformat(start)
    except ValueError:
        raise SourceError(f"{path}: line {line}: start: {start!r} is not a time such as 2013-01-01 00:30:00") from None
    try:
        energy_wh = int((Decimal(value) * 1000).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    except (InvalidOperation, ValueError, OverflowError):
        raise SourceError(f"{path}: line {line}: value: {value!r} is not a number of kWh") from None
    return _milliseconds(at if at.tzinfo else at.replace(tzinfo=UTC)), energy_wh


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
