"""Tariff files: a tariff written by a person in TOML or JSON. What is wrong with it is said with line and field.

Prices may be strings or numbers: numbers are read as the decimals that stand there, never as floats.
"""

import json
import re
import tomllib
from decimal import Decimal
from pathlib import PurePath
from typing import Any, NoReturn

import msgspec

from ringmain.metering.positions import DuplicateMember, Lines, json_lines, line_of, toml_lines
from ringmain.metering.tariffs import Tariff
from ringmain.model.errors import Refused

FILE_BYTES_MAX = 1_000_000
"""The largest tariff we know of, a price for each half hour of a year, has 0.9 MB."""

NESTING_MAX = 32
"""A tariff nests four deep; the parsers recurse."""

_HINT = "Correct the line and try again; nothing was changed. docs/tariffs.md describes the format."
_TOML_AT = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)\Z", re.DOTALL)
_MSGSPEC_AT = re.compile(r"(.*?)(?: - at `(.*)`)?\Z", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`\Z")
_LONG_NUMBER = re.compile(r"[0-9](?:_?[0-9]){4300}")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def read_tariff(data: bytes, name: str) -> Tariff:
    """The tariff of a file's bytes; `name` ends in `.toml` or `.json` and stands in front of every refusal."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in {".toml", ".json"}:
        raise Refused("unprocessable", f"{name}: expected a file that ends in .toml or .json", "Rename the file.")
    if len(data) > FILE_BYTES_MAX:
        raise Refused("too_large", f"{name}: larger than {FILE_BYTES_MAX} bytes", "Split it into tariffs of their own.")
    text = _text_of(data, name)
    raw, lines = _parse_toml(text, name) if suffix == ".toml" else _parse_json(text, name)
    try:
        tariff = msgspec.convert(raw, Tariff)
    except msgspec.ValidationError as error:
        _refuse_shape(error, raw, lines, name)
    for fault in tariff.faults():
        _refuse(name, line_of(lines, fault.path), f"{fault.path}: {fault.detail}")
    return tariff


def _text_of(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(name, data.count(b"\n", 0, error.start) + 1, f"$: not UTF-8 (byte 0x{data[error.start]:02x})")


def _parse_toml(text: str, name: str) -> tuple[Any, Lines]:
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        message = _TOML_AT.match(str(error))
        detail = message[1] if message else str(error)
        line = int(message[2]) if message and message[2] else text.count("\n") + 1
        _refuse(name, line, f"$: not TOML: {detail}")
    except ValueError:
        _refuse_long_number(text, name)
    except RecursionError:
        _refuse(name, 1, f"$: nested deeper than {NESTING_MAX}")
    _refuse_nesting(raw, name)
    return raw, toml_lines(text)


def _parse_json(text: str, name: str) -> tuple[Any, Lines]:
    try:
        raw = json.loads(text, parse_float=Decimal, parse_constant=Decimal)  # NaN is refused where it is used
        _refuse_nesting(raw, name)
        return raw, json_lines(text)
    except json.JSONDecodeError as error:
        _refuse(name, error.lineno, f"$: not JSON: {error.msg}")
    except DuplicateMember as error:
        _refuse(name, error.line, f"{error.path}: given twice")
    except RecursionError:
        _refuse(name, 1, f"$: nested deeper than {NESTING_MAX}")
    except ValueError:
        _refuse_long_number(text, name)


def _refuse_long_number(text: str, name: str) -> NoReturn:
    """Python turns no longer ones into integers: it takes quadratic time."""
    found = _LONG_NUMBER.search(text)
    line = text.count("\n", 0, found.start()) + 1 if found else 1
    _refuse(name, line, "$: a number of more than 4,300 digits")


def _refuse_nesting(raw: Any, name: str) -> None:
    level = [raw]
    for _ in range(NESTING_MAX):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
    if level:
        _refuse(name, 1, f"$: nested deeper than {NESTING_MAX}")


def _refuse_shape(error: msgspec.ValidationError, raw: Any, lines: Lines, name: str) -> NoReturn:
    """Say a wrong type, an unknown or a missing field in our words."""
    match = _MSGSPEC_AT.match(str(error))
    detail, path = (match[1], match[2] or "$") if match else (str(error), "$")
    if unknown := _UNKNOWN_FIELD.match(detail):
        path, detail = f"{path}.{unknown[1]}", "unknown field"
    elif missing := _MISSING_FIELD.match(detail):
        detail = f"the required field {missing[1]} is missing"
    else:
        if "decimal" in detail:
            detail = "expected a decimal number"
        detail = f"{detail[:1].lower()}{detail[1:]}".split(", got ")[0] + f", got {_shown(_value_at(raw, path))}"
    _refuse(name, line_of(lines, path), f"{path}: {detail}")


def _value_at(raw: Any, path: str) -> Any:
    for key, index in _STEP.findall(path):
        raw = raw[key] if key else raw[int(index)]
    return raw


def _shown(value: Any) -> str:
    """A value as the reader of the message will recognise it, not longer than a line."""
    text = f"'{value}'" if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse(name: str, line: int, detail: str) -> NoReturn:
    raise Refused("unprocessable", f"{name}: line {line}: {detail}", _HINT)
