"""Importing: the pure half of `device import`, from the text of a CSV file to rows, or to every problem it has.

RFC 4180 with what spreadsheets do to it: a byte order mark, CRLF, blank lines. Columns are `id,profile[,token]` in
any order; a column of another name is refused by name, because it is more often a misspelling than a comment.
"""

import csv
import io
from collections.abc import Iterator

import msgspec

from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, ProfileName, is_name
from ringmain.services.lifecycle.tokens import TOKEN_LENGTH_MAX, is_token

COLUMNS = ("id", "profile", "token")
REQUIRED = ("id", "profile")

ROWS_MAX = 250_000
"""Devices of one file: one transaction of some 20 s at most. Larger fleets come in several files."""

PROBLEMS_MAX = 100
"""Problems told of one file; whoever has more has one cause, and sees it."""


class Row(msgspec.Struct, frozen=True):
    """One line of the file. `token` is None where the cell is empty or there is no such column."""

    line: int
    id: DeviceId
    profile: ProfileName
    token: str | None


class ImportProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field of one line (the header is line 1)."""

    line: int
    field: str
    problem: str


class ImportRefused(Refused):
    """A file that was not imported, with every problem found; nothing of it was kept."""

    def __init__(self, problems: "Problems") -> None:
        told = "; ".join(f"line {p.line}, {p.field}: {p.problem}" for p in problems.told[:3])
        more = f" (and {problems.count - 3} more)" if problems.count > 3 else ""
        super().__init__(
            "unprocessable",
            f"The file was not imported, no device was made: {told}{more}.",
            "Mend these lines and import the whole file again; devices that exist unchanged are no problem.",
        )
        self.problems = tuple(problems.told)
        self.count = problems.count


class Problems:
    """Collects what is wrong, and counts on when it has enough."""

    def __init__(self) -> None:
        self.told: list[ImportProblem] = []
        self.count = 0

    def add(self, line: int, field: str, problem: str) -> None:
        """One more problem."""
        self.count += 1
        if len(self.told) < PROBLEMS_MAX:
            self.told.append(ImportProblem(line, field, problem))

    def refuse(self) -> None:
        """Raise `ImportRefused` if there was any."""
        if self.count:
            raise ImportRefused(self)


def read_rows(text: str, problems: Problems) -> Iterator[Row]:
    """The sound rows in order; what is not sound goes into `problems`. Lazy, so that the caller may pause."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    columns: list[str] | None = None
    seen: dict[str, int] = {}
    tokens: dict[str, int] = {}
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            problems.add(line, "line", f"is not CSV: {error}")
            return
        if cells is None:
            break
        if not cells:
            continue
        if columns is None:
            columns = _header(line, cells, problems)
            if columns is None:
                return
            continue
        row = _row(line, dict(zip(columns, cells, strict=False)), len(cells) - len(columns), problems)
        if row is not None and _is_first(row, seen, tokens, problems):
            if len(seen) > ROWS_MAX:
                problems.add(line, "line", f"the file has more than {ROWS_MAX} devices, split it")
                return
            yield row
    if columns is None:
        problems.add(1, "header", "is missing: the first line must name the columns id,profile[,token]")


def _header(line: int, cells: list[str], problems: Problems) -> list[str] | None:
    before = problems.count
    for name in dict.fromkeys(cells):
        if name not in COLUMNS:
            problems.add(line, "header", f"no column {name[:64]!r} is known; columns are {', '.join(COLUMNS)}")
        elif cells.count(name) > 1:
            problems.add(line, "header", f"names the column {name} twice")
    if problems.count == before:  # a column that is misspelled is not missing as well
        for name in REQUIRED:
            if name not in cells:
                problems.add(line, "header", f"lacks the column {name}")
    return cells if problems.count == before else None


def _row(line: int, cells: dict[str, str], surplus: int, problems: Problems) -> Row | None:
    if surplus:
        problems.add(line, "line", f"has {abs(surplus)} cells {'more' if surplus > 0 else 'fewer'} than the header")
        return None
    before = problems.count
    for field in REQUIRED:
        if not is_name(cells[field]):
            problems.add(
                line,
                field,
                f"{cells[field][:64]!r} is no name: 1-64 of A-Z a-z 0-9 . _ : @ ~ -, first a letter or digit",
            )
    token = cells.get("token") or None
    if token is not None and not is_token(token):
        problems.add(line, "token", f"must be 1-{TOKEN_LENGTH_MAX} printable characters")
    if problems.count > before:
        return None
    return Row(line, DeviceId(cells["id"]), ProfileName(cells["profile"]), token)


def _is_first(row: Row, ids: dict[str, int], tokens: dict[str, int], problems: Problems) -> bool:
    first = ids.setdefault(row.id, row.line)
    if first != row.line:
        problems.add(row.line, "id", f"{row.id} stands on line {first} already")
        return False
    if row.token is not None:
        first = tokens.setdefault(row.token, row.line)
        if first != row.line:
            problems.add(row.line, "token", f"is the same as on line {first}")
            return False
    return True
