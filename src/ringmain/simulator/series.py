"""A series to replay: what a meter measured, in the order in which it will say it, and the messages it makes of it.

Pure but for reading its one file. It must never sort, thin or repair a series: a repeated row is sent twice.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

ROWS_PER_MESSAGE_MAX = 48
"""A day of half hours. At some 50 bytes a row this is 2.4 KB, far below any gateway's packet limit."""

WINDOWS = (16, 32)
"""Least and greatest number of unacknowledged messages. Below 16 a year of single rows is bound by the round trip
of each synced commit; 32 is what the platform grants one device.
"""


class SeriesError(ValueError):
    """The file is no series; the text names line and field."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """Values of all channels at one instant."""

    at_ms: int
    values: tuple[int, ...]


class Series(msgspec.Struct, frozen=True):
    """Channels, and rows in the file's order."""

    channels: tuple[str, ...]
    rows: tuple[Row, ...]


class Manner(msgspec.Struct, frozen=True):
    """How a meter talks: drawn from the seed, never the order of its rows."""

    rows_per_message_max: int
    window: int


def read_series(path: Path) -> Series:
    """A CSV file with the columns `at_ms` and one for each channel, all whole numbers. SeriesError names the place."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        if len(header) < 2 or header[0] != "at_ms":
            raise SeriesError(f"{path}: line 1: expected the columns at_ms and at least one channel, found {header}")
        rows = tuple(_row(path, lines.line_num, header, fields) for fields in lines)
    return Series(tuple(header[1:]), rows)


def _row(path: Path, line: int, header: list[str], fields: list[str]) -> Row:
    if len(fields) != len(header):
        raise SeriesError(f"{path}: line {line}: {len(fields)} fields where the header names {len(header)}")
    numbers = []
    for name, text in zip(header, fields, strict=True):
        try:
            numbers.append(int(text))
        except ValueError:
            raise SeriesError(f"{path}: line {line}: {name}: {text!r} is not a whole number") from None
    return Row(numbers[0], tuple(numbers[1:]))


def manner_of(rng: Random) -> Manner:
    """How the meter of this seed talks. Single rows are as likely as each greater size, so that seeds differ."""
    return Manner(
        rows_per_message_max=rng.choice((1, 2, 4, 12, 24, ROWS_PER_MESSAGE_MAX)),
        window=rng.randint(*WINDOWS),
    )


def messages(series: Series, manner: Manner, rng: Random) -> Iterator[bytes]:
    """Payloads that carry every row once, in order: `{"ts": …, "values": {…}}`, or a list of such."""
    encode = msgspec.json.Encoder().encode
    start = 0
    while start < len(series.rows):
        count = rng.randint(1, manner.rows_per_message_max)
        records = [_record(series.channels, row) for row in series.rows[start : start + count]]
        start += count
        single = len(records) == 1 and rng.random() < 0.5
        yield encode(records[0] if single else records)


def _record(channels: tuple[str, ...], row: Row) -> dict[str, object]:
    return {"ts": row.at_ms, "values": dict(zip(channels, row.values, strict=True))}
