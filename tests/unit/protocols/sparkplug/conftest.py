"""Vectors of tests/vectors/sparkplug: bytes in parts with what each is, and the payload that they are."""

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[3] / "vectors" / "sparkplug"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = json.loads((VECTORS / "payloads.json").read_text(encoding="utf-8"))
        metafunc.parametrize("case", [pytest.param(case, id=case["name"]) for case in cases])


@pytest.fixture
def foreign():
    """What another implementation wrote."""
    (made,) = json.loads((VECTORS / "pysparkplug.json").read_text(encoding="utf-8"))
    return made
