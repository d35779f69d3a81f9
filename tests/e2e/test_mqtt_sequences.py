"""mosquitto's byte-exact broker sequences against a running platform: every byte of every packet it has to answer with,
and whether the connection is open or closed at the end.

The files stand beside the checkout (`../shared/data/mqtt-sequences`) and are read where they stand. Of a CONNACK that
says yes the properties are each server's own.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.platform_process import PlatformProcess
from tests.mqtt_sequences import CONNECT, FOLDER, octets

pytestmark = pytest.mark.slow

CASES = {"AUTH": 14, "CONNACK": 146, "CONNECT": 307, "FORBIDDEN": 25, "PINGREQ": 16, "PUBCOMP": 119, "PUBLISH": 160,
         "PUBREC": 112, "SUBACK": 118, "SUBSCRIBE": 155}  # fmt: skip
"""File → how many sequences are in it: 1,172."""

ANSWER_S_MAX = 5.0
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"

Case = dict[str, Any]


def cases(name: str) -> Iterator[Case]:
    for group in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
        for test in group["tests"]:
            yield {
                "id": f"{group['group']}: {test['name']}",
                "ver": test.get("ver", group["ver"]),
                "connect": test.get("connect", group.get("connect", True)),
                "closed": test.get("expect_disconnect", group.get("expect_disconnect", True)),
                "steps": [(message["type"], octets(message["payload"])) for message in test["msgs"]],
            }


def packet(connection: socket.socket) -> bytes:
    """The next packet, whole; what there was of it where the connection ended."""
    said = b""
    while len(said) < 2 or (len(said) < 5 and said[-1] & 0x80):
        part = connection.recv(1)
        if not part:
            return said
        said += part
    left = sum((octet & 0x7F) << 7 * place for place, octet in enumerate(said[1:]))
    while left:
        part = connection.recv(left)
        if not part:
            return said
        said += part
        left -= len(part)
    return said


def welcomes(said: bytes) -> bool:
    """A CONNACK that says yes."""
    return said[:1] == b"\x20" and said[3:4] == b"\x00"


def play(port: int, case: Case) -> str:
    """What went otherwise than it has to; empty where nothing did."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX) as connection:
        try:
            if case["connect"]:
                connection.sendall(octets(CONNECT[case["ver"]]))
                if not welcomes(said := packet(connection)):
                    return f"{case['id']}: not let in: {said.hex()}"
            for kind, data in case["steps"]:
                if kind == "send":
                    connection.sendall(data)
                elif (said := packet(connection)) != data and not (welcomes(said) and welcomes(data)):
                    return f"{case['id']}: {said.hex()} instead of {data.hex()}"
            if case["closed"]:
                said = connection.recv(64)
                return f"{case['id']}: {said.hex()} instead of the end" if said else ""
            connection.sendall(PINGREQ)
            said = packet(connection)
        except ConnectionError as error:
            # It may be reset while we still send what it will not read; an answer that is owed is not excused by that.
            owed = case["steps"] and case["steps"][-1][0] == "recv"
            return "" if case["closed"] and not owed else f"{case['id']}: {error!r}"
        except TimeoutError:
            return f"{case['id']}: neither an answer nor the end"
        return "" if said == PINGRESP else f"{case['id']}: {said.hex()} instead of being open"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with PlatformProcess(tmp_path_factory.mktemp("sequences") / "data", open_mqtt=True) as platform:
        yield platform.ports.open_mqtt


@pytest.mark.parametrize("name", CASES)
def test_every_sequence_is_answered_to_the_byte(port: int, name: str) -> None:
    if not FOLDER.is_dir():
        pytest.skip("needs ../shared/data/mqtt-sequences beside the checkout")
    played = [play(port, case) for case in cases(name)]
    assert [wrong for wrong in played if wrong] == []
    assert len(played) == CASES[name]


def test_no_file_is_left_out() -> None:
    if not FOLDER.is_dir():
        pytest.skip("needs ../shared/data/mqtt-sequences beside the checkout")
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == sorted(CASES)


@pytest.mark.parametrize(
    ("steps", "closed", "wrong"),
    [
        ([("send", b"\xc0\x00"), ("recv", b"\xd0\x01\x00")], False, "d000 instead of d00100"),
        ([("send", b"\xc0\x00")], True, "d000 instead of the end"),
        ([("send", b"\xc0\x00"), ("recv", b"\xd0\x00")], False, ""),
        ([("send", b"\x00\x00")], False, "instead of being open"),
        ([("send", b"\xe0\x00")], True, ""),
        ([("send", b"\xe0\x00"), ("recv", b"\xe0\x00")], True, " instead of e000"),
    ],
)
def test_what_goes_otherwise_is_seen(port: int, steps: list[tuple[str, bytes]], closed: bool, wrong: str) -> None:
    found = play(port, {"id": "x", "ver": 4, "connect": True, "closed": closed, "steps": steps})
    assert wrong in found
    assert bool(wrong) is bool(found)
