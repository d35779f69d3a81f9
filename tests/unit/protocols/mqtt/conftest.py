"""Packets for the machine, built from the vectors and by hand, and a machine that is already connected."""

import json
from pathlib import Path

import pytest

from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.machine import ServerMachine

VECTORS = Path(__file__).parents[3] / "vectors" / "mqtt"
CONNECT = {4: bytes.fromhex("100d00044d5154540402003c000163"), 5: bytes.fromhex("100e00044d5154540502003c00000163")}


def vectors(name: str) -> list:
    """One file of vectors as parameters named by what they are about."""
    cases = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in cases]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker:
        cases = [param for name in marker.args for param in vectors(name)]
        metafunc.parametrize("case", cases)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vectors(*names): once for each vector of these files of tests/vectors/mqtt")


@pytest.fixture
def connected():
    """A machine past its CONNACK, at time 0."""

    def make(level=4, limits=None, connect=None):
        machine = ServerMachine(limits or Limits(), 0.0)
        machine.receive(connect or CONNECT[level], 0.0)
        machine.accept(0.0)
        machine.data_to_send()
        return machine

    return make
