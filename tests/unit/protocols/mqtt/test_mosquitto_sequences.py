"""Byte sequences of mosquitto's own test suite, through the machine alone.

The files stand beside the checkout (`../shared/data/mqtt-sequences`), not in it. What asks for a broker behind the
machine is left out by a rule below; everything else has to end as it does there: open or closed, and with the same
bytes in answer. Of a CONNACK that says yes the properties are each server's own.
"""

import json
from collections.abc import Callable

import pytest
from tests.mqtt_sequences import CONNECT, FOLDER, octets

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import (
    ConnectAsked,
    Limits,
    Phase,
    Published,
    Received,
    Released,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.reasons import Reason

FILES = ("CONNECT", "PUBLISH", "SUBSCRIBE", "PINGREQ", "CONNACK", "SUBACK", "FORBIDDEN", "AUTH", "PUBREC", "PUBCOMP")

Case = dict
RULES: dict[str, Callable[[Case], bool]] = {
    "who gets a message is the broker's business": lambda case: any(
        answer[0] & 0xF0 == 0x30 for answer in case["answers"]
    ),
    "who may do what is the broker's business": lambda case: any(
        b"$CONTROL" in packet or b"$SYS" in packet or b"nosubscribe" in packet or b"$share" in packet
        for packet in case["sends"]
    ),
}


def cases() -> list[Case]:
    found = []
    for name in FILES:
        for group in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
            for test in group["tests"]:
                steps = [(message["type"], octets(message["payload"])) for message in test["msgs"]]
                found.append(
                    {
                        "id": f"{group['group']}: {test['name']}",
                        "name": test["name"],
                        "ver": test.get("ver", group["ver"]),
                        "connect": test.get("connect", group.get("connect", True)),
                        "closed": test.get("expect_disconnect", group.get("expect_disconnect", True)),
                        "steps": steps,
                        "sends": [data for kind, data in steps if kind == "send"],
                        "answers": [data for kind, data in steps if kind == "recv"],
                    }
                )
    return found


def rule_of(case: Case) -> str | None:
    return next((reason for reason, applies in RULES.items() if applies(case)), None)


def comparable(packet: bytes) -> bytes:
    """A packet without what is each server's own."""
    welcomes = packet[:1] == b"\x20" and packet[3:4] == b"\0"
    return packet[:1] + packet[2:4] if welcomes else packet


def packets_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        cursor = wire.Cursor(data, 1)
        length = cursor.variable()
        found.append(data[: cursor.at + length])
        data = data[cursor.at + length :]
    return found


def acknowledge(machine: ServerMachine, batch: Published) -> None:
    """As a broker without subscribers does, which MQTT 5 is told of."""
    for place, identifier in enumerate(batch.identifiers):
        first = 0x32 if batch.plain else batch.firsts[place]
        if identifier:
            machine.acknowledge([identifier], Reason.NO_MATCHING_SUBSCRIBERS if first & 2 else Reason.SUCCESS)


def play(case: Case) -> tuple[bool, list[bytes]]:
    """Whether the connection was closed at the end, and all that was answered."""
    machine = ServerMachine(Limits(keep_alive_s_max=60, reason_strings=False), 0.0)
    answered = b""

    def send(data: bytes) -> None:
        waiting = list(machine.receive(data, 0.0))
        while waiting:
            event = waiting.pop(0)
            if isinstance(event, ConnectAsked):
                waiting += machine.accept(0.0, "" if event.connect.client_id else "assigned")
            elif isinstance(event, Published):
                acknowledge(machine, event)
            elif isinstance(event, SubscribeAsked):
                machine.grant(event.identifier, [it.refusal or it.qos for it in event.subscriptions])
            elif isinstance(event, Received):
                machine.release_message(event.identifier)
            elif isinstance(event, Released):
                machine.complete(event.identifier)
            elif isinstance(event, UnsubscribeAsked):
                machine.release(event.identifier, [0] * len(event.filters))

    if case["connect"]:
        send(octets(CONNECT[case["ver"]]))
        machine.data_to_send()
    for data in case["sends"]:
        send(data)
        answered += machine.data_to_send()
    return machine.phase is Phase.CLOSED, packets_of(answered)


@pytest.fixture(scope="module")
def known() -> list[Case]:
    if not FOLDER.is_dir():
        pytest.skip("needs ../shared/data/mqtt-sequences beside the checkout")
    return cases()


def verdict(case: Case) -> str:
    """Empty where the machine ends as mosquitto does."""
    closed, answers = play(case)
    wanted, got = [comparable(it) for it in case["answers"]], [comparable(it) for it in answers]
    if closed is not case["closed"] or got != wanted:
        return f"{case['id']}: closed is {closed}; {got} instead of {wanted}"
    return ""


@pytest.mark.parametrize(("version", "count"), [(3, 9), (4, 208), (5, 942)])
def test_every_sequence_ends_as_it_does_there(known, version, count):
    played = [case for case in known if case["ver"] == version and rule_of(case) is None]
    assert [wrong for case in played if (wrong := verdict(case))] == []
    assert len(played) == count


def test_every_rule_still_leaves_something_out(known):
    assert {rule_of(case) for case in known} == {None, *RULES}


def test_the_notation_is_read_as_its_authors_meant_it():
    assert octets("10 r13 s4 'MQTT' 04 02 k10 s1 'p'").hex() == "100d00044d51545404020" + "00a000170"
    assert octets("E0 r1 81 L1 i0 v200 m1234") == bytes.fromhex("e00181" + "00000001" + "00" + "c801" + "04d2")


def test_a_difference_of_one_byte_is_seen(known):
    """Else the comparison would prove nothing."""
    (case,) = [it for it in known if it["id"].endswith("PUBLISH: 32 QoS 1 Dup 0") and it["ver"] == 5]
    assert verdict(case) == ""
    assert verdict({**case, "answers": [case["answers"][0][:-1] + b"\0"]})
    assert verdict({**case, "closed": True})
