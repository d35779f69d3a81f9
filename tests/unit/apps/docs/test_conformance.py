"""The table of clauses: every test it names exists, and every clause has its place."""

import json
import re
from pathlib import Path

import pytest

from ringmain.apps.docs.conformance import cited, conformance_page, named_tests, read_clauses

ROOT = Path(__file__).parents[4]
SEQUENCES = ROOT.parent / "shared" / "data" / "mqtt-sequences"
DATA = read_clauses()
FIRST = next(iter(DATA.clauses))

IN_311 = {"3.1.2-14", "3.1.2-20", "3.1.2-21", "3.1.2-22", "3.1.3-7", "3.8.3-3", "3.8.4-4"}
"""Numbers in the names of sequences that mean something else in MQTT 5."""


def named() -> list[str]:
    return [test for tests in DATA.held.values() for test in tests] + [each.test for each in DATA.refused if each.test]


def test_every_test_that_is_named_exists() -> None:
    tests = [DATA.test_of(name).partition("::") for name in named()]
    there = {path: dict(named_tests(ROOT / path)) for path in {path for path, _, _ in tests}}
    for path, _, name in tests:
        assert name.partition("[")[0] in there[path], (path, name)


def test_every_file_of_sequences_that_is_named_is_played() -> None:
    played = (ROOT / "tests/e2e/test_mqtt_sequences.py").read_text(encoding="utf-8")
    for name in {test[4:-1] for test in named() if test.startswith("seq[")}:
        assert f'"{name}"' in played, name


def test_every_short_name_is_used() -> None:
    assert {test.partition("[")[0] for test in named()} == set(DATA.tests)


def test_every_clause_that_anything_names_is_one_of_the_standard() -> None:
    assert set(DATA.held) <= set(DATA.clauses)
    assert set(cited(ROOT)) <= set(DATA.clauses)
    assert {clause for clauses in DATA.excused.values() for clause in clauses} <= set(DATA.clauses)


def test_every_clause_is_in_one_section_of_the_page() -> None:
    page = conformance_page(ROOT)
    for clause in DATA.clauses:
        assert page.count(f"| {clause} |") == 1, clause


def test_nothing_is_excused_that_is_held() -> None:
    assert not {clause for clauses in DATA.excused.values() for clause in clauses} & (set(DATA.held) | set(cited(ROOT)))


def test_what_the_sequences_say_they_hold_is_in_the_table() -> None:
    if not SEQUENCES.is_dir():
        pytest.skip("needs ../shared/data/mqtt-sequences beside the checkout")
    for path in SEQUENCES.glob("*.json"):
        for group in json.loads(path.read_text(encoding="utf-8")):
            for name in (test["name"] for test in group["tests"]):
                for clause in set(re.findall(r"\[MQTT-(\d+\.\d+\.\d+-\d+)\]", name)) - IN_311:
                    assert any(test.startswith("seq[") for test in DATA.held[clause]), (path.name, name)


def test_a_clause_that_a_test_names_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text(
        f'class TestIt:\n    async def test_a(self):\n        """[MQTT-{FIRST}]"""\n\n\ndef test_b():\n    """No."""\n'
    )
    assert cited(tmp_path) == {FIRST: ["tests/test_x.py::TestIt::test_a"]}
    page = conformance_page(tmp_path)
    assert f"| {FIRST} | text is UTF-8 without surrogates | [`TestIt::test_a`](../../tests/test_x.py)," in page
    assert "no test of its own" in page
