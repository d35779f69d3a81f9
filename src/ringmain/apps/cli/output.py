"""Output: rows as an aligned table for people, or as JSON, JSON lines or CSV for programs.

Only data goes to standard output. Colour appears on a terminal alone, and never where NO_COLOR is set.
"""

import csv
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import click
import msgspec

Row = Mapping[str, object]


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


FORMATS = click.option(
    "-o", "--output", type=click.Choice(Format, case_sensitive=False), default=Format.TABLE, help="Form of the output."
)


def show(rows: Iterable[Row], form: Format, columns: Sequence[str] = ()) -> None:
    """Write rows. `columns` chooses and orders those of table and CSV; JSON keeps everything."""
    if form is Format.JSONL:
        for row in rows:
            click.echo(msgspec.json.encode(row))
        return
    listed = list(rows)
    if form is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2))
        return
    names = list(columns) or list(dict.fromkeys(name for row in listed for name in row))
    cells = [[_cell(row.get(name)) for name in names] for row in listed]
    click.echo(_csv(names, cells) if form is Format.CSV else _table(names, cells), nl=False)


def show_one(row: Row, form: Format) -> None:
    """Write one object: field by field for people, as one JSON object or one CSV row for programs."""
    if form is Format.TABLE:
        width = max((len(name) for name in row), default=0)
        for name, value in row.items():
            click.echo(f"{_bold(name.ljust(width))}  {_cell(value)}")
    elif form is Format.JSON:
        click.echo(msgspec.json.format(msgspec.json.encode(row), indent=2))
    else:
        show([row], form)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _csv(names: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(cells)
    return text.getvalue()


def _table(names: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    columns = list(zip(names, *cells, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    lines = [_bold("  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip())]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    plain = bool(os.environ.get("NO_COLOR")) or not sys.stdout.isatty()
    return text if plain else click.style(text, bold=True)
