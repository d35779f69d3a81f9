"""Every byte vector: what is read from it, what refuses it, and what we write."""

import pytest

from ringmain.protocols.mqtt import answers
from ringmain.protocols.mqtt.events import (
    NOTHING_KEPT,
    Closed,
    ConnectAsked,
    Limits,
    Published,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.packets import Will
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import Reason


def limits(case):
    """Those of the platform, or of a door that keeps nothing (an edge's)."""
    return NOTHING_KEPT if case.get("nothing_kept") else Limits()


@pytest.mark.vectors("connect")
def test_connect(case):
    machine = ServerMachine(limits(case), 0.0)
    (event,) = machine.receive(bytes.fromhex(case["hex"]), 0.0)
    if "refused" in case:
        assert isinstance(event, Closed)
        assert (event.reason, event.by_peer, event.publish_will) == (Reason(case["refused"]), False, False)
        assert machine.data_to_send().hex() == case["answer"]
        return
    assert isinstance(event, ConnectAsked)
    want = dict(case["connect"])
    will = want.pop("will")
    password = want.pop("password")
    assert {name: getattr(event.connect, name) for name in want} == want
    assert event.connect.password == (None if password is None else bytes.fromhex(password))
    if will:
        found = {Property(int(name)): value for name, value in will.get("properties", {}).items()}
        will = Will(will["topic"], bytes.fromhex(will["payload"]), will["qos"], will["retain"], will["delay_s"], found)
    assert event.connect.will == will
    assert machine.data_to_send() == b""


@pytest.mark.vectors("publish")
def test_publish(case, connected):
    machine = connected(case["level"], limits(case))
    events = machine.receive(bytes.fromhex(case["hex"]), 0.0)
    if "refused" in case:
        assert [(type(it), it.reason) for it in events] == [(Closed, Reason(case["refused"]))]
        assert events[0].publish_will
        assert machine.data_to_send()[:3] == (
            b"" if case["level"] == 4 else bytes((0xE0, events_length(events), case["refused"]))
        )
        return
    (batch,) = events
    assert isinstance(batch, Published)
    found = zip(batch.topics, batch.payloads, batch.identifiers, strict=True)
    assert [[topic.decode(), payload.hex(), identifier.hex()] for topic, payload, identifier in found] == case[
        "messages"
    ]
    assert batch.firsts == case.get("firsts", batch.firsts)
    assert batch.plain or "firsts" in case or any(batch.properties)


def events_length(events):
    """The DISCONNECT says why: code, property length, and the reason string with its identifier and length."""
    return 1 + 1 + 3 + len(events[0].detail[:200].encode())


@pytest.mark.vectors("control")
def test_control(case, connected):
    machine = connected(case["level"], limits(case))
    events = machine.receive(bytes.fromhex(case["hex"]), 0.0)
    if "refused" in case:
        assert [(type(it), it.reason) for it in events] == [(Closed, Reason(case["refused"]))]
    elif "closed" in case:
        assert events == [Closed(Reason.SUCCESS, case["detail"], by_peer=True, publish_will=case["closed"])]
        assert machine.data_to_send() == b""
    elif "subscribe" in case:
        (asked,) = events
        assert isinstance(asked, SubscribeAsked)
        assert asked.subscription_identifier == case.get("number", 0)
        assert [asked.identifier, [[it.filter, it.qos, it.refusal] for it in asked.subscriptions]] == case["subscribe"]
    elif "unsubscribe" in case:
        (asked,) = events
        assert isinstance(asked, UnsubscribeAsked)
        assert [asked.identifier, list(asked.filters)] == case["unsubscribe"]
    else:
        assert events == []
        assert machine.data_to_send().hex() == case.get("answer", "")


@pytest.mark.vectors("answers")
def test_what_is_written(case):
    args = list(case["args"])
    match case["write"]:
        case "connack":
            found = answers.write_connack(args[0], Reason(args[1]))
        case "pubacks":
            found = answers.write_pubacks(args[0], [bytes.fromhex(it) for it in args[1]], *map(Reason, args[2:]))
        case "acknowledgement":
            found = answers.write_acknowledgement(args[0], args[1], bytes.fromhex(args[2]), *args[3:])
        case "suback":
            found = answers.write_suback(*args)
        case "unsuback":
            found = answers.write_unsuback(*args)
        case "publish":
            found = answers.write_publish(args[0], args[1], bytes.fromhex(args[2]), *args[3:])
        case "disconnect":
            found = answers.write_disconnect(Reason(args[0]), *args[1:])
    assert (found.hex() if found is not None else None) == case["hex"]
