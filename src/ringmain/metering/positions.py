"""Positions: on which line of a JSON or TOML document a value stands, so that a refusal can name the line.

The parsers of the standard library say no lines for meaning errors. These scanners walk a text that *already parsed*
and note the line of each path (`$.periods[1].price`); they judge nothing but a JSON member given twice.
"""

import json
import re
from typing import Any

Lines = dict[str, int]

_JSON_SPACE = re.compile(r"[ \t\r\n]*")
_TOML_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_TOML_INLINE_SPACE = re.compile(r"[ \t]*")
_TOML_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TOML_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}' r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_TOML_SCALAR = re.compile(r"[^,\]}#\n]+")


class DuplicateMember(ValueError):
    """A JSON object names a member twice: which of the two was meant, nobody knows."""

    def __init__(self, path: str, line: int) -> None:
        super().__init__(path)
        self.path = path
        self.line = line


def line_of(lines: Lines, path: str) -> int:
    """The line of a path, or of the nearest thing around it that is written down."""
    while path not in lines and path != "$":
        path = path[: max(path.rfind("."), path.rfind("["))]
    return lines.get(path, 1)


def json_lines(text: str) -> Lines:
    """Lines of all paths of a JSON text that parses."""
    scan = _Json(text)
    scan.value("$", _JSON_SPACE.match(text, 0).end())  # type: ignore[union-attr]  # it matches the empty string
    return scan.lines


def toml_lines(text: str) -> Lines:
    """Lines of all paths of a TOML text that parses."""
    return _Toml(text.replace("\r\n", "\n")).document()


class _Scan:
    """A text, the lines found so far, and how to count them without counting twice."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: Lines = {}
        self._counted_to = 0
        self._line = 1

    def line(self, at: int) -> int:
        """The line of a position; positions come in ascending order."""
        self._line += self.text.count("\n", self._counted_to, at)
        self._counted_to = at
        return self._line

    def skip(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self.text, at)
        return match.end() if match else at


class _Json(_Scan):
    def value(self, path: str, at: int) -> int:
        """Note the value at `at` and everything in it; the position behind it."""
        line = self.line(at)
        if path in self.lines:
            raise DuplicateMember(path, line)
        self.lines[path] = line
        opening = self.text[at]
        if opening not in "{[":
            return self._scalar(at)
        closing = "}" if opening == "{" else "]"
        at, index = self.skip(_JSON_SPACE, at + 1), 0
        while self.text[at] != closing:
            inner = f"{path}[{index}]"
            if opening == "{":
                name, at = _json_scalar(self.text, at)
                inner = f"{path}.{name}"
                at = self.skip(_JSON_SPACE, self.skip(_JSON_SPACE, at) + 1)
            at = self.skip(_JSON_SPACE, self.value(inner, at))
            if self.text[at] == ",":
                at = self.skip(_JSON_SPACE, at + 1)
            index += 1
        return at + 1

    def _scalar(self, at: int) -> int:
        return _json_scalar(self.text, at)[1]


def _json_scalar(text: str, at: int) -> tuple[Any, int]:
    return json.JSONDecoder(parse_float=str, parse_int=str).raw_decode(text, at)


class _Toml(_Scan):
    def document(self) -> Lines:
        """Walk tables and members from the first line to the last."""
        self.lines["$"] = 1
        table, at = "$", self.skip(_TOML_SPACE, 0)
        while at < len(self.text):
            if self.text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._member(table, at)
            at = self.skip(_TOML_SPACE, at)
        return self.lines

    def _header(self, at: int) -> tuple[str, int]:
        """`[a.b]` or `[[a.b]]`: the path it opens. Steps through an array of tables mean its newest element."""
        double = self.text.startswith("[[", at)
        line = self.line(at)
        keys, at = self._keys(at + (2 if double else 1))
        path = "$"
        for key in keys:
            path = self._newest(f"{path}.{key}")
        if double:
            path = path if not path.endswith("]") else path[: path.rfind("[")]
            path = f"{path}[{self._length(path)}]"
        self.lines.setdefault(path, line)
        return path, at + (2 if double else 1)

    def _length(self, path: str) -> int:
        length = 0
        while f"{path}[{length}]" in self.lines:
            length += 1
        return length

    def _newest(self, path: str) -> str:
        length = self._length(path)
        return f"{path}[{length - 1}]" if length else path

    def _keys(self, at: int) -> tuple[list[str], int]:
        """A dotted key; the position of what ends it (`=` or `]`)."""
        keys = []
        while True:
            at = self.skip(_TOML_INLINE_SPACE, at)
            end = self.skip(_TOML_STRING if self.text[at] in "\"'" else _TOML_BARE_KEY, at)
            keys.append(self.text[at:end].strip("\"'"))
            at = self.skip(_TOML_INLINE_SPACE, end)
            if self.text[at] != ".":
                return keys, at
            at += 1

    def _member(self, table: str, at: int) -> int:
        line = self.line(at)
        keys, at = self._keys(at)
        path = table
        for key in keys:
            path = f"{path}.{key}"
            self.lines.setdefault(path, line)
        return self._value(path, self.skip(_TOML_INLINE_SPACE, at + 1))

    def _value(self, path: str, at: int) -> int:
        self.lines.setdefault(path, self.line(at))
        opening = self.text[at]
        if opening in "\"'":
            return self.skip(_TOML_STRING, at)
        if opening not in "{[":
            return self.skip(_TOML_SCALAR, at)
        closing = "}" if opening == "{" else "]"
        at, index = self.skip(_TOML_SPACE, at + 1), 0
        while self.text[at] != closing:
            at = self._member(path, at) if opening == "{" else self._value(f"{path}[{index}]", at)
            at = self.skip(_TOML_SPACE, at)
            if self.text[at] == ",":
                at = self.skip(_TOML_SPACE, at + 1)
            index += 1
        return at + 1
