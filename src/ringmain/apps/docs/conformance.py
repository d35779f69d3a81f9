"""`docs/protocols/mqtt-conformance.md`: every clause of MQTT 5 and the tests that hold it.

The clauses are data (`mqtt_clauses.toml`). A test holds a clause that it names as `[MQTT-x.y.z-n]`, wherever it lies;
the data names further ones. What neither does is shown as what it is: without a test of its own.
"""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

_CITED = re.compile(r"\[MQTT-(\d+\.\d+\.\d+-\d+)\]")

_HEAD = """\
# Conformance with MQTT 5.0

Written by `make docs` from `src/ringmain/apps/docs/mqtt_clauses.toml` and from the clauses that tests name. The wording
is ours and short; the numbers are those of appendix B of the standard. Byte sequences (`sequences`) are half of
mosquitto's own broker suite, 1,172 of them, played against the open door of a running platform; the other half, 654,
was played by hand, and all 1,826 end byte for byte as there.

"""
_EXCUSES = {
    "client": "a client's to keep",
    "authentication": "of enhanced authentication, which is not offered",
    "unsaid": "we never send it in this packet",
}
_NONE = "no test of its own"


class _Older(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    clause: str
    what: str


class _Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: str
    code: str
    why: str
    test: str = ""


class Clauses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data: clauses by number, names of tests, which of them hold a clause, and what is not kept."""

    sections: dict[str, str]
    clauses: dict[str, str]
    excused: dict[str, list[str]]
    tests: dict[str, str]
    held: dict[str, list[str]]
    older: list[_Older]
    refused: list[_Refused]

    def test_of(self, name: str) -> str:
        """The test that a short name stands for, with its parameter."""
        alias, bracket, parameter = name.partition("[")
        return self.tests[alias] + bracket + parameter


def read_clauses() -> Clauses:
    """The data beside this module."""
    text = Path(__file__).with_name("mqtt_clauses.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Clauses)


def named_tests(path: Path) -> Iterator[tuple[str, str]]:
    """(name, source) of every test of a file; `Class::name` within a class."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.parse(text).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in inside:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name.startswith("test_"):
                prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
                yield prefix + each.name, "\n".join(lines[each.lineno - 1 : each.end_lineno])


def cited(root: Path) -> dict[str, list[str]]:
    """Clause → the tests that name it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((root / "tests").rglob("test_*.py")):
        if not _CITED.search(path.read_text(encoding="utf-8")):
            continue  # parsing takes a hundred times as long
        for name, source in named_tests(path):
            for clause in dict.fromkeys(_CITED.findall(source)):
                found[clause].append(f"{path.relative_to(root).as_posix()}::{name}")
    return found


def conformance_page(root: Path) -> str:
    """The page for a checkout."""
    data, named = read_clauses(), cited(root)
    excuses = {clause: _EXCUSES[why] for why, clauses in data.excused.items() for clause in clauses}
    held = {
        clause: list(dict.fromkeys([*named.get(clause, []), *map(data.test_of, data.held.get(clause, []))]))
        for clause in data.clauses
    }
    tested = sum(bool(tests) for tests in held.values())
    excused = sum(clause in excuses and not tests for clause, tests in held.items())
    rest = len(data.clauses) - tested - excused
    lines = [f"{len(data.clauses)} clauses: {tested} are held by tests, {excused} are not ours, {rest} have {_NONE}.\n"]
    for section, title in data.sections.items():
        lines += [f"## {section} {title}\n", "| clause | in short | held by |", "|---|---|---|"]
        for clause in (each for each in data.clauses if each.startswith(f"{section}.")):
            by = ", ".join(_linked(test) for test in held[clause]) or excuses.get(clause, _NONE)
            lines.append(f"| {clause} | {data.clauses[clause]} | {by} |")
        lines.append("")
    return _HEAD + "\n".join([*lines, *_older(data), *_refused(data)]) + "\n"


def _older(data: Clauses) -> list[str]:
    lines = ["## Where MQTT 3.1.1 and 3.1 differ\n", "| clause there | what is different |", "|---|---|"]
    return [*lines, *(f"| {each.clause} | {each.what} |" for each in data.older), ""]


def _refused(data: Clauses) -> list[str]:
    lines = [
        "## What the platform's own door refuses on purpose\n",
        "The open door refuses the first, the last and what text may not hold; the rest is a matter of devices.\n",
        "| what | answer | why | held by |",
        "|---|---|---|---|",
    ]
    for each in data.refused:
        by = _linked(data.test_of(each.test)) if each.test else ""
        lines.append(f"| {each.what} | {each.code} | {each.why} | {by} |")
    return lines


def _linked(test: str) -> str:
    path, _, name = test.partition("::")
    short = name.replace("test_every_sequence_is_answered_to_the_byte", "sequences")
    return f"[`{short.removeprefix('test_')}`](../../{path})"
