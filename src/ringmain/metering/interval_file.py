"""Interval data files: `start,value` in CSV, plain or gzip, as utilities and trials publish them.

Stamps are interval starts, UTC unless they say otherwise; values are kWh, read as whole Wh, halves up. Rows come in
the order of the file, duplicates included: what to do with them is not this module's to decide. What is wrong is said
with line and field.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NoReturn

import msgspec

from ringmain.model.errors import Refused
from ringmain.model.quantities import watt_hours_of_kwh
from ringmain.model.time import INSTANT_MAX, instant_of

COLUMNS = ["start", "value"]

KWH_MAX = Decimal(1_000_000)
"""In one interval: a gigawatt for an hour. More is a register, or Wh taken for kWh."""

ROWS_MAX = 20_000_000
"""Ten years of one channel every 15 seconds; beyond it the file is no meter's."""

_HINT = "Correct the file and try again; rows before this line were read."
_GZIP = b"\x1f\x8b"


class FileRow(msgspec.Struct, frozen=True):
    """One interval as it stands in the file."""

    line: int
    start_ms: int
    energy_wh: int


def read_interval_file(source: Path | Traversable) -> Iterator[FileRow]:
    """The rows of a file, one by one: memory does not grow with its length."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(source.open("rb"))
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
        except OSError as error:
            raise Refused("not_found", f"{source.name}: {error.strerror or error}", "Check the path.") from error
        data = stack.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw
        text = stack.enter_context(io.TextIOWrapper(data, encoding="utf-8", newline=""))
        yield from _rows(text, source.name)


def _rows(text: io.TextIOWrapper, name: str) -> Iterator[FileRow]:
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
        if header != COLUMNS:
            _refuse(name, 1, "header", f"expected {','.join(COLUMNS)}, got {','.join(header)!r}")
        for row in reader:
            line = reader.line_num
            if line > ROWS_MAX:
                _refuse(name, line, "row", f"more than {ROWS_MAX} rows")
            if len(row) != len(COLUMNS):
                _refuse(name, line, "row", f"expected {len(COLUMNS)} columns, got {len(row)}")
            yield FileRow(line, _start(row[0], name, line), _energy(row[1], name, line))
    except csv.Error as error:
        _refuse(name, reader.line_num, "row", f"not CSV: {error}")
    except UnicodeDecodeError:
        _refuse(name, reader.line_num + 1, "row", "not UTF-8 (in this line or the 8 KiB behind it)")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        _refuse(name, reader.line_num + 1, "row", f"the gzip stream is damaged: {error}")


def _start(text: str, name: str, line: int) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _refuse(name, line, "start", f"expected a date and time such as 2013-01-01 00:30:00, got {text!r}")
    at_ms = instant_of(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if not 0 <= at_ms <= INSTANT_MAX:
        _refuse(name, line, "start", f"expected a time from 1970 to 2099, got {text!r}")
    return at_ms


def _energy(text: str, name: str, line: int) -> int:
    try:
        energy = Decimal(text)
    except InvalidOperation:
        _refuse(name, line, "value", f"expected a decimal number of kWh, got {text!r}")
    if not (energy.is_finite() and 0 <= energy <= KWH_MAX):
        _refuse(name, line, "value", f"expected 0 to {KWH_MAX} kWh, got {text!r}")
    return watt_hours_of_kwh(energy)


def _refuse(name: str, line: int, field: str, detail: str) -> NoReturn:
    raise Refused("unprocessable", f"{name}: line {line}: {field}: {detail[:200]}", _HINT)
